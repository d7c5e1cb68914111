"""What the network is asked about drawings, and how its answers are graded.

Three lessons share one pass over two views of each drawing: to tell the drawing from all others of the batch (SimCLR, Chen
et al. 2020, 2002.05709); to say which part lies at each place; and to say what the drawing is as a whole, its scene, hand,
temper and whether it has contours. The answers to the last two are known because code drew it.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from artgan.backbones.drawn_net import BLOCKS
from artgan.drawings.drawing import ATTRIBUTES, NUM_PARTS
from artgan.drawings.views import LABELS_PX

# The layers that are read, from fine to coarse: the last of each block from the third on.
_READ = {f"relu{block}_{BLOCKS[block - 1][1]}": BLOCKS[block - 1][0] for block in (3, 4, 5)}
_EMBEDDING = 128
_TEMPERATURE = 0.2


@dataclass(frozen=True)
class Weights:
    """How much each lesson counts."""

    contrast: float = 1.0
    parts: float = 1.0
    whole: float = 0.5


class Heads(nn.Module):
    """The readers of features, which are thrown away after training."""

    def __init__(self) -> None:
        super().__init__()
        channels = sum(_READ.values())
        self.parts = nn.ModuleDict({name: nn.Conv2d(width, NUM_PARTS, 1) for name, width in _READ.items()})
        self.whole = nn.Sequential(nn.BatchNorm1d(channels), nn.Linear(channels, sum(ATTRIBUTES.values())))
        self.embed = nn.Sequential(
            nn.Linear(2 * list(_READ.values())[-1], 512, bias=False), nn.BatchNorm1d(512), nn.ReLU(), nn.Linear(512, _EMBEDDING)
        )

    def losses(self, features: dict[str, Tensor], parts: Tensor, attributes: Tensor) -> dict[str, Tensor]:
        """Grade a batch whose second half are other views of the drawings of its first half.

        Args:
            features: of `2N` views.
            parts: int64 `[2N, 12, 12]`.
            attributes: int64 `[2N, A]`.
        """
        maps = {name: features[name].float() for name in _READ}
        pooled = {name: x.mean((2, 3)) for name, x in maps.items()}
        size = (LABELS_PX, LABELS_PX)
        read = [F.interpolate(self.parts[name](x), size, mode="bilinear", align_corners=False) for name, x in maps.items()]
        asked = self.whole(torch.cat(list(pooled.values()), 1)).split(list(ATTRIBUTES.values()), 1)
        last = list(maps.values())[-1]
        embedded = F.normalize(self.embed(torch.cat([last.mean((2, 3)), last.amax((2, 3))], 1)), dim=1)
        first, second = embedded.chunk(2)
        return {
            "contrast": contrast(first, second),
            "parts": F.cross_entropy(torch.stack(read).sum(0), parts),
            "whole": torch.stack([F.cross_entropy(x, attributes[:, i]) for i, x in enumerate(asked)]).mean(),
        }


def contrast(first: Tensor, second: Tensor, temperature: float = _TEMPERATURE) -> Tensor:
    """Return NT-Xent of paired unit vectors `[N, D]`: each must find its partner among all `2N - 1` others."""
    both = torch.cat([first, second])
    likeness = both @ both.T / temperature
    likeness = likeness.masked_fill(torch.eye(len(both), dtype=torch.bool, device=both.device), float("-inf"))
    count = len(first)
    partner = torch.arange(2 * count, device=both.device).roll(count)
    return F.cross_entropy(likeness, partner)
