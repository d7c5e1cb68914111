"""A result that is worse than its input, by the run's own measures, is said."""

from artgan.refine.report import summary


def report(*after: float) -> dict:
    lines = [{"file": f"{place}.png", "style_before": 0.5, "style_after": value} for place, value in enumerate(after)]
    return {"means": {}, "consistency": {}, "worst": [], "worst_by": None, "pictures": lines}


def test_pictures_that_came_out_further_from_the_style_are_named():
    said = summary(report(0.1, 0.6, 0.7))
    assert "2 of 3 pictures are further from the style than they were: 1.png, 2.png" in said
    assert "--size" in said
    assert summary(report(0.1, 0.2)) == ""
    assert summary(report() | {"pictures": [{"file": "x.png", "source": "x.png"}]}) == ""
