"""Names of directions: in one open file, refused where it is damaged."""

import json

import pytest

from artgan.errors import DataError
from artgan.generation.direction_names import (
    direction_called,
    direction_names_path,
    moves_of,
    name_direction,
    read_direction_names,
)
from tests.integration.test_cli import artgan, refused


@pytest.fixture
def path(trained_model, tmp_path, monkeypatch):
    monkeypatch.setenv("ARTGAN_DATA", str(tmp_path))
    return direction_names_path(trained_model)


def test_a_name_is_given_changed_and_taken_away(trained_model, path):
    for name in ("snow", " fog ", ""):
        name_direction(trained_model, "pca-1", name)
        assert [item.name for item in read_direction_names(path).values()] == [name.strip()] * bool(name)
    for direction, name in (("pca-99", "snow"), (7, "snow"), ("pca-1", "x" * 41), ("pca-1", "two\nlines"), ("pca-1", 3)):
        with pytest.raises(DataError, match=r"^(direction|name): "):
            name_direction(trained_model, direction, name)


def test_a_direction_is_found_by_what_it_is_called(trained_model, path):
    name_direction(trained_model, "pca-2", "snow = white")
    name_direction(trained_model, "sefa-1", "cats@night")
    waves = trained_model.card.classes.index("waves")
    asked = [("pca-1", 1.0), ("snow = white", 2.0), ("cats@night", 3.0), ("snow = white@waves", 4.0), ("pca-1@waves", 5.0)]
    meant = ["pca-1", "pca-2", "sefa-1", f"pca-2@{waves}", f"pca-1@{waves}"]
    assert [name for name, _ in moves_of(trained_model, asked)] == meant
    name_direction(trained_model, "pca-3", "cats@night")
    with pytest.raises(DataError, match="pca-3 and sefa-1 are called: give one"):
        direction_called(trained_model, "cats@night")
    with pytest.raises(DataError, match=r"no direction 'snow'.*pca-2 \(snow = white\), pca-3 \(cats@night\)"):
        direction_called(trained_model, "snow")


def test_the_command_line_takes_the_name(trained_model, path, tmp_path, capsys):
    name_direction(trained_model, "pca-2", "snow")
    for out, move in (("a", "snow=3"), ("b", "pca-2=3")):
        assert artgan("sample", trained_model.folder, "--out", tmp_path / out, "--seeds", "1", "--move", move, "--quiet") == 0
    assert (tmp_path / "a" / "seed-0001.png").read_bytes() == (tmp_path / "b" / "seed-0001.png").read_bytes()
    drive = tmp_path / "drive.csv"
    drive.write_text("time,snow,fog\n0,0,0\n1,1,1\n")
    refused(capsys, 3, "unknown column 'fog'", "video", trained_model.folder, "--out", tmp_path / "a.webp", "--curve", drive)
    words = ("sample", trained_model.folder, "--out", tmp_path / "c", "--move", "fog=3")
    refused(capsys, 3, r"there are pca-1, pca-2 \(snow\)", *words)


def test_a_name_from_another_model_is_said(trained_model, path, caplog):
    name_direction(trained_model, "pca-1", "snow")
    path.write_text(path.read_text().replace(trained_model.sha256, "0" * 64))
    assert direction_called(trained_model, "snow") == "pca-1"
    assert f"in another model, {trained_model.name}" in caplog.text


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[",
        "[]",
        "{}",
        '{"format": 9, "names": {}}',
        '{"format": 1, "names": {"pca-1": 3}}',
        '{"format": 1, "names": {"pca-1": {}}}',
    ],
)
def test_a_damaged_file_is_named_and_stays(trained_model, path, content):
    path.parent.mkdir(parents=True)
    path.write_text(content)
    with pytest.raises(DataError, match="direction_names"):
        name_direction(trained_model, "pca-1", "snow")
    assert path.read_text() == content


def test_the_file_is_open_json(trained_model, path):
    name_direction(trained_model, "pca-1", "Schnee\u00e9")
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["names"]["pca-1"] == {
        "name": "Schnee\u00e9",
        "model": trained_model.name,
        "model_hash": trained_model.sha256,
    }
