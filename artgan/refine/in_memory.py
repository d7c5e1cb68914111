"""A series in memory: pictures in, refined pictures out, with nothing written."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from artgan.progress import Listener, Progress, silent
from artgan.refine.canvas import Source, resized, scaled_alpha
from artgan.refine.encode import to_eight_bits
from artgan.refine.grading import parse_palette, pool, sample_pixels
from artgan.refine.materials import Materials, check_materials, colors_of, style_source
from artgan.refine.recipe import Recipe
from artgan.refine.sequence import Passes, batches_of
from artgan.refine.steps.step import Size
from artgan.refine.store import MemoryStore
from artgan.refine.style_card import StyleSource, source_of_picture


@dataclass(frozen=True)
class Series:
    """Pictures to refine and what they are refined towards.

    Attributes:
        pictures: uint8 `[H, W, 3]` each, or `[H, W, 4]` with opacity, of any sizes.
        names: one for each, for messages and grain.
        style: uint8 `[h, w, 3]`, or None without a style step.
        palette: uint8 pictures whose pooled colors are the target of `match`; the style picture by default.
    """

    pictures: Sequence[np.ndarray]
    names: Sequence[str]
    style: np.ndarray | None
    palette: Sequence[np.ndarray]


@dataclass(frozen=True)
class _Held:
    """A picture in memory, as the sequence meets it."""

    key: str
    name: str
    held: Source
    start: None = None

    @property
    def size(self) -> Size:
        return self.held.pixels.shape[0], self.held.pixels.shape[1]

    def source(self) -> Source:
        return self.held

    def masks(self) -> list[np.ndarray]:
        return []


def refine(series: Series, recipe: Recipe, device: torch.device, on_progress: Listener = silent) -> list[np.ndarray]:
    """Return the refined pictures, uint8 `[H, W, 3]`, in order; those with opacity, `[H, W, 4]`, keep it.

    One color map is fitted to the pooled series and applied to every picture, so that the differences between pictures
    stay. A picture that no step changes is returned as it came, bit for bit.

    Raises:
        ConfigError: the recipe needs a style or a palette, and there is none.
        DataError: a picture is too small for style.
    """
    styles = [] if series.style is None else [source_of_picture("style", series.style)]
    palette = pool([sample_pixels(picture) for picture in series.palette]) if series.palette else None
    materials = Materials(styles, [1.0] * len(styles), palette=palette)
    check_materials(recipe, materials)
    return refine_pictures(series.pictures, series.names, recipe, materials, device, on_progress)


def refine_pictures(
    pictures: Sequence[np.ndarray],
    names: Sequence[str],
    recipe: Recipe,
    materials: Materials,
    device: torch.device,
    on_progress: Listener = silent,
) -> list[np.ndarray]:
    """Return pictures refined as one series, uint8 `[H, W, 3]`, in order; `materials` fit the recipe.

    Raises:
        DataError: a picture is too small for style.
    """
    named = zip(pictures, names, strict=True)
    originals = [
        _Held(str(place), name, _source(picture, recipe.output.size_px)) for place, (picture, name) in enumerate(named)
    ]
    for original in originals:
        for step in recipe.steps:
            step.check_size(original.size, original.name)
    passes = Passes(recipe, materials, str(device), MemoryStore())
    first = passes.first(on_progress, 0, len(originals))
    for batch in batches_of(originals, device):
        for reason in first(batch).values():
            raise MemoryError(reason)
    second, results = passes.second([original.key for original in originals]), []
    for original in originals:
        finished = second(original)
        pixels = finished.pixels
        eight = pixels if pixels.dtype == np.uint8 else to_eight_bits(pixels, recipe.output.dither)
        results.append(eight if finished.alpha is None else np.dstack([eight, finished.alpha]))
        on_progress(Progress("color and detail", len(results), len(originals), "pictures"))
    return results


def _source(picture: np.ndarray, size_px: int | None) -> Source:
    pixels = resized(np.ascontiguousarray(picture[..., :3]) if picture.shape[2] == 4 else picture, size_px)
    alpha = np.ascontiguousarray(picture[..., 3]) if picture.shape[2] == 4 else None
    return Source(pixels, scaled_alpha(alpha, (pixels.shape[0], pixels.shape[1])))


def materials_of(recipe: Recipe, style: np.ndarray | Path | None, palette: np.ndarray | Path | str | None) -> Materials:
    """Return what a look is applied with, from pictures in memory or from paths.

    Args:
        recipe: the look.
        style: uint8 `[h, w, 3]`, or the path of a picture, a folder of pictures or a collection.
        palette: likewise, or colors such as `#1b2a49,#d8c9a3`; the style's colors by default.

    Raises:
        ConfigError: the recipe needs a style or a palette, and there is none.
        DataError: a path cannot be read.
    """
    styles = [] if style is None else [_style(style)]
    colors = _colors(palette, styles) if recipe.color.mode == "match" else None
    materials = Materials(styles, [1.0] * len(styles), palette=colors)
    check_materials(recipe, materials)
    return materials


def _colors(palette: np.ndarray | Path | str | None, styles: Sequence[StyleSource]) -> np.ndarray | None:
    if isinstance(palette, str):
        return sample_pixels(parse_palette(palette))
    sources = styles if palette is None else [_style(palette)]
    return colors_of(sources) if sources else None


def _style(given: np.ndarray | Path) -> StyleSource:
    return style_source(given) if isinstance(given, Path) else source_of_picture("picture", given)
