"""Inception features and metrics against values that a separate implementation computed on real art."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from artgan.backbones.backbone import load_backbone
from artgan.evaluation.resize import resize
from artgan.images import to_float
from artgan.metrics.frechet import fit_gaussian, frechet_distance
from artgan.metrics.kernel import kernel_distance
from tests.conftest import needs_weights

ART = Path(os.environ.get("ARTGAN_WEIGHTS", "")).parent / "art" / "kaokore_256"


def pillow_float_resize(pixels: np.ndarray, size: int) -> np.ndarray:
    """Pillow's bicubic on each channel in float, the reference for the clean resize."""
    channels = [
        Image.fromarray(pixels[..., c].astype(np.float32)).resize((size, size), Image.Resampling.BICUBIC) for c in range(3)
    ]
    return np.stack([np.asarray(channel) for channel in channels], -1).clip(0, 255)


@pytest.mark.parametrize("side", [32, 64, 256, 299, 1024])
def test_clean_resize_equals_pillow_in_float(side):
    pixels = np.random.default_rng(side).integers(0, 256, (side, side, 3), dtype=np.uint8)
    ours = resize(to_float(torch.from_numpy(pixels)[None]), 299, "clean")[0].permute(1, 2, 0).numpy()
    assert np.abs((ours + 1) * 127.5 - pillow_float_resize(pixels, 299)).max() < 0.5


def test_resize_without_antialiasing_would_be_noticed():
    board = np.indices((512, 512)).sum(0) % 2 * 255
    pixels = np.repeat(board[..., None], 3, -1).astype(np.uint8)
    aliased = torch.nn.functional.interpolate(to_float(torch.from_numpy(pixels)[None]), (299, 299), mode="bicubic")
    assert np.abs((aliased[0].permute(1, 2, 0).numpy() + 1) * 127.5 - pillow_float_resize(pixels, 299)).max() > 50


def features_of_art(backbone, names: list[str]) -> np.ndarray:
    rows = []
    for start in range(0, len(names), 25):
        pixels = np.stack([np.asarray(Image.open(ART / name).convert("RGB")) for name in names[start : start + 25]])
        images = resize(to_float(torch.from_numpy(pixels)), 299, "clean")
        rows.append(backbone(images)["768"].mean((2, 3)).numpy())
    return np.concatenate(rows)


@needs_weights("inception_fid_2015")
@pytest.mark.skipif(not ART.is_dir(), reason="needs the kaokore pictures beside the weights")
@pytest.mark.parametrize("pictures", [25, pytest.param(600, marks=[pytest.mark.slow, pytest.mark.long])])
@torch.inference_mode()
def test_known_features_and_distances_on_real_art(pictures):
    """The first features to 1e-4; 600 against 600 pictures, 768-d: FD 0.198173 to 1e-3, KID -3.72e-6."""
    names = sorted(str(path.relative_to(ART)) for path in ART.glob("*/*.jpg"))
    assert len(names) == 2400
    backbone = load_backbone("inception_fid_2015", ("768",)).to(memory_format=torch.channels_last)
    first = features_of_art(backbone, names[0::2][:pictures])
    assert first[0, :5] == pytest.approx([0.039341, 0.129849, 0.058607, 0.050474, 0.048508], abs=1e-4)
    if pictures == 600:
        second = features_of_art(backbone, names[1::2][:600])
        assert frechet_distance(fit_gaussian(first), fit_gaussian(second)) == pytest.approx(0.198173, rel=1e-3)
        assert kernel_distance(first, second).value == pytest.approx(-3.72e-6, abs=2e-8)
