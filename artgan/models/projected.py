"""Projected discriminator: small heads on the features of a frozen, pretrained network.

Sauer et al. 2021, "Projected GANs converge faster" (2111.01007): features of several layers, mixed across channels by
random 1x1 convolutions (CCM) and across scales by random 1x1 convolutions and upsampling (CSM, section 3.2), one
spectral-norm head for each scale. Departures: features are standardised, with statistics of the training pictures taken
once, instead of batch norm in the heads, so that an image's logits do not depend on its neighbours; a light backbone
(SqueezeNet 1.1) with its own normalisation; a backbone that knows little of art may learn, slowly (`models.adaptation`).
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from artgan import seeding
from artgan.backbones import BACKBONES, timm_nets
from artgan.backbones.backbone import Backbone, load_backbone
from artgan.devices import is_out_of_memory
from artgan.errors import ConfigError
from artgan.models.adaptation import adapt
from artgan.models.contract import DiscriminatorNetwork, DiscriminatorSpec, Features
from artgan.models.layers import LEAKY_SLOPE, LogitConv, spectral_conv

_MIXED_CHANNELS = (64, 64, 128, 256)
_HEAD_PX = 4
_SEED = 0
_CALIBRATION_PICTURES = 128
_CALIBRATED_AT_ONCE = 8  # at 1024 px 128 pictures would take tens of GB


class Head(nn.Module):
    """Halve a map down to a few pixels, then one convolution to logits."""

    def __init__(self, channels: int, width: int, side_px: int, num_classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        while side_px >= 3 * _HEAD_PX:
            layers += [spectral_conv(channels, width, 4, 2, 1), nn.LeakyReLU(LEAKY_SLOPE)]
            channels, side_px = width, side_px // 2
        self.layers = nn.Sequential(*layers)
        self.logit = LogitConv(channels, min(_HEAD_PX, side_px), num_classes)

    def forward(self, x: Tensor, labels: Tensor | None) -> Tensor:
        """Map `[N, C, H, W]` to logits `[N, K]`."""
        return self.logit(self.layers(x), labels)


class Discriminator(DiscriminatorNetwork):
    """Frozen backbone, frozen random mixing, trained heads. Call `calibrate` once before training.

    Args:
        backbone: returns the layers of `taps`.
        backbone_rate: how fast its weights change, as a share of the learning rate; 0 keeps them as they came.
        input_px: shorter side that images are resized to for the backbone; rectangles stay rectangles.
        width: channels within the heads.
        num_classes: 0 for unconditional.

    Raises:
        ConfigError: the backbone shrinks pictures of that size to nothing.
    """

    def __init__(self, *, backbone: Backbone, input_px: int, width: int, num_classes: int, backbone_rate: float = 0.0) -> None:
        super().__init__()
        self.backbone = backbone
        self.weights_sha256 = backbone.weights_sha256
        self.input_px = input_px
        maps = _maps_of(backbone, input_px)
        self.learns_features = backbone_rate > 0
        if self.learns_features:
            adapt(backbone, backbone_rate, torch.zeros(1, 3, input_px, input_px))
        widths = _MIXED_CHANNELS[-len(maps) :]
        self.across_channels = nn.ModuleList(
            _random_mix(f"channels/{i}", x.shape[1], c) for i, (x, c) in enumerate(zip(maps, widths, strict=True))
        )
        self.across_scales = nn.ModuleList(_random_mix(f"scales/{i}", widths[i + 1], widths[i]) for i in range(len(maps) - 1))
        self.standardize = nn.ModuleList(Standardize(channels) for channels in widths)
        self.heads = nn.ModuleList(Head(c, width, x.shape[-1], num_classes) for x, c in zip(maps, widths, strict=True))

    @classmethod
    def from_spec(cls, spec: DiscriminatorSpec) -> "Discriminator":
        assert spec.backbone is not None
        assert spec.input_px is not None
        backbone = load_backbone(spec.backbone, cls.taps(spec.backbone))
        network = cls(
            backbone=backbone,
            input_px=spec.input_px,
            width=spec.width,
            num_classes=spec.num_classes,
            backbone_rate=spec.backbone_rate,
        )
        network.calibrate(spec.pictures(_CALIBRATION_PICTURES))
        return network

    @staticmethod
    def taps(backbone_name: str) -> tuple[str, ...]:
        """Return the layers that the discriminator needs of a backbone: at most four."""
        return BACKBONES.row(backbone_name).taps or _one_a_halving(timm_nets.strides(backbone_name))

    def _mixed(self, images: Tensor) -> list[Tensor]:
        """Return the mixed features of each scale, from fine to coarse, before standardisation."""
        shorter = min(images.shape[-2:])
        if shorter != self.input_px:
            sides = [round(side * self.input_px / shorter) for side in images.shape[-2:]]
            images = F.interpolate(images, sides, mode="bilinear", align_corners=False)
        maps = [mix(x) for mix, x in zip(self.across_channels, self.backbone(images).values(), strict=True)]
        for i in reversed(range(len(maps) - 1)):
            coarse = self.across_scales[i](maps[i + 1])
            maps[i] = maps[i] + F.interpolate(coarse, maps[i].shape[-2:], mode="bilinear", align_corners=False)
        return maps

    def hold_features(self) -> None:
        """Let the backbone's weights stay as they are; nothing is undone."""
        self.backbone.requires_grad_(False)

    @torch.no_grad()
    def calibrate(self, images: Tensor) -> None:
        """Take the statistics of the mixed features from training pictures `[N, 3, H, W]` in [-1, 1]."""
        pieces = images.split(_CALIBRATED_AT_ONCE)
        by_scale = zip(*([_moments(x) for x in self._mixed(piece)] for piece in pieces), strict=True)
        for standardize, moments in zip(self.standardize, by_scale, strict=True):
            assert isinstance(standardize, Standardize)
            standardize.take(torch.stack(moments).sum(0))

    def features(self, images: Tensor) -> Features:
        """Map images `[N, 3, H, W]` in [-1, 1] to standardised mixed features, from fine to coarse."""
        return tuple(scale(x) for scale, x in zip(self.standardize, self._mixed(images), strict=True))

    def logits(self, features: Features, labels: Tensor | None = None) -> Tensor:
        """Map features to the logits `[N, K]` of all heads."""
        return torch.cat([head(x, labels) for head, x in zip(self.heads, features, strict=True)], 1)


