"""R3GAN's generator: a residual network without normalisation, noise or styles.

Huang et al. 2024, "The GAN is dead; long live the GAN! A modern GAN baseline" (2501.05441), section 3: two blocks a size,
1x1 to twice the channels, grouped 3x3, 1x1 back; fixed-up initialisation; a learned base scaled by a linear function of z.
Departures: any base grid, so rectangles; channels in multiples of 8, so that small widths keep 16 channels in a group.
"""

import itertools
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from artgan.models.base_grid import base_grid
from artgan.models.contract import GeneratorNetwork
from artgan.models.convolution import Conv2d
from artgan.models.layers import LEAKY_SLOPE
from artgan.models.resample import double

_EXPANSION = 2
_GROUP_CHANNELS = 16
_MAX_MULTIPLE = 4
BLOCKS_PER_STAGE = 2


def channels_at(width: int, shorter_px: int) -> int:
    """Return the channels of maps with this shorter side: `width` at 128 px, at most 4 `width`, in multiples of 8."""
    power = 1 << (shorter_px.bit_length() - 1)
    channels = min(_MAX_MULTIPLE * width, width * 128 // power)
    return max(8, channels // 8 * 8)


def convolution(channels_in: int, channels_out: int, kernel: int, gain: float, groups: int = 1) -> Conv2d:
    """Return a convolution without bias, weights from N(0, gain^2 / fan_in)."""
    layer = Conv2d(channels_in, channels_out, kernel, padding=kernel // 2, groups=groups)
    nn.init.normal_(layer.weight, std=gain / math.sqrt(layer.weight[0].numel()))
    return layer


class BiasedActivation(nn.Module):
    """Bias and leaky ReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(x + self.bias.to(x.dtype)[:, None, None], LEAKY_SLOPE)


class ResidualBlock(nn.Module):
    """x + W3 act(W2 act(W1 x)), with W3 zero at the start and the others scaled by L^(-1/4) (Zhang et al. 2019, 1901.09321).

    Args:
        channels: of the map.
        total_blocks: L, residual blocks in the network.
    """

    def __init__(self, channels: int, total_blocks: int) -> None:
        super().__init__()
        inner = _EXPANSION * channels
        gain = math.sqrt(2 / (1 + LEAKY_SLOPE**2)) * total_blocks**-0.25
        self.layers = nn.Sequential(
            convolution(channels, inner, 1, gain),
            BiasedActivation(inner),
            convolution(inner, inner, 3, gain, groups=inner // _GROUP_CHANNELS),
            BiasedActivation(inner),
            convolution(inner, channels, 1, 0.0),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class ConcatMapping(nn.Module):
    """Latents as they are; with classes, a learned embedding of the label beside them."""

    def __init__(self, latent_dim: int, num_classes: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(num_classes, latent_dim) if num_classes else None

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map `[N, latent_dim]` and labels `[N]` to `[N, style_dim]`."""
        if self.embedding is None:
            return latents
        assert labels is not None
        return torch.cat([latents, self.embedding(labels).to(latents.dtype)], 1)


class Generator(GeneratorNetwork):
    """Latents to images; one style serves the whole image.

    Args:
        height_px, width_px: of the images.
        width: feature channels at 128 px; the paper's is 192.
        latent_dim: width of z; the paper's is 64.
        mapping_layers: the architecture has none; taken for the tables' sake.
        num_classes: 0 for unconditional.

    Raises:
        ConfigError: the size has no base grid.
    """

    def __init__(
        self, *, height_px: int, width_px: int, width: int, latent_dim: int, mapping_layers: int, num_classes: int
    ) -> None:
        super().__init__()
        rows, columns, doublings = base_grid(height_px, width_px)
        self.latent_dim = latent_dim
        self.style_dim = latent_dim * (2 if num_classes else 1)
        self.mapping = ConcatMapping(latent_dim, num_classes)
        channels = [channels_at(width, min(rows, columns) << level) for level in range(doublings + 1)]
        total = BLOCKS_PER_STAGE * len(channels)
        self.base = nn.Parameter(torch.randn(channels[0], rows, columns))
        self.base_scale = nn.Linear(self.style_dim, channels[0], bias=False)
        nn.init.normal_(self.base_scale.weight, std=1 / math.sqrt(self.style_dim))
        self.stages = nn.ModuleDict(
            {
                str(4 << i): nn.Sequential(*(ResidualBlock(c, total) for _ in range(BLOCKS_PER_STAGE)))
                for i, c in enumerate(channels)
            }
        )
        self.narrow = nn.ModuleDict(
            {str(4 << i): convolution(a, b, 1, 1.0) for i, (a, b) in enumerate(itertools.pairwise(channels), 1) if a != b}
        )
        self.to_rgb = convolution(channels[-1], 3, 1, 1.0)

    def synthesis(self, styles: Tensor, noise: Tensor | None = None) -> Tensor:
        """Map styles `[N, style_dim]` or `[N, 1, style_dim]` to images `[N, 3, H, W]`, unbounded; there is no noise."""
        scale = self.base_scale(self.per_layer(styles)[:, 0])
        x = (self.base.to(scale.dtype) * scale[:, :, None, None]).contiguous(memory_format=torch.channels_last)
        for px, stage in self.stages.items():
            if px in self.narrow:
                x = self.narrow[px](x)
            x = stage(x if px == "4" else double(x))
        return self.to_rgb(x)

    @torch.no_grad()
    def grow_from(self, small: "Generator") -> None:
        """Residual blocks start as the identity, and 1x1 convolutions commute with doubling: what narrows takes RGB's place."""
        rgb = small.to_rgb.weight
        for px in list(self.stages)[len(small.stages) :]:
            if px in self.narrow:
                lengths = rgb.flatten(1).norm(dim=1).clamp_min(1e-8)[:, None, None, None]
                narrow = self.narrow[px].weight
                assert isinstance(narrow, nn.Parameter)
                narrow[:3] = rgb / lengths  # as long as the rows of a fresh start
                rgb = torch.zeros_like(narrow[:3, :1]).repeat(1, len(narrow), 1, 1)
                rgb[range(3), range(3)] = lengths[:, 0]
        self.to_rgb.weight.copy_(rgb)

    def level_of(self, tensor: str) -> int | None:
        """Stages, and what narrows before them, are named by their side, 4 for the base grid."""
        room, *rest = tensor.split(".")
        if room == "mapping":
            return None
        if room == "to_rgb":
            return len(self.stages) - 1
        return int(rest[0]).bit_length() - 3 if room in ("stages", "narrow") else 0
