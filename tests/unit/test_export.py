"""A collection goes out and comes back with the same pixels and labels."""

import io
import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from artgan.datasets.collection import damaged_rows, open_collection
from artgan.datasets.export import export
from artgan.datasets.prepare import prepare
from artgan.datasets.recipe import Recipe
from artgan.errors import DataError


def by_pixels(collection):
    return {collection.images[row].tobytes(): int(collection.labels[row]) for row in range(len(collection.images))}


def test_a_stylegan_dataset_is_laid_out_as_its_readers_expect(collection, tmp_path):
    assert export(collection, tmp_path / "art.zip") == 40
    with zipfile.ZipFile(tmp_path / "art.zip") as archive:
        assert all(info.compress_type == zipfile.ZIP_STORED for info in archive.infolist())
        labels = dict(json.loads(archive.read("dataset.json"))["labels"])
        assert set(archive.namelist()) == set(labels) | {"dataset.json"}
        for row in (0, 17, 39):
            name = f"00000/img{row:08d}.png"
            pixels = np.asarray(Image.open(io.BytesIO(archive.read(name))))
            assert np.array_equal(pixels, collection.images[row])
            assert labels[name] == collection.labels[row]


@pytest.mark.parametrize("name", ["art.zip", "art"])
def test_an_export_prepares_to_the_same_pixels_and_labels(collection, tmp_path, name):
    export(collection, tmp_path / name)
    prepare([tmp_path / name], tmp_path / "again", Recipe(32, 32))
    assert by_pixels(open_collection(tmp_path / "again")) == by_pixels(collection)


def test_equal_collections_make_equal_archives(collection, tmp_path):
    export(collection, tmp_path / "a.zip")
    export(collection, tmp_path / "b.zip")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_nothing_is_replaced_unasked(collection, tmp_path):
    (tmp_path / "art.zip").write_text("mine")
    with pytest.raises(DataError, match="exists already"):
        export(collection, tmp_path / "art.zip")
    assert (tmp_path / "art.zip").read_text() == "mine"
    export(collection, tmp_path / "art.zip", overwrite=True)
    assert zipfile.is_zipfile(tmp_path / "art.zip")


def test_a_flipped_bit_in_the_pixels_is_found(own_collection):
    assert damaged_rows(open_collection(own_collection)) == []
    data = bytearray((own_collection / "images.npy").read_bytes())
    data[-5] ^= 1
    (own_collection / "images.npy").write_bytes(data)
    assert len(damaged_rows(open_collection(own_collection))) == 1


def of_classes(collection, names):
    """The collection with other class names, as many as it has."""
    return replace(collection, classes=tuple(names))


COLLIDING = ["a/b", "a_b", "A_B", "..", "é" * 200]


def test_classes_whose_names_collide_as_folders_stay_apart(collection, tmp_path):
    named = of_classes(collection, COLLIDING)
    export(named, tmp_path / "art")
    folders = [path.name for path in (tmp_path / "art").iterdir() if path.is_dir()]
    assert len({name.casefold() for name in folders}) == 5
    assert max(len(name.encode()) for name in folders) < 255
    prepare([tmp_path / "art"], tmp_path / "again", Recipe(32, 32))
    again = open_collection(tmp_path / "again")
    assert again.classes == tuple(sorted(COLLIDING))
    names = {pixels: again.classes[label] for pixels, label in by_pixels(again).items()}
    assert names == {pixels: COLLIDING[label] for pixels, label in by_pixels(named).items()}


@pytest.mark.parametrize("names", [["0", "1", "10", "11", "2"], COLLIDING], ids=["numbers", "names"])
def test_labels_of_an_exported_archive_keep_their_numbers_and_names(collection, tmp_path, names):
    """In the order of text 10 comes before 2: by place, label 2 would become 4."""
    named = of_classes(collection, names)
    export(named, tmp_path / "art.zip")
    with zipfile.ZipFile(tmp_path / "art.zip") as archive:
        labels = dict(json.loads(archive.read("dataset.json"))["labels"])
    if names[0] == "0":
        assert [labels[f"00000/img{row:08d}.png"] for row in range(40)] == [int(names[label]) for label in named.labels]
    prepare([tmp_path / "art.zip"], tmp_path / "again", Recipe(32, 32))
    assert open_collection(tmp_path / "again").classes == tuple(sorted(names))


def test_years_are_numbered_by_place(collection, tmp_path):
    export(of_classes(collection, ["1890", "1900", "1901", "1910", "1920"]), tmp_path / "art.zip")
    with zipfile.ZipFile(tmp_path / "art.zip") as archive:
        assert {label for _, label in json.loads(archive.read("dataset.json"))["labels"]} == set(range(5))
