"""Small gray copies as vectors whose dot product is a correlation: what a picture shows where, at next to no cost."""

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

SIDE_PX = 16
LENGTH = SIDE_PX * SIDE_PX
_SMALLEST = 1e-6


def thumbnails_of(images: Tensor) -> Tensor:
    """Return float32 `[N, 256]` of pictures `[N, 3, H, W]`: 16 px by box averages, each of mean 0 and length 1.

    The dot product of two is their correlation, in [-1, 1]; a picture of one color has none with any other.
    """
    gray = images.float().mean(1, keepdim=True)
    rows = adaptive_avg_pool2d(gray, SIDE_PX).flatten(1)
    rows = rows - rows.mean(1, keepdim=True)
    length = rows.norm(dim=1, keepdim=True)
    return torch.where(length > _SMALLEST, rows / length.clamp_min(_SMALLEST), torch.zeros_like(rows))


def flipped(thumbnails: np.ndarray) -> np.ndarray:
    """Return the thumbnails `[N, 256]` of the mirror images."""
    return thumbnails.reshape(-1, SIDE_PX, SIDE_PX)[:, :, ::-1].reshape(thumbnails.shape)