class Standardize(nn.Module):
    """Subtract a mean and divide by a deviation that were taken once, for each channel."""

    mean: Tensor
    scale: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(1, channels, 1, 1))
        self.register_buffer("scale", torch.ones(1, channels, 1, 1))

    def take(self, moments: Tensor) -> None:
        """Take mean and deviation from the number of values, their sum and their sum of squares, float64 `[3, C]`."""
        count, total, squares = moments[:, None, :, None, None]
        mean = total / count
        variance = (squares / count - mean.square()) * count / (count - 1)
        self.mean.copy_(mean)
        self.scale.copy_(1 / variance.clamp_min(0).sqrt().clamp_min(1e-8))

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean.to(x.dtype)) * self.scale.to(x.dtype)


class FrozenConv(nn.Module):
    """A 1x1 convolution that never learns; its weight is saved with the discriminator."""

    weight: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", weight)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight.to(x.dtype))


def _moments(x: Tensor) -> Tensor:
    """Return the number of values, their sum and their sum of squares for each channel of `[N, C, H, W]`, float64 `[3, C]`."""
    total, squares = (values.sum((0, 2, 3), dtype=torch.float64) for values in (x, x.square()))
    return torch.stack([torch.full_like(total, x.numel() / x.shape[1]), total, squares])


@torch.no_grad()
def _maps_of(backbone: Backbone, input_px: int) -> list[Tensor]:
    try:
        return list(backbone(torch.zeros(1, 3, input_px, input_px)).values())
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise
        raise ConfigError(
            f"model.backbone_input_px = {input_px} is too small for {backbone.name}, which shrinks pictures to nothing: give "
            f"64 or more, or leave it out for the pictures' own side, and at least 128"
        ) from error


def _one_a_halving(strides: Mapping[str, int]) -> tuple[str, ...]:
    """Return the deepest layer at each of the four coarsest strides, or four evenly spread ones where there is one stride."""
    deepest = {stride: layer for layer, stride in strides.items()}
    if len(deepest) > 1:
        return tuple(deepest[stride] for stride in sorted(deepest)[-len(_MIXED_CHANNELS) :])
    layers = list(strides)
    count = min(len(_MIXED_CHANNELS), len(layers))
    return tuple(layers[(index + 1) * len(layers) // count - 1] for index in range(count))


def _random_mix(stream: str, channels_in: int, channels_out: int) -> FrozenConv:
    values = seeding.normal(_SEED, f"projected/{stream}", 0, channels_out, channels_in) / math.sqrt(channels_in)
    return FrozenConv(torch.from_numpy(values).view(channels_out, channels_in, 1, 1))
