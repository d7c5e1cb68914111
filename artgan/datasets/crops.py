"""Which pictures are crops of others: of a quarter of the area or more, enlarged, reduced or saved again; upright.

Keypoints of the small copies of each picture are looked up among all keypoints by their codes, also with their least certain
bits turned (multi-probe hashing: Lv et al., 2007). Codes that many keypoints share say nothing and are passed over, as stop
words are (Sivic and Zisserman, 2003); so the cost of a picture is bounded, whatever the number of pictures. Two keypoints that
agree name a window of the work, and two of a crop must name about the same. That window is compared on the 16 px color copies:
coarsely, then moved and sized to where it correlates best.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from artgan.datasets.duplicates import PROXY_PX, Fingerprint
from artgan.datasets.keypoints import PLACES, SIZES, STEP

_MOST_SOUGHT = 45  # keypoints of a picture, those of its smallest copies
_MOST_ALIKE = 32  # keypoints that share a code
_BEYOND = 0.08  # how far a window may reach over the work's edge, in shares of the window's side
_AGREED = 0.12  # how far windows of two keypoints are apart, in shares of their side
_COARSE, _FINE = 4, 8  # cells along the side of a comparison
_COARSE_FIT, _MIN_FIT = 0.8, 0.93  # correlations
_MOST_DIFFERENCE = 16.0  # in levels of 255
_MOVES = (0.06, 0.03)  # of a window in search of the best fit, in shares of its side
_CHANGES = np.array([(1, 0, 0, 0), (0, 1, 0, 0), (-0.5, -0.5, 1, 1)])  # right, down, larger about its middle
_BLOCK = 512


@dataclass(frozen=True)
class _Windows:
    """Parts of works that crops may show.

    Attributes:
        crop, work: which pictures, int64 `[M]`.
        box: left, top, width and height in shares of the work's sides, float64 `[M, 4]`.
    """

    crop: np.ndarray
    work: np.ndarray
    box: np.ndarray

    def of(self, which: np.ndarray) -> "_Windows":
        """Return the chosen windows."""
        return _Windows(self.crop[which], self.work[which], self.box[which])


def crop_pairs(
    fingerprints: Sequence[Fingerprint], on_block: Callable[[int], object] = lambda done: None
) -> list[tuple[float, int, int]]:
    """Return (fit, crop, work) for pictures that show a part of another, the best fits first.

    Args:
        fingerprints: of whole pictures.
        on_block: told now and then how many pictures have been looked through.
    """
    if not fingerprints:
        return []
    found: dict[tuple[int, int], float] = {}
    proxies = np.stack([item.proxy for item in fingerprints])
    index = _Index(fingerprints)
    for start in range(0, len(fingerprints), _BLOCK):
        stop = min(start + _BLOCK, len(fingerprints))
        windows, fits = _fitting(proxies, index.windows(start, stop))
        for crop, work, fit in zip(windows.crop.tolist(), windows.work.tolist(), fits.tolist(), strict=True):
            found[crop, work] = max(fit, found.get((crop, work), 0.0))
        on_block(stop)
    return sorted(((fit, crop, work) for (crop, work), fit in found.items()), key=lambda pair: (-pair[0], *pair[1:]))


class _Index:
    """All keypoints of all pictures, by their codes."""

    def __init__(self, fingerprints: Sequence[Fingerprint]) -> None:
        counts = [len(item.keypoints.records) for item in fingerprints]
        self._records = np.concatenate([item.keypoints.records for item in fingerprints])
        self._picture = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
        self._first = np.cumsum([0, *counts])
        self._aspect = np.array([item.keypoints.aspect for item in fingerprints])
        self._order = np.argsort(self._records["code"], kind="stable").astype(np.int32)
        self._codes, self._starts, self._counts = np.unique(
            self._records["code"][self._order], return_index=True, return_counts=True
        )

    def windows(self, start: int, stop: int) -> _Windows:
        """Return the windows that two keypoints or more of one of these pictures name together."""
        seeking, found = self._same_codes(start, stop)
        size, picture = self._records["size"], self._picture
        smaller = (size[found] >= size[seeking]) & (picture[found] != picture[seeking])
        seeking, found = seeking[smaller], found[smaller]
        crop, work = picture[seeking].astype(np.int64), picture[found].astype(np.int64)
        scale = STEP ** (size[seeking].astype(np.float64) - size[found])  # of the crop's mean side, in mean sides of the work
        shape = np.sqrt(self._aspect[crop] / self._aspect[work])
        corners, sides, possible = [], [scale * shape, scale / shape], np.full(len(crop), True)
        for axis, side in zip("xy", sides, strict=True):
            place = self._records[axis]
            corner = (place[found] + 0.5 - (place[seeking] + 0.5) * side) / PLACES
            possible &= (side < 1 + _BEYOND) & (corner > -_BEYOND * side) & (corner + side < 1 + _BEYOND * side)
            corners.append(corner)
        seeking = seeking[possible]
        windows = _Windows(crop[possible], work[possible], np.stack([column[possible] for column in (*corners, *sides)], 1))
        parts = [_agreeing(windows, seeking, len(self._aspect), shift) for shift in (0.0, 0.5)]
        return _Windows(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))

    def _same_codes(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """Return pairs of keypoints with one code: of the smallest copies of these pictures, and of any copy of any picture."""
        first = np.repeat(self._first[start:stop], np.diff(self._first[start : stop + 1]))
        own = np.arange(self._first[start], self._first[stop])
        own = own[own - first < _MOST_SOUGHT]
        sought = self._records["code"][own]
        for weak in (np.uint32(1) << self._records["weak"][own].astype(np.uint32)).T:
            sought = np.concatenate([sought, sought ^ np.resize(weak, len(sought))])
        seeking, order = np.resize(own, len(sought)), np.argsort(sought)
        seeking, sought = seeking[order], sought[order]
        place = np.minimum(np.searchsorted(self._codes, sought), len(self._codes) - 1)
        known = (self._codes[place] == sought) & (self._counts[place] <= _MOST_ALIKE) if len(sought) else place > 0
        starts, counts = self._starts[place[known]], self._counts[place[known]]
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        return np.repeat(seeking[known], counts), self._order[np.repeat(starts, counts) + within]


def _agreeing(windows: _Windows, keypoint: np.ndarray, count: int, shift: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return crop, work and box of the windows that several keypoints of a crop name, in the cells of one grid."""
    cell = np.floor(windows.box[:, :2] / windows.box[:, 2:] / _AGREED + shift).astype(np.int64) + 1
    most = int(np.ceil(SIZES / _AGREED))
    key = ((windows.crop * count + windows.work) * most + cell[:, 0]) * most + cell[:, 1]
    order = np.argsort(key, kind="stable")
    begins = np.append(True, np.diff(key[order]) != 0)[: len(order)]
    starts = np.flatnonzero(begins)
    if len(starts) == 0:
        return windows.crop, windows.work, windows.box
    sorted_keypoint = keypoint[order]
    several = np.minimum.reduceat(sorted_keypoint, starts) != np.maximum.reduceat(sorted_keypoint, starts)
    lengths = np.diff(np.append(starts, len(order)))
    box = np.add.reduceat(windows.box[order], starts) / lengths[:, None]
    first = order[starts[several]]
    return windows.crop[first], windows.work[first], box[several]


