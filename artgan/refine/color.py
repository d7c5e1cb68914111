"""Color correction in Oklab: keep the content's colors, or match them to a picture or a collection."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from artgan.refine.oklab import oklab_from_srgb, srgb_from_oklab

# Flat pictures have almost no variance to scale; bounded gains keep their grain from becoming blotches.
_MIN_GAIN, _MAX_GAIN = 0.4, 2.5
_EPSILON = 1e-8


@dataclass(frozen=True)
class ColorStatistics:
    """Mean `[3]` and covariance `[3, 3]` of pixels in Oklab."""

    mean: np.ndarray
    covariance: np.ndarray


@dataclass(frozen=True)
class ColorMap:
    """x' = target_mean + matrix (x - source_mean), in Oklab."""

    matrix: np.ndarray
    source_mean: np.ndarray
    target_mean: np.ndarray


def color_statistics(pictures: Iterable[np.ndarray]) -> ColorStatistics:
    """Pool the pixels of sRGB pictures `[H, W, 3]` in [0, 1]; every pixel counts the same."""
    count, total, moment = 0, np.zeros(3), np.zeros((3, 3))
    for picture in pictures:
        pixels = oklab_from_srgb(picture.reshape(-1, 3).astype(np.float64))
        count += len(pixels)
        total += pixels.sum(0)
        moment += pixels.T @ pixels
    mean = total / count
    return ColorStatistics(mean, moment / count - np.outer(mean, mean))


def monge_kantorovich(source: ColorStatistics, target: ColorStatistics, *, bounded: bool = True) -> ColorMap:
    """Return the linear map of least transport cost between two Gaussians (Pitié & Kokaram 2007).

    A = S^(-1/2) (S^(1/2) T S^(1/2))^(1/2) S^(-1/2), symmetric and positive, so that no color axis flips.

    Args:
        source, target: statistics to map from and to.
        bounded: keep A's gains within 0.4 and 2.5; without it mean and covariance are matched exactly.
    """
    root = _matrix_root(source.covariance + _EPSILON * np.eye(3))
    inverse = np.linalg.inv(root)
    matrix = inverse @ _matrix_root(root @ (target.covariance + _EPSILON * np.eye(3)) @ root) @ inverse
    if bounded:
        gains, axes = np.linalg.eigh((matrix + matrix.T) / 2)
        matrix = (axes * gains.clip(_MIN_GAIN, _MAX_GAIN)) @ axes.T
    return ColorMap(matrix, source.mean, target.mean)


def apply_map(picture: np.ndarray, color_map: ColorMap, strength: float) -> np.ndarray:
    """Apply a map to an sRGB picture `[H, W, 3]` in [0, 1], along McCann's interpolation: A_t = (1 - t) I + t A."""
    if strength == 0:
        return picture
    oklab = oklab_from_srgb(picture.astype(np.float64))
    moved = color_map.target_mean + (oklab - color_map.source_mean) @ color_map.matrix.T
    return srgb_from_oklab(oklab + strength * (moved - oklab)).astype(picture.dtype)


def keep_colors(stylized: np.ndarray, content: np.ndarray, strength: float) -> np.ndarray:
    """Give a stylized picture its content's hue and chroma, and keep its lightness; both `[H, W, 3]` in [0, 1]."""
    if strength == 0:
        return stylized
    oklab = oklab_from_srgb(stylized.astype(np.float64))
    original = oklab_from_srgb(content.astype(np.float64))
    oklab[..., 1:] += strength * (original[..., 1:] - oklab[..., 1:])
    return srgb_from_oklab(oklab).astype(stylized.dtype)


def _matrix_root(matrix: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(values.clip(0))) @ vectors.T
