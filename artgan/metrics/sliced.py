"""Monge inception distance, MIND (Berthet et al. 2026): optimal transport along random lines.

MIND = 3 d * mean over unit directions u of W2^2(<u, x>, <u, y>),  W2 between the two sets of projections

It needs no covariance, so it says something from a thousand images on, and costs a product and a sort: the metric to watch
while training. Departure: the paper draws equal numbers from both sets; here W2 is taken between the two empirical quantile
functions as they are, which is the same for equal numbers, uses every image and does not depend on their order.
"""

import numpy as np

from artgan import seeding
from artgan.metrics.features import Estimate, Rows, blocks, check_features, grouped_estimate, jackknife_groups

NUM_DIRECTIONS = 1000
_DIRECTIONS_AT_ONCE = 100


def monge_distance(features: Rows, reference: Rows, seed: int = 0) -> Estimate:
    """Return MIND of features `[N, d]` and `[M, d]`, with the interval of the jackknife over groups.

    Args:
        features: of the judged images.
        reference: of the reference.
        seed: of the directions, which both sets share.
    """
    check_features(features)
    check_features(reference)
    dim, groups = features.shape[1], jackknife_groups(len(features))
    directions = unit_directions(seed, NUM_DIRECTIONS, dim)
    totals = np.zeros(1 + groups)
    for start in range(0, NUM_DIRECTIONS, _DIRECTIONS_AT_ONCE):
        chosen = directions[start : start + _DIRECTIONS_AT_ONCE].T
        ours, theirs = _project(features, chosen), np.sort(_project(reference, chosen), 1)
        order = np.argsort(ours, 1, kind="stable")
        ours = np.take_along_axis(ours, order, 1)
        totals[0] += _transport(ours, theirs).sum()
        for group in range(groups):
            kept = order % groups != group
            totals[1 + group] += _transport(ours[kept].reshape(len(ours), -1), theirs).sum()
    values = 3 * dim * totals / NUM_DIRECTIONS
    return grouped_estimate(float(values[0]), [float(value) for value in values[1:]])


def unit_directions(seed: int, count: int, dim: int) -> np.ndarray:
    """Return float64 `[count, d]` of uniformly distributed directions: normals of Box and Muller (1958), scaled to length 1."""
    draws = seeding.uniform(seed, "metrics/directions", 0, count, 2 * dim)
    normals = np.sqrt(-2 * np.log(draws[:, :dim])) * np.cos(2 * np.pi * draws[:, dim:])
    return normals / np.linalg.norm(normals, axis=1, keepdims=True)


def _project(features: Rows, directions: np.ndarray) -> np.ndarray:
    """Return `[directions, N]`."""
    projected = np.empty((directions.shape[1], len(features)))
    for start, block in blocks(features):
        projected[:, start : start + len(block)] = (block @ directions).T
    return projected


def _transport(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return W2^2 of sorted rows `[L, n]` and `[L, m]`: the integral over q of (Fx^-1(q) - Fy^-1(q))^2, both step functions."""
    n, m = x.shape[1], y.shape[1]
    if n == m:
        return np.square(x - y).mean(1)
    # In units of 1 / (n m) the steps end at whole numbers, so none is lost to rounding.
    ends = np.union1d(np.arange(1, n + 1) * m, np.arange(1, m + 1) * n)
    widths = np.diff(ends, prepend=0) / (n * m)
    return np.square(x[:, (ends - 1) // m] - y[:, (ends - 1) // n]) @ widths
