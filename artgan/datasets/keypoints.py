"""Keypoints of a small gray copy: points that are found again in a crop of the picture, each with a code of what is around it.

The copy stands at six sizes, a fourth root of two apart, so that a crop that is enlarged up to twice meets its work at one of
them. Keypoints are the extrema of a difference of Gaussians (Lowe, 2004; each size by itself), the strongest of each size;
codes are the signs of 27 low DCT coefficients of the part around, and whether it is a maximum.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image

SIZES = 6
STEP = 2**0.25
COEFFICIENTS, WEAK = 27, 3
RECORD = np.dtype([("code", "<u4"), ("x", "u1"), ("y", "u1"), ("size", "u1"), ("weak", "u1", WEAK)])
PLACES = 256  # that x and y tell apart along a side
_LARGEST_PX = 64  # geometric mean of the sides of the largest copy
_MOST = np.array([14, 15, 16, 18, 22, 28])
_MIN_RESPONSE = 1.0  # in levels of 255
_RADIUS_PX, _SAMPLES = 5.5, 8
_BLUR_PX = 4  # what the filters and the comparison of neighbors take from every border
_MARGIN_PX = 6  # the radius, whole
MAX_ASPECT = 4.0


@dataclass(frozen=True)
class Keypoints:
    """The keypoints of a picture.

    Attributes:
        aspect: width / height of the picture, within 1/4 and 4.
        records: `RECORD` `[K]`, those of the smallest copy first: the code, the place in 256ths of the sides, the size of the
            copy from 0, the smallest, and the bits of the code that are nearest to turning.
    """

    aspect: float
    records: np.ndarray

    def to_bytes(self) -> bytes:
        """Return the keypoints as bytes."""
        return np.float32(self.aspect).tobytes() + self.records.tobytes()

    @staticmethod
    def from_bytes(data: bytes) -> "Keypoints":
        """Return the keypoints of `to_bytes`."""
        return Keypoints(float(np.frombuffer(data[:4], np.float32)[0]), np.frombuffer(data[4:], RECORD))


NONE = Keypoints(1.0, np.empty(0, RECORD))


@dataclass(frozen=True)
class _Stack:
    """How the copies lie over each other in one array."""

    sizes: tuple[tuple[int, int], ...]
    tops: np.ndarray
    usable: np.ndarray
    size_of_row: np.ndarray


def find_keypoints(image: Image.Image, box: tuple[float, float, float, float], aspect: float) -> Keypoints:
    """Return the keypoints of a picture.

    Args:
        image: a gray copy (mode L) of any shape.
        box: the part of it that is the picture: left, top, right, bottom.
        aspect: width / height of the picture itself.
    """
    aspect = float(np.clip(aspect, 1 / MAX_ASPECT, MAX_ASPECT))
    stack = _stack(_sides(aspect))
    levels = np.zeros((stack.tops[-1], stack.sizes[-1][0]), np.float32)
    for size in reversed(range(SIZES)):
        width, height = stack.sizes[size]
        image = image.resize((width, height), Image.Resampling.BILINEAR, box)
        box = (0, 0, width, height)
        levels[stack.tops[size] : stack.tops[size + 1], :width] = image
    y, x, contrast = _extrema(levels, stack)
    size = stack.size_of_row[y]
    coefficients = _around(levels, y + contrast.down, x + contrast.right) @ _BASIS
    sides = np.array(stack.sizes)[size]
    records = np.empty(len(y), RECORD)
    bits = np.zeros((len(y), 32), bool)
    bits[:, :COEFFICIENTS], bits[:, COEFFICIENTS] = coefficients > 0, contrast.is_maximum
    records["code"] = np.packbits(bits, 1, "little").view("<u4")[:, 0]
    records["x"] = PLACES * (x + contrast.right + 0.5) / sides[:, 0]
    records["y"] = PLACES * (y - stack.tops[size] + contrast.down + 0.5) / sides[:, 1]
    records["size"] = size
    certainty = np.abs(coefficients)
    for rank in range(WEAK):
        records["weak"][:, rank] = weakest = certainty.argmin(1)
        certainty[np.arange(len(y)), weakest] = np.inf
    return Keypoints(aspect, records)


def side_px(size: np.ndarray | int) -> np.ndarray:
    """Return the geometric mean of the sides of a copy, in px."""
    return np.asarray(_LARGEST_PX / STEP ** (SIZES - 1 - np.asarray(size)))


def _sides(aspect: float) -> tuple[tuple[int, int], ...]:
    means = side_px(np.arange(SIZES))
    return tuple((round(mean * aspect**0.5), round(mean / aspect**0.5)) for mean in means.tolist())


@lru_cache(256)
def _stack(sizes: tuple[tuple[int, int], ...]) -> _Stack:
    tops = np.cumsum([0, *(height for _, height in sizes)])
    usable = np.zeros((tops[-1], sizes[-1][0]), bool)
    for top, (width, height) in zip(tops[:-1], sizes, strict=True):
        usable[top + _MARGIN_PX : top + height - _MARGIN_PX, _MARGIN_PX : width - _MARGIN_PX] = True
    inner = usable[_BLUR_PX:-_BLUR_PX, _BLUR_PX:-_BLUR_PX]
    return _Stack(sizes, tops, inner, np.repeat(np.arange(SIZES), [height for _, height in sizes]))


@dataclass(frozen=True)
class _Extrema:
    """By how much of a pixel extrema lie right of and below their pixels, and which are maxima."""

    right: np.ndarray
    down: np.ndarray
    is_maximum: np.ndarray


def _extrema(levels: np.ndarray, stack: _Stack) -> tuple[np.ndarray, np.ndarray, _Extrema]:
    """Return rows and columns of the strongest extrema of each size, and what their neighbors say of them."""
    narrow = _blurred(levels)
    response = narrow[2:-2, 2:-2] - _blurred(_blurred(narrow))
    inner = response[1:-1, 1:-1]
    extreme = (inner == _over(np.maximum, response)) | (inner == _over(np.minimum, response))
    extreme &= stack.usable
    strength = np.abs(inner[extreme])
    row, column = np.divmod(np.flatnonzero(extreme)[strength > _MIN_RESPONSE], inner.shape[1])
    strength = strength[strength > _MIN_RESPONSE]
    order = np.argsort(256 * stack.size_of_row[row + _BLUR_PX] - strength, kind="stable")
    size = stack.size_of_row[row[order] + _BLUR_PX]
    kept = order[np.arange(len(order)) - np.searchsorted(size, np.arange(SIZES))[size] < _MOST[size]]
    row, column = row[kept], column[kept]
    flat, width = response.ravel(), response.shape[1]
    here = (row + 1) * width + column + 1
    value = flat[here]
    offsets = [_peak(flat[here - step], value, flat[here + step]) for step in (1, width)]
    return row + _BLUR_PX, column + _BLUR_PX, _Extrema(offsets[0], offsets[1], value > 0)


def _blurred(image: np.ndarray) -> np.ndarray:
    """Return an image filtered by [1 2 1] / 4 both ways, a pixel smaller on every side."""
    down = image[:-2] + image[2:] + 2 * image[1:-1]
    across = down[:, :-2] + down[:, 2:] + 2 * down[:, 1:-1]
    across *= np.float32(1 / 16)
    return across


def _over(choose: np.ufunc, image: np.ndarray) -> np.ndarray:
    """Return the largest or smallest of each 3 x 3 neighborhood, a pixel smaller on every side."""
    down = choose(choose(image[:-2], image[1:-1]), image[2:])
    return choose(choose(down[:, :-2], down[:, 1:-1]), down[:, 2:])


def _peak(before: np.ndarray, here: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Return where the parabola through three neighbors turns, in pixels from the middle one, half a pixel at most."""
    bend = 2 * (before + after - 2 * here)
    return np.clip((before - after) / np.where(bend == 0, 1, bend), -0.5, 0.5)


