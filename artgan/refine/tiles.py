"""Pictures over memory: the same loss and gradient, tile by tile, with the statistics of the whole picture.

Mean and second moment are sums over positions, so a first pass adds them up without gradients; their slopes are then known,
and a second pass sends each tile's share back. Tiles overlap by the receptive field, and each position counts once, in its
own tile: the gradient equals the untiled one.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from artgan.backbones.backbone import Backbone
from artgan.refine.losses import Statistics, between, total, total_variation
from artgan.refine.networks import receptive_field
from artgan.refine.objective import Objective, Region, Weights


@dataclass(frozen=True)
class _Span:
    """A stretch of one axis in pixels: what is computed, and the core within it that counts."""

    start: int
    stop: int
    core_start: int
    core_stop: int
    last: bool

    def core_in_tile(self, stride: int) -> slice:
        first = (self.core_start - self.start) // stride
        return slice(first, None if self.last else first + (self.core_stop - self.core_start) // stride)

    def core_in_whole(self, stride: int) -> slice:
        return slice(self.core_start // stride, None if self.last else self.core_stop // stride)


def spans(length: int, core: int, halo: int, stride: int) -> list[_Span]:
    """Cut an axis into cores of at most `core` pixels at multiples of the stride, with a halo around each."""
    core = max(stride, core // stride * stride)
    halo = -(-halo // stride) * stride
    starts = [start for start in range(0, length, core) if length - start >= stride or start == 0]
    stops = [*starts[1:], length]
    return [
        _Span(max(0, start - halo), min(length, stop + halo), start, stop, stop == length)
        for start, stop in zip(starts, stops, strict=True)
    ]


class TiledObjective(Objective):
    """The loss of `Objective`, computed in tiles of about `tile_px`, for losses made of moments and content features.

    Raises:
        ConfigError: the backbone is not a chain of 3x3 convolutions and 2x2 pools.
    """

    def __init__(self, content: Tensor, regions: Sequence[Region], backbone: Backbone, weights: Weights, tile_px: int) -> None:
        self.backbone, self.weights, self.regions = backbone, weights, list(regions)
        height, width = content.shape[-2:]
        stride, radius = receptive_field(backbone)
        self.rows, self.columns = spans(height, tile_px, radius, stride), spans(width, tile_px, radius, stride)
        self.layers = tuple(dict.fromkeys([*weights.style_layers, *weights.content_layers]))
        self.strides, shapes = self._layer_geometry(content)
        self.content_features = {layer: content.new_empty(len(content), *shapes[layer]) for layer in weights.content_layers}
        with torch.no_grad():
            for (rows, columns), features in self._tiles(content) if weights.content_layers else ():
                for layer, whole in self.content_features.items():
                    stride = self.strides[layer]
                    core = features[layer][:, :, rows.core_in_tile(stride), columns.core_in_tile(stride)]
                    whole[:, :, rows.core_in_whole(stride), columns.core_in_whole(stride)] = core
        self.content_sizes = {layer: total(whole.square()) for layer, whole in self.content_features.items()}
        empty = {layer: content.new_empty(0, 0, *shapes[layer][1:]) for layer in weights.style_layers}
        self.masks = [self._layer_masks(region, empty) for region in regions]
        self.totals = [self._total(masks, shapes) for masks in self.masks]
        own = self._moments(content) if weights.strength < 1 else [{}] * len(self.regions)
        self.targets = [self._between(region, found) for region, found in zip(self.regions, own, strict=True)]

    def _layer_geometry(self, content: Tensor) -> tuple[dict[str, int], dict[str, tuple[int, ...]]]:
        """Return each layer's stride, and its shape `(C, h, w)` for the whole picture."""
        side = self.rows[0].stop, self.columns[0].stop
        with torch.no_grad():
            features = self.backbone(content[:1, :, : side[0], : side[1]])
        strides = {layer: round(side[0] / features[layer].shape[2]) for layer in self.layers}
        strides = {layer: 1 << (stride.bit_length() - 1) for layer, stride in strides.items()}
        height, width = content.shape[-2:]
        shapes: dict[str, tuple[int, ...]] = {
            layer: (features[layer].shape[1], height // s, width // s) for layer, s in strides.items()
        }
        return strides, shapes

    def _total(self, masks: Mapping[str, Tensor | None], shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
        totals = {}
        for layer, mask in masks.items():
            _, height, width = shapes[layer]
            totals[layer] = torch.tensor([[height * width]]) if mask is None else mask.sum((2, 3)).clamp_min(1e-6)
        return totals

    def _between(self, region: Region, own: Mapping[str, Statistics]) -> dict[str, Statistics]:
        strength = self.weights.strength
        if strength == 1:
            return dict(region.style)
        return {layer: between(own[layer], style, strength) for layer, style in region.style.items()}

    def _tiles(self, images: Tensor) -> Iterator[tuple[tuple[_Span, _Span], dict[str, Tensor]]]:
        for rows in self.rows:
            for columns in self.columns:
                yield (rows, columns), self.backbone(images[:, :, rows.start : rows.stop, columns.start : columns.stop])

    def _core_moments(self, index: int, layer: str, place: tuple[_Span, _Span], features: Mapping[str, Tensor]) -> Statistics:
        """Return a tile's share of a region's mean and second moment."""
        stride = self.strides[layer]
        rows, columns = place
        core = features[layer][:, :, rows.core_in_tile(stride), columns.core_in_tile(stride)].flatten(2)
        mask = self.masks[index][layer]
        weighted = core
        if mask is not None:
            weighted = core * mask[:, :, rows.core_in_whole(stride), columns.core_in_whole(stride)].flatten(2)
        total = self.totals[index][layer].to(core.device)
        return Statistics(weighted.sum(2) / total, weighted @ core.transpose(1, 2) / total[..., None])

    def _moments(self, images: Tensor) -> list[dict[str, Statistics]]:
        sums: list[dict[str, Statistics]] = [{} for _ in self.regions]
        with torch.no_grad():
            for place, features in self._tiles(images):
                for index in range(len(self.regions)):
                    for layer in self.weights.style_layers:
                        share = self._core_moments(index, layer, place, features)
                        before = sums[index].get(layer)
                        sums[index][layer] = share if before is None else _added(before, share)
        return sums

    def gradient(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the losses `[B]` and their gradient, in the shape of the images."""
        images = images.detach()
        measured = [
            {
                layer: replace(s, mean=s.mean.requires_grad_(True), second=s.second.requires_grad_(True))
                for layer, s in region.items()
            }
            for region in self._moments(images)
        ]
        leaves = [tensor for region in measured for s in region.values() for tensor in (s.mean, s.second)]
        style = self.style_part(measured)
        found = torch.autograd.grad(style.sum(), leaves, allow_unused=True)
        slopes = [torch.zeros_like(leaf) if slope is None else slope for leaf, slope in zip(leaves, found, strict=True)]
        losses, gradient = style.detach(), torch.zeros_like(images)
        for rows in self.rows:
            for columns in self.columns:
                window = (slice(None), slice(None), slice(rows.start, rows.stop), slice(columns.start, columns.stop))
                tile = images[window].clone().requires_grad_(True)
                surrogate, content = self._share(tile, (rows, columns), slopes)
                (part,) = torch.autograd.grad(surrogate, tile)
                gradient[window] += part
                losses = losses + content
        whole = images.requires_grad_(True)
        smooth = self.weights.strength * self.weights.variation_weight * total_variation(whole)
        (part,) = torch.autograd.grad(smooth.sum(), whole)
        return losses + smooth.detach(), gradient + part

    def _share(self, tile: Tensor, place: tuple[_Span, _Span], slopes: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Return what to differentiate in a tile, and the tile's content loss `[B]`."""
        features = self.backbone(tile)
        waiting = iter(slopes)
        surrogate = tile.new_zeros(())
        for index in range(len(self.regions)):
            for layer in self.weights.style_layers:
                share = self._core_moments(index, layer, place, features)
                surrogate = surrogate + (next(waiting) * share.mean).sum() + (next(waiting) * share.second).sum()
        content = tile.new_zeros(len(tile))
        rows, columns = place
        for layer in self.weights.content_layers:
            stride = self.strides[layer]
            core = features[layer][:, :, rows.core_in_tile(stride), columns.core_in_tile(stride)]
            target = self.content_features[layer][:, :, rows.core_in_whole(stride), columns.core_in_whole(stride)]
            content = content + total((core - target).square()) / self.content_sizes[layer].clamp_min(1e-12)
        content = self.weights.content_weight / len(self.weights.content_layers) * content
        return surrogate + content.sum(), content.detach()


def tiled_statistics(images: Tensor, backbone: Backbone, layers: Sequence[str], tile_px: int) -> dict[str, Statistics]:
    """Return mean and second moment of each layer for pictures `[B, 3, H, W]` over memory.

    Raises:
        ConfigError: the backbone is not a chain of 3x3 convolutions and 2x2 pools.
    """
    style_alone = Weights(tuple(layers), (), "moments", "features", 0.0, 0.0, 1.0)
    return TiledObjective(images, [Region({})], backbone, style_alone, tile_px)._moments(images)[0]


def _added(first: Statistics, second: Statistics) -> Statistics:
    return Statistics(first.mean + second.mean, first.second + second.second)
