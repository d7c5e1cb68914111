"""For every judged picture the nearest training picture, mirrored or cut and enlarged as it may be.

Features of every training picture, of five crops of it and of the judged pictures' mirror images would be most of an
evaluation's time, and all but a few of them say nothing: what is copied is recognised from far. So candidates come first, from
what is there already. A copy, cut or mirrored, lies nearer to its training picture than to nearly any other one in a good
feature space; and small gray copies, compared by correlation with all parts of all pictures, say which part it shows, or find
it where features do not. Features are computed for the likeliest parts of the likeliest pictures alone. Beside the search
through everything: scripts/benchmark copies.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from artgan.evaluation.reference import CROPS, Reference
from artgan.metrics.features import blocks
from artgan.metrics.manifold import squared_distances
from artgan.metrics.thumbnails import flipped

WHOLE = "whole"
_CANDIDATES = 3  # training pictures for each judged one
_REACH = 1.25  # times the distance from a training picture to its nearest other: from farther no copy was seen
_CLOSE = 0.85  # as near lie four in five copies and one in ten unseen works: correlation need not confirm them
_CORRELATION = 0.5  # of small gray copies; nearly all copies that were cut, mirrored, saved again and retoned have 0.65
_ALIKE = 0.8  # so much alike are a picture and its copy, and few others
_AT_ONCE = 32  # judged pictures that are compared with all training pictures at once
_PARTS = 3  # of a candidate, mirrored or not
Features = Callable[[Sequence[int]], np.ndarray]


@dataclass(frozen=True)
class Judged:
    """Pictures whose originals are searched for.

    Attributes:
        features: float32 `[N, d]`.
        thumbnails: `artgan.metrics.thumbnails`, float32 `[N, t]`.
        mirrored: gives the features of the mirror images of some, float32 `[n, d]`.
    """

    features: np.ndarray
    thumbnails: np.ndarray
    mirrored: Features


@dataclass(frozen=True)
class Matches:
    """The nearest training picture of each judged one.

    Attributes:
        rows: int64 `[N]`, places in the training split.
        parts: int64 `[N]`, 0 for the whole training picture, otherwise 1 + the place in `CROPS`.
        mirrored: bool `[N]`.
        ratios: float64 `[N]`: the distance, over that between the training picture and its own nearest neighbor. Copies
            are near 0; pictures that are as new as the training pictures are to each other are about 1.
    """

    rows: np.ndarray
    parts: np.ndarray
    mirrored: np.ndarray
    ratios: np.ndarray

    @property
    def closest(self) -> np.ndarray:
        """The judged pictures from the likeliest copy on, int64 `[N]`."""
        return np.argsort(self.ratios, kind="stable")

    def words(self, index: int) -> str:
        """Return what of the training picture was matched: `whole`, `mirrored, top left`."""
        part = [WHOLE, *CROPS][self.parts[index]]
        return f"mirrored, {part}" if self.mirrored[index] else part


@dataclass(frozen=True, order=True)
class _Pair:
    """What a judged picture may be: a part of a training picture, mirrored or not."""

    judged: int
    row: int
    part: int
    mirrored: bool


def find_matches(judged: Judged, reference: Reference) -> Matches:
    """Search the training split with pictures and their mirror images.

    Args:
        judged: the pictures.
        reference: the training split; features of its parts are computed when they are not known yet, and kept.
    """
    rows, distances = _nearest(judged.features, reference.train)
    best_rows, best = rows[:, 0].copy(), distances[:, 0].copy()
    parts, mirrored = np.zeros(len(best), np.int64), np.zeros(len(best), bool)
    pairs = _candidates(judged, rows, distances, reference)
    flips = sorted({pair.judged for pair in pairs if pair.mirrored})
    flip_features = dict(zip(flips, judged.mirrored(flips), strict=True)) if flips else {}
    cuts = sorted({(pair.part, pair.row) for pair in pairs if pair.part})
    cut_features = dict(zip(cuts, reference.crops(cuts), strict=True)) if cuts else {}
    for pair in pairs:
        ours = flip_features[pair.judged] if pair.mirrored else judged.features[pair.judged]
        theirs = cut_features[pair.part, pair.row] if pair.part else reference.train[pair.row]
        distance = float(squared_distances(ours[None].astype(np.float64), theirs[None])[0, 0])
        if distance < best[pair.judged]:
            best[pair.judged], best_rows[pair.judged] = distance, pair.row
            parts[pair.judged], mirrored[pair.judged] = pair.part, pair.mirrored
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.sqrt(best / reference.known.manifold.nearest[best_rows])
    # 0 / 0: a copy of a picture that the training split has twice
    return Matches(best_rows, parts, mirrored, np.nan_to_num(ratios, nan=0.0, posinf=np.inf))


def _nearest(features: np.ndarray, train: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of the nearest training pictures, the nearest first, and their squared distances, both `[N, k]`."""
    k = min(_CANDIDATES, len(train))
    rows, distances = np.empty((len(features), k), np.int64), np.empty((len(features), k))
    for start, block in blocks(features):
        here = squared_distances(block, train)
        order = np.argsort(here, 1, kind="stable")[:, :k]
        rows[start : start + len(block)] = order
        distances[start : start + len(block)] = np.take_along_axis(here, order, 1)
    return rows, distances


def _candidates(judged: Judged, rows: np.ndarray, distances: np.ndarray, reference: Reference) -> list[_Pair]:
    """Return what is worth a closer look, beyond whole pictures that are not mirrored: their distances are known."""
    views = reference.thumbnails  # [parts, N, t]
    queries = np.stack([judged.thumbnails, flipped(judged.thumbnails)])  # [2, n, t]
    found: set[_Pair] = set()

    def take(place: int, likeness: np.ndarray, rows_of_views: np.ndarray, least: float) -> None:
        """Add the views, of whole plain, whole mirrored, the first part plain, ..., that are most alike."""
        for view in np.argsort(-likeness, kind="stable")[:_PARTS]:
            if likeness[view] >= least:
                found.add(_Pair(place, int(rows_of_views[view]), int(view) // 2, bool(view % 2)))

    near = distances <= _REACH**2 * reference.known.manifold.nearest[rows]
    for place, rank in zip(*np.nonzero(near), strict=True):
        row = rows[place, rank]
        likeness = (views[:, row] @ queries[:, place].T).ravel()
        is_close = distances[place, rank] <= _CLOSE**2 * reference.known.manifold.nearest[row]
        take(int(place), likeness, np.full(len(likeness), row), -1.0 if is_close else _CORRELATION)
    for start in range(0, len(rows), _AT_ONCE):
        here = queries[:, start : start + _AT_ONCE]
        likeness = np.stack([query @ view.T for view in views for query in here], 1)  # [n, views, N]
        best = likeness.argmax(2)
        for offset, alike in enumerate(np.take_along_axis(likeness, best[:, :, None], 2)[:, :, 0]):
            take(start + offset, alike, best[offset], _ALIKE)
    return sorted(pair for pair in found if pair.part or pair.mirrored)
