"""What the optimisation minimises at one scale: style, content and smoothness of a batch of pictures, with gradients.

Every part is a sum over pictures of one picture's loss, so that a picture's gradient does not depend on its neighbours.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from artgan.backbones.backbone import Backbone
from artgan.refine.losses import (
    Statistics,
    between,
    content_loss,
    self_similarity_loss,
    statistics,
    style_distance,
    total_variation,
)


@dataclass(frozen=True)
class Region:
    """One look and where it goes.

    Attributes:
        style: statistics of the style for each layer, batch size 1 or B.
        mask: `[B or 1, 1, H, W]` in [0, 1], 1 where the look goes; None is everywhere.
    """

    style: Mapping[str, Statistics]
    mask: Tensor | None = None


@dataclass(frozen=True)
class Weights:
    """How the parts of the loss weigh beside a style weight of 1, and how they are measured."""

    style_layers: tuple[str, ...]
    content_layers: tuple[str, ...]
    loss: str
    content: str
    content_weight: float
    variation_weight: float
    strength: float


class Objective:
    """The loss of pictures of one size.

    The style target is `strength` of the way from the content's own statistics to the style's: the content is the minimum at
    strength 0, and at any strength the same share of the style distance is left, whatever the style.

    Args:
        content: `[B, 3, H, W]` in [-1, 1].
        regions: the looks.
        backbone: returns the layers of `weights`.
        weights: see there.
    """

    def __init__(self, content: Tensor, regions: Sequence[Region], backbone: Backbone, weights: Weights) -> None:
        self.backbone = backbone
        self.weights = weights
        self.regions = list(regions)
        with torch.no_grad():
            features = backbone(content)
        self.content_features = {layer: features[layer] for layer in weights.content_layers}
        self.masks = [self._layer_masks(region, features) for region in regions]
        self.targets = [self._target(region, features, masks) for region, masks in zip(regions, self.masks, strict=True)]

    def _layer_masks(self, region: Region, features: Mapping[str, Tensor]) -> dict[str, Tensor | None]:
        if region.mask is None:
            return dict.fromkeys(self.weights.style_layers)
        # A layer's position counts as much as the mask covers it.
        sizes = {layer: (features[layer].shape[2], features[layer].shape[3]) for layer in self.weights.style_layers}
        return {layer: F.adaptive_avg_pool2d(region.mask, size) for layer, size in sizes.items()}

    def _target(
        self, region: Region, features: Mapping[str, Tensor], masks: Mapping[str, Tensor | None]
    ) -> dict[str, Statistics]:
        strength = self.weights.strength
        if strength == 1:
            return {layer: region.style[layer] for layer in self.weights.style_layers}
        own = {layer: statistics(features[layer], self.weights.loss, masks[layer]) for layer in self.weights.style_layers}
        return {layer: between(own[layer], region.style[layer], strength) for layer in own}

    def style_part(self, measured: Sequence[Mapping[str, Statistics]]) -> Tensor:
        """Return `[B]`: the style loss of measured statistics, region by region."""
        parts = [
            style_distance(found[layer], target[layer], region.style[layer], self.weights.loss)
            for found, target, region in zip(measured, self.targets, self.regions, strict=True)
            for layer in self.weights.style_layers
        ]
        return torch.stack(parts).mean(0)

    def measure(self, features: Mapping[str, Tensor]) -> list[dict[str, Statistics]]:
        """Return the statistics of each region and layer."""
        return [
            {layer: statistics(features[layer], self.weights.loss, masks[layer]) for layer in self.weights.style_layers}
            for masks in self.masks
        ]

    def content_part(self, features: Mapping[str, Tensor]) -> Tensor:
        """Return `[B]`: the content loss of features."""
        distance = self_similarity_loss if self.weights.content == "self_similarity" else content_loss
        return distance(features, self.content_features, self.weights.content_layers)

    def losses(self, images: Tensor) -> Tensor:
        """Return the loss of each picture, `[B]`."""
        features = self.backbone(images)
        kept = self.content_part(features)
        smooth = self.weights.strength * self.weights.variation_weight * total_variation(images)
        return self.style_part(self.measure(features)) + self.weights.content_weight * kept + smooth

    def gradient(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the losses `[B]` and their gradient, in the shape of the images."""
        images = images.detach().requires_grad_(True)
        losses = self.losses(images)
        (gradient,) = torch.autograd.grad(losses.sum(), images)
        return losses.detach(), gradient
