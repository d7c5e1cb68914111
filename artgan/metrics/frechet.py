"""Fréchet distance between Gaussians fitted to two sets of features (Heusel et al. 2017, 1706.08500).

d^2 = |m1 - m2|^2 + tr(S1) + tr(S2) - 2 tr((S1 S2)^(1/2)),  S with N - 1

No matrix square root is taken of a product: `scipy.linalg.sqrtm` is slow, and gives complex or wrong values when a
covariance is singular, which it is whenever there are fewer images than features. With S2 = R^T R and Z = (X - m1) R^T,
the last trace is the nuclear norm of Z / (N - 1)^(1/2): real, not negative, and as small as the fewer of images and features.
"""

from dataclasses import dataclass

import numpy as np

from artgan.metrics.features import Estimate, Rows, blocks, check_features, grouped_estimate, jackknife_groups

_GROUP_ROWS = 256  # of one group at a time, read from among those of the others


@dataclass(frozen=True)
class Gaussian:
    """Mean and a factor of the covariance.

    Attributes:
        mean: float64 `[d]`.
        factor: float64 `[k, d]` with factor^T factor = S; k is min(N, d).
        trace: of S.
        count: N.
    """

    mean: np.ndarray
    factor: np.ndarray
    trace: float
    count: int


def fit_gaussian(features: Rows) -> Gaussian:
    """Fit mean and covariance to features `[N, d]`, in float64.

    Raises:
        DataError: fewer than two rows, or values that are not finite.
    """
    check_features(features)
    count, dim = features.shape
    mean = sum(block.sum(0) for _, block in blocks(features)) / count
    if count <= dim:
        factor = (features[:].astype(np.float64) - mean) / np.sqrt(count - 1)
        return Gaussian(mean, factor, float(np.square(factor).sum()), count)
    covariance = np.zeros((dim, dim))
    for _, block in blocks(features):
        block -= mean
        covariance += block.T @ block
    covariance /= count - 1
    trace = float(np.trace(covariance))
    eigenvalues, vectors = np.linalg.eigh(covariance)
    return Gaussian(mean, (vectors * np.sqrt(eigenvalues.clip(0))).T, trace, count)


def frechet_distance(first: Gaussian, second: Gaussian) -> float:
    """Return d^2. With S1 = A^T A and S2 = B^T B, tr((S1 S2)^(1/2)) is the nuclear norm of A B^T."""
    cross = np.linalg.svd(first.factor @ second.factor.T, compute_uv=False).sum()
    mean_term = float(np.square(first.mean - second.mean).sum())
    return mean_term + first.trace + second.trace - 2 * float(cross)


def frechet(features: Rows, reference: Gaussian) -> Estimate:
    """Return d^2 of features `[N, d]` with the interval of the jackknife over groups, holding at most a few `[d, d]` matrices.

    Raises:
        DataError: fewer than two rows, or values that are not finite.
    """
    check_features(features)
    groups = jackknife_groups(len(features))
    index = np.arange(len(features)) % max(groups, 1)
    sums = [np.zeros(features.shape[1]) for _ in range(max(groups, 1))]
    squares = np.zeros(max(groups, 1))
    for start, block in blocks(features):
        block -= reference.mean
        owners = index[start : start + len(block)]
        for group in range(len(sums)):
            sums[group] += block[owners == group].sum(0)
            squares[group] += np.square(block[owners == group]).sum()
    cross = _wide_cross if len(features) <= len(reference.factor) else _tall_cross
    traces = cross(features, reference, index, groups)
    counts = np.bincount(index)
    values: list[float] = []
    for left_out in (None, *range(groups)):
        kept = [group for group in range(len(sums)) if group != left_out]
        count = counts[kept].sum()
        total = sum(sums[group] for group in kept)
        trace = (squares[kept].sum() - np.square(total).sum() / count) / (count - 1)
        values.append(float(np.square(total / count).sum() + trace + reference.trace - 2 * traces[len(values)]))
    return grouped_estimate(values[0], values[1:])


def _wide_cross(features: Rows, reference: Gaussian, index: np.ndarray, groups: int) -> list[float]:
    """Return the trace of the root for all rows and without each group, where rows are fewer than the factor's.

    All rows: singular values, exact. Left out: eigenvalues of the Gram matrix, centered again; that halves the digits, of
    which an interval needs few.
    """
    projected = (features[:].astype(np.float64) - reference.mean) @ reference.factor.T  # [N, k]
    centered = projected - projected.mean(0)
    traces = [float(np.linalg.svd(centered, compute_uv=False).sum()) / np.sqrt(len(projected) - 1)]
    gram = centered @ centered.T if groups else centered
    for group in range(groups):
        kept = index != group
        inner = gram[np.ix_(kept, kept)]
        inner = inner - inner.mean(0) - inner.mean(1)[:, None] + inner.mean()
        traces.append(_root_trace(inner / (kept.sum() - 1)))
    return traces


def _tall_cross(features: Rows, reference: Gaussian, index: np.ndarray, groups: int) -> list[float]:
    """Return the same where rows are more than the factor's: eigenvalues of the covariance of the projected rows."""
    rank = len(reference.factor)
    total, moment = np.zeros(rank), np.zeros((rank, rank))
    for _, block in blocks(features):
        projected = (block - reference.mean) @ reference.factor.T
        total += projected.sum(0)
        moment += projected.T @ projected
    traces = [_root_trace(_covariance(moment.copy(), total, len(features)))]
    for group in range(groups):
        left_total, left_moment = total.copy(), moment.copy()
        for start in range(group, len(features), groups * _GROUP_ROWS):
            rows = features[start : start + groups * _GROUP_ROWS : groups].astype(np.float64)
            projected = (rows - reference.mean) @ reference.factor.T
            left_total -= projected.sum(0)
            left_moment -= projected.T @ projected
        traces.append(_root_trace(_covariance(left_moment, left_total, int((index != group).sum()))))
    return traces


def _covariance(moment: np.ndarray, total: np.ndarray, count: int) -> np.ndarray:
    """Return the covariance from sums of squares and of values; it takes the place of `moment`, row by row."""
    for row, value in enumerate(total):
        moment[row] -= total * (value / count)
    moment /= count - 1
    return moment


def _root_trace(matrix: np.ndarray) -> float:
    return float(np.sqrt(np.linalg.eigvalsh(matrix).clip(0)).sum())
