"""Refine keeps what it is given: opacity and hidden colors, 16 bits, DPI, profiles; what is lost is said."""

import io
import json

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from artgan.datasets.synthetic import draw_work
from artgan.decode import decode_file, decode_whole
from artgan.errors import ConfigError
from artgan.refine.encode import save, srgb_profile
from artgan.refine.in_memory import Series, refine
from artgan.refine.materials import Materials
from artgan.refine.recipe import make_recipe
from artgan.refine.run import RefineRequest, run_refine
from tests.icc_profiles import ADOBE_RGB_PRIMARIES, SRGB_PRIMARIES, gray_profile, rgb_profile, to_d50_matrix

CPU = torch.device("cpu")
RANDOM = np.random.default_rng(0)
STYLE = {
    "style__backbone": "random",
    "style__style_layers": ["stage1"],
    "style__content_layers": ["stage1"],
    "style__iterations": 2,
}


def work(index, side=40):
    return np.asarray(draw_work("landscapes", 3, index, side_px=side))


def run(tmp_path, said=lambda _: None, **look):
    (tmp_path / "out").mkdir(exist_ok=True)
    request = RefineRequest([tmp_path / "in"], tmp_path / "out", make_recipe(**look), Materials(), CPU)
    return run_refine(request, say=said).written[next((tmp_path / "in").iterdir())]


def raw(path):
    """Read a file with another library, without any conversion: RGB or RGBA."""
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    return pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]


def given(tmp_path, name, pixels, **options):
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / name
    if pixels.dtype == np.uint16:
        cv2.imwrite(str(path), pixels[..., [2, 1, 0, 3][: pixels.shape[2]]])
    else:
        Image.fromarray(pixels).save(path, **options)
    return path


@pytest.mark.parametrize("file_format", ["png", "png16", "tiff16"])
@pytest.mark.parametrize("look", [{"style__engine": "none"}, {"style__strength": 0.0}])
def test_a_cutout_comes_back_as_it_was_hidden_colors_included(tmp_path, file_format, look):
    pixels = np.dstack([work(0), RANDOM.choice([0, 90, 255], (40, 40)).astype(np.uint8)])
    given(tmp_path, "a.png", pixels)
    found = raw(run(tmp_path, output__format=file_format, **look))
    assert np.array_equal(found, pixels if file_format == "png" else pixels.astype(np.uint16) * 257)


def test_a_palette_with_transparency_comes_back_as_it_was(tmp_path):
    image = Image.fromarray(work(0)).quantize(16)
    path = given(tmp_path, "a.png", work(0))
    image.info["transparency"] = 3
    image.save(path, transparency=3)
    wanted = np.asarray(Image.open(path).convert("RGBA"))
    assert 0 < (wanted[..., 3] == 0).mean() < 1
    assert np.array_equal(raw(run(tmp_path, style__engine="none")), wanted)


def test_style_and_color_leave_opacity_alone(tmp_path):
    alpha = RANDOM.integers(0, 256, (40, 40), dtype=np.uint8)
    pixels = np.dstack([work(0), alpha])
    given(tmp_path, "a.png", pixels)
    found = raw(run(tmp_path, style__engine="none", color__saturation=0.6))
    assert np.array_equal(found[..., 3], alpha)
    assert not np.array_equal(found[..., :3], pixels[..., :3])
    series = Series([pixels], ["a"], work(1), [])
    (styled,) = refine(series, make_recipe(**STYLE), CPU)
    assert np.array_equal(styled[..., 3], alpha)
    (plain,) = refine(Series([work(0)], ["a"], work(1), []), make_recipe(**STYLE), CPU)
    assert np.array_equal(styled[..., :3], plain)
    (large,) = refine(series, make_recipe(style__engine="none", output__size_px=80), CPU)
    assert large.shape == (80, 80, 4)


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("file_format", ["png16", "tiff16"])
@pytest.mark.parametrize("channels", [3, 4])
def test_sixteen_bits_come_back_as_they_were(tmp_path, suffix, file_format, channels):
    pixels = RANDOM.integers(0, 65536, (20, 30, channels), dtype=np.uint16)
    given(tmp_path, f"a.{suffix}", pixels)
    lines = []
    assert np.array_equal(raw(run(tmp_path, lines.append, style__engine="none", output__format=file_format)), pixels)
    assert not any("the source has" in line for line in lines)


def test_sixteen_bits_go_through_the_steps(tmp_path):
    """A slow gradient of 2,000 levels keeps more than 8 bits have, through color and through style."""
    ramp = np.linspace(20_000, 30_000, 2000).astype(np.uint16)
    given(tmp_path, "a.png", np.repeat(np.tile(ramp, (40, 1))[..., None], 3, -1))
    found = raw(run(tmp_path, style__engine="none", color__contrast=0.3, output__format="png16"))
    assert len(np.unique(found)) > 1000
    narrow = np.repeat(np.tile(ramp[::50], (40, 1))[..., None], 3, -1) / np.float32(65535)
    (styled,) = refine(Series([narrow], ["a"], work(1), []), make_recipe(**STYLE), CPU)
    assert styled.shape == (40, 40, 3)


