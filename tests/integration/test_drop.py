"""Works are left out after the fact: the rest stays as it was, and a run goes on and says so in its lineage."""

import hashlib
import json
import shutil

import numpy as np
import pytest

from artgan.datasets.collection import open_collection, read_index
from artgan.datasets.drop import drop
from artgan.errors import DataError
from artgan.generation.model_folder import load_model
from artgan.training.run_log import read_metrics
from tests.integration.test_cli import artgan, refused

SMALL = (
    "--set=model.width=8",
    "--set=model.discriminator_width=8",
    "--set=training.batch_size=4",
    "--set=model.discriminator=fastgan",
)
JUDGED = ("--set=evaluation.features=random", "--set=evaluation.num_generated=8", "--set=training.total_kimg=1")


@pytest.fixture
def own(collection_folder, tmp_path):
    return shutil.copytree(collection_folder, tmp_path / "own")


def test_the_rest_keeps_its_pixels_classes_and_splits(own):
    before, lines = open_collection(own), [line for line in read_index(own) if line["status"] == "kept"]
    out = [lines[0], lines[7], lines[20]]
    names = [out[0]["name"], out[1]["name"].rpartition("/")[2], out[2]["name"].rpartition("/")[2][:-1] + "?"]
    assert set(drop(own, names)) >= {line["name"] for line in out[:2]}
    after = open_collection(own)
    left_out = {line["source"] for line in read_index(own) if line["status"] == "dropped"}
    staying = [row for row, line in enumerate(lines) if line["source"] not in left_out]
    assert len(after.images) == len(staying) < len(before.images)
    assert np.array_equal(after.images, before.images[staying])
    assert after.classes == before.classes
    assert np.array_equal(after.labels, before.labels[staying])
    assert set(after.holdout_rows) == {place for place, row in enumerate(staying) if row in before.holdout_rows}
    assert after.earlier == (before.pixel_hash,)
    assert artgan("prepare", "--check", own) == 0


def test_wrong_names_and_too_few_are_refused_and_change_nothing(own, capsys):
    def state():
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in own.iterdir()}

    before, name = state(), read_index(own)[0]["name"].rpartition("/")[2]
    refused(capsys, 3, "no work of .* has that name", "prepare", own, "--drop", name.replace(".", "x."))
    refused(capsys, 3, "would leave 0 of", "prepare", own, "--drop", "*")
    refused(capsys, 2, "leaves works out of one collection", "prepare", own, own, "--drop", name)
    with pytest.raises(DataError, match="does not exist"):
        drop(own / "none", [name])
    assert state() == before


def test_a_run_goes_on_with_the_rest_and_says_so(own, tmp_path, capsys):
    run, before = tmp_path / "run", open_collection(own).pixel_hash
    words = ("train", "--collection", own, "--run", run, *SMALL, *JUDGED)
    assert artgan(*words, "--minutes", "0.001") == 0
    assert artgan("prepare", own, "--drop", read_index(own)[0]["name"]) == 0
    capsys.readouterr()
    assert artgan(*words, "--minutes", "0.001") == 0
    assert "works were left out of own since" in capsys.readouterr().out
    after = open_collection(own).pixel_hash
    (line,) = [line for line in read_metrics(run) if line["kind"] == "collection"]
    assert (line["from"], line["to"]) == (before, after)
    assert load_model(run / "model" / "latest").card.collection["earlier"] == [before]
    assert artgan(*words, "--minutes", "0.001", "--quiet") == 0  # and from there on as ever
    assert len([line for line in read_metrics(run) if line["kind"] == "collection"]) == 1
    summary = json.loads((own / "collection.json").read_text())
    (own / "collection.json").write_text(json.dumps(summary | {"earlier": []}))
    stranger = tmp_path / "another"
    shutil.copytree(run, stranger)
    drop(own, [read_index(own)[5]["name"]])
    summary = json.loads((own / "collection.json").read_text())
    (own / "collection.json").write_text(json.dumps(summary | {"earlier": []}))
    refused(capsys, 4, "was trained on other pictures", *words[:4], stranger, *SMALL, *JUDGED)
