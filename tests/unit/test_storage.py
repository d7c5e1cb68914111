"""Writing whole: what was there stays until what is new is complete, and nothing half made is left."""

import os

import pytest

from artgan.errors import StorageError
from artgan.storage import building, move, write_whole


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
