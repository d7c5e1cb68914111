"""Oklab, the color space in which equal distances look about equal (Ottosson 2020, "A perceptual color space").

All functions take and return float arrays `[..., 3]`. sRGB is in [0, 1] and gamma-coded; `linear` is light.
"""

import numpy as np

_LMS_FROM_LINEAR = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_OKLAB_FROM_CUBE_ROOTS = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
_LINEAR_FROM_LMS = np.linalg.inv(_LMS_FROM_LINEAR)
_CUBE_ROOTS_FROM_OKLAB = np.linalg.inv(_OKLAB_FROM_CUBE_ROOTS)
_GAMUT_STEPS = 20
_GAMUT_TOLERANCE = 1e-6


def linear_from_srgb(srgb: np.ndarray) -> np.ndarray:
    """Decode gamma (IEC 61966-2-1)."""
    return np.where(srgb <= 0.04045, srgb / 12.92, ((np.maximum(srgb, 0.04045) + 0.055) / 1.055) ** 2.4)


def srgb_from_linear(linear: np.ndarray) -> np.ndarray:
    """Encode gamma (IEC 61966-2-1); values below 0 stay on the straight part."""
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * np.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055)


def oklab_from_linear(linear: np.ndarray) -> np.ndarray:
    """Return L in [0, 1] and a, b around 0."""
    return _times(np.cbrt(_times(linear, _LMS_FROM_LINEAR)), _OKLAB_FROM_CUBE_ROOTS)


def linear_from_oklab(oklab: np.ndarray) -> np.ndarray:
    """Return light, outside [0, 1] where the color is outside sRGB."""
    cones = _times(oklab, _CUBE_ROOTS_FROM_OKLAB)
    return _times(cones * cones * cones, _LINEAR_FROM_LMS)


def oklab_from_srgb(srgb: np.ndarray) -> np.ndarray:
    """Return L, a, b of gamma-coded sRGB: floats in [0, 1], or uint8 by a table of its 256 values, as float32."""
    if srgb.dtype == np.uint8:
        return oklab_from_linear(linear_from_srgb(np.arange(256) / 255).astype(np.float32)[srgb])
    return oklab_from_linear(linear_from_srgb(srgb))


def srgb_from_oklab(oklab: np.ndarray) -> np.ndarray:
    """Return sRGB in [0, 1]; a color outside the gamut loses chroma, and keeps lightness and hue."""
    oklab = oklab.copy()
    oklab[..., 0] = oklab[..., 0].clip(0, 1)
    linear = linear_from_oklab(oklab)
    outside = ((linear < -_GAMUT_TOLERANCE) | (linear > 1 + _GAMUT_TOLERANCE)).any(-1)
    if outside.any():
        linear[outside] = linear_from_oklab(_reduce_chroma(oklab[outside]))
    return srgb_from_linear(linear.clip(0, 1))


def _reduce_chroma(oklab: np.ndarray) -> np.ndarray:
    """Bisect for the largest share of each color's chroma that sRGB can show; gray at the same lightness always can.

    Cones' roots are linear in the share, so light is a cubic of it, whose coefficients are computed once.
    """
    gray, color = (oklab * np.array(kept, oklab.dtype) for kept in ((1, 0, 0), (0, 1, 1)))
    p, q = (_times(part, _CUBE_ROOTS_FROM_OKLAB) for part in (gray, color))
    c0, c1, c2, c3 = (
        _times(cones, _LINEAR_FROM_LMS).T.copy() for cones in (p * p * p, 3 * p * p * q, 3 * p * q * q, q * q * q)
    )
    low, high = np.zeros(len(oklab), oklab.dtype), np.ones(len(oklab), oklab.dtype)
    for _ in range(_GAMUT_STEPS):
        middle = (low + high) / 2
        light = ((c3 * middle + c2) * middle + c1) * middle + c0
        inside = ((light >= -_GAMUT_TOLERANCE) & (light <= 1 + _GAMUT_TOLERANCE)).all(0)
        low, high = np.where(inside, middle, low), np.where(inside, high, middle)
    return gray + color * low[:, None]


def _times(colors: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Apply a matrix to each color, in the colors' own precision."""
    return colors @ matrix.T.astype(colors.dtype)
