"""Metrics against closed forms, other routes to the same number, and laws."""

import numpy as np
import pytest
import scipy.linalg

from artgan.errors import DataError
from artgan.metrics.frechet import fit_gaussian, frechet, frechet_distance
from artgan.metrics.kernel import kernel_distance as kernel_estimate

RANDOM = np.random.default_rng(0)


def fd(x, y):
    """The distance by both routes that the package has; they must agree."""
    value = frechet_distance(fit_gaussian(x), fit_gaussian(y))
    assert frechet(x, fit_gaussian(y)).value == pytest.approx(value, rel=1e-7, abs=1e-9 * fit_gaussian(y).trace + 1e-12)
    return value


def kernel_distance(x, y):
    return kernel_estimate(x, y).value


def features(count, dim, shift=0.0, scale=1.0):
    mixing = np.random.default_rng(dim).normal(size=(dim, dim)) / np.sqrt(dim)
    return RANDOM.normal(size=(count, dim)) @ mixing * scale + shift


def textbook_fd(x, y):
    """The formula with scipy's square root of a product, as most tools have it."""
    s1, s2 = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    root = scipy.linalg.sqrtm(s1 @ s2)
    return np.square(x.mean(0) - y.mean(0)).sum() + np.trace(s1) + np.trace(s2) - 2 * np.trace(root).real


@pytest.mark.parametrize(("n", "m", "dim"), [(400, 300, 20), (80, 90, 64)])
def test_frechet_equals_the_textbook_where_that_is_defined(n, m, dim):
    x, y = features(n, dim), features(m, dim, 0.3, 1.4)
    assert fd(x, y) == pytest.approx(textbook_fd(x, y), rel=1e-8)


def test_frechet_with_fewer_images_than_features_equals_the_full_covariances():
    """Singular covariances: compare with the symmetric form S1^(1/2) S2 S1^(1/2) in full size."""
    x, y = features(30, 100), features(50, 100, 0.1)
    s1, s2 = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    values, vectors = np.linalg.eigh(s1)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    trace = np.sqrt(np.linalg.eigvalsh(root @ s2 @ root).clip(0)).sum()
    wanted = np.square(x.mean(0) - y.mean(0)).sum() + np.trace(s1) + np.trace(s2) - 2 * trace
    assert fd(x, y) == pytest.approx(wanted, rel=1e-6)


def test_frechet_of_a_set_with_itself_is_zero():
    for count in (10, 500):
        x = features(count, 32)
        assert abs(fd(x, x)) < 1e-9 * fit_gaussian(x).trace


def test_frechet_of_a_translation_is_its_squared_length():
    x, move = features(200, 16), np.linspace(-1, 1, 16)
    assert fd(x, x + move) == pytest.approx(np.square(move).sum(), rel=1e-9)


def test_frechet_of_a_scaling_has_a_closed_form():
    """S2 = c^2 S1 about a common mean: d^2 = (1 - c)^2 tr S1."""
    x = features(300, 16)
    centered = x - x.mean(0)
    assert fd(x, x.mean(0) + 1.7 * centered) == pytest.approx(0.49 * fit_gaussian(x).trace, rel=1e-9)


def test_covariance_divides_by_n_minus_one():
    x = features(5, 4)
    assert fit_gaussian(x).trace == pytest.approx(np.trace(np.cov(x, rowvar=False)), rel=1e-12)


def test_two_images_and_constant_features_are_finite():
    assert np.isfinite(fd(features(2, 8), features(2, 8)))
    assert fd(np.ones((5, 8)), np.ones((7, 8))) == pytest.approx(0, abs=1e-12)


def brute_force_kid(x, y):
    kernel = lambda a, b: (float(a @ b) / len(a) + 1) ** 3  # noqa: E731
    own = lambda z: np.mean([kernel(z[i], z[j]) for i in range(len(z)) for j in range(len(z)) if i != j])  # noqa: E731
    return own(x) + own(y) - 2 * np.mean([kernel(a, b) for a in x for b in y])


def test_kernel_distance_equals_the_double_loop():
    x, y = features(23, 6), features(31, 6, 0.5)
    assert kernel_distance(x, y) == pytest.approx(brute_force_kid(x, y), rel=1e-12)


def test_kernel_distance_is_unbiased_where_frechet_is_not():
    """Two samples of one distribution: the mean over many draws is zero within its standard error."""
    values = [kernel_distance(features(40, 8), features(40, 8)) for _ in range(200)]
    assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(len(values))


def test_kernel_distance_does_not_depend_on_order_or_chunks(monkeypatch):
    x, y = features(50, 8), features(60, 8, 0.2)
    value = kernel_distance(x, y)
    assert kernel_distance(x[::-1], y[::-1]) == pytest.approx(value, rel=1e-12)
    monkeypatch.setattr("artgan.metrics.kernel._CHUNK_ROWS", 7)
    assert kernel_distance(x, y) == pytest.approx(value, rel=1e-12)


def test_kernel_interval_is_the_jackknife():
    x, y = features(20, 5), features(25, 5, 0.4)
    left_out = np.array([kernel_distance(np.delete(x, i, 0), y) for i in range(len(x))])
    error = np.sqrt(19 / 20 * np.square(left_out - left_out.mean()).sum())
    estimate = kernel_estimate(x, y)
    assert estimate.high - estimate.low == pytest.approx(2 * 1.96 * error, rel=1e-9)
    assert (estimate.low + estimate.high) / 2 == pytest.approx(estimate.value, rel=1e-9)


@pytest.mark.parametrize(("count", "dim"), [(60, 8), (40, 50)])
def test_frechet_interval_is_the_jackknife_over_groups(count, dim):
    x, y = features(count, dim), features(90, dim, 0.4)
    groups = np.arange(count) % 10
    left_out = np.array([fd(x[groups != group], y) for group in range(10)])
    error = np.sqrt(9 / 10 * np.square(left_out - left_out.mean()).sum())
    estimate = frechet(x, fit_gaussian(y))
    assert estimate.high - estimate.low == pytest.approx(2 * 1.96 * error, rel=1e-4)
    assert (estimate.low + estimate.high) / 2 == pytest.approx(fd(x, y), rel=1e-9)


def test_intervals_cover_the_repeated_value():
    """About 95 % of fresh samples must have the long-run mean in their interval; far fewer means a wrong error."""
    reference = features(400, 6, 0.3)
    gaussian = fit_gaussian(reference)
    draws = [features(100, 6) for _ in range(120)]
    for estimates in ([kernel_estimate(x, reference) for x in draws], [frechet(x, gaussian) for x in draws]):
        mean = np.mean([estimate.value for estimate in estimates])
        assert np.mean([estimate.low <= mean <= estimate.high for estimate in estimates]) > 0.85


def test_intervals_of_too_few_images_are_not_made_up():
    assert np.isnan(kernel_estimate(features(2, 4), features(9, 4)).low)
    assert np.isnan(frechet(features(3, 4), fit_gaussian(features(9, 4))).high)


@pytest.mark.parametrize("broken", [np.ones((1, 4)), np.full((3, 4), np.nan), np.full((3, 4), np.inf)])
def test_unusable_features_are_a_clear_error(broken):
    with pytest.raises(DataError, match=r"at least 2 images|not finite"):
        fit_gaussian(broken)
    with pytest.raises(DataError, match=r"at least 2 images|not finite"):
        kernel_distance(features(3, 4), broken)
