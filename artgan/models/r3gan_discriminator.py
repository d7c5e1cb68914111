"""R3GAN's discriminator: the generator's mirror, without normalisation (Huang et al. 2024, 2501.05441, section 3)."""

import itertools
import math
from collections.abc import Sequence

from torch import Tensor, nn

from artgan.models.base_grid import base_grid
from artgan.models.contract import DiscriminatorNetwork, Features
from artgan.models.convolution import Conv2d
from artgan.models.r3gan_generator import BLOCKS_PER_STAGE, ResidualBlock, channels_at, convolution
from artgan.models.resample import LowPass


class Discriminator(DiscriminatorNetwork):
    """Images to one logit each.

    Args:
        height_px, width_px: of the images.
        width: feature channels at 128 px; the paper's is 192.
        num_classes: 0 for unconditional; otherwise logits are <phi(x), e(c)> / sqrt(dim).
    """

    def __init__(self, *, height_px: int, width_px: int, width: int, num_classes: int) -> None:
        super().__init__()
        rows, columns, doublings = base_grid(height_px, width_px)
        channels = [channels_at(width, min(rows, columns) << level) for level in range(doublings, -1, -1)]
        total = BLOCKS_PER_STAGE * len(channels)
        self.from_rgb = convolution(3, channels[0], 1, 1.0)
        self.blocks = nn.ModuleDict(
            {
                str(4 << (doublings - i)): nn.Sequential(*(ResidualBlock(c, total) for _ in range(BLOCKS_PER_STAGE)))
                for i, c in enumerate(channels)
            }
        )
        self.widen = nn.ModuleDict(
            {
                str(4 << (doublings - i)): convolution(a, b, 1, 1.0)
                for i, (a, b) in enumerate(itertools.pairwise(channels), 1)
                if a != b
            }
        )
        self.low_pass = LowPass()
        last = channels[-1]
        self.basis = Conv2d(last, last, (rows, columns), groups=last)
        nn.init.normal_(self.basis.weight, std=1 / math.sqrt(rows * columns))
        self.logit = nn.Linear(last, last if num_classes else 1, bias=False)
        nn.init.normal_(self.logit.weight, std=1 / math.sqrt(last))
        self.embedding = nn.Embedding(num_classes, last) if num_classes else None
        self.full_px = str(4 << doublings)

    def features(self, images: Tensor) -> Features:
        """Map images to the last map, `[N, C, rows, columns]`."""
        x = self.from_rgb(images)
        for px, blocks in self.blocks.items():
            if px != self.full_px:
                x = self.low_pass.halve(x)
            if px in self.widen:
                x = self.widen[px](x)
            x = blocks(x)
        return (x,)

    def logits(self, features: Features, labels: Tensor | None = None) -> Tensor:
        """Map features to logits `[N, 1]`."""
        x = self.logit(self.basis(features[0]).flatten(1))
        if self.embedding is None:
            return x
        assert labels is not None
        return (x * self.embedding(labels).to(x.dtype)).sum(1, keepdim=True) / math.sqrt(x.shape[1])

    def stages(self) -> Sequence[nn.Module]:
        return [self.from_rgb, *self.blocks.values()]
