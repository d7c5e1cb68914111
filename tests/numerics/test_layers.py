"""Resampling, modulated convolution, keyed noise and synchronised batch norm against their definitions."""

import math

import pytest
import torch
from scipy import stats
from torch import nn
from torch.nn import functional as F

from artgan.models.noise import keyed_noise
from artgan.models.resample import LowPass, double
from artgan.models.stylegan2_discriminator import minibatch_deviation
from artgan.models.stylegan2_generator import ModulatedConv

TAPS = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=torch.float64) / 8


def spread(x):
    """Put zeros between pixels, and after the last."""
    n, c, h, w = x.shape
    wide = x.new_zeros(n, c, 2 * h, 2 * w)
    wide[:, :, ::2, ::2] = x
    return wide


def filtered(x, before, after, gain=1.0):
    """Filter by the definition: pad with zeros, then the outer product of the taps."""
    kernel = (gain * torch.outer(TAPS, TAPS)).expand(x.shape[1], 1, 4, 4)
    return F.conv2d(F.pad(x, (before, after, before, after)), kernel, groups=x.shape[1])


def test_doubling_is_zeros_in_between_and_the_filter():
    x = torch.randn(2, 3, 5, 4, dtype=torch.float64)
    assert torch.allclose(double(x), filtered(spread(x), 2, 1, gain=4), atol=1e-12)


def test_halving_is_the_filter_and_every_second_pixel():
    x = torch.randn(2, 3, 8, 6, dtype=torch.float64)
    assert torch.allclose(LowPass().halve(x), filtered(x, 1, 1)[:, :, ::2, ::2], atol=1e-12)
    inside = LowPass()(torch.ones(1, 1, 8, 8, dtype=torch.float64), padding=0)
    assert torch.allclose(inside, torch.ones_like(inside))


@pytest.mark.parametrize("up", [False, True])
@pytest.mark.parametrize("demodulate", [False, True])
def test_modulated_convolution_is_one_convolution_for_each_image_with_its_own_weight(up, demodulate):
    """The paper's form: w' = s w, w'' = w' / |w'|, one weight for each image (1912.04958, eq. 1 and 3)."""
    layer = ModulatedConv(3, 5, 3, 7, up=up, demodulate=demodulate).double()
    x, styles = torch.randn(2, 3, 6, 4, dtype=torch.float64), torch.randn(2, 7, dtype=torch.float64)
    scale = layer.affine(styles)
    for index in range(2):
        weight = layer.weight * layer.gain * scale[index][None, :, None, None]
        if demodulate:
            weight = weight / torch.sqrt(weight.square().sum((1, 2, 3), keepdim=True) + 1e-8)
        one = x[index : index + 1]
        if up:  # zeros in between, a convolution in the mathematical sense over all that it reaches, the filter
            widened = F.conv2d(F.pad(spread(one), (2, 1, 2, 1)), weight.flip(2, 3))
            expected = filtered(widened, 1, 1, gain=4)
        else:
            expected = F.conv2d(one, weight, padding=1)
        assert torch.allclose(layer(x, styles)[index : index + 1], expected, atol=1e-10)


def test_deviation_is_that_of_groups_of_four_neighbours():
    x = torch.randn(8, 2, 3, 3, dtype=torch.float64)
    deviation = minibatch_deviation(x)
    assert deviation.shape == (8, 1, 3, 3)
    expected = x[4:].std(0, unbiased=False).mean()
    assert torch.allclose(deviation[4:], expected.expand(4, 1, 3, 3), atol=1e-6)
    assert torch.equal(minibatch_deviation(x[:4]), deviation[:4])


def test_keyed_noise_is_normal_and_independent():
    keys = torch.arange(64)
    noise = keyed_noise(keys, 0, (64, 64))
    values = noise.flatten().double().numpy()
    assert stats.kstest(values[::7], "norm").pvalue > 0.001
    assert abs(values.mean()) < 4 / math.sqrt(len(values))
    assert abs(values.var() - 1) < 0.02
    others = [keyed_noise(keys + 1, 0, (64, 64)), keyed_noise(keys, 1, (64, 64)), noise.roll(1, 2), noise.roll(1, 1)]
    for other in others[1:]:
        assert abs(torch.corrcoef(torch.stack([noise.flatten(), other.flatten()]))[0, 1]) < 0.01
    assert torch.equal(others[0][:-1], noise[1:])
    assert torch.equal(keyed_noise(keys[5:6], 0, (64, 64)), noise[5:6])


def test_batch_norm_in_one_process_is_torchs():
    from artgan.models.batch_norm import BatchNorm

    ours, theirs = BatchNorm(3), nn.BatchNorm2d(3)
    x = torch.randn(4, 3, 5, 5)
    assert torch.equal(ours(x), theirs(x))
    assert torch.equal(ours.running_var, theirs.running_var)
