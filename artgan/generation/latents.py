"""Latents and styles of a seed: the same in any batch, on any machine."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from artgan import seeding

LATENT_STREAM = "sample/latents"
MEAN_SAMPLES = 4096


def latents_for_seeds(seeds: Sequence[int], latent_dim: int) -> Tensor:
    """Return the latents z of each seed, float32 `[len(seeds), latent_dim]`."""
    rows = [seeding.normal(0, LATENT_STREAM, seed, 1, latent_dim)[0] for seed in seeds]
    return torch.from_numpy(np.stack(rows))


def mean_latents(latent_dim: int) -> Tensor:
    """Return the 4096 fixed latents whose styles stand for all of W, float32 `[4096, latent_dim]`."""
    return torch.from_numpy(seeding.normal(0, "sample/mean", 0, MEAN_SAMPLES, latent_dim))


def truncate(styles: Tensor, center: Tensor, truncation: float) -> Tensor:
    """Move styles towards a center: w' = c + truncation (w - c) (Karras et al. 2019, 1812.04948, section 3)."""
    return center + truncation * (styles - center)
