"""The wall: what it shows, what it never follows, and results that are kept once."""

import json

import numpy as np
import pytest

from artgan.errors import DataError
from artgan.generation.video import default_format, encode_video, read_note
from artgan.images import save_picture
from artgan.studio import wall
from artgan.studio.workspace import Workspace

FLAT = np.full((8, 8, 3), 90, np.uint8)
RECIPE = {"kind": "sample", "point": {"seed": 3}, "model": "drawn", "model_hash": "ab" * 32}


@pytest.fixture
def run(tmp_path):
    """A run with training's own sheets, what the studio made, a stranger's picture, and links to elsewhere."""
    run = tmp_path / "work" / "runs" / "first"
    for name in ("model/latest", "samples", "made", "mine/deep"):
        (run / name).mkdir(parents=True)
    for name in ("samples/images-000000000100.png", "made/seed-0003.png", "mine/deep/seed-0003.webp", "top.png"):
        save_picture(run / name, FLAT, RECIPE)
    save_picture(run / "made" / "foreign.png", FLAT)
    outside = tmp_path / "outside"
    outside.mkdir()
    save_picture(outside / "secret.png", FLAT, RECIPE)
    (run / "made" / "link.png").symlink_to(outside / "secret.png")
    (run / "mine" / "link").symlink_to(outside)
    return run


def names(page):
    return sorted(item["name"] for item in page["items"])


def test_what_was_made_is_shown_and_nothing_else(run):
    shown = wall.Wall()
    page = shown.page(wall.roots_of([run / "model" / "latest"], [run], None), 0)
    assert names(page) == ["seed-0003.png", "seed-0003.webp"]
    assert page["next"] is None
    assert {item["where"] for item in page["items"]} == {"first/made", "first/mine/deep"}
    assert all(item["recipe"] == RECIPE and item["kind"] == "sampled" for item in page["items"])
    path, media_type = shown.file(page["items"][0]["id"])
    assert path.is_relative_to(run)
    assert media_type.startswith("image/")
    assert shown.picture(page["items"][0]["id"], small=True)[:2] == b"\xff\xd8"
    for name in ("nothing", "../top.png"):
        with pytest.raises(DataError, match="no longer on the wall"):
            shown.file(name)


def test_a_workspace_shows_its_own_folders_beside_its_runs(run):
    workspace = Workspace(run.parents[1])
    for name in ("pictures/seed-0003.png", "collections/sheet.png", "made/seed-0009.png", "samples/seed-0001.jpg"):
        (workspace.root / name).parent.mkdir(exist_ok=True)
        save_picture(workspace.root / name, FLAT, RECIPE)
    page = wall.Wall().page(wall.roots_of([], [run], workspace), 0)
    assert names(page) == ["seed-0001.jpg", "seed-0003.png", "seed-0003.webp", "seed-0009.png"]


def test_a_long_wall_comes_in_pages_without_gaps(run):
    for seed in range(30):
        save_picture(run / "mine" / f"seed-{seed}.png", FLAT, RECIPE)
    shown, roots, found, start = wall.Wall(), wall.roots_of([], [run], None), [], 0
    while start is not None:
        page = shown.page(roots, start)
        assert len(page["items"]) <= wall.PER_PAGE
        found += page["items"]
        start = page["next"]
    assert len({item["id"] for item in found}) == len(found) == 32


def test_equal_results_are_kept_once_and_a_full_disk_is_said(tmp_path):
    shown, folder = wall.Wall(), tmp_path / "made"
    for data in (b"one", b"one", b"two"):
        assert shown.put(folder, "seed-0001.png", data) == ""
    assert sorted(path.name for path in folder.iterdir()) == ["seed-0001-2.png", "seed-0001.png"]
    (tmp_path / "file").touch()
    assert "could not be kept" in shown.put(tmp_path / "file", "seed-0001.png", b"one")


FORMATS = ["gif", "webp", *(["mp4", "webm"] if default_format() == "mp4" else [])]


@pytest.mark.parametrize("video_format", FORMATS)
def test_a_film_says_what_made_it(tmp_path, video_format):
    note = {"keys": [{"seed": seed} for seed in range(20)], "model_hash": "ab" * 32}
    frames = [np.full((16, 16, 3), shade, np.uint8) for shade in (0, 90, 200)]
    path = tmp_path / f"film.{video_format}"
    path.write_bytes(encode_video(frames, video_format, 10, json.dumps(note)))
    assert read_note(path) == note
    path.write_bytes(path.read_bytes()[:60])
    assert read_note(path) is None
    path.write_bytes(b'{"keys": [')
    assert read_note(path) is None
