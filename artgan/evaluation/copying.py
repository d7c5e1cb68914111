"""For every judged picture the nearest training picture, mirrored or cut and enlarged as it may be.

Features of every training picture, of five crops of it and of the judged pictures' mirror images would be most of an
evaluation's time, and all but a few of them say nothing. So candidates come first: the same network glances at everything,
at less than half the side, for a fifth of the time. What is near there is nearly always what is near at full size, and full
features are computed for the few likeliest parts alone. Where the best of a picture then is nearly a copy, the other parts of
that training picture are looked at too. Beside the search through everything: scripts/benchmark copies.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from artgan.evaluation.reference import CROPS, Reference
from artgan.metrics.estimates import NEAR_COPY
from artgan.metrics.manifold import squared_distances
from artgan.metrics.memorization import nearest_rows

WHOLE = "whole"
_GLANCED = 0.75  # times the distance from a training picture to its nearest other, at a glance: from farther no copy was seen
_CANDIDATES = 3  # parts of training pictures for each judged one, mirrored or not
_NEARLY = 0.6  # times that distance, at full size: another part may be what was copied
_AT_ONCE = 32  # judged pictures that are compared with all training pictures at once
Features = Callable[[Sequence[int]], np.ndarray]


@dataclass(frozen=True)
class Judged:
    """Pictures whose originals are searched for.

    Attributes:
        features: float32 `[N, d]`.
        glances: at the judge's `glance_px` the features of the pictures and of their mirror images, float32 `[N, 2 d]`.
        mirrored: gives the features of the mirror images of some, float32 `[n, d]`.
    """

    features: np.ndarray
    glances: np.ndarray
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
    wholes = nearest_rows(judged.features, reference.train)
    search = _Search(judged, reference, wholes.rows.copy(), wholes.distances.copy())
    search.look_at(_likely(judged, reference))
    ratios = search.ratios()
    unsure = np.flatnonzero((ratios >= NEAR_COPY) & (ratios < _NEARLY))
    views = [(part, flip) for part in range(1 + len(CROPS)) for flip in (False, True)]
    search.look_at(_Pair(int(place), int(search.rows[place]), *view) for place in unsure for view in views)
    return Matches(search.rows, search.parts, search.mirrored, search.ratios())


class _Search:
    """The nearest of what was looked at so far: at first whole training pictures that are not mirrored."""

    def __init__(self, judged: Judged, reference: Reference, rows: np.ndarray, distances: np.ndarray) -> None:
        self.judged, self.reference = judged, reference
        self.rows, self.distances = rows, distances
        self.parts, self.mirrored = np.zeros(len(rows), np.int64), np.zeros(len(rows), bool)
        self._flips: dict[int, np.ndarray] = {}

    def look_at(self, asked: Iterable[_Pair]) -> None:
        """Compare features of pairs, beyond those of whole pictures that are not mirrored: their distances are known."""
        pairs = sorted({pair for pair in asked if pair.part or pair.mirrored})
        flips = sorted({pair.judged for pair in pairs if pair.mirrored} - self._flips.keys())
        self._flips |= dict(zip(flips, self.judged.mirrored(flips), strict=True)) if flips else {}
        cuts = sorted({(pair.part, pair.row) for pair in pairs if pair.part})
        cut_features = dict(zip(cuts, self.reference.crops(cuts), strict=True)) if cuts else {}
        for pair in pairs:
            ours = self._flips[pair.judged] if pair.mirrored else self.judged.features[pair.judged]
            theirs = cut_features[pair.part, pair.row] if pair.part else self.reference.train[pair.row]
            distance = float(squared_distances(ours[None].astype(np.float64), theirs[None])[0, 0])
            if distance < self.distances[pair.judged]:
                self.distances[pair.judged], self.rows[pair.judged] = distance, pair.row
                self.parts[pair.judged], self.mirrored[pair.judged] = pair.part, pair.mirrored

    def ratios(self) -> np.ndarray:
        """Return `Matches.ratios`."""
        return _ratios(self.distances, self.reference.known.manifold.nearest[self.rows])


def _ratios(squares: np.ndarray, nearest: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.sqrt(squares / nearest)
    return np.nan_to_num(ratios, nan=0.0, posinf=np.inf)  # 0 / 0: a copy of a picture that the training split has twice


def _likely(judged: Judged, reference: Reference) -> list[_Pair]:
    """Return what is near at a glance: up to three parts of training pictures for each judged one, mirrored or not."""
    parts, nearest = reference.glances
    views = parts.reshape(-1, parts.shape[2])  # [parts x N, d]
    lengths, found = np.square(views).sum(1), []
    for start in range(0, len(judged.features), _AT_ONCE):
        both = np.stack(np.split(judged.glances[start : start + _AT_ONCE], 2, 1), 1)  # [n, 2, d], plain and mirrored
        squares = np.square(both).sum(2)[:, :, None] + lengths - 2 * both @ views.T
        ratios = _ratios(squares.clip(0).reshape(len(both), -1, len(nearest)), nearest)  # [n, 2 x parts, N]
        for offset, each in enumerate(ratios.reshape(len(both), -1)):
            near = np.flatnonzero(each < _GLANCED)  # a few of very many: only they are put in order
            for place in near[np.argsort(each[near], kind="stable")[:_CANDIDATES]]:
                view, row = divmod(int(place), len(nearest))
                found.append(_Pair(start + offset, row, view % len(parts), view >= len(parts)))
    return found
