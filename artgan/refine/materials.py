"""What a recipe is applied with: styles, masks, palette, network; whether they fit it, and who they are."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import artgan
from artgan.errors import ConfigError
from artgan.refine.feedforward import fitted_styles, network_sha256
from artgan.refine.recipe import Recipe
from artgan.refine.sources import mask_identity
from artgan.refine.style_card import StyleSource


@dataclass(frozen=True)
class Materials:
    """What a recipe is applied with.

    Attributes:
        styles, weights: the styles and how much each counts.
        masks: none, one, or one for each style; see `artgan.refine.sources.mask_for`.
        palette: Oklab samples `[N, 3]` for `match`, or None.
        palette_name: for the metadata.
        network: a fitted network's folder, for the engine `feedforward`.
    """

    styles: Sequence[StyleSource] = ()
    weights: Sequence[float] = ()
    masks: Sequence[Path] = ()
    palette: np.ndarray | None = None
    palette_name: str | None = None
    network: Path | None = None


def check_materials(recipe: Recipe, materials: Materials) -> None:
    """Check that a recipe has what it needs.

    Raises:
        ConfigError: it lacks a style, a palette or a network, or masks and styles do not pair.
    """
    look = recipe.style
    if recipe.styles and look.engine == "optimize" and not materials.styles:
        raise ConfigError("refine needs --style PICTURE|COLLECTION; for color and detail alone add --engine none")
    if recipe.styles and look.engine == "feedforward" and materials.network is None:
        raise ConfigError(
            "--engine feedforward needs --network FOLDER, made by: artgan refine SAMPLES --style PICTURE --fit FOLDER"
        )
    if recipe.color.mode == "match" and materials.palette is None:
        raise ConfigError("--color match needs --palette PICTURE|COLLECTION|COLORS, or --style to take the colors from")
    if recipe.styles and look.engine == "feedforward" and materials.network is not None:
        _check_network(materials.network, materials)
    if len(materials.masks) not in (0, 1, len(materials.styles)):
        raise ConfigError(
            f"{len(materials.masks)} masks and {len(materials.styles)} styles: give one mask, or one for each style"
        )
    if len(materials.masks) > 1 and len(set(materials.weights)) > 1:
        raise ConfigError("--style-weights with a mask for each style: the masks say how much each counts; leave one out")
    if materials.masks and look.loss == "sliced":
        raise ConfigError("--mask needs --style-loss gram, moments or wasserstein")
    if look.nearest and all(style.count == 1 for style in materials.styles):
        raise ConfigError("--nearest needs a collection or a folder as --style")


def _check_network(network: Path, materials: Materials) -> None:
    """Check that a fitted network paints the styles that are named, which its pictures are measured by."""
    if len(materials.masks) > 1:
        raise ConfigError("--engine feedforward takes one --mask: its network paints one look")
    fitted = fitted_styles(network)
    if materials.styles and [style.sha256 for style in materials.styles] != [sha256 for _, sha256 in fitted]:
        names = ", ".join(name for name, _ in fitted)
        raise ConfigError(f"--network {network}: was fitted to {names}; leave --style out, or give the same file")


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
    if materials.masks:
        said["masks"] = [mask.name for mask in materials.masks]
    return said


def look_hash(recipe: Recipe, materials: Materials) -> str:
    """Return the identity of everything that a styled picture depends on, besides the picture."""
    parts: dict[str, Any] = {"style": None, "size_px": recipe.output.size_px, "version": artgan.__version__}
    if recipe.styles:
        parts |= {
            "style": recipe.style.model_dump(mode="json"),
            "seed": recipe.seed,
            "styles": [style.sha256 for style in materials.styles],
            "weights": list(materials.weights),
            "masks": [mask_identity(mask) for mask in materials.masks],
            "network": network_sha256(materials.network) if materials.network else None,
        }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
