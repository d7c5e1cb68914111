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
_MAPPING_LR_MULTIPLIER = 0.01
_CLASS_DIM = 64


class EqualLinear(nn.Module):
    """Fully connected layer under equalized learning rate (Karras et al. 2018, 1710.10196, section 4.1).

    The stored weight has unit variance and is scaled when used, so that every layer learns at the same relative speed.

    Args:
        dim_in, dim_out: features.
        lr_multiplier: how fast the layer learns, relative to the others.
        bias: initial value of the bias.
    """

    def __init__(self, dim_in: int, dim_out: int, lr_multiplier: float = 1.0, bias: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(dim_out, dim_in) / lr_multiplier)
        self.bias = nn.Parameter(torch.full((dim_out,), bias / lr_multiplier))
        self.lr_multiplier = lr_multiplier
        self.gain = lr_multiplier / math.sqrt(dim_in)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.gain, self.bias * self.lr_multiplier)


class EqualConv(nn.Module):
    """Convolution under equalized learning rate that keeps the size.

    Args:
        channels_in, channels_out: feature channels.
        kernel: odd kernel size.
    """

    def __init__(self, channels_in: int, channels_out: int, kernel: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(channels_out, channels_in, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(channels_out))
        self.gain = 1 / math.sqrt(channels_in * kernel**2)
        self.padding = kernel // 2

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.gain, self.bias, padding=self.padding)


class ModulatedConv(nn.Module):
    """Convolution whose input channels a style scales and whose output is demodulated (Karras et al. 2020, 1912.04958).

    y_o = d_o * sum_i W_oi * (s_i x_i) + b_o,   d_o = 1 / sqrt(sum_ik (s_i W_oik)^2)

    Written as scale - shared convolution - scale, which equals the paper's per-sample weights and needs no grouped
    convolution.

    Args:
        channels_in, channels_out: feature channels.
        kernel: odd kernel size; the size of the map is kept.
        style_dim: width of w.
    """

    def __init__(self, channels_in: int, channels_out: int, kernel: int, style_dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(channels_out, channels_in, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(channels_out))
        self.scale = EqualLinear(style_dim, channels_in, bias=1.0)
        self.gain = 1 / math.sqrt(channels_in * kernel**2)
        self.padding = kernel // 2

    def forward(self, x: Tensor, styles: Tensor) -> Tensor:
        """Map `[N, C_in, H, W]` with styles `[N, style_dim]` to `[N, C_out, H, W]`."""
        weight = self.weight * self.gain
        scale = self.scale(styles)  # [N, C_in]
        energy = weight.square().sum((2, 3))  # [C_out, C_in]
        demodulation = torch.rsqrt(F.linear(scale.square(), energy).float() + 1e-8)  # [N, C_out]
        x = F.conv2d(x * scale[:, :, None, None].to(x.dtype), weight, padding=self.padding)
        return x * demodulation[:, :, None, None].to(x.dtype) + self.bias[:, None, None].to(x.dtype)


class Mapping(nn.Module):
    """Latents z to styles w: a leaky-ReLU perceptron on the hypersphere (Karras et al. 2019, 1812.04948, section 2).

    Args:
        latent_dim: width of z.
        style_dim: width of w.
        num_layers: fully connected layers.
        num_classes: 0 for unconditional; otherwise a learned embedding of the label joins z.
    """

    def __init__(self, latent_dim: int, style_dim: int, num_layers: int, num_classes: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(num_classes, latent_dim) if num_classes else None
        widths = [latent_dim * (2 if num_classes else 1)] + [style_dim] * num_layers
        self.layers = nn.ModuleList(EqualLinear(a, b, _MAPPING_LR_MULTIPLIER) for a, b in pairwise(widths))

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map `[N, latent_dim]` (and labels `[N]`, int64, when conditional) to styles `[N, style_dim]`."""
        x = normalize_second_moment(latents)
        if self.embedding is not None:
            assert labels is not None
            x = torch.cat([x, normalize_second_moment(self.embedding(labels))], 1)
        for layer in self.layers:
            x = F.leaky_relu(layer(x), LEAKY_SLOPE) * math.sqrt(2)
        return x


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

    In plain operations: on CPUs `F.glu` leaves the channels-last layout, and every convolution after it pays for that.
    """
    a, b = x.chunk(2, 1)
    return a * torch.sigmoid(b) * _GLU_GAIN


def normalize_second_moment(x: Tensor) -> Tensor:
    """Scale each row of `[N, D]` to unit mean square."""
    return x * torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-8)


def minibatch_deviation(x: Tensor, group_size: int) -> Tensor:
    """Append one channel: how much the images of a group differ (Karras et al. 2018, 1710.10196, section 3).

    It lets a discriminator see a generator that repeats itself. Groups are neighbours in the batch; a batch that the group
    size does not divide forms one group.

    Args:
        x: `[N, C, H, W]`.
        group_size: images in a group.

    Returns:
        `[N, C + 1, H, W]`.
    """
    count, _, height, width = x.shape
    size = group_size if count % group_size == 0 else count
    groups = x.float().reshape(count // size, size, -1)
    deviation = (groups.var(1, unbiased=False) + 1e-8).sqrt().mean(1)  # [N / size]
    channel = deviation.repeat_interleave(size).view(-1, 1, 1, 1).expand(-1, 1, height, width)
    return torch.cat([x, channel.to(x.dtype)], 1)


def spectral_conv(channels_in: int, channels_out: int, kernel: int, stride: int = 1, padding: int = 0) -> nn.Module:
    """Return a convolution under spectral normalisation (Miyato et al. 2018, 1802.05957), weights from N(0, 0.02)."""
    convolution = nn.Conv2d(channels_in, channels_out, kernel, stride, padding)
    nn.init.normal_(convolution.weight, std=0.02)
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
