"""Distances beside real art's in several spaces: the quotient, and the alarm where one space alone is pleased."""

import pytest

from artgan.evaluation.spaces import pleased, ratios_of


def line(**values: tuple[float, float | None]) -> dict:
    floors = {name: {"value": floor, "of": "halves"} for name, (_, floor) in values.items() if floor is not None}
    return {"metrics": {name: {"value": value} for name, (value, _) in values.items()}, "floor": floors}


def test_a_ratio_is_the_value_over_what_halves_of_the_collection_reach():
    assert ratios_of(line(fd=(0.5, 0.25), mind=(0.3, 0.1))) == pytest.approx({"fd": 2, "mind": 3})


def test_metrics_whose_floor_is_another_or_none_or_nothing_have_no_ratio():
    found = line(fd=(0.5, 0.0), mind=(0.3, None), kid=(0.1, 0.01), coverage=(0.5, 0.9))
    assert ratios_of(found) == {}


def test_near_in_one_space_and_far_in_another_is_an_alarm():
    text = pleased({"inception-768": {"fd": 0.8, "mind": 2.5}, "drawn": {"fd": 2.4, "mind": 3}, "random": {"fd": 1.5}})
    assert text.startswith("fd is 0.80 times real art's in inception-768 and 2.4 times in drawn")


@pytest.mark.parametrize(
    "spaces",
    [
        {"drawn": {"fd": 0.8}, "random": {"fd": 1.6}},  # near in both
        {"drawn": {"fd": 1.1}, "random": {"fd": 20}},  # far, and nowhere nearer than real art
        {"drawn": {"fd": 0.8}, "random": {"mind": 20}},  # unlike metrics are not compared
        {"drawn": {}},
    ],
)
def test_everything_else_is_none(spaces):
    assert pleased(spaces) is None
