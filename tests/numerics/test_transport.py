"""The Gaussian transport term: laws of the map, the gradient of the Fréchet distance by finite differences, its moments."""

import numpy as np
import pytest
import torch

from artgan.metrics.frechet import Gaussian, frechet_distance
from artgan.objectives.terms.contract import Judged
from artgan.objectives.terms.transport import GaussianTransport, pooled, transport_map

RANDOM = np.random.default_rng(3)


def drawn(count, dim, scale=1.0, shift=0.0):
    return RANDOM.normal(size=(count, dim)) @ RANDOM.normal(size=(dim, dim)) * scale + shift


def moments(features):
    """Mean and covariance with N, as the gradient's formula has them."""
    return features.mean(0), np.cov(features.T, bias=True)


def mapped(source, target, ridge=0.0):
    return transport_map(torch.from_numpy(source), torch.from_numpy(target), ridge).numpy()


def distance(features, mean, covariance):
    own_mean, own = moments(features)
    factor = lambda matrix: np.linalg.cholesky(matrix).T  # noqa: E731
    ours = Gaussian(own_mean, factor(own), float(np.trace(own)), 2)
    return frechet_distance(ours, Gaussian(mean, factor(covariance), float(np.trace(covariance)), 2))


def judged(features):
    """Features `[N, d]` as two maps of 2 x 2 px each, whose means they are."""
    values = torch.as_tensor(features)
    ripple = torch.tensor([1.0, -1.0, 2.0, -2.0], dtype=values.dtype).view(1, 1, 2, 2)
    maps = values[:, :, None, None] + ripple
    images = torch.zeros(len(values), 3, 4, 4)
    return Judged(images, images, (maps[:, :1], maps[:, 1:]), torch.zeros(len(values), dtype=torch.long))


def term_of(dim, moving=False):
    term = GaussianTransport(0.3)
    term.moving = moving
    term.prepare(lambda images: judged(np.zeros((len(images), dim))).features, lambda count: torch.zeros(count, 3, 4, 4))
    return term.double()


def observe(term, side, features, steps=1600):
    """After so many steps; every sixteenth makes a map."""
    term.observe(side, term.sums(judged(features)), len(features), steps * len(features))


