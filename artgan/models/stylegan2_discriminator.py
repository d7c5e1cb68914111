"""StyleGAN2's residual discriminator.

Karras et al. 2020 (1912.04958), section 4.1 and appendix B; classes by projection (Miyato & Koyama 2018, 1802.05637) as in
2006.06676. Departure: the groups of the minibatch deviation are neighbours in the batch, so that a batch cut at multiples of
four, over pieces or processes, has the same groups.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from artgan.models.base_grid import base_grid
from artgan.models.contract import DiscriminatorNetwork, Features
from artgan.models.convolution import conv2d
from artgan.models.layers import normalize_second_moment
from artgan.models.resample import LowPass
from artgan.models.stylegan2_generator import Dense, activated, channels_at

_GROUP = 4


class Conv(nn.Module):
    """Convolution under equalized learning rate, after the low-pass filter where it halves the side."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, *, down: bool = False, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(channels_out, channels_in, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(channels_out)) if bias else None
        self.gain = 1 / math.sqrt(channels_in * kernel**2)
        self.low_pass = LowPass() if down else None

    def forward(self, x: Tensor) -> Tensor:
        """Map `[N, C_in, H, W]` to `[N, C_out, H, W]`, or half the sides; activated where there is a bias."""
        weight = self.weight * self.gain
        if self.low_pass is None:
            x = conv2d(x, weight, padding=weight.shape[-1] // 2)
        elif weight.shape[-1] == 1:
            x = conv2d(self.low_pass.halve(x), weight)
        else:
            x = conv2d(self.low_pass(x, padding=2), weight, stride=2)
        return x if self.bias is None else activated(x + self.bias.to(x.dtype)[:, None, None])


class Block(nn.Module):
    """Two convolutions, the second halving the side, beside a 1x1 skip; their sum keeps the variance."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv0 = Conv(channels_in, channels_in, 3)
        self.conv1 = Conv(channels_in, channels_out, 3, down=True)
        self.skip = Conv(channels_in, channels_out, 1, down=True, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return (self.conv1(self.conv0(x)) + self.skip(x)) * math.sqrt(0.5)


class Discriminator(DiscriminatorNetwork):
    """Images to one logit each.

    Args:
        height_px, width_px: of the images.
        width: feature channels at 128 px; the papers' is 128 below 512 px and 256 from there on.
        num_classes: 0 for unconditional.
    """

    batch_multiple = _GROUP

    def __init__(self, *, height_px: int, width_px: int, width: int, num_classes: int) -> None:
        super().__init__()
        rows, columns, doublings = base_grid(height_px, width_px)
        channels = {level: channels_at(width, min(rows, columns) << level) for level in range(doublings + 1)}
        self.from_rgb = Conv(3, channels[doublings], 1)
        self.blocks = nn.ModuleDict(
            {str(4 << level): Block(channels[level], channels[level - 1]) for level in range(doublings, 0, -1)}
        )
        self.conv = Conv(channels[0] + 1, channels[0], 3)
        self.dense = Dense(channels[0] * rows * columns, channels[0], activate=True)
        self.logit = Dense(channels[0], channels[0] if num_classes else 1)
        self.embedding = nn.Embedding(num_classes, channels[0]) if num_classes else None

    def features(self, images: Tensor) -> Features:
        """Map images to the last map before the minibatch deviation, `[N, C, rows, columns]`."""
        x = self.from_rgb(images)
        for block in self.blocks.values():
            x = block(x)
        return (x,)

    def logits(self, features: Features, labels: Tensor | None = None) -> Tensor:
        """Map features to logits `[N, 1]`: with classes <phi(x), e(c)> / sqrt(dim)."""
        (x,) = features
        x = self.conv(torch.cat([x, minibatch_deviation(x)], 1))
        x = self.logit(self.dense(x.flatten(1)))
        if self.embedding is None:
            return x
        assert labels is not None
        classes = normalize_second_moment(self.embedding(labels)).to(x.dtype)
        return (x * classes).sum(1, keepdim=True) / math.sqrt(x.shape[1])

    def stages(self) -> Sequence[nn.Module]:
        return [self.from_rgb, *self.blocks.values()]


def minibatch_deviation(x: Tensor) -> Tensor:
    """Return the mean deviation within groups of neighbours (Karras et al. 2018, 1710.10196, section 3), `[N, 1, H, W]`."""
    count, _, height, width = x.shape
    size = _GROUP if count % _GROUP == 0 else count
    groups = x.reshape(count // size, size, -1)
    groups = groups if groups.dtype == torch.float64 else groups.float()
    deviation = torch.sqrt(groups.var(1, unbiased=False) + 1e-8).mean(1)  # [groups]
    return deviation.repeat_interleave(size).to(x.dtype).view(-1, 1, 1, 1).expand(-1, 1, height, width)
