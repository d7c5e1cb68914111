"""Convolutions that are cheap to differentiate twice, against PyTorch's own and against finite differences."""

import inspect

import pytest
import torch
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from artgan.models import DISCRIMINATORS
from artgan.models.convolution import Conv2d, conv2d, conv_transpose2d
from artgan.objectives.penalties import path_lengths, squared_slopes
from tests.contract.test_networks import make_discriminator, make_generator, wake

SHAPES = [(3, 1, 1, 1), (3, 2, 0, 1), (3, 2, 1, 4), (1, 1, 0, 1), (4, 2, 1, 8)]  # kernel, stride, padding, groups


def tensors(kernel, groups):
    torch.manual_seed(0)
    x, weight = torch.randn(2, 8, 7, 6), torch.randn(8, 8 // groups, kernel, kernel)
    return [tensor.double().requires_grad_() for tensor in (x, weight)]


@pytest.mark.parametrize(("kernel", "stride", "padding", "groups"), SHAPES)
def test_every_derivative_of_a_convolution_is_that_of_finite_differences(kernel, stride, padding, groups):
    x, weight = tensors(kernel, groups)
    assert torch.equal(conv2d(x, weight, stride, padding, groups), F.conv2d(x, weight, None, stride, padding, 1, groups))
    assert torch.autograd.gradcheck(conv2d, (x, weight, stride, padding, groups), fast_mode=True)
    assert torch.autograd.gradgradcheck(conv2d, (x, weight, stride, padding, groups), fast_mode=True)


@pytest.mark.parametrize("kernel", [1, 3, 4])
def test_every_derivative_of_a_transposed_convolution_is_that_of_finite_differences(kernel):
    x, weight = tensors(kernel, 1)
    ours, theirs = conv_transpose2d(x, weight, 2), F.conv_transpose2d(x, weight, None, 2)
    assert torch.allclose(ours, theirs, rtol=0, atol=1e-12)
    assert torch.autograd.gradcheck(conv_transpose2d, (x, weight, 2), fast_mode=True)
    assert torch.autograd.gradgradcheck(conv_transpose2d, (x, weight, 2), fast_mode=True)


def test_autocast_reaches_them():
    x, weight = (tensor.detach().float() for tensor in tensors(3, 1))
    with torch.autocast("cpu", torch.bfloat16):
        assert conv2d(x, weight).dtype == conv_transpose2d(x, weight, 2).dtype == torch.bfloat16
        assert torch.equal(conv2d(x, weight), F.conv2d(x, weight))


class Convolutions(TorchDispatchMode):
    """Counts what a device is asked to convolve."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += "convolution" in str(function)
        return function(*args, **(kwargs or {}))


def assert_few(run, penalty):
    """Hold a penalty's convolutions against the network's: each one and its slope, and two derivatives of both."""
    counts = []
    for work in (run, penalty):
        with Convolutions() as convolutions:
            work()
        counts.append(convolutions.count)
    assert 0 < counts[1] <= 6 * counts[0]


@pytest.mark.parametrize("name", DISCRIMINATORS.where("bounded", False))
def test_a_slope_penalty_makes_no_convolution_for_each_channel(name):
    network, images = wake(make_discriminator(name, 64, 64)), torch.rand(4, 3, 64, 64)
    assert_few(lambda: network(images), lambda: squared_slopes(network, images).mean().backward())


def test_a_path_length_penalty_makes_no_convolution_for_each_channel():
    network = make_generator("stylegan2", 64, 64)
    styles, keys, noise = network.per_layer(torch.randn(4, 16)), torch.arange(4), torch.randn(4, 3, 64, 64)

    def penalty():
        path_lengths(lambda w: network.synthesis(w, keys), styles, noise).mean().backward()

    assert_few(lambda: network.synthesis(styles, keys), penalty)


@pytest.mark.parametrize("name", DISCRIMINATORS.where("bounded", False))
def test_networks_under_penalties_have_no_other_convolutions(name):
    for network in (make_discriminator(name), make_generator(name)):
        assert all(isinstance(x, Conv2d) for x in network.modules() if isinstance(x, torch.nn.Conv2d))
        for layer in network.modules():
            if type(layer).__module__.startswith("artgan.") and not isinstance(layer, Conv2d):
                assert "F.conv" not in inspect.getsource(type(layer))
