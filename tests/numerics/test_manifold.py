"""Precision, recall, density, coverage, MIND and the copying measures: brute force, closed forms, laws."""

import numpy as np
import pytest

from artgan.errors import DataError
from artgan.metrics.features import FeatureBank, share_estimate
from artgan.metrics.frechet import fit_gaussian, frechet
from artgan.metrics.kernel import kernel_distance
from artgan.metrics.manifold import fit_manifold, manifold_scores
from artgan.metrics.memorization import authenticity, copying_score, mann_whitney, nearest_rows
from artgan.metrics.sliced import monge_distance, unit_directions

RANDOM = np.random.default_rng(1)


def features(count, dim, shift=0.0, scale=1.0):
    return (RANDOM.normal(size=(count, dim)) * scale + shift).astype(np.float32)


def brute_force(generated, real, k=5):
    """The papers' definitions, pair by pair."""
    distance = lambda a, b: float(np.linalg.norm(a.astype(float) - b.astype(float)))  # noqa: E731
    radius = lambda z, i: sorted(distance(z[i], z[j]) for j in range(len(z)) if j != i)[k - 1]  # noqa: E731
    real_radii = [radius(real, i) for i in range(len(real))]
    generated_radii = [radius(generated, i) for i in range(len(generated))]
    inside = [[distance(x, y) <= r for y, r in zip(real, real_radii, strict=True)] for x in generated]
    covered = [any(distance(y, x) <= r for x, r in zip(generated, generated_radii, strict=True)) for y in real]
    return {
        "precision": np.mean([any(row) for row in inside]),
        "recall": np.mean(covered),
        "density": np.sum(inside) / (k * len(generated)),
        "coverage": np.mean(np.any(inside, 0)),
    }


def test_the_four_shares_equal_the_definitions():
    generated, real = features(43, 4, 0.4), features(37, 4)
    scores = manifold_scores(generated, fit_manifold(real))
    for name, value in brute_force(generated, real).items():
        assert getattr(scores, name).value == pytest.approx(value, abs=1e-12), name


def test_equal_distributions_have_density_1_and_coverage_1_minus_2_to_the_minus_k():
    scores = manifold_scores(features(2000, 8), fit_manifold(features(2000, 8)))
    assert scores.density.value == pytest.approx(1, abs=0.05)
    assert scores.coverage.value == pytest.approx(1 - 2**-5, abs=0.012)


def test_a_narrow_generator_is_precise_and_recalls_little():
    """The asymmetry that an exchange of the two sets would hide."""
    scores = manifold_scores(features(300, 6, scale=0.3), fit_manifold(features(300, 6)))
    assert scores.precision.value > 0.98
    assert scores.recall.value < 0.3
    wide = manifold_scores(features(300, 6), fit_manifold(features(300, 6, scale=0.3)))
    assert wide.precision.value < 0.3
    assert wide.recall.value > 0.98


def test_copies_lie_on_the_rim_of_balls_that_are_points_and_count():
    real = np.repeat(features(10, 5), 6, axis=0)  # five twins each: every ball has radius 0
    scores = manifold_scores(real[::6], fit_manifold(real))
    assert scores.precision.value == scores.coverage.value == 1
    assert np.isfinite(scores.density.value)
    assert (scores.realism >= 1).all()


def test_realism_is_high_inside_and_low_outside():
    real = features(200, 4)
    balls = fit_manifold(real)
    dense = real[[balls.radii.argmin()]]
    scores = manifold_scores(np.concatenate([dense * 0.99, dense + 40]).astype(np.float32), balls)
    assert scores.realism[0] > 1 > scores.realism[1]


@pytest.mark.parametrize("count", [2, 3, 7])
def test_a_handful_of_pictures_gives_finite_values(count):
    scores = manifold_scores(features(count, 4), fit_manifold(features(count, 4)))
    for name in ("precision", "recall", "density", "coverage"):
        assert np.isfinite(getattr(scores, name).value)
    with pytest.raises(DataError, match="at least 2 images"):
        fit_manifold(features(1, 4))


def test_nothing_depends_on_order_or_blocks(monkeypatch):
    generated, real = features(120, 6, 0.3), features(150, 6)

    def everything(x, y):
        balls = fit_manifold(y)
        scores = manifold_scores(x, balls)
        shares = [getattr(scores, name).value for name in ("precision", "recall", "density", "coverage")]
        kid = kernel_distance(x.astype(np.float64), y.astype(np.float64)).value
        distances = [frechet(x, fit_gaussian(y)).value, kid, monge_distance(x, y).value]
        copies = [authenticity(nearest_rows(x, y), balls).value, copying_score(x, y[:60], y[60:]).value]
        return [*shares, *distances, *copies]

    wanted = everything(generated, real)
    order = np.concatenate([RANDOM.permutation(60), 60 + RANDOM.permutation(90)])
    assert everything(generated[RANDOM.permutation(120)], real[order]) == pytest.approx(wanted, rel=1e-9)
    monkeypatch.setattr("artgan.metrics.features.blocks.__defaults__", (17,))
    monkeypatch.setattr("artgan.metrics.kernel._CHUNK_ROWS", 13)
    assert everything(generated, real) == pytest.approx(wanted, rel=1e-9)


