import numpy as np
import pytest
import torch
from PIL import Image

from artgan import images
from artgan.errors import DataError, StorageError
from artgan.metadata import read_metadata


def test_float_and_back_is_the_identity_on_every_level():
    levels = torch.arange(256, dtype=torch.uint8).view(1, 16, 16, 1).expand(1, 16, 16, 3)
    assert torch.equal(images.to_uint8(images.to_float(levels)), levels)


def test_float_is_channels_first_within_one():
    pixels = torch.zeros(1, 2, 3, 3, dtype=torch.uint8)
    pixels[0, 1, 2] = torch.tensor([255, 0, 255], dtype=torch.uint8)
    converted = images.to_float(pixels)
    assert converted.shape == (1, 3, 2, 3)
    assert converted[0, :, 1, 2].tolist() == [1, -1, 1]
    assert images.to_uint8(torch.full((1, 3, 1, 1), 7.0)).max() == 255


def test_grid_keeps_order_and_leaves_white():
    tiles = np.stack([np.full((2, 2, 3), value, np.uint8) for value in (10, 20, 30)])
    sheet = images.grid(tiles)
    assert sheet.shape == (4, 4, 3)
    assert [sheet[0, 0, 0], sheet[0, 2, 0], sheet[2, 0, 0], sheet[2, 2, 0]] == [10, 20, 30, 255]


def test_a_png_carries_its_metadata_in_three_forms(tmp_path):
    path = tmp_path / "picture.png"
    metadata = {"seed": 3, "truncation": 0.8, "model": "x-1k", "model_hash": "abc", "version": "1"}
    pixels = np.random.default_rng(0).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    images.save_png(path, pixels, metadata)
    assert read_metadata(path) == metadata
    with Image.open(path) as image:
        assert np.array_equal(np.asarray(image), pixels)
        assert image.info["parameters"] == "Seed: 3, Model: x-1k, Model hash: abc, Truncation: 0.8, artgan version: 1"
        assert "digitalsourcetype/trainedAlgorithmicMedia" in image.info["XML:com.adobe.xmp"]
    assert list(tmp_path.iterdir()) == [path]


def test_a_foreign_picture_has_no_metadata(tmp_path):
    Image.new("RGB", (2, 2)).save(tmp_path / "foreign.png")
    assert read_metadata(tmp_path / "foreign.png") is None
    (tmp_path / "text.png").write_text("no picture")
    assert read_metadata(tmp_path / "text.png") is None


def test_hostile_metadata_is_an_error_of_ours(tmp_path):
    from PIL import PngImagePlugin

    info = PngImagePlugin.PngInfo()
    info.add_itxt("artgan", "[" * 100_000)
    Image.new("RGB", (2, 2)).save(tmp_path / "hostile.png", pnginfo=info)
    with pytest.raises(DataError, match="not readable"):
        read_metadata(tmp_path / "hostile.png")


def test_an_unwritable_place_is_a_storage_error(tmp_path):
    with pytest.raises(StorageError, match="cannot write"):
        images.save_png(tmp_path / "missing" / "x.png", np.zeros((2, 2, 3), np.uint8))
