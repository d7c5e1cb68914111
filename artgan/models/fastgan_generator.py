"""FastGAN's generator, with a mapping network.

Liu et al. 2021, "Towards faster and stabilized GAN training for high-fidelity few-shot image synthesis" (2101.04775),
section 3.1. From the paper: few channels at high resolution, one gated convolution with batch norm at most sizes and two at
some, and skip-layer excitation. Departures: a mapping network, whose styles w feed the base grid and scale the channels of
every convolution, so that truncation, mixing and directions exist; no spectral norm; no noise inputs, so that a seed is all
there is; one image, not two; maps above 16 px are mirrored at their borders, where the paper's zeros draw a frame around every
picture. Smaller maps keep the zeros: borders tell a convolution where it is, and without any the layouts repeat
(docs/decisions.md). Sampling uses the running averages of batch norm, so an image never depends on its neighbours.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from artgan import seeding
from artgan.errors import ConfigError
from artgan.models.base_grid import base_grid
from artgan.models.batch_norm import BatchNorm
from artgan.models.contract import GeneratorNetwork
from artgan.models.layers import GLU_AT_REST, EqualLinear, Mapping, gated_linear_unit, initialize

# Feature channels after each doubling of the base grid, as multiples of `width` (the paper's ngf): 4, 8, 16, ... px.
_CHANNELS = (16, 8, 4, 2, 2, 1, 0.5, 0.25, 0.125)
_DEEP_STAGES = (1, 3, 5, 7)  # 8, 32, 128, 512 px
_EXCITATION_SPAN = 4  # 4 -> 64, 8 -> 128, 16 -> 256, 32 -> 512 px
_FIRST_EXCITED, _LAST_EXCITED = 4, 7
_MIN_CHANNELS = 8
Padding = Literal["mixed", "zeros"]
_STYLE_STD = 0.3  # of the weights from styles to scales: from near zero, only the base grid learns to heed its styles
_MIRRORED_FROM_PX = 17  # maps of this side and above, with mixed padding
_GROWN_ON = 16  # pictures whose colors give the statistics of new stages


class SkipLayerExcitation(nn.Module):
    """Gate the channels of a large map with a small one (paper, eq. 1), by 1 on average at the start (paper: 1/2)."""

    def __init__(self, channels_small: int, channels_large: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels_small, channels_large, 4)
        self.excite = nn.Conv2d(channels_large, channels_large, 1)

    def forward(self, small: Tensor, large: Tensor) -> Tensor:
        """Map `[N, C_small, h, w]` and `[N, C_large, H, W]` to `[N, C_large, H, W]`."""
        gate = F.silu(self.squeeze(F.adaptive_avg_pool2d(small, 4)))  # [N, C_large, 1, 1]
        return large * (2 * self.excite(gate).sigmoid())

    @torch.no_grad()
    def pass_colors(self) -> None:
        """Gate the first three channels by 1."""
        assert self.excite.bias is not None
        self.excite.weight[:3].zero_()
        self.excite.bias[:3].zero_()


class StyledConv(nn.Module):
    """Convolution, batch norm, channels scaled by 1 + A w, gated linear unit; the size of the map is kept."""

    def __init__(self, channels_in: int, channels_out: int, style_dim: int, mirrored: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, 2 * channels_out, 3, padding=1, padding_mode=_mode(mirrored), bias=False)
        self.norm = BatchNorm(2 * channels_out)
        self.scale = EqualLinear(style_dim, 2 * channels_out, _STYLE_STD)

    def forward(self, x: Tensor, styles: Tensor) -> Tensor:
        """Map `[N, C_in, H, W]` with styles `[N, style_dim]` to `[N, C_out, H, W]`."""
        scale = 1 + self.scale(styles)  # [N, 2 C_out]
        return gated_linear_unit(self.norm(self.conv(x)) * scale[:, :, None, None])

    @contextmanager
    def passing_colors(self, kernel: Tensor) -> Iterator[None]:
        """Make the first three channels a convolution of what comes in, `[3, C_in, 3, 3]`: their gates and styles rest.

        Batch norm is to change nothing either: its statistics are those of the first pass within the context.
        """
        half = len(self.conv.weight) // 2
        with torch.no_grad():
            self.conv.weight[:3] = kernel
            self.norm.weight[half : half + 3] = 0
            for rows in (slice(0, 3), slice(half, half + 3)):
                self.scale.weight[rows] = 0

        def take_statistics(_: nn.Module, __: tuple[Tensor, ...], x: Tensor) -> None:
            norm = self.norm
            assert norm.running_mean is not None
            assert norm.running_var is not None
            variance, mean = torch.var_mean(x, (0, 2, 3))
            norm.running_mean.copy_(mean)
            norm.running_var.copy_(variance)
            norm.weight[:3] = torch.sqrt(variance[:3] + norm.eps)
            norm.bias[:3] = mean[:3]

        handle = self.conv.register_forward_hook(take_statistics)
        yield
        handle.remove()


class Stage(nn.Module):
    """Double the side: nearest upsampling, then styled convolutions."""

    def __init__(self, channels_in: int, channels_out: int, style_dim: int, deep: bool, mirrored: bool) -> None:
        super().__init__()
        widths = [channels_in, channels_out] + ([channels_out] if deep else [])
        self.convs = nn.ModuleList(StyledConv(a, b, style_dim, mirrored) for a, b in pairwise(widths))

    def forward(self, x: Tensor, styles: Tensor) -> Tensor:
        """Map `[N, C_in, H, W]` to `[N, C_out, 2H, 2W]`."""
        x = F.interpolate(x, scale_factor=2, mode="nearest")
        for conv in self.convs:
            x = conv(x, styles)
        return x


class Generator(GeneratorNetwork):
    """Latents to images; `mapping` and `synthesis` can be called apart.

    Args:
        height_px, width_px: of the images.
        width: feature channels at 128 px; the paper's is 64.
        latent_dim: width of z and of w.
        mapping_layers: layers from z to w.
        num_classes: 0 for unconditional.
        padding: what convolutions see beyond the borders: `zeros`, or `mixed`, zeros up to 16 px and the map mirrored above.
            Models from before there was a choice say nothing, and have zeros.

    Raises:
        ConfigError: the size has no base grid, or there is no such padding.
    """

    couples_batch = True

    def __init__(
        self,
        *,
        height_px: int,
        width_px: int,
        width: int,
        latent_dim: int,
        mapping_layers: int,
        num_classes: int,
        padding: Padding = "zeros",
    ) -> None:
        super().__init__()
        rows, columns, doublings = base_grid(height_px, width_px)
        if padding not in get_args(Padding):  # models come as files
            raise ConfigError(f"fastgan has no padding '{str(padding)[:20]}': choose from {', '.join(get_args(Padding))}")
        channels = [max(_MIN_CHANNELS, int(factor * width)) for factor in _CHANNELS[: doublings + 1]]
        self.latent_dim = self.style_dim = latent_dim
        self.num_styles = 1 + doublings
        self.base_shape = (2 * channels[0], rows, columns)
        self.mapping = Mapping(latent_dim, mapping_layers, num_classes)
        self.base = nn.Linear(latent_dim, 2 * channels[0] * rows * columns, bias=False)
        self.base_norm = BatchNorm(2 * channels[0])
        mirrored = [padding == "mixed" and max(rows, columns) * 2**i >= _MIRRORED_FROM_PX for i in range(doublings + 1)]
        self.stages = nn.ModuleList(
            Stage(channels[i - 1], channels[i], latent_dim, i in _DEEP_STAGES, mirrored[i]) for i in range(1, doublings + 1)
        )
        excited = range(_FIRST_EXCITED, min(_LAST_EXCITED, doublings) + 1)
        self.excitations = nn.ModuleDict(
            {str(i): SkipLayerExcitation(channels[i - _EXCITATION_SPAN], channels[i]) for i in excited}
        )
        self.to_rgb = nn.Conv2d(channels[-1], 3, 3, padding=1, padding_mode=_mode(mirrored[-1]))
        initialize(self)

    def synthesis(self, styles: Tensor, noise: Tensor | None = None) -> Tensor:
        """Map styles, the first for the base grid and one for each doubling, to images in [-1, 1]; there is no noise."""
        first, *others = self.per_layer(styles).unbind(1)
        base = self.base(first).view(-1, *self.base_shape).contiguous(memory_format=torch.channels_last)
        maps = [gated_linear_unit(self.base_norm(base))]  # [N, C, rows, columns]
        for index, (stage, style) in enumerate(zip(self.stages, others, strict=True), start=1):
            x = stage(maps[-1], style)
            if str(index) in self.excitations:
                x = self.excitations[str(index)](maps[index - _EXCITATION_SPAN], x)
            maps.append(x)
        return torch.tanh(self.to_rgb(maps[-1]))

    @torch.no_grad()
    def grow_from(self, small: "Generator") -> None:
        """Colors before the tanh pass through the first three channels of the new stages; no other has a weight in RGB."""
        known = len(small.stages)
        kernel = _after_doubling(small.to_rgb.weight)
        with ExitStack() as stack:
            for index, stage in enumerate(list(self.stages)[known:], start=known + 1):
                assert isinstance(stage, Stage)
                for conv in stage.convs:
                    assert isinstance(conv, StyledConv)
                    stack.enter_context(conv.passing_colors(kernel))
                    kernel = _colors_only(len(conv.conv.weight) // 2, conv.conv.weight) / GLU_AT_REST
                if str(index) in self.excitations:
                    excitation = self.excitations[str(index)]
                    assert isinstance(excitation, SkipLayerExcitation)
                    excitation.pass_colors()
            self.to_rgb.weight.copy_(kernel)
            assert self.to_rgb.bias is not None
            assert small.to_rgb.bias is not None
            self.to_rgb.bias.copy_(small.to_rgb.bias)
            latents = torch.from_numpy(seeding.normal(0, "grow/latents", 0, _GROWN_ON, self.latent_dim)).to(self.to_rgb.weight)
            assert isinstance(self.mapping, Mapping)
            classes = self.mapping.embedding.num_embeddings if self.mapping.embedding is not None else 1
            was_training = self.training
            self.eval()(latents, torch.arange(_GROWN_ON, device=latents.device) % classes)
            self.train(was_training)

    def level_of(self, tensor: str) -> int | None:
        """Stage k follows doubling k + 1; an excitation is counted where it acts."""
        room, number, *_ = tensor.split(".")
        if room == "mapping":
            return None
        if room == "to_rgb":
            return len(self.stages)
        return {"stages": 1, "excitations": 0}[room] + int(number) if room in ("stages", "excitations") else 0


def _mode(mirrored: bool) -> Literal["reflect", "zeros"]:
    return "reflect" if mirrored else "zeros"


def _after_doubling(kernel: Tensor) -> Tensor:
    """Return a kernel `[3, C, 3, 3]` for the map doubled by its nearest pixels: the mean of four results is what it gave.

    Along one side (a, b, c) becomes (2a, b - a - c, 2c): the two results are 2a x[i-1] + (b - a + c) x[i] and
    (b + a - c) x[i] + 2c x[i+1].
    """
    spread = kernel.new_tensor([[2, 0, 0], [-1, 1, -1], [0, 0, 2]])
    return spread @ kernel @ spread.T


def _colors_only(channels: int, like: Tensor) -> Tensor:
    """Return the kernel `[3, channels, 3, 3]` that takes the first three channels as they are."""
    kernel = like.new_zeros(3, channels, 3, 3)
    kernel[range(3), range(3), 1, 1] = 1
    return kernel
