"""The style engine that solves for each picture: networks, cards and settings of one look, on one device."""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from artgan.backbones.backbone import Backbone, load_backbone
from artgan.devices import is_out_of_memory, place
from artgan.progress import Listener, silent
from artgan.refine.bounds import Look, bounded, empty_octaves, look_of
from artgan.refine.canvas import image_tensor
from artgan.refine.losses import Statistics, mixture
from artgan.refine.networks import pool_by_average, without_frame
from artgan.refine.objective import Region, Weights
from artgan.refine.optimize import Iterate, Settings, Size, noise, resize, scales, stylize
from artgan.refine.steps.step import MIN_SIDE_PX
from artgan.refine.steps.style import StyleLook
from artgan.refine.style_card import Cards, StyleSource, reduced_picture, spread_works

_log = logging.getLogger(__name__)
OnIterate = Callable[[Iterate], None]


class Engine(Protocol):
    """A style engine, ready to work."""

    def prepare(self, sizes: Sequence[Size], on_progress: Listener = silent) -> None:
        """Compute what pictures of these sizes share."""

    def __call__(
        self,
        pictures: Sequence[np.ndarray],
        masks: Sequence[Sequence[np.ndarray]] = (),
        on_iterate: OnIterate = ...,
        *,
        starts: Sequence[np.ndarray] = (),
    ) -> list[np.ndarray]:
        """Return pictures of one size, uint8 or float in [0, 1], in the look, float32 in [0, 1]."""


class Stylist:
    """The style step of one look, on one device.

    Args:
        look: the step's section of a recipe, with its layers.
        styles: what to look like, at least one.
        weights: of the styles, as many.
        device: where.
        seed: of a start from noise.

    Raises:
        WeightsError: the backbone's weights are not available or lack a layer.
    """

    def __init__(
        self, look: StyleLook, styles: Sequence[StyleSource], weights: Sequence[float], device: torch.device, seed: int = 0
    ) -> None:
        self.look, self.device, self.weights, self.seed = look, device, list(weights), seed
        backbone = load_backbone(look.backbone, [*look.style_layers, *look.content_layers])
        if look.pooling == "average":
            pool_by_average(backbone)
        self.backbone = place(without_frame(backbone), device)
        assert isinstance(self.backbone, Backbone)
        self.cards = [Cards(style, self.backbone, look.style_layers, look.loss, look.pooling, look.tile_px) for style in styles]
        self._looks: dict[int, Look] = {}
        assert look.content_weight is not None
        self.settings = Settings(
            Weights(
                look.style_layers,
                look.content_layers,
                look.loss,
                look.content,
                look.content_weight,
                look.variation_weight,
                look.strength,
            ),
            look.iterations,
            look.learning_rate,
            look.optimizer,
            look.patience,
            look.scale_ratio,
            look.tile_px,
        )

    def long_sides(self, height: int, width: int) -> list[int]:
        """Return the long sides in pixels at which a picture of this size meets the style."""
        sizes = scales(height, width, self.look.scale_ratio)
        return [max(MIN_SIDE_PX, round(max(size) * self.look.style_scale)) for size in sizes]

    def prepare(self, sizes: Sequence[Size], on_progress: Listener = silent) -> None:
        """Compute the cards that pictures of these sizes need, so that workers find them in the cache."""
        if self.look.nearest:
            return
        for side in sorted({side for height, width in sizes for side in self.long_sides(height, width)}):
            for cards in self.cards:
                cards.card(side, on_progress)

    def __call__(
        self,
        pictures: Sequence[np.ndarray],
        masks: Sequence[Sequence[np.ndarray]] = (),
        on_iterate: OnIterate = lambda _: None,
        *,
        starts: Sequence[np.ndarray] = (),
    ) -> list[np.ndarray]:
        """Return pictures of one size in the look, float32 `[H, W, 3]` in [0, 1].

        Args:
            pictures: uint8, or float in [0, 1], `[H, W, 3]`.
            masks: for each picture none, one, or one for each style; float32 `[H, W]` in [0, 1].
            on_iterate: told about every few steps.
            starts: none, or for each picture what to start from, float `[H, W, 3]` in [0, 1].
        """
        content = image_tensor(pictures, self.device)
        full_masks = _stacked(masks, self.device)

        def looks(size: Size) -> list[Region]:
            return self._regions(content, size, [resize_mask(mask, size) for mask in full_masks])

        given = image_tensor(starts, self.device) if starts else None
        start = self._start() if given is None else lambda size: resize(given, size).clamp(-1, 1)
        stylized = stylize(content, looks, self.backbone, self.settings, on_iterate, start)
        styled = [((image.permute(1, 2, 0) + 1) / 2).cpu().numpy() for image in stylized]
        areas = [np.max(list(of_picture), 0) > 0 for of_picture in masks] if full_masks else [None] * len(styled)
        return [self._held(*of_one) for of_one in zip(styled, pictures, areas, strict=True)]

    def _held(self, styled: np.ndarray, picture: np.ndarray, area: np.ndarray | None) -> np.ndarray:
        """Return a styled picture within bounds, where it was without detail of its own."""
        octaves = empty_octaves(picture)
        if not octaves:
            return styled
        held = bounded(styled, picture, self._style_look(max(picture.shape[:2])), octaves)
        return held if area is None else np.where(area[..., None], held, styled)

    def _style_look(self, side: int) -> Look:
        """Return what the styles have at the size at which a picture of this long side meets them, by their weights."""
        seen = max(MIN_SIDE_PX, round(side * self.look.style_scale))
        if seen not in self._looks:
            looks = [look_of([_seen(pixels, seen) for pixels in spread_works(cards.source)]) for cards in self.cards]
            shares = np.asarray(self.weights) / sum(self.weights)
            energies = np.average([look.energies for look in looks], 0, shares)
            self._looks[seen] = Look(energies, float(np.average([look.chroma for look in looks], weights=shares)))
        return self._looks[seen]

    def _regions(self, content: Tensor, size: Size, masks: Sequence[Tensor]) -> list[Region]:
        look = self.look
        side = max(MIN_SIDE_PX, round(max(size) * look.style_scale))
        if look.nearest:
            cards = [cards.nearest_card(content, look.nearest, side) for cards in self.cards]
        else:
            cards = [cards.card(side) for cards in self.cards]
        if len(masks) > 1:
            return [Region(card, mask) for card, mask in zip(cards, masks, strict=True)]
        mixed: dict[str, Statistics] = {
            layer: mixture([card[layer] for card in cards], self.weights) for layer in look.style_layers
        }
        return [Region(mixed, masks[0] if masks else None)]

    def _start(self) -> Callable[[Size], Tensor] | None:
        kind = self.look.start
        if kind == "content":
            return None
        if kind == "noise":
            return lambda size: noise(size, self.seed)
        picture = self.cards[0].source.picture(0)
        return lambda size: resize(reduced_picture(picture, 4 * max(size), torch.device("cpu")), size).clamp(-1, 1)


