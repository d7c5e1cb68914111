"""What a recipe is applied with: styles, masks, palette, network; whether they fit it, and who they are."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import artgan
from artgan.datasets.collection import is_collection, open_collection
from artgan.refine.encode import check_output
from artgan.refine.enlarging.folder import enlarger_sha256
from artgan.refine.feedforward import network_sha256
from artgan.refine.grading import parse_palette, pool, sample_pixels
from artgan.refine.recipe import Recipe
from artgan.refine.sources import mask_identity, style_of_array, style_of_files
from artgan.refine.style_card import StyleSource

_PALETTE_PICTURES = 500


@dataclass(frozen=True)
class Materials:
    """What a recipe is applied with.

    Attributes:
        styles, weights: the styles and how much each counts.
        masks: none, one, or one for each style; see `artgan.refine.sources.mask_for`.
        palette: Oklab samples `[N, 3]` for `match`, or None.
        palette_name: for the metadata.
        network: a fitted network's folder, for the engine `feedforward`.
        enlarger: a fitted enlarger's folder, for the enlarge step's way `network`.
    """

    styles: Sequence[StyleSource] = ()
    weights: Sequence[float] = ()
    masks: Sequence[Path] = ()
    palette: np.ndarray | None = None
    palette_name: str | None = None
    network: Path | None = None
    enlarger: Path | None = None


def gather_materials(
    recipe: Recipe,
    styles: Sequence[Path],
    weights: Sequence[float],
    masks: Sequence[Path] = (),
    palette: str = "",
    network: Path | None = None,
    enlarger: Path | None = None,
) -> Materials:
    """Read what a recipe is applied with.

    Args:
        recipe: the look.
        styles: pictures, folders of pictures or collections.
        weights: of the styles, as many.
        masks: pictures, or folders of them.
        palette: a picture, a folder, a collection, or colors such as `#1b2a49,#d8c9a3`; empty takes the styles' colors.
        network: a fitted network.
        enlarger: a fitted enlarger.

    Raises:
        DataError: something cannot be read.
        ConfigError: it does not fit the recipe.
    """
    sources = [style_source(path) for path in styles] if recipe.style.acts or recipe.color.mode == "match" else []
    colors = None
    if recipe.color.mode == "match" and (palette or sources):
        if palette.startswith("#"):
            colors = sample_pixels(parse_palette(palette))
        else:
            colors = colors_of([style_source(Path(palette))] if palette else sources)
    name = (palette if palette.startswith("#") else Path(palette).name) if palette else None
    materials = Materials(tuple(sources), tuple(weights), tuple(masks), colors, name, network, enlarger)
    check_materials(recipe, materials)
    return materials


def colors_of(sources: Sequence[StyleSource]) -> np.ndarray:
    """Return Oklab samples `[N, 3]` of the pictures of some sources: the palette of `match`."""
    return pool([sample_pixels(picture) for source in sources for picture in _some(source)])


def style_source(path: Path) -> StyleSource:
    """Return a picture, a folder of pictures or a collection as a style.

    Raises:
        DataError: it cannot be read.
    """
    if not is_collection(path):
        return style_of_files(path)
    collection = open_collection(path)
    return style_of_array(path.name, path / "images.npy", collection.train_rows.tolist(), collection.pixel_hash)


def _some(source: StyleSource) -> Iterator[np.ndarray]:
    step = max(1, -(-source.count // _PALETTE_PICTURES))
    return (source.picture(index) for index in range(0, source.count, step))


def check_materials(recipe: Recipe, materials: Materials) -> None:
    """Check that a recipe has what its steps need.

    Raises:
        ConfigError: it lacks a style, a palette, a network or a package, or masks and styles do not pair.
    """
    check_output(recipe.output.format, recipe.output.profile)
    for step in recipe.steps:
        step.check(materials)


def applied(recipe: Recipe, materials: Materials) -> dict[str, Any]:
    """Return what the metadata says about a look: enough to apply it again."""
    said: dict[str, Any] = {"recipe": recipe.as_dict()}
    if materials.styles:
        said["styles"] = [
            {"name": style.name, "sha256": style.sha256, "weight": weight}
            for style, weight in zip(materials.styles, materials.weights, strict=True)
        ]
    if materials.palette_name and materials.palette is not None:
        said["palette"] = materials.palette_name
        said["palette_sha256"] = hashlib.sha256(np.ascontiguousarray(materials.palette).tobytes()).hexdigest()
    if materials.network:
        said["network_sha256"] = network_sha256(materials.network)
    if materials.enlarger and recipe.enlarge.acts and recipe.enlarge.way == "network":
        said["enlarger_sha256"] = enlarger_sha256(materials.enlarger)
    if materials.masks:
        said["masks"] = [mask.name for mask in materials.masks]
    return said


def look_hash(recipe: Recipe, materials: Materials) -> str:
    """Return the identity of everything that a styled picture depends on, besides the picture."""
    parts: dict[str, Any] = {"style": None, "size_px": recipe.output.size_px, "version": artgan.__version__}
    if recipe.style.acts:
        parts |= {
            "style": recipe.style.model_dump(mode="json"),
            "seed": recipe.seed,
            "styles": [style.sha256 for style in materials.styles],
            "weights": list(materials.weights),
            "masks": [mask_identity(mask) for mask in materials.masks],
            "network": network_sha256(materials.network) if materials.network else None,
        }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
