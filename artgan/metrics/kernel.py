"""Kernel Inception distance, exact (Bińkowski et al. 2018, 1801.01401).

MMD^2_u = mean_{i != j} k(x_i, x_j) + mean_{i != j} k(y_i, y_j) - 2 mean_{i, j} k(x_i, y_j),  k(x, y) = (x.y / d + 1)^3

Every pair is used, once: the value is deterministic, and unbiased at any number of images. The usual mean over random
subsets estimates the same number with added noise.

Products of float64 features are taken in float64. Those of float32 features, which are known to seven digits only, are split:
with a common center c, x.y = (x - c).(y - c) + (x - c).c + (y - c).c + c.c, of which the first is taken in float32 and all
else, sums included, in float64. Its rounding averages out over the pairs; a test holds what is left to 1e-5 of the value.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from artgan.metrics.features import STANDARD_ERRORS, Estimate, Rows, check_features

_CHUNK_ROWS = 512
_KEPT_VALUES = 12_000_000


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


@dataclass(frozen=True)
class _Block:
    """Rows less their center, and ((x - c).c + c.c / 2) / d of each."""

    rows: np.ndarray
    along: np.ndarray


def _blocks(x: Rows, center: np.ndarray, first: int = 0) -> Iterator[tuple[int, _Block]]:
    dim = x.shape[1]
    for start in range(first, len(x), _CHUNK_ROWS):
        rows = x[start : start + _CHUNK_ROWS]
        moved = rows.astype(np.float64) - center
        along = (moved @ center + center @ center / 2) / dim
        yield start, _Block(moved.astype(rows.dtype), along)


def _prepared(x: Rows, center: np.ndarray) -> Callable[[int], Iterable[tuple[int, _Block]]]:
    """Return what gives the blocks from a row on: kept where they are small, made each time where they would fill memory."""
    if x.shape[0] * x.shape[1] > _KEPT_VALUES:
        return partial(_blocks, x, center)
    kept = list(_blocks(x, center))
    return lambda first: kept[first // _CHUNK_ROWS :]


def _center(x: Rows) -> np.ndarray:
    first = x[:_CHUNK_ROWS]
    return first.astype(np.float64).mean(0) if first.dtype == np.float32 else np.zeros(x.shape[1])


def _own_sums(x: Rows) -> np.ndarray:
    """Return the sum over j != i of k(x_i, x_j) for each i; each pair of blocks is multiplied once."""
    sums, columns_from = np.zeros(len(x)), _prepared(x, _center(x))
    for start, rows in columns_from(0):
        for other, columns in columns_from(start):
            kernel = _kernel(rows, columns)
            if other == start:
                np.fill_diagonal(kernel, 0)
            else:
                sums[other : other + len(columns.rows)] += kernel.sum(0)
            sums[start : start + len(rows.rows)] += kernel.sum(1)
    return sums


def _cross_sums(x: Rows, y: Rows) -> np.ndarray:
    sums, center = np.zeros(len(x)), _center(y)
    columns_from = _prepared(y, center)
    for start, rows in _blocks(x, center):
        for _, columns in columns_from(0):
            sums[start : start + len(rows.rows)] += _kernel(rows, columns).sum(1)
    return sums


def _kernel(x: _Block, y: _Block) -> np.ndarray:
    """Return k(x_i, y_j), float64 `[n, m]`; two products are several times faster than a power."""
    base = (x.rows @ y.rows.T).astype(np.float64)
    base *= 1 / x.rows.shape[1]
    base += (x.along + 1)[:, None]
    base += y.along
    cubed = base * base
    cubed *= base
    return cubed
