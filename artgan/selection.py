"""Best of many: the few of a thousand points that people would choose, by one of several measures."""

from collections.abc import Iterator, Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from artgan.errors import ConfigError
from artgan.evaluation import Judge
from artgan.evaluation.reference import Reference
from artgan.generation.point import Point
from artgan.generation.sample import render
from artgan.generation.space import Space
from artgan.metrics.manifold import realism_scores, squared_distances
from artgan.metrics.memorization import nearest_rows
from artgan.progress import Listener, silent
from artgan.refine.oklab import oklab_from_srgb

# Each with what its number says.
MEASURES = {
    "look": "the distance to the work that a picture stands for: less is nearer",
    "realism": "how deep among the works: above 1 is as real as they are",
    "variety": "the distance to those chosen before: more is more varied",
    "color": "mean chroma in Oklab: more is more vivid",
    "novelty": "the distance to the nearest training picture: more is newer",
}
MEASURES["diversity"] = MEASURES["variety"]  # its older name
_BRIGHTNESS_WEIGHT = 3.0  # in deviations of the collection, beside distances of features in those between works


def select(
    space: Space, points: Sequence[Point], count: int, measure: str, judge: Judge, on_progress: Listener = silent
) -> list[tuple[Point, float]]:
    """Return the best points with their scores, the best first.

    Args:
        space: of the model.
        points: candidates.
        count: how many to keep.
        measure: `look` (`like_the_collection`), the one that people would choose by; `realism` (`artgan.metrics.manifold`),
            which favors the plain and dark pictures that crowd together in any feature space; or, among the more real half, so
            that failures do not pass for them: `variety` (`farthest_first`), `color` (the most vivid, by mean chroma in Oklab),
            `novelty` (the distance to the nearest training picture).
        judge: gives features and the training pictures to compare with.
        on_progress: told about rendering and judging.

    Raises:
        ConfigError: fewer candidates than `count`.
    """
    if count > len(points):
        raise ConfigError(f"--select {count}: there are only {len(points)} seeds to choose from; widen --seeds")
    reference, seen = Reference(judge, on_progress), np.empty((len(points), 2))

    def pictures(indices: Sequence[int]) -> Iterator[np.ndarray]:
        for index, pixels in zip(indices, render(space, [points[index] for index in indices]), strict=True):
            seen[index] = brightness_and_chroma(pixels)
            yield pixels

    features = judge.extract(pictures, len(points), "judging", on_progress)[:].astype(np.float64)
    if measure == "look":
        works = judge.collection.images[judge.collection.train_rows]
        theirs = np.array([brightness_and_chroma(work)[0] for work in works])
        chosen, costs = like_the_collection(features, seen[:, 0], reference.train, theirs, count)
        return [(points[place], cost) for place, cost in zip(chosen, costs, strict=True)]
    realism = realism_scores(features, reference.known.manifold)
    if measure == "realism":
        order, scores = np.argsort(-realism, kind="stable"), realism
    else:
        real = np.sort(np.argsort(-realism, kind="stable")[: max(count, len(points) // 2)])
        if measure in ("variety", "diversity"):
            chosen, gaps = farthest_first(features[real], count, first=int(realism[real].argmax()))
            return [(points[real[place]], float(gap)) for place, gap in zip(chosen, gaps, strict=True)]
        scores = seen[:, 1] if measure == "color" else np.sqrt(nearest_rows(features, reference.train).distances)
        order = real[np.argsort(-scores[real], kind="stable")]
    return [(points[place], float(scores[place])) for place in order[:count]]


def brightness_and_chroma(pixels: np.ndarray) -> np.ndarray:
    """Return the mean lightness and the mean chroma of uint8 `[H, W, 3]` in Oklab."""
    lab = oklab_from_srgb(pixels)
    return np.array([lab[..., 0].mean(), np.hypot(lab[..., 1], lab[..., 2]).mean()])


def like_the_collection(
    features: np.ndarray, brightness: np.ndarray, works: np.ndarray, works_brightness: np.ndarray, count: int
) -> tuple[list[int], list[float]]:
    """Choose pictures that stand for a collection: as bright, as varied, and each near to some work.

    `count` works are taken evenly along the collection's brightness, and each gets one picture, all at once at the least sum
    of distances (linear assignment). A distance is that of features, in mean distances between those works, and that of
    brightness, in deviations of the collection's. The works spread over the collection's kinds, and so do the pictures.

    Args:
        features, brightness: of the candidates, `[N, d]` and `[N]`.
        works, works_brightness: of the training pictures, `[M, d]` and `[M]`.
        count: at most N; where there are fewer works, they are gone through again.

    Returns:
        The candidates' places, the best first, and their distances.
    """
    order = np.argsort(works_brightness, kind="stable")
    asked = order[(np.arange(count) * 2 + 1) * len(order) // (2 * count)]
    distances = np.sqrt(squared_distances(features, works[asked]))
    between = np.sqrt(squared_distances(works[asked].astype(np.float64), works[asked])).mean() or 1.0
    apart = np.abs(brightness[:, None] - works_brightness[asked]) / (works_brightness.std() or 1.0)
    costs = distances / between + _BRIGHTNESS_WEIGHT * apart
    places, targets = linear_sum_assignment(costs)
    best = np.argsort(costs[places, targets], kind="stable")
    return places[best].tolist(), costs[places, targets][best].tolist()


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
