"""Bringing pictures to a frame."""

import numpy as np
import pytest

from artgan.datasets.recipe import FITS, FOCI, Recipe, fit_pixels, tile_boxes, trim_borders


def marked(height, width, box, value=255):
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[box] = value
    return pixels


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("size", [(40, 40), (7, 400), (400, 7), (1, 400)])
def test_every_fit_fills_the_frame_of_any_picture(fit, size):
    pixels = np.full((*size, 3), 90, np.uint8)
    assert fit_pixels(pixels, Recipe(16, 24, fit=fit)).shape == (16, 24, 3)


def test_stretch_shows_everything_without_a_matte():
    pixels = np.zeros((20, 60, 3), np.uint8)
    pixels[:, :30] = 255
    out = fit_pixels(pixels, Recipe(16, 16, fit="stretch"))
    assert out[:, :7].min() > 230
    assert out[:, 9:].max() < 25


def test_smart_crops_what_is_nearly_of_the_shape_and_pads_the_rest():
    near, far = np.full((20, 22, 3), 9, np.uint8), np.full((20, 60, 3), 9, np.uint8)
    look = Recipe(16, 16, fit="smart")
    assert fit_pixels(near, look).max() == 9
    assert fit_pixels(far, look).max() == 255


@pytest.mark.parametrize(
    ("focus", "box"),
    [("center", np.s_[20:40]), ("top", np.s_[:20]), ("detail", np.s_[36:56])],
)
def test_a_crop_keeps_what_the_focus_says(focus, box):
    pixels = marked(60, 20, box, 255)
    if focus == "detail":
        rng = np.random.default_rng(0)
        pixels = np.full((60, 20, 3), 127, np.uint8)
        pixels[box] = rng.integers(0, 256, (20, 20, 3))
    kept = fit_pixels(pixels, Recipe(20, 20, focus=focus))
    wanted = pixels[box]
    assert np.abs(kept.astype(int) - wanted).mean() < 40
    assert kept.std() >= wanted.std() * 0.6


def test_detail_is_the_middle_when_all_is_alike():
    pixels = np.full((60, 20, 3), 127, np.uint8)
    pixels[29:31] = 200
    assert set(FOCI) == {"center", "top", "detail"}
    flat = np.full((60, 20, 3), 127, np.uint8)
    assert (fit_pixels(flat, Recipe(20, 20, focus="detail")) == 127).all()


def test_borders_of_one_color_are_cut_and_counted():
    inner = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    pixels = np.full((52, 40, 3), 240, np.uint8)
    pixels[5:45, 7:37] = inner
    trimmed, cut = trim_borders(pixels)
    assert cut == (7, 5, 3, 7)
    assert np.array_equal(trimmed, inner)


def test_a_picture_without_borders_or_of_one_color_stays_whole():
    noise = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    for pixels in (noise, np.full((40, 30, 3), 50, np.uint8)):
        trimmed, cut = trim_borders(pixels)
        assert cut == (0, 0, 0, 0)
        assert np.array_equal(trimmed, pixels)


@pytest.mark.parametrize("tiles", [1, 2, 3, 5])
@pytest.mark.parametrize("size", [(64, 64), (100, 300), (301, 97), (15, 500), (1, 4000), (960, 640), (161, 240)])
def test_tiles_lie_within_the_work_without_overlap_and_are_never_enlarged(size, tiles):
    height, width = size
    recipe = Recipe(16, 24, tiles=tiles)
    boxes = tile_boxes(height, width, recipe)
    assert 1 <= len(boxes) <= tiles**2
    covered = 0.0
    for index, (left, top, right, bottom) in enumerate(boxes):
        assert left >= -1e-9
        assert top >= -1e-9
        assert right <= width + 1e-6
        assert bottom <= height + 1e-6
        if len(boxes) > 1:
            assert (right - left) / (bottom - top) == pytest.approx(24 / 16)
            assert right - left >= 24 - 1e-9
        covered += (right - left) * (bottom - top)
        for other in boxes[index + 1 :]:
            apart = other[0] >= right - 1e-6 or other[2] <= left + 1e-6 or other[1] >= bottom - 1e-6 or other[3] <= top + 1e-6
            assert apart
    assert covered <= width * height + 1e-6


def test_a_work_as_wide_as_two_frames_gives_two_tiles():
    assert tile_boxes(100, 200, Recipe(10, 10, tiles=2)) == [(0, 0, 100, 100), (100, 0, 200, 100)]
    assert len(tile_boxes(400, 400, Recipe(10, 10, tiles=3))) == 9
    assert len(tile_boxes(15, 15, Recipe(10, 10, tiles=3))) == 1