def test_what_eight_bits_cannot_hold_is_said(tmp_path):
    given(tmp_path, "a.png", RANDOM.integers(0, 65536, (40, 40, 3), dtype=np.uint16))
    lines = []
    run(tmp_path, lines.append, style__engine="none")
    sentence = "has 16 bits a channel, written with 8; --format png16 or tiff16 keeps them"
    assert [line for line in lines if sentence in line] == [f"1 of 1 pictures: the source {sentence} (a.png)"]
    assert json.loads((tmp_path / "out" / "refine.json").read_text())["lost"] == {sentence: ["a.png"]}


@pytest.mark.parametrize("file_format", ["png", "png16", "tiff16"])
def test_dots_per_inch_are_carried(tmp_path, file_format):
    given(tmp_path, "a.jpg", work(0), dpi=(300, 240))
    with Image.open(run(tmp_path, style__engine="none", output__format=file_format)) as image:
        assert [round(float(value)) for value in image.info["dpi"]] == [300, 240]


def test_a_profile_is_carried_with_the_very_numbers(tmp_path):
    profile = rgb_profile("wide", [(0.735, 0.265), (0.115, 0.826), (0.157, 0.018)], 1.8)
    given(tmp_path, "a.png", work(0), icc_profile=profile)
    path = run(tmp_path, style__engine="none", output__profile="source")
    with Image.open(path) as image:
        assert image.info["icc_profile"] == profile
        assert np.array_equal(np.asarray(image), work(0))


@pytest.mark.parametrize("file_format", ["png16", "tiff16"])
def test_a_profile_is_carried_with_sixteen_bits(tmp_path, file_format):
    """Unchanged, the very numbers; changed, the profile's numbers for the very color, to a tenth of an 8-bit step."""
    pytest.importorskip("imagecodecs")
    profile = rgb_profile("wide", ADOBE_RGB_PRIMARIES, 2.25)
    deep = RANDOM.integers(0, 65536, (20, 30, 3), dtype=np.uint16)
    path = given(tmp_path, "a.png", deep)
    save(path, deep, "png16", False, profile, {}, "", in_profile=True)
    result = run(tmp_path, style__engine="none", output__profile="source", output__format=file_format)
    assert np.array_equal(raw(result), deep)
    with Image.open(result) as image:
        assert image.info["icc_profile"] == profile
    shares = RANDOM.uniform(0.1, 0.9, (8, 8, 3)).astype(np.float32)
    save(tmp_path / "b", shares, file_format, False, profile, {}, "")
    linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4).astype(np.float64)
    to_own = np.linalg.inv(to_d50_matrix(ADOBE_RGB_PRIMARIES)) @ to_d50_matrix(SRGB_PRIMARIES)
    wanted = np.clip(linear @ to_own.T, 0, 1) ** (1 / 2.25) * 65535
    assert np.abs(decode_whole(tmp_path / "b").own - wanted).max() < 257 / 10


def test_a_profile_that_rgb_cannot_carry_is_said(tmp_path):
    """A gray picture with a gray profile comes out in sRGB: so it is written, and so it is told."""
    given(tmp_path, "a.png", work(0)[..., 0], icc_profile=gray_profile("gray", 1.8))
    lines = []
    path = run(tmp_path, lines.append, style__engine="none", output__profile="source")
    with Image.open(path) as image:
        assert image.info["icc_profile"] == srgb_profile()
    assert sum("has a color profile for gray, inks or Lab" in line for line in lines) == 1


def test_a_page_that_was_taken_among_several_is_said(tmp_path):
    pages = [Image.fromarray(work(index)) for index in (0, 1)]
    given(tmp_path, "a.png", work(0)).unlink()
    pages[0].save(tmp_path / "in" / "a.tif", save_all=True, append_images=pages[1:])
    lines = []
    run(tmp_path, lines.append, style__engine="none")
    assert sum("has several pictures, of which one was refined (a.png)" in line for line in lines) == 1


def test_a_picture_of_another_origin_is_not_replaced(tmp_path):
    given(tmp_path, "a.png", work(0))
    (tmp_path / "out").mkdir()
    Image.fromarray(work(1)).save(tmp_path / "out" / "a.png")
    before = (tmp_path / "out" / "a.png").read_bytes()
    with pytest.raises(ConfigError, match=r"a\.png is a file that artgan did not make"):
        run(tmp_path, style__engine="none")
    assert (tmp_path / "out" / "a.png").read_bytes() == before


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_whole_picture_is_upright(tmp_path, orientation):
    pixels = RANDOM.integers(0, 65536, (5, 7, 3), dtype=np.uint16)
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    Image.fromarray((pixels >> 8).astype(np.uint8)).save(buffer, "PNG", exif=exif)
    (tmp_path / "a.png").write_bytes(buffer.getvalue())
    assert np.array_equal(decode_whole(tmp_path / "a.png").pixels, decode_file(tmp_path / "a.png").pixels)
