"""Halving and doubling maps through the low-pass filter [1, 3, 3, 1] / 8, zeros outside (Karras et al. 2020, 1912.04958)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from artgan.models.convolution import conv2d

_TAPS = (1 / 8, 3 / 8, 3 / 8, 1 / 8)


class LowPass(nn.Module):
    """The filter; its taps move with the network, since a copy of them at every call would wait for the device."""

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        taps = torch.tensor(_TAPS, device="cpu")  # not "meta", on which loading builds: no file holds them
        self.register_buffer("kernel", taps[:, None] * taps[None], persistent=False)

    def forward(self, x: Tensor, padding: int, stride: int = 1) -> Tensor:
        """Filter each channel of `[N, C, H, W]` after zero padding; the side becomes (H + 2 padding - 4) / stride + 1."""
        kernel = self.kernel.to(x.dtype).expand(x.shape[1], 1, 4, 4)  # sixty-fourths: exact in every precision
        return conv2d(x, kernel, stride, padding, groups=x.shape[1])

    def halve(self, x: Tensor) -> Tensor:
        """Map `[N, C, H, W]` to `[N, C, H/2, W/2]`."""
        return self(x, padding=1, stride=2)


def double(x: Tensor) -> Tensor:
    """Map `[N, C, H, W]` to `[N, C, 2H, 2W]`.

    Zeros between the pixels, then the filter with gain 4, which is bilinear interpolation of the zero-padded map.
    """
    x = F.interpolate(F.pad(x, (1, 1, 1, 1)), scale_factor=2, mode="bilinear", align_corners=False)
    return x[:, :, 2:-2, 2:-2]
