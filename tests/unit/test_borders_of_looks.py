"""No frame around refined pictures: the outermost step between pixels beside those within, for every look that ships."""

import numpy as np
import pytest
import torch

from artgan.datasets.synthetic import draw_work
from artgan.refine import stylist
from artgan.refine.in_memory import Series, refine
from artgan.refine.recipe import load_recipe, shipped_looks
from tests.unit.test_borders import border_ratio

SIDE = 96
LOOKS = shipped_looks()


def pictures():
    return [np.asarray(draw_work("waves", 5, index, side_px=SIDE)) for index in range(3)]


def ratio_of(results):
    return border_ratio(np.stack([result[:SIDE, :SIDE] for result in results]).astype(float))


def refined(name):
    steps = 40 if name == "texture" else 20  # from noise it takes longer
    cheap = {"style.backbone": "drawn", "style.iterations": steps, "style.nearest": 0, "output.size_px": None}
    recipe = load_recipe(LOOKS[name], cheap)
    style = np.asarray(draw_work("circles", 5, 9, side_px=SIDE))
    return refine(Series(pictures(), ["a", "b", "c"], style, [style]), recipe, torch.device("cpu"))


@pytest.mark.parametrize("name", LOOKS)
def test_no_look_makes_a_frame(name):
    assert ratio_of(refined(name)) < 1.3 * ratio_of(pictures())


def test_a_frame_would_be_seen(monkeypatch):
    """With zeros around the picture, as feature networks come, there is one."""
    monkeypatch.setattr(stylist, "without_frame", lambda backbone: backbone)
    assert ratio_of(refined("soft_touch")) > 1.3 * ratio_of(pictures())
