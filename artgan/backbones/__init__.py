"""Pretrained feature networks behind one call: images -> {layer: features}.

The table names a function `(name, layers, weights) -> Backbone` for each network, or family of networks;
`artgan.backbones.backbone.load_backbone` is the front door. The same networks serve as judges (metrics), style losses
(refine) and projected discriminators.
"""

BACKBONES = {
    "inception_fid_2015": "artgan.backbones.inception:build",
    "random": "artgan.backbones.random_net:build",
    "squeezenet1_1": "artgan.backbones.torchvision_nets:build_squeezenet1_1",
    "timm/": "artgan.backbones.timm_nets:build",
    "vgg16": "artgan.backbones.torchvision_nets:build_vgg16",
    "vgg19": "artgan.backbones.torchvision_nets:build_vgg19",
}

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
    "random": ("random", "stage4", 128),
}
# The best compromise of those measured on mixtures of few paintings (docs/results.md); `fid` is inception-2048.
DEFAULT_FEATURES = "inception-768"
