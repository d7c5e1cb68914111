"""How a run or a model stands: cases from published curves and from lines made for one fault each."""

import json
from pathlib import Path

import pytest

from artgan.config import load_config
from artgan.evaluation.verdict import HELD_SLOPES, standing_of_line, standing_of_run, while_training

# KaoKore at 64 px, docs/results.md: KID x 1000 after 3.6, 10.7, 18.8 and 30 minutes of training.
KAOKORE = [1.27, 0.70, 0.62, 0.44]


def line(kid, **metrics):
    entries = {name: {"value": value, "low": low, "high": high} for name, (value, low, high) in metrics.items()}
    return {"metrics": {"kid": {"value": kid / 1000, "low": None, "high": None}} | entries, "floor": {"kid": {"value": 0.0}}}


@pytest.mark.parametrize(
    ("kids", "images_seen", "diversity", "kind"),
    [
        ([], 500, None, "early"),
        (KAOKORE[:1], 16_000, 0.9, "early"),
        (KAOKORE[:1], 32_000, 0.9, "on the way"),
        ([], 32_000, 0.9, "on the way"),
        (KAOKORE, 140_000, 0.9, "on the way"),
        ([*KAOKORE, 0.43, 0.45, 0.42], 240_000, 0.9, "settled"),
        ([*KAOKORE, 0.43, 0.45, 0.38], 240_000, 0.9, "on the way"),
        (KAOKORE, 140_000, 0.2, "collapsing"),
    ],
)
def test_a_run_stands_where_its_curve_says(kids, images_seen, diversity, kind):
    standing = standing_of_run([line(kid) for kid in kids], images_seen, diversity)
    assert standing.kind == kind
    assert standing.advice.typed
    assert standing.advice.pressed
    if kids and kind not in ("collapsing",):
        assert f"KID x 1000 is {kids[-1]:.2f} (real art reaches 0.00)" in standing.sentence


def test_what_real_art_reaches_is_not_said_where_too_few_works_make_it_worse_than_samples():
    judged = line(0.4) | {"floor": {"kid": {"value": 2.1, "of": "hold-out against training split (25 and 475)"}}}
    assert "KID x 1000 is 0.40." in standing_of_run([judged], 8_000, 0.9).sentence


def test_copies_come_first_and_cover_is_said():
    assert standing_of_line(line(0.1, c_t=(-6.0, -7.0, -5.0), coverage=(0.9, 0.8, 1.0))).kind == "copying"
    assert standing_of_line(line(0.1, near_copies=(0.3, 0.2, 0.4))).kind == "copying"
    honest = standing_of_line(line(0.44, near_copies=(0.0, 0.0, 0.01), c_t=(1.0, -1.0, 3.0), coverage=(0.32, 0.3, 0.35)))
    assert honest.kind == "judged"
    assert "No copying was found" in honest.sentence
    assert "32% of the collection" in str(honest.advice)
    assert "train on" in str(honest.advice)
    assert "No copying" not in standing_of_line(line(0.44)).sentence


# Lines that artgan wrote: of training on KaoKore at 64 px for 16 and 32 thousand images and for 30 minutes (judged every 20
# thousand), of a run of seconds, and of a folder with the very works of its collection.
STANDINGS = Path(__file__).parents[1] / "golden" / "standings"


@pytest.mark.parametrize(
    ("run", "kind"),
    [
        ("first-seconds", "early"),
        ("kaokore-16-thousand", "early"),
        ("kaokore-32-thousand", "on the way"),
        ("kaokore-30-minutes", "on the way"),
    ],
)
def test_runs_that_were_made_stand_as_their_sheets_show(run, kind):
    lines = [json.loads(line) for line in (STANDINGS / f"{run}.jsonl").read_text().splitlines()]
    judged = [line for line in lines if line["kind"] == "metrics"]
    watched = [line["diversity"] for line in lines if line["kind"] == "watch"]
    assert standing_of_run(judged, judged[-1]["images_seen"], watched[-1] if watched else None).kind == kind


def test_every_stretch_of_a_healthy_run_is_called_neither_settled_nor_collapsing():
    lines = [json.loads(line) for line in (STANDINGS / "kaokore-30-minutes.jsonl").read_text().splitlines()]
    kinds = [standing_of_run(lines[:count], lines[count - 1]["images_seen"], 0.9).kind for count in range(1, len(lines) + 1)]
    assert set(kinds) <= {"early", "on the way"}


def test_the_works_themselves_are_called_copies():
    assert standing_of_line(json.loads((STANDINGS / "copies.json").read_text())).kind == "copying"


def test_a_run_that_has_learned_nothing_yet_is_early_and_one_that_has_lost_it_collapses():
    assert standing_of_run([], 64, 0.02).kind == "early"
    assert standing_of_run([], 9_000, 0.02).kind == "collapsing"


def test_a_run_that_trains_is_not_to_be_started_again():
    early = standing_of_run([], 4_000, None)
    assert "again" in early.advice.typed
    running = while_training(early)
    assert running.sentence == early.sentence
    assert "again" not in running.advice.typed
    assert "Train on" not in running.advice.pressed
    collapsed = standing_of_run([], 10_000, 0.1)
    assert while_training(collapsed) == collapsed


def test_what_a_collapse_is_advised_is_a_configuration():
    objective = load_config(None, HELD_SLOPES).objective
    assert (objective.name, objective.penalty_every) == ("relativistic", 4)
    assert all(f"--set {value}" in str(standing_of_run([], 10_000, 0.1)) for value in HELD_SLOPES)
