"""Gradient penalties against finite differences and closed forms; losses against their textbook values."""

import math

import pytest
import torch
from torch import nn

from artgan.models import DISCRIMINATORS
from artgan.objectives import OBJECTIVES
from artgan.objectives.nonsaturating import Nonsaturating
from artgan.objectives.penalties import PathLength, path_lengths, squared_slopes
from artgan.objectives.relativistic import Relativistic
from tests.contract.test_networks import make_discriminator, make_generator, wake

STEP = 1e-5


def differences(function, point):
    """Return the gradient of a scalar function by central differences."""
    flat = point.flatten()
    slopes = torch.empty_like(flat)
    for index in range(len(flat)):
        offset = torch.zeros_like(flat)
        offset[index] = STEP
        above, below = function((flat + offset).view_as(point)), function((flat - offset).view_as(point))
        slopes[index] = (above - below) / (2 * STEP)
    return slopes.view_as(point)


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_the_squared_slope_of_a_discriminator_is_that_of_finite_differences(name):
    torch.manual_seed(1)
    network = wake(make_discriminator(name)).double()
    images = torch.rand(1, 3, 32, 32, dtype=torch.float64) * 2 - 1
    direction = torch.randn(1, 3, 32, 32, dtype=torch.float64)
    step = 1e-7  # short, so that few leaky ReLUs bend on the way
    with torch.no_grad():
        along = [network(images + sign * step * direction).mean() for sign in (1, -1)]
    slope = torch.autograd.functional.jacobian(lambda x: network(x).mean(), images)
    assert float((slope * direction).sum()) == pytest.approx(float(along[0] - along[1]) / (2 * step), rel=1e-3)
    assert float(squared_slopes(network, images).detach()) == pytest.approx(float(slope.square().sum()), rel=1e-9)


