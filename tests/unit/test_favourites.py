"""Favourites: a file of points, each of its own model, for samples and films."""

import json
import shutil

import numpy as np
import pytest

from artgan.errors import CheckpointError, DataError
from artgan.generation.favourites import (
    NAME,
    Favourite,
    data_dir,
    favourites_path,
    liked_points,
    lineage_of,
    nearest_order,
    read_favourites,
    write_favourites,
)
from artgan.generation.point import Point
from artgan.generation.sample import point_of_picture
from artgan.metadata import read_metadata
from tests.integration.test_cli import artgan


@pytest.fixture
def model_with_likes(trained_model, tmp_path):
    """A copy of the model folder, and the points that are liked there."""
    folder = shutil.copytree(trained_model.folder, tmp_path / "liked-model")
    points = [Point(12, truncation=0.5, classes=((1, 1.0),)), Point(3, toward=Point(4), amount=0.5), Point(12)]
    likes = [Favourite(point, trained_model.name, trained_model.sha256) for point in points]
    write_favourites(folder.with_name(f"{folder.name}.{NAME}"), [*likes, Favourite(Point(99), "another-9k", "f" * 64)])
    return folder, points


def test_what_is_written_is_read(model_with_likes, trained_model, tmp_path):
    folder, points = model_with_likes
    path = favourites_path(folder)
    assert path == folder.parent / f"liked-model.{NAME}"  # beside the folder, whose files are sealed, where there is one
    assert [item.point for item in read_favourites(path)] == [*points, Point(99)]
    assert liked_points(trained_model, path) == points
    assert favourites_path(folder / "run" / "model" / "best") == folder / "run" / NAME
    path.unlink()
    kept = Favourite(Point(5), "drawn-2k", "0" * 64, lineage_of(trained_model), "a note", ("sky", "red"))
    write_favourites(tmp_path / NAME, [kept])
    assert read_favourites(tmp_path / NAME) == [kept]
    assert liked_points(trained_model, tmp_path / NAME) == [Point(5)]  # of another checkpoint of this lineage
    assert favourites_path(folder) == data_dir() / "favourites" / f"{lineage_of(trained_model)}.json"


def test_samples_and_a_film_of_favourites(model_with_likes, trained_model, tmp_path):
    folder, points = model_with_likes
    assert artgan("sample", folder, "--liked", "--captions", "--out", tmp_path / "out") == 0
    written = sorted((tmp_path / "out").glob("liked-*.png"))
    assert [path.name for path in written] == ["liked-001-seed-0012.png", "liked-002-seed-0003.png", "liked-003-seed-0012.png"]
    assert [point_of_picture(trained_model, read_metadata(path), "it") for path in written] == points
    film = tmp_path / "walk.webp"
    assert artgan("video", folder, "--liked", "--order", "near", "--steps", "2", "--size", "32", "--out", film) == 0
    assert film.stat().st_size > 1000


def test_a_walk_goes_to_the_nearest(trained_model):
    near = [Point(1, toward=Point(2), amount=share) for share in (0.0, 0.9, 0.3, 0.6)]
    assert nearest_order(trained_model, near) == [near[0], near[2], near[3], near[1]]
    styles = trained_model.space.styles(nearest_order(trained_model, [Point(seed) for seed in range(6)])).flatten(1).numpy()
    steps = np.linalg.norm(styles[1:] - styles[:-1], axis=1)
    others = np.linalg.norm(styles[None, 2:] - styles[0], axis=2)
    assert steps[0] <= others.min()


def test_favourites_of_other_models_are_left_alone(trained_model, tmp_path, capsys):
    path = tmp_path / NAME
    write_favourites(path, [Favourite(Point(12), "other-40k", "0" * 64)])
    assert artgan("sample", trained_model.folder, "--favourites", path, "--out", tmp_path / "out") == CheckpointError.exit_code
    told = capsys.readouterr().err
    assert "its favourites are of other-40k (000000000000), not of" in told
    assert "--seeds 12" in told
    assert json.loads(path.read_text())["favourites"][0]["point"] == {"seed": 12}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "expected an object with a list 'favourites'"),
        ('{"format": 2, "favourites": []}', "has format 2, this artgan reads 1"),
        ('{"format": 1, "favourites": []}', "holds no favourites yet"),
        ('{"format": 1, "favourites": [3]}', "favourite 1: expected an object, got a int"),
        ('{"format": 1, "favourites": [{"point": {"seed": 1}}]}', "favourite 1: expected the name and the hash"),
        ('{"format": 1, "favourites": [{"point": {"seed": -1}, "model": "a", "model_hash": "b"}]}', "favourite 1: point.seed"),
    ],
)
def test_what_is_no_file_of_favourites_is_one_line(trained_model, tmp_path, text, said):
    path = tmp_path / NAME
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        liked_points(trained_model, path)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_favourites_yet(trained_model, tmp_path):
    with pytest.raises(DataError, match=r"no favourites in .*like some in the studio"):
        liked_points(trained_model, tmp_path / NAME)
