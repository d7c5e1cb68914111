"""A refine look as a value: what was asked for, checked, and carried in every output."""

from dataclasses import asdict, dataclass
from typing import Any

from artgan.backbones import BACKBONES
from artgan.errors import ConfigError
from artgan.tables import check_name, nearest

ENGINES = ("optimize", "none")
STARTS = ("content", "noise")
COLOR_MODES = ("none", "keep", "match")
# Layers that give a good look by default. The backbones see fine strokes in the first layers, larger forms in the last.
DEFAULT_LAYERS = {
    "vgg19": (("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"), ("relu4_2",)),
    "vgg16": (("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"), ("relu4_2",)),
    "squeezenet1_1": (("relu1", "fire2", "fire4", "fire6", "fire9"), ("fire5",)),
    "random": (("stage1", "stage2", "stage3", "stage4", "stage5"), ("stage3",)),
}


# SqueezeNet's content layer says less about form than VGG's: at VGG's weight faces dissolve.
DEFAULT_CONTENT_WEIGHT = {"vgg19": 0.05, "vgg16": 0.05, "squeezenet1_1": 0.2, "random": 0.05}


@dataclass(frozen=True)
class Recipe:
    """A look.

    Attributes:
        engine: `optimize` transfers style; `none` leaves it out.
        strength: of the style, in [0, 1].
        backbone, style_layers, content_layers: the feature network and its layers.
        content_weight, variation_weight: beside a style weight of 1.
        start: what the optimisation starts from, `content` or `noise`.
        seed: of the noise.
        iterations: Adam steps at each scale.
        learning_rate: in units of the [0, 1] pixel range.
        size_px: longer side of the result, or None for the picture's own size.
        color: `none`, `keep` (the content's hue and chroma) or `match` (to a palette).
        color_strength: of the color step, in [0, 1].
    """

    engine: str = "optimize"
    strength: float = 1.0
    backbone: str = "vgg19"
    style_layers: tuple[str, ...] = ()
    content_layers: tuple[str, ...] = ()
    content_weight: float = 0.05
    variation_weight: float = 0.5
    start: str = "content"
    seed: int = 0
    iterations: int = 100
    learning_rate: float = 0.02
    size_px: int | None = None
    color: str = "none"
    color_strength: float = 1.0

    def as_dict(self) -> dict[str, Any]:
        """Return the recipe as plain JSON values."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}


def make_recipe(**values: Any) -> Recipe:
    """Check the values, fill in the backbone's own layers and content weight where they are not given, and return the recipe.

    Raises:
        ConfigError: a value is out of range or a name is unknown.
    """
    if values.get("content_weight") is None:
        values["content_weight"] = DEFAULT_CONTENT_WEIGHT.get(values.get("backbone", Recipe.backbone), Recipe.content_weight)
    recipe = Recipe(**values)
    _check_choice("--engine", recipe.engine, ENGINES)
    _check_choice("--start", recipe.start, STARTS)
    _check_choice("--color", recipe.color, COLOR_MODES)
    check_name(BACKBONES, recipe.backbone, "backbone")
    if recipe.backbone not in DEFAULT_LAYERS:
        raise ConfigError(f"--backbone {recipe.backbone}: has no style layers; choose one of {', '.join(DEFAULT_LAYERS)}")
    for name in ("strength", "color_strength"):
        if not 0 <= getattr(recipe, name) <= 1:
            raise ConfigError(f"--{name.replace('_', '-')} {getattr(recipe, name)}: expected a number from 0 to 1")
    for name in ("content_weight", "variation_weight", "learning_rate"):
        if not 0 <= getattr(recipe, name) < float("inf"):
            raise ConfigError(f"--{name.replace('_', '-')} {getattr(recipe, name)}: expected a number of 0 or more")
    if not 0 <= recipe.seed < 2**63:
        raise ConfigError(f"--seed {recipe.seed}: expected a whole number from 0 to 2^63 - 1")
    if recipe.iterations < 1:
        raise ConfigError(f"--iterations {recipe.iterations}: expected 1 or more")
    if recipe.size_px is not None and recipe.size_px < 32:
        raise ConfigError(f"--size {recipe.size_px}: expected 32 or more pixels")
    style, content = DEFAULT_LAYERS[recipe.backbone]
    layers = {"style_layers": recipe.style_layers or style, "content_layers": recipe.content_layers or content}
    return Recipe(**(asdict(recipe) | layers))


def _check_choice(option: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ConfigError(f"{option} {value}{nearest(value, choices)}: expected one of {', '.join(choices)}")
