"""For every judged picture the nearest training picture, mirrored or cut and enlarged as it may be."""

from dataclasses import dataclass

import numpy as np

from artgan.evaluation.reference import CROPS, Reference
from artgan.metrics.memorization import nearest_rows

WHOLE = "whole"


@dataclass(frozen=True)
class Matches:
    """The nearest training picture of each judged one.

    Attributes:
        rows: int64 `[N]`, places in the training split.
        parts: int64 `[N]`, 0 for the whole training picture, else 1 + the place in `CROPS`.
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


def find_matches(plain: np.ndarray, mirrored: np.ndarray, reference: Reference) -> Matches:
    """Search the training split with pictures and their mirror images.

    Args:
        plain, mirrored: features of the judged pictures and of their mirror images, float32 `[N, d]`.
        reference: the training split; its crops are computed when they are not known yet.
    """
    views = [reference.train, *reference.crops]
    found = [
        (part, flip, nearest_rows(query, view))
        for part, view in enumerate(views)
        for flip, query in enumerate((plain, mirrored))
    ]
    distances = np.stack([nearest.distances for _, _, nearest in found])
    best = distances.argmin(0)  # the first of equals: whole and not mirrored
    each = np.arange(len(plain))
    rows = np.stack([nearest.rows for _, _, nearest in found])[best, each]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.sqrt(distances[best, each] / reference.known.manifold.nearest[rows])
    return Matches(
        rows=rows,
        parts=np.array([part for part, _, _ in found])[best],
        mirrored=np.array([bool(flip) for _, flip, _ in found])[best],
        ratios=np.nan_to_num(ratios, nan=0.0, posinf=np.inf),  # 0 / 0: a copy of a picture that the training split has twice
    )
