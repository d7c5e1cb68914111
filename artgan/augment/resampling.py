"""Warping images by an affine map: supersampled, reflected at the edges, differentiable twice.

Images are doubled in size, sampled and halved again through sym6, an orthogonal wavelet (Daubechies 1992, table 6.3), as
Karras et al. 2020 (2006.06676, appendix B.2) do: doubling and halving without a change in between give the image back.
"""

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx
from torch.nn import functional as F

# Low-pass taps: sum sqrt(2), sum of squares 1, orthogonal to themselves at even shifts.
SYM6 = (
    0.015404109327027373, 0.0034907120842174702, -0.11799011114819057, -0.048311742585633, 0.4910559419267466,
    0.787641141030194, 0.3379294217276218, -0.07263752278646252, -0.021060292512300564, 0.04472490177066578,
    0.0017677118642428036, -0.007800708325034148,
)  # fmt: skip
_LENGTH = len(SYM6)
_CENTER = sum(place * tap for place, tap in enumerate(SYM6)) / sum(SYM6)
_MARGIN = 6  # reflected pixels around an image
_SAFE_MARGIN = 3  # of them, those whose doubled values have all their taps


class _Sample(torch.autograd.Function):
    """Bilinear sampling; linear in the images, so its derivative is its transpose and theirs is sampling again.

    `grid_sample` itself has the images' second derivative in torch 2.15 (measured: there, and right); the oldest torch that is
    supported may not. The grid gets no gradient, which saves its computation.
    """

    @staticmethod
    def forward(context: FunctionCtx, images: Tensor, grid: Tensor) -> Tensor:
        context.save_for_backward(grid)
        context.shape = images.shape  # type: ignore[attr-defined]
        return F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=True)

    @staticmethod
    def backward(context: FunctionCtx, gradient: Tensor) -> tuple[Tensor, None]:
        (grid,) = context.saved_tensors  # type: ignore[attr-defined]
        return _Transpose.apply(gradient, grid, context.shape), None  # type: ignore[attr-defined]


class _Transpose(torch.autograd.Function):
    """The transpose of bilinear sampling."""

    @staticmethod
    def forward(context: FunctionCtx, gradient: Tensor, grid: Tensor, shape: torch.Size) -> Tensor:
        context.save_for_backward(grid)
        images = gradient.new_zeros(shape)
        backward = torch.ops.aten.grid_sampler_2d_backward
        return backward(gradient.contiguous(), images, grid, 0, 0, True, [True, False])[0]

    @staticmethod
    def backward(context: FunctionCtx, gradient: Tensor) -> tuple[Tensor, None, None]:
        (grid,) = context.saved_tensors  # type: ignore[attr-defined]
        return _Sample.apply(gradient, grid), None, None


class Warp(nn.Module):
    """Warps each image; the taps move with it, since a copy of them at every call would wait for the device."""

    taps: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("taps", torch.tensor(SYM6, dtype=torch.float64), persistent=False)

    def forward(self, images: Tensor, inverse: Tensor) -> Tensor:
        """Warp.

        Args:
            images: `[N, C, H, W]`, float32 or float64.
            inverse: `[N, 2, 3]`: where a pixel of the result comes from, (x, y) in pixels from the center.

        Returns:
            `[N, C, H, W]`.
        """
        height, width = images.shape[2:]
        taps = self.taps.to(images.dtype)
        doubled = _double(_reflected(images), taps)
        x, y = (_places(side, images) - (side - 1) / 2 for side in (width, height))  # from the center
        x, y = x[None, None, :], y[None, :, None]
        a = inverse.to(images.dtype)[:, :, :, None, None]  # [N, 2, 3, 1, 1]
        from_x = a[:, 0, 0] * x + a[:, 0, 1] * y + a[:, 0, 2] + (width - 1) / 2  # [N, 2H+10, 2W+10]
        from_y = a[:, 1, 0] * x + a[:, 1, 1] * y + a[:, 1, 2] + (height - 1) / 2
        grid = torch.stack([_normalized(from_x, width), _normalized(from_y, height)], -1)
        return _halve(_Sample.apply(doubled, grid), taps)


def _fold(place: Tensor, side: int) -> Tensor:
    """Reflect places at the outer edges of the first and last pixel."""
    around = torch.remainder(place + 0.5, 2 * side)
    return side - (around - side).abs() - 0.5


def _reflected(images: Tensor) -> Tensor:
    rows, columns = (
        _fold(torch.arange(-_MARGIN, side + _MARGIN, device=images.device), side).long() for side in images.shape[2:]
    )
    return images[:, :, rows][:, :, :, columns]


def _places(side: int, like: Tensor) -> Tensor:
    """Return the pixel places of the doubled result, with what the taps reach."""
    return (torch.arange(2 * (side - 1) + _LENGTH, dtype=like.dtype, device=like.device) - _CENTER) / 2


def _normalized(place: Tensor, side: int) -> Tensor:
    """Turn pixel places into those of the doubled image, in [-1, 1]; what lies beyond its margin is reflected."""
    beyond = (place < -_SAFE_MARGIN) | (place > side - 1 + _SAFE_MARGIN)
    place = torch.where(beyond, _fold(place, side), place)
    last = 2 * (side + 2 * _MARGIN - 1) + _LENGTH - 1
    return (2 * (place + _MARGIN) + _CENTER) * (2 / last) - 1


def _kernels(taps: Tensor, channels: int) -> tuple[Tensor, Tensor]:
    return taps.view(1, 1, -1, 1).expand(channels, 1, -1, 1), taps.view(1, 1, 1, -1).expand(channels, 1, 1, -1)


def _double(x: Tensor, taps: Tensor) -> Tensor:
    down, across = _kernels(2**0.5 * taps, x.shape[1])
    x = F.conv_transpose2d(x, down, stride=(2, 1), groups=x.shape[1])
    return F.conv_transpose2d(x, across, stride=(1, 2), groups=x.shape[1])


def _halve(x: Tensor, taps: Tensor) -> Tensor:
    down, across = _kernels(0.5**0.5 * taps, x.shape[1])
    x = F.conv2d(x, down, stride=(2, 1), groups=x.shape[1])
    return F.conv2d(x, across, stride=(1, 2), groups=x.shape[1])
