"""A series of pictures through style and color, one look for all."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from artgan.backbones.backbone import Backbone, load_backbone
from artgan.devices import place
from artgan.errors import DataError
from artgan.images import to_float
from artgan.progress import Listener, Progress, silent
from artgan.refine.color import apply_map, color_statistics, keep_colors, monge_kantorovich
from artgan.refine.optimize import MIN_SIDE_PX, Iterate, Settings, pad_by_replication, resize, stylize
from artgan.refine.recipe import Recipe

_MAX_BATCH_PIXELS = 4 * 256 * 256


@dataclass(frozen=True)
class Series:
    """Pictures to refine and what they are refined towards.

    Attributes:
        pictures: uint8 `[H, W, 3]` each, of any sizes.
        names: one for each, for messages.
        style: uint8 `[h, w, 3]`, or None without a style step.
        palette: uint8 pictures whose pooled colors are the target of `--color match`; the style picture by default.
    """

    pictures: Sequence[np.ndarray]
    names: Sequence[str]
    style: np.ndarray | None
    palette: Sequence[np.ndarray]


def refine(series: Series, recipe: Recipe, device: torch.device, on_progress: Listener = silent) -> list[np.ndarray]:
    """Return the refined pictures, uint8 `[H, W, 3]`, in order.

    One color map is fitted to the pooled series and applied to every picture, so that the differences between pictures
    stay. A picture that no step changes is returned as it came, bit for bit.
    """
    _check_sizes(series, recipe)
    styled = _style_step(series, recipe, device, on_progress)
    return _color_step(series, styled, recipe, on_progress)


def _style_step(series: Series, recipe: Recipe, device: torch.device, on_progress: Listener) -> list[np.ndarray]:
    if recipe.engine == "none" or recipe.strength == 0 or series.style is None:
        return [_resized(picture, recipe.size_px) for picture in series.pictures]
    backbone = place(load_backbone(recipe.backbone, [*recipe.style_layers, *recipe.content_layers]), device)
    assert isinstance(backbone, Backbone)
    pad_by_replication(backbone)
    settings = Settings(
        style_layers=recipe.style_layers,
        content_layers=recipe.content_layers,
        content_weight=recipe.content_weight,
        variation_weight=recipe.variation_weight,
        strength=recipe.strength,
        iterations=recipe.iterations,
        learning_rate=recipe.learning_rate,
        noise_seed=recipe.seed if recipe.start == "noise" else None,
    )
    style = _tensor([series.style], device)
    results: list[np.ndarray] = []
    for batch in _batches_of_equal_size([_resized(picture, recipe.size_px) for picture in series.pictures]):
        done = len(results)

        def report(iterate: Iterate, done: int = done, size: int = len(batch)) -> None:
            share = done + size * iterate.step / iterate.num_steps
            note = f"{iterate.side_px} px, loss {iterate.loss:.4f}"
            on_progress(Progress("style", share, len(series.pictures), "pictures", note))

        stylized = stylize(_tensor(batch, device), style, backbone, settings, report)
        results += [((image.permute(1, 2, 0) + 1) / 2).cpu().numpy() for image in stylized]
    return results


def _color_step(series: Series, styled: list[np.ndarray], recipe: Recipe, on_progress: Listener) -> list[np.ndarray]:
    if recipe.color == "none" or recipe.color_strength == 0:
        return [_to_uint8(picture) for picture in styled]
    floats = [_to_unit(picture) for picture in styled]
    if recipe.color == "match":
        target = color_statistics(_to_unit(picture) for picture in series.palette)
        color_map = monge_kantorovich(color_statistics(floats), target)
    results = []
    for index, picture in enumerate(floats):
        if recipe.color == "match":
            corrected = apply_map(picture, color_map, recipe.color_strength)
        else:
            content = _to_unit(_resized(series.pictures[index], recipe.size_px))
            corrected = keep_colors(picture, content, recipe.color_strength)
        results.append(_to_uint8(corrected))
        on_progress(Progress("color", index + 1, len(floats), "pictures"))
    return results


def _check_sizes(series: Series, recipe: Recipe) -> None:
    for picture, name in zip(series.pictures, series.names, strict=True):
        if recipe.engine != "none" and min(picture.shape[:2]) < MIN_SIDE_PX:
            height, width = picture.shape[:2]
            raise DataError(
                f"{name} is {width}x{height} px: style needs a short side of at least {MIN_SIDE_PX} px; use --engine none"
            )


def _resized(picture: np.ndarray, size_px: int | None) -> np.ndarray:
    """Scale a picture so that its longer side is `size_px`; without one it stays as it is."""
    height, width = picture.shape[:2]
    if size_px is None or max(height, width) == size_px:
        return picture
    factor = size_px / max(height, width)
    size = (max(1, round(height * factor)), max(1, round(width * factor)))
    resized = resize(_tensor([picture], torch.device("cpu")), size)[0].clamp(-1, 1)
    return _to_uint8(((resized.permute(1, 2, 0) + 1) / 2).numpy())


def _batches_of_equal_size(pictures: Sequence[np.ndarray]) -> Iterable[list[np.ndarray]]:
    """Group neighbours of one size, as many as fit into memory well."""
    batch: list[np.ndarray] = []
    for picture in pictures:
        limit = max(1, _MAX_BATCH_PIXELS // (picture.shape[0] * picture.shape[1]))
        if batch and (batch[0].shape != picture.shape or len(batch) >= limit):
            yield batch
            batch = []
        batch.append(picture)
    if batch:
        yield batch


def _tensor(pictures: Sequence[np.ndarray], device: torch.device) -> Tensor:
    return to_float(torch.from_numpy(np.stack(pictures)).to(device))


def _to_unit(picture: np.ndarray) -> np.ndarray:
    return picture.astype(np.float32) / 255 if picture.dtype == np.uint8 else picture


def _to_uint8(picture: np.ndarray) -> np.ndarray:
    if picture.dtype == np.uint8:
        return picture
    return np.rint(picture.clip(0, 1) * 255).astype(np.uint8)
