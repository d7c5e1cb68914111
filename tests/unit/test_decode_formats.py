"""Formats of phones, museums and renderers: Photoshop, HEIC, JPEG XL, OpenEXR, Radiance, camera raw; also without the extra."""

import io
import sys

import numpy as np
import pytest
from PIL import Image

from artgan.cli import main
from artgan.datasets.prepare import prepare
from artgan.datasets.recipe import Recipe
from artgan.decode import decode
from artgan.decode.encodings import encode_srgb, shoulder
from artgan.errors import DataError
from tests import icc_profiles as icc
from tests import picture_files as files

PACKAGES = ("tifffile", "imagecodecs", "pillow_heif", "pillow_jxl.JpegXLImagePlugin", "psd_tools", "OpenEXR", "rawpy")
H, W = 32, 48
RAMP = np.linspace(0, 1, H * W).reshape(H, W)
SMOOTH = np.stack([RAMP, RAMP[::-1], RAMP[:, ::-1]], -1)
EIGHT = np.rint(SMOOTH * 255).astype(np.uint8)
PLANES = np.moveaxis(EIGHT, -1, 0)
OPACITY = np.rint(np.tile(np.linspace(60, 255, W), (H, 1))).astype(np.uint8)


@pytest.fixture
def no_extra(monkeypatch):
    for name in PACKAGES:
        monkeypatch.setitem(sys.modules, name, None)


def assert_shows(picture, wanted, within: float = 1) -> None:
    assert picture.pixels.shape == np.shape(wanted)
    assert np.abs(picture.pixels - np.asarray(wanted, np.float64)).max() <= within


# Photoshop: eight bits need no extra


def test_the_composite_of_a_psd_is_read(no_extra):
    assert_shows(decode(files.psd(PLANES, 3)), EIGHT, 0)
    assert_shows(decode(files.psd(PLANES[:1], 1)), np.repeat(EIGHT[..., :1], 3, -1), 0)
    linear = icc.rgb_profile("plain 1.8", icc.SRGB_PRIMARIES, 1.8)
    picture = decode(files.psd(PLANES, 3, resources={1039: linear}))
    assert picture.profile == "plain 1.8"
    assert_shows(picture, encode_srgb((EIGHT / 255) ** 1.8) * 255, 3)


def test_the_inks_of_a_psd_are_what_is_left_of_the_paper(no_extra):
    inks = np.stack([np.full((4, 4), value, np.uint8) for value in (255, 0, 255, 255)])
    picture = decode(files.psd(inks, 4))
    assert_shows(picture, np.broadcast_to((255, 0, 255), (4, 4, 3)), 3)
    assert any("CMYK without a profile" in note for note in picture.notes)


def test_a_kept_selection_of_a_psd_is_no_transparency(no_extra):
    four = np.concatenate([PLANES, OPACITY[None]])
    assert_shows(decode(files.psd(four, 3, layers=2), matte=(0, 0, 255)), EIGHT, 0)


def test_a_transparent_psd_lies_on_the_matte_and_not_on_white(no_extra):
    share = OPACITY[..., None] / 255
    on_white = np.rint(EIGHT * share + 255 * (1 - share)).astype(np.uint8)
    data = files.psd(np.concatenate([np.moveaxis(on_white, -1, 0), OPACITY[None]]), 3, layers=-2)
    assert_shows(decode(data, matte=(0, 0, 255)), EIGHT * share + np.array([0, 0, 255]) * (1 - share), 2)
    assert_shows(decode(data), on_white, 2)


def test_a_psd_without_its_composite_is_refused():
    with pytest.raises(DataError, match="maximize compatibility"):
        decode(files.psd(PLANES, 3, resources={1057: bytes([0, 0, 0, 1, 0]) + bytes(9)}))


