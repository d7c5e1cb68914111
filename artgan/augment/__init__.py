"""Augmentations of what the discriminator sees, by name: modules that map images and uniforms to images."""

from dataclasses import dataclass

from artgan.tables import Row, Table


@dataclass(frozen=True, kw_only=True)
class AugmentationRow(Row):
    """What is known of an augmentation.

    Attributes:
        options: the keys of the configuration's `augment` section that it is built from, by the names of its arguments.
        follows: it can follow the signs of the discriminator's logits; it does where `augment.probability` is left open.
    """

    options: tuple[str, ...]
    follows: bool = False


AUGMENTATIONS = Table(
    "augmentation",
    {
        "ada": AugmentationRow("artgan.augment.ada:Ada", options=("pipe", "probability", "max_probability"), follows=True),
        "diffaugment": AugmentationRow("artgan.augment.diffaugment:DiffAugment", options=("policies",)),
    },
)
