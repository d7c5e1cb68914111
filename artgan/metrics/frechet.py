"""Fréchet distance between Gaussians fitted to two sets of features (Heusel et al. 2017, 1706.08500).

d^2 = |m1 - m2|^2 + tr(S1) + tr(S2) - 2 tr((S1 S2)^(1/2)),  S with N - 1

No matrix square root is taken of a product: `scipy.linalg.sqrtm` is slow, and gives complex or wrong values when a
covariance is singular, which it is whenever there are fewer images than features.
"""

from dataclasses import dataclass

import numpy as np

from artgan.errors import DataError

_JACKKNIFE_GROUPS = 10


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


def fit_gaussian(features: np.ndarray) -> Gaussian:
    """Fit mean and covariance to features `[N, d]`.

    Raises:
        DataError: fewer than two rows, or values that are not finite.
    """
    check_features(features)
    values = features.astype(np.float64)
    count, dim = values.shape
    mean = values.mean(0)
    centered = (values - mean) / np.sqrt(count - 1)
    trace = float(np.square(centered).sum())
    if count > dim:
        eigenvalues, vectors = np.linalg.eigh(centered.T @ centered)
        centered = (vectors * np.sqrt(eigenvalues.clip(0))).T
    return Gaussian(mean, centered, trace, count)


def frechet_distance(first: Gaussian, second: Gaussian) -> float:
    """Return d^2.

    With S1 = A^T A and S2 = B^T B, the eigenvalues of S1 S2 are the squared singular values of A B^T, so that
    tr((S1 S2)^(1/2)) is the nuclear norm of A B^T: real, not negative, and as small as the fewer of images and features.
    """
    cross = np.linalg.svd(first.factor @ second.factor.T, compute_uv=False).sum()
    mean_term = float(np.square(first.mean - second.mean).sum())
    return mean_term + first.trace + second.trace - 2 * float(cross)


def frechet_interval(features: np.ndarray, reference: Gaussian, num_standard_errors: float) -> tuple[float, float]:
    """Return an interval for the sampling error of `features` `[N, d]`, with the reference held fixed.

    From the jackknife over groups (Tukey 1958): se^2 = (g - 1) / g * sum_i (d_i - mean d)^2, where d_i leaves group i out.
    The distance's bias at small N is common to all d_i and stays in the value: compare values at equal N only.
    """
    groups = min(_JACKKNIFE_GROUPS, len(features))
    if len(features) < 2 * groups:
        return float("nan"), float("nan")
    index = np.arange(len(features)) % groups
    left_out = np.array([frechet_distance(fit_gaussian(features[index != group]), reference) for group in range(groups)])
    error = np.sqrt((groups - 1) / groups * np.square(left_out - left_out.mean()).sum())
    value = frechet_distance(fit_gaussian(features), reference)
    return float(value - num_standard_errors * error), float(value + num_standard_errors * error)


def check_features(features: np.ndarray) -> None:
    """Raise DataError for features that no metric is defined on."""
    if features.ndim != 2 or len(features) < 2:
        raise DataError(f"metrics need at least 2 images, got {len(features)}")
    if not np.isfinite(features).all():
        raise DataError("some features are not finite: a picture or a network output holds NaN or infinity")
