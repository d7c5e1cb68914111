"""A seeded, untrained convolutional network: features for machines with no pretrained weights.

Random filters still separate textures and palettes (Ustyuzhaninov et al. 2016, arXiv 1606.00021), so losses and
distances on them mean something, but never what pretrained features mean: whatever uses them carries the name `random`.
"""

import hashlib
import math
from collections.abc import Sequence

import torch
from torch import nn

from artgan import seeding
from artgan.backbones.backbone import Backbone, cut_stages
from artgan.weights import Located

_WIDTHS = (32, 64, 128, 256, 512)
_SEED = 0


def _convolution(index: int, channels_in: int, channels_out: int) -> nn.Conv2d:
    fan_in = channels_in * 9
    values = seeding.normal(_SEED, f"random_net/{index}", 0, channels_out, fan_in) * math.sqrt(2 / fan_in)
    convolution = nn.Conv2d(channels_in, channels_out, 3, padding=1, padding_mode="replicate", bias=False)
    convolution.weight.data = torch.from_numpy(values).view(channels_out, channels_in, 3, 3)
    return convolution


def build(name: str, layers: Sequence[str], located: Located | None = None) -> Backbone:
    """Build the random network up to the deepest of `layers`.

    Layers `stage1` .. `stage5` have 32, 64, 128, 256 and 512 channels at strides 1, 2, 4, 8 and 16. The weights are
    drawn from a fixed stream, the same on every machine.
    """
    stages = []
    channels_in = 3
    for index, channels_out in enumerate(_WIDTHS, start=1):
        modules: list[nn.Module] = [nn.AvgPool2d(2)] if index > 1 else []
        modules += [_convolution(index, channels_in, channels_out), nn.ReLU()]
        stages.append((f"stage{index}", nn.Sequential(*modules)))
        channels_in = channels_out
    identity = hashlib.sha256(f"artgan random_net {_WIDTHS} seed {_SEED}".encode()).hexdigest()
    return Backbone(name, cut_stages(name, stages, layers), layers, (0.5,) * 3, (0.25,) * 3, identity)
