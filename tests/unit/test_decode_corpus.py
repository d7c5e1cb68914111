"""Every kind of file that was once decoded wrongly or refused untruly, with the value that it must have.

Values are closed forms of what the specifications say; files are written byte by byte (tests/picture_files.py) wherever that is
possible. What needs the `formats` extra is skipped without it; that it is refused without it is tested everywhere.
"""

import io
import re
import struct
import sys
import zlib

import numpy as np
import pytest
from PIL import Image, features

from artgan.datasets.collection import read_index
from artgan.datasets.prepare import prepare
from artgan.datasets.recipe import Recipe, fit_pixels
from artgan.decode import decode
from artgan.decode.encodings import encode_srgb, shoulder
from artgan.decode.tiff_facts import tiff_size
from artgan.errors import DataError
from tests import icc_profiles as icc
from tests import picture_files as files

EXTRA = (
    "tifffile",
    "imagecodecs",
    "pillow_heif",
    "pillow_jxl",
    "pillow_jxl.JpegXLImagePlugin",
    "psd_tools",
    "OpenEXR",
    "rawpy",
)
H, W = 12, 16
RAMP = np.linspace(0, 1, H * W).reshape(H, W)
COLORS = np.stack([RAMP, RAMP[::-1], (RAMP * 3) % 1], -1)
SIXTEEN = np.rint(COLORS * 65535).astype(np.uint16)
EIGHT = np.rint(SIXTEEN / 257).astype(np.uint8)


@pytest.fixture
def no_extra(monkeypatch):
    for name in EXTRA:
        monkeypatch.setitem(sys.modules, name, None)


def needs(*packages: str) -> None:
    for package in packages:
        pytest.importorskip(package, reason="needs artgan[formats]")


def encoded(image: Image.Image, file_format: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=file_format, **options)
    return buffer.getvalue()


def assert_shows(picture, wanted, within: float = 1) -> None:
    """Compare with floats in 0..255, gray `[H, W]` or RGB."""
    wanted = np.asarray(wanted, np.float64)
    wanted = np.repeat(wanted[..., None], 3, -1) if wanted.ndim == 2 else wanted
    assert picture.pixels.shape == wanted.shape
    assert np.abs(picture.pixels - wanted).max() <= within


# TIFF: core


@pytest.mark.parametrize("order", ["<", ">"])
def test_sixteen_bit_gray_with_white_at_zero_is_no_negative(order):
    if order == ">":
        needs("tifffile", "imagecodecs")
    picture = decode(files.gray_tiff(SIXTEEN[..., 0], 0, order))
    assert_shows(picture, 255 - SIXTEEN[..., 0] / 257)


@pytest.mark.parametrize(("bits", "order"), [(12, "<"), (12, ">"), (10, "<"), (14, ">")])
def test_ten_and_twelve_bits_reach_white(bits, order):
    if (bits, order) != (12, "<"):
        needs("tifffile", "imagecodecs")
    values = np.rint(RAMP * ((1 << bits) - 1)).astype(np.int64)
    picture = decode(files.tiff((files.base_tags(W, H, (bits,), 1), files.packed(values, bits)), order=order))
    assert_shows(picture, RAMP * 255)
    assert f"{bits}-bit scaled to 8" in picture.notes


def test_ten_bits_stored_as_sixteen_are_said_to_be_dark():
    assert any("dark" in note for note in decode(files.gray_tiff(np.rint(RAMP * 1023).astype(np.uint16))).notes)
    assert decode(files.gray_tiff(SIXTEEN[..., 0])).notes == ("16-bit scaled to 8",)


def rgb_page(values: np.ndarray, **tags) -> files.Page:
    height, width, _ = values.shape
    named = {int(name[1:]): value for name, value in tags.items()}
    return {**files.base_tags(width, height, (8, 8, 8), 2), **named}, values.tobytes()


