"""Files of commit 4e9eb49 open as before: collections, models, runs, looks, metrics and what pictures carry (tests/golden)."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

import artgan
from artgan.cli import main
from artgan.datasets.collection import damaged_rows, open_collection
from artgan.describe import describe
from artgan.generation.sample import generate, point_of_picture, render
from artgan.metadata import read_metadata
from artgan.refine.recipe import load_recipe, recipe_from_dict
from artgan.storage import seal
from tests.conftest import ROOT

GOLDEN = ROOT / "tests" / "golden"
GENERATORS = ("fastgan", "stylegan2", "r3gan")
RUNS = ("stylegan2-ada", "fastgan-projected", "fastgan-fastgan", "r3gan")


def assert_alike(pixels, expected):
    """Equal up to the rounding of another processor's kernels."""
    assert pixels.shape == expected.shape
    assert np.abs(pixels.astype(int) - expected).max() <= 3


def test_a_collection_opens():
    collection = open_collection(GOLDEN / "collection")
    assert collection.classes == ("circles", "waves")
    assert collection.images.shape == (16, 32, 32, 3)
    assert (len(collection.train_rows), len(collection.holdout_rows)) == (12, 4)
    assert collection.pixel_hash == "6b618aaf6c6a63f0fd1b0af9879de482f6fad808bd2f8ff01811b5b5e20e3611"
    assert damaged_rows(collection) == []
    assert describe(GOLDEN / "collection")["training"] == 12


@pytest.mark.parametrize("name", GENERATORS)
def test_a_model_makes_the_pictures_that_it_made(name):
    model = artgan.load_model(GOLDEN / "models" / name)
    assert model.card.images_seen == 8
    assert_alike(np.stack(list(generate(model.space, range(3)))), np.load(GOLDEN / "models" / f"{name}.npy"))


@pytest.mark.parametrize("name", ["sample.png", "sample.jpg", "sample.webp", "sample.tif", "projection.png"])
def test_a_picture_says_what_made_it_and_is_made_again(name):
    model = artgan.load_model(GOLDEN / "models" / "stylegan2")
    metadata = read_metadata(GOLDEN / "pictures" / name)
    point = point_of_picture(model, metadata, name)
    if name != "projection.png":
        assert (point.seed, point.truncation, metadata["class"]) == (5, 0.7, "waves")
    png = GOLDEN / "pictures" / ("projection.png" if name == "projection.png" else "sample.png")
    assert_alike(next(render(model.space, [point])), np.asarray(Image.open(png).convert("RGB")))


def test_looks_open():
    look = load_recipe(GOLDEN / "look.yaml")
    assert (look.version, look.color.mode, look.color.strength) == (1, "match", 0.7)
    carried = read_metadata(GOLDEN / "pictures" / "refined.png")["refine"]["recipe"]
    again = recipe_from_dict(carried, "refined.png")
    assert (again.style.backbone, again.style.iterations, again.detail.boost, again.seed) == ("random", 2, 0.3, 3)
    for section in ("style", "color", "detail", "output"):
        assert carried[section].items() <= again.as_dict()[section].items()


def test_metrics_compare_with_those_of_today(tmp_path):
    old = json.loads((GOLDEN / "metrics.json").read_text())
    model, collection, line = GOLDEN / "models" / "stylegan2", GOLDEN / "collection", tmp_path / "new.json"
    words = ["evaluate", str(model), "--collection", str(collection), "--features", "random", "--num-generated", "8"]
    with pytest.raises(SystemExit) as end:
        main(["--quiet", *words, "--json", str(line)])
    assert not end.value.code
    new = json.loads(line.read_text())
    assert new["protocol_hash"] == old["protocol_hash"]
    assert old["metrics"].keys() <= new["metrics"].keys()
    for name, entry in old["metrics"].items():
        assert new["metrics"][name]["value"] == pytest.approx(entry["value"], rel=1e-2, abs=1e-3), name


def filled(kind, generator):
    """Return a tensor of a kept kind: small and positive, as variances and second moments must be."""
    dtype, *shape = kind
    if not getattr(torch, dtype).is_floating_point:
        return torch.zeros(shape, dtype=getattr(torch, dtype))
    return (0.02 + 0.05 * torch.rand(shape, generator=generator)).to(getattr(torch, dtype))


@pytest.mark.parametrize("name", RUNS)
def test_a_run_goes_on(name, tmp_path):
    """The same tensors by name and shape are taken, and training goes on from their place."""
    run = tmp_path / name
    shutil.copytree(GOLDEN / "runs" / name, run)
    (checkpoint,) = (run / "checkpoints").iterdir()
    kinds = checkpoint / "tensors.json"
    if kinds.exists():
        generator = torch.Generator().manual_seed(0)
        tensors = {key: filled(kind, generator) for key, kind in json.loads(kinds.read_text()).items()}
        kinds.unlink()
        save_file(tensors, checkpoint / "state.safetensors")
        seal(checkpoint)
    assert describe(run)["checkpoints"] == ["images-000000000008"]
    sets = ["training.total_kimg=0.012", "training.evaluate_every_kimg=1000", "training.sample_every_kimg=1000"]
    words = ["train", "--collection", str(GOLDEN / "collection"), "--run", str(run)]
    with pytest.raises(SystemExit) as end:
        main(["--quiet", *words, *[word for value in sets for word in ("--set", value)]])
    assert not end.value.code
    assert "images-000000000012" in describe(run)["checkpoints"]
    old = (GOLDEN / "runs" / name / "metrics.jsonl").read_text()
    assert (run / "metrics.jsonl").read_text().startswith(old)
