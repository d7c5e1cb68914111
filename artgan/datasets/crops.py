"""Which pictures are crops of others, of a quarter of the area or more, mirrored and turned ones among them.

A 16 px color copy is described by the mean colors of a 4 x 4 grid over it, and over some 800 windows of it, the parts that a
crop could be. Box means are linear in the pixels, so one matrix gives all windows of a work, in the few directions in which
whole pictures differ most; a tree of the whole pictures names those that are near a window. Near ones are checked on a gray
copy of 32 px: the window is moved and sized to where it correlates best, and must then correlate, and have the colors.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from scipy.spatial import cKDTree

from artgan.datasets.duplicates import PROXY_PX, SYMMETRIES, Fingerprint, turned

MIN_AREA = 0.25
_SIDES = (0.5, 0.594, 0.706, 0.84, 1.0)  # of windows, in shares of the work's: steps of a fifth
_STEP = 0.1  # from one window to the next, in shares of its side
_GRID, _COLOR_GRID, _FINE_GRID = 4, 8, 16
_DIMENSIONS, _NEAREST, _MOST_TRIED = 10, 4, 12
_MOST_WORKS = 2  # that one picture is a crop of: what fits many belongs to none
_MIN_CONTRAST = 10.0  # in levels of 255: flat pictures are like any flat part
_REACH, _MOST_REACH, _SLACK = 2.5, 110.0, 0.4  # of a contrast; in levels, in all directions together; of the search
_MIN_CORRELATION, _HOPELESS = 0.95, 0.8
_COLOR_SHARE, _COLOR_ROUNDING, _MOST_COLOR = 0.25, 1.0, 10.0  # of the contrast, and in levels of 255
_FIRST_MOVE, _LAST_MOVE, _MOST_SWEEPS = 0.05, 0.01, 12
_BLOCK = 512
Window = tuple[float, float, float, float]  # left, top, width, height in shares of the work's sides
_Near = tuple[float, int, int, Window]  # distance, work, symmetry of the crop, window
_WHOLE: Window = (0.0, 0.0, 1.0, 1.0)


def crop_pairs(
    fingerprints: Sequence[Fingerprint], on_block: Callable[[int], object] = lambda done: None
) -> Iterator[tuple[int, int]]:
    """Yield (crop, work) for pictures that show a part of another, of a quarter of its area or more.

    Args:
        fingerprints: of whole pictures, with their gray copies.
        on_block: told now and then how many works have been looked through.
    """
    colors = np.array([item.proxy for item in fingerprints], np.float32).reshape(-1, PROXY_PX, PROXY_PX, 3)
    layouts = np.array([_parts(image, _WHOLE, _GRID) for image in colors]).reshape(-1, _GRID, _GRID, 3)
    contrast = layouts.std((1, 2)).mean(1)
    near: dict[int, list[_Near]] = {}
    for crop, candidate in _candidates(colors, layouts, contrast, on_block):
        found = near.setdefault(crop, [])
        found.append(candidate)
        if len(found) > 2 * _MOST_TRIED:
            found[:] = sorted(found)[:_MOST_TRIED]
    for crop, found in near.items():
        allowed = min(_MOST_COLOR, _COLOR_ROUNDING + _COLOR_SHARE * float(contrast[crop]))
        fits: dict[int, float] = {}
        for _, work, symmetry, window in sorted(found)[:_MOST_TRIED]:
            color = _parts(turned(colors[crop], symmetry), _WHOLE, _COLOR_GRID)
            correlation, place = _fitted(fingerprints[work].gray, window, turned(fingerprints[crop].gray, symmetry))
            if correlation >= _MIN_CORRELATION and np.abs(_parts(colors[work], place, _COLOR_GRID) - color).mean() <= allowed:
                fits[work] = min(-correlation, fits.get(work, 0.0))
        yield from ((crop, work) for work in sorted(fits, key=lambda work: (fits[work], work))[:_MOST_WORKS])


def _candidates(
    colors: np.ndarray, layouts: np.ndarray, contrast: np.ndarray, on_block: Callable[[int], object]
) -> Iterator[tuple[int, _Near]]:
    """Yield for each picture the works that have a window near it, with the nearest of each symmetry."""
    seeking = np.flatnonzero(contrast >= _MIN_CONTRAST)
    if len(seeking) == 0 or len(layouts) < 2:
        return
    flat = layouts[seeking].reshape(len(seeking), -1)
    basis = np.linalg.eigh(np.cov(flat.T, bias=True))[1][:, ::-1][:, :_DIMENSIONS].astype(np.float32)
    wholes = [turned(layouts[index], symmetry).ravel() for symmetry in range(SYMMETRIES) for index in seeking]
    tree = cKDTree(np.stack(wholes) @ basis)
    reach = min(_MOST_REACH, _REACH * float(contrast.max()))
    windows = _windows()
    operator = np.concatenate([_means(window) @ basis for window in windows], 1)
    for start in range(0, len(colors), _BLOCK):
        block = colors[start : start + _BLOCK]
        parts = (block.reshape(len(block), -1) @ operator).reshape(-1, _DIMENSIONS)
        distances, places = tree.query(parts, _NEAREST, _SLACK, distance_upper_bound=reach)
        part, rank = np.nonzero(np.isfinite(distances))
        distance, place = distances[part, rank], places[part, rank]
        symmetry, crop = place // len(seeking), seeking[place % len(seeking)]
        work = start + part // len(windows)
        close = np.flatnonzero((crop != work) & (distance <= _REACH * contrast[crop]))
        order = close[np.lexsort((distance[close], symmetry[close], work[close], crop[close]))]
        which = np.stack([crop[order], work[order], symmetry[order]])
        nearest = order[np.append(True, (np.diff(which) != 0).any(0))[: len(order)]]
        for index in nearest:
            window = windows[part[index] % len(windows)]
            yield int(crop[index]), (float(distance[index]), int(work[index]), int(symmetry[index]), window)
        on_block(start + len(block))


def _windows() -> list[Window]:
    """Return windows of at least the smallest area, close enough for any crop to be near one."""
    windows = []
    for width, height in itertools.product(_SIDES, _SIDES):
        if width * height < 0.9 * MIN_AREA or width == height == 1:
            continue
        across, down = (int(np.ceil((1 - side) / (_STEP * side))) + 1 for side in (width, height))
        for left in np.linspace(0, 1 - width, across):
            windows += [(float(left), float(top), width, height) for top in np.linspace(0, 1 - height, down)]
    return windows


def _means(window: Window) -> np.ndarray:
    """Return the matrix that takes a flat color copy to the mean colors of a grid over a window, float32 `[768, 48]`."""
    rows, columns = _shares(window[1], window[3], _GRID, PROXY_PX), _shares(window[0], window[2], _GRID, PROXY_PX)
    boxes = np.einsum("ir,jc->rcij", rows, columns).reshape(PROXY_PX**2, _GRID**2)
    return np.kron(boxes, np.eye(3)).astype(np.float32)


def _parts(image: np.ndarray, window: Window, grid: int) -> np.ndarray:
    """Return the means of a grid over a window of `[side, side, ...]`, `[grid, grid, ...]`."""
    rows, columns = _shares(window[1], window[3], grid, len(image)), _shares(window[0], window[2], grid, len(image))
    return np.moveaxis(np.tensordot(columns, np.tensordot(rows, image, 1), (1, 1)), 0, 1)


def _shares(start: float, side: float, count: int, pixels: int) -> np.ndarray:
    """Return how much of each pixel lies in each of `count` parts of a stretch, as shares of the part, `[count, pixels]`."""
    edges = pixels * (start + side * np.arange(count + 1) / count)
    pixel = np.arange(pixels)
    covered = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    return np.maximum(covered, 0) * (count / (side * pixels))


def _fitted(work: np.ndarray, window: Window, crop: np.ndarray) -> tuple[float, Window]:
    """Return how well a window of a work, moved and sized to where it fits best, correlates with the crop, and that window."""
    target = _centered(_parts(crop, _WHOLE, _FINE_GRID))
    best, move = _correlation(work, window, target), _FIRST_MOVE
    for _ in range(_MOST_SWEEPS):
        moved = False
        for side, sign in itertools.product(range(4), (-move, move)):
            trial = _moved(window, side, sign)
            if trial is not None and (correlation := _correlation(work, trial, target)) > best:
                best, window, moved = correlation, trial, True
        if best < _HOPELESS:
            break
        if not moved:
            move /= 2
            if move < _LAST_MOVE:
                break
    return best, window


def _moved(window: Window, side: int, share: float) -> Window | None:
    """Return a window moved (sides 0 and 1) or sized about its middle (2 and 3) by a share of itself, within the work."""
    values = list(window)
    change = share * window[2 + side % 2]
    values[side] += change
    if side >= 2:
        values[side - 2] -= change / 2
    left, top, width, height = values
    within = min(left, top) >= -0.01 and left + width <= 1.01 and top + height <= 1.01
    return (left, top, width, height) if within and width * height >= 0.8 * MIN_AREA else None


def _correlation(work: np.ndarray, window: Window, target: np.ndarray) -> float:
    return float((_centered(_parts(work, window, _FINE_GRID)) * target).sum())


def _centered(part: np.ndarray) -> np.ndarray:
    """Return values about their mean, of length one; of a flat part none."""
    part = part - part.mean()
    length = float(np.sqrt((part**2).sum()))
    return part / length if length > 1e-3 * part.size else np.zeros_like(part)
