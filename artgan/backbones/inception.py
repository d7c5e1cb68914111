"""The 2015-12-05 Inception of FID, written from its graph, with batch norm folded into the convolutions.

Szegedy et al. 2015 (arXiv 1512.00567) describe the architecture; Heusel et al. 2017 (arXiv 1706.08500) fixed these
weights as the judge of generated images. It differs from torchvision's network in its pooling: the average pools of the
A, C and first E blocks leave the padding out of the mean, and the last E block pools by maximum.

Layers: `64` and `192` (after the two max pools of the stem), `768` (Mixed_6e), `2048` (Mixed_7c); their global average
is the feature vector. The input must already be 299 px; `artgan.evaluation` resizes.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from artgan.backbones.backbone import Backbone, cut_stages, fill_stages, read_weights
from artgan.weights import Located

_BATCH_NORM_EPSILON = 1e-3
Kernel = int | tuple[int, int]


class _Conv(nn.Conv2d):
    """Convolution with folded batch norm, then ReLU; `same` padding unless told otherwise."""

    def __init__(self, channels_in: int, channels_out: int, kernel: Kernel = 1, stride: int = 1, same: bool = True) -> None:
        height, width = (kernel, kernel) if isinstance(kernel, int) else kernel
        padding = (height // 2, width // 2) if same else (0, 0)
        super().__init__(channels_in, channels_out, (height, width), stride, padding)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(super().forward(x), inplace=True)  # of a fresh tensor: one less to allocate


def _pool_average(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


class _BlockA(nn.Module):
    def __init__(self, channels_in: int, pool_channels: int) -> None:
        super().__init__()
        self.branch1x1 = _Conv(channels_in, 64)
        self.branch5x5_1 = _Conv(channels_in, 48)
        self.branch5x5_2 = _Conv(48, 64, 5)
        self.branch3x3dbl_1 = _Conv(channels_in, 64)
        self.branch3x3dbl_2 = _Conv(64, 96, 3)
        self.branch3x3dbl_3 = _Conv(96, 96, 3)
        self.branch_pool = _Conv(channels_in, pool_channels)

    def forward(self, x: Tensor) -> Tensor:
        five = self.branch5x5_2(self.branch5x5_1(x))
        three = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch1x1(x), five, three, self.branch_pool(_pool_average(x))], 1)


class _BlockB(nn.Module):
    def __init__(self, channels_in: int) -> None:
        super().__init__()
        self.branch3x3 = _Conv(channels_in, 384, 3, stride=2, same=False)
        self.branch3x3dbl_1 = _Conv(channels_in, 64)
        self.branch3x3dbl_2 = _Conv(64, 96, 3)
        self.branch3x3dbl_3 = _Conv(96, 96, 3, stride=2, same=False)

    def forward(self, x: Tensor) -> Tensor:
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch3x3(x), double, F.max_pool2d(x, 3, stride=2)], 1)


class _BlockC(nn.Module):
    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        self.branch1x1 = _Conv(channels_in, 192)
        self.branch7x7_1 = _Conv(channels_in, channels)
        self.branch7x7_2 = _Conv(channels, channels, (1, 7))
        self.branch7x7_3 = _Conv(channels, 192, (7, 1))
        self.branch7x7dbl_1 = _Conv(channels_in, channels)
        self.branch7x7dbl_2 = _Conv(channels, channels, (7, 1))
        self.branch7x7dbl_3 = _Conv(channels, channels, (1, 7))
        self.branch7x7dbl_4 = _Conv(channels, channels, (7, 1))
        self.branch7x7dbl_5 = _Conv(channels, 192, (1, 7))
        self.branch_pool = _Conv(channels_in, 192)

    def forward(self, x: Tensor) -> Tensor:
        single = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        double = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        double = self.branch7x7dbl_5(self.branch7x7dbl_4(double))
        return torch.cat([self.branch1x1(x), single, double, self.branch_pool(_pool_average(x))], 1)


class _BlockD(nn.Module):
    def __init__(self, channels_in: int) -> None:
        super().__init__()
        self.branch3x3_1 = _Conv(channels_in, 192)
        self.branch3x3_2 = _Conv(192, 320, 3, stride=2, same=False)
        self.branch7x7x3_1 = _Conv(channels_in, 192)
        self.branch7x7x3_2 = _Conv(192, 192, (1, 7))
        self.branch7x7x3_3 = _Conv(192, 192, (7, 1))
        self.branch7x7x3_4 = _Conv(192, 192, 3, stride=2, same=False)

    def forward(self, x: Tensor) -> Tensor:
        three = self.branch3x3_2(self.branch3x3_1(x))
        seven = self.branch7x7x3_4(self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x))))
        return torch.cat([three, seven, F.max_pool2d(x, 3, stride=2)], 1)


class _BlockE(nn.Module):
    def __init__(self, channels_in: int, pool_maximum: bool) -> None:
        super().__init__()
        self.pool_maximum = pool_maximum
        self.branch1x1 = _Conv(channels_in, 320)
        self.branch3x3_1 = _Conv(channels_in, 384)
        self.branch3x3_2a = _Conv(384, 384, (1, 3))
        self.branch3x3_2b = _Conv(384, 384, (3, 1))
        self.branch3x3dbl_1 = _Conv(channels_in, 448)
        self.branch3x3dbl_2 = _Conv(448, 384, 3)
        self.branch3x3dbl_3a = _Conv(384, 384, (1, 3))
        self.branch3x3dbl_3b = _Conv(384, 384, (3, 1))
        self.branch_pool = _Conv(channels_in, 192)

    def forward(self, x: Tensor) -> Tensor:
        three = self.branch3x3_1(x)
        double = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        pooled = F.max_pool2d(x, 3, stride=1, padding=1) if self.pool_maximum else _pool_average(x)
        branches = [
            self.branch1x1(x),
            self.branch3x3_2a(three),
            self.branch3x3_2b(three),
            self.branch3x3dbl_3a(double),
            self.branch3x3dbl_3b(double),
            self.branch_pool(pooled),
        ]
        return torch.cat(branches, 1)


def all_stages() -> list[tuple[str, nn.Module]]:
    """Return the network's stages in order, by the names that its weights have."""
    return [
        ("Conv2d_1a_3x3", _Conv(3, 32, 3, stride=2, same=False)),
        ("Conv2d_2a_3x3", _Conv(32, 32, 3, same=False)),
        ("Conv2d_2b_3x3", _Conv(32, 64, 3)),
        ("64", nn.MaxPool2d(3, stride=2)),
        ("Conv2d_3b_1x1", _Conv(64, 80)),
        ("Conv2d_4a_3x3", _Conv(80, 192, 3, same=False)),
        ("192", nn.MaxPool2d(3, stride=2)),
        ("Mixed_5b", _BlockA(192, 32)),
        ("Mixed_5c", _BlockA(256, 64)),
        ("Mixed_5d", _BlockA(288, 64)),
        ("Mixed_6a", _BlockB(288)),
        ("Mixed_6b", _BlockC(768, 128)),
        ("Mixed_6c", _BlockC(768, 160)),
        ("Mixed_6d", _BlockC(768, 160)),
        ("Mixed_6e", _BlockC(768, 192)),
        ("768", nn.Identity()),
        ("Mixed_7a", _BlockD(768)),
        ("Mixed_7b", _BlockE(1280, pool_maximum=False)),
        ("Mixed_7c", _BlockE(2048, pool_maximum=True)),
        ("2048", nn.Identity()),
    ]


