"""Convolutions that are cheap to differentiate twice.

A penalty on a discriminator's slope, or on a generator's path length, differentiates the gradient by the input with respect
to the weights. PyTorch's own rule for that makes one convolution for each group, with a whole map for its kernel: thousands
where filters are depthwise. Here the gradient by the input has a derivative of its own, so that every order is made of the
convolution, its transpose, and the gradient by the weight. Compiled passes keep PyTorch's rule: in them, derivatives of
functions like these are lost.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class _Steps(NamedTuple):
    """What a convolution is, besides its tensors."""

    stride: int
    padding: int
    groups: int

    def convolve(self, x: Tensor, weight: Tensor) -> Tensor:
        return F.conv2d(x, weight, None, self.stride, self.padding, 1, self.groups)

    def gradient(self, slopes: Tensor, x: Tensor, weight: Tensor, *, by_x: bool) -> Tensor:
        """Return the gradient of (slopes * conv(x, weight)).sum() by x, by its shape alone, or by the weight."""
        rest = [self.stride] * 2, [self.padding] * 2, [1, 1], False, [0, 0], self.groups
        grads = torch.ops.aten.convolution_backward(slopes, x, weight, None, *rest, [by_x, not by_x, False])
        return grads[0 if by_x else 1]


class _Convolution(torch.autograd.Function):
    """conv(x, weight)."""

    @staticmethod
    def forward(x: Tensor, weight: Tensor, steps: _Steps) -> Tensor:
        return steps.convolve(x, weight)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, weight, ctx.steps = inputs
        ctx.save_for_backward(x, weight)

    @staticmethod
    def backward(ctx: Any, slopes: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        by_x = _Transposed.apply(slopes, weight, ctx.steps, x.shape[2:]) if ctx.needs_input_grad[0] else None
        return by_x, ctx.steps.gradient(slopes, x, weight, by_x=False) if ctx.needs_input_grad[1] else None, None


class _Transposed(torch.autograd.Function):
    """The gradient of a convolution by its input, which is the transposed convolution, as maps of the given sides."""

    @staticmethod
    def forward(slopes: Tensor, weight: Tensor, steps: _Steps, sides: tuple[int, int]) -> Tensor:
        last = slopes.is_contiguous(memory_format=torch.channels_last)  # kernels go by the layout of what they are to fill
        layout = torch.channels_last if last else torch.contiguous_format
        shape = (len(slopes), weight.shape[1] * steps.groups, *sides)
        x = torch.empty(shape, dtype=slopes.dtype, device=slopes.device, memory_format=layout)
        return steps.gradient(slopes, x, weight, by_x=True)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        slopes, weight, ctx.steps, _ = inputs
        ctx.save_for_backward(slopes, weight)

    @staticmethod
    def backward(ctx: Any, x: Tensor) -> tuple[Tensor | None, ...]:
        slopes, weight = ctx.saved_tensors
        by_slopes = _Convolution.apply(x, weight, ctx.steps) if ctx.needs_input_grad[0] else None
        return by_slopes, ctx.steps.gradient(slopes, x, weight, by_x=False) if ctx.needs_input_grad[1] else None, None, None


def conv2d(x: Tensor, weight: Tensor, stride: int = 1, padding: int = 0, groups: int = 1) -> Tensor:
    """Convolve `[N, C_in, H, W]` with `[C_out, C_in / groups, k, k]`; as `torch.nn.functional.conv2d` without a bias."""
    if torch.compiler.is_compiling():
        return F.conv2d(x, weight, None, stride, padding, 1, groups)
    return _Convolution.apply(*_cast(x, weight), _Steps(stride, padding, groups))


def conv_transpose2d(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """As `torch.nn.functional.conv_transpose2d` of `[N, C_in, H, W]` with `[C_in, C_out, k, k]`, without padding or bias."""
    if torch.compiler.is_compiling():
        return F.conv_transpose2d(x, weight, None, stride)
    sides = tuple((side - 1) * stride + kernel for side, kernel in zip(x.shape[2:], weight.shape[2:], strict=True))
    return _Transposed.apply(*_cast(x, weight), _Steps(stride, 0, 1), sides)


class Conv2d(nn.Conv2d):
    """A convolutional layer of that kind; there is no bias."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int | tuple[int, int], padding: int = 0, groups: int = 1):
        super().__init__(channels_in, channels_out, kernel, padding=padding, groups=groups, bias=False)

    def forward(self, input: Tensor) -> Tensor:
        return conv2d(input, self.weight, self.stride[0], int(self.padding[0]), self.groups)


def _cast(x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Do what autocast does to a convolution: functions with derivatives of their own are hidden from it."""
    kind = x.device.type
    if torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind):  # "meta" has none
        dtype = torch.get_autocast_dtype(kind)
        return x.to(dtype), weight.to(dtype)
    return x, weight
