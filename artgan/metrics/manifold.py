"""Precision, recall (Kynkäänniemi et al. 2019, 1904.06991), density, coverage (Naeem et al. 2020, 2002.09797), realism.

Around every picture lies a ball that reaches to its k-th nearest neighbor in its own set, itself not counted.

precision = share of generated pictures in any ball of a real one     recall = share of real pictures in any generated ball
density = mean number of real balls around a generated picture / k     coverage = share of real balls with a generated picture

For two samples of one distribution density tends to 1 and coverage to 1 - 2^-k. Departures: k = 5 for all four (precision and
recall were published with 3); a picture on the rim is inside, so that a copy of a picture counts also where k duplicates
make its ball a point. Distances are those of float64 products; a slack of 1e-9 takes up their rounding.
"""

from dataclasses import dataclass

import numpy as np

from artgan.metrics.features import (
    Estimate,
    Rows,
    blocks,
    check_features,
    grouped_estimate,
    jackknife_groups,
    mean_estimate,
    share_estimate,
)

NEIGHBORS = 5
SLACK = 1e-9
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Manifold:
    """Features `[N, d]` with the squared distances to the nearest and to the k-th nearest other picture, float64 `[N]`."""

    features: np.ndarray
    nearest: np.ndarray
    radii: np.ndarray

    @property
    def k(self) -> int:
        """Of the balls: fewer than usual in a set of few pictures."""
        return min(NEIGHBORS, len(self.features) - 1)


@dataclass(frozen=True)
class ManifoldScores:
    """What the balls say.

    Attributes:
        precision, recall, density, coverage: with intervals.
        realism: float64 `[N]`, for each generated picture max over real balls of radius / distance; above 1 is inside one.
            Balls wider than the median are left out, as they reach far into nowhere.
    """

    precision: Estimate
    recall: Estimate
    density: Estimate
    coverage: Estimate
    realism: np.ndarray


def fit_manifold(features: np.ndarray) -> Manifold:
    """Return the balls of a set.

    Raises:
        DataError: fewer than two pictures, or values that are not finite.
    """
    check_features(features)
    k = min(NEIGHBORS, len(features) - 1)
    smallest = np.empty((len(features), k))
    for start, block in blocks(features):
        distances = squared_distances(block, features)
        distances[np.arange(len(block)), start + np.arange(len(block))] = np.inf
        smallest[start : start + len(block)] = np.sort(np.partition(distances, k - 1, 1)[:, :k], 1)
    return Manifold(features, smallest[:, 0], smallest[:, -1])


def squared_distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return float64 `[n, m]`; what is below the rounding of its terms is 0, so that equal pictures are at distance 0."""
    y = y.astype(np.float64)
    lengths = np.square(x).sum(1)[:, None] + np.square(y).sum(1)
    distances = lengths - 2 * (x @ y.T)
    distances[distances < _ROUNDING * lengths] = 0
    return distances


def manifold_scores(generated: Rows, reference: Manifold) -> ManifoldScores:
    """Compare generated features `[N, d]` with a reference.

    The intervals of precision and density are those of a share and of a mean over generated pictures; those of recall and
    coverage come from the jackknife over groups of them.

    Raises:
        DataError: fewer than two pictures, or values that are not finite.
    """
    check_features(generated)
    features = generated[:]
    reach = reference.radii * (1 + SLACK)
    narrow = reference.radii <= np.median(reference.radii)
    inside, realism = np.empty(len(features)), np.empty(len(features))
    groups = max(1, jackknife_groups(len(features)))
    covered = np.zeros((groups, len(reach)), bool)
    for start, block in blocks(features):
        distances = squared_distances(block, reference.features)
        held = distances <= reach
        rows = slice(start, start + len(block))
        inside[rows] = held.sum(1)
        realism[rows] = _realism(distances[:, narrow], reference.radii[narrow])
        for group in range(groups):
            covered[group] |= held[np.arange(start, start + len(block)) % groups == group].any(0)
    return ManifoldScores(
        precision=share_estimate(inside > 0),
        recall=_recall(features, reference),
        density=mean_estimate(inside / reference.k),
        coverage=_share_over_groups(covered),
        realism=realism,
    )


def realism_scores(features: Rows, reference: Manifold) -> np.ndarray:
    """Return the realism of each of features `[N, d]`, as `ManifoldScores` has it, without the other scores."""
    narrow = reference.radii <= np.median(reference.radii)
    centers, radii = reference.features[narrow], reference.radii[narrow]
    return np.concatenate([_realism(squared_distances(block, centers), radii) for _, block in blocks(features)])


def _realism(distances: np.ndarray, radii: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.sqrt(radii / distances)
    return np.nan_to_num(ratios, nan=1.0, posinf=np.inf).max(1)  # 0 / 0: on the rim of a ball that is a point


def _share_over_groups(hits: np.ndarray) -> Estimate:
    """Return the share of columns with a hit in any group `[groups, M]`, and its interval."""
    value = float(hits.any(0).mean())
    left_out = [float(np.delete(hits, group, 0).any(0).mean()) for group in range(len(hits))] if len(hits) > 1 else []
    return _within_unit(grouped_estimate(value, left_out))


def _within_unit(estimate: Estimate) -> Estimate:
    return Estimate(estimate.value, *(float(np.clip(bound, 0, 1)) for bound in (estimate.low, estimate.high)))


def _recall(features: np.ndarray, reference: Manifold) -> Estimate:
    """Return recall; leaving a group out also widens the balls of the generated pictures that stay."""
    groups = jackknife_groups(len(features))
    radii = _radii_without_groups(features, groups) * (1 + SLACK)  # [1 + groups, N]
    owners = np.arange(len(features)) % max(groups, 1)
    hits = np.zeros(1 + groups)
    for _, block in blocks(reference.features):
        distances = squared_distances(block, features)
        hits[0] += (distances <= radii[0]).any(1).sum()
        for group in range(groups):
            kept = owners != group
            hits[1 + group] += (distances[:, kept] <= radii[1 + group, kept]).any(1).sum()
    values = hits / len(reference.features)
    return _within_unit(grouped_estimate(float(values[0]), [float(value) for value in values[1:]]))


def _radii_without_groups(features: np.ndarray, groups: int) -> np.ndarray:
    """Return the squared radii of all pictures, and of all when one group is left out, `[1 + groups, N]`."""
    count = len(features)
    owners = np.arange(count) % max(groups, 1)
    radii = np.empty((1 + groups, count))
    for start, block in blocks(features):
        distances = squared_distances(block, features)
        distances[np.arange(len(block)), start + np.arange(len(block))] = np.inf
        rows = slice(start, start + len(block))
        k = min(NEIGHBORS, count - 1)
        radii[0, rows] = np.partition(distances, k - 1, 1)[:, k - 1]
        for group in range(groups):
            kept = distances[:, owners != group]
            radii[1 + group, rows] = np.partition(kept, k - 1, 1)[:, k - 1]
    return radii
