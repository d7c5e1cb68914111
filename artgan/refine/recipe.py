"""A refine look as a value: what was asked for, checked, readable as YAML, and carried in every output.

A recipe is closed and versioned: an unknown key, a wrong type or a value out of range is an error with file and line.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, ValidationError, field_validator

from artgan.errors import ConfigError
from artgan.refine.steps.color import ColorLook
from artgan.refine.steps.detail import DetailLook
from artgan.refine.steps.enlarge import EnlargeLook, EnlargerFit
from artgan.refine.steps.step import MIN_SIDE_PX, Section, Size, Step, scaled_size
from artgan.refine.steps.style import StyleLook
from artgan.strict_yaml import Document, parse_document, parse_scalar, shipped_documents
from artgan.tables import nearest

_WITHOUT_FLAG = {
    "style.variation_weight",
    "style.learning_rate",
    "style.patience",
    "style.scale_ratio",
    "detail.unsharp_radius_px",
    "detail.boost_radius_px",
    "enlarge.tile_px",
    "output.dither",
}


class OutputLook(Section):
    """The files."""

    size_px: int | None = Field(default=None, ge=MIN_SIDE_PX, le=16384)
    """Longer side that pictures are brought to first; null: their own. Results are larger where the look enlarges."""
    format: Literal["png", "png16", "tiff16"] = "png"
    """8-bit PNG, or 16 bits a channel as PNG or TIFF."""
    dither: bool = True
    """Of 8-bit pictures that a step changed: no banding."""
    profile: Literal["srgb", "source"] = "srgb"
    """Color profile of the result: sRGB, or that of the source picture (8 bits)."""


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

    @field_validator("output")
    @classmethod
    def _holds_profile(cls, output: OutputLook) -> OutputLook:
        if output.profile == "source" and output.format != "png":
            raise ValueError(
                f"profile source is written with 8 bits, format {output.format} is not: choose png, or profile srgb"
            )
        return output

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


def load_recipe(path: Path | None, overrides: Mapping[str, Any] | None = None, *, backbone: str | None = None) -> Recipe:
    """Read a recipe (None: all defaults), apply `{dotted key: value}` overrides, and fill in the backbone's layers.

    Args:
        path: YAML.
        overrides: values that win over the file's.
        backbone: to use where neither names one; None for the schema's default.

    Raises:
        ConfigError: missing, not plain YAML, or wrong values; one message names all, with file and line.
    """
    document = parse_document(path) if path else Document({}, {}, "")
    if backbone is not None and isinstance(style := document.data.setdefault("style", {}), dict):
        style.setdefault("backbone", backbone)
    return _resolved(document, overrides or {})


def overrides_of(texts: Iterable[str]) -> dict[str, Any]:
    """Parse `key=value` texts, such as `style.patience=10`, for `load_recipe`.

    Raises:
        ConfigError: a text has no key or value.
    """
    values = {}
    for text in texts:
        key, separator, value = text.partition("=")
        if not separator or not key.strip():
            raise ConfigError(f"--set {text}: expected key=value, for example --set style.patience=10")
        values[key.strip()] = parse_scalar(value)
    return values


def shipped_looks() -> dict[str, Path]:
    """Return the recipes that come with artgan, by name."""
    return shipped_documents("refine")


def recipe_from_dict(data: Mapping[str, Any], source: str, overrides: Mapping[str, Any] | None = None) -> Recipe:
    """Check a recipe that came from elsewhere, such as a picture's metadata; `source` names it in errors."""
    return _resolved(Document(json.loads(json.dumps(dict(data))), {}, source), overrides or {})


def make_recipe(**overrides: Any) -> Recipe:
    """Return a recipe from `section__key=value` words, such as `style__strength=0.5`.

    Raises:
        ConfigError: a value is out of range or a name is unknown.
    """
    return load_recipe(None, {key.replace("__", "."): value for key, value in overrides.items()})


