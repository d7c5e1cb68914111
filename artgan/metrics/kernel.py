"""Kernel Inception distance, exact (Bińkowski et al. 2018, 1801.01401).

MMD^2_u = mean_{i != j} k(x_i, x_j) + mean_{i != j} k(y_i, y_j) - 2 mean_{i, j} k(x_i, y_j),  k(x, y) = (x.y / d + 1)^3

Every pair is used, once: the value is deterministic, and unbiased at any number of images. The usual mean over random
subsets estimates the same number with added noise.
"""

import numpy as np

from artgan.metrics.features import STANDARD_ERRORS, Estimate, Rows, check_features

_CHUNK_ROWS = 1024


def kernel_distance(features: Rows, reference: Rows, reference_self: float | None = None) -> Estimate:
    """Return the unbiased squared maximum mean discrepancy of features `[N, d]` and `[M, d]`; it may be below zero.

    The interval is that of the jackknife over the N images. Leaving image i out changes the two terms that hold it, both
    known from the row sums of the kernel, so that the N values cost no more than the distance itself.

    Args:
        features: of the judged images.
        reference: of the reference.
        reference_self: `self_term(reference)`, where it is known.
    """
    check_features(features)
    check_features(reference)
    count, other = len(features), len(reference)
    others = _own_sums(features)  # [N], sum over j != i of k(x_i, x_j)
    cross = _cross_sums(features, reference)  # [N], sum over j of k(x_i, y_j)
    own_total, cross_total = others.sum(), cross.sum()
    reference_self = self_term(reference) if reference_self is None else reference_self
    value = own_total / (count * (count - 1)) + reference_self - 2 * cross_total / (count * other)
    if count < 3:
        return Estimate(float(value))
    left_out = (own_total - 2 * others) / ((count - 1) * (count - 2)) - 2 * (cross_total - cross) / ((count - 1) * other)
    error = np.sqrt((count - 1) / count * np.square(left_out - left_out.mean()).sum())
    return Estimate(float(value), float(value - STANDARD_ERRORS * error), float(value + STANDARD_ERRORS * error))


def self_term(features: Rows) -> float:
    """Return mean_{i != j} k(x_i, x_j)."""
    check_features(features)
    count = len(features)
    return float(_own_sums(features).sum() / (count * (count - 1)))


def _own_sums(x: Rows) -> np.ndarray:
    """Return the sum over j != i of k(x_i, x_j) for each i; each pair of blocks is multiplied once."""
    sums = np.zeros(len(x))
    for start in range(0, len(x), _CHUNK_ROWS):
        rows = x[start : start + _CHUNK_ROWS].astype(np.float64)
        for other in range(start, len(x), _CHUNK_ROWS):
            columns = rows if other == start else x[other : other + _CHUNK_ROWS].astype(np.float64)
            kernel = _kernel(rows, columns)
            if other == start:
                np.fill_diagonal(kernel, 0)
            else:
                sums[other : other + len(columns)] += kernel.sum(0)
            sums[start : start + len(rows)] += kernel.sum(1)
    return sums


def _cross_sums(x: Rows, y: Rows) -> np.ndarray:
    sums = np.zeros(len(x))
    for start in range(0, len(x), _CHUNK_ROWS):
        rows = x[start : start + _CHUNK_ROWS].astype(np.float64)
        for other in range(0, len(y), _CHUNK_ROWS):
            sums[start : start + len(rows)] += _kernel(rows, y[other : other + _CHUNK_ROWS].astype(np.float64)).sum(1)
    return sums


def _kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return k(x_i, y_j), `[n, m]`; two products are several times faster than a power."""
    base = x @ y.T
    base /= x.shape[1]
    base += 1
    cubed = base * base
    cubed *= base
    return cubed
