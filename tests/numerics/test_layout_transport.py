"""The layout transport term: its descriptions and directions by closed forms, the Fréchet distance by finite differences."""

import numpy as np
import pytest
import torch

from artgan.metrics.frechet import Gaussian, frechet_distance
from artgan.objectives.terms.contract import Judged
from artgan.objectives.terms.layout_transport import LayoutTransport, descriptions, widest_directions

RANDOM = np.random.default_rng(5)


def maps(count, spread=1.0):
    """Two maps of 2 and 3 channels, 4 x 4 px, whose levels, contrasts and quarters vary."""
    level = RANDOM.normal(size=(count, 5, 1, 1)) * spread
    contrast = np.exp(0.3 * spread * RANDOM.normal(size=(count, 5, 1, 1)))
    return torch.from_numpy(level + contrast * RANDOM.normal(size=(count, 5, 4, 4)))


def split(x):
    return x[:, :2], x[:, 2:]


def judged(x):
    images = torch.zeros(len(x), 3, 4, 4)
    return Judged(images, images, split(x), torch.zeros(len(x), dtype=torch.long), split(x))


def term_of(real):
    term = LayoutTransport(0.3)
    term.prepare(split, lambda count: real[:count])
    return term.double()


def observe(term, x, steps=1600):
    """After so many steps; every sixteenth makes a map."""
    term.observe("fake", term.sums(judged(x)), len(x), steps * len(x))


def coordinates(term, x):
    return ((torch.cat(descriptions(split(x)), 1) - term.center) @ term.basis).numpy()


def gaussian(values, mean=None):
    own, center = np.cov(values.T, bias=True), values.mean(0)
    values, vectors = np.linalg.eigh(own)
    return Gaussian(center if mean is None else mean, (vectors * values.clip(0) ** 0.5).T, float(np.trace(own)), 2)


def test_a_description_has_means_deviations_and_the_last_maps_quarters():
    x = maps(3)
    means, deviations, quarters = descriptions(split(x))
    np.testing.assert_allclose(means, x.numpy().mean((2, 3)))
    np.testing.assert_allclose(deviations, np.sqrt(x.numpy().var((2, 3)) + 1e-4))
    np.testing.assert_allclose(quarters.view(3, 3, 2, 2)[:, :, 1, 0], x.numpy()[:, 2:, 2:, :2].mean((2, 3)))


def test_directions_are_those_of_the_covariance_widest_first_and_no_more_than_a_quarter_of_the_pictures():
    values = torch.from_numpy(RANDOM.normal(size=(80, 30)) * np.linspace(3, 0.1, 30))
    center, axes, variances = widest_directions(values)
    expected = np.linalg.eigvalsh(np.cov(values.T.numpy(), bias=True))[::-1]
    np.testing.assert_allclose(variances[:20], expected[:20], rtol=1e-9)
    np.testing.assert_allclose(axes[:, :20].T @ axes[:, :20], np.eye(20), atol=1e-9)
    assert not variances[20:].any()
    assert not axes[:, 20:].any()
    np.testing.assert_allclose(((values - center) @ axes)[:, :20].var(0, correction=0), expected[:20], rtol=1e-9)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_few_pictures_or_the_same_ones_give_a_finite_loss(count):
    for real in (maps(count), maps(1).repeat(count, 1, 1, 1)):
        term = term_of(real)
        observe(term, maps(1200))
        assert term.ready == 1
        assert term.loss(judged(maps(4))).isfinite()


def test_its_loss_and_gradient_are_those_of_the_frechet_distance():
    real, fake = maps(900), maps(1100, 0.7)
    term = term_of(real)
    observe(term, fake)
    target = coordinates(term, real)
    np.testing.assert_allclose(target.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(target.var(0), term.variances, atol=1e-6)
    expected = frechet_distance(gaussian(coordinates(term, fake)), gaussian(target))
    leaf = fake.clone().requires_grad_()
    loss = term.loss(judged(leaf))
    assert loss.item() == pytest.approx(expected, rel=0.01)  # the ridge is a thousandth
    (slope,) = torch.autograd.grad(loss, leaf)
    for place in ((0, 0, 1, 2), (3, 4, 0, 0)):
        sides = []
        for sign in (1, -1):
            moved = fake.clone()
            moved[place] += sign * 1e-2
            sides.append(frechet_distance(gaussian(coordinates(term, moved)), gaussian(target)))
        assert slope[place].item() == pytest.approx((sides[0] - sides[1]) / 2e-2, rel=0.05, abs=1e-8)


def test_pieces_of_a_batch_give_the_moments_and_the_loss_of_the_whole():
    real, fake = maps(400), maps(1024)
    whole, pieces = term_of(real), term_of(real)
    observe(whole, fake)
    parts = [pieces.sums(judged(part)) for part in fake.split(256)]
    pieces.observe("fake", {key: sum(part[key] for part in parts) for key in parts[0]}, 1024, 1600 * 1024)
    for name, buffer in whole.named_buffers():
        torch.testing.assert_close(buffer, pieces.get_buffer(name), rtol=1e-9, atol=1e-9)
    halves = [whole.loss(judged(part)).item() for part in fake.split(512)]
    assert np.mean(halves) == pytest.approx(whole.loss(judged(fake)).item())


def test_before_there_are_enough_pictures_the_loss_is_zero_and_nan_leaves_the_moments_alone():
    term = term_of(maps(100))
    observe(term, maps(500))
    assert (term.ready, term.loss(judged(maps(8))).item()) == (0, 0)
    observe(term, maps(600))
    before = {name: buffer.clone() for name, buffer in term.named_buffers()}
    assert before["ready"] == 1
    bad = maps(16)
    bad[3, 1] = np.nan
    observe(term, bad, steps=65)
    for name, buffer in term.named_buffers():
        torch.testing.assert_close(buffer, before[name], rtol=0, atol=0)


def test_real_pictures_of_a_step_change_nothing():
    term = term_of(maps(40))
    real = Judged(torch.zeros(4, 3, 4, 4), torch.zeros(4, 3, 4, 4), split(maps(4)), torch.zeros(4, dtype=torch.long))
    assert term.sums(real) == {}
    term.observe("real", {}, 4, 4)
    assert term.seen == 0
