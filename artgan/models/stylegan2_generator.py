"""StyleGAN2's generator.

Karras et al. 2020, "Analyzing and improving the image quality of StyleGAN" (1912.04958), config F: modulated and demodulated
convolutions (section 2.2), RGB skips (section 4.1), noise inputs, equalized learning rates. Channels follow Karras et al. 2020
(2006.06676): `width` of 128 is their base of 16384 for images below 512 px, 256 their base of 32768. Layers are named and
their weights laid out as in the widely shared models of that architecture, so that those can be imported.
Departures: modulation scales the map and demodulation its result, instead of a weight for each image (the same numbers, no
grouped convolution); any base grid, so rectangles; noise without keys is a fixed map; the most channels are min(512, 8 width),
which changes nothing at the papers' widths.
"""

import itertools
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from artgan.models.base_grid import base_grid
from artgan.models.contract import GeneratorNetwork
from artgan.models.convolution import conv2d, conv_transpose2d
from artgan.models.layers import LEAKY_SLOPE, normalize_second_moment
from artgan.models.noise import keyed_noise
from artgan.models.resample import LowPass, double

_MAX_CHANNELS = 512
_MAPPING_RATE = 0.01  # of the mapping's learning rate to all others'


def channels_at(width: int, shorter_px: int) -> int:
    """Return the channels of maps with this shorter side: `width` at 128 px, in inverse proportion to the side."""
    power = 1 << (shorter_px.bit_length() - 1)  # a base of 4 to 7 counts as 4
    return max(1, min(_MAX_CHANNELS, 8 * width, width * 128 // power))


class Dense(nn.Module):
    """Fully connected layer under equalized learning rate; optionally a leaky ReLU with gain sqrt(2).

    Args:
        dim_in, dim_out: features.
        bias: initial value.
        activate: whether a leaky ReLU follows.
        rate: learning rate in proportion to the other layers'.
    """

    def __init__(self, dim_in: int, dim_out: int, *, bias: float = 0.0, activate: bool = False, rate: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(dim_out, dim_in) / rate)
        self.bias = nn.Parameter(torch.full((dim_out,), bias))
        self.weight_gain, self.bias_gain, self.activate = rate / math.sqrt(dim_in), rate, activate

    def forward(self, x: Tensor) -> Tensor:
        x = F.linear(x, self.weight * self.weight_gain, self.bias * self.bias_gain)
        return activated(x) if self.activate else x


def activated(x: Tensor) -> Tensor:
    """Leaky ReLU with the gain that keeps variance."""
    return F.leaky_relu(x, LEAKY_SLOPE) * math.sqrt(2)


class StyleMapping(nn.Module):
    """Latents z to styles w: a leaky-ReLU perceptron on the hypersphere (Karras et al. 2019, 1812.04948, section 2).

    With classes, an embedding of the label joins z, both at unit mean square (2006.06676, appendix D).
    """

    def __init__(self, latent_dim: int, num_layers: int, num_classes: int) -> None:
        super().__init__()
        self.embed = Dense(num_classes, latent_dim) if num_classes else None
        self.num_classes = num_classes
        widths = [latent_dim * (2 if num_classes else 1)] + [latent_dim] * num_layers
        self.layers = nn.Sequential(*(Dense(a, b, activate=True, rate=_MAPPING_RATE) for a, b in itertools.pairwise(widths)))

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map `[N, latent_dim]` and labels `[N]` to styles `[N, latent_dim]`."""
        x = normalize_second_moment(latents)
        if self.embed is not None:
            assert labels is not None
            classes = F.one_hot(labels, self.num_classes).to(x.dtype)
            x = torch.cat([x, normalize_second_moment(self.embed(classes))], 1)
        return self.layers(x)


class ModulatedConv(nn.Module):
    """Convolution whose input channels are scaled by a style, and whose output is brought back to unit variance.

    w'_ijk = s_i w_ijk,  w''_ijk = w'_ijk / sqrt(sum_ik w'_ijk^2 + eps)   (paper, eq. 1 and 3)

    Args:
        channels_in, channels_out: of the maps.
        kernel: side.
        style_dim: width of w.
        up: double the side, by a transposed convolution and the low-pass filter.
        demodulate: off for RGB, whose style then carries the weight's gain.
    """

    def __init__(self, channels_in: int, channels_out: int, kernel: int, style_dim: int, *, up: bool, demodulate: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(channels_out, channels_in, kernel, kernel))
        self.affine = Dense(style_dim, channels_in, bias=1.0)
        self.gain = 1 / math.sqrt(channels_in * kernel**2)
        self.low_pass = LowPass() if up else None
        self.demodulate = demodulate

    def forward(self, x: Tensor, styles: Tensor) -> Tensor:
        """Map `[N, C_in, H, W]` with styles `[N, style_dim]` to `[N, C_out, H, W]` (twice the sides with `up`)."""
        scale = self.affine(styles)
        weight = self.weight * self.gain
        x = x * scale.to(x.dtype)[:, :, None, None]
        if self.low_pass is None:
            x = conv2d(x, weight, padding=weight.shape[-1] // 2)
        else:
            # The filter's gain of 4 for the zeros in between goes into the weight.
            x = self.low_pass(conv_transpose2d(x, (4 * weight).transpose(0, 1), stride=2), padding=1)
        if not self.demodulate:
            return x
        energy = F.linear(scale.square(), weight.square().sum((2, 3)))  # [N, C_out]
        return x * torch.rsqrt(energy + 1e-8).to(x.dtype)[:, :, None, None]


class SynthesisLayer(nn.Module):
    """Modulated convolution, noise, bias, leaky ReLU."""

    noise_const: Tensor

    def __init__(
        self, channels_in: int, channels_out: int, side: tuple[int, int], style_dim: int, number: int, up: bool
    ) -> None:
        super().__init__()
        self.conv = ModulatedConv(channels_in, channels_out, 3, style_dim, up=up, demodulate=True)
        self.bias = nn.Parameter(torch.zeros(channels_out))
        self.noise_strength = nn.Parameter(torch.zeros(()))
        self.register_buffer("noise_const", torch.randn(side))
        self.number = number

    def forward(self, x: Tensor, styles: Tensor, noise: Tensor | None) -> Tensor:
        """Map `[N, C_in, h, w]` to `[N, C_out, H, W]`; `noise` holds keys `[N]` or is None."""
        x = self.conv(x, styles)
        shape = (1, *self.noise_const.shape)
        drawn = self.noise_const if noise is None else keyed_noise(noise, self.number, shape)
        noise_map = drawn.to(self.noise_strength.dtype) * self.noise_strength
        return activated(x + noise_map.to(x.dtype) + self.bias.to(x.dtype)[:, None, None])


class Block(nn.Module):
    """All layers at one size: one or two synthesis layers, and the RGB that joins the skip."""

    def __init__(self, channels_in: int, channels_out: int, side: tuple[int, int], style_dim: int, number: int) -> None:
        super().__init__()
        first = channels_in == 0
        self.const = nn.Parameter(torch.randn(channels_out, *side)) if first else None
        self.conv0 = None if first else SynthesisLayer(channels_in, channels_out, side, style_dim, number, True)
        self.conv1 = SynthesisLayer(channels_out, channels_out, side, style_dim, number + 1, False)
        self.to_rgb = ModulatedConv(channels_out, 3, 1, style_dim, up=False, demodulate=False)
        self.rgb_bias = nn.Parameter(torch.zeros(3))

    def forward(
        self, x: Tensor | None, rgb: Tensor | None, styles: tuple[Tensor, ...], noise: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Map a map, the RGB so far, and the styles of the layers and of RGB to the same at this size."""
        if self.const is not None:
            x = self.const.expand(len(styles[0]), -1, -1, -1).contiguous(memory_format=torch.channels_last)
        else:
            assert self.conv0 is not None
            x = self.conv0(x, styles[0], noise)
        x = self.conv1(x, styles[-2], noise)
        own = self.to_rgb(x, styles[-1]) + self.rgb_bias.to(x.dtype)[:, None, None]
        return x, own if rgb is None else own + double(rgb)


class Generator(GeneratorNetwork):
    """Latents to images; every layer takes a style, RGB that of the layer after it.

    Args:
        height_px, width_px: of the images.
        width: feature channels at 128 px; the papers' is 128 below 512 px and 256 from there on.
        latent_dim: width of z and of w; the papers' is 512.
        mapping_layers: layers from z to w; 8 in the paper, 2 for small sets.
        num_classes: 0 for unconditional.

    Raises:
        ConfigError: the size has no base grid.
    """

    def __init__(
        self, *, height_px: int, width_px: int, width: int, latent_dim: int, mapping_layers: int, num_classes: int
    ) -> None:
        super().__init__()
        rows, columns, doublings = base_grid(height_px, width_px)
        self.latent_dim = self.style_dim = latent_dim
        self.num_styles = 2 * (doublings + 1)
        self.mapping = StyleMapping(latent_dim, mapping_layers, num_classes)
        channels = [0] + [channels_at(width, min(rows, columns) << level) for level in range(doublings + 1)]
        self.blocks = nn.ModuleDict(
            {
                str(4 << level): Block(a, b, (rows << level, columns << level), latent_dim, 2 * level)
                for level, (a, b) in enumerate(itertools.pairwise(channels))
            }
        )

    def synthesis(self, styles: Tensor, noise: Tensor | None = None) -> Tensor:
        """Map styles `[N, latent_dim]` or `[N, num_styles, latent_dim]` to images `[N, 3, H, W]`, unbounded."""
        layers = self.per_layer(styles).unbind(1)
        x = rgb = None
        for level, block in enumerate(self.blocks.values()):
            x, rgb = block(x, rgb, layers[max(0, 2 * level - 1) : 2 * level + 2], noise)
        assert rgb is not None
        return rgb

    @torch.no_grad()
    def grow_from(self, small: "Generator") -> None:
        """Pictures are sums of all blocks' RGB: the new blocks' is zero."""
        for block in list(self.blocks.values())[len(small.blocks) :]:
            assert isinstance(block, Block)
            block.to_rgb.weight.zero_()
            block.rgb_bias.zero_()

    def level_of(self, tensor: str) -> int | None:
        """Blocks are named by their side, 4 for the base grid."""
        room, side, *_ = tensor.split(".")
        return None if room == "mapping" else int(side).bit_length() - 3
