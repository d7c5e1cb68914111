"""A preparation that was killed goes on where it was, to the same bytes."""

import errno
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from artgan.datasets import prepare as preparing
from artgan.datasets.prepare import forecast, prepare
from artgan.datasets.recipe import Recipe
from artgan.datasets.sources import SourceFile, find_files
from artgan.errors import DataError, StorageError
from artgan.storage import only_one
from artgan.workers.tasks import Workers

LOOK = Recipe(32, 32, holdout=0.1)
NAMES = ("images.npy", "index.jsonl", "collection.json", "contact_sheet.png")


class Killed(BaseException):
    pass


def killed_after(count):
    def listen(event):
        if event.done == count:
            raise Killed

    return listen


def assert_same(a, b):
    for name in NAMES:
        assert (a / name).read_bytes() == (b / name).read_bytes(), name


@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_preparation_goes_on(sources, collection_folder, tmp_path, monkeypatch, workers):
    out = tmp_path / "out"
    for count in (3, 17):
        with pytest.raises(Killed):
            prepare([sources], out, LOOK, workers=workers, on_progress=killed_after(count))
        assert not out.exists()
    assert forecast(find_files([sources]), out, LOOK).num_done == 17
    done = []
    original = preparing._prepare_file
    monkeypatch.setattr(preparing, "_prepare_file", lambda file, **look: done.append(file) or original(file, **look))
    prepare([sources], out, LOOK, workers=1)
    assert len(done) == 42 - 17
    assert_same(out, collection_folder)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_torn_journal_loses_only_its_last_lines(sources, collection_folder, tmp_path):
    out, building = tmp_path / "out", tmp_path / ".out.building"
    with pytest.raises(Killed):
        prepare([sources], out, LOOK, on_progress=killed_after(10))
    lines = (building / "lines.jsonl").read_bytes()
    (building / "lines.jsonl").write_bytes(lines[:-20])
    with (building / "images.npy").open("r+b") as file:
        file.truncate((building / "images.npy").stat().st_size - 3 * 32 * 32 * 3 + 5)
    assert forecast(find_files([sources]), out, LOOK).num_done == 6  # the broken file among the first ten has no pixels
    prepare([sources], out, LOOK)
    assert_same(out, collection_folder)


def test_a_work_whose_tiles_are_not_all_there_is_cut_again(sources, tmp_path):
    cut = Recipe(32, 32, holdout=0.1, tiles=2)
    prepare([sources], tmp_path / "undisturbed", cut)
    out, building = tmp_path / "out", tmp_path / ".out.building"
    with pytest.raises(Killed):
        prepare([sources], out, cut, on_progress=killed_after(10))
    lines = (building / "lines.jsonl").read_text().splitlines(keepends=True)
    assert len(lines) == 9 * 4 + 1  # the broken file gives a line and no tiles
    (building / "lines.jsonl").write_text("".join(lines[:-2]))
    assert forecast(find_files([sources]), out, cut).num_done == 9
    prepare([sources], out, cut, workers=2)
    assert_same(out, tmp_path / "undisturbed")


def test_another_look_or_a_changed_file_starts_anew(sources, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(Killed):
        prepare([sources], out, LOOK, on_progress=killed_after(10))
    files = find_files([sources])
    assert forecast(files, out, Recipe(32, 32, holdout=0.3, duplicates="keep")).num_done == 10
    assert forecast(files, out, Recipe(32, 32, fit="pad")).num_done == 0
    assert forecast(files[1:], out, LOOK).num_done == 0


def test_what_could_not_be_reached_is_tried_again_by_the_same_command(sources, collection_folder, tmp_path, monkeypatch):
    out, read, asked = tmp_path / "out", SourceFile.read, []

    def refusing(file):
        asked.append(file.name)
        if len(asked) > 15:
            raise PermissionError(errno.EACCES, "Permission denied")
        return read(file)

    monkeypatch.setattr(SourceFile, "read", refusing)
    for _ in range(2):
        del asked[15:]
        with pytest.raises(DataError, match="27x cannot be read: Permission denied"):
            prepare([sources], out, LOOK)
        assert len(asked) == 42
    monkeypatch.undo()
    assert forecast(find_files([sources]), out, LOOK).num_done == 15
    prepare([sources], out, LOOK)
    assert_same(out, collection_folder)


def test_files_are_read_anew_when_the_readers_that_they_lack_are_installed(tmp_path, monkeypatch):
    heif = pytest.importorskip("pillow_heif", reason="needs artgan[formats]")
    for index in range(3):
        pixels = np.random.default_rng(index).integers(0, 256, (48, 48, 3), dtype=np.uint8)
        heif.from_pillow(Image.fromarray(pixels)).save(tmp_path / f"{index}.heic")
    out = tmp_path.with_name("heic")
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(DataError, match=r"3x HEIC needs more packages: pip install 'artgan\[formats\]'"):
        prepare([tmp_path], out, LOOK)
    monkeypatch.undo()
    assert prepare([tmp_path], out, LOOK).count == 3


def test_two_processes_never_make_one_collection(sources, tmp_path):
    with only_one(tmp_path / ".out.lock", RuntimeError()), pytest.raises(StorageError, match="by another process"):
        prepare([sources], tmp_path / "out", LOOK)


class Deadly(SourceFile):
    """A file whose decoding kills the process, as a fault in a codec can."""

    def read(self):
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_file_that_kills_its_process_is_rejected_and_the_others_are_done(sources):
    good = find_files([sources])[:9]
    files = [*good[:3], Deadly(good[0].path, "a.png", None), *good[3:6], Deadly(good[0].path, "b.png", None), *good[6:]]
    lines = [entries[0][0] for entries in preparing._prepare_files(files, LOOK, Workers(2))]
    assert [line["name"] for line in lines] == [file.name for file in files]
    assert [line["name"] for line in lines if "kills the process" in str(line["reason"])] == ["a.png", "b.png"]


def vanishes(group):
    """Whether a group of processes ends by itself."""
    for _ in range(200):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


@pytest.mark.slow
def test_sigkill_at_any_moment(sources, collection_folder, tmp_path):
    words = [sys.executable, "-m", "artgan", "--quiet", "prepare", str(sources), "--out", str(tmp_path / "out")]
    words += ["--resolution", "32", "--min-size", "0", "--holdout", "0.1", "--workers", "2"]
    for wait in (0.8, 1.1, 1.4, 1.7):
        process = subprocess.Popen(words, start_new_session=True)
        time.sleep(wait)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert vanishes(process.pid), "workers outlive the process that they work for"
        if (tmp_path / "out").exists():
            break
    if not (tmp_path / "out").exists():
        assert subprocess.run(words, check=False).returncode == 0
    assert_same(tmp_path / "out", collection_folder)