def test_the_penaltys_own_gradient_is_that_of_finite_differences():
    """R1 in full: the derivative with respect to a weight of the squared derivative with respect to the image."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 2, 3), nn.Softplus(), nn.Flatten(), nn.Linear(8, 2)).double()
    images = torch.randn(2, 3, 4, 4, dtype=torch.float64)

    def penalty():
        by_hand = [differences(lambda x: network(x[None]).mean().detach(), image).square().sum() for image in images]
        return torch.stack(by_hand).mean()

    ours = squared_slopes(network, images).mean()
    assert float(ours.detach()) == pytest.approx(float(penalty()), rel=1e-6)
    ours.backward()
    weight = network[0].weight
    for place in ((0, 0, 0, 0), (1, 2, 1, 1)):
        with torch.no_grad():
            weight[place] += 1e-4
            above = penalty()
            weight[place] -= 2e-4
            below = penalty()
            weight[place] += 1e-4
        assert float(weight.grad[place]) == pytest.approx(float(above - below) / 2e-4, rel=1e-4)


def assert_slope_is_that_of_finite_differences(network, penalty, short=1e-8):
    """Hold the gradient of a penalty by a network's parameters against differences of its value, along one direction.

    The direction changes each parameter in proportion to itself, and by so little that no leaky ReLU bends on the way.
    """
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    directions = [parameter.detach() * torch.randn_like(parameter) for parameter in parameters]
    gradients = torch.autograd.grad(penalty(), parameters, allow_unused=True)
    ours = sum((a * b).sum() for a, b in zip(gradients, directions, strict=True) if a is not None)
    values = []
    for step in (short, -2 * short):
        with torch.no_grad():
            torch._foreach_add_(parameters, directions, alpha=step)
        values.append(float(penalty().detach()))
    assert abs(float(ours)) > 1e-12
    assert float(ours) == pytest.approx((values[0] - values[1]) / (2 * short), rel=1e-5)


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_r1s_own_gradient_in_every_discriminator_is_that_of_finite_differences(name):
    torch.manual_seed(1)
    network = wake(make_discriminator(name)).double()
    images = torch.rand(4, 3, 32, 32, dtype=torch.float64) * 2 - 1
    assert_slope_is_that_of_finite_differences(network, lambda: squared_slopes(network, images).mean())


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_a_penalty_reaches_the_discriminators_parameters(name):
    network = wake(make_discriminator(name))
    squared_slopes(network, torch.rand(4, 3, 32, 32) * 2 - 1).mean().backward()
    moved = [key for key, parameter in network.named_parameters() if parameter.grad is not None and parameter.grad.any()]
    assert any("weight" in key or "original" in key for key in moved)


def test_path_length_of_a_linear_generator_is_that_of_its_matrix():
    """G(w) = A w: J^T y = A^T y, whatever w is."""
    torch.manual_seed(0)
    matrix = torch.randn(3 * 2 * 2, 5, dtype=torch.float64)
    styles = torch.randn(4, 2, 5, dtype=torch.float64)  # two layers, of which G reads the sum
    noise = torch.randn(4, 3, 2, 2, dtype=torch.float64)
    lengths = path_lengths(lambda w: (w.sum(1) @ matrix.T).view(-1, 3, 2, 2), styles, noise)
    expected = ((noise.flatten(1) / math.sqrt(4)) @ matrix).norm(dim=1)  # the same for both layers
    assert torch.allclose(lengths, expected, rtol=1e-12)


def test_path_length_of_stylegan2_is_that_of_finite_differences():
    generator = wake(make_generator("stylegan2")).double().eval()
    styles = generator.per_layer(generator.mapping(torch.randn(1, 16, dtype=torch.float64))).detach()
    noise = torch.randn(1, 3, 32, 32, dtype=torch.float64)
    slopes = differences(lambda w: (generator.synthesis(w) * noise / 32).sum().detach(), styles)
    expected = slopes.square().sum(2).mean(1).sqrt()
    assert torch.allclose(path_lengths(generator.synthesis, styles, noise).detach(), expected, rtol=1e-5)


def test_path_lengths_own_gradient_is_that_of_finite_differences():
    torch.manual_seed(1)
    generator, tracker = wake(make_generator("stylegan2")).double(), PathLength().double()
    latents, noise = torch.randn(2, 16, dtype=torch.float64), torch.randn(2, 3, 32, 32, dtype=torch.float64)

    def penalty():
        styles = generator.per_layer(generator.mapping(latents))
        return tracker.penalty(path_lengths(generator.synthesis, styles, noise))

    assert_slope_is_that_of_finite_differences(generator, penalty)


def test_the_mean_path_length_follows_and_ignores_what_is_not_finite():
    tracker = PathLength().double()
    assert float(tracker.penalty(torch.tensor([3.0, 4.0]))) == pytest.approx(12.5)
    tracker.observe(torch.tensor(2.0))
    assert float(tracker.mean) == pytest.approx(0.02)
    tracker.observe(torch.tensor(float("nan")))
    assert float(tracker.mean) == pytest.approx(0.02)


def test_losses_have_their_textbook_values():
    real, fake = torch.tensor([[2.0], [-1.0]]), torch.tensor([[0.0], [1.0]])

    def softplus(x):
        return math.log1p(math.exp(x))

    expected = (softplus(-2) + softplus(1)) / 2 + (softplus(0) + softplus(1)) / 2
    assert Nonsaturating().discriminator_loss(real, fake).item() == pytest.approx(expected)
    assert Nonsaturating().generator_loss(fake).item() == pytest.approx((softplus(0) + softplus(-1)) / 2)
    assert Relativistic().discriminator_loss(real, fake).item() == pytest.approx((softplus(-2) + softplus(2)) / 2)
    assert Relativistic().generator_loss(fake, real).item() == pytest.approx((softplus(2) + softplus(-2)) / 2)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_loss_of_a_batch_is_the_mean_of_its_pieces(name):
    objective = OBJECTIVES.load(name)()
    real, fake = torch.randn(8, 3, dtype=torch.float64), torch.randn(8, 3, dtype=torch.float64)
    pieces = [objective.discriminator_loss(a, b) for a, b in zip(real.split(2), fake.split(2), strict=True)]
    assert torch.allclose(torch.stack(pieces).mean(), objective.discriminator_loss(real, fake), rtol=1e-12)
    pieces = [objective.generator_loss(b, a) for a, b in zip(real.split(2), fake.split(2), strict=True)]
    assert torch.allclose(torch.stack(pieces).mean(), objective.generator_loss(fake, real), rtol=1e-12)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_losses_push_logits_apart(name):
    objective = OBJECTIVES.load(name)()
    real, fake = torch.zeros(4, 1, requires_grad=True), torch.zeros(4, 1, requires_grad=True)
    objective.discriminator_loss(real, fake).backward()
    assert (real.grad < 0).all()
    assert (fake.grad > 0).all()
    fake.grad = None
    objective.generator_loss(fake, real.detach()).backward()
    assert (fake.grad < 0).all()
