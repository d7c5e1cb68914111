"""VGG and SqueezeNet: torchvision's graphs, cut by layer name.

VGG (Simonyan & Zisserman 2015, arXiv 1409.1556) layers are `conv1_1`, `relu1_1`, ..., `pool1`, ...; SqueezeNet 1.1
(Iandola et al. 2016, arXiv 1602.07360) layers are `relu1`, `pool1`, `fire2`, ..., `fire9`.
"""

from collections.abc import Iterator, Sequence

from torch import nn
from torchvision import models

from artgan.backbones.backbone import IMAGENET_MEAN, IMAGENET_STD, Backbone, cut_stages, fill_stages, read_weights
from artgan.weights import Located

_SQUEEZENET_NAMES = (
    "conv1", "relu1", "pool1", "fire2", "fire3", "pool3", "fire4", "fire5", "pool5", "fire6", "fire7", "fire8", "fire9",
)  # fmt: skip


def _vgg_names(features: nn.Sequential) -> Iterator[str]:
    block, position = 1, 0
    for module in features:
        if isinstance(module, nn.Conv2d):
            position += 1
            yield f"conv{block}_{position}"
        elif isinstance(module, nn.ReLU):
            yield f"relu{block}_{position}"
        else:
            yield f"pool{block}"
            block, position = block + 1, 0


def _build(name: str, features: nn.Sequential, names: Sequence[str], layers: Sequence[str], located: Located) -> Backbone:
    for module in features.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False  # an in-place ReLU would overwrite the convolution output that a layer returns
    stages = cut_stages(name, zip(names, features, strict=True), layers)
    keys = {stage: f"features.{index}" for index, stage in enumerate(names)}
    fill_stages(name, stages, read_weights(located.path), located.path, layers, keys)
    return Backbone(name, stages, layers, IMAGENET_MEAN, IMAGENET_STD, located.sha256)


def build_vgg16(name: str, layers: Sequence[str], located: Located) -> Backbone:
    """Build VGG-16 up to the deepest of `layers`."""
    features = models.vgg16(weights=None, init_weights=False).features
    return _build(name, features, list(_vgg_names(features)), layers, located)


def build_vgg19(name: str, layers: Sequence[str], located: Located) -> Backbone:
    """Build VGG-19 up to the deepest of `layers`."""
    features = models.vgg19(weights=None, init_weights=False).features
    return _build(name, features, list(_vgg_names(features)), layers, located)


def build_squeezenet1_1(name: str, layers: Sequence[str], located: Located) -> Backbone:
    """Build SqueezeNet 1.1 up to the deepest of `layers`."""
    features = models.squeezenet1_1(weights=None).features
    return _build(name, features, _SQUEEZENET_NAMES, layers, located)
