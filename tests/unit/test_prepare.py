import json
import shutil
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from artgan.datasets.collection import open_collection, read_index
from artgan.datasets.duplicates import alike_pairs, fingerprint
from artgan.datasets.prepare import prepare
from artgan.datasets.recipe import Recipe, fit_pixels
from artgan.datasets.synthetic import MANNERS, draw_work
from artgan.errors import DataError


@pytest.fixture
def folder(tmp_path):
    """Return an empty folder for works, in a folder of its own, where their collection can stand beside it."""
    works = tmp_path / "works"
    works.mkdir()
    return works


def test_every_file_has_a_line_and_a_fate(sources, collection_folder):
    lines = read_index(collection_folder)
    files = [path for path in sources.rglob("*") if path.is_file()]
    assert sorted(line["source"] for line in lines) == sorted(map(str, files))
    assert Counter(line["status"] for line in lines) == {"kept": 40, "duplicate": 1, "rejected": 1}
    assert all(line["reason"] for line in lines if line["status"] != "kept")


def test_a_collection_opens_with_labels_and_splits(collection):
    assert collection.images.shape == (40, 32, 32, 3)
    assert collection.classes == tuple(sorted(MANNERS))
    assert Counter(collection.labels.tolist()) == dict.fromkeys(range(5), 8)
    assert len(collection.holdout_rows) == 4
    assert not set(collection.train_rows) & set(collection.holdout_rows)


def test_pixels_are_the_works_themselves(collection):
    rows = [line for line in read_index(collection.folder) if line["status"] == "kept"]
    row = next(line for line in rows if line["name"] == "circles/0000.png")
    wanted = fit_pixels(np.asarray(draw_work("circles", 0, 0)), Recipe(32, 32))
    assert np.array_equal(collection.images[row["row"]], wanted)


def test_a_rotated_photograph_stands_upright(collection):
    rows = [line for line in read_index(collection.folder) if line["status"] == "kept"]
    row = next(line for line in rows if line["name"] == "landscapes/0001.jpg")
    assert row["orientation"] == 6
    wanted = fit_pixels(np.asarray(draw_work("landscapes", 0, 1)), Recipe(32, 32)).astype(int)
    assert np.abs(collection.images[row["row"]].astype(int) - wanted).mean() < 3


@pytest.mark.parametrize("workers", [2, 3])
def test_the_number_of_workers_changes_nothing(sources, collection_folder, tmp_path, workers):
    prepare([sources], tmp_path / "again", Recipe(32, 32, holdout=0.1), workers=workers)
    for name in ("images.npy", "index.jsonl", "collection.json", "contact_sheet.png"):
        assert (tmp_path / "again" / name).read_bytes() == (collection_folder / name).read_bytes(), name


def test_crop_fills_the_frame_with_the_middle():
    pixels = np.zeros((20, 60, 3), np.uint8)
    pixels[:, 20:40] = 255
    assert fit_pixels(pixels, Recipe(10, 10)).min() > 200


def test_pad_shows_the_whole_work_on_the_matte():
    padded = fit_pixels(np.full((20, 40, 3), 200, np.uint8), Recipe(16, 16, fit="pad", matte=(1, 2, 3)))
    assert (padded[:4] == (1, 2, 3)).all()
    assert (padded[5:11] == 200).all()
    assert (padded[12:] == (1, 2, 3)).all()


def test_rectangles_are_made_as_asked(sources, tmp_path):
    prepare([sources], tmp_path / "wide", Recipe(32, 48))
    assert open_collection(tmp_path / "wide").images.shape[1:] == (32, 48, 3)


def test_small_files_are_rejected_by_their_short_side(folder):
    for size in ((100, 100), (100, 20), (90, 100)):
        Image.new("RGB", size, (size[0], size[1], 9)).save(folder / f"{size[0]}x{size[1]}.png")
    summary = prepare([folder], folder.parent / "out", Recipe(32, 32, min_side_px=32))
    assert summary.count == 2
    assert list(summary.rejected) == ["too small: the short side is under 32 px"]


def test_files_beside_folders_mean_no_classes(sources, tmp_path):
    folder = tmp_path / "mixed"
    shutil.copytree(sources, folder)
    draw_work("waves", 1, 1).save(folder / "loose.png")
    summary = prepare([folder], tmp_path / "out", Recipe(32, 32))
    assert summary.classes == ()
    assert open_collection(tmp_path / "out").classes == ()


def test_too_many_rejects_fail_and_leave_the_reasons(folder):
    for index in range(3):
        (folder / f"{index}.png").write_bytes(b"junk")
    draw_work("waves", 0, 0).save(folder / "good.png")
    out = folder.parent / "out"
    with pytest.raises(DataError, match=r"3 of 4 files rejected, more than --max-reject 0.5 .*not a picture"):
        prepare([folder], out, Recipe(32, 32))
    assert not out.exists()
    lines = (folder.parent / "out.rejected.jsonl").read_text().splitlines()
    reasons = [json.loads(line)["reason"] for line in lines]
    assert reasons.count(None) == 1
    assert len(reasons) == 4


