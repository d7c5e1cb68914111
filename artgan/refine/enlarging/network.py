"""The enlarger: a residual network at the small picture's size, then a convolution at each doubling.

Lim et al. 2017, "Enhanced deep residual networks for single image super-resolution" (1707.02921): no batch norm, so that a
pixel depends on its neighbourhood alone. Departures: it adds to a Lanczos enlargement, so that an untrained network is Lanczos;
bilinear doublings and convolutions in place of sub-pixel ones, which at the same cost left a grid of the small picture's pixels
on flat paint (Odena et al. 2016, "Deconvolution and checkerboard artifacts"); noise as an input, since without it all that a
network can draw on flat paint repeats from pixel to pixel, as a mesh; narrow and short, for CPUs.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from artgan import seeding

FACTORS = (2, 4)
NOISE_CHANNELS = 4
LANCZOS_RADIUS = 3  # its lobes
_UP_WIDTH = 16  # channels at sizes above the small picture's
_RESIDUAL_GAIN = 0.2
_LAST_GAIN = 0.1


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(width, width, 3, padding=1), nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + _RESIDUAL_GAIN * self.second(F.relu(self.first(x)))


class EnlargingNetwork(nn.Module):
    """Pictures `[B, 3, H, W]` in [-1, 1] and noise `[B, 4, H, W]` to `[B, 3, factor H, factor W]`, which may leave the range.

    Args:
        factor: 2 or 4.
        width: channels at the small size.
        blocks: residual blocks.

    Attributes:
        radius: how many pixels around a small picture's pixel its enlargement depends on.
    """

    def __init__(self, factor: int, width: int, blocks: int) -> None:
        super().__init__()
        assert factor in FACTORS
        self.factor, self.radius = factor, 2 * blocks + 3
        self.first = nn.Conv2d(3 + NOISE_CHANNELS, width, 3, padding=1)
        self.blocks = nn.Sequential(*[_Residual(width) for _ in range(blocks)])
        inner = [width, *[_UP_WIDTH] * _doublings(factor)]
        self.up = nn.ModuleList(nn.Conv2d(wide, narrow, 3, padding=1) for wide, narrow in pairwise(inner))
        self.last = nn.Conv2d(_UP_WIDTH, 3, 3, padding=1)
        assert self.last.bias is not None
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, images: Tensor, noise: Tensor) -> Tensor:
        x = self.first(torch.cat([images, noise], 1))
        x = x + self.blocks(x)
        for convolution in self.up:
            x = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
            x = F.leaky_relu(convolution(x), 0.1)
        return lanczos(images, self.factor) + _LAST_GAIN * self.last(x)


def still_noise(height: int, width: int) -> Tensor:
    """Return the noise of pictures of a size, `[1, 4, height, width]`: always the same, so that frames of a film agree."""
    values = seeding.normal(0, "enlarger/still", 0, height, NOISE_CHANNELS * width)
    return torch.from_numpy(values.reshape(1, height, NOISE_CHANNELS, width)).transpose(1, 2).contiguous()


def _doublings(factor: int) -> int:
    return factor.bit_length() - 1


def lanczos(images: Tensor, factor: int) -> Tensor:
    """Enlarge `[B, C, H, W]` by a whole factor with the windowed sinc of three lobes (Duchon 1979), edges repeated.

    L(x) = sinc(x) sinc(x / 3) for |x| < 3; the weights of each result are brought to a sum of 1, as in Pillow.
    """
    weights = torch.tensor(_lanczos_weights(factor), dtype=images.dtype, device=images.device)
    flat = F.pad(
        images.flatten(0, 1)[:, None], (LANCZOS_RADIUS, LANCZOS_RADIUS, LANCZOS_RADIUS, LANCZOS_RADIUS), mode="replicate"
    )
    rows = F.conv2d(flat, weights[:, None, :, None])  # [BC, factor, H, W + 6]
    rows = rows.transpose(1, 2).flatten(1, 2)[:, None]  # [BC, 1, factor H, W + 6]
    both = F.conv2d(rows, weights[:, None, None, :]).permute(0, 2, 3, 1).flatten(2, 3)
    return both.unflatten(0, images.shape[:2])


def _lanczos_weights(factor: int) -> list[list[float]]:
    """Return for each sub-pixel the weights of the seven pixels around it."""

    def window(x: float) -> float:
        if abs(x) >= LANCZOS_RADIUS:
            return 0.0
        return (
            1.0
            if x == 0
            else LANCZOS_RADIUS * math.sin(math.pi * x) * math.sin(math.pi * x / LANCZOS_RADIUS) / (math.pi * x) ** 2
        )

    table = []
    for place in range(factor):
        center = (place + 0.5) / factor - 0.5
        row = [window(offset - center) for offset in range(-LANCZOS_RADIUS, LANCZOS_RADIUS + 1)]
        table.append([value / sum(row) for value in row])
    return table
