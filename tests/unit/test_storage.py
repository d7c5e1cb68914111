"""Writing whole: what was there stays until what is new is complete, and nothing half made is left."""

import errno
import os
import stat

import numpy as np
import pytest
from safetensors.numpy import save_file

from artgan import storage
from artgan.cli.app import _of_storage
from artgan.errors import StorageError
from artgan.storage import building, flush_to_disk, move, only_one, share, write_whole


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_at_once_and_text_becomes_utf8(tmp_path):
    write_whole(tmp_path / "x.txt", "fin \u00e9")
    assert (tmp_path / "x.txt").read_bytes() == b"fin \xc3\xa9"
    write_whole(tmp_path / "x.txt", b"two")
    assert (tmp_path / "x.txt").read_bytes() == b"two"
    assert names(tmp_path) == ["x.txt"]


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(StorageError, match=r"cannot write .*none/x.txt: No such file"):
        write_whole(tmp_path / "none" / "x.txt", b"")


@pytest.mark.parametrize("by_many", [False, True])
def test_what_fails_on_the_way_leaves_the_old(tmp_path, by_many):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "old").touch()

    def build():
        with building(folder, by_many=by_many) as partial:
            partial.mkdir()
            (partial / "half").touch()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build()
    assert names(tmp_path) == ["model"]
    assert names(folder) == ["old"]


def test_a_folder_takes_the_place_of_a_folder_or_a_file_and_the_leftovers_of_a_kill(tmp_path):
    place = tmp_path / "x"
    for old in ("file", "folder"):
        if old == "file":
            place.touch()
        with building(place) as partial:
            partial.mkdir()
            (partial / old).touch()
        assert names(place) == [old]
    (tmp_path / ".partial-x").mkdir()  # a process was killed in the block
    with building(place) as partial:
        partial.touch()
    assert place.is_file()
    assert names(tmp_path) == ["x"]


def test_a_folder_comes_back_when_the_new_one_cannot_take_its_place(tmp_path):
    old = tmp_path / "model"
    old.mkdir()
    (old / "weights").touch()
    with pytest.raises(FileNotFoundError):
        move(tmp_path / "none", old)
    assert names(old) == ["weights"]
    assert names(tmp_path) == ["model"]


def test_makers_of_one_file_do_not_share_a_name(tmp_path):
    with building(tmp_path / "card", by_many=True) as partial:
        assert str(os.getpid()) in partial.name
        partial.touch()


def failing(code):
    def fail(*_, **__):
        raise OSError(code, os.strerror(code))

    return fail


@pytest.mark.parametrize("code", [errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.EXDEV])
def test_a_drive_without_hard_links_gets_a_copy(code, tmp_path, monkeypatch):
    """exFAT and FAT say EPERM, some mounted drives ENOSYS or EOPNOTSUPP; injected at the one call, as no such drive is here."""
    (tmp_path / "a").write_bytes(b"rows")
    monkeypatch.setattr(os, "link", failing(code))
    share(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == b"rows"


def test_other_failures_of_a_link_are_told(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "link", failing(errno.ENOSPC))
    with pytest.raises(OSError, match="No space"):
        share(tmp_path / "a", tmp_path / "b")


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOTSUP])
def test_a_folder_that_cannot_be_flushed_is_passed_over_and_a_file_never(code, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr(storage.os, "fsync", failing(code))
    flush_to_disk(tmp_path)
    with pytest.raises(OSError, match=os.strerror(code)):
        flush_to_disk(tmp_path / "file")
    monkeypatch.setattr(storage.os, "fsync", failing(errno.EIO))
    with pytest.raises(OSError, match="Input/output"):
        flush_to_disk(tmp_path)


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_drive_without_locks_is_one_line_with_a_way_on(code, tmp_path, monkeypatch):
    monkeypatch.setattr(storage.FileLock, "acquire", failing(code))
    words = r"cannot lock files .*choose a folder on a drive of this machine"
    with pytest.raises(StorageError, match=words), only_one(tmp_path / "x.lock", StorageError("busy")):
        pass


@pytest.mark.parametrize("umask", [0o022, 0o002, 0o077])
def test_files_have_the_mode_that_the_umask_says(umask, tmp_path):
    before = os.umask(umask)
    try:
        with building(tmp_path / "folder") as partial:
            partial.mkdir()
            save_file({"a": np.zeros(3)}, partial / "deep.safetensors")
        with building(tmp_path / "file.safetensors") as partial:
            save_file({"a": np.zeros(3)}, partial)
    finally:
        os.umask(before)
    for path in (tmp_path / "folder" / "deep.safetensors", tmp_path / "file.safetensors"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask
    assert names(tmp_path) == ["file.safetensors", "folder"]


@pytest.mark.parametrize(
    ("closed", "mode", "missed", "asked"),
    [
        ("a/b.png", 0o000, "a/b.png", "read"),
        ("a", 0o000, "a", "read"),
        ("a", 0o600, "a/new.png", "read"),  # nobody gets in
        ("a", 0o500, "a/new.png", "write"),
        ("a/b.png", 0o400, "a/b.png", "write"),
    ],
)
def test_an_error_of_reading_does_not_ask_whether_one_may_write(closed, mode, missed, asked, tmp_path, monkeypatch):
    """As a user whom modes bind: these tests may run as root."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b.png").write_bytes(b"")
    (tmp_path / closed).chmod(mode)
    monkeypatch.setattr(os, "access", lambda path, wanted: os.stat(path).st_mode >> 6 & wanted == wanted)
    error = PermissionError(errno.EACCES, "Permission denied", str(tmp_path / missed))
    assert f"may you {asked} there?" in _of_storage(error)
    assert "may you write there?" in _of_storage(OSError(errno.EROFS, "Read-only file system", str(tmp_path / missed)))
