"""The studio's way into the refine room: which controls the page shows, and one picture through one recipe."""

from dataclasses import fields
from typing import Any

import numpy as np
import torch

from artgan import weights
from artgan.errors import DataError
from artgan.progress import Listener
from artgan.refine.pipeline import Series, refine
from artgan.refine.recipe import COLOR_MODES, DEFAULT_LAYERS, ENGINES, STARTS, Recipe, make_recipe

_SHOWN = (
    "strength",
    "color",
    "color_strength",
    "size_px",
    "iterations",
    "backbone",
    "start",
    "content_weight",
    "engine",
    "seed",
)
_CHOICES = {"engine": ENGINES, "start": STARTS, "color": COLOR_MODES}
_RANGES = {"strength": (0, 1), "color_strength": (0, 1)}
_LIMITS = {"iterations": 500, "size_px": 2048}


def controls() -> list[dict[str, Any]]:
    """Return the recipe's fields that a page shows: name, default, and choices or range."""
    shown = []
    defaults = {field.name: field.default for field in fields(Recipe)} | {"backbone": usable_backbones()[0], "color": "match"}
    for name in _SHOWN:
        choices = usable_backbones() if name == "backbone" else _CHOICES.get(name)
        default = None if name in ("content_weight", "size_px") else defaults[name]
        shown.append({"name": name, "default": default, "choices": choices, "range": _RANGES.get(name)})
    return shown


def recipe_from(values: Any) -> Recipe:
    """Check a recipe that came from a page.

    Raises:
        DataError: it is no object, or asks for more work than the studio does at once.
        ConfigError: a value is out of range or a name unknown.
    """
    if not isinstance(values, dict):
        raise DataError("recipe: expected an object")
    kinds: dict[str, type | tuple[type, ...]] = dict.fromkeys(_SHOWN, (int, float, type(None)))
    kinds |= dict.fromkeys((*_CHOICES, "backbone"), str) | dict.fromkeys(("iterations", "seed"), int)
    kinds["size_px"] = (int, type(None))
    for name, value in values.items():
        if name not in kinds or isinstance(value, bool) or not isinstance(value, kinds[name]):
            raise DataError(f"recipe.{str(name)[:40]}: unknown, or of the wrong type: {str(value)[:40]}")
        limit = _LIMITS.get(name)
        if limit is not None and isinstance(value, int) and value > limit:
            raise DataError(f"recipe.{name}: expected up to {limit} here, got {value}; the command line has no limit")
    return make_recipe(**values)


def refined(pictures: list[np.ndarray], style: np.ndarray | None, recipe: Recipe, listen: Listener) -> list[np.ndarray]:
    """Return the pictures refined as one series, uint8 `[H, W, 3]`.

    Raises:
        DataError: the recipe needs a style picture, and there is none.
    """
    if style is None and (recipe.engine != "none" or recipe.color == "match"):
        raise DataError("this look needs a style picture: choose one first, or set engine to none and color to none or keep")
    names = [f"picture {place + 1}" for place in range(len(pictures))]
    series = Series(pictures, names, style, [] if style is None else [style])
    return refine(series, recipe, torch.device("cpu"), listen)


def usable_backbones() -> list[str]:
    """Return the backbones that can be used without a download, the lightest first."""
    known = [name for name in ("squeezenet1_1", "vgg16", "vgg19") if name in DEFAULT_LAYERS and weights.find(name)]
    return [*known, "random"]