def test_the_largest_full_page_is_the_work():
    small, large = EIGHT[::2, ::2], EIGHT
    picture = decode(files.tiff(rgb_page(small, t254=1), rgb_page(large)))
    assert_shows(picture, large, 0)
    assert any("page 2 of 2" in note for note in picture.notes)
    picture = decode(files.tiff(rgb_page(small, t254=1), within=[rgb_page(large, t254=0)]))
    assert_shows(picture, large, 0)
    picture = decode(files.tiff(rgb_page(large), rgb_page(small, t254=1)))
    assert_shows(picture, large, 0)
    assert "1 smaller copies or masks passed over" in picture.notes
    assert_shows(decode(files.tiff(rgb_page(small, t254=1), rgb_page(large, t254=1))), large, 0)  # all marked, by mistake


@pytest.mark.parametrize("extra", [True, False])
def test_what_holds_only_a_preview_says_so(extra, request):
    if extra:
        needs("rawpy")
    else:
        request.getfixturevalue("no_extra")
    with pytest.raises(DataError, match="holds only a preview of 16x12"):
        decode(files.tiff(rgb_page(EIGHT, t254=1)))
    unknown = (files.base_tags(64, 48, (16,), 32803), bytes(48))  # a mosaic that ends early
    with pytest.raises(DataError, match="holds only a preview of 16x12; develop it first"):
        decode(files.tiff(rgb_page(EIGHT, t254=1), within=[unknown]))
    main = rgb_page(np.kron(EIGHT, np.ones((2, 2, 1), np.uint8)), t254=0)  # a DNG's own numbers are a sensor's
    with pytest.raises(DataError, match="holds only a preview of 16x12; develop it first"):
        decode(files.tiff(rgb_page(EIGHT, t254=1), within=[main]), suffix=".DNG")
    with pytest.raises(DataError, match="holds only a preview of 16x12; develop it first"):
        decode(files.tiff(rgb_page(EIGHT, t254=1, t50706=bytes([1, 4, 0, 0])), within=[main]))
    assert decode(files.tiff(main), suffix=".dng").width == 2 * W  # called so, and no camera's


# TIFF: the extra

_PLANAR = {284: 2}
ALPHA = np.rint(np.linspace(0.2, 1, H * W).reshape(H, W) * 65535).astype(np.uint16)


def composited(colors: np.ndarray) -> np.ndarray:
    share = (ALPHA / 65535)[..., None]
    return colors / 257 * share + 255 * (1 - share)


def tiff16(values: np.ndarray, photometric: int, **tags) -> bytes:
    named = {int(name[1:]): value for name, value in tags.items()}
    planar = named.get(284) == 2
    height, width, channels = values.shape
    stored = np.moveaxis(values, -1, 0) if planar else values
    complete = {**files.base_tags(width, height, (16,) * channels, photometric), **named}
    if planar:  # one strip for each plane
        size = height * width * 2
        data = bytearray(files.tiff(({**complete, 284: 1}, stored.astype("<u2").tobytes())))
        return _with_a_strip_for_each_plane(bytes(data), channels, size)
    return files.tiff((complete, stored.astype("<u2").tobytes()))


def _with_a_strip_for_each_plane(data: bytes, channels: int, size: int) -> bytes:
    """Rewrite the strip tags of a one-strip file: planes follow each other in it."""
    changed = bytearray(data)
    place = struct.unpack_from("<I", data, 4)[0]
    count = struct.unpack_from("<H", data, place)[0]
    for entry in range(place + 2, place + 2 + 12 * count, 12):
        tag, _, _, value = struct.unpack_from("<HHII", data, entry)
        if tag in (273, 279):
            numbers = [value + k * size for k in range(channels)] if tag == 273 else [size] * channels
            struct.pack_into("<HHII", changed, entry, tag, 4, channels, len(changed))
            changed += struct.pack(f"<{channels}I", *numbers)
        elif tag == 284:
            struct.pack_into("<HHIHH", changed, entry, tag, 3, 1, 2, 0)
    return bytes(changed)


