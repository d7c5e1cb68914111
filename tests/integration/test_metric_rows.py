"""A metric is one function and one row: evaluation, floor, comparison and page go by the row; old lines keep their protocol."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from artgan.errors import ConfigError
from artgan.evaluation import Judge, describe
from artgan.evaluation.compare import compare, describe_comparison
from artgan.evaluation.measure import evaluate
from artgan.evaluation.protocol import Protocol
from artgan.evaluation.subjects import Subject
from artgan.generation.model_card import model_card
from artgan.generation.model_folder import ModelCard
from artgan.metrics import METRICS, MetricRow, joint_estimators, rows_of
from artgan.metrics.features import Estimate
from artgan.metrics.manifold import NEIGHBORS
from artgan.metrics.sliced import NUM_DIRECTIONS
from artgan.report.evaluation import evaluation_page
from artgan.report.run import run_page
from artgan.studio.watching import Watch
from artgan.training.run_log import read_metrics


def spread(sides):
    """Trace of one covariance over that of the other."""
    return Estimate(float(sides.generated[:].var(0).sum() / sides.train.features.var(0).sum()))


@pytest.fixture
def toy_metric(monkeypatch):
    row = MetricRow(f"{__name__}:spread", group="toys", meaning="how wide", better=1, estimator="traces", floor="halves")
    monkeypatch.setitem(METRICS, "spread", row)


def subject_of(collection):
    rows = collection.train_rows
    return Subject(lambda indices: (collection.images[rows[i]] for i in indices), len(rows), [str(i) for i in rows], {})


def test_a_new_row_is_judged_floored_described_and_shown(collection, toy_metric):
    judge = Judge("random", collection, torch.device("cpu"))
    line = evaluate(judge, subject_of(collection), ["distances", "toys"]).line
    assert line["metrics"]["spread"] == {"value": pytest.approx(1), "low": None, "high": None, "estimator": "traces"}
    assert line["floor"]["spread"]["of"].startswith("halves of the training split")
    assert line["protocol_hash"] == judge.protocol(len(collection.train_rows)).hash
    assert any(text.startswith("spread") for text in describe(line))
    assert "how wide" in evaluation_page("x", line)
    other = line | {"metrics": line["metrics"] | {"spread": line["metrics"]["spread"] | {"estimator": "other"}}}
    assert [row["name"] for row in compare(line, other, ("a", "b"))] == ["fd", "kid", "mind"]


def test_the_joint_text_is_the_one_that_old_hashes_were_made_of():
    assert joint_estimators() == (
        f"Frechet with covariance N-1; KID over all pairs, unbiased, kernel (x.y/d+1)^3; MIND over {NUM_DIRECTIONS} "
        f"directions; "
        f"precision, recall, density and coverage with k={NEIGHBORS}, rims inside; AuthPct; C_T in 3 cells after 64 components"
    )
    assert Protocol("f", "n", "w", "l", "clean", 1, "x").estimators == joint_estimators()


def test_a_metric_with_another_name_in_one_space_has_it_there_alone():
    assert list(rows_of(["distances"], "inception-2048")) == ["fid", "kid", "mind"]
    assert list(rows_of(["distances"], "random")) == ["fd", "kid", "mind"]
    with pytest.raises(ConfigError, match="unknown metric 'kidd'"):
        METRICS.row("kidd")


def test_every_place_shows_a_value_in_one_unit(tmp_path):
    entry = {"value": 0.00174, "low": 0.001, "high": 0.0025}
    line = {
        "protocol": {"features": "random", "num_reference": 36},
        "protocol_hash": "h" * 64,
        "num_generated": 12,
        "generated": {"from": "folder"},
        "metrics": {"kid": entry},
        "floor": {"kid": {"value": 0.0005, "of": "hold-out against training split"}},
        "warnings": [],
    }
    (tmp_path / "metrics.jsonl").write_text(json.dumps({"kind": "metrics", "images_seen": 8000, "minutes": 1.0} | line) + "\n")
    card = ModelCard("fastgan", {}, (), 8000, {}, line)
    rows = compare(line, line, ("a", "b"))
    places = {
        "terminal": "\n".join(describe(line)),
        "comparison": "\n".join(describe_comparison(rows)),
        "evaluation page": evaluation_page("x", line),
        "run page": run_page(tmp_path, read_metrics(tmp_path), {}, "", ""),
        "model card": model_card(card),
        "studio": json.dumps(Watch(tmp_path).facts()["evaluations"]),
    }
    for place, text in places.items():
        assert "kid x 1000" in text, place
        assert "1.74" in text, place
        assert "0.00174" not in text, place
    assert all("real art" in places[place] for place in ("terminal", "evaluation page", "model card"))


def test_too_few_pictures_have_no_floor(collection, toy_metric):
    alone = dataclasses.replace(
        collection, train_rows=collection.train_rows[:3], holdout_rows=np.empty(0, np.int64), pixel_hash="few"
    )
    line = evaluate(Judge("random", alone, torch.device("cpu")), subject_of(alone), ["distances", "toys"]).line
    assert line["floor"] == {}