@pytest.mark.parametrize("kind", ["RGB", "CMYK", "Lab", "PSB"])
def test_deep_and_big_photoshop_files_need_the_extra(kind, no_extra, monkeypatch):
    deep = PLANES.astype(np.uint16) * 257
    inks = np.stack([np.full((4, 4), value, np.uint16) for value in (65535, 0, 65535, 65535)])
    lab = np.stack([np.full((4, 4), value * 257, np.uint16) for value in (255, 128, 128)])
    data, wanted = {
        "RGB": (files.psd(deep, 3), EIGHT),
        "CMYK": (files.psd(inks, 4), np.broadcast_to((255, 0, 255), (4, 4, 3))),
        "Lab": (files.psd(lab, 9), np.full((4, 4, 3), 255)),
        "PSB": (files.psd(PLANES, 3, psb=True), EIGHT),
    }[kind]
    with pytest.raises(DataError, match=r"artgan\[formats\]"):
        decode(data)
    monkeypatch.undo()
    pytest.importorskip("psd_tools", reason="needs artgan[formats]")
    assert_shows(decode(data), wanted, 3 if kind == "CMYK" else 1)


# Phones


def test_a_phone_picture_stands_upright_once(no_extra, monkeypatch):
    monkeypatch.undo()
    heif = pytest.importorskip("pillow_heif", reason="needs artgan[formats]")
    stored = Image.fromarray(EIGHT).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6
    profile = icc.rgb_profile("Display P3", icc.DISPLAY_P3_PRIMARIES, 2.2)
    heif.register_heif_opener()
    buffer = io.BytesIO()
    stored.save(buffer, "HEIF", quality=95, chroma=444, exif=exif.tobytes(), icc_profile=profile)
    picture = decode(buffer.getvalue())
    assert picture.format == "HEIF"
    assert picture.profile == "Display P3"
    to_srgb = np.linalg.inv(icc.to_d50_matrix(icc.SRGB_PRIMARIES)) @ icc.to_d50_matrix(icc.DISPLAY_P3_PRIMARIES)
    wanted = encode_srgb(((EIGHT / 255) ** 2.2 @ to_srgb.T).clip(0, 1)) * 255
    assert picture.pixels.shape == wanted.shape
    assert np.abs(picture.pixels - wanted).mean() < 3
    for name in PACKAGES:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(DataError, match=r"HEIC needs more packages: pip install 'artgan\[formats\]'"):
        decode(buffer.getvalue())


def test_the_bits_that_a_heic_loses_are_noted():
    heif = pytest.importorskip("pillow_heif", reason="needs artgan[formats]")
    deep, buffer = (EIGHT.astype(np.uint16) * 257).tobytes(), io.BytesIO()
    heif.from_bytes("RGB;16", EIGHT.shape[1::-1], deep).save(buffer, quality=-1, chroma=444)
    picture = decode(buffer.getvalue())
    assert_shows(picture, EIGHT, 4)
    assert picture.notes == ("10-bit scaled to 8",)


def test_jpeg_xl_is_read_within_the_limit(no_extra, monkeypatch):
    monkeypatch.undo()
    pytest.importorskip("pillow_jxl", reason="needs artgan[formats]")
    buffer = io.BytesIO()
    Image.fromarray(EIGHT).save(buffer, "JXL", lossless=True)
    assert_shows(decode(buffer.getvalue()), EIGHT, 1)
    with pytest.raises(DataError, match="too many pixels: 48x32"):
        decode(buffer.getvalue(), max_pixels=1000)
    for name in PACKAGES:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(DataError, match=r"JPEG XL needs more packages: pip install 'artgan\[formats\]'"):
        decode(buffer.getvalue())


@pytest.mark.parametrize(("kind", "note"), [("<u2", "16-bit scaled to 8"), ("<f4", "floating-point light cut off at white")])
def test_what_jpeg_xl_loses_is_noted(kind, note):
    codecs = pytest.importorskip("imagecodecs", reason="needs artgan[formats]")
    pytest.importorskip("pillow_jxl", reason="needs artgan[formats]")
    data = codecs.jpegxl_encode((EIGHT / 255 * (65535 if kind == "<u2" else 1)).astype(kind), lossless=True)
    picture = decode(data)  # these are linear
    assert any(words.startswith(note) for words in picture.notes)
    off = np.abs(picture.pixels - encode_srgb(EIGHT / 255) * 255)
    assert off[EIGHT > 64].max() <= 2


