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
