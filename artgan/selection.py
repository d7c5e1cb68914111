"""Best of many: the few of a thousand points that are most real, most unlike each other, or furthest from the collection."""

from collections.abc import Iterator, Sequence

import numpy as np

from artgan.errors import ConfigError
from artgan.evaluation import Judge
from artgan.evaluation.reference import Reference
from artgan.generation.point import Point
from artgan.generation.sample import render
from artgan.generation.space import Space
from artgan.metrics.manifold import realism_scores, squared_distances
from artgan.metrics.memorization import nearest_rows
from artgan.progress import Listener, silent

MEASURES = ("realism", "diversity", "novelty")


def select(
    space: Space, points: Sequence[Point], count: int, measure: str, judge: Judge, on_progress: Listener = silent
) -> list[tuple[Point, float]]:
    """Return the best points with their scores, the best first.

    Args:
        space: of the model.
        points: candidates.
        count: how many to keep.
        measure: `realism` (`artgan.metrics.manifold`), `diversity` (`farthest_first` among the more real half), or `novelty`:
            the distance to the nearest training picture, among the more real half, so that failures do not pass for novel.
        judge: gives features and the training pictures to compare with.
        on_progress: told about rendering and judging.

    Raises:
        ConfigError: fewer candidates than `count`.
    """
    if count > len(points):
        raise ConfigError(f"--select {count}: there are only {len(points)} seeds to choose from; widen --seeds")
    reference = Reference(judge, on_progress)

    def pictures(indices: Sequence[int]) -> Iterator[np.ndarray]:
        return render(space, [points[index] for index in indices])

    features = judge.extract(pictures, len(points), "judging", on_progress)[:].astype(np.float64)
    realism = realism_scores(features, reference.known.manifold)
    if measure == "realism":
        order, scores = np.argsort(-realism, kind="stable"), realism
    else:
        real = np.sort(np.argsort(-realism, kind="stable")[: max(count, len(points) // 2)])
        if measure == "diversity":
            chosen, gaps = farthest_first(features[real], count, first=int(realism[real].argmax()))
            return [(points[real[place]], float(gap)) for place, gap in zip(chosen, gaps, strict=True)]
        scores = np.sqrt(nearest_rows(features, reference.train).distances)
        order = real[np.argsort(-scores[real], kind="stable")]
    return [(points[place], float(scores[place])) for place in order[:count]]


def farthest_first(features: np.ndarray, count: int, first: int) -> tuple[list[int], list[float]]:
    """Choose rows of `[N, d]` one by one, each the farthest from those before (Gonzalez 1985: within twice the best spread).

    Returns:
        The rows, and the distance of each to those chosen before it; that of the first is its distance to the second.
    """
    chosen, gaps = [first], [0.0]
    nearest = _distances_to(features, features[first])
    while len(chosen) < count:
        place = int(nearest.argmax())
        gaps.append(float(nearest[place]))
        chosen.append(place)
        nearest = np.minimum(nearest, _distances_to(features, features[place]))
    gaps[0] = gaps[1] if len(gaps) > 1 else 0.0
    return chosen, gaps


def _distances_to(features: np.ndarray, one: np.ndarray) -> np.ndarray:
    return np.sqrt(squared_distances(features, one[None])[:, 0])
