"""Best of many: the few of a thousand points that are most real, most unlike each other, or furthest from the collection."""

from collections.abc import Sequence

import numpy as np

from artgan.errors import ConfigError
from artgan.evaluation import Judge
from artgan.generation.point import Point
from artgan.generation.sample import render
from artgan.generation.space import Space
from artgan.progress import Listener, silent

MEASURES = ("realism", "diversity", "novelty")
_NEIGHBOR = 3
_BLOCK = 512


def select(
    space: Space, points: Sequence[Point], count: int, measure: str, judge: Judge, on_progress: Listener = silent
) -> list[tuple[Point, float]]:
    """Return the best points with their scores, the best first.

    Args:
        space: of the model.
        points: candidates.
        count: how many to keep.
        measure: `realism` (`realism_scores`), `diversity` (`farthest_first` among the more real half), or `novelty`: the
            distance to the nearest training picture, among the more real half, so that failures do not pass for novel.
        judge: gives features and the training pictures to compare with.
        on_progress: told about rendering and judging.

    Raises:
        ConfigError: fewer candidates than `count`.
    """
    if count > len(points):
        raise ConfigError(f"--select {count}: there are only {len(points)} seeds to choose from; widen --seeds")
    reference = judge.reference(on_progress).astype(np.float64)
    if len(reference) <= _NEIGHBOR:
        raise ConfigError(f"--select: the collection has {len(reference)} training pictures; {_NEIGHBOR + 1} are needed")
    features = judge.extract(render(space, points), "judging", len(points), on_progress).astype(np.float64)
    realism = realism_scores(features, reference)
    if measure == "realism":
        order, scores = np.argsort(-realism, kind="stable"), realism
    else:
        real = np.sort(np.argsort(-realism, kind="stable")[: max(count, len(points) // 2)])
        if measure == "diversity":
            chosen, gaps = farthest_first(features[real], count, first=int(realism[real].argmax()))
            return [(points[real[place]], float(gap)) for place, gap in zip(chosen, gaps, strict=True)]
        scores = nearest_distances(features, reference, 1)
        order = real[np.argsort(-scores[real], kind="stable")]
    return [(points[place], float(scores[place])) for place in order[:count]]


def realism_scores(features: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Return how real each picture is, float64 `[N]`; 1 and more is within the real pictures' own neighborhoods.

    R(g) = max_r |r - NN_k(r)| / |g - r|, over the half of the real pictures with the smaller neighborhoods (Kynkäänniemi et
    al. 2019, 1904.06991, eq. 3, k = 3).

    Args:
        features: `[N, d]`.
        reference: of real pictures, `[M, d]`.
    """
    radii = nearest_distances(reference, reference, _NEIGHBOR + 1)  # the nearest is the picture itself
    trusted = radii <= np.median(radii)
    scores = []
    for start in range(0, len(features), _BLOCK):
        distances = _distances(features[start : start + _BLOCK], reference[trusted])
        scores.append((radii[trusted] / np.maximum(distances, 1e-12)).max(1))
    return np.concatenate(scores)


def nearest_distances(features: np.ndarray, reference: np.ndarray, k: int) -> np.ndarray:
    """Return the distance from each row of `[N, d]` to its k-th nearest row of `[M, d]`, float64 `[N]`."""
    found = []
    for start in range(0, len(features), _BLOCK):
        distances = _distances(features[start : start + _BLOCK], reference)
        found.append(np.partition(distances, k - 1, axis=1)[:, k - 1])
    return np.concatenate(found)


def farthest_first(features: np.ndarray, count: int, first: int) -> tuple[list[int], list[float]]:
    """Choose rows of `[N, d]` one by one, each the farthest from those before (Gonzalez 1985: within twice the best spread).

    Returns:
        The rows, and the distance of each to those chosen before it; that of the first is its distance to the second.
    """
    chosen, gaps = [first], [0.0]
    nearest = _distances(features, features[first : first + 1])[:, 0]
    while len(chosen) < count:
        place = int(nearest.argmax())
        gaps.append(float(nearest[place]))
        chosen.append(place)
        nearest = np.minimum(nearest, _distances(features, features[place : place + 1])[:, 0])
    gaps[0] = gaps[1] if len(gaps) > 1 else 0.0
    return chosen, gaps


def _distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    from scipy.spatial.distance import cdist

    return cdist(first, second)
