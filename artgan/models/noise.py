"""Gaussian noise as a pure function of (key, layer, pixel), made on the device where it is used.

A generator with noise inputs needs a map for each layer and image: too much to draw on the host, and a device's own random
generator would be state to save. A key is 53 random bits from `artgan.seeding`; the words of a map are the key and the
counter mixed by the finalizer of SplitMix64 (Steele et al. 2014, "Fast splittable pseudorandom number generators").
"""

import math

import torch
from torch import Tensor

KEY_BITS = 53


def _signed(word: int) -> int:
    return word - (1 << 64) if word >= 1 << 63 else word


_GAMMA, _FIRST, _SECOND = (_signed(word) for word in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))
_LAYER_STRIDE = 1 << 32
_HALF_BITS = 24


def _shifted(x: Tensor, bits: int) -> Tensor:
    """Shift right without the sign."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def _mix(x: Tensor) -> Tensor:
    """Mix int64 words; products wrap around."""
    x = (x ^ _shifted(x, 30)) * _FIRST
    x = (x ^ _shifted(x, 27)) * _SECOND
    return x ^ _shifted(x, 31)


def keyed_noise(keys: Tensor, layer: int, shape: tuple[int, ...]) -> Tensor:
    """Return standard normals, float32 `[N, *shape]`, for keys `[N]` (int64) and a layer's number."""
    counters = torch.arange(math.prod(shape), device=keys.device) + layer * _LAYER_STRIDE  # int64
    words = _mix(_mix(keys * _GAMMA)[:, None] + counters * _GAMMA)
    # Box and Muller 1958: two uniforms of 24 bits each, strictly inside (0, 1), make one normal.
    first = (_shifted(words, 64 - _HALF_BITS).float() + 0.5) * 2.0**-_HALF_BITS
    second = ((words & ((1 << _HALF_BITS) - 1)).float() + 0.5) * 2.0**-_HALF_BITS
    return (torch.sqrt(-2 * torch.log(first)) * torch.cos(2 * math.pi * second)).view(-1, *shape)
