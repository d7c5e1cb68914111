"""Colors of decoded pictures against values computed in float64 from the definitions of their color spaces."""

import io

import numpy as np
import pytest
from PIL import Image
from skimage.color import deltaE_ciede2000, lab2xyz, rgb2lab

from artgan.decode import decode
from tests import icc_profiles as icc

SRGB_FROM_XYZ = np.linalg.inv(icc.to_d50_matrix(icc.SRGB_PRIMARIES))


def encoded(image: Image.Image, file_format: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=file_format, **options)
    return buffer.getvalue()


def srgb_of(xyz: np.ndarray) -> np.ndarray:
    """Return sRGB in 0..1 of XYZ under D50, clipped to the gamut."""
    linear = (xyz @ SRGB_FROM_XYZ.T).clip(0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def worst_difference(pixels: np.ndarray, wanted: np.ndarray) -> float:
    return float(deltaE_ciede2000(rgb2lab(pixels / 255.0), rgb2lab(wanted)).max())


def patches() -> np.ndarray:
    """All mixtures of eight levels: uint8 `[1, 512, 3]`."""
    levels = np.linspace(0, 255, 8).astype(np.uint8)
    return np.stack(np.meshgrid(levels, levels, levels), -1).reshape(1, -1, 3)


@pytest.mark.parametrize(
    ("name", "primaries", "gamma"),
    [
        ("Adobe RGB (1998)", icc.ADOBE_RGB_PRIMARIES, 563 / 256),
        ("Display P3", icc.DISPLAY_P3_PRIMARIES, 2.2),
        ("plain", icc.SRGB_PRIMARIES, 1.8),
    ],
)
@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_rgb_profiles_are_converted(name, primaries, gamma, file_format):
    profile = icc.rgb_profile(name, primaries, gamma)
    picture = decode(encoded(Image.fromarray(patches()), file_format, icc_profile=profile))
    linear = (patches() / 255.0) ** gamma
    xyz = linear @ icc.to_d50_matrix(primaries).T
    wanted, in_srgb = srgb_of(xyz), xyz @ SRGB_FROM_XYZ.T
    inside = ((in_srgb >= -1e-3) & (in_srgb <= 1 + 1e-3)).all(-1)
    assert picture.profile == name
    assert inside.sum() >= 100
    assert worst_difference(picture.pixels[inside], wanted[inside]) < 1
    assert worst_difference(patches()[inside], wanted[inside]) > 2, "the profile must matter, or the test proves nothing"


@pytest.mark.parametrize("gamma", [1.0, 1.8, 2.2])
def test_a_gray_gamma_profile_is_converted(gamma):
    ramp = np.arange(256, dtype=np.uint8)[None]
    picture = decode(encoded(Image.fromarray(ramp), "PNG", icc_profile=icc.gray_profile(f"Gray Gamma {gamma}", gamma)))
    linear = ((ramp / 255.0) ** gamma)[..., None]
    wanted = srgb_of(linear * icc.D50)
    assert picture.profile == f"Gray Gamma {gamma}"
    assert worst_difference(picture.pixels, wanted) < 1


def ink_corners() -> np.ndarray:
    """Lab of each overprint of full inks, as offset presses have them; black ink covers all."""
    base = {
        (0, 0, 0): (100, 0, 0),
        (1, 0, 0): (55, -37, -50),
        (0, 1, 0): (48, 74, -3),
        (0, 0, 1): (89, -5, 93),
        (1, 1, 0): (24, 22, -46),
        (1, 0, 1): (50, -68, 27),
        (0, 1, 1): (47, 68, 48),
        (1, 1, 1): (23, 0, 0),
    }
    table = np.zeros((2, 2, 2, 2, 3))
    for (c, m, y), lab in base.items():
        table[c, m, y, 0] = lab
    return table


@pytest.mark.parametrize("file_format", ["TIFF", "JPEG"])
def test_cmyk_goes_through_its_profile(file_format):
    """Pillow writes Adobe's inverted CMYK into a JPEG: both files must show the same colors."""
    corners = ink_corners()
    inks = np.array([[c, m, y, 0] for c in (0, 1) for m in (0, 1) for y in (0, 1)] + [[0, 0, 0, 1]])
    blocks = np.repeat(np.repeat((inks * 255).astype(np.uint8)[None], 16, 0), 16, 1)
    options = {"quality": 100, "subsampling": 0} if file_format == "JPEG" else {}
    data = encoded(Image.fromarray(blocks, "CMYK"), file_format, icc_profile=icc.cmyk_profile("a press", corners), **options)
    picture = decode(data)
    assert (picture.mode, picture.profile) == ("CMYK", "a press")
    lab = np.array([corners[tuple(ink)] for ink in inks], dtype=np.float64)
    # Relative colorimetric: the profile's Lab is relative to D50, which becomes sRGB's white.
    wanted = srgb_of(lab2xyz(lab[None], illuminant="D50"))[0]
    linear = lab2xyz(lab[None], illuminant="D50")[0] @ SRGB_FROM_XYZ.T
    inside = ((linear > -0.01) & (linear < 1.01)).all(-1)
    assert inside.sum() >= 5
    assert worst_difference(picture.pixels[8, 8::16][inside], wanted[inside]) < 1


@pytest.mark.parametrize("file_format", ["TIFF", "JPEG"])
def test_cmyk_without_a_profile_keeps_its_hues_and_says_so(file_format):
    inks = np.array([[0, 0, 0, 0], [255, 0, 0, 0], [0, 255, 0, 0], [0, 0, 255, 0], [0, 0, 0, 255], [0, 0, 0, 128]], np.uint8)
    blocks = np.repeat(np.repeat(inks[None], 16, 0), 16, 1)
    options = {"quality": 100, "subsampling": 0} if file_format == "JPEG" else {}
    picture = decode(encoded(Image.fromarray(blocks, "CMYK"), file_format, **options))
    wanted = np.array([[255, 255, 255], [0, 255, 255], [255, 0, 255], [255, 255, 0], [0, 0, 0], [127, 127, 127]])
    assert np.abs(picture.pixels[8, 8::16].astype(int) - wanted).max() <= 3
    assert any("without a profile" in note for note in picture.notes)


def test_cmyk_without_the_mark_that_says_how_it_is_stored_is_noted():
    data = encoded(Image.new("CMYK", (16, 16), (200, 40, 10, 0)), "JPEG", quality=100)
    unmarked = data[:2] + data[18:]
    assert data[2:11] == b"\xff\xee\0\x0eAdobe"
    assert not any("mark" in note for note in decode(data).notes)
    picture = decode(unmarked)
    assert any("without Adobe's mark" in note for note in picture.notes)
    assert np.array_equal(picture.pixels, decode(data).pixels)


@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_16_bit_rgb_keeps_its_ramp_and_says_so(file_format):
    ramp = np.tile(np.arange(0, 65536, 64), (16, 1))
    pixels = decode(_rgb16(ramp, file_format))
    red = pixels.pixels[0, :, 0].astype(int)
    assert (np.diff(red) >= 0).all()
    assert (red[0], red[-1]) == (0, 255)
    assert np.abs(red - ramp[0] / 257).max() <= 1
    assert "16-bit scaled to 8" in pixels.notes


def _rgb16(ramp: np.ndarray, file_format: str) -> bytes:
    import cv2

    done, data = cv2.imencode(f".{file_format.lower()}", np.repeat(ramp.astype(np.uint16)[..., None], 3, -1))
    assert done
    return data.tobytes()
