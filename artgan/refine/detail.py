"""The detail step, on Oklab lightness alone: guided-filter boost, unsharp mask with halo clamp, grain, canvas."""

import hashlib

import numpy as np
from scipy import ndimage

from artgan import seeding
from artgan.refine.steps.detail import DetailLook

_BOOST_EPSILON = 0.05**2  # edges of more than about 0.05 in lightness count as edges and stay
_BOOST_GAIN = 1.0  # of the texture at strength 1: twice as strong
_UNSHARP_GAIN = 1.5
_UNSHARP_THRESHOLD = 0.004  # about one 8-bit step: below it there is nothing but noise to sharpen
_HALO_MARGIN = 0.01
_GRAIN_DEVIATION = 0.03
_GRAIN_RADIUS_PX = 0.6
_CANVAS_DEPTH = 0.03
_CANVAS_PERIOD_PX = 3.0


def refine_detail(lightness: np.ndarray, look: DetailLook, seed: int, name: str) -> np.ndarray:
    """Return lightness `[H, W]` with more detail; the same array when every strength is 0.

    Args:
        lightness: Oklab L in [0, 1], float32.
        look: the strengths.
        seed, name: what the grain is drawn from; each picture has its own.
    """
    if look.boost:
        base = guided_filter(lightness, lightness, look.boost_radius_px, _BOOST_EPSILON)
        lightness = lightness + look.boost * _BOOST_GAIN * (lightness - base)
    if look.unsharp:
        lightness = unsharp(lightness, look.unsharp * _UNSHARP_GAIN, look.unsharp_radius_px)
    if look.grain:
        lightness = lightness + look.grain * _GRAIN_DEVIATION * _grain(lightness.shape, seed, name)
    if look.canvas:
        lightness = lightness + look.canvas * _CANVAS_DEPTH * _canvas(lightness.shape)
    return lightness


def guided_filter(guide: np.ndarray, values: np.ndarray, radius_px: int, epsilon: float) -> np.ndarray:
    """Smooth `[H, W]` along the edges of a guide (He et al. 2013, alg. 1): q = mean(a) I + mean(b), with a box of radius r.

    a = cov(I, p) / (var(I) + epsilon), b = mean(p) - a mean(I); borders are mirrored, the edge repeated, as in OpenCV.
    """
    guide, values = guide.astype(np.float64), values.astype(np.float64)
    guide_mean, values_mean = _box(guide, radius_px), _box(values, radius_px)
    covariance = _box(guide * values, radius_px) - guide_mean * values_mean
    variance = _box(guide * guide, radius_px) - guide_mean * guide_mean
    slope = covariance / (variance + epsilon)
    offset = values_mean - slope * guide_mean
    return (_box(slope, radius_px) * guide + _box(offset, radius_px)).astype(np.float32)


def unsharp(lightness: np.ndarray, amount: float, radius_px: float) -> np.ndarray:
    """Return L + amount (L - G L), G a Gaussian, within the local range of L: edges get steeper, not brighter than before."""
    edges = lightness - ndimage.gaussian_filter(lightness, radius_px, mode="reflect")
    edges = np.sign(edges) * np.maximum(np.abs(edges) - _UNSHARP_THRESHOLD, 0)
    size = 2 * int(np.ceil(radius_px)) + 1
    low = ndimage.minimum_filter(lightness, size, mode="reflect") - _HALO_MARGIN
    high = ndimage.maximum_filter(lightness, size, mode="reflect") + _HALO_MARGIN
    return (lightness + amount * edges).clip(low, high).astype(lightness.dtype)


def _box(values: np.ndarray, radius_px: int) -> np.ndarray:
    return ndimage.uniform_filter(values, 2 * radius_px + 1, mode="reflect")


def _grain(shape: tuple[int, ...], seed: int, name: str) -> np.ndarray:
    stream = f"refine/grain/{hashlib.sha256(name.encode()).hexdigest()}"
    values = seeding.normal(seed, stream, 0, 1, shape[0] * shape[1]).reshape(shape)
    soft = ndimage.gaussian_filter(values, _GRAIN_RADIUS_PX, mode="wrap")
    return (soft / max(float(soft.std()), 1e-6)).astype(np.float32)


def _canvas(shape: tuple[int, ...]) -> np.ndarray:
    """Return a plain weave in [-1, 1]: threads over and under each other."""
    rows = np.arange(shape[0], dtype=np.float32)[:, None] * (2 * np.pi / _CANVAS_PERIOD_PX)
    columns = np.arange(shape[1], dtype=np.float32)[None] * (2 * np.pi / _CANVAS_PERIOD_PX)
    return (np.sin(rows) * np.cos(columns / 2) + np.sin(columns) * np.cos(rows / 2)) / 2