def test_a_jpeg_within_a_jpeg_xl_is_that_jpeg(tmp_path):
    """Its profile and its orientation count as in the JPEG itself."""
    pytest.importorskip("pillow_jxl", reason="needs artgan[formats]")
    exif = Image.Exif()
    exif[0x0112] = 6
    profile = icc.rgb_profile("plain 1.8", icc.SRGB_PRIMARIES, 1.8)
    Image.fromarray(EIGHT).save(tmp_path / "a.jpg", quality=95, exif=exif, icc_profile=profile)
    with Image.open(tmp_path / "a.jpg") as image:
        image.save(tmp_path / "a.jxl", lossless_jpeg=True)
    packed, plain = (decode((tmp_path / name).read_bytes()) for name in ("a.jxl", "a.jpg"))
    assert (packed.format, packed.profile, packed.orientation) == ("JXL", "plain 1.8", 6)
    assert np.array_equal(packed.pixels, plain.pixels)


def test_every_format_is_a_work_a_content_and_a_palette(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.psd").write_bytes(files.psd(PLANES, 3))
    Image.fromarray(EIGHT).save(folder / "b.png")
    try:
        import pillow_heif
        import pillow_jxl  # noqa: F401
    except ImportError:
        pass
    else:
        pillow_heif.from_pillow(Image.fromarray(EIGHT)).save(folder / "c.heic", quality=-1, chroma=444)
        Image.fromarray(EIGHT).save(folder / "d.jxl", lossless=True)
        (folder / "e.dng").write_bytes(files.camera_raw((40000, 16000, 6000)))
    names = sorted(path.stem for path in folder.iterdir())
    for palette in folder.iterdir():
        out = tmp_path / palette.stem
        with pytest.raises(SystemExit) as ended:
            main(["--quiet", "refine", str(folder), "--palette", str(palette), "--out", str(out), "--engine", "none"])
        assert not ended.value.code
        assert sorted(path.stem for path in out.glob("?.png")) == names
    assert prepare([folder], tmp_path / "works", Recipe(32, 32, duplicates="keep")).count == len(names)


# Light


def exr(light: np.ndarray, path, **header) -> bytes:
    openexr = pytest.importorskip("OpenEXR", reason="needs artgan[formats]")
    channels = {"RGB" if light.shape[-1] == 3 else "RGBA": np.ascontiguousarray(light, np.float32)}
    openexr.File({"compression": openexr.ZIP_COMPRESSION, "type": openexr.scanlineimage, **header}, channels).write(str(path))
    return path.read_bytes()


def shown(light: np.ndarray, peak: float) -> np.ndarray:
    brightest = light.max(-1, keepdims=True)
    return encode_srgb(light * shoulder(brightest, max(peak, 1.0)) / np.maximum(brightest, 1e-9)) * 255


def test_openexr_is_light_through_a_stated_curve(tmp_path, no_extra, monkeypatch):
    monkeypatch.undo()
    dim = exr(SMOOTH, tmp_path / "dim.exr")
    assert_shows(decode(dim), encode_srgb(SMOOTH) * 255)
    picture = decode(exr(SMOOTH * 6, tmp_path / "bright.exr"))
    assert_shows(picture, shown(SMOOTH * 6, 6.0))
    assert any("light up to 6 times white" in note for note in picture.notes)
    broken = SMOOTH.copy()
    broken[0, 0] = np.nan
    assert any("3 values that are no finite numbers" in note for note in decode(exr(broken, tmp_path / "nan.exr")).notes)
    share = OPACITY[..., None] / 255
    clear = np.concatenate([SMOOTH * share, share], -1)
    assert_shows(decode(exr(clear, tmp_path / "clear.exr")), encode_srgb(SMOOTH) * 255 * share + 255 * (1 - share), 1.5)
    with pytest.raises(DataError, match="too many pixels: 48x32"):
        decode(dim, max_pixels=1000)
    for name in PACKAGES:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(DataError, match=r"OpenEXR needs more packages: pip install 'artgan\[formats\]'"):
        decode(dim)


def test_radiance_is_light(no_extra, monkeypatch):
    data = files.radiance(SMOOTH * 3)
    with pytest.raises(DataError, match=r"Radiance HDR needs more packages: pip install 'artgan\[formats\]'"):
        decode(data)
    monkeypatch.undo()
    pytest.importorskip("imagecodecs", reason="needs artgan[formats]")
    bright = decode(data)
    assert any("times white" in note for note in bright.notes)
    plain = decode(files.radiance(SMOOTH))
    # A shared exponent has 8 bits for the brightest channel: dark channels beside bright ones are coarse.
    largest = SMOOTH.max(-1, keepdims=True)
    off = np.abs(light_of(plain.pixels / 255) - SMOOTH)
    assert (off <= largest / 128 + 0.01).all()
    turned = {("+Y", "+X"): SMOOTH[::-1], ("-Y", "-X"): SMOOTH[:, ::-1], ("+X", "+Y"): SMOOTH[::-1].swapaxes(0, 1)}
    for axes, stored in turned.items():
        assert_shows(decode(files.radiance(stored, axes)), plain.pixels, 0)


def test_light_that_is_only_colorful_is_not_brought_in(tmp_path):
    """Full Display P3 red is 1.22 of sRGB's, and no brighter than white."""
    p3 = (*(number for point in icc.DISPLAY_P3_PRIMARIES for number in point), 0.3127, 0.3290)
    to_srgb = np.linalg.inv(icc.to_d50_matrix(icc.SRGB_PRIMARIES)) @ icc.to_d50_matrix(icc.DISPLAY_P3_PRIMARIES)
    light = np.concatenate([SMOOTH, np.broadcast_to([1.0, 0, 0], SMOOTH.shape)])
    picture = decode(exr(light, tmp_path / "p3.exr", chromaticities=p3))
    assert_shows(picture, encode_srgb((light @ to_srgb.T).clip(0, 1)) * 255)
    assert not any("shoulder" in note for note in picture.notes)


def test_openexr_in_luminance_and_chroma_is_not_taken_for_gray(tmp_path):
    openexr = pytest.importorskip("OpenEXR", reason="needs artgan[formats]")
    channels = {name: np.zeros((8, 8), np.float32) for name in ("Y", "RY", "BY")}
    openexr.File({"type": openexr.scanlineimage}, channels).write(str(tmp_path / "yc.exr"))
    with pytest.raises(DataError, match="OpenEXR in luminance and chroma cannot be read"):
        decode((tmp_path / "yc.exr").read_bytes())


def light_of(values: np.ndarray) -> np.ndarray:
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


# Camera raw


@pytest.mark.parametrize(
    ("mosaic", "neutral", "white"),
    [
        ((40000, 16000, 6000), (1.0, 1.0, 1.0), 65535),
        ((20000, 16000, 6000), (0.5, 1.0, 0.6), 65535),
        ((60000, 16000, 6000), (1.0, 1.0, 1.0), 60000),  # a brightest sample above 3/4 of the range counts as white
    ],
)
def test_camera_raw_has_the_colors_of_its_light(mosaic, neutral, white):
    pytest.importorskip("rawpy", reason="needs artgan[formats]")
    light = np.array(mosaic) / neutral / white
    assert_shows(decode(files.camera_raw(mosaic, neutral)), np.broadcast_to(encode_srgb(light) * 255, (64, 96, 3)))


def test_camera_raw_is_developed_or_named(no_extra, monkeypatch):
    data = files.camera_raw((20000, 20000, 20000))
    with pytest.raises(DataError, match=r"holds only a preview of 16x12; develop it first, or pip install 'artgan\[formats\]'"):
        decode(data)
    monkeypatch.undo()
    pytest.importorskip("rawpy", reason="needs artgan[formats]")
    picture = decode(data)
    assert picture.format == "RAW"
    assert_shows(picture, np.full((64, 96, 3), encode_srgb(np.array(20000 / 65535)) * 255), 2)
    with pytest.raises(DataError, match="too many pixels"):
        decode(data, max_pixels=1000)
    for magic in (b"FUJIFILMCCD-RAW 0201", b"IIRO\x08\0\0\0", files.box(b"ftyp", b"crx \0\0\0\1crx isom")):
        with pytest.raises(DataError, match="camera raw"):
            decode(magic + bytes(600))
