"""As many files as are said; class names of any kind; targets that are checked before the work."""

import numpy as np
import pytest
from PIL import Image

from artgan.arguments import class_shares
from artgan.errors import ConfigError, StorageError
from artgan.file_names import distinct_names, join_names
from artgan.images import captioned_grid, grid, save_png, tile_size, tiles_of
from artgan.targets import REFINED, check_replaceable, output_file

CLASSES = ("waves", "oil, canvas", "a=b", "3", 'the "blue" one', "x=2")


def test_names_are_distinct_on_every_file_system():
    composed, apart = "caf\u00e9", "cafe\u0301"
    names = distinct_names(["a", "A", "a", composed, apart, "grid", "a-2"], ".png", taken=["grid.png"])
    assert names == ["a.png", "A-2.png", "a-3.png", f"{composed}.png", f"{apart}-2.png", "grid-2.png", "a-2-2.png"]


@pytest.mark.parametrize(
    ("text", "shares"),
    [
        ("", ()),
        ("waves", (("waves", 1.0),)),
        ("oil, canvas", (("oil, canvas", 1.0),)),
        ("waves=2,3=1", (("waves", 2.0), ("3", 1.0))),
        ("3", (("3", 1.0),)),
        ("a=b, waves", (("a=b", 1.0), ("waves", 1.0))),
        ("x=2", (("x=2", 1.0),)),
        ('"oil, canvas"=2,"a=b"=0.5', (("oil, canvas", 2.0), ("a=b", 0.5))),
        ('"the ""blue"" one", waves', (('the "blue" one', 1.0), ("waves", 1.0))),
    ],
)
def test_classes_of_any_name_can_be_asked_for(text, shares):
    assert class_shares(text, CLASSES) == shares


def test_what_is_listed_reads_back():
    assert class_shares(join_names(CLASSES), CLASSES) == tuple((name, 1.0) for name in CLASSES)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("wave", r"--class wave \(did you mean 'waves'\?\): the model's classes are waves, \"oil, canvas\""),
        ("waves=much", "--class waves=much: expected NAME=NUMBER"),
        ("waves=-1", "--class waves=-1: expected NAME=NUMBER"),
        ("oil", "--class oil"),
        ('"waves', "cannot be read from"),
    ],
)
def test_classes_that_there_are_not_are_named(text, message):
    with pytest.raises(ConfigError, match=message):
        class_shares(text, CLASSES)


def test_targets_are_checked_before_the_work(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "old.json").write_text("{}")
    assert output_file("--json", tmp_path / "new" / "a.json", (".json",)).parent.is_dir()
    assert output_file("--json", tmp_path / "old.json", (".json",)).read_text() == "{}"
    for path, message in (("folder", "is a folder"), ("notes.txt", "is there, and is no .json file")):
        with pytest.raises(ConfigError, match=f"--json .*{path}: {message}"):
            output_file("--json", tmp_path / path, (".json",))
    with pytest.raises(ConfigError, match="is an input, which is never replaced"):
        output_file("--json", tmp_path / "old.json", (".json",), [tmp_path / "folder" / ".." / "old.json"])
    with pytest.raises(StorageError, match="cannot be written"):
        output_file("--json", tmp_path / "notes.txt" / "a.json", (".json",))


def test_results_replace_only_what_artgan_made(tmp_path):
    save_png(tmp_path / "ours.png", np.zeros((2, 2, 3), np.uint8), {"seed": 1})
    Image.new("RGB", (2, 2)).save(tmp_path / "theirs.png")
    (tmp_path / "folder.png").mkdir()
    check_replaceable([tmp_path / "ours.png", tmp_path / "none.png"])
    for name, what in (("theirs.png", "a file that artgan did not make"), ("folder.png", "a folder")):
        with pytest.raises(ConfigError, match=f"{name} is {what} and would be replaced"):
            check_replaceable([tmp_path / "ours.png", tmp_path / name])
    for text, kind in (("{}", None), ('{"recipe": {}}', REFINED)):
        (tmp_path / "refine.json").write_text(text)
        check_replaceable([tmp_path / "refine.json"], kind=kind)
    for text in ("{}", "[]", "mine"):  # a report of another program
        (tmp_path / "refine.json").write_text(text)
        with pytest.raises(ConfigError, match=r"refine\.json is a file that artgan did not make"):
            check_replaceable([tmp_path / "refine.json"], kind=REFINED)


def test_sheets_have_bounded_pixels():
    assert tile_size(64, 64, 64) == (64, 64)
    height, width = tile_size(1000, 1024, 1024)
    assert 120 <= height == width
    assert 1024 * height * width <= 1.05 * 2**24
    pictures = (np.full((300, 200, 3), place % 256, np.uint8) for place in range(400))
    tiles = tiles_of(pictures, 400)
    assert tiles.shape[0] == 400
    assert tiles[:, 0, 0, 0].tolist() == [place % 256 for place in range(400)]
    assert np.prod(grid(tiles).shape[:2]) <= 2**24
    assert captioned_grid(tiles[:2], ["a", "b"], columns=1000).shape[1] == 2 * tiles.shape[2]
