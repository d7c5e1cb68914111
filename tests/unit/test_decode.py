import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from artgan.decode import decode, decode_file
from artgan.errors import DataError
from artgan.refine.oklab import oklab_from_srgb


def encoded(image: Image.Image, file_format: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=file_format, **options)
    return buffer.getvalue()


def scene(height=48, width=64) -> Image.Image:
    """A picture without symmetry: every orientation of it differs."""
    y, x = np.mgrid[0:height, 0:width]
    pixels = np.stack([x * 255 // (width - 1), y * 255 // (height - 1), (x + 2 * y) % 256], -1)
    pixels[: height // 4, : width // 3] = (250, 10, 20)
    return Image.fromarray(pixels.astype(np.uint8))


# What turns an upright picture into one whose EXIF orientation says how to turn it back.
_STORED_AS = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_gives_identical_pixels(orientation):
    stored = scene() if _STORED_AS[orientation] is None else scene().transpose(_STORED_AS[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = decode(encoded(stored, "PNG", exif=exif))
    assert picture.orientation == orientation
    assert np.array_equal(picture.pixels, np.asarray(scene()))


def test_broken_exif_is_ignored():
    data = encoded(scene(), "JPEG", exif=b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\xff\xff")
    assert decode(data).pixels.shape == (48, 64, 3)


@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_a_16_bit_ramp_stays_a_ramp(file_format):
    ramp = np.tile(np.arange(0, 65536, 64, dtype=np.uint16), (32, 1))
    pixels = decode(encoded(Image.fromarray(ramp), file_format)).pixels[0, :, 0].astype(int)
    assert (np.diff(pixels) >= 0).all()
    assert pixels[0] == 0
    assert pixels[-1] == 255
    assert len(np.unique(pixels)) == 256


def test_transparent_pixels_show_the_matte_and_not_what_hides_in_them():
    rgba = np.zeros((8, 8, 4), np.uint8)
    rgba[..., 0] = 255
    rgba[:4, :, 3] = 255
    picture = decode(encoded(Image.fromarray(rgba), "PNG"), matte=(0, 0, 255))
    assert (picture.pixels[:4] == (255, 0, 0)).all()
    assert (picture.pixels[4:] == (0, 0, 255)).all()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK"])
def test_every_mode_becomes_rgb(mode):
    file_format = "TIFF" if mode == "CMYK" else "PNG"
    picture = decode(encoded(scene().convert(mode), file_format))
    assert picture.pixels.shape == (48, 64, 3)
    assert picture.pixels.dtype == np.uint8
    assert picture.mode == mode


def test_a_palette_with_transparency_is_composited():
    palette = scene().quantize(16)
    data = encoded(palette, "GIF", transparency=palette.getpixel((60, 40)))
    picture = decode(data, matte=(9, 9, 9))
    assert tuple(picture.pixels[40, 60]) == (9, 9, 9)


def test_a_wide_gamut_profile_is_converted():
    """Pixels tagged with a profile whose primaries are swapped must come out with the channels swapped back."""
    swapped = ImageCms.ImageCmsProfile(_profile_with_swapped_red_and_green())
    picture = decode(encoded(Image.new("RGB", (8, 8), (200, 30, 30)), "PNG", icc_profile=swapped.tobytes()))
    assert picture.profile is not None
    seen = oklab_from_srgb(picture.pixels[0, 0] / 255.0)
    wanted = oklab_from_srgb(np.array([30, 200, 30]) / 255.0)
    assert np.abs(seen - wanted).max() < 0.01


def test_an_srgb_profile_changes_nothing():
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture = decode(encoded(scene(), "PNG", icc_profile=icc))
    assert np.abs(picture.pixels.astype(int) - np.asarray(scene()).astype(int)).max() <= 1


def test_a_broken_profile_is_noted_and_ignored():
    picture = decode(encoded(scene(), "PNG", icc_profile=b"not a profile"))
    assert np.array_equal(picture.pixels, np.asarray(scene()))
    assert any("ICC" in note for note in picture.notes)


def test_the_first_frame_of_an_animation_is_taken_and_said():
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    picture = decode(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    assert tuple(picture.pixels[0, 0]) == (255, 0, 0)
    assert "first of 2 frames" in picture.notes


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the file is empty"),
        (b"this is no picture", "not a picture of a known format"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a picture of a known format"),
        (encoded(scene(), "PNG")[:120], "damaged or truncated"),
        (encoded(scene(), "JPEG")[:500], "damaged or truncated"),
    ],
)
def test_what_cannot_be_used_has_a_reason(data, reason):
    with pytest.raises(DataError, match=reason):
        decode(data)


def test_a_bomb_is_refused_by_its_header():
    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    data = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    with pytest.raises(DataError, match="too many pixels"):
        decode(data + encoded(scene(), "PNG")[33:])


def test_a_file_error_names_the_file(tmp_path):
    with pytest.raises(DataError, match=r"missing\.png: cannot be read"):
        decode_file(tmp_path / "missing.png")
    (tmp_path / "empty.png").touch()
    with pytest.raises(DataError, match=r"empty\.png: the file is empty"):
        decode_file(tmp_path / "empty.png")


def _profile_with_swapped_red_and_green() -> io.BytesIO:
    """Exchange the red and green colorant tags in the directory of an sRGB profile."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = struct.unpack(">I", data[128:132])[0]
    entries = {bytes(data[132 + 12 * i : 136 + 12 * i]): 136 + 12 * i for i in range(count)}
    red, green = entries[b"rXYZ"], entries[b"gXYZ"]
    data[red : red + 8], data[green : green + 8] = data[green : green + 8], data[red : red + 8]
    return io.BytesIO(bytes(data))


def test_a_large_jpeg_that_will_be_small_is_decoded_small_and_looks_the_same():
    y, x = np.mgrid[0:900, 0:1200]
    waves = sum(scale * np.sin(x / scale + y / (scale + 3)) for scale in (4, 9, 30, 90))  # as in nature, fine detail is faint
    pixels = np.stack([waves, waves[::-1], waves[:, ::-1]], -1) + 127 + np.random.default_rng(0).normal(0, 4, (900, 1200, 1))
    data = encoded(Image.fromarray(pixels.clip(0, 255).astype(np.uint8)), "JPEG", quality=92)
    whole, small = decode(data), decode(data, enough_px=100)
    assert (small.width, small.height) == (whole.width, whole.height) == (1200, 900)
    assert small.pixels.shape == (225, 300, 3)
    reduced = [
        np.asarray(Image.fromarray(p.pixels).resize((133, 100), Image.Resampling.LANCZOS)).astype(float) for p in (whole, small)
    ]
    error = np.mean((reduced[0] - reduced[1]) ** 2)
    assert 10 * np.log10(255**2 / error) > 50
    assert decode(data, enough_px=500).pixels.shape == (900, 1200, 3)
    assert decode(encoded(scene(), "PNG"), enough_px=8).pixels.shape == (48, 64, 3)
