"""A picture through the steps: style, then color and detail. Each step at strength 0 returns its input, bit for bit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from artgan.backbones.backbone import Backbone, load_backbone
from artgan.devices import place
from artgan.errors import DataError
from artgan.images import to_float
from artgan.progress import Listener, Progress, silent
from artgan.refine.color import Map, keep_colors
from artgan.refine.detail import refine_detail
from artgan.refine.encode import to_eight_bits
from artgan.refine.grading import between, fit_grade, pool, sample_pixels, samples_to_grade
from artgan.refine.losses import Statistics, mixture
from artgan.refine.networks import pad_by_replication, pool_by_average
from artgan.refine.objective import Region, Weights
from artgan.refine.oklab import oklab_from_srgb, srgb_from_oklab
from artgan.refine.optimize import Iterate, Settings, Size, noise, resize, scales, stylize
from artgan.refine.recipe import MIN_SIDE_PX, Recipe
from artgan.refine.style_card import Cards, StyleSource, reduced_picture, source_of_picture

OnIterate = Callable[[Iterate], None]


@dataclass(frozen=True)
class Series:
    """Pictures to refine and what they are refined towards.

    Attributes:
        pictures: uint8 `[H, W, 3]` each, of any sizes.
        names: one for each, for messages and grain.
        style: uint8 `[h, w, 3]`, or None without a style step.
        palette: uint8 pictures whose pooled colors are the target of `match`; the style picture by default.
    """

    pictures: Sequence[np.ndarray]
    names: Sequence[str]
    style: np.ndarray | None
    palette: Sequence[np.ndarray]


class Stylist:
    """The style step of one recipe, on one device.

    Args:
        recipe: the look.
        styles: what to look like, at least one.
        weights: of the styles, as many.
        device: where.

    Raises:
        WeightsError: the backbone's weights are not at hand or lack a layer.
    """

    def __init__(self, recipe: Recipe, styles: Sequence[StyleSource], weights: Sequence[float], device: torch.device) -> None:
        look = recipe.style
        self.recipe, self.device, self.weights = recipe, device, list(weights)
        backbone = load_backbone(look.backbone, [*look.style_layers, *look.content_layers])
        if look.pooling == "average":
            pool_by_average(backbone)
        self.backbone = place(pad_by_replication(backbone), device)
        assert isinstance(self.backbone, Backbone)
        self.cards = [Cards(style, self.backbone, look.style_layers, look.loss, look.pooling, look.tile_px) for style in styles]
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
        sizes = scales(height, width, self.recipe.style.scale_ratio)
        return [max(MIN_SIDE_PX, round(max(size) * self.recipe.style.style_scale)) for size in sizes]

    def prepare(self, sizes: Sequence[Size], on_progress: Listener = silent) -> None:
        """Compute the cards that pictures of these sizes need, so that workers find them in the cache."""
        if self.recipe.style.nearest:
            return
        for side in sorted({side for height, width in sizes for side in self.long_sides(height, width)}):
            for cards in self.cards:
                cards.card(side, on_progress)

    def __call__(
        self, pictures: Sequence[np.ndarray], masks: Sequence[Sequence[np.ndarray]] = (), on_iterate: OnIterate = lambda _: None
    ) -> list[np.ndarray]:
        """Return pictures of one size in the look, float32 `[H, W, 3]` in [0, 1].

        Args:
            pictures: uint8 `[H, W, 3]`.
            masks: for each picture none, one, or one for each style; float32 `[H, W]` in [0, 1].
            on_iterate: told about every few steps.
        """
        content = _tensor(pictures, self.device)
        full_masks = _stacked(masks, self.device)

        def looks(size: Size) -> list[Region]:
            return self._regions(content, size, [resize_mask(mask, size) for mask in full_masks])

        stylized = stylize(content, looks, self.backbone, self.settings, on_iterate, self._start())
        return [((image.permute(1, 2, 0) + 1) / 2).cpu().numpy() for image in stylized]

    def _regions(self, content: Tensor, size: Size, masks: Sequence[Tensor]) -> list[Region]:
        look = self.recipe.style
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
        kind = self.recipe.style.start
        if kind == "content":
            return None
        if kind == "noise":
            return lambda size: noise(size, self.recipe.seed)
        picture = self.cards[0].source.picture(0)
        return lambda size: resize(reduced_picture(picture, 4 * max(size), torch.device("cpu")), size).clamp(-1, 1)


def finish(styled: np.ndarray, content: np.ndarray, color_map: Map | None, recipe: Recipe, name: str) -> np.ndarray:
    """Return a picture after color and detail: float32 `[H, W, 3]` in [0, 1], or the input itself when nothing changes it.

    Args:
        styled: after the style step, uint8 or float in [0, 1].
        content: the picture before, of the same size: whose colors `keep` keeps.
        color_map: of the color step, or None.
        recipe: the look.
        name: of the picture, for its grain.
    """
    color, detail = recipe.color, recipe.detail
    keeps = color.mode == "keep" and color.strength > 0 and styled is not content
    changes = any((detail.boost, detail.unsharp, detail.grain, detail.canvas))
    if not keeps and not changes and color_map is None:
        return styled
    oklab = oklab_from_srgb(styled)
    if keeps:
        oklab = keep_colors(oklab, oklab_from_srgb(content), color.strength)
    if color_map is not None:
        oklab = color_map(oklab).astype(np.float32)
    if changes:
        oklab[..., 0] = refine_detail(np.ascontiguousarray(oklab[..., 0]), detail, recipe.seed, name)
    return srgb_from_oklab(oklab).astype(np.float32)


def refine(series: Series, recipe: Recipe, device: torch.device, on_progress: Listener = silent) -> list[np.ndarray]:
    """Return the refined pictures, uint8 `[H, W, 3]`, in order.

    One color map is fitted to the pooled series and applied to every picture, so that the differences between pictures
    stay. A picture that no step changes is returned as it came, bit for bit.
    """
    contents = [resized(picture, recipe.output.size_px) for picture in series.pictures]
    styled: list[np.ndarray] = list(contents)
    if recipe.styles and series.style is not None:
        for content, name in zip(contents, series.names, strict=True):
            check_size(content.shape[0], content.shape[1], name)
        stylist = Stylist(recipe, [source_of_picture("style", series.style)], [1.0], device)
        for index, content in enumerate(contents):
            styled[index] = stylist([content], on_iterate=reporter(on_progress, index, len(contents)))[0]
    samples = [
        samples_to_grade(sample_pixels(content), None if picture is content else sample_pixels(picture), recipe.color)
        for content, picture in zip(contents, styled, strict=True)
    ]
    palette = pool([sample_pixels(picture) for picture in series.palette]) if series.palette else None
    shared = fit_grade(pool(samples), palette, recipe.color, recipe.seed)
    results = []
    for index, (picture, name) in enumerate(zip(styled, series.names, strict=True)):
        color_map = map_for(samples[index], shared, palette, recipe)
        results.append(finish(picture, contents[index], color_map, recipe, name))
        on_progress(Progress("color and detail", index + 1, len(styled), "pictures"))
    return [result if result.dtype == np.uint8 else to_eight_bits(result, recipe.output.dither) for result in results]


def map_for(samples: np.ndarray, shared: Map | None, palette: np.ndarray | None, recipe: Recipe) -> Map | None:
    """Return a picture's color map: the series' own, that of the picture, or one between."""
    if shared is None or recipe.color.per_picture == 0:
        return shared
    return between(shared, fit_grade(samples, palette, recipe.color, recipe.seed), recipe.color.per_picture)


def reporter(on_progress: Listener, done: int, total: int, batch: int = 1) -> OnIterate:
    """Return what turns iterates into progress over a series."""

    def report(iterate: Iterate) -> None:
        note = f"{iterate.side_px} px, loss {iterate.loss:.4f}"
        on_progress(Progress("style", done + batch * iterate.share, total, "pictures", note))

    return report


def check_size(height: int, width: int, name: str) -> None:
    """Refuse a picture that is too small for style.

    Raises:
        DataError: its short side is under 32 px.
    """
    if min(height, width) < MIN_SIDE_PX:
        raise DataError(
            f"{name} is {width}x{height} px: style needs a short side of at least {MIN_SIDE_PX} px; use --engine none"
        )


def size_after(height: int, width: int, size_px: int | None) -> Size:
    """Return the size of a picture whose longer side is brought to `size_px`; None keeps it."""
    if size_px is None or max(height, width) == size_px:
        return height, width
    factor = size_px / max(height, width)
    return max(1, round(height * factor)), max(1, round(width * factor))


def resized(picture: np.ndarray, size_px: int | None) -> np.ndarray:
    """Scale a picture so that its longer side is `size_px`; without one it stays as it is."""
    height, width = picture.shape[:2]
    size = size_after(height, width, size_px)
    if size == (height, width):
        return picture
    scaled = resize(_tensor([picture], torch.device("cpu")), size)[0].clamp(-1, 1)
    return to_eight_bits(((scaled.permute(1, 2, 0) + 1) / 2).numpy(), dither=False)


def resize_mask(mask: Tensor, size: Size) -> Tensor:
    """Reduce a mask `[B, 1, H, W]` by area."""
    return mask if mask.shape[-2:] == size else torch.nn.functional.adaptive_avg_pool2d(mask, size)


def _stacked(masks: Sequence[Sequence[np.ndarray]], device: torch.device) -> list[Tensor]:
    """Return one `[B, 1, H, W]` for each style."""
    return [torch.from_numpy(np.stack(of_style))[:, None].to(device) for of_style in zip(*masks, strict=True)]


def _tensor(pictures: Sequence[np.ndarray], device: torch.device) -> Tensor:
    return to_float(torch.from_numpy(np.stack(pictures)).to(device))
