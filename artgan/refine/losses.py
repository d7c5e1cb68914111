"""Style, content and smoothness losses: one number per picture, so that pictures in a batch never mix."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

Features = Mapping[str, Tensor]


def gram_matrices(features: Tensor) -> Tensor:
    """Return G = F F^T / N over the N positions of `[B, C, H, W]`: `[B, C, C]` (Gatys et al. 2016, eq. 3)."""
    flat = features.float().flatten(2)
    return flat @ flat.transpose(1, 2) / flat.shape[2]


def style_loss(features: Features, targets: Features) -> Tensor:
    """Return `[B]`: the mean over layers of |G - G_style|^2 / |G_style|^2.

    Departure from Gatys et al. (2016, eq. 4-5): each layer's squared distance is relative to its target, so that weights
    mean the same in every layer, backbone and size.
    """
    return torch.stack([_relative(gram_matrices(features[layer]), gram) for layer, gram in targets.items()]).mean(0)


def content_loss(features: Features, targets: Features, layers: Sequence[str]) -> Tensor:
    """Return `[B]`: the mean over layers of |F - F_content|^2 / |F_content|^2 (relative, as the style loss)."""
    return torch.stack([_relative(features[layer].float(), targets[layer].float()) for layer in layers]).mean(0)


def total_variation(images: Tensor) -> Tensor:
    """Return `[B]`: the mean squared difference of neighbours in `[B, 3, H, W]`."""
    rows = (images[:, :, 1:] - images[:, :, :-1]).square().mean((1, 2, 3))
    columns = (images[:, :, :, 1:] - images[:, :, :, :-1]).square().mean((1, 2, 3))
    return rows + columns


def _relative(values: Tensor, target: Tensor) -> Tensor:
    return (values - target).square().flatten(1).sum(1) / target.square().flatten(1).sum(1).clamp_min(1e-12)
