"""`drawn`: artgan's own feature network, which has seen nothing but pictures drawn by code (`artgan.drawings`).

A plain chain, so that it is fast on a CPU and every layer keeps positions on a grid: 3x3 convolutions with ReLU, named as
VGG's (`relu1_1`, `pool1`, `relu2_1`, ...), and 2x2 max pools. `relu1_1` has stride 1, `relu5_2` stride 16.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from artgan.backbones.backbone import Backbone, cut_stages, fill_stages, read_weights
from artgan.weights import Located

# Channels and number of convolutions of each block; a pool lies between blocks.
BLOCKS = ((16, 1), (32, 1), (64, 2), (128, 2), (256, 2))
MEAN, STD = (0.5,) * 3, (0.25,) * 3


def _chain(normalized: bool) -> list[tuple[str, nn.Module]]:
    stages: list[tuple[str, nn.Module]] = []
    channels_in = 3
    for block, (channels, convolutions) in enumerate(BLOCKS, start=1):
        if block > 1:
            stages.append((f"pool{block - 1}", nn.MaxPool2d(2)))
        for position in range(1, convolutions + 1):
            modules: list[nn.Module] = [nn.Conv2d(channels_in, channels, 3, padding=1, bias=not normalized)]
            if normalized:
                modules.append(nn.BatchNorm2d(channels))
            stages.append((f"relu{block}_{position}", nn.Sequential(*modules, nn.ReLU())))
            channels_in = channels
    return stages


class Learner(nn.Module):
    """The network as it is trained: batch norm after every convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.ModuleDict(OrderedDict(_chain(normalized=True)))

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Map images `[N, 3, H, W]` in [0, 1] to the features of every layer."""
        x = (images - MEAN[0]) / STD[0]
        features = {}
        for name, stage in self.stages.items():
            x = features[name] = stage(x)
        return features


def fold(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights of the frozen network, float16, from a `Learner`'s state: batch norm goes into the convolutions."""
    folded = {}
    for name in {key.split(".")[1] for key in state if key.endswith(".0.weight")}:
        prefix = f"stages.{name}"
        weight = state[f"{prefix}.0.weight"].double()
        gain = state[f"{prefix}.1.weight"].double() / (state[f"{prefix}.1.running_var"].double() + nn.BatchNorm2d(1).eps).sqrt()
        bias = state[f"{prefix}.1.bias"].double() - state[f"{prefix}.1.running_mean"].double() * gain
        folded[f"{name}.0.weight"] = (weight * gain[:, None, None, None]).to(torch.float16)
        folded[f"{name}.0.bias"] = bias.to(torch.float16)
    return folded


def build(name: str, layers: Sequence[str], located: Located) -> Backbone:
    """Build the network up to the deepest of `layers`."""
    stages = cut_stages(name, _chain(normalized=False), layers)
    fill_stages(name, stages, read_weights(located.path), located.path, layers)
    return Backbone(name, stages, layers, MEAN, STD, located.sha256)
