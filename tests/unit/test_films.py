"""Films as data: the frames that were asked for, in their colors, upright; damaged films with a line of their own."""

import json
from fractions import Fraction

import numpy as np
import pytest

from artgan.datasets.collection import open_collection
from artgan.datasets.films import frames_of, read_frame
from artgan.decode import decode
from artgan.errors import DataError
from artgan.generation.video import encode_video
from artgan.metadata import read_metadata
from tests.integration.test_cli import artgan

av = pytest.importorskip("av")


def scene(place: int) -> np.ndarray:
    """A frame whose colors, layout and number can be read off it; scenes change every eight frames."""
    random = np.random.default_rng(place // 8)
    blocks = random.integers(30, 226, (4, 6, 3))
    return np.kron(blocks, np.ones((16, 16, 1))).astype(np.uint8)


@pytest.fixture(scope="module", params=["mp4", "webm"])
def film(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("films") / f"sea.{request.param}"
    path.write_bytes(encode_video([scene(place) for place in range(50)], request.param, 25))
    return path


def pixels_of(data: bytes, tmp_path) -> np.ndarray:
    from PIL import Image

    path = tmp_path / "frame.png"
    path.write_bytes(data)
    assert read_metadata(path) is None
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def test_frames_are_those_of_their_places_in_any_order(film, tmp_path):
    found = frames_of(film, 12)
    assert [name for name, _ in found] == ["frame-000000", "frame-000012", "frame-000024", "frame-000036", "frame-000048"]
    for place in (3, 0, 4, 1, 2):
        pixels = pixels_of(read_frame(film, found[place][1]), tmp_path)
        assert np.abs(pixels - scene(12 * place)).mean() < 6, place  # chroma is interpolated, edges of blocks are soft
        assert np.abs(pixels - scene(12 * place + 8)).mean() > 20


def test_a_film_becomes_a_collection_without_its_look_alikes(film, tmp_path, capsys):
    out = tmp_path / "collection"
    assert artgan("prepare", film, "--every", 2, "--resolution", 32, "--workers", 1, "--out", out) == 0
    said = capsys.readouterr().out
    assert f"{film}: 25 frames, one of every 2" in said
    lines = [json.loads(line) for line in (out / "index.jsonl").read_text().splitlines()]
    assert [line["name"] for line in lines[:2]] == [f"{film.name}-frame-000000", f"{film.name}-frame-000002"]
    assert len(open_collection(out).images) == 7  # one of each scene
    assert sum(line["status"] == "duplicate" for line in lines) == 18


def test_a_film_is_turned_as_players_turn_it(tmp_path):
    film = tmp_path / "phone.mp4"
    data = bytearray(encode_video([scene(0)] * 3, "mp4", 25))
    start = data.index(b"tkhd") + 4 + 40  # ISO 14496-12: the matrix of a track header of version 0
    quarter = [0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30]
    data[start : start + 36] = b"".join(value.to_bytes(4, "big", signed=True) for value in quarter)
    film.write_bytes(data)
    pixels = pixels_of(read_frame(film, frames_of(film, 1)[0][1]), tmp_path)
    assert np.abs(pixels - np.rot90(scene(0), -1)).mean() < 4  # a quarter clockwise


def test_without_every_a_film_is_passed_over_and_said(film, tmp_path, drawn_files, capsys):
    folder = tmp_path / "mixed"
    for name, data in drawn_files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    (folder / film.name).write_bytes(film.read_bytes())
    assert artgan("prepare", folder, "--resolution", 32, "--workers", 1, "--out", tmp_path / "out") == 0
    assert "passed over 1: a film: --every 12 takes every 12th frame of it" in capsys.readouterr().out


def test_damaged_films_are_rejected_with_a_reason(film, tmp_path, drawn_files):
    folder = tmp_path / "mixed"
    for name, data in drawn_files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    whole = film.read_bytes()
    (folder / f"cut{film.suffix}").write_bytes(whole[:200])
    (folder / "text.mov").write_text("no film")
    middle = bytearray(whole)
    middle[len(whole) // 2 : len(whole) // 2 + 400] = bytes(400)
    (folder / f"hurt{film.suffix}").write_bytes(middle)
    assert artgan("prepare", folder, "--every", 12, "--resolution", 32, "--workers", 1, "--out", tmp_path / "out") == 0
    lines = [json.loads(line) for line in (tmp_path / "out" / "index.jsonl").read_text().splitlines()]
    fates = {line["name"]: line for line in lines}
    assert fates["text.mov"]["status"] == fates[f"cut{film.suffix}"]["status"] == "rejected"
    assert "cannot be read as a film" in fates["text.mov"]["reason"]
    assert any(name.startswith("hurt") for name in fates)


def test_films_that_would_come_out_wrong_are_refused(tmp_path):
    film = tmp_path / "hdr.mp4"
    with av.open(str(film), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        stream.codec_context.color_trc = 16
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), "rgb24")))
        container.mux(stream.encode(None))
    with pytest.raises(DataError, match=r"HDR film \(PQ\)"):
        frames_of(film, 1)


# Luma coefficients of red and blue (ITU-T H.273, table 4), by the code of the matrix.
LUMA = {1: (0.2126, 0.0722), 4: (0.30, 0.11), 5: (0.299, 0.114), 6: (0.299, 0.114), 7: (0.212, 0.087), 9: (0.2627, 0.0593)}
UNSPECIFIED = 2
COLORS = [(255, 255, 255), (0, 0, 0), (255, 0, 0), (0, 255, 0), (0, 0, 255), (200, 30, 90), (20, 120, 240), (250, 240, 10)]