def _fitting(proxies: np.ndarray, windows: _Windows) -> tuple[_Windows, np.ndarray]:
    """Return the windows that look like their crops, and how well they correlate where they were moved to."""
    fit, difference = _comparison(proxies, windows, _COARSE)(windows.box)
    windows = windows.of((fit > _COARSE_FIT) & (difference < _MOST_DIFFERENCE))
    compare, box = _comparison(proxies, windows, _FINE), windows.box
    fit, difference = compare(box)
    for move, sign, change in itertools.product(_MOVES, (-1, 1), _CHANGES):
        moved = box + move * sign * box[:, [2, 3, 2, 3]] * change
        new_fit, new_difference = compare(moved)
        better = new_fit > fit
        box = np.where(better[:, None], moved, box)
        fit, difference = np.where(better, new_fit, fit), np.where(better, new_difference, difference)
    alike = (fit > _MIN_FIT) & (difference < _MOST_DIFFERENCE)
    return windows.of(alike), fit[alike]


def _comparison(proxies: np.ndarray, windows: _Windows, cells: int) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Return what compares boxes of the windows' works with the windows' crops, in so many cells a side.

    It returns the correlation of the colors about their mean, and the mean difference of the colors in levels of 255.
    """
    pixels = PROXY_PX // cells
    crops, of_crop = np.unique(windows.crop, return_inverse=True)
    cells_of_crops = proxies[crops].reshape(-1, cells, pixels, cells, pixels, 3).mean((2, 4), dtype=np.float32)
    wholes, target = cells_of_crops[of_crop], _centered(cells_of_crops)[of_crop]
    works, of_work = np.unique(windows.work, return_inverse=True)
    sums = np.zeros((len(works), PROXY_PX + 1, PROXY_PX + 1, 3), np.float32)
    sums[:, 1:, 1:] = proxies[works].cumsum(1, dtype=np.float32).cumsum(2)

    def compare(box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        part = _means(sums, of_work, box, cells)
        return (_centered(part) * target).sum(1), np.abs(part - wholes).mean((1, 2, 3))

    return compare


def _means(sums: np.ndarray, which: np.ndarray, box: np.ndarray, cells: int) -> np.ndarray:
    """Return the mean colors of a grid of cells over boxes, `[M, cells, cells, 3]`, from sums over all above and left."""
    edges = [
        np.clip(PROXY_PX * (box[:, [axis]] + box[:, [axis + 2]] * np.arange(cells + 1) / cells), 0, PROXY_PX).astype(np.float32)
        for axis in range(2)
    ]
    lows = [np.minimum(edge.astype(np.int64), PROXY_PX - 1) for edge in edges]
    right, down = (edge - low for edge, low in zip(edges, lows, strict=True))
    right, down = right[:, None, :, None], down[:, :, None, None]
    flat, row = sums.reshape(-1, 3), PROXY_PX + 1
    place = which[:, None, None] * row**2 + (lows[1] * row)[:, :, None] + lows[0][:, None, :]
    upper = flat[place] * (1 - right) + flat[place + 1] * right
    lower = flat[place + row] * (1 - right) + flat[place + row + 1] * right
    total = upper * (1 - down) + lower * down
    inside = total[:, 1:, 1:] - total[:, :-1, 1:] - total[:, 1:, :-1] + total[:, :-1, :-1]
    area = np.diff(edges[1])[:, :, None] * np.diff(edges[0])[:, None, :]
    return inside / np.maximum(area, 1e-3)[..., None]


def _centered(part: np.ndarray) -> np.ndarray:
    """Return colors about their mean, of length one, `[M, cells * cells * 3]`; flat parts have length zero."""
    part = (part - part.mean((1, 2), keepdims=True)).reshape(len(part), math.prod(part.shape[1:]))
    return part / np.sqrt((part**2).sum(1, keepdims=True) + 1e-6)
