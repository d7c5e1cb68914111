"""What the studio keeps: in a file of the run, for every checkpoint, with a way back, and refused where it does not fit."""

import copy
import io
import json
import shutil
import zipfile

import numpy as np
import pytest

from artgan.errors import DataError, StorageError
from artgan.generation.favourites import favourites_path, liked_points
from artgan.generation.model_folder import load_model, save_model
from artgan.generation.point import Point
from artgan.generation.sample import point_of_picture
from artgan.metadata import read_metadata
from artgan.overview import is_sheet
from artgan.studio.shelf import MAX_KEPT, Shelf


@pytest.fixture
def model(trained_model, tmp_path):
    """The model of a run."""
    return load_model(shutil.copytree(trained_model.folder, tmp_path / "run" / "model" / "latest"))


def seeds(facts):
    return [item["point"]["seed"] for item in facts["kept"]]


def keep(shelf, model, *wanted):
    return shelf.change(model, {"do": "keep", "points": [{"seed": seed} for seed in wanted]})


def test_a_thousand_are_kept_and_are_there_under_another_checkpoint(model):
    keep(Shelf(), model, *range(1200))
    assert seeds(keep(Shelf(), model, 5, 1200)) == list(range(1201))
    assert liked_points(model, favourites_path(model.folder))[-1] == Point(1200)
    later = copy.deepcopy(model.generator)
    next(later.parameters()).add_(0.5)
    save_model(model.folder.with_name("best"), later, model.card, np.zeros((32, 32, 3), np.uint8))
    best = load_model(model.folder.with_name("best"))
    shown = Shelf().facts(best)["kept"]
    assert best.sha256 != model.sha256
    assert (len(shown), shown[0]["model"]) == (1201, model.name)


def test_every_change_has_a_way_back_and_forth(model):
    shelf = Shelf()
    first = keep(shelf, model, 1, 2, 3)
    names = [item["id"] for item in first["kept"]]
    moved = shelf.change(model, {"do": "move", "id": names[2], "to": 0})
    assert seeds(moved) == [3, 1, 2]
    told = shelf.change(model, {"do": "describe", "id": names[0], "note": "for the wall", "tags": ["sky", " sky ", ""]})
    assert (told["kept"][1]["note"], told["kept"][1]["tags"]) == ("for the wall", ["sky"])
    cleared = shelf.change(model, {"do": "drop", "ids": names})
    assert seeds(cleared) == []
    with pytest.raises(DataError, match="has changed since"):
        shelf.change(model, {"do": "undo", "step": moved["step"]})
    back = [shelf.change(model, {"do": "undo", "step": change["step"]}) for change in (cleared, told, moved)]
    assert back[0]["kept"] == told["kept"]
    assert seeds(back[2]) == [1, 2, 3]
    assert seeds(shelf.change(model, {"do": "redo", "step": moved["step"]})) == [3, 1, 2]


def test_the_zip_has_pictures_with_their_recipes_a_sheet_and_the_list(model, tmp_path):
    shelf = Shelf()
    names = [item["id"] for item in keep(shelf, model, 4, 9, 7)["kept"]]
    done = []
    data = shelf.archive(model, {"ids": [names[1], names[0]]}, done.append)
    assert [event.done for event in done][-1] == 2
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.namelist() == ["kept-0001-seed-0009.png", "kept-0002-seed-0004.png", "sheet.png", "favourites.json"]
        assert is_sheet(archive.read("sheet.png"))
        assert [entry["point"]["seed"] for entry in json.loads(archive.read("favourites.json"))["favourites"]] == [9, 4]
        (tmp_path / "one.png").write_bytes(archive.read("kept-0001-seed-0009.png"))
    assert point_of_picture(model, read_metadata(tmp_path / "one.png"), "it") == Point(9)


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({}, "do: expected one of"),
        ({"do": ["keep"]}, "do: expected one of"),
        ({"do": "keep", "points": {}}, "points: expected a list"),
        ({"do": "keep", "points": [{"seed": -1}]}, "point.seed"),
        ({"do": "keep", "points": [{"styles": "AAAAAA=="}]}, "of another model, or damaged"),
        ({"do": "keep", "points": [{"seed": seed} for seed in range(MAX_KEPT + 1)]}, "up to 2,000"),
        ({"do": "drop", "ids": ["../../etc"]}, "no longer kept"),
        ({"do": "drop", "ids": [3]}, "ids: expected"),
        ({"do": "describe", "id": None}, "no longer kept"),
        ({"do": "move", "id": "x", "to": 1}, "no longer kept"),
        ({"do": "undo", "step": "x"}, "too long ago"),
    ],
)
def test_what_does_not_fit_is_refused_and_changes_nothing(model, request_, said):
    keep(Shelf(), model, 1)
    before = favourites_path(model.folder).read_bytes()
    with pytest.raises(DataError, match=said):
        Shelf().change(model, request_)
    assert favourites_path(model.folder).read_bytes() == before


def test_a_note_that_is_too_long_and_a_damaged_file_lose_nothing(model):
    (item,) = keep(Shelf(), model, 1)["kept"]
    with pytest.raises(DataError, match="note: expected a text of up to 2000"):
        Shelf().change(model, {"do": "describe", "id": item["id"], "note": "n" * 3000})
    path = favourites_path(model.folder)
    path.write_text("{")
    with pytest.raises(DataError, match="is not JSON"):
        keep(Shelf(), model, 2)
    assert path.read_text() == "{"


def test_a_data_folder_that_cannot_be_made_is_said(trained_model, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("ARTGAN_DATA", str(tmp_path / "file" / "data"))
    with pytest.raises(StorageError, match=r"cannot make .*Not a directory"):
        keep(Shelf(), trained_model, 2)