def _resolved(document: Document, overrides: Mapping[str, Any]) -> Recipe:
    data, places = document.data, dict(document.places)
    for key, value in overrides.items():
        section, _, leaf = key.rpartition(".")
        target = data.setdefault(section, {}) if section else data
        if not isinstance(target, dict):
            raise ConfigError(f"{places.get(section, document.source)}: '{section}' is a value, not a section")
        target[leaf] = value
        places[key] = _flag(key)
    try:
        recipe = Recipe.model_validate_json(json.dumps(data))
    except ValidationError as failure:
        lines = [_describe(error, places, document.source) for error in failure.errors()]
        raise ConfigError("\n".join(lines)) from None
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{document.source or 'recipe'}: {error}") from None
    return recipe.model_copy(update={name: value.resolved() for name, value in recipe if isinstance(value, Step)})


def _flag(key: str) -> str:
    """Return the flag of a key: `color.strength` is `--color-strength`, `style.patience` is `--set style.patience`."""
    if key in _WITHOUT_FLAG or key.startswith("enlarger."):
        return f"--set {key}"
    leaf = key.rpartition(".")[2]
    names = {
        "style.loss": "style-loss",
        "style.content": "content-loss",
        "style.tile_px": "tile",
        "color.mode": "color",
        "color.strength": "color-strength",
        "color.method": "color-method",
        "output.size_px": "size",
        "enlarge.factor": "enlarge",
        "enlarge.way": "enlarger",
    }
    return "--" + names.get(key, leaf).replace("_", "-")


def _describe(error: Any, places: Mapping[str, str], source: str) -> str:
    path = ".".join(str(part) for part in error["loc"])
    place = places.get(path) or places.get(path.rpartition(".")[0]) or source
    if place.startswith("--"):
        value = error["input"]
        reason = _reason(error)
        return f"{place} {value}{nearest(str(value), _choices(error))}: {reason}"
    where = f"{place}: " if place else ""
    if error["type"] == "extra_forbidden":
        section = _section_at(error["loc"][:-1])
        known = list(section.model_fields)
        return f"{where}unknown key '{path}'{nearest(str(error['loc'][-1]), known) or ': known are ' + ', '.join(known)}"
    return (
        f"{where}{path} = {error['input']!r}: {_reason(error)}"
        if error["type"] != "value_error"
        else f"{where}{_reason(error)}"
    )


def _choices(error: Any) -> list[str]:
    expected = error.get("ctx", {}).get("expected", "")
    return [word.strip(" '") for word in str(expected).replace(" or ", ",").split(",")] if "'" in str(expected) else []


def _reason(error: Any) -> str:
    choices = _choices(error)
    if choices:
        return f"expected one of {', '.join(choices)}"
    field = _field_at(error["loc"])
    bounds = {name: value for item in (field.metadata if field else []) for name, value in _bounds(item)}
    if bounds and error["type"] != "value_error":
        return f"expected {_in_words(bounds)}"
    if error["type"] == "value_error":
        return str(error["ctx"]["error"])
    return str(error["msg"][0].lower() + error["msg"][1:])


def _bounds(item: Any) -> list[tuple[str, float]]:
    return [(name, getattr(item, name)) for name in ("ge", "gt", "le", "lt") if getattr(item, name, None) is not None]


def _in_words(bounds: Mapping[str, float]) -> str:
    low, high = bounds.get("ge", bounds.get("gt")), bounds.get("le", bounds.get("lt"))
    if high is None:
        return f"a number of {low:g} or more"
    return f"a number from {low:g} to {high:g}" if high < 2**53 else "a whole number from 0 to 2^63 - 1"


def _section_at(path: Any) -> type[BaseModel]:
    section: type[BaseModel] = Recipe
    for name in path:
        annotation = section.model_fields[name].annotation
        assert isinstance(annotation, type)
        section = annotation
    return section


def _field_at(path: Any) -> Any:
    section: Any = Recipe
    for name in path[:-1]:
        field = getattr(section, "model_fields", {}).get(name)
        section = field.annotation if field else None
    return getattr(section, "model_fields", {}).get(path[-1]) if path else None