def deep_tiffs() -> dict[str, tuple[bytes, np.ndarray]]:
    inks = np.concatenate([SIXTEEN, SIXTEEN[..., :1] // 4], -1)
    paper = (1 - inks[..., :3] / 65535) * (1 - inks[..., 3:] / 65535) * 255
    share = ALPHA[..., None] / 65535
    premultiplied = np.rint(SIXTEEN * share).astype(np.uint16)
    gray = SIXTEEN[..., :1]
    both = np.concatenate
    return {
        "planar RGB": (tiff16(SIXTEEN, 2, t284=2), SIXTEEN / 257),
        "planar CMYK": (tiff16(inks, 5, t284=2), paper),
        "gray and opacity": (tiff16(both([gray, ALPHA[..., None]], -1), 1, t338=2), composited(gray).repeat(3, -1)),
        "associated, gray": (
            tiff16(both([premultiplied[..., :1], ALPHA[..., None]], -1), 1, t338=1),
            composited(gray).repeat(3, -1),
        ),
        "associated, planar": (tiff16(both([premultiplied, ALPHA[..., None]], -1), 2, t338=1, t284=2), composited(SIXTEEN)),
    }


@pytest.mark.parametrize("kind", deep_tiffs())
def test_deep_tiffs_are_right_or_refused(kind, no_extra, monkeypatch):
    data, wanted = deep_tiffs()[kind]
    with pytest.raises(DataError, match=r"artgan\[formats\]"):
        decode(data)
    monkeypatch.undo()
    needs("tifffile", "imagecodecs")
    picture = decode(data)
    assert_shows(picture, wanted, 1.3)  # rounded twice
    assert "16-bit scaled to 8" in picture.notes


def lab_of(srgb: np.ndarray) -> np.ndarray:
    """Return CIELAB under D50 of sRGB in 0..1 (CIE 15:2004)."""
    xyz = light_of_srgb(srgb) @ icc.to_d50_matrix(icc.SRGB_PRIMARIES).T / icc.D50
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], -1)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("planar", [False, True])
def test_cielab_shows_its_colors(bits, planar):
    if planar or bits == 16:
        needs("tifffile", "imagecodecs")
    colors = np.array([[[200, 60, 60], [60, 190, 90], [70, 80, 210], [255, 255, 255], [120, 40, 160]]])
    lab, signed = lab_of(colors / 255), f"<i{bits // 8}"
    lightness = np.rint(lab[..., :1] / 100 * ((1 << bits) - 1)).astype(f"<u{bits // 8}").view(signed)
    values = np.concatenate([lightness, np.rint(lab[..., 1:] * (1 << bits - 8)).astype(signed)], -1)
    tags = files.base_tags(5, 1, (bits,) * 3, 8)
    stored = np.ascontiguousarray(np.moveaxis(values, -1, 0) if planar else values).tobytes()
    data = files.tiff(({**tags, 284: 1}, stored))
    picture = decode(_with_a_strip_for_each_plane(data, 3, 5 * bits // 8) if planar else data)
    assert_shows(picture, colors, 3 if bits == 8 else 1)


def test_float_tiff_is_light(no_extra, monkeypatch):
    light = (COLORS * 4).astype("<f4")
    data = files.tiff(({**files.base_tags(W, H, (32,) * 3, 2), 339: (3, 3, 3)}, light.tobytes()))
    with pytest.raises(DataError, match=r"floating-point pixels.*artgan\[formats\]"):
        decode(data)
    monkeypatch.undo()
    needs("tifffile", "imagecodecs")
    picture = decode(data)
    brightest = light.max(-1, keepdims=True).astype(np.float64)
    scaled = light * shoulder(brightest, 4.0) / np.maximum(brightest, 1e-6)
    assert_shows(picture, encode_srgb(scaled) * 255)
    assert any("shoulder" in note for note in picture.notes)
    plain = files.tiff(({**files.base_tags(W, H, (32,) * 3, 2), 339: (3, 3, 3)}, (light / 4).tobytes()))
    assert_shows(decode(plain), encode_srgb(COLORS) * 255)


def test_the_shoulder_is_smooth_and_reaches_white():
    light = np.linspace(0, 9, 10001)
    shown = shoulder(light, 9.0)
    assert np.array_equal(shown[light <= 0.75], light[light <= 0.75])
    assert shown[-1] == pytest.approx(1)
    steps = np.diff(shown) / np.diff(light)
    assert (steps > 0).all()
    assert np.abs(np.diff(steps)).max() < 0.01
    assert np.allclose(shoulder(light[light <= 1], 1.0), light[light <= 1])


@pytest.mark.parametrize("order", ["<", ">"])
def test_large_tiffs_are_read_in_both_orders_of_bytes(order):
    tifffile, buffer = pytest.importorskip("tifffile", reason="needs artgan[formats]"), io.BytesIO()
    tifffile.imwrite(buffer, EIGHT, photometric="rgb", bigtiff=True, byteorder=order)
    assert_shows(decode(buffer.getvalue()), EIGHT, 0)


def test_signed_samples_have_no_known_white():
    tags = {**files.base_tags(W, H, (16,), 1), 339: 2}
    with pytest.raises(DataError, match="signed samples, whose white is unknown"):
        decode(files.tiff((tags, (SIXTEEN[..., 0] // 2).astype("<i2").tobytes())))


def test_compressions_that_nothing_reads_are_named():
    for number, name in ((34887, "LERC"), (34712, "JPEG 2000"), (34676, "LogLuv")):
        tags = {**files.base_tags(W, H, (8,), 1), 259: number}
        with pytest.raises(DataError, match=f"TIFF with .*{name}"):
            decode(files.tiff((tags, bytes(64))))


# JPEG 2000


@pytest.mark.parametrize(("bits", "channels"), [(9, 1), (9, 3), (10, 3), (12, 3), (16, 3), (12, 4), (16, 2)])
def test_deep_jpeg_2000_keeps_white_white(bits, channels, no_extra, monkeypatch):
    monkeypatch.undo()
    needs("imagecodecs")
    import imagecodecs

    full = (1 << bits) - 1
    values = np.rint(np.concatenate([COLORS, np.ones((H, W, 1))], -1)[..., : max(channels, 1)] * full).astype(np.uint16)
    if channels == 2:
        values[..., 1] = full
    source = values[..., 0] if channels == 1 else values
    data = imagecodecs.jpeg2k_encode(source, level=0, reversible=True, bitspersample=bits, codecformat="jp2")
    wanted = values / full * 255
    assert_shows(decode(data), wanted[..., 0] if channels < 3 else wanted[..., :3])
    for name in EXTRA:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(DataError, match=rf"JPEG 2000 of {bits} bits.*artgan\[formats\]"):
        decode(data)


@pytest.mark.parametrize(("bits", "channels"), [(4, 3), (12, 1)])
def test_other_depths_of_jpeg_2000_come_without_the_extra(bits, channels, no_extra, monkeypatch):
    monkeypatch.undo()
    needs("imagecodecs")
    import imagecodecs

    full = (1 << bits) - 1
    values = np.rint(COLORS[..., :channels] * full).astype(np.uint8 if bits <= 8 else np.uint16)
    source = values[..., 0] if channels == 1 else values
    data = imagecodecs.jpeg2k_encode(source, level=0, reversible=True, bitspersample=bits, codecformat="jp2")
    for name in EXTRA:
        monkeypatch.setitem(sys.modules, name, None)
    assert_shows(decode(data), values[..., 0] / full * 255 if channels == 1 else values / full * 255)


def test_the_profile_of_a_jp2_counts():
    """A restricted profile of gamma 1.8 with the primaries of sRGB: v to the 1.8 is the light."""
    codestream = encoded(Image.fromarray(EIGHT), "JPEG2000", no_jp2=True, irreversible=False)
    picture = decode(files.jp2(codestream, W, H, 3, 8, icc.rgb_profile("plain", icc.SRGB_PRIMARIES, 1.8)))
    assert picture.profile == "plain"
    assert_shows(picture, encode_srgb((EIGHT / 255) ** 1.8) * 255, 3)
    assert_shows(decode(files.jp2(codestream, W, H, 3, 8, None)), EIGHT)


@pytest.mark.parametrize("bits", [10, 12, 16])
def test_the_profile_of_a_deep_jp2_counts_once(bits):
    codecs = pytest.importorskip("imagecodecs", reason="needs artgan[formats]")
    values = np.rint(COLORS * ((1 << bits) - 1)).astype(np.uint16)
    codestream = codecs.jpeg2k_encode(values, level=0, bitspersample=bits, codecformat="j2k", reversible=True, mct=False)
    picture = decode(files.jp2(codestream, W, H, 3, bits, icc.rgb_profile("plain", icc.SRGB_PRIMARIES, 1.8)))
    assert picture.profile == "plain"
    assert_shows(picture, encode_srgb(COLORS**1.8) * 255, 2)  # rounded twice; converted twice it was 40 off


# PNG


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_the_transparent_gray_of_a_png_is_clear_at_every_depth(bits):
    full = (1 << bits) - 1
    levels = np.array([[0, full // 2, full]])
    rows = levels.astype(">u2").tobytes() if bits == 16 else files.packed(levels, bits)
    picture = decode(files.png(3, 1, bits, 0, rows, (b"tRNS", struct.pack(">H", full // 2))), matte=(9, 99, 199))
    wanted = np.repeat(np.rint(levels / full * 255)[..., None], 3, -1)
    wanted[levels == full // 2] = (9, 99, 199)
    assert_shows(picture, wanted, 0)


def test_the_transparent_color_of_a_sixteen_bit_png_is_clear():
    values = np.array([[[60000, 1000, 2000], [3, 4, 5]]], ">u2")
    picture = decode(
        files.png(2, 1, 16, 2, values.tobytes(), (b"tRNS", struct.pack(">3H", 60000, 1000, 2000))), matte=(9, 99, 199)
    )
    assert_shows(picture, [[[9, 99, 199], [0, 0, 0]]], 1)


def color_png(*chunks: tuple[bytes, bytes]) -> bytes:
    return files.png(W, H, 8, 2, EIGHT.tobytes(), *chunks)


def adobe_to_srgb(light: np.ndarray, primaries) -> np.ndarray:
    """Return 0..255 of linear light with a D65 white."""
    to_srgb = np.linalg.inv(icc.to_d50_matrix(icc.SRGB_PRIMARIES)) @ icc.to_d50_matrix(primaries)
    return encode_srgb((light @ to_srgb.T).clip(0, 1)) * 255


def chromaticities(primaries) -> bytes:
    return struct.pack(">8I", *(round(value * 1e5) for point in ((0.3127, 0.3290), *primaries) for value in point))


def light_of_srgb(values: np.ndarray) -> np.ndarray:
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def test_gamma_and_primaries_of_a_png_count():
    v = EIGHT / 255
    assert_shows(decode(color_png((b"gAMA", struct.pack(">I", 100000)))), encode_srgb(v) * 255)
    assert_shows(decode(color_png((b"gAMA", struct.pack(">I", 55556)))), encode_srgb(v**1.8) * 255)
    darks = np.rint(RAMP * 3000).astype(">u2")[..., None].repeat(3, -1)  # 12 of the 256 high bytes
    deep = decode(files.png(W, H, 16, 2, darks.tobytes(), (b"gAMA", struct.pack(">I", 100000))))
    assert_shows(deep, encode_srgb(darks / 65535) * 255)
    adobe = (b"cHRM", chromaticities(icc.ADOBE_RGB_PRIMARIES))
    assert_shows(
        decode(color_png((b"gAMA", struct.pack(">I", 45455)), adobe)), adobe_to_srgb(v**2.2, icc.ADOBE_RGB_PRIMARIES), 2
    )
    for plain in ((b"gAMA", struct.pack(">I", 45455)), (b"sRGB", b"\0"), (b"cHRM", chromaticities(icc.SRGB_PRIMARIES))):
        assert_shows(decode(color_png(plain)), EIGHT, 0)


def test_code_points_of_a_png_count_before_everything():
    v = EIGHT / 255
    gamma = (b"gAMA", struct.pack(">I", 100000))
    picture = decode(color_png((b"cICP", bytes([12, 13, 0, 1])), gamma))
    assert_shows(picture, adobe_to_srgb(light_of_srgb(v), icc.DISPLAY_P3_PRIMARIES), 2)
    assert any("Display P3" in note for note in picture.notes)
    assert_shows(decode(color_png((b"cICP", bytes([1, 13, 0, 1])), gamma)), EIGHT, 0)


def pq_code(nits: np.ndarray) -> np.ndarray:
    """BT.2100, table 4, the inverse EOTF."""
    y = (nits / 10000) ** (2610 / 16384)
    return ((3424 / 4096 + 2413 / 128 * y) / (1 + 2392 / 128 * y)) ** (2523 / 32)


def test_high_range_is_brought_in_and_noted():
    nits = np.array([[0, 20, 100, 203, 1000.0]])
    code = np.rint(pq_code(nits) * 65535).astype(">u2")
    rows = np.repeat(code[..., None], 3, -1).tobytes()
    picture = decode(files.png(5, 1, 16, 2, rows, (b"cICP", bytes([9, 16, 0, 1]))))
    wanted = encode_srgb(shoulder(nits / 203, 1000 / 203)) * 255
    assert_shows(picture, wanted)
    assert any("shoulder" in note for note in picture.notes)


@pytest.mark.parametrize("kind", ["LA", "tRNS", "palette"])
def test_gray_with_transparency_goes_through_its_gray_profile_first(kind):
    profile = icc.gray_profile("linear gray", 1.0)
    levels = np.array([[0, 51, 128, 255]], np.uint8)
    chunk = (b"iCCP", b"x\0\0" + zlib.compress(profile))
    if kind == "LA":
        opacity = np.array([[255, 255, 255, 0]], np.uint8)
        data = files.png(4, 1, 8, 4, np.stack([levels, opacity], -1).tobytes(), chunk)
    elif kind == "tRNS":
        data = files.png(4, 1, 8, 0, levels.tobytes(), chunk, (b"tRNS", struct.pack(">H", 255)))
    else:
        palette = np.repeat(levels.T, 3, -1).tobytes()
        data = files.png(4, 1, 8, 3, bytes([0, 1, 2, 3]), chunk, (b"PLTE", palette), (b"tRNS", bytes([255, 255, 255, 0])))
    picture = decode(data, matte=(9, 99, 199))
    wanted = np.repeat(encode_srgb(levels / 255)[..., None] * 255, 3, -1)
    wanted[0, 3] = (9, 99, 199)
    assert picture.profile == "linear gray"
    assert_shows(picture, wanted)


def test_a_lot_of_text_in_a_png_is_no_damage():
    text = zlib.compress(b"<x/>" * 400_000)
    xmp = (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + text)
    picture = decode(color_png(xmp))
    assert_shows(picture, EIGHT, 0)
    assert "iTXt of over 1 MB passed over" in picture.notes
    profile = icc.rgb_profile("long", icc.SRGB_PRIMARIES, 1.8) + bytes(2 << 20)
    profile = struct.pack(">I", len(profile)) + profile[4:]
    picture = decode(color_png((b"iCCP", b"x\0\0" + zlib.compress(profile))))
    assert picture.profile == "long"
    bomb = decode(color_png((b"iCCP", b"x\0\0" + zlib.compress(bytes(20 << 20)))))
    assert_shows(bomb, EIGHT, 0)
    assert "iCCP of over 16 MB passed over" in bomb.notes


def test_a_damaged_comment_is_no_damaged_picture():
    whole = color_png()
    data = whole[:33] + files.png_chunk(b"tEXt", b"Comment\0hello", wrong_checksum=True) + whole[33:]
    picture = decode(data)
    assert_shows(picture, EIGHT, 0)
    assert any("checksum" in note for note in picture.notes)


# AVIF, JPEG


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")
def test_code_points_of_an_avif_count():
    data = encoded(Image.fromarray(EIGHT), "AVIF", quality=100, subsampling="4:4:4")
    plain = decode(data)
    assert_shows(plain, EIGHT, 8)
    place = data.index(b"nclx") + 4
    p3 = data[:place] + struct.pack(">HH", 12, 13) + data[place + 4 :]
    wanted = adobe_to_srgb(light_of_srgb(plain.pixels / 255), icc.DISPLAY_P3_PRIMARIES)
    assert_shows(decode(p3), wanted, 2)
    hdr = decode(data[:place] + struct.pack(">HH", 9, 16) + data[place + 4 :])
    assert any("PQ" in note for note in hdr.notes)
    with pytest.raises(DataError, match=r"AVIF that this libavif \(.+\) cannot parse"):
        decode(data[:200])


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")
def test_the_bits_that_an_avif_loses_are_noted():
    codecs = pytest.importorskip("imagecodecs", reason="needs artgan[formats]")
    picture = decode(codecs.avif_encode(SIXTEEN >> 6, level=100, bitspersample=10))
    assert_shows(picture, SIXTEEN // 64 / 1023 * 255, 3)
    assert picture.notes == ("10-bit scaled to 8",)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(1201, 903), (1200, 900)])
def test_a_reduced_jpeg_is_not_shifted_at_odd_sizes(size, orientation):
    """Against the whole way, from the box and from the pixels alone; without the box it is 20 dB worse."""
    width, height = size
    y, x = np.mgrid[0:height, 0:width]
    waves = 40 * np.sin(x / 30 + y / 33) + 40 * np.sin(x / 90 - y / 60)
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(np.stack([waves, waves[::-1], waves[:, ::-1]], -1).astype(np.int8).view(np.uint8) + np.uint8(127))
    data = encoded(image, "JPEG", quality=95, subsampling=0, exif=exif)
    whole, small = decode(data), decode(data, enough_px=100)
    assert max(small.grid.shape) <= 302
    look = Recipe(90, 120, fit="stretch")
    wanted = fit_pixels(whole.pixels, look).astype(float)
    assert psnr(fit_pixels(small.grid, look, small.box), wanted) > 50
    assert psnr(fit_pixels(small.pixels, look), wanted) > 48
    if size == (1201, 903):
        assert psnr(fit_pixels(small.grid, look), wanted) < 45, "the box must matter, or the test proves nothing"


def psnr(seen: np.ndarray, wanted: np.ndarray) -> float:
    return 10 * np.log10(255**2 / np.mean((seen - wanted) ** 2))


def test_a_jpeg_over_the_limit_comes_reduced_and_others_name_the_way_out():
    pixels = np.repeat(np.repeat(EIGHT, 60, 0), 60, 1)
    data = encoded(Image.fromarray(pixels), "JPEG", quality=95)
    assert decode(data, enough_px=90, max_pixels=200_000).pixels.shape == (180, 240, 3)
    with pytest.raises(DataError, match=r"too many pixels: 960x720.*--max-megapixels"):
        decode(data, max_pixels=200_000)
    with pytest.raises(DataError, match="too many pixels"):
        decode(encoded(Image.fromarray(pixels), "PNG"), enough_px=90, max_pixels=200_000)


# What is no picture


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 3\n", "a Git LFS pointer"),
        (b"\xef\xbb\xbf<!DOCTYPE html><html><body>404</body></html>", "an HTML page"),
        (b"<?xml version='1.0'?>\n<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG drawing"),
        (b"%PDF-1.7\n", "a PDF document"),
        (b"PK\x03\x04rest", "a zip archive"),
        (files.box(b"ftyp", b"isom\0\0\0\0isommp41") + bytes(64), "a film or sound"),
        (b"RIFF\x10\0\0\0AVI LIST", "a film or sound"),
    ],
)
def test_what_is_no_picture_is_named(data, reason):
    with pytest.raises(DataError, match=f"not a picture of a known format: it is {reason}"):
        decode(data)


def bmp(header: int, bits: int, compression: int, size: int = 4) -> bytes:
    """Return a BMP with masks of four bits where its compression has some."""
    info = struct.pack("<IiiHHIIiiII", header, size, size, 1, bits, compression, 0, 0, 0, 0, 0) + struct.pack(
        "<3I", 0xF00, 0xF0, 0xF
    )
    pixels = bytes(size * size * 4)
    return b"BM" + struct.pack("<IHHI", 14 + len(info) + len(pixels), 0, 0, 14 + len(info)) + info + pixels


def frame_header(marker: int, bits: int, channels: int = 3) -> bytes:
    frame = struct.pack(">HBHHB", 8 + 3 * channels, bits, 8, 8, channels) + b"\1\x11\0" * channels
    return b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0" + bytes([0xFF, marker]) + frame + bytes(64) + b"\xff\xd9"


def jp2_of(size: int) -> bytes:
    return encoded(Image.fromarray(EIGHT[:size, :size]), "JPEG2000", no_jp2=True)


REFUSED = {
    "12-bit JPEG": (frame_header(0xC1, 12), "^JPEG of 12 bits cannot be read: save it again where it was made, as PNG$"),
    "JPEG-LS": (frame_header(0xF7, 8), "^JPEG-LS cannot be read: save it"),
    "lossless JPEG": (frame_header(0xC3, 8), "^lossless JPEG cannot be read: save it"),
    "BMP of odd masks": (bmp(40, 16, 3), "^BMP of 16 bits with bit fields cannot be read: save it"),
    "BMP with JPEG": (bmp(40, 0, 4), "^BMP with JPEG within cannot be read: save it"),
    "BMP of no depth": (bmp(40, 66, 0), "^damaged or truncated: the BMP cannot be unpacked; copy or download it again"),
    "cut PNG": (
        encoded(Image.fromarray(np.tile(EIGHT, (9, 9, 1))), "PNG")[:80],
        "^damaged or truncated: the PNG ends early; copy or download it again$",
    ),
    "cut JPEG": (encoded(Image.fromarray(EIGHT), "JPEG")[:400], "^damaged or truncated: the JPEG ends early; copy"),
    "cut JPEG 2000": (jp2_of(32)[:-90], "^damaged or truncated: the JPEG 2000 cannot be unpacked; copy"),
    "JPEG 2000 of 40 levels": (
        re.sub(b"(\xff\x52.{7}).", b"\\1(", jp2_of(32), count=1, flags=re.DOTALL),
        r"^JPEG 2000 that this OpenJPEG \(.+\) cannot parse: copy or download it again, or save it",
    ),
    "TIFF far away": (b"II*\0\xff\xff\xff\x7f", "^damaged or truncated: the TIFF cannot be unpacked; copy"),
    "BigTIFF far away": (b"II+\0\x08\0\0\0" + b"\xff" * 8, "^damaged or truncated: the TIFF cannot be unpacked; copy"),
    "TIFF of no bits": (
        files.tiff((files.base_tags(4, 4, (8, 0), 1) | {277: (2,), 338: (2,)}, bytes(64))),
        r"^TIFF whose tags are damaged \(samples of 8 and 0 bits\) cannot be read: save it",
    ),
    "text": (
        b"this is no picture",
        "^not a picture of a known format: open it in the program that made it, and save it as PNG or TIFF$",
    ),
    "PCX": (b"\n\x05\x01\x08" + bytes(124), "^not a picture of a known format: it is PCX: save it as PNG$"),
    "PAM": (b"P7\nWIDTH 4\n" + bytes(90), "^not a picture of a known format: it is PAM: save it as PNG$"),
    "PFM": (b"PF\n1 1\n-1.0\n" + bytes(12), r"^not a picture of a known format: it is a map of floating-point numbers \(PFM\)"),
    "nothing": (b"", "^the file is empty: copy or download it again$"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_the_reason_is_artgans_own_true_and_has_a_way_out(kind):
    data, reason = REFUSED[kind]
    with pytest.raises(DataError, match=reason):
        decode(data)


def test_prepare_takes_larger_pictures_when_told(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    large = np.repeat(np.repeat(EIGHT, 20, 0), 20, 1)  # 320x240
    Image.fromarray(large).save(folder / "large.png")
    for index in range(2):
        Image.fromarray(large[index::3, ::3]).save(folder / f"small{index}.png")
    summary = prepare([folder], tmp_path / "few", Recipe(32, 32, duplicates="keep"), max_pixels=50_000)
    assert summary.count == 2
    assert "--max-megapixels" in next(line["reason"] for line in read_index(tmp_path / "few") if line["name"] == "large.png")
    assert prepare([folder], tmp_path / "all", Recipe(32, 32, duplicates="keep"), max_pixels=100_000).count == 3


def test_refine_plans_for_the_page_that_is_the_work(tmp_path):
    path = tmp_path / "two.tif"
    path.write_bytes(files.tiff(rgb_page(EIGHT[::2, ::2], t254=1), rgb_page(EIGHT, t274=6)))
    assert tiff_size(path.read_bytes()) == decode(path.read_bytes()).pixels.shape[:2] == (W, H)
