"""No frame around pictures: the outermost step between pixels beside those within, on kept sheets of our own runs.

A run that tests could afford would say nothing (docs/decisions.md, Exploring), so the sheets of the records stand for it: 64
samples each at 64 px, of runs of 32 thousand images. What the works themselves have was measured in the same way. Networks as
they begin, without any training, are made here.
"""

import numpy as np
import pytest
import torch
from PIL import Image

from artgan.models.fastgan_generator import Generator
from tests.conftest import ROOT

TILE_PX = 64
OF_WORKS = {"kaokore": 0.73, "monet": 1.01}


def tiles_of(sheet):
    with Image.open(ROOT / "records" / "sheets" / sheet) as image:
        pixels = np.asarray(image.convert("RGB"), float)
    rows, columns = pixels.shape[0] // TILE_PX, pixels.shape[1] // TILE_PX
    return pixels.reshape(rows, TILE_PX, columns, TILE_PX, 3).swapaxes(1, 2).reshape(-1, TILE_PX, TILE_PX, 3)


def border_ratio(tiles):
    """Return the mean difference across the outermost pixels of four sides over that within, of pictures `[N, H, W, 3]`."""
    down, across = np.abs(np.diff(tiles, axis=1)).mean((0, 2, 3)), np.abs(np.diff(tiles, axis=2)).mean((0, 1, 3))
    within = np.mean([down[2:-2].mean(), across[2:-2].mean()])
    return np.mean([down[0], down[-1], across[0], across[-1]]) / within


@pytest.mark.parametrize(("sheet", "works"), [("range-4-styles.jpg", "kaokore"), ("range-6-monet.jpg", "monet")])
def test_samples_have_no_more_of_a_border_than_works(sheet, works):
    assert border_ratio(tiles_of(sheet)) < 1.3 * OF_WORKS[works]


def test_a_frame_would_be_seen():
    """The same run with zeros at its borders has one."""
    assert border_ratio(tiles_of("range-5-monet-zeros.jpg")) > 1.3 * OF_WORKS["monet"]


def untrained(padding, seed):
    """Return 64 pictures of a network as it begins, `[64, 64, 64, 3]`."""
    torch.manual_seed(seed)
    shape = {"height_px": TILE_PX, "width_px": TILE_PX, "width": 8, "latent_dim": 32, "mapping_layers": 1, "num_classes": 0}
    network = Generator(**shape, padding=padding)
    with torch.no_grad():
        return network(torch.randn(64, 32), torch.zeros(64, dtype=torch.long)).permute(0, 2, 3, 1).numpy()


@pytest.mark.parametrize("seed", [0, 1])
def test_zeros_beyond_the_borders_make_larger_steps_before_any_training(seed):
    """By 37 to 39 % for three seeds."""
    assert border_ratio(untrained("zeros", seed)) > 1.2 * border_ratio(untrained("mixed", seed))
