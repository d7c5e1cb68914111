"""The verb sample: every way of making pictures, and every wrong turn."""

import shutil

import numpy as np
import pytest
from PIL import Image

from artgan.metadata import read_metadata
from tests.integration.test_cli import artgan, refused


@pytest.mark.parametrize("image_format", ["png", "jpeg", "webp", "tiff"])
def test_a_picture_made_again_has_the_same_bytes(trained_model, image_format, tmp_path):
    words = ("--class", "waves=2,landscapes=1", "--move", "sefa-1=2", "--truncation", "0.7", "--centers", "4")
    first = tmp_path / "first"
    assert artgan("sample", trained_model.folder, "--out", first, "--seeds", "0-9", *words, "--format", image_format) == 0
    (made,) = first.glob("seed-0005.*")
    assert artgan("sample", trained_model.folder, "--out", tmp_path / "again", "--again", made) == 0
    assert (tmp_path / "again" / made.name).read_bytes() == made.read_bytes()


def test_a_mixing_sheet_has_a_row_for_each_seed(trained_model, tmp_path):
    words = ("--seeds", "1-2", "--mix", "5-7", "--mix-layers", "coarse", "--captions")
    assert artgan("sample", trained_model.folder, "--out", tmp_path, *words, "--quiet", "--force") == 0
    names = sorted(path.name for path in tmp_path.glob("seed-0001*"))
    assert names == ["seed-0001-coarse-0005.png", "seed-0001-coarse-0006.png", "seed-0001-coarse-0007.png", "seed-0001.png"]
    with Image.open(tmp_path / "grid.png") as sheet:
        assert sheet.size == (4 * 32, 2 * (32 + 17))
    point = read_metadata(tmp_path / "seed-0001-coarse-0006.png")["point"]
    assert (point["seed"], point["mixed"]["seed"], point["layers"]) == (1, 6, [0, 1])


@pytest.mark.parametrize("measure", ["realism", "diversity", "novelty"])
def test_the_best_of_many_are_kept(trained_model, collection_folder, measure, tmp_path, capsys):
    words = ("--seeds", "0-19", "--select", "4", "--by", measure, "--collection", collection_folder, "--features", "random")
    assert artgan("sample", trained_model.folder, "--out", tmp_path, *words, "--force") == 0
    said = capsys.readouterr().out
    chosen = {int(path.stem[5:]) for path in tmp_path.glob("seed-*.png")}
    assert len(chosen) == 4
    assert all(f"seed {seed}: {measure}" in said for seed in chosen)
    assert "pictures/s" in said


def test_classes_in_turn_and_by_name(trained_model, tmp_path):
    assert artgan("sample", trained_model.folder, "--out", tmp_path, "--seeds", "0-5", "--force", "--quiet") == 0
    classes = [read_metadata(tmp_path / f"seed-000{seed}.png")["class"] for seed in range(6)]
    assert classes == [*trained_model.card.classes, trained_model.card.classes[0]]
    pictures = [np.asarray(Image.open(tmp_path / f"seed-000{seed}.png")) for seed in (0, 5)]
    assert not np.array_equal(*pictures)


def test_wrong_turns(trained_model, collection_folder, tmp_path, capsys):
    out, model = ("--out", tmp_path / "out"), trained_model.folder
    refused(capsys, 2, "expected one of png, jpeg, webp, tiff", "sample", model, *out, "--format", "gif")
    refused(capsys, 2, "--select compares with the training pictures", "sample", model, *out, "--select", "3")
    refused(capsys, 2, "give one of them", "sample", model, *out, "--mix", "1", "--again", "x.png")
    refused(capsys, 2, "expected NAME=NUMBER", "sample", model, *out, "--move", "sefa-1")
    refused(capsys, 3, "no direction 'sefa-99'", "sample", model, *out, "--move", "sefa-99=1", "--force")
    refused(capsys, 2, "the model's classes are", "sample", model, *out, "--class", "wawes", "--force")
    with_collection = ("--collection", collection_folder, "--features", "random")
    refused(capsys, 2, "from 1 to 4", "sample", model, *out, "--seeds", "0-3", "--select", "9", *with_collection, "--force")
    Image.new("RGB", (8, 8)).save(tmp_path / "foreign.png")
    refused(capsys, 3, "carries no point", "sample", model, *out, "--again", tmp_path / "foreign.png", "--force")
    shutil.copy(tmp_path / "foreign.png", tmp_path / "foreign.bmp")
    refused(capsys, 2, "give pictures of one format", "sample", model, *out, "--again", tmp_path / "foreign.bmp", "--force")