def test_the_map_carries_one_covariance_to_the_other_and_is_symmetric():
    source, target = moments(drawn(40, 6))[1], moments(drawn(40, 6))[1]
    transport = mapped(source, target)
    np.testing.assert_allclose(transport @ source @ transport, target, rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(transport, transport.T, atol=1e-10)
    assert np.linalg.eigvalsh(transport).min() > 0
    np.testing.assert_allclose(mapped(target, target), np.eye(6), atol=1e-7)


def test_a_collapsed_direction_has_a_finite_map_that_the_ridge_bounds():
    source, target = np.diag([1.0, 0.0]), np.diag([1.0, 3.0])
    np.testing.assert_allclose(np.diag(mapped(source, target, 0.01)), [1, np.sqrt(3.02 / 0.02)], rtol=1e-9)
    assert np.isfinite(mapped(np.zeros((2, 2)), np.eye(2))).all()


def test_in_float32_the_loss_is_the_distance_of_the_gaussians_also_where_few_directions_vary():
    """E|f - T f|^2 is the squared distance; mixed features of a backbone have a spectrum like this one."""
    term, dim, count = term_of(64).float(), 64, 2000
    deviations = 10.0 ** -np.linspace(0, 5, dim)
    basis = np.linalg.qr(RANDOM.normal(size=(dim, dim)))[0]
    real, fake = ((RANDOM.normal(size=(count, dim)) * deviations * factor) @ basis for factor in (1.0, 0.8))
    observe(term, "real", real)
    observe(term, "fake", fake)
    expected = distance(fake, *moments(real)) / dim
    assert term.loss(judged(fake)).item() == pytest.approx(expected, rel=0.02)


def test_its_gradient_is_that_of_the_frechet_distance_up_to_one_factor():
    term, dim, count = term_of(4), 4, 1200
    real, features = drawn(count, dim, shift=1.0), drawn(count, dim)
    observe(term, "real", real)
    observe(term, "fake", features)
    assert term.ready == 1
    leaf = torch.from_numpy(features).requires_grad_()
    (slope,) = torch.autograd.grad(term.loss(judged(leaf)), leaf)
    mean, covariance = moments(real)
    for row, column in ((0, 0), (3, 1), (7, 2), (11, 3)):
        sides = []
        for sign in (1, -1):
            moved = features.copy()
            moved[row, column] += sign * 1e-3
            sides.append(distance(moved, mean, covariance))
        expected = (sides[0] - sides[1]) / 2e-3 / dim  # the loss is a mean over features as well
        assert slope[row, column].item() == pytest.approx(expected, rel=0.02, abs=1e-7)  # the ridge is a thousandth


def test_a_generator_like_the_collection_is_not_pulled_anywhere():
    term, features = term_of(5), drawn(1500, 5)
    observe(term, "real", features)
    observe(term, "fake", features)
    assert term.loss(judged(features)).item() < 1e-9


def test_pieces_of_a_batch_give_the_moments_and_the_loss_of_the_whole():
    real, fake = drawn(1024, 4), drawn(1024, 4)
    whole, pieces = term_of(4), term_of(4)
    for side, features in (("real", real), ("fake", fake)):
        observe(whole, side, features)
        parts = [pieces.sums(judged(part)) for part in np.split(features, 4)]
        pieces.observe(side, {key: sum(part[key] for part in parts) for key in parts[0]}, len(features), 1600 * len(features))
    for name, buffer in whole.named_buffers():
        torch.testing.assert_close(buffer, pieces.get_buffer(name), rtol=1e-9, atol=1e-9)
    halves = [whole.loss(judged(part)).item() for part in np.split(fake, 2)]
    assert np.mean(halves) == pytest.approx(whole.loss(judged(fake)).item())


def test_real_moments_are_over_all_pictures_seen_and_generated_ones_forget():
    term, real = term_of(3), drawn(4000, 3)
    for part in np.split(real, 10):
        observe(term, "real", part)
    np.testing.assert_allclose(term.mean_real, real.mean(0), atol=1e-9)
    np.testing.assert_allclose(term.square_real, real.T @ real / len(real), rtol=1e-9)
    for shift, count in ((100.0, 2000), (0.0, 20_000)):
        for part in np.split(drawn(count, 3, shift=shift), count // 100):
            observe(term, "fake", part)
    assert abs(term.mean_fake).max() < 0.5


def test_before_there_are_enough_pictures_the_loss_is_zero_and_nan_leaves_the_moments_alone():
    term = term_of(3)
    observe(term, "real", drawn(500, 3))
    observe(term, "fake", drawn(16, 3), steps=48)  # 768 pictures
    assert (term.ready, term.loss(judged(drawn(8, 3))).item()) == (0, 0)
    observe(term, "real", drawn(700, 3))
    observe(term, "fake", drawn(16, 3), steps=64)
    before = {name: buffer.clone() for name, buffer in term.named_buffers()}
    assert before["ready"] == 1
    bad = drawn(16, 3)
    bad[3, 1] = np.nan
    observe(term, "real", bad, steps=65)
    observe(term, "fake", bad, steps=65)
    for name, buffer in term.named_buffers():
        torch.testing.assert_close(buffer, before[name], rtol=0, atol=0)


def test_features_are_spatial_means_of_every_map():
    maps = (torch.randn(2, 3, 4, 4), torch.randn(2, 5, 2, 2))
    expected = torch.cat([x.flatten(2).mean(2) for x in maps], 1)
    torch.testing.assert_close(pooled(maps), expected)


@pytest.mark.parametrize("moving", [False, True])
def test_moments_of_real_pictures_forget_only_where_features_move(moving):
    """The mean of a stream that changes from 0 to 1: over all of it one half, over the last ones nearly 1."""
    term = term_of(4, moving)
    for value in np.repeat([0.0, 1.0], 100):
        observe(term, "real", np.full((100, 4), value))
    assert term.mean_real.numpy() == pytest.approx(np.full(4, 1 - 0.95**100 if moving else 0.5), abs=1e-6)