def _seen(pixels: np.ndarray, side: int) -> np.ndarray:
    reduced = reduced_picture(pixels, side, torch.device("cpu"))[0]
    return ((reduced.permute(1, 2, 0) + 1) / 2).numpy()


def with_less_memory(
    engine: Engine,
    pictures: Sequence[np.ndarray],
    masks: Sequence[Sequence[np.ndarray]],
    on_iterate: OnIterate,
    starts: Sequence[np.ndarray] = (),
) -> list[np.ndarray]:
    """Style pictures of one size together, in halves where they do not fit into memory together, and so on."""
    go = partial(engine, on_iterate=on_iterate)
    if len(pictures) == 1:
        return go(pictures, masks, starts=starts)
    try:
        return go(pictures, masks)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    middle = len(pictures) // 2
    _log.warning("out of memory: going on with %d pictures at a time", len(pictures) - middle)
    halves = (slice(middle), slice(middle, None))
    return [styled for half in halves for styled in with_less_memory(engine, pictures[half], masks[half], on_iterate)]


def resize_mask(mask: Tensor, size: Size) -> Tensor:
    """Reduce a mask `[B, 1, H, W]` by area."""
    return mask if mask.shape[-2:] == size else torch.nn.functional.adaptive_avg_pool2d(mask, size)


def _stacked(masks: Sequence[Sequence[np.ndarray]], device: torch.device) -> list[Tensor]:
    """Return one `[B, 1, H, W]` for each style."""
    return [torch.from_numpy(np.stack(of_style))[:, None].to(device) for of_style in zip(*masks, strict=True)]
