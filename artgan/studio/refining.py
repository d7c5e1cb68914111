"""The studio's way into the refine room: which controls the page shows, and one picture through one recipe."""

from typing import Any, Literal, get_args, get_origin

import numpy as np
import torch

from artgan import weights
from artgan.backbones import LIGHT_BACKBONES
from artgan.decode import Picture
from artgan.errors import DataError
from artgan.progress import Listener
from artgan.refine.in_memory import Series, refine
from artgan.refine.recipe import Recipe, load_recipe, shipped_looks, without_best_backbone

_SHOWN = (
    "style.strength",
    "color.mode",
    "color.strength",
    "output.size_px",
    "style.iterations",
    "style.backbone",
    "style.loss",
    "style.start",
    "style.content_weight",
    "style.engine",
    "color.contrast",
    "color.saturation",
    "detail.unsharp",
    "detail.boost",
    "seed",
)
_LIMITS = {"style.iterations": 500, "output.size_px": 2048}
_ENGINES = ("optimize", "none")  # a fitted network is a folder, and pages name no folders


def controls() -> list[dict[str, Any]]:
    """Return the recipe's fields that a page shows: name, default, and choices or range."""
    usable = usable_backbones()
    special: dict[str, dict[str, Any]] = {
        "style.backbone": {"default": usable[0], "choices": usable},
        "style.engine": {"default": "optimize", "choices": list(_ENGINES)},
        "color.mode": {"default": "match"},
    }
    return [{"name": name, **_control(name), **special.get(name, {})} for name in _SHOWN]


def sees_through() -> str:
    """Say which network the page's looks see through by default: the light one that this machine has."""
    chosen, best = usable_backbones()[0], LIGHT_BACKBONES[0]
    return f"style looks through {chosen}" if chosen == best else without_best_backbone(chosen, best)


def looks() -> list[dict[str, Any]]:
    """Return the looks that come with artgan: name, what they are for, and the values of the shown fields."""
    usable, found = usable_backbones(), []
    for name, path in shipped_looks().items():
        recipe = load_recipe(path)
        values = {shown: _value(recipe, shown) for shown in _SHOWN}
        if values["style.backbone"] not in usable:
            values |= {"style.backbone": usable[0], "style.content_weight": None}
        found.append({"name": name, "description": recipe.description, "values": values})
    return found


def recipe_from(values: Any) -> Recipe:
    """Check a recipe that came from a page: an object of dotted keys, `{"style.strength": 0.5}`, and perhaps a `look` by name.

    Raises:
        DataError: it is no object, or asks for more work than the studio does at once.
        ConfigError: a value is out of range.
    """
    if not isinstance(values, dict):
        raise DataError("recipe: expected an object")
    look, overrides = values.get("look"), {name: value for name, value in values.items() if name != "look"}
    if look is not None and (not isinstance(look, str) or look not in shipped_looks()):
        raise DataError(f"recipe.look: unknown: {str(look)[:40]}")
    for name, value in overrides.items():
        if name not in _SHOWN or isinstance(value, (dict, list)) or (name == "style.engine" and value not in _ENGINES):
            raise DataError(f"recipe.{str(name)[:40]}: unknown, or of the wrong type: {str(value)[:40]}")
        limit = _LIMITS.get(name)
        if limit is not None and isinstance(value, (int, float)) and value > limit:
            raise DataError(f"recipe.{name}: expected up to {limit} here, got {value}; the command line has no limit")
    given = {name: value for name, value in overrides.items() if value is not None}
    path = shipped_looks()[look] if look else None
    if path and given.get("style.backbone", load_recipe(path).style.backbone) != load_recipe(path).style.backbone:
        given |= {"style.style_layers": [], "style.content_layers": []}  # names of layers are those of one network
    return load_recipe(path, given)


def refined(pictures: list[np.ndarray], style: np.ndarray | None, recipe: Recipe, listen: Listener) -> list[np.ndarray]:
    """Return the pictures refined as one series, uint8 `[H, W, 3]`.

    Raises:
        DataError: the recipe needs a style picture, and there is none.
    """
    if style is None and (recipe.style.acts or recipe.color.mode == "match"):
        raise DataError("this look needs a style picture: choose one first, or set engine to none and colors to none or keep")
    names = [f"picture {place + 1}" for place in range(len(pictures))]
    series = Series(pictures, names, style, [] if style is None else [style])
    return refine(series, recipe, torch.device("cpu"), listen)


def losses_of(picture: Picture, width: int, height: int) -> list[str]:
    """Return what the studio's copy of an uploaded picture, of this size, lacks: one sentence a kind, to follow its name."""
    lost = {
        "has several pictures, of which one is used": any(note.startswith(("first of", "page ")) for note in picture.notes),
        "is transparent in part, which counts as white": "transparency composited on the matte" in picture.notes,
        "has more than 8 bits a channel, of which 8 are used": any(note.endswith("-bit scaled to 8") for note in picture.notes),
        f"is used at {width} x {height} pixels": max(picture.width, picture.height) > max(width, height),
    }
    return [sentence for sentence, is_so in lost.items() if is_so]


def usable_backbones() -> list[str]:
    """Return the backbones that can be used without a download, the light ones first."""
    return [*(name for name in (*LIGHT_BACKBONES, "vgg16", "vgg19") if weights.find(name)), "random"]


def _value(recipe: Recipe, name: str) -> Any:
    section, _, leaf = name.rpartition(".")
    return getattr(getattr(recipe, section) if section else recipe, leaf)


def _control(name: str) -> dict[str, Any]:
    section, _, leaf = name.rpartition(".")
    model: Any = Recipe.model_fields[section].annotation if section else Recipe
    field = model.model_fields[leaf]
    choices = list(get_args(field.annotation)) if get_origin(field.annotation) is Literal else None
    bounds = {kind: getattr(item, kind) for item in field.metadata for kind in ("ge", "le") if hasattr(item, kind)}
    is_share = field.annotation is float and {"ge", "le"} <= set(bounds)
    return {
        "default": field.default,
        "choices": choices,
        "range": [bounds["ge"], bounds["le"]] if is_share else None,
    }
