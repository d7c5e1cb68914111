"""Blocks that more than one network uses."""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, parametrize

LEAKY_SLOPE = 0.2
# sqrt(1 / E[sigmoid(b)^2]) for b ~ N(0, 1): keeps the variance of a gated linear unit at 1.
_GLU_GAIN = 1.847
GLU_AT_REST = _GLU_GAIN / 2  # what a gated linear unit makes of 1 while its gate is zero
_WEIGHT_STD = 0.02
NEAR_ZERO = 0.01  # standard deviation of weights that start a branch as if it were not there
_CLASS_DIM = 64


class EqualLinear(nn.Module):
    """Fully connected layer under equalized learning rate (Karras et al. 2018, 1710.10196, section 4.1).

    The weight is stored at unit scale, whatever `std` it starts with, and divided by sqrt(dim_in) when used: beside weights
    from N(0, 0.02) under the same Adam, it learns slowly.

    Args:
        dim_in, dim_out: features.
        std: of the stored weight at the start.
    """

    def __init__(self, dim_in: int, dim_out: int, std: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(dim_out, dim_in) * std)
        self.bias = nn.Parameter(torch.zeros(dim_out))
        self.gain = 1 / math.sqrt(dim_in)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.gain, self.bias)


class Mapping(nn.Module):
    """Latents z to styles w = z + f(z, c), on the hypersphere, with f a leaky-ReLU perceptron that starts near zero.

    Karras et al. 2019 (1812.04948), section 2, have w = f(z). Here w starts as z: a generator whose first layer reads w
    then sees all of the latent's variety from the first step on, where a perceptron alone, or one that learns fast, let it
    collapse to a few layouts (docs/decisions.md).

    Args:
        latent_dim: width of z and of w.
        num_layers: fully connected layers of f.
        num_classes: 0 for unconditional; otherwise a learned embedding of the label joins z.
    """

    def __init__(self, latent_dim: int, num_layers: int, num_classes: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(num_classes, latent_dim) if num_classes else None
        widths = [latent_dim * (2 if num_classes else 1)] + [latent_dim] * num_layers
        layers: list[nn.Module] = []
        for a, b in pairwise(widths[:-1]):
            layers += [EqualLinear(a, b), nn.LeakyReLU(LEAKY_SLOPE)]
        self.layers = nn.Sequential(*layers, EqualLinear(widths[-2], widths[-1], NEAR_ZERO))

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map `[N, latent_dim]` (and labels `[N]`, int64, when conditional) to styles `[N, latent_dim]`."""
        z = normalize_second_moment(latents)
        if self.embedding is None:
            return z + self.layers(z)
        assert labels is not None
        return z + self.layers(torch.cat([z, normalize_second_moment(self.embedding(labels))], 1))


class LogitConv(nn.Module):
    """The last convolution of a discriminator: logits, conditioned by projection (Miyato & Koyama 2018, 1802.05637).

    D(x, c) = <phi(x), e(c)> / sqrt(dim) with classes, a single channel without.

    Args:
        channels: of the map.
        kernel: of the convolution, without padding.
        num_classes: 0 for unconditional.
    """

    def __init__(self, channels: int, kernel: int, num_classes: int) -> None:
        super().__init__()
        self.conv = spectral_conv(channels, _CLASS_DIM if num_classes else 1, kernel)
        self.embedding = nn.Embedding(num_classes, _CLASS_DIM) if num_classes else None

    def forward(self, x: Tensor, labels: Tensor | None) -> Tensor:
        """Map `[N, C, H, W]` to logits `[N, K]`, one for each place of the kernel."""
        x = self.conv(x)
        if self.embedding is not None:
            assert labels is not None
            x = (x * self.embedding(labels)[:, :, None, None]).sum(1) / math.sqrt(_CLASS_DIM)
        return x.flatten(1)


def gated_linear_unit(x: Tensor) -> Tensor:
    """Halve the channels: a * sigmoid(b), scaled to keep unit variance.

    In plain operations: on CPUs the gradient of `F.glu` leaves the channels-last layout (its result does not), and every
    convolution that takes it on pays for that.
    """
    a, b = x.chunk(2, 1)
    return a * torch.sigmoid(b) * _GLU_GAIN


def initialize(network: nn.Module) -> None:
    """Draw the weights of convolutions and linear layers from N(0, 0.02), biases zero (Radford et al. 2016, 1511.06434)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.normal_(module.weight, std=_WEIGHT_STD)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def normalize_second_moment(x: Tensor) -> Tensor:
    """Scale each row of `[N, D]` to unit mean square."""
    return x * torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-8)


def spectral_conv(channels_in: int, channels_out: int, kernel: int, stride: int = 1, padding: int = 0) -> nn.Module:
    """Return a convolution under spectral normalisation (Miyato et al. 2018, 1802.05957), weights from N(0, 0.02)."""
    convolution = nn.Conv2d(channels_in, channels_out, kernel, stride, padding)
    nn.init.normal_(convolution.weight, std=_WEIGHT_STD)
    assert convolution.bias is not None
    nn.init.zeros_(convolution.bias)
    return parametrizations.spectral_norm(convolution)


def step_power_iterations(network: nn.Module) -> None:
    """Advance every spectral norm below `network` by one power iteration.

    Discriminators otherwise stay in evaluation mode, in which reading a normalised weight changes nothing: a forward pass
    is then a pure function of parameters and input, and how often it runs cannot change the maths.
    """
    with torch.no_grad():
        for module in network.modules():
            if parametrize.is_parametrized(module):
                module.train()
                module.weight  # noqa: B018  reading it in training mode does the iteration
                module.eval()
