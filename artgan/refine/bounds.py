"""Bounds on what style may add to a picture that has no detail of its own there: a small sample, enlarged.

The first layers of networks see little of the finest octave, and of color there nearly nothing (SqueezeNet begins with strides
of 2): whatever lies there costs no loss. Where a picture has detail, the content loss holds it; an enlarged one came out with
neon grain, up to three times as much of it as the style has. So each octave that the picture leaves empty is held to the energy
that the style has in it, at the size at which it is seen, and no color is stronger than the style's and the picture's own.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import fft

from artgan.refine.oklab import oklab_from_srgb, srgb_from_oklab

_ROUNDING = 0.5 / 255  # rms, in Oklab
_LEAK = 0.2
_SMALLEST_PX = 16
_OCTAVES = 12
_STRONGEST = 0.999  # quantile of the style's chroma; beyond it lie single pixels


@dataclass(frozen=True)
class Look:
    """What is measured of a picture in Oklab.

    Attributes:
        energies: mean square for each octave of frequencies, of lightness and of chroma, `[K, 2]`; octave 0 is the diagonal
            frequencies beyond half a cycle per pixel, 1 those from a quarter to a half, and so on.
        chroma: largest, apart from one pixel in a thousand.
    """

    energies: np.ndarray
    chroma: float


def empty_octaves(pixels: np.ndarray) -> int:
    """Return in how many octaves, from the finest on, a picture has no detail: 2 for one that was enlarged fourfold and more.

    They hold together no more than rounding to 8 bits leaves, or a fifth of what the next octave has (rms): after enlarging
    that is 0.11 to 0.15, in paintings and photographs 0.3 to 2.

    Args:
        pixels: `[H, W, 3]`, uint8 or float in [0, 1].
    """
    energies = look_of([pixels]).energies.sum(1)
    octaves = 0
    while min(pixels.shape[:2]) >> (octaves + 1) >= _SMALLEST_PX:
        finer, coarser = np.sqrt([energies[: octaves + 2].sum(), energies[octaves + 2]])
        if finer > max(_ROUNDING, _LEAK * coarser):
            break
        octaves += 1
    return octaves


def look_of(pixels: Sequence[np.ndarray]) -> Look:
    """Return the mean of what pictures are, `[H, W, 3]` each, uint8 or float in [0, 1]."""
    energies, chroma = [], []
    for picture in pixels:
        oklab = oklab_from_srgb(picture)
        energies.append(_energies(_spectrum(oklab), _octaves(oklab.shape[0], oklab.shape[1])))
        chroma.append(np.quantile(_chroma(oklab), _STRONGEST))
    return Look(np.mean(energies, 0), float(np.mean(chroma)))


def bounded(styled: np.ndarray, content: np.ndarray, style: Look, octaves: int) -> np.ndarray:
    """Return a styled picture with no more in the finest octaves than the style has, or the content, and no stronger color.

    An octave of too much energy is made weaker as a whole. In the cosine transform (Parseval) the bound is exact but for what
    the limit of chroma and of the range [0, 1] changes afterwards.

    Args:
        styled: float `[H, W, 3]` in [0, 1].
        content: the picture before, uint8 or float in [0, 1], of the same size.
        style: see `look_of`, at the size at which the style was seen.
        octaves: how many of the finest are bounded; see `empty_octaves`.
    """
    oklab = oklab_from_srgb(styled).astype(np.float64)
    spectrum, places = _spectrum(oklab), _octaves(oklab.shape[0], oklab.shape[1])
    own = look_of([content])
    allowed = np.maximum(style.energies, own.energies)
    gains = np.sqrt(np.minimum(1, allowed / np.maximum(_energies(spectrum, places), 1e-12)))
    gains[1 + octaves :] = 1
    spectrum *= gains[places][..., [0, 1, 1]]
    held = fft.idctn(spectrum, axes=(0, 1), norm="ortho")
    limit = max(style.chroma, float(_chroma(oklab_from_srgb(content)).max()))
    held[..., 1:] *= np.minimum(1, limit / np.maximum(_chroma(held), 1e-12))[..., None]
    return srgb_from_oklab(held).clip(0, 1).astype(np.float32)


def _chroma(oklab: np.ndarray) -> np.ndarray:
    return np.hypot(oklab[..., 1], oklab[..., 2])


def _spectrum(oklab: np.ndarray) -> np.ndarray:
    return np.asarray(fft.dctn(oklab.astype(np.float64), axes=(0, 1), norm="ortho"))


def _octaves(height: int, width: int) -> np.ndarray:
    """Return the octave of each frequency of a cosine transform, int `[H, W]`: 0 the finest."""
    rows, columns = np.arange(height) / height, np.arange(width) / width  # of half a cycle per pixel
    radius = np.hypot(rows[:, None], columns[None]).clip(2.0**-_OCTAVES)
    return (np.floor(-np.log2(radius)).astype(int) + 1).clip(0, _OCTAVES - 1)


def _energies(spectrum: np.ndarray, places: np.ndarray) -> np.ndarray:
    squares = spectrum**2 / places.size
    parts = (squares[..., 0], squares[..., 1:].sum(-1))
    return np.stack([np.bincount(places.ravel(), part.ravel(), _OCTAVES) for part in parts], 1)