def fold_batch_norm(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Fold `X.conv.weight` and `X.bn.*` into `X.weight` and `X.bias`; keys that are folded already pass through.

    y = gamma (W x - mean) / sqrt(var + eps) + beta  =  (gamma / sqrt(var + eps)) W x + (beta - gamma mean / sqrt(var + eps))
    """
    folded = {key: tensor for key, tensor in state.items() if ".bn." not in key and ".conv." not in key}
    for key, weight in state.items():
        if not key.endswith(".conv.weight"):
            continue
        name = key.removesuffix(".conv.weight")
        parts = {part: f"{name}.bn.{part}" for part in ("weight", "bias", "running_mean", "running_var")}
        if not all(key in state for key in parts.values()):
            continue  # left out: `fill_stages` then names the layer that cannot be filled
        norm = {part: state[key] for part, key in parts.items()}
        scale = norm["weight"] / torch.sqrt(norm["running_var"] + _BATCH_NORM_EPSILON)
        folded[f"{name}.weight"] = weight * scale.view(-1, 1, 1, 1)
        folded[f"{name}.bias"] = norm["bias"] - norm["running_mean"] * scale
    return folded


def build(name: str, layers: Sequence[str], located: Located) -> Backbone:
    """Build the network up to the deepest of `layers`, for inputs in [-1, 1] normalised as (x - 128) / 128 on 0..255."""
    stages = cut_stages(name, all_stages(), layers)
    fill_stages(name, stages, fold_batch_norm(read_weights(located.path)), located.path, layers)
    # (x - 128) / 128 with x in 0..255 is ((x / 255) - 128/255) / (128/255)
    return Backbone(name, stages, layers, (128 / 255,) * 3, (128 / 255,) * 3, located.sha256)