def _around(levels: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return 8 x 8 samples around each place, linear between pixels, float32 `[K, 64]`."""
    offsets = (((np.arange(_SAMPLES) + 0.5) / _SAMPLES * 2 - 1) * _RADIUS_PX).astype(np.float32)
    rows, columns = y[:, None] + offsets, x[:, None] + offsets
    top, left = rows.astype(np.int32), columns.astype(np.int32)
    down, right = (rows - top).astype(np.float32)[:, :, None], (columns - left).astype(np.float32)[:, None, :]
    flat, width = levels.ravel(), levels.shape[1]
    place = (top * width)[:, :, None] + left[:, None, :]
    upper = flat[place]
    upper += (flat[place + 1] - upper) * right
    lower = flat[place + width]
    lower += (flat[place + width + 1] - lower) * right
    upper += (lower - upper) * down
    return upper.reshape(len(y), _SAMPLES**2)


def _low_frequencies() -> np.ndarray:
    """Return 27 low DCT directions of 8 x 8 samples, under a window, none of which sees the mean, float32 `[64, 27]`."""
    sample = np.arange(_SAMPLES)
    waves = np.cos(np.pi * (sample[:, None] + 0.5) * sample / _SAMPLES) * np.exp(-(((sample - 3.5) / 3.2) ** 2))[:, None]
    both = sorted(
        ((down, across) for down in range(6) for across in range(6) if down + across), key=lambda two: (sum(two), two)
    )
    basis = np.stack([np.outer(waves[:, down], waves[:, across]).ravel() for down, across in both[:COEFFICIENTS]], 1)
    return (basis - basis.mean(0)).astype(np.float32)


_BASIS = _low_frequencies()
