"""Films as data: the frames that were asked for, in their colors, upright; damaged films with a line of their own."""

import json

import numpy as np
import pytest

from artgan.datasets.collection import open_collection
from artgan.datasets.films import frames_of, read_frame
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
        assert np.abs(pixels - scene(12 * place)).mean() < 4, place
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
