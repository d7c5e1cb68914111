"""What a network sees of a drawing: a crop, turned and lit a little, with the parts that lie in it."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from artgan.drawings.textures import Random

VIEW_PX = 48
LABELS_PX = 12


@dataclass(frozen=True)
class Views:
    """A batch of views.

    Attributes:
        images: `[N, 3, 48, 48]` in [0, 1].
        parts: int64 `[N, 12, 12]`.
        boxes: where they lie, `[N, 4]`: center, width and height in drawings of side 2 around 0.
    """

    images: Tensor
    parts: Tensor
    boxes: Tensor


def _uniform(random: Random, low: float, high: float, *shape: int) -> Tensor:
    return torch.from_numpy(random.uniform(low, high, shape).astype(np.float32))


def look(random: Random, records: NDArray[np.void]) -> Views:
    """Return one random view of each drawing: 10 to 90 % of its area, at times mirrored, turned, lit otherwise, gray."""
    count = len(records)
    images = torch.from_numpy(np.ascontiguousarray(records["image"])).permute(0, 3, 1, 2)
    pixels = images.float().div_(255).contiguous(memory_format=torch.channels_last)
    side = _uniform(random, 0.1, 0.9, count).sqrt()
    stretch = _uniform(random, -0.2, 0.2, count).exp()
    width, height = (side * stretch).clamp_max(1), (side / stretch).clamp_max(1)
    x, y = _uniform(random, -1, 1, count) * (1 - width), _uniform(random, -1, 1, count) * (1 - height)
    mirrored = torch.where(_uniform(random, 0, 1, count) < 0.5, -1.0, 1.0)
    angle = _uniform(random, -0.25, 0.25, count) * (_uniform(random, 0, 1, count) < 0.5)
    cosine, sine = angle.cos(), angle.sin()
    rows = [
        torch.stack([mirrored * width * cosine, -height * sine, x], 1),
        torch.stack([mirrored * width * sine, height * cosine, y], 1),
    ]
    places = torch.stack(rows, 1)
    grid = F.affine_grid(places, [count, 3, VIEW_PX, VIEW_PX], align_corners=False)
    seen = F.grid_sample(pixels, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    coarse = F.affine_grid(places, [count, 1, LABELS_PX, LABELS_PX], align_corners=False)
    labels = torch.from_numpy(np.ascontiguousarray(records["parts"])).float()[:, None]
    parts = F.grid_sample(labels, coarse, mode="nearest", padding_mode="reflection", align_corners=False)
    return Views(_lit(random, seen), parts[:, 0].round().long(), torch.stack([x, y, width, height], 1))


def _lit(random: Random, images: Tensor) -> Tensor:
    """Change brightness, contrast, saturation and the color of the light; a tenth become gray, a fifth grainy."""
    count = len(images)
    saturation = _uniform(random, 0.6, 1.4, count, 1, 1, 1) * (_uniform(random, 0, 1, count, 1, 1, 1) > 0.1)
    gray = images.mean(1, keepdim=True)
    images = gray + (images - gray) * saturation
    middle = images.mean((1, 2, 3), keepdim=True)
    images = middle + (images - middle) * _uniform(random, 0.6, 1.3, count, 1, 1, 1)
    images = images * _uniform(random, 0.75, 1.2, count, 1, 1, 1) * _uniform(random, 0.9, 1.1, count, 3, 1, 1)
    amount = _uniform(random, 0, 0.06, count, 1, 1, 1) * (_uniform(random, 0, 1, count, 1, 1, 1) < 0.2)
    noise = torch.from_numpy(random.standard_normal(tuple(images.shape), dtype=np.float32))
    return (images + amount * noise).clamp(0, 1)
