"""A step of refine is one file and one row: a toy step from a package of its own runs in memory and over files."""

import importlib
import sys

import numpy as np
import pytest
import torch

from artgan.datasets.synthetic import draw_work
from artgan.decode import decode_file
from artgan.errors import ConfigError, DataError
from artgan.metadata import read_metadata
from artgan.refine.canvas import canvas_of
from artgan.refine.forecast import forecast
from artgan.refine.in_memory import Series, refine
from artgan.refine.materials import Materials
from artgan.refine.recipe import Recipe
from artgan.refine.run import RefineRequest, run_refine
from artgan.refine.steps.color import ColorLook
from artgan.refine.steps.detail import DetailLook
from artgan.refine.steps.step import Setting
from artgan.refine.steps.style import StyleLook

CPU = torch.device("cpu")
TOY = '''
from artgan.errors import ConfigError, DataError
from artgan.refine.steps.step import Apply, Cost, Step, one_by_one


class RepeatLook(Step):
    times: int = 1
    """Every pixel becomes a square of so many."""

    @property
    def acts(self):
        return self.times > 1

    def check(self, materials):
        if self.times > 8:
            raise ConfigError(f"repeat.times {self.times}: more than 8 is no toy")

    def check_size(self, size, name):
        if self.acts and min(size) < 4:
            raise DataError(f"{name}: too small to repeat")

    def size_after(self, size):
        return size[0] * self.times, size[1] * self.times

    def cost(self, workload):
        return Cost(seconds=1000.0 * len(workload.sizes))

    def begin(self, setting) -> Apply:
        def change(canvas):
            pixels = canvas.srgb()
            pixels = pixels / 255 if pixels.dtype == "uint8" else pixels
            return canvas.with_srgb(pixels.repeat(self.times, 0).repeat(self.times, 1).astype("float32"))

        return one_by_one(change)
'''


@pytest.fixture
def toy_recipe(tmp_path, monkeypatch):
    """Return a recipe class with one row more, whose step lies in a package of its own."""
    (tmp_path / "toys").mkdir()
    (tmp_path / "toys" / "__init__.py").touch()
    (tmp_path / "toys" / "repeat.py").write_text(TOY)
    monkeypatch.syspath_prepend(tmp_path)
    toy = importlib.import_module("toys.repeat")

    class ToyRecipe(Recipe):
        repeat: toy.RepeatLook = toy.RepeatLook()

    yield ToyRecipe
    for name in ("toys.repeat", "toys"):
        sys.modules.pop(name)


def work(index, side=40):
    return np.asarray(draw_work("landscapes", 3, index, side_px=side))


def test_a_step_of_a_package_of_its_own_runs_in_memory_and_over_files(toy_recipe, tmp_path):
    values = {"style": {"engine": "none"}, "color": {"saturation": 0.5}, "output": {"dither": False}}
    plain, look = (toy_recipe.model_validate(values | {"repeat": {"times": times}}) for times in (1, 2))
    pictures = [work(0), work(1, 36)]
    before, after = (refine(Series(pictures, ["a", "b"], None, []), recipe, CPU) for recipe in (plain, look))
    for small, large in zip(before, after, strict=True):
        assert np.array_equal(small.repeat(2, 0).repeat(2, 1), large)
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    for place, picture in enumerate(pictures):
        from PIL import Image

        Image.fromarray(picture).save(tmp_path / "in" / f"{place}.png")
    request = RefineRequest([tmp_path / "in"], tmp_path / "out", look, Materials(), CPU)
    written = run_refine(request).written
    assert [decode_file(path).pixels.shape for path in written.values()] == [(80, 80, 3), (72, 72, 3)]
    assert all(np.array_equal(decode_file(path).pixels, held) for path, held in zip(written.values(), after, strict=True))
    assert read_metadata(tmp_path / "out" / "0.png")["refine"]["recipe"]["repeat"] == {"times": 2}
    expected = forecast([tmp_path / "in"], look, Materials(), CPU, 1, (1, 1))
    assert expected.seconds > 2000
    assert look.size_after(40, 40) == (80, 80)


def test_what_a_step_of_its_own_refuses_is_refused(toy_recipe):
    series = Series([np.zeros((2, 9, 3), np.uint8)], ["tiny"], None, [])
    with pytest.raises(ConfigError, match=r"repeat\.times 9"):
        refine(series, toy_recipe.model_validate({"style": {"engine": "none"}, "repeat": {"times": 9}}), CPU)
    with pytest.raises(DataError, match="tiny: too small to repeat"):
        refine(series, toy_recipe.model_validate({"style": {"engine": "none"}, "repeat": {"times": 2}}), CPU)


@pytest.mark.parametrize("step", [StyleLook(strength=0.0), StyleLook(engine="none"), ColorLook(), DetailLook()])
def test_a_step_without_strength_does_not_act(step):
    assert not step.acts


def test_a_color_step_that_keeps_leaves_an_unstyled_picture_as_it_is():
    content = work(0)
    apply = ColorLook(mode="keep").begin(Setting(0, Materials(), CPU, ["a"], lambda key: (content[0] / 255, None)))
    (canvas,) = apply([canvas_of(content, "a", "a")], lambda share, note: None)
    assert canvas.srgb() is content
