"""How a run or a model stands: cases from published curves and from lines made for one fault each."""

import pytest

from artgan.evaluation.verdict import standing_of_line, standing_of_run

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
        (KAOKORE, 140_000, 0.9, "on the way"),
        ([*KAOKORE, 0.43, 0.45, 0.42], 240_000, 0.9, "settled"),
        ([*KAOKORE, 0.43, 0.45, 0.38], 240_000, 0.9, "on the way"),
        (KAOKORE, 140_000, 0.2, "collapsing"),
    ],
)
def test_a_run_stands_where_its_curve_says(kids, images_seen, diversity, kind):
    standing = standing_of_run([line(kid) for kid in kids], images_seen, diversity)
    assert standing.kind == kind
    assert standing.advice
    if kids and kind not in ("collapsing",):
        assert f"kid x 1000 is {kids[-1]:.2f} (real art reaches 0.00)" in standing.sentence


def test_copies_come_first_and_cover_is_said():
    assert standing_of_line(line(0.1, c_t=(-6.0, -7.0, -5.0), coverage=(0.9, 0.8, 1.0))).kind == "copying"
    assert standing_of_line(line(0.1, near_copies=(0.3, 0.2, 0.4))).kind == "copying"
    honest = standing_of_line(line(0.44, near_copies=(0.0, 0.0, 0.01), c_t=(1.0, -1.0, 3.0), coverage=(0.32, 0.3, 0.35)))
    assert honest.kind == "judged"
    assert "No copying was found" in honest.sentence
    assert "32% of the collection" in honest.advice
    assert "train on" in honest.advice
    assert "No copying" not in standing_of_line(line(0.44)).sentence
