"""Enlarging `[B, C, h, w]` in [-1, 1] without a network, by ways under their own names."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from artgan.refine.enlarging.network import LANCZOS_RADIUS, lanczos

_CORRECTIONS = 2


@dataclass(frozen=True)
class Way:
    """A classical way.

    Attributes:
        enlarge: pictures and a factor to larger pictures.
        radius: how many pixels around a small picture's pixel its enlargement depends on.
    """

    enlarge: Callable[[Tensor, int], Tensor]
    radius: int


def edge(images: Tensor, factor: int) -> Tensor:
    """Enlarge by Lanczos, corrected until averages are the small picture (Irani & Peleg 1991), within the range of neighbours.

    x <- clip(x + up(small - average(x)), lowest neighbour, highest neighbour): edges get steeper, without halos.
    """
    low, high = -F.max_pool2d(-_framed(images), 3, 1), F.max_pool2d(_framed(images), 3, 1)
    low, high = (bound.repeat_interleave(factor, 2).repeat_interleave(factor, 3) for bound in (low, high))
    large = lanczos(images, factor)
    for _ in range(_CORRECTIONS):
        large = large + lanczos(images - F.avg_pool2d(large, factor), factor)
        large = torch.minimum(torch.maximum(large, low), high)
    return large


def _framed(images: Tensor) -> Tensor:
    return F.pad(images, (1, 1, 1, 1), mode="replicate")


WAYS = {
    "lanczos": Way(lanczos, LANCZOS_RADIUS),
    "edge": Way(edge, LANCZOS_RADIUS * (1 + _CORRECTIONS) + 1),
}
