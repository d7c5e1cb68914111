"""Kernel Inception distance, exact (Bińkowski et al. 2018, 1801.01401).

MMD^2_u = mean_{i != j} k(x_i, x_j) + mean_{i != j} k(y_i, y_j) - 2 mean_{i, j} k(x_i, y_j),  k(x, y) = (x.y / d + 1)^3

Every pair is used, once: the value is deterministic, and unbiased at any number of images. The usual mean over random
subsets estimates the same number with added noise.
"""

import numpy as np

from artgan.metrics.frechet import check_features

_DEGREE = 3
_CHUNK_ROWS = 1024


def kernel_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Return the unbiased squared maximum mean discrepancy of features `[N, d]` and `[M, d]`; it may be below zero."""
    check_features(first)
    check_features(second)
    x, y = first.astype(np.float64), second.astype(np.float64)
    cross = _row_sums(x, y).sum() / (len(x) * len(y))
    return _self_term(x) + _self_term(y) - 2 * cross


def kernel_interval(first: np.ndarray, second: np.ndarray, num_standard_errors: float) -> tuple[float, float]:
    """Return an interval from the jackknife over images of `first`, with `second` held fixed.

    Leaving image i out changes the two terms that hold it, both known from the row sums of the kernel, so that the N
    jackknife values cost no more than the distance itself.
    """
    x, y = first.astype(np.float64), second.astype(np.float64)
    count = len(x)
    own = _row_sums(x, x)
    diagonal = _kernel_diagonal(x)
    others = own - diagonal  # sum over j != i of k(x_i, x_j)
    cross = _row_sums(x, y)
    total_own, total_cross = others.sum(), cross.sum()
    if count < 3:
        return float("nan"), float("nan")
    left_out = (total_own - 2 * others) / ((count - 1) * (count - 2)) - 2 * (total_cross - cross) / ((count - 1) * len(y))
    error = np.sqrt((count - 1) / count * np.square(left_out - left_out.mean()).sum())
    value = total_own / (count * (count - 1)) + _self_term(y) - 2 * total_cross / (count * len(y))
    return float(value - num_standard_errors * error), float(value + num_standard_errors * error)


def _self_term(x: np.ndarray) -> float:
    count = len(x)
    return float((_row_sums(x, x).sum() - _kernel_diagonal(x).sum()) / (count * (count - 1)))


def _kernel_diagonal(x: np.ndarray) -> np.ndarray:
    return (np.square(x).sum(1) / x.shape[1] + 1) ** _DEGREE


def _row_sums(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the sum over j of k(x_i, y_j), without holding the whole kernel matrix."""
    dim = x.shape[1]
    sums = np.empty(len(x))
    for start in range(0, len(x), _CHUNK_ROWS):
        sums[start : start + _CHUNK_ROWS] = ((x[start : start + _CHUNK_ROWS] @ y.T / dim + 1) ** _DEGREE).sum(1)
    return sums