def ycbcr(rgb, matrix: int, *, full: bool, bits: int = 8) -> list[int]:
    """Return the nearest codes of a color (H.273, equations 20 to 31 and 38 to 40)."""
    red_share, blue_share = LUMA[matrix]
    red, green, blue = np.array(rgb) / 255
    luma = red_share * red + (1 - red_share - blue_share) * green + blue_share * blue
    differences = (blue - luma) / (2 * (1 - blue_share)), (red - luma) / (2 * (1 - red_share))
    one = 1 << (bits - 8)
    foot, span, chroma = (0, 256 * one - 1, 256 * one - 1) if full else (16 * one, 219 * one, 224 * one)
    codes = [foot + span * luma, *(128 * one + chroma * value for value in differences)]
    return [min(256 * one - 1, max(0, round(code))) for code in codes]


def write_codes(path, codes, layout="yuv420p", size=(32, 32), codec="ffv1", sar=None, tags=(UNSPECIFIED, 0, 2, 2)):
    """Write a lossless film whose frames have the same Y, Cb and Cr everywhere, or those of an array `[3, H, W]`."""
    matrix, color_range, primaries, transfer = tags
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options={"qp": "0"} if codec == "libx264" else {})
        stream.width, stream.height, stream.pix_fmt = *size, layout
        context = stream.codec_context
        context.colorspace, context.color_range = matrix, color_range
        context.color_primaries, context.color_trc = primaries, transfer
        if sar is not None:
            context.sample_aspect_ratio = sar
        for code in codes:
            frame = av.VideoFrame(*size, layout)
            frame.colorspace, frame.color_range = matrix, color_range
            for plane, value in zip(frame.planes, code, strict=True):
                kind = np.dtype("<u2" if layout.endswith("le") else "u1")
                rows = np.zeros((plane.height, plane.line_size // kind.itemsize), kind)
                rows[:, : plane.width] = value
                plane.update(rows.tobytes())
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def decoded(path) -> list[np.ndarray]:
    return [decode(read_frame(path, stamp)).pixels.astype(int) for _, stamp in frames_of(path, 1)]


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("layout", ["yuv420p", "yuv444p", "yuv420p10le"])
def test_every_matrix_and_range_is_that_of_the_closed_form(layout, full, tmp_path):
    bits = 10 if "10" in layout else 8
    for stated, height, meant in (*((code, 32, code) for code in LUMA), (UNSPECIFIED, 32, 6), (UNSPECIFIED, 720, 1)):
        codes = [ycbcr(color, meant, full=full, bits=bits) for color in COLORS]
        film = write_codes(tmp_path / "a.mkv", codes, layout, (16, height), tags=(stated, 2 if full else 1, 2, 2))
        for pixels, color in zip(decoded(film), COLORS, strict=True):
            assert np.abs(pixels - color).max() <= 2, (stated, height, color)


def test_ranges_that_are_not_stated_are_narrow_and_those_of_motion_jpeg_full(tmp_path):
    film = write_codes(tmp_path / "a.mkv", [ycbcr(color, 6, full=False) for color in COLORS])
    assert max(np.abs(pixels - color).max() for pixels, color in zip(decoded(film), COLORS, strict=True)) <= 2
    film = write_codes(tmp_path / "a.avi", [ycbcr(color, 6, full=True) for color in COLORS], "yuvj420p", codec="mjpeg")
    assert max(np.abs(pixels - color).max() for pixels, color in zip(decoded(film), COLORS, strict=True)) <= 4  # lossy


def test_wide_pixels_become_square_by_the_closed_form(tmp_path):
    ramp = np.linspace(40, 200, 48).round()
    luma = np.tile(ramp, (32, 1))
    for sar, width in ((Fraction(4, 3), 64), (Fraction(2), 96), (Fraction(1, 2), 24), (Fraction(1), 48)):
        film = write_codes(tmp_path / "a.mp4", [(luma, 128, 128)], size=(48, 32), codec="libx264", sar=sar, tags=(1, 2, 2, 2))
        (pixels,) = decoded(film)
        assert pixels.shape == (32, width, 3)
        centers = ((np.arange(width) + 0.5) / width * 48 - 0.5)[2:-2]
        assert np.abs(pixels[:, 2:-2, 0] - np.interp(centers, np.arange(48), ramp)).max() <= 2
    film = write_codes(tmp_path / "b.mp4", [(0, 128, 128)], size=(2048, 2048), codec="libx264", sar=Fraction(200))
    with pytest.raises(DataError, match="its pixels are so wide that a frame has 839 megapixels; at most 67"):
        frames_of(film, 1)


def test_primaries_other_than_those_of_srgb_are_converted_as_pictures_are(tmp_path):
    """A color within sRGB, given in the primaries of BT.2020 (BT.2087, equation M2 inverted), comes back as itself."""
    to_wide = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])
    inside = [(200, 30, 90), (20, 120, 240), (250, 240, 10), (255, 255, 255)]
    shares = np.array(inside) / 255
    light = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4) @ to_wide.T
    wide = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055) * 255
    codes = [ycbcr(color, 9, full=True, bits=10) for color in wide]
    film = write_codes(tmp_path / "a.mkv", codes, "yuv420p10le", tags=(9, 2, 9, 14))
    for pixels, color in zip(decoded(film), inside, strict=True):
        assert np.abs(pixels - color).max() <= 3, color


def test_a_matrix_that_is_not_read_is_refused_by_its_code(tmp_path):
    film = write_codes(tmp_path / "a.mkv", [(100, 128, 128)], tags=(8, 1, 2, 2))
    with pytest.raises(DataError, match=r"color matrix 8 of ITU-T H\.273, which is not read: convert it to BT\.709"):
        frames_of(film, 1)
