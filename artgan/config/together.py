"""Which parts of a run go together: what cannot work, and what has no effect, with the reason and the way out."""

from collections.abc import Iterator
from typing import Any

from artgan.augment import AUGMENTATIONS
from artgan.config.sections import AugmentConfig, ModelConfig, ObjectiveConfig, TrainingConfig
from artgan.models import DISCRIMINATORS, GENERATORS
from artgan.objectives import OBJECTIVES
from artgan.objectives.terms import TERMS
from artgan.schema.reader import Section

# Former values of what has another default today: runs go on as they were, where a file lacks them or leaves them open.
FORMER_DEFAULTS: dict[str, Any] = {
    "augment.policies": ("color", "translation", "cutout"),
    "model.backbone": "squeezenet1_1",
    "model.backbone_input_px": None,  # no file lacks it; for `drawn` it was 64
    "model.backbone_kimg": 1e9,  # the weights of `drawn` learnt as long as a run
    "model.backbone_rate": 0.0,
    "model.padding": "zeros",
    "objective.terms": {},
}


def problems(model: ModelConfig, objective: ObjectiveConfig, augment: AugmentConfig, training: TrainingConfig) -> list[str]:
    """Return a sentence for each thing that cannot work, or that nothing reads."""
    return [*_impossible(model, objective, augment, training), *_without_effect(model, augment)]


def _impossible(
    model: ModelConfig, objective: ObjectiveConfig, augment: AugmentConfig, training: TrainingConfig
) -> Iterator[str]:
    generator, discriminator = GENERATORS.row(model.generator), DISCRIMINATORS.row(model.discriminator)
    if objective.path_length_weight and not (generator.styled and generator.separable):
        able = " or ".join(name for name, row in GENERATORS.items() if row.styled and row.separable)
        lacks = "couples the images of a batch" if generator.styled else "has no styles by layer"
        yield (
            f"objective.path_length_weight = {objective.path_length_weight} needs the {able} generator: {model.generator} "
            f"{lacks}"
        )
    if model.padding not in (None, *generator.paddings):
        yield f"model.padding = '{model.padding}': the {model.generator} generator has {' or '.join(generator.paddings)}"
    if model.style_mixing and not generator.styled:
        yield f"model.style_mixing = {model.style_mixing}: the {model.generator} generator has one style for all; leave it out"
    if AUGMENTATIONS.row(augment.name).follows and augment.probability is None and OBJECTIVES.row(objective.name).paired:
        yield (
            f"augment.name = '{augment.name}' follows the sign of logits, which means nothing under the {objective.name} "
            f"objective: set augment.probability, for example 0.3, or take diffaugment"
        )
    if objective.r1_gamma == 0 and not discriminator.bounded:
        yield (
            f"objective.r1_gamma = 0: nothing else holds the slopes of the {model.discriminator} discriminator; leave it out "
            f"for a weight by resolution and batch, or take {' or '.join(DISCRIMINATORS.where('bounded'))}"
        )
    if training.freeze_stages > 0 and not discriminator.freezable:
        yield (
            f"training.freeze_stages = {training.freeze_stages}: the {model.discriminator} discriminator has no stages to "
            f"freeze; leave it out"
        )
    for name in objective.terms or {}:
        if TERMS.row(name).backbone and not discriminator.backbone:
            yield (
                f"objective.terms.{name} compares features of a pretrained network, and the {model.discriminator} "
                f"discriminator has none: take {' or '.join(DISCRIMINATORS.where('backbone'))}, or leave the term out"
            )
    yield from _uneven_pieces(model.discriminator, discriminator.batch_multiple, training)


def _uneven_pieces(discriminator: str, multiple: int, training: TrainingConfig) -> Iterator[str]:
    batch, micro = training.batch_size, training.micro_batch or training.batch_size
    if micro > batch:
        yield f"training.micro_batch = {micro} is larger than training.batch_size = {batch}"
    if micro < batch and (micro % multiple or batch % multiple):
        yield (
            f"training.micro_batch = {micro} cuts training.batch_size = {batch}: {discriminator} discriminators judge "
            f"{multiple} images together, so both must be multiples of {multiple}"
        )


def _without_effect(model: ModelConfig, augment: AugmentConfig) -> list[str]:
    """Say of each value that was changed although nothing reads it; most often a line beside it is missing."""
    backbone, options = DISCRIMINATORS.row(model.discriminator).backbone, AUGMENTATIONS.row(augment.name).options
    mapping = GENERATORS.row(model.generator).mapping
    read: list[tuple[Section, str, bool, str]] = [
        (model, "model.backbone", backbone, f"the {model.discriminator} discriminator has none"),
        (model, "model.backbone_input_px", backbone, f"the {model.discriminator} discriminator has no backbone"),
        (model, "model.backbone_rate", backbone, f"the {model.discriminator} discriminator has no backbone"),
        (model, "model.backbone_kimg", backbone, f"the {model.discriminator} discriminator has no backbone"),
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
