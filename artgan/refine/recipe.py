"""A refine look as a value: what was asked for, checked, readable as YAML, and carried in every output.

A recipe is closed and versioned: an unknown key, a wrong type or a value out of range is an error with file and line.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from artgan import weights
from artgan.backbones import STYLE_BACKBONES
from artgan.refine.steps.color import ColorLook
from artgan.refine.steps.detail import DetailLook
from artgan.refine.steps.enlarge import EnlargeLook, EnlargerFit
from artgan.refine.steps.step import MIN_SIDE_PX, Size, Step, scaled_size
from artgan.refine.steps.style import StyleLook
from artgan.schema.reader import Section, parse_settings, read
from artgan.schema.strict_yaml import Document, find_document, parse_document, shipped_documents

_EXAMPLE = "style.patience=10"


class OutputLook(Section):
    """The files."""

    size_px: int | None = Field(default=None, ge=MIN_SIDE_PX, le=16384)
    """Longer side that pictures are brought to first; null: their own. Results are larger where the look enlarges."""
    format: Literal["png", "png16", "tiff16"] = "png"
    """8-bit PNG, or 16 bits a channel as PNG or TIFF."""
    dither: bool = True
    """Of 8-bit pictures that a step changed: no banding."""
    profile: Literal["srgb", "source"] = "srgb"
    """Color profile of the result: sRGB, or that of the source picture; with 16 bits this needs the `formats` extra."""


class Recipe(Section):
    """A look. Its steps are its fields of that kind, in this order."""

    version: Literal[1] = 1
    """Of this schema."""
    description: str = ""
    """For people."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Of all noise."""
    style: StyleLook = StyleLook()
    color: ColorLook = ColorLook()
    detail: DetailLook = DetailLook()
    enlarge: EnlargeLook = EnlargeLook()
    enlarger: EnlargerFit = EnlargerFit()
    output: OutputLook = OutputLook()

    def as_dict(self) -> dict[str, Any]:
        """Return the look as plain JSON values: what a picture depends on."""
        return self.model_dump(mode="json", exclude={"enlarger"})

    @property
    def steps(self) -> list[Step]:
        """All steps, in order, whether they act or not."""
        return [value for _, value in self if isinstance(value, Step)]

    def size_after(self, height: int, width: int) -> Size:
        """Return the (height, width) of the result of a picture of this size."""
        size = scaled_size(height, width, self.output.size_px)
        for step in self.steps:
            size = step.size_after(size) if step.acts else size
        return size


def load_recipe(
    path: Path | None,
    values: Mapping[str, Any] | None = None,
    typed: Mapping[str, str] | None = None,
    *,
    backbone: str | None = None,
) -> Recipe:
    """Read a recipe (None: all defaults), apply `{dotted key: value}`, and fill in the backbone's layers.

    Args:
        path: YAML.
        values: values that win over the file's.
        typed: how a person gave them, by dotted key: `--strength 0.5`; errors name them so.
        backbone: to use where neither names one; None for the schema's default.

    Raises:
        ConfigError: missing, not plain YAML, or wrong values; one message names all, with file and line.
    """
    document = _document(path)
    if backbone is not None and isinstance(style := document.data.setdefault("style", {}), dict):
        style.setdefault("backbone", backbone)
    return _resolved(document, values, typed)


def named_backbone(path: Path | None, values: Mapping[str, Any] | None = None) -> str:
    """Return the backbone that a recipe and `{dotted key: value}` name: a network, `light`, or the schema's default."""
    return read(Recipe, _document(path), values, None).style.backbone


def without_best_backbone(chosen: str, best: str = STYLE_BACKBONES[0]) -> str:
    """Say that style looks through another network than the best one, and how to get that."""
    through = f"{chosen}, which comes with artgan" if weights.ships(chosen) else chosen
    return f"style looks through {through}: {best}, better for style, is not on this machine (artgan weights fetch {best})"


def overrides_of(texts: Iterable[str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Parse `key=value` texts, such as `style.patience=10`: the values, and how they were typed, for `load_recipe`.

    Raises:
        ConfigError: a text has no key or value.
    """
    return parse_settings(texts, _EXAMPLE)


def shipped_looks() -> dict[str, Path]:
    """Return the recipes that come with artgan, by name."""
    return shipped_documents("refine")


def find_look(given: str | os.PathLike[str]) -> Path:
    """Return the file of a recipe, given as a path, or by name where it comes with artgan; see `find_document`."""
    return find_document(given, "refine")


def recipe_from_dict(
    data: Mapping[str, Any], source: str, values: Mapping[str, Any] | None = None, typed: Mapping[str, str] | None = None
) -> Recipe:
    """Check a recipe that came from elsewhere, such as a picture's metadata; `source` names it in errors."""
    return _resolved(Document(dict(data), {}, source), values, typed)


def make_recipe(**values: Any) -> Recipe:
    """Return a recipe from `section__key=value` words, such as `style__strength=0.5`.

    Raises:
        ConfigError: a value is out of range or a name is unknown.
    """
    return load_recipe(None, {key.replace("__", "."): value for key, value in values.items()})


def _document(path: Path | None) -> Document:
    return parse_document(path) if path else Document({}, {}, "")


def _resolved(document: Document, values: Mapping[str, Any] | None, typed: Mapping[str, str] | None) -> Recipe:
    recipe = read(Recipe, document, values, typed)
    return recipe.model_copy(update={name: value.resolved() for name, value in recipe if isinstance(value, Step)})
