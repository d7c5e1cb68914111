"""A judged folder: its pictures are made alike as the collection's were, drawn from all classes, and the protocol says so."""

import hashlib
import json
from collections import Counter
from dataclasses import asdict

import numpy as np
import pytest
import torch
from PIL import Image

from artgan.datasets.collection import open_collection, read_index
from artgan.datasets.prepare import prepare
from artgan.datasets.recipe import FITS, Recipe
from artgan.datasets.synthetic import draw_work
from artgan.errors import DataError
from artgan.evaluation import Judge
from artgan.evaluation.protocol import Protocol
from artgan.evaluation.subjects import folder_subject, generator_subject


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """Works that every choice of a recipe changes: of three shapes, with a margin, and with transparency."""
    folder = tmp_path_factory.mktemp("scans")
    for index in range(9):
        work = draw_work("waves", 5, index, side_px=96).crop((0, 0, 96, (96, 60, 40)[index % 3]))
        mounted = Image.new("RGBA", (work.width + 16, work.height + 16), (250, 250, 250, 255))
        mounted.paste(work, (8, 8))
        if index % 2:
            mounted.putalpha(Image.linear_gradient("L").resize(mounted.size))
        mounted.save(folder / f"{index}.png")
        if index % 3 == 0:
            work.save(folder / f"{index}-photo.jpg", quality=90)
    for name in (".DS_Store", "._0.png", "0.txt", "README.md", "labels.json"):  # which are no pictures
        (folder / name).write_bytes(b"\0\5\x16\7")
    return folder


RECIPES = [
    *[Recipe(32, 32, fit=fit, matte=matte) for fit in FITS for matte in ((255, 255, 255), (0, 0, 0))],
    Recipe(32, 32, focus="top"),
    Recipe(32, 48, focus="detail", trim=True),
]


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: f"{recipe.fit}-{recipe.focus}-{recipe.trim}-{recipe.matte[0]}")
def test_the_source_of_a_collection_is_the_collection_pixel_by_pixel(recipe, scans, tmp_path):
    """Equal pixels are equal features: KID 0, for every fit, focus, border and matte."""
    prepare([scans], tmp_path / "out", recipe)
    collection = open_collection(tmp_path / "out")
    subject = folder_subject(collection, scans, None)
    pixels = dict(zip(subject.names, subject.pictures(range(subject.count)), strict=True))
    kept = [line for line in read_index(collection.folder) if line["status"] == "kept"]
    assert len(kept) >= 9
    assert all(np.array_equal(pixels[line["name"]], collection.images[line["row"]]) for line in kept)


def test_a_table_of_pictures_is_judged_too(scans, tmp_path):
    pyarrow = pytest.importorskip("pyarrow", reason="needs the extra 'cloud'")
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra 'cloud'")
    pictures = [path.read_bytes() for path in sorted(scans.glob("[0-9].png"))]
    parquet.write_table(pyarrow.table({"image": pictures}), tmp_path / "works.parquet")
    prepare([tmp_path / "works.parquet"], tmp_path / "out", Recipe(32, 32, holdout=0))
    collection = open_collection(tmp_path / "out")
    subject = folder_subject(collection, tmp_path / "works.parquet", None)
    assert np.array_equal(np.stack(list(subject.pictures(range(subject.count)))), collection.images)


def test_the_way_of_before_is_there_and_is_another_protocol(scans, tmp_path):
    prepare([scans], tmp_path / "out", Recipe(32, 32, fit="pad", matte=(0, 0, 0)))
    collection = open_collection(tmp_path / "out")
    new, old = folder_subject(collection, scans, None), folder_subject(collection, scans, None, as_collection=False)
    assert new.prepared == "fit pad, focus center, borders kept, matte (0, 0, 0)"
    assert old.prepared == "fit crop, focus center, borders kept, matte (255, 255, 255)"
    judge = Judge("random", collection, torch.device("cpu"))
    assert judge.protocol(9, new.prepared).hash != judge.protocol(9, old.prepared).hash
    prepare([scans], tmp_path / "tiles", Recipe(32, 32, tiles=4))
    with pytest.raises(DataError, match=r"is cut into tiles.*--fit crop"):
        folder_subject(open_collection(tmp_path / "tiles"), scans, None)


def test_a_models_protocol_keeps_its_hash(collection):
    """The hash of the fields that a protocol had before folders said how they were made alike."""
    protocol = Judge("random", collection, torch.device("cpu")).protocol(100)
    fields = {name: value for name, value in asdict(protocol).items() if name != "prepared"}
    assert protocol.hash == hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()
    assert "prepared" not in protocol.as_dict()
    assert Protocol(**protocol.as_dict()) == protocol


def test_fewer_pictures_come_from_all_classes(sources, collection):
    whole = folder_subject(collection, sources, None)
    few = folder_subject(collection, sources, 15)
    again = folder_subject(collection, sources, 15)
    folders = Counter(name.split("/")[0] for name in few.names)
    assert set(folders) == set(collection.classes)
    assert max(folders.values()) - min(folders.values()) <= 1
    assert few.names == again.names
    assert "15 of 42 pictures, from all classes in their shares, drawn by seed 0" in few.prepared
    assert few.labels is not None
    assert [collection.classes[label] for label in few.labels] == [name.split("/")[0] for name in few.names]
    assert whole.prepared.count(";") == 0


def test_a_model_of_another_size_than_the_collection_is_said(trained_model, collection, sources, tmp_path):
    prepare([sources], tmp_path / "small", Recipe(16, 16))
    small = open_collection(tmp_path / "small")
    (said,) = generator_subject(small, trained_model.generator, 4).warnings
    assert said.startswith("the model makes 32x32 px, the collection has 16x16 px")
    assert generator_subject(collection, trained_model.generator, 4).warnings == ()
