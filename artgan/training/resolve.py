"""What a configuration leaves open, settled by the architectures, the collection and the batch: the run logs the result."""

from typing import Any

from artgan import weights
from artgan.augment import AUGMENTATIONS
from artgan.backbones import BACKBONES, LIGHT_BACKBONES
from artgan.config import FORMER_DEFAULTS, ResolvedConfig, RunConfig, with_values
from artgan.models import DISCRIMINATORS, GENERATORS
from artgan.objectives import OBJECTIVES
from artgan.schema.reader import read
from artgan.schema.strict_yaml import Document

_GAMMA = 0.0002
# Shorter side that the projected discriminator enlarges smaller pictures to. As in the paper they are only ever enlarged: it
# would not see, and so not punish, what reducing takes away.
_LEAST_INPUT_PX = 128
# Thousand images for which a backbone's weights learn: where those of `drawn` went on, a generator lost its range after 30.
_LEARNING_KIMG = 10.0


def default_gamma(height_px: int, width_px: int, batch_size: int) -> float:
    """Return 0.0002 * resolution^2 / batch (Karras et al. 2020, 2006.06676, appendix C), for a rectangle by its area."""
    return _GAMMA * height_px * width_px / batch_size


def resolve_config(config: RunConfig, height_px: int, width_px: int) -> ResolvedConfig:
    """Return the configuration with every value that was left open filled in; precision and device are others' to choose."""
    model, objective, training = config.model, config.objective, config.training
    generator, discriminator = GENERATORS.row(model.generator), DISCRIMINATORS.row(model.discriminator)
    loss = OBJECTIVES.row(objective.name)
    needed = loss.paired or not discriminator.bounded
    gamma = default_gamma(height_px, width_px, training.batch_size) if needed else 0.0
    r1_gamma = gamma if objective.r1_gamma is None else objective.r1_gamma
    backbone = (model.backbone or weights.first_found(LIGHT_BACKBONES)) if discriminator.backbone else None
    input_px = max(_LEAST_INPUT_PX, min(height_px, width_px)) if backbone else None
    policies = discriminator.policies if "policies" in AUGMENTATIONS.row(config.augment.name).options else None
    defaults: dict[str, tuple[Any, Any]] = {
        "augment.policies": (config.augment.policies, policies),
        "model.backbone": (model.backbone, backbone),
        "model.backbone_input_px": (model.backbone_input_px, input_px),
        "model.backbone_rate": (model.backbone_rate, BACKBONES.row(backbone).rate if backbone else 0.0),
        "model.backbone_kimg": (model.backbone_kimg, _LEARNING_KIMG if backbone else None),
        "model.padding": (model.padding, generator.paddings[0]),
        "model.style_mixing": (model.style_mixing, generator.style_mixing),
        "objective.r1_gamma": (objective.r1_gamma, gamma),
        "objective.r2_gamma": (objective.r2_gamma, r1_gamma if loss.paired else 0.0),
        "objective.penalty_every": (objective.penalty_every, loss.penalty_every),
        "objective.terms": (objective.terms, dict(discriminator.terms)),
        "objective.path_length_weight": (objective.path_length_weight, generator.path_length_weight),
        "training.generator_lr": (training.generator_lr, generator.learning_rate),
        "training.discriminator_lr": (training.discriminator_lr, discriminator.learning_rate),
    }
    settled = {key: value for key, (given, value) in defaults.items() if given is None}
    return read(ResolvedConfig, Document(config.model_dump(mode="json"), {}, ""), settled)


def left_open(config: RunConfig, run: RunConfig) -> RunConfig:
    """Return a configuration to go on with: of `FORMER_DEFAULTS` it takes the run's own values where it has none."""
    return with_values(config, {key: _leaf(run, key) for key in FORMER_DEFAULTS if _leaf(config, key) is None})


def _leaf(config: RunConfig, key: str) -> Any:
    section, _, name = key.partition(".")
    return getattr(getattr(config, section), name)
