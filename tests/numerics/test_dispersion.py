"""Variance ratio, its spectrum, the Vendi ratio, Clipped Density and Coverage: closed forms, brute force, laws."""

import numpy as np
import pytest

from artgan.errors import DataError
from artgan.evaluation.words import warnings_about
from artgan.metrics import METRICS
from artgan.metrics.clipped import clipped_scores, expected_coverage, good_share
from artgan.metrics.dispersion import (
    variance,
    variance_fine,
    variance_ratio,
    variance_spectrum,
    variance_wide,
    vendi,
    vendi_ratio,
    vendi_score,
)
from artgan.metrics.features import Estimate, FeatureBank
from artgan.metrics.manifold import fit_manifold
from artgan.metrics.sides import Known, Sides

RANDOM = np.random.default_rng(5)


def features(count, dim, scale=1.0):
    return (RANDOM.normal(size=(count, dim)) * scale).astype(np.float32)


def test_variance_ratio_is_a_ratio_of_traces_and_scales_with_the_square():
    generated, real = features(60, 7), features(80, 7, 2.0)
    expected = np.trace(np.cov(generated.T.astype(float))) / np.trace(np.cov(real.T.astype(float)))
    estimate = variance_ratio(generated, real)
    assert estimate.value == pytest.approx(expected, rel=1e-12)
    assert variance_ratio(3 * generated + 5, real).value == pytest.approx(9 * expected, rel=1e-5)
    assert estimate.low < estimate.value < estimate.high


def test_a_bank_gives_what_its_rows_give():
    generated, real = features(700, 7), features(80, 7)
    bank = FeatureBank(limit_bytes=100)
    bank.append(generated)
    assert variance_ratio(bank, real) == variance_ratio(generated, real)
    assert vendi_ratio(bank, real) == vendi_ratio(generated, real)


def test_the_interval_of_the_variance_ratio_covers_the_truth():
    """In 95 of 100 draws, of a population whose ratio is known; ten groups make the interval rough."""
    real = features(20_000, 8)
    hits = 0
    for _ in range(100):
        estimate = variance_ratio(features(100, 8, 0.7), real)
        hits += estimate.low <= 0.49 <= estimate.high
    assert hits >= 85


def test_the_spectrum_says_along_which_directions_variance_is_missing():
    deviations = np.repeat([10.0, 3.0, 1.0], [20, 40, 40])  # bands apart: their directions do not mix
    real, generated = features(4000, 100) * deviations, features(4000, 100) * deviations
    generated[:, :20] *= 0.5
    first, second, rest = variance_spectrum(generated, real)
    assert first == pytest.approx(0.25, rel=0.05)
    assert [second, rest] == pytest.approx([1, 1], rel=0.05)
    weights = np.square(deviations) / np.square(deviations).sum()
    total = first * weights[:20].sum() + second * weights[20:60].sum() + rest * weights[60:].sum()
    assert total == pytest.approx(variance_ratio(generated, real).value, rel=0.02)


def test_the_spectrum_of_the_real_pictures_is_one_in_every_band():
    real = features(50, 300)  # fewer pictures than dimensions: 49 directions
    assert variance_spectrum(real, real) == pytest.approx([1, 1])


@pytest.mark.parametrize("dim", [12, 40])
def test_vendi_counts_distinct_pictures(dim):
    basis = np.eye(dim)
    assert vendi_score(basis[:10]) == pytest.approx(10)
    assert vendi_score(np.repeat(basis[:4], 5, 0)) == pytest.approx(4)
    assert vendi_score(np.tile(basis[0], (9, 1))) == pytest.approx(1)
    shares = np.array([0.5, 0.3, 0.2])
    uneven = np.repeat(basis[:3], (shares * 20).astype(int), 0)
    assert vendi_score(uneven) == pytest.approx(np.exp(-(shares * np.log(shares)).sum()))


def test_vendi_ratio_is_one_for_equal_sets_and_falls_when_layouts_repeat():
    real = features(400, 60)
    assert vendi_ratio(real, real).value == pytest.approx(1)
    few = np.repeat(features(12, 60), 30, 0)
    estimate = vendi_ratio(few, real)
    assert estimate.value < 12 / 40
    assert vendi_ratio(features(400, 60), real).value == pytest.approx(1, abs=0.03)


