"""A configuration in which nothing is open: what a run trains with, logs and keeps.

`artgan.training.resolve` makes one. Code that builds or trains takes this type, so that nothing asks a configuration for what
it may have left open. Keys and their order are those of `RunConfig`: both are written alike.
"""

from artgan.config.run_config import RunConfig
from artgan.config.sections import (
    ModelConfig,
    NotNegative,
    ObjectiveConfig,
    Padding,
    Positive,
    PositiveInt,
    Share,
    TermShare,
    TrainingConfig,
)


class ResolvedModel(ModelConfig):
    """The networks; a backbone, its input and its time stay None where the discriminator has none."""

    padding: Padding
    style_mixing: Share
    backbone_rate: Share


class ResolvedObjective(ObjectiveConfig):
    """The adversarial loss, its penalties, and the terms beside it."""

    r1_gamma: NotNegative
    r2_gamma: NotNegative
    penalty_every: PositiveInt
    terms: dict[str, TermShare]
    path_length_weight: NotNegative


class ResolvedTraining(TrainingConfig):
    """The loop; the device may be `auto`, since a run may go on elsewhere."""

    generator_lr: Positive
    discriminator_lr: Positive


class ResolvedConfig(RunConfig):
    """Everything that determines a run, besides the collection."""

    model: ResolvedModel
    objective: ResolvedObjective
    training: ResolvedTraining
