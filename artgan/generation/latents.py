"""Latents and styles of a seed: the same in any batch, on any machine."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from artgan import seeding
from artgan.models.contract import GeneratorNetwork

_STREAM = "sample/latents"
_MEAN_SAMPLES = 4096


def latents_for_seeds(seeds: Sequence[int], latent_dim: int) -> Tensor:
    """Return the latents z of each seed, float32 `[len(seeds), latent_dim]`."""
    rows = [seeding.normal(0, _STREAM, seed, 1, latent_dim)[0] for seed in seeds]
    return torch.from_numpy(np.stack(rows))


@torch.inference_mode()
def mean_style(generator: GeneratorNetwork, label: int) -> Tensor:
    """Return the mean of w over 4096 fixed latents of a class, float32 `[latent_dim]`."""
    device = next(generator.parameters()).device
    latents = torch.from_numpy(seeding.normal(0, "sample/mean", 0, _MEAN_SAMPLES, generator.latent_dim)).to(device)
    labels = torch.full((_MEAN_SAMPLES,), label, device=device)
    return generator.mapping(latents, labels).mean(0)


def truncate(styles: Tensor, mean: Tensor, truncation: float) -> Tensor:
    """Move styles towards the mean: w' = mean + truncation (w - mean) (Karras et al. 2019, 1812.04948, section 3)."""
    return mean + truncation * (styles - mean)
