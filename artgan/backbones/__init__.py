"""Pretrained feature networks behind one call: images -> {layer: features}.

A row names a function `(name, layers, weights) -> Backbone` for a network, or a family of networks;
`artgan.backbones.backbone.load_backbone` is the front door. The same networks serve as judges (metrics), style losses
(refine) and projected discriminators.
"""

import re
from dataclasses import dataclass

from artgan.errors import ConfigError
from artgan.tables import Row, Table, nearest


@dataclass(frozen=True, kw_only=True)
class BackboneRow(Row):
    """What is known of a network, or of a family of networks, which tell it themselves.

    Attributes:
        taps: layers that the projected discriminator mixes, from fine to coarse, about one a halving.
        style_layers, content_layers: that give a good look by default; the first ones see fine strokes, the last ones
            larger forms.
        content_weight: where a look leaves it open. The content layers of some networks say less about form than VGG's: at
            VGG's weight faces dissolve.
        projection_layers: whose distance a projection makes small.
        rate: how fast its weights change within that discriminator, as a share of the learning rate.
    """

    taps: tuple[str, ...] = ()
    style_layers: tuple[str, ...] = ()
    content_layers: tuple[str, ...] = ()
    content_weight: float = 0.01
    projection_layers: tuple[str, ...] = ()
    rate: float = 0.0


_VGG_STYLE = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
BACKBONES = Table(
    "backbone",
    {
        "drawn": BackboneRow(
            "artgan.backbones.drawn_net:build",
            taps=("relu2_1", "relu3_2", "relu4_2", "relu5_2"),
            style_layers=("relu1_1", "relu2_1", "relu3_1", "relu4_1"),
            content_layers=("relu4_2",),
            content_weight=0.06,
            projection_layers=("relu1_1", "relu2_1", "relu3_2", "relu4_2"),
            rate=0.1,
        ),
        "inception_fid_2015": BackboneRow("artgan.backbones.inception:build", taps=("64", "192", "768", "2048")),
        "random": BackboneRow(
            "artgan.backbones.random_net:build",
            taps=("stage2", "stage3", "stage4", "stage5"),
            style_layers=("stage1", "stage2", "stage3"),
            content_layers=("stage2",),
            content_weight=0.2,
            projection_layers=("stage1", "stage2", "stage3"),
        ),
        # Style layers a stage shallower than VGG's: with fire6 and fire9 among them strokes dissolve into noise.
        "squeezenet1_1": BackboneRow(
            "artgan.backbones.torchvision_nets:build_squeezenet1_1",
            taps=("relu1", "fire3", "fire5", "fire9"),
            style_layers=("relu1", "fire2", "fire3", "fire4", "fire5"),
            content_layers=("fire5",),
            content_weight=0.06,
            projection_layers=("relu1", "fire3", "fire5", "fire7"),
        ),
        "timm/": BackboneRow("artgan.backbones.timm_nets:build"),
        "vgg16": BackboneRow(
            "artgan.backbones.torchvision_nets:build_vgg16",
            taps=("relu1_2", "relu2_2", "relu3_3", "relu4_3"),
            style_layers=_VGG_STYLE,
            content_layers=("relu4_2",),
            projection_layers=("relu1_2", "relu2_2", "relu3_3", "relu4_3"),
        ),
        "vgg19": BackboneRow(
            "artgan.backbones.torchvision_nets:build_vgg19",
            taps=("relu1_2", "relu2_2", "relu3_4", "relu4_4"),
            style_layers=_VGG_STYLE,
            content_layers=("relu4_2",),
            projection_layers=("relu1_2", "relu2_2", "relu3_4", "relu4_4"),
        ),
    },
)

# Where none is named, the first whose weights are on this machine; the last one comes with artgan. Looks for small machines
# name the word instead of a network: `light` is the first of the light ones.
LIGHT = "light"
LIGHT_BACKBONES = ("squeezenet1_1", "drawn")
STYLE_BACKBONES = ("vgg19", *LIGHT_BACKBONES)

# Feature space -> backbone, layer, and the side that pictures are resized to. Beside these, `timm/NAME` and `NETWORK:LAYER`
# are feature spaces, at the network's own side.
FEATURE_SPACES = {
    "inception-64": ("inception_fid_2015", "64", 299),
    "inception-192": ("inception_fid_2015", "192", 299),
    "inception-768": ("inception_fid_2015", "768", 299),
    "inception-2048": ("inception_fid_2015", "2048", 299),
    "dinov2-s14": ("timm/vit_small_patch14_dinov2.lvd142m", "pool", 224),
    "dinov2-b14": ("timm/vit_base_patch14_dinov2.lvd142m", "pool", 224),
    "dinov2-l14": ("timm/vit_large_patch14_dinov2.lvd142m", "pool", 224),
    "drawn": ("drawn", "relu5_2", 128),
    "random": ("random", "stage4", 128),
}
# The best compromise of those measured on mixtures of few paintings (docs/results.md); `fid` is inception-2048.
DEFAULT_FEATURES = "inception-768"


def check_features(name: str) -> str:
    """Return `name` if it is a feature space: one of `FEATURE_SPACES`, `timm/NAME`, or `NETWORK:LAYER`.

    Raises:
        ConfigError: it is none.
    """
    network, _, layer = name.partition(":")
    is_network_layer = bool(layer) and network in BACKBONES and not network.endswith("/")
    if name not in FEATURE_SPACES and not is_network_layer and not re.fullmatch(r"timm/[\w.]+", name):
        known = ", ".join([*FEATURE_SPACES, "timm/NAME", "NETWORK:LAYER"])
        raise ConfigError(f"unknown features '{name}'{nearest(name, FEATURE_SPACES)}: choose one of {known}")
    return name
