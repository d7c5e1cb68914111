"""Names of directions: in one open file, refused where it is damaged."""

import json

import pytest

from artgan.errors import DataError
from artgan.generation.direction_names import direction_names_path, name_direction, read_direction_names


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
