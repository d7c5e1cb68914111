"""What style may add to a picture without detail of its own: laws of the bounds, in closed form."""

import numpy as np
import pytest
import torch

from artgan.datasets.synthetic import draw_work
from artgan.refine.bounds import Look, bounded, empty_octaves, look_of
from artgan.refine.canvas import resized
from artgan.refine.oklab import oklab_from_srgb
from artgan.refine.recipe import make_recipe
from artgan.refine.style_card import StyleSource, source_of_picture
from artgan.refine.stylist import Stylist

SIDE = 128


def noise(seed, side=SIDE):
    return np.random.default_rng(seed).random((side, side, 3))


def sample(side=SIDE):
    """A drawing of 32 px, enlarged: nothing in it is finer than 32 px."""
    return resized(np.asarray(draw_work("waves", 0, 0, side_px=32)), side)


def stylist(*pictures, **look):
    recipe = make_recipe(style__backbone="random", style__iterations=3, **look)
    source = StyleSource("pictures", "0" * 64, len(pictures), lambda index: pictures[index])
    return Stylist(recipe.style, [source], [1.0], torch.device("cpu"))


def test_an_enlarged_picture_is_without_detail_in_as_many_octaves():
    small = np.asarray(draw_work("waves", 0, 0, side_px=32))
    assert [empty_octaves(resized(small, 32 * factor)) for factor in (1, 4, 8)] == [0, 1, 2]  # the last octave has traces
    assert empty_octaves(resized(small, SIDE) / np.float32(255)) == 1
    assert empty_octaves(noise(1)) == 0
    assert empty_octaves(np.full((64, 64, 3), 90, np.uint8)) == 2


def test_octaves_hold_all_of_a_picture_and_each_its_own_frequencies():
    columns = np.arange(SIDE)
    for cycles, octave in ((40, 1), (24, 2), (12, 3), (5, 4)):  # of 128 px; a quarter of a cycle per pixel is 32
        wave = 0.5 + 0.2 * np.cos(2 * np.pi * cycles * (columns + 0.5) / SIDE)
        picture = np.repeat(np.repeat(wave[None, :, None], SIDE, 0), 3, 2)
        energies = look_of([picture]).energies[:, 0]
        assert energies[:5].argmax() == octave  # beside the mean, which is the coarsest
        assert energies[octave] > 0.95 * (energies[:8].sum())
    assert look_of([noise(2)]).energies[:, 1].sum() == pytest.approx(2 * (oklab_from_srgb(noise(2))[..., 1:] ** 2).mean())


def test_no_bounded_octave_has_more_than_the_style_or_the_content_and_no_color_is_stronger():
    content, style = sample(), look_of([0.3 + 0.2 * noise(3)])
    octaves = empty_octaves(content)
    before, after = look_of([noise(4)]), look_of([bounded(noise(4), content, style, octaves)])
    allowed = np.maximum(style.energies, look_of([content]).energies)
    assert octaves == 1
    assert (before.energies[: 1 + octaves] > 2 * allowed[: 1 + octaves]).all()  # there was something to bound
    assert (after.energies[: 1 + octaves] <= 1.05 * allowed[: 1 + octaves]).all()
    assert after.chroma <= 1.01 * max(style.chroma, look_of([content]).chroma * 1.2)


def test_what_is_within_bounds_stays_as_it_is():
    quiet = 0.5 + 0.02 * (noise(5) - 0.5)
    np.testing.assert_allclose(bounded(quiet, sample(), look_of([noise(6)]), 2), quiet, atol=1e-5)


def test_a_small_sample_enlarged_comes_out_no_noisier_than_the_style():
    style = np.asarray(draw_work("waves", 0, 1, side_px=SIDE))
    (styled,) = stylist(style)([sample()])
    ours, theirs, own = (look_of([picture]).energies[:2] for picture in (styled, style, sample()))
    assert (ours <= 1.05 * np.maximum(theirs, own)).all()


def test_a_picture_with_detail_is_not_touched(monkeypatch):
    style, picture = np.asarray(draw_work("waves", 0, 0, side_px=64)), (noise(7, 64) * 255).astype(np.uint8)
    (styled,) = stylist(style)([picture])
    monkeypatch.setattr("artgan.refine.stylist.empty_octaves", lambda _: 0)
    np.testing.assert_array_equal(styled, stylist(style)([picture])[0])


def test_a_mask_keeps_the_rest_of_a_small_sample_bit_for_bit():
    mask = np.zeros((SIDE, SIDE), np.float32)
    mask[:, : SIDE // 2] = 1
    style = np.asarray(draw_work("waves", 0, 1, side_px=SIDE))
    picture = sample()
    (styled,) = stylist(style)([picture], [[mask]])
    np.testing.assert_array_equal((styled[:, SIDE // 2 :] * 255).round().astype(np.uint8), picture[:, SIDE // 2 :])
    assert np.abs(styled[:, : SIDE // 2] - picture[:, : SIDE // 2] / 255).mean() > 1e-3


def test_styles_count_by_their_weights():
    first, second = (source_of_picture(str(seed), (noise(seed, 64) * 60 * seed).astype(np.uint8)) for seed in (1, 3))
    recipe = make_recipe(style__backbone="random")
    looks = [Stylist(recipe.style, [one], [1.0], torch.device("cpu"))._style_look(64) for one in (first, second)]
    mixed = Stylist(recipe.style, [first, second], [1.0, 3.0], torch.device("cpu"))._style_look(64)
    assert isinstance(mixed, Look)
    np.testing.assert_allclose(mixed.energies, (looks[0].energies + 3 * looks[1].energies) / 4)