def test_intervals_of_recall_and_coverage_cover_the_repeated_value():
    balls = fit_manifold(features(200, 4))
    scores = [manifold_scores(features(100, 4, 0.2), balls) for _ in range(60)]
    for name in ("precision", "recall", "density", "coverage"):
        estimates = [getattr(score, name) for score in scores]
        mean = np.mean([estimate.value for estimate in estimates])
        assert np.mean([estimate.low <= mean <= estimate.high for estimate in estimates]) > 0.8, name


def test_a_share_of_none_or_all_still_has_an_interval():
    none, every = share_estimate(np.zeros(50, bool)), share_estimate(np.ones(50, bool))
    assert (none.value, none.low) == (0, 0)
    assert none.high == pytest.approx(0.0713, abs=1e-3)  # Wilson's upper bound z^2 / (n + z^2)
    assert (every.value, every.high) == (1, 1)


def test_mind_of_equal_numbers_is_the_mean_over_sorted_projections():
    x, y = features(30, 6), features(30, 6, 0.5)
    directions = unit_directions(0, 1000, 6)
    wanted = 18 * np.mean([np.mean((np.sort(x @ u) - np.sort(y @ u)) ** 2) for u in directions])
    assert monge_distance(x, y).value == pytest.approx(wanted, rel=1e-9)


def test_mind_of_a_translation_is_three_times_its_squared_length():
    """E <u, t>^2 = |t|^2 / d over unit directions, so 3 d E = 3 |t|^2; 1000 directions leave a few percent."""
    x, move = features(200, 8).astype(np.float64), np.full(8, 0.3)
    assert monge_distance(x, x + move).value == pytest.approx(3 * np.square(move).sum(), rel=0.15)
    assert monge_distance(x, x).value == 0


def test_mind_of_unequal_numbers_repeats_rows():
    """Each row twice is the same distribution: the quantile functions do not change."""
    x, y = features(30, 5), features(20, 5, 0.3)
    assert monge_distance(np.repeat(x, 2, 0), np.repeat(y, 3, 0)).value == pytest.approx(monge_distance(x, y).value, rel=1e-9)


def test_directions_are_uniform_on_the_sphere():
    directions = unit_directions(0, 4000, 3)
    assert np.linalg.norm(directions, axis=1) == pytest.approx(1)
    assert np.abs(directions.mean(0)).max() < 0.04
    assert np.abs(directions.T @ directions / 4000 - np.eye(3) / 3).max() < 0.03


def test_a_copier_is_caught_and_an_honest_hold_out_passes():
    world = features(900, 16)
    train, holdout, honest = world[:400], world[400:600], world[600:]
    balls = fit_manifold(train)
    copies = train[RANDOM.integers(0, 400, 300)]
    assert authenticity(nearest_rows(copies, train), balls).value == 0
    assert copying_score(copies, holdout, train).value < -10
    assert authenticity(nearest_rows(honest, train), balls).value > 0.3
    assert abs(copying_score(honest, holdout, train).value) < 3
    nearly = (copies + features(300, 16, scale=0.05)).astype(np.float32)
    assert copying_score(nearly, holdout, train).value < -10
    assert copying_score(features(300, 16, scale=3), holdout, train).low > 3


def test_mann_whitney_equals_scipys_with_ties():
    import scipy.stats

    x, y = RANDOM.integers(0, 9, 40).astype(float), RANDOM.integers(2, 12, 30).astype(float)
    u = scipy.stats.mannwhitneyu(x, y, method="asymptotic", use_continuity=False).statistic
    assert mann_whitney(x, y) == pytest.approx((u - 600) / np.sqrt(40 * 30 * 71 / 12), rel=1e-12)


def test_copying_needs_enough_pictures():
    assert copying_score(features(10, 4), features(10, 4), features(50, 4)) is None


def test_a_bank_on_disk_is_the_array_that_went_in():
    rows = features(100, 7)
    bank = FeatureBank(limit_bytes=1000)
    for start in range(0, 100, 24):
        bank.append(rows[start : start + 24])
    assert bank.shape == (100, 7)
    for piece in (slice(None), slice(30, 60), slice(90, 200), slice(5, 50, 3), slice(100, 120)):
        assert np.array_equal(bank[piece], rows[piece])
    reference = features(90, 7)
    assert frechet(bank, fit_gaussian(reference)).value == pytest.approx(
        frechet(rows, fit_gaussian(reference)).value, rel=1e-12
    )
    assert kernel_distance(bank, reference).value == kernel_distance(rows, reference).value
    assert monge_distance(bank, reference).value == monge_distance(rows, reference).value
    with pytest.raises(DataError, match="not finite"):
        bank.append(np.full((1, 7), np.nan, np.float32))


def test_the_interval_of_the_copying_score_holds_its_share():
    """Of draws from one distribution about 95 % of the intervals have 0 in them."""
    rng = np.random.default_rng(5)
    held = 0
    for _ in range(200):
        score = copying_score(*(rng.normal(size=(count, 6)) for count in (90, 60, 60)))
        held += score.low <= 0 <= score.high
    assert 0.85 <= held / 200 <= 1
