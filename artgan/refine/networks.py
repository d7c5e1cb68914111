"""Feature networks as style transfer wants them: no frame around the picture, pooling by choice."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from artgan.backbones.backbone import Backbone
from artgan.errors import ConfigError

_TRIAL_PX = 128
_AVERAGE_GAIN = 2.0  # average pooling gives smaller activations than max pooling; later biases expect the size of the latter


class _Replication(torch.autograd.Function):
    """Padding by the edge, with a gradient that is one copy and a few sums.

    torch's own backward took a fifth of a step of a fit on a CPU, and adds up in no fixed order on a GPU.
    """

    @staticmethod
    def forward(context: Any, x: Tensor, rows: int, columns: int) -> Tensor:
        context.amounts = rows, columns
        with torch.autocast(x.device.type, enabled=False):  # it would widen bfloat16 maps for a copy
            return F.pad(x, (columns, columns, rows, rows), mode="replicate")

    @staticmethod
    @once_differentiable
    def backward(context: Any, slope: Tensor) -> tuple[Tensor, None, None]:
        rows, columns = context.amounts
        height, width = slope.shape[2] - 2 * rows, slope.shape[3] - 2 * columns
        between = slope.narrow(2, rows, height)
        inner = _add_edges(between.narrow(3, columns, width).clone(), between, 3, columns)
        for edge, outside in ((0, slope.narrow(2, 0, rows)), (-1, slope.narrow(2, rows + height, rows))):
            row = outside.sum(2)
            inner.select(2, edge).add_(_add_edges(row.narrow(2, columns, width).clone(), row, 2, columns))
        return inner, None, None


def _add_edges(inner: Tensor, padded: Tensor, dim: int, amount: int) -> Tensor:
    """Add to the first and last place along a dimension what lies outside of them."""
    inner.select(dim, 0).add_(padded.narrow(dim, 0, amount).sum(dim))
    inner.select(dim, -1).add_(padded.narrow(dim, padded.shape[dim] - amount, amount).sum(dim))
    return inner


class Replicate(nn.Module):
    """Continue pictures `[B, C, H, W]` at their borders by so many rows and columns on each side."""

    def __init__(self, rows: int, columns: int) -> None:
        super().__init__()
        self.rows, self.columns = rows, columns

    def forward(self, x: Tensor) -> Tensor:
        return _Replication.apply(x, self.rows, self.columns)


class _ScaledAverage(nn.Module):
    def __init__(self, kernel_size: int, stride: int) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(kernel_size, stride)

    def forward(self, x: Tensor) -> Tensor:
        return _AVERAGE_GAIN * self.pool(x)


def pad_by_replication(backbone: Backbone) -> Backbone:
    """Let the first convolution continue the picture at its border instead of framing it in black.

    One without padding, as SqueezeNet's with its stride of 2, gets half a kernel too: it would never see the last row and
    column of an even size, which then stay as they were, a thin frame around the result.
    """
    for name, first in backbone.named_modules():
        if isinstance(first, nn.Conv2d):
            if (
                first.padding_mode == "zeros" and first.kernel_size != first.stride
            ):  # otherwise it frames nothing, as patches do
                parent, _, leaf = name.rpartition(".")
                rows, columns = (side // 2 for side in first.kernel_size)
                first.padding = (0, 0)
                backbone.get_submodule(parent).add_module(leaf, nn.Sequential(Replicate(rows, columns), first))
            return backbone
    return backbone


class Surrounded(Backbone):
    """A network that sees pictures continued by their mirror images, and gives the features of the pictures alone.

    Inner convolutions frame their maps in zeros. Where a style is smaller than the picture, that border is a larger part of
    it, and as much of it was painted: a margin of colored noise. Replication in every convolution is no way out: the outermost
    pixels then count for all that lies beyond, which draws a frame (docs/decisions.md).

    Args:
        backbone: each of its layers has one stride.
    """

    def __init__(self, backbone: Backbone) -> None:
        nn.Module.__init__(self)
        self.inner = backbone
        self.name, self.layers, self.weights_sha256 = backbone.name, backbone.layers, backbone.weights_sha256
        for name in ("mean", "std"):
            self.register_buffer(name, getattr(backbone, name), persistent=False)
        with torch.no_grad():
            maps = backbone(torch.zeros(1, 3, _TRIAL_PX, _TRIAL_PX))
        self.strides = {layer: round(_TRIAL_PX / x.shape[3]) for layer, x in maps.items()}
        self.margin_px = math.lcm(*self.strides.values())

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Return the features of each asked layer; see `Backbone.forward`."""
        features = self.inner(_mirrored(_mirrored(images, 2, self.margin_px), 3, self.margin_px))
        return {layer: _inner(x, self.margin_px // self.strides[layer]) for layer, x in features.items()}


def _mirrored(x: Tensor, dim: int, amount: int) -> Tensor:
    """Continue maps by mirroring, or by their edge where they are smaller than that.

    By copies: the gradient of torch's own padding adds up in no fixed order on a GPU.
    """
    length = x.shape[dim]
    if length > amount:
        before, after = x.narrow(dim, 1, amount).flip(dim), x.narrow(dim, length - 1 - amount, amount).flip(dim)
    else:
        before, after = (x.narrow(dim, place, 1).repeat_interleave(amount, dim) for place in (0, length - 1))
    return torch.cat([before, x, after], dim)


def _inner(x: Tensor, amount: int) -> Tensor:
    return x[:, :, amount : x.shape[2] - amount, amount : x.shape[3] - amount]


def without_frame(backbone: Backbone) -> Backbone:
    """Let a network see pictures without a border: `pad_by_replication`, and `Surrounded` where it takes any size."""
    padded = pad_by_replication(backbone)
    return Surrounded(padded) if padded.takes_any_size else padded


def pool_by_average(backbone: Backbone) -> Backbone:
    """Replace max pooling by average pooling (Gatys et al. 2016, sec. 2: smoother pictures).

    Raises:
        ConfigError: the network has no max pooling between its stages.
    """
    pools = [(name, stage) for name, stage in backbone.stages.items() if isinstance(stage, nn.MaxPool2d)]
    if not pools:
        raise ConfigError(f"--pooling average: {backbone.name} has no max pooling up to the asked layers; use --pooling max")
    for name, stage in pools:
        assert isinstance(stage.kernel_size, int)
        assert isinstance(stage.stride, int)
        backbone.stages[name] = _ScaledAverage(stage.kernel_size, stage.stride)
    return backbone


def receptive_field(backbone: Backbone) -> tuple[int, int]:
    """Return (stride, radius) in pixels of the deepest stage.

    Raises:
        ConfigError: the network is not a chain of 3x3 convolutions and 2x2 pools, which keep positions on a grid.
    """
    stride, size = 1, 1
    for module in backbone.modules():
        if isinstance(module, nn.Conv2d):
            if module.kernel_size != (3, 3) or module.stride != (1, 1):
                raise ConfigError(f"tiles: {backbone.name} has strided or larger convolutions; use vgg19, vgg16 or random")
            size += 2 * stride
        elif isinstance(module, nn.MaxPool2d | nn.AvgPool2d):
            if module.kernel_size != 2 or module.stride != 2:
                raise ConfigError(f"tiles: {backbone.name} has pools other than 2x2; use vgg19, vgg16 or random")
            size += stride
            stride *= 2
    return stride, size // 2 + 1
