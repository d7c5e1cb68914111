"""A refine look as a value: what was asked for, checked, readable as YAML, and carried in every output.

A recipe is closed and versioned: an unknown key, a wrong type or a value out of range is an error with file and line.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from artgan.backbones import BACKBONES
from artgan.errors import ConfigError
from artgan.strict_yaml import Document, parse_document, parse_scalar, shipped_documents
from artgan.tables import nearest

MIN_SIDE_PX = 32

_WITHOUT_FLAG = {
    "style.variation_weight",
    "style.learning_rate",
    "style.patience",
    "style.scale_ratio",
    "detail.unsharp_radius_px",
    "detail.boost_radius_px",
    "output.dither",
}

Unit = Annotated[float, Field(ge=0, le=1)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Section(BaseModel):
    """Strict and closed: a text is not a number, and an unknown key is an error."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class StyleLook(Section):
    """The style step."""

    engine: Literal["optimize", "feedforward", "none"] = "optimize"
    """`optimize` solves for each picture, `feedforward` applies a fitted network, `none` leaves style out."""
    strength: Unit = 1.0
    """How far from the picture's own style statistics to the style's: 0 is the input, 1 the full look."""
    backbone: str = "vgg19"
    """The feature network."""
    style_layers: tuple[str, ...] = ()
    """Empty: the backbone's own."""
    content_layers: tuple[str, ...] = ()
    """Empty: the backbone's own."""
    loss: Literal["moments", "gram", "wasserstein", "sliced"] = "moments"
    """How style is measured."""
    content: Literal["features", "self_similarity"] = "features"
    """What of the picture is kept: features where they are, or only how they relate to each other."""
    content_weight: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    """Beside a style weight of 1; null: the backbone's own."""
    variation_weight: Weight = 0.5
    """Of total variation, beside a style weight of 1; it scales with the strength."""
    optimizer: Literal["lbfgs", "adam"] = "lbfgs"
    """L-BFGS with a history for each picture, or Adam with averaged iterates, which takes several times the steps."""
    iterations: Annotated[int, Field(ge=1, le=100_000)] = 40
    """Steps at each scale."""
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.02
    """Of Adam, in units of the [0, 1] pixel range."""
    patience: Annotated[int, Field(ge=0, le=100_000)] = 0
    """Stop a picture at a scale when its loss fell by less than 1 % over so many steps; 0 never stops early."""
    scale_ratio: Annotated[float, Field(ge=1.2, le=4)] = 2.0
    """Between neighbouring scales: 2, or 1.4142 for finer steps."""
    style_scale: Annotated[float, Field(gt=0.05, le=8)] = 1.0
    """Size of the style's strokes, relative to the picture; the style picture is never enlarged."""
    pooling: Literal["max", "average"] = "max"
    """Average pooling gives smoother pictures (VGG alone)."""
    start: Literal["content", "style", "noise"] = "content"
    """What the optimisation starts from."""
    nearest: Annotated[int, Field(ge=0, le=1000)] = 0
    """With a collection as style: take the style of so many works nearest to each picture; 0 takes the whole collection."""
    tile_px: Annotated[int, Field(ge=0, le=8192)] = 0
    """Work in tiles of this side, for pictures over memory, with the statistics of the whole picture; 0: untiled."""


class ColorLook(Section):
    """The color step: keep, white balance, match, contrast, saturation, in that order."""

    mode: Literal["none", "keep", "match"] = "none"
    """`keep` the picture's own hue and chroma, or `match` a palette."""
    method: Literal["mkl", "reinhard", "sliced", "histogram"] = "mkl"
    """Of `match`: linear Monge-Kantorovich map, means and deviations, iterated 1-D transport, or lightness histogram."""
    strength: Unit = 1.0
    """Of `keep` and `match`."""
    per_picture: Unit = 0.0
    """0: one map for the whole series; 1: one for each picture; between: between."""
    white_balance: Unit = 0.0
    """Remove a color cast (shades of gray); in art the cast is often the style."""
    contrast: Unit = 0.0
    """Stretch lightness towards the full range."""
    saturation: Annotated[float, Field(ge=-1, le=1)] = 0.0
    """-1 gray, 0 as it is, 1 twice the chroma."""
    vibrance: Annotated[float, Field(ge=-1, le=1)] = 0.0
    """As saturation, for muted colors most."""


