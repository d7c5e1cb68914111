"""The run configuration: one schema with every default, strict YAML, `--set key=value`, one error for all mistakes.

Nothing here imports torch: a wrong key is answered in a fraction of a second. Config stops at the front door of training;
networks take plain numbers.
"""

import copy
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from artgan.augment import AUGMENTATIONS
from artgan.backbones import BACKBONES, DEFAULT_FEATURES, FEATURE_SPACES
from artgan.errors import ConfigError
from artgan.models import DISCRIMINATORS, GENERATORS
from artgan.objectives import OBJECTIVES
from artgan.objectives.terms import TERMS
from artgan.strict_yaml import Document, parse_document, parse_scalar
from artgan.tables import nearest

Positive = Annotated[float, Field(gt=0)]
PositiveInt = Annotated[int, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Kimg = Annotated[float, Field(ge=0.001, le=1e9)]  # one image at least
Share = Annotated[float, Field(ge=0, le=1)]
# Former values of what has another default today: runs go on as they were, where a file lacks them or leaves them open.
FORMER_DEFAULTS: dict[str, Any] = {
    "augment.policies": ("color", "translation", "cutout"),
    "model.backbone": "squeezenet1_1",
    "model.padding": "zeros",
    "objective.terms": {},
}


def check_features(name: str) -> str:
    """Return `name` if it is a feature space: one of `artgan.backbones.FEATURE_SPACES`, `timm/NAME`, or `NETWORK:LAYER`.

    Raises:
        ConfigError: it is none.
    """
    network, _, layer = name.partition(":")
    is_network_layer = bool(layer) and network in BACKBONES and not network.endswith("/")
    if name not in FEATURE_SPACES and not is_network_layer and not re.fullmatch(r"timm/[\w.]+", name):
        known = ", ".join([*FEATURE_SPACES, "timm/NAME", "NETWORK:LAYER"])
        raise ConfigError(f"unknown features '{name}'{nearest(name, FEATURE_SPACES)}: choose one of {known}")
    return name


class Section(BaseModel):
    """A part of the configuration: immutable, strict in types, closed to unknown keys."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True, allow_inf_nan=False, validate_default=True
    )


class ModelConfig(Section):
    """The networks. Resolution and classes come from the collection."""

    generator: str = "fastgan"
    """Architecture of the generator."""
    discriminator: str = "projected"
    """Architecture of the discriminator; `projected` needs pretrained weights, `fastgan` needs none."""
    width: PositiveInt = 32
    """Feature channels of the generator at 128 px; the other sizes scale with it. The papers' widths: 64 for `fastgan`, 128
    for `stylegan2` (256 from 512 px on), 192 for `r3gan`."""
    discriminator_width: PositiveInt = 64
    """Feature channels in the discriminator's heads (`projected`) or at 128 px (all others)."""
    latent_dim: PositiveInt = 256
    """Width of the latents z and of the styles w."""
    mapping_layers: PositiveInt = 2
    """Layers from z to w; `r3gan` has none."""
    padding: Literal["mixed", "zeros"] | None = None
    """What the generator's convolutions see beyond the borders of their maps: zeros, which draw a frame
    around every picture, or by default for `fastgan` zeros up to 16 px and the map mirrored above."""
    style_mixing: Share | None = Field(
        default=None,
        description="Share of training images whose layers take the styles of two latents; by default "
        f"{GENERATORS.values_of('style_mixing')}.",
    )
    conditional: bool = False
    """Condition both networks on the collection's classes."""
    backbone: str | None = None
    """Feature network of the `projected` discriminator; by default `squeezenet1_1` where it is on this machine, or `drawn`."""
    backbone_input_px: PositiveInt | None = None
    """Shorter side at which the backbone sees pictures; by default theirs, and at least 128 (64 for `drawn`)."""

    @field_validator("generator")
    @classmethod
    def _known_generator(cls, name: str) -> str:
        return GENERATORS.check(name)

    @field_validator("discriminator")
    @classmethod
    def _known_discriminator(cls, name: str) -> str:
        return DISCRIMINATORS.check(name)

    @field_validator("backbone")
    @classmethod
    def _known_backbone(cls, name: str | None) -> str | None:
        return None if name is None else BACKBONES.check(name)


class ObjectiveConfig(Section):
    """The adversarial loss."""

    name: str = "hinge"
    """Which loss."""
    r1_gamma: NotNegative | None = None
    """Weight of the gradient penalty on real images. By default 0.0002 * height * width / batch where nothing in the
    discriminator bounds its slopes, or where the objective is paired; otherwise 0."""
    r2_gamma: NotNegative | None = None
    """The same on generated images; by default that of `r1_gamma` where the objective is paired, otherwise 0."""
    penalty_every: PositiveInt | None = Field(
        default=None,
        description="Steps from one gradient penalty to the next, which then weighs as many times more; by default "
        f"{OBJECTIVES.values_of('penalty_every')}.",
    )
    terms: dict[str, Annotated[float, Field(gt=0, le=10)]] | None = None
    """Terms of the generator's loss beside the adversarial one, by name, each with its share: its gradient at the images is
    that many times as long as the adversarial one's."""
    path_length_weight: NotNegative | None = Field(
        default=None,
        description="Weight of the path length penalty, taken every 4 steps on half the batch; by default "
        f"{GENERATORS.values_of('path_length_weight')}.",
    )

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        return OBJECTIVES.check(name)

    @field_validator("terms")
    @classmethod
    def _known_terms(cls, terms: dict[str, float] | None) -> dict[str, float] | None:
        if terms is None:
            return None
        for name in terms:
            TERMS.check(name)
        return dict(sorted(terms.items()))


class AugmentConfig(Section):
    """What the discriminator sees of each image, real or generated."""

    name: str = "diffaugment"
    """Which augmentation."""
    policies: tuple[Literal["color", "translation", "cutout"], ...] | None = None
    """Policies of `diffaugment`, in order; by default translation and cutout for `projected`, color before them for the others.
    """
    pipe: Literal["art", "bgc"] = "art"
    """Changes of `ada`: `art` spares orientation and palette, `bgc` is the paper's."""
    probability: Share | None = None
    """Probability of each change of `ada`; by default it follows the discriminator's overfitting."""
    max_probability: Share = 0.8
    """Where a probability that follows ends: changes that are nearly always there leak into the pictures."""
    horizontal_flip: bool = False
    """Mirror half of the real images; leave off where writing or handedness matters."""

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        return AUGMENTATIONS.check(name)


class TrainingConfig(Section):
    """The loop. Intervals count real images shown to the discriminator, in thousands (kimg)."""

    batch_size: PositiveInt = 16
    """Images per step, over all processes."""
    micro_batch: PositiveInt | None = None
    """Images that one process holds at a time; gradients add up to those of the batch. By default as many as fit."""
    total_kimg: Kimg = 1000.0
    """Where training ends."""
    generator_lr: Positive | None = Field(
        default=None, description=f"Adam's learning rate for the generator; by default {GENERATORS.values_of('learning_rate')}."
    )
    discriminator_lr: Positive | None = Field(
        default=None,
        description=f"Adam's learning rate for the discriminator; by default {DISCRIMINATORS.values_of('learning_rate')}.",
    )
    adam_betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (0.0, 0.99)
    """Adam's decay rates."""
    ema_halflife_kimg: Positive = 3.0
    """Half-life of the generator's moving average; it ramps up with 5 % of what was seen."""
    log_every_kimg: Kimg = 0.5
    """A console line, a line in metrics.jsonl and TensorBoard scalars."""
    sample_every_kimg: Kimg = 5.0
    """A sheet of samples; the first ones come sooner, at the start and at doubling distances from `log_every_kimg` on."""
    evaluate_every_kimg: Kimg = 20.0
    """Metrics against the collection; the best model is kept."""
    checkpoint_every_kimg: Kimg = 5.0
    """A checkpoint that resumes exactly."""
    keep_checkpoints: PositiveInt = 2
    """How many of the newest checkpoints stay."""
    freeze_stages: Annotated[int, Field(ge=0)] = 0
    """Stages of the discriminator, from the image side, that do not learn: for going on from another model (Freeze-D)."""
    patience: PositiveInt | None = None
    """Stop after this many evaluations in a row without a better KID; by default never."""
    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$")] = "auto"
    """`auto` takes a CUDA GPU when there is one."""
    precision: Literal["auto", "float32", "bfloat16", "float64"] = "auto"
    """Of the networks' arithmetic; weights, losses and optimizers stay float32. `auto` takes bfloat16 where it is fast;
    `float64` is everything in float64, for checks."""
    compile: bool = False
    """Compile the networks with torch.compile; the first steps then take minutes."""


class EvaluationConfig(Section):
    """The judge of training runs."""

    features: str = DEFAULT_FEATURES
    """Feature space: a layer of the 2015 Inception network, `dinov2-s14` and others of timm, `NETWORK:LAYER`, or `random`."""
    num_generated: Annotated[int, Field(ge=2)] = 1000
    """Samples per evaluation."""

    @field_validator("features")
    @classmethod
    def _known_features(cls, name: str) -> str:
        return check_features(name)


class RunConfig(Section):
    """Everything that determines a run, besides the collection."""

    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """All random numbers follow from it."""
    model: ModelConfig = ModelConfig()
    objective: ObjectiveConfig = ObjectiveConfig()
    augment: AugmentConfig = AugmentConfig()
    training: TrainingConfig = TrainingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()

    @model_validator(mode="after")
    def _intervals_meet(self) -> "RunConfig":
        """A sheet, a metric or a checkpoint must fall on a log point, where a breakdown would just have been noticed."""
        training = self.training
        for name in ("sample_every_kimg", "evaluate_every_kimg", "checkpoint_every_kimg"):
            if round(getattr(training, name) * 1000) % round(training.log_every_kimg * 1000):  # in images, as they are counted
                raise ValueError(
                    f"training.{name} = {getattr(training, name):g} must be a multiple of training.log_every_kimg = "
                    f"{training.log_every_kimg:g}"
                )
        return self

    @model_validator(mode="after")
    def _parts_go_together(self) -> "RunConfig":
        """Refuse what cannot work, with the reason, and all of it at once."""
        if problems := [reason for wrong, reason in _combinations(self) if wrong] + _without_effect(self):
            raise ValueError("; ".join(problems))
        return self


def _combinations(config: RunConfig) -> list[tuple[bool, str]]:
    model, objective, augment, training = config.model, config.objective, config.augment, config.training
    generator, discriminator = GENERATORS.row(model.generator), DISCRIMINATORS.row(model.discriminator)
    paired, follows = OBJECTIVES.row(objective.name).paired, AUGMENTATIONS.row(augment.name).follows
    multiple, micro = discriminator.batch_multiple, training.micro_batch or training.batch_size
    cut = micro < training.batch_size
    with_path_length = " or ".join(name for name, row in GENERATORS.items() if row.styled and row.separable)
    bounded = " or ".join(DISCRIMINATORS.where("bounded"))
    return [
        (
            bool(objective.path_length_weight) and not (generator.styled and generator.separable),
            f"objective.path_length_weight = {objective.path_length_weight} needs the {with_path_length} generator: "
            f"{model.generator} " + ("couples the images of a batch" if generator.styled else "has no styles by layer"),
        ),
        (
            model.padding not in (None, *generator.paddings),
            f"model.padding = '{model.padding}': the {model.generator} generator has {' or '.join(generator.paddings)}",
        ),
        (
            bool(model.style_mixing) and not generator.styled,
            f"model.style_mixing = {model.style_mixing}: the {model.generator} generator has one style for all; leave it out",
        ),
        (
            follows and augment.probability is None and paired,
            f"augment.name = '{augment.name}' follows the sign of logits, which means nothing under the {objective.name} "
            f"objective: set augment.probability, for example 0.3, or take diffaugment",
        ),
        (
            objective.r1_gamma == 0 and not discriminator.bounded,
            f"objective.r1_gamma = 0: nothing else holds the slopes of the {model.discriminator} discriminator; leave it out "
            f"for a weight by resolution and batch, or take {bounded}",
        ),
        (
            training.freeze_stages > 0 and not discriminator.freezable,
            f"training.freeze_stages = {training.freeze_stages}: the features of the {model.discriminator} discriminator are "
            f"frozen already; leave it out",
        ),
        *(
            (
                TERMS.row(name).backbone and not discriminator.backbone,
                f"objective.terms.{name} compares features of a pretrained network, and the {model.discriminator} "
                f"discriminator has none: take {' or '.join(DISCRIMINATORS.where('backbone'))}, or leave the term out",
            )
            for name in objective.terms or {}
        ),
        (
            micro > training.batch_size,
            f"training.micro_batch = {micro} is larger than training.batch_size = {training.batch_size}",
        ),
        (
            cut and (micro % multiple > 0 or training.batch_size % multiple > 0),
            f"training.micro_batch = {micro} cuts training.batch_size = {training.batch_size}: {model.discriminator} "
            f"discriminators judge {multiple} images together, so both must be multiples of {multiple}",
        ),
    ]


def _without_effect(config: RunConfig) -> list[str]:
    """Say of each value that was changed although nothing reads it; most often a line beside it is missing."""
    model, augment = config.model, config.augment
    backbone, options = DISCRIMINATORS.row(model.discriminator).backbone, AUGMENTATIONS.row(augment.name).options
    mapping = GENERATORS.row(model.generator).mapping
    read: list[tuple[Section, str, bool, str]] = [
        (model, "model.backbone", backbone, f"the {model.discriminator} discriminator has none"),
        (model, "model.backbone_input_px", backbone, f"the {model.discriminator} discriminator has no backbone"),
        (model, "model.mapping_layers", mapping, f"the {model.generator} generator has none"),
    ]
    reads = f"{augment.name} reads {', '.join(options)}"
    for option in dict.fromkeys(option for row in AUGMENTATIONS.values() for option in row.options):
        read.append((augment, f"augment.{option}", option in options, reads))
    problems = []
    for section, key, is_read, reason in read:
        name = key.partition(".")[2]
        value = getattr(section, name)
        if not is_read and value not in (type(section).model_fields[name].default, FORMER_DEFAULTS.get(key)):
            problems.append(f"{key} = {value} has no effect: {reason}; leave it out")
    return problems


def load_config(path: Path | None, overrides: Iterable[str] = ()) -> RunConfig:
    """Read a YAML file (None: all defaults) and apply `key=value` overrides.

    Raises:
        ConfigError: the file is missing, is not plain YAML, or some values are wrong; one message names all of them, each
            with file and line, dotted path, what was expected and what was got.
    """
    document = parse_document(path) if path else Document({}, {}, "")
    data, places = document.data, dict(document.places) | _put_overrides(document.data, overrides)
    return _validated(data, places, document.source)


def check_overrides(overrides: Iterable[str]) -> None:
    """Check each override by itself; whether it goes with the others is known only beside a whole configuration.

    Raises:
        ConfigError: some are wrong; one message names all of them.
    """
    data: dict[str, Any] = {}
    places = _put_overrides(data, overrides)
    try:
        RunConfig.model_validate_json(json.dumps(data))
    except ValidationError as failure:
        if lines := [_describe(error, places, "") for error in failure.errors() if error["loc"]]:
            raise ConfigError("\n".join(lines)) from None
    except (TypeError, ValueError) as error:
        raise ConfigError(f"--set: {error}") from None


def _put_overrides(data: dict[str, Any], overrides: Iterable[str]) -> dict[str, str]:
    """Put `key=value` texts into a document, and return where each key now comes from."""
    places = {}
    for override in overrides:
        key, separator, text = override.partition("=")
        if not separator or not key:
            raise ConfigError(f"--set {override}: expected key=value, for example --set training.batch_size=16")
        _set_leaf(data, key.strip().split("."), parse_scalar(text), override)
        places[key.strip()] = f"--set {override}"
    return places


def config_from_dict(data: Mapping[str, Any], source: str) -> RunConfig:
    """Check a configuration that artgan wrote itself, such as a checkpoint's; `source` names it in errors.

    What it lacks of `FORMER_DEFAULTS` is as it was.
    """
    whole = copy.deepcopy(dict(data))
    for key, value in FORMER_DEFAULTS.items():
        section, _, name = key.partition(".")
        if isinstance(whole.get(section), dict):
            whole[section].setdefault(name, value)
    return _validated(whole, {}, source)


def dump_config(config: RunConfig) -> str:
    """Return the whole resolved configuration as YAML."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)


def json_schema() -> str:
    """Return the JSON schema that editors complete and check from."""
    return json.dumps(RunConfig.model_json_schema(), indent=2)


def with_values(config: RunConfig, values: Mapping[str, Any]) -> RunConfig:
    """Return a copy with some leaves set, each by its dotted path."""
    data = config.model_dump(mode="json")
    for key, value in values.items():
        _set_leaf(data, key.split("."), value, key)
    return _validated(data, {}, "")


def _set_leaf(data: dict[str, Any], path: list[str], value: Any, where: str) -> None:
    for key in path[:-1]:
        child = data.setdefault(key, {})
        if not isinstance(child, dict):
            raise ConfigError(f"--set {where}: '{key}' is a value, not a section")
        data = child
    data[path[-1]] = value


def _validated(data: Mapping[str, Any], places: Mapping[str, str], source: str) -> RunConfig:
    try:
        return RunConfig.model_validate_json(json.dumps(data))
    except ValidationError as failure:
        lines = [_describe(error, places, source) for error in failure.errors()]
        raise ConfigError("\n".join(lines)) from None
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{source or 'config'}: {error}") from None


def _describe(error: Any, places: Mapping[str, str], source: str) -> str:
    path = ".".join(str(part) for part in error["loc"])
    parent = places.get(path) or places.get(path.rpartition(".")[0])
    where = f"{parent or source}: " if (parent or source) else ""
    if error["type"] == "extra_forbidden":
        section = _section_at([str(part) for part in error["loc"][:-1]])
        known = list(section.model_fields)
        return f"{where}unknown key '{path}'{nearest(str(error['loc'][-1]), known) or ': known are ' + ', '.join(known)}"
    if error["type"] == "value_error":
        message = str(error["ctx"]["error"]) if "ctx" in error else error["msg"]
        return f"{where}{path + ': ' if path else ''}{message}"
    reason = error["msg"][0].lower() + error["msg"][1:]
    return f"{where}{path} = {error['input']!r}: {reason}"


def _section_at(path: list[str]) -> type[BaseModel]:
    section: type[BaseModel] = RunConfig
    for name in path:
        annotation = section.model_fields[name].annotation
        assert isinstance(annotation, type)
        section = annotation
    return section