def test_an_existing_collection_is_not_overwritten_unasked(sources, own_collection):
    before = (own_collection / "images.npy").read_bytes()
    with pytest.raises(DataError, match="exists already"):
        prepare([sources], own_collection, Recipe(16, 16))
    assert (own_collection / "images.npy").read_bytes() == before
    prepare([sources], own_collection, Recipe(16, 16), overwrite=True)
    assert open_collection(own_collection).images.shape[1:] == (16, 16, 3)


def test_missing_and_empty_sources_are_named(tmp_path):
    with pytest.raises(DataError, match="no such file or folder"):
        prepare([tmp_path / "missing"], tmp_path / "out", Recipe(32, 32))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no files in"):
        prepare([tmp_path / "empty"], tmp_path / "out", Recipe(32, 32))


def test_links_to_folders_cannot_trap_the_search(sources, tmp_path):
    folder = tmp_path / "linked"
    shutil.copytree(sources / "waves", folder / "waves")
    (folder / "loop").symlink_to(folder, target_is_directory=True)
    summary = prepare([folder], tmp_path / "out", Recipe(32, 32))
    assert summary.count == 8


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("collection.json", "{", "cannot be read"),
        ("collection.json", "[]", "expected an object"),
        ("collection.json", '{"format": 99}', "has format 99"),
        ("collection.json", '{"format": 1}', "is damaged"),
        ("index.jsonl", "", "does not fit collection.json"),
        ("index.jsonl", "{]\n", "cannot be read"),
        ("images.npy", "x", "cannot be read"),
    ],
)
def test_a_damaged_collection_is_refused_by_name(own_collection, name, damage, message):
    (own_collection / name).write_text(damage)
    with pytest.raises(DataError, match=message):
        open_collection(own_collection)


def test_a_folder_that_is_no_collection_says_how_to_make_one(tmp_path):
    with pytest.raises(DataError, match=r"is not a prepared collection. Make one with: artgan prepare"):
        open_collection(tmp_path)
    with pytest.raises(DataError, match="does not exist"):
        open_collection(tmp_path / "missing")


def test_likeness_is_to_the_work_that_stays(folder):
    """A fade of 16 steps: each is like the next, the first is not like the last. Several stay, on one side of the hold-out."""
    ends = [np.asarray(draw_work(manner, 0, 0, side_px=64)).astype(float) for manner in ("waves", "circles")]
    for step in range(16):
        pixels = ends[0] + (ends[1] - ends[0]) * step / 15
        Image.fromarray(np.rint(pixels).astype(np.uint8)).save(folder / f"{step:02d}.png")
    summary = prepare([folder], folder.parent / "out", Recipe(32, 32, holdout=0.3))
    lines = read_index(folder.parent / "out")
    assert summary.count >= 3
    assert {"00.png", "15.png"} <= {line["name"] for line in lines if line["status"] == "kept"}
    groups = {}
    for line in lines:
        if line["status"] == "kept" and "group" in line:
            groups.setdefault(line["group"], set()).add(line["split"])
    assert all(len(splits) == 1 for splits in groups.values())
    prints = {line["name"]: fingerprint(np.asarray(Image.open(folder / line["name"]))) for line in lines}
    for line in lines:
        if line["status"] == "duplicate":
            stays = line["reason"].rpartition(" ")[2]
            assert list(alike_pairs([prints[line["name"]], prints[stays]])), f"{line['name']} is not like {stays} itself"


def test_many_equal_files_are_one_work(drawn_files, folder):
    for index in range(6):
        (folder / f"{index}.png").write_bytes(drawn_files["waves/0.png"])
    (folder / "other.png").write_bytes(drawn_files["circles/0.png"])
    assert prepare([folder], folder.parent / "out", Recipe(32, 32)).count == 2


def test_a_drive_without_hard_links_makes_the_same_collection(sources, collection_folder, tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("os.link", refuse)
    options = {"duplicates": "keep", "max_reject": 1}
    prepare([sources / "waves"], tmp_path / "copied", Recipe(32, 32, **options))
    monkeypatch.undo()
    prepare([sources / "waves"], tmp_path / "linked", Recipe(32, 32, **options))
    assert (tmp_path / "copied" / "images.npy").read_bytes() == (tmp_path / "linked" / "images.npy").read_bytes()


def test_works_that_are_all_too_small_say_what_would_take_them(folder):
    for index in range(2):
        draw_work("waves", 0, index).resize((20, 20)).save(folder / f"{index}.png")
    out = folder.parent / "out"
    with pytest.raises(
        DataError, match=r"2 of 2 files rejected.*under 32 px\)\. A smaller --resolution takes them, or a smaller"
    ):
        prepare([folder], out, Recipe(64, 64, min_side_px=32))