class DetailLook(Section):
    """The detail step, on lightness alone."""

    unsharp: Unit = 0.0
    """Sharpens edges; halos are cut."""
    unsharp_radius_px: Annotated[float, Field(ge=0.3, le=20)] = 1.2
    boost: Unit = 0.0
    """Guided-filter boost of texture; large edges stay."""
    boost_radius_px: Annotated[int, Field(ge=1, le=64)] = 6
    grain: Unit = 0.0
    """Seeded film grain."""
    canvas: Unit = 0.0
    """A woven canvas."""


class OutputLook(Section):
    """The files."""

    size_px: int | None = Field(default=None, ge=MIN_SIDE_PX, le=16384)
    """Longer side of the result; null: the picture's own."""
    format: Literal["png", "png16", "tiff16"] = "png"
    """8-bit PNG, or 16 bits a channel as PNG or TIFF."""
    dither: bool = True
    """Of 8-bit pictures that a step changed: no banding."""
    profile: Literal["srgb", "source"] = "srgb"
    """Color profile of the result: sRGB, or that of the source picture (8 bits)."""


class Recipe(Section):
    """A look."""

    version: Literal[1] = 1
    """Of this schema."""
    description: str = ""
    """For people."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Of all noise."""
    style: StyleLook = StyleLook()
    color: ColorLook = ColorLook()
    detail: DetailLook = DetailLook()
    output: OutputLook = OutputLook()

    @field_validator("output")
    @classmethod
    def _holds_profile(cls, output: OutputLook) -> OutputLook:
        if output.profile == "source" and output.format != "png":
            raise ValueError(
                f"profile source is written with 8 bits, format {output.format} is not: choose png, or profile srgb"
            )
        return output

    @field_validator("style")
    @classmethod
    def _fits(cls, style: StyleLook) -> StyleLook:
        additive = style.loss != "sliced" and style.content == "features"
        if style.tile_px and not additive:
            raise ValueError("tile_px needs the loss gram, moments or wasserstein and content: features, which are sums")
        if style.tile_px and style.tile_px < 128:
            raise ValueError(f"tile_px {style.tile_px}: expected 0 or 128 and more")
        return style

    def as_dict(self) -> dict[str, Any]:
        """Return the recipe as plain JSON values."""
        return self.model_dump(mode="json")

    def as_yaml(self) -> str:
        """Return the whole recipe as YAML."""
        return yaml.safe_dump(self.as_dict(), sort_keys=False)

    @property
    def styles(self) -> bool:
        """Whether the style step does anything."""
        return self.style.engine != "none" and self.style.strength > 0


def load_recipe(path: Path | None, overrides: Mapping[str, Any] | None = None) -> Recipe:
    """Read a recipe (None: all defaults), apply `{dotted key: value}` overrides, and fill in the backbone's layers.

    Raises:
        ConfigError: missing, not plain YAML, or wrong values; one message names all, with file and line.
    """
    return _resolved(parse_document(path) if path else Document({}, {}, ""), overrides or {})


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
    return recipe.model_copy(update={"style": _with_layers(recipe.style)})


def _flag(key: str) -> str:
    """Return the flag of a key: `color.strength` is `--color-strength`, `style.patience` is `--set style.patience`."""
    if key in _WITHOUT_FLAG:
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
    }
    return "--" + names.get(key, leaf).replace("_", "-")


def _with_layers(style: StyleLook) -> StyleLook:
    row = BACKBONES.row(style.backbone)
    if not row.style_layers and not (style.style_layers and style.content_layers):
        raise ConfigError(
            f"--backbone {style.backbone}: has no style layers of its own; name some with --style-layers and --content-layers, "
            f"or choose one of {', '.join(name for name, row in BACKBONES.items() if row.style_layers)}"
        )
    weight = row.content_weight if style.content_weight is None else style.content_weight
    layers = {
        "style_layers": style.style_layers or row.style_layers,
        "content_layers": style.content_layers or row.content_layers,
    }
    return style.model_copy(update={**layers, "content_weight": weight})


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