def test_expected_coverage_is_that_of_a_beta_binomial():
    """Against scipy's distribution, and against draws of an arbitrary distribution."""
    from scipy.stats import betabinom

    for good, num_real, k in ((40, 30, 5), (3, 30, 5), (100, 7, 5), (0, 30, 5)):
        inside = np.arange(good + 1)
        expected = float((np.minimum(inside / k, 1) * betabinom.pmf(inside, good, k, num_real - k)).sum())
        assert expected_coverage(good, num_real, k) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("share", [0.25, 0.5, 0.8])
def test_both_read_as_the_share_of_good_pictures(share):
    """The law that they were made for: real pictures among strangers far away."""
    real, good = np.exp(features(1500, 3)), np.exp(features(int(1500 * share), 3))
    strangers = features(1500 - len(good), 3) + 1e4
    scores = clipped_scores(np.concatenate([good, strangers]).astype(np.float32), fit_manifold(real.astype(np.float32)))
    assert scores.density.value == pytest.approx(share, abs=0.05)
    assert scores.coverage.value == pytest.approx(share, abs=0.05)
    assert scores.coverage.low < scores.coverage.value < scores.coverage.high


def test_copies_of_one_picture_are_faithful_and_cover_nothing():
    """Clipping keeps a crowd in one place from making up for the rest, as density would."""
    real = features(300, 4)
    crowd = np.repeat(real[np.argsort(np.square(real).sum(1))[:1]], 300, 0)
    scores = clipped_scores(crowd, fit_manifold(real))
    assert scores.density.value == 1
    assert scores.coverage.value < 0.05


def test_clipped_scores_equal_the_definition_pair_by_pair():
    generated, real, k = features(23, 3), features(19, 3), 5
    balls = fit_manifold(real)
    between = np.linalg.norm(generated[:, None].astype(float) - real[None], axis=2)
    among = np.linalg.norm(real[:, None].astype(float) - real[None], axis=2)
    np.fill_diagonal(among, np.inf)
    radii = np.sort(among, 1)[:, k - 1]
    cut = np.minimum(radii, np.median(radii))
    density = np.minimum((between <= cut).sum(1) / k, 1).mean() / np.minimum((among <= cut).sum(1) / k, 1).mean()
    coverage = np.minimum((between <= radii).sum(0) / k, 1).mean()
    scores = clipped_scores(generated, balls)
    assert scores.density.value == pytest.approx(min(1, density), abs=1e-12)
    assert scores.coverage.value == pytest.approx(good_share(float(coverage), 23, 19, k), abs=1e-12)
    assert good_share(expected_coverage(7, 19, k), 23, 19, k) == pytest.approx(7 / 23)


def test_strangers_score_zero_and_few_pictures_are_answered():
    real = features(40, 3)
    scores = clipped_scores(features(40, 3) + 1e5, fit_manifold(real))
    assert (scores.density.value, scores.coverage.value) == (0, 0)
    assert np.isfinite(clipped_scores(real[:2], fit_manifold(real[:2])).coverage.value)
    for metric in (variance_ratio, vendi_ratio):
        with pytest.raises(DataError, match="at least 2"):
            metric(real[:1], real)
        assert np.isnan(metric(real, np.zeros((5, 3), np.float32)).value)


def test_rows_share_what_they_compute_and_leave_out_what_says_nothing(monkeypatch):
    calls = []
    monkeypatch.setattr("artgan.metrics.dispersion.variance_spectrum", lambda *_: calls.append(1) or [0.5, 0.6, 0.7, 0.8])
    real = features(60, 5)
    sides = Sides(features(60, 5), Known(real))
    assert (variance_wide(sides).value, variance_fine(sides).value, len(calls)) == (0.5, 0.8, 1)
    monkeypatch.undo()
    few = Sides(real, Known(real))
    assert variance_wide(few).value == pytest.approx(1)
    assert variance_fine(few) is None  # five directions have no two hundredth
    alike = Sides(real, Known(np.ones((6, 5), np.float32)))
    assert [metric(alike) for metric in (variance, variance_wide, variance_fine, vendi)] == [None] * 4


def test_advice_is_given_beyond_healthy_values_and_stays_one_sentence():
    def advice(value):
        return warnings_about({"variance_wide": Estimate(value)}, 1000, (2000, 10), 100, False)

    assert advice(0.9) == []
    (low,) = advice(0.3)
    assert low.startswith("variance_wide is not within 0.7 to 1.3: low where samples repeat a few layouts")
    assert advice(0.31) == [low]
    assert all(row.advice for row in METRICS.values() if row.healthy)
