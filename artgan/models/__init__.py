"""Generators and discriminators, by name, each with all that a configuration must know of it.

A generator is built from `(height_px, width_px, width, latent_dim, mapping_layers, num_classes)` and maps latents to images. A
discriminator is built by `from_spec` (`models.contract`) and splits into `features(images)`, `logits(features, labels)` and
`auxiliary_loss(features, images)`, so that a step can keep features that need no gradient.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from artgan.tables import Row, Table


@dataclass(frozen=True, kw_only=True)
class GeneratorRow(Row):
    """What is known of a generator.

    Attributes:
        learning_rate: Adam's, where the configuration leaves it open.
        styled: layers take styles of their own, so that two latents can be mixed and a path length means something.
        separable: an image's gradient involves no other image of the batch.
        mapping: it has layers from z to w, as many as configured.
        paddings: what its convolutions may see beyond the borders of their maps; the first is the default. With more than one
            its constructor takes a `padding`, and has zeros where none is given.
        style_mixing: share of images whose layers take the styles of two latents, where the configuration leaves it open.
        path_length_weight: of that penalty, where the configuration leaves it open.
    """

    learning_rate: float
    styled: bool
    separable: bool
    mapping: bool
    paddings: tuple[str, ...]
    style_mixing: float = 0.0
    path_length_weight: float = 0.0


@dataclass(frozen=True, kw_only=True)
class DiscriminatorRow(Row):
    """What is known of a discriminator.

    Attributes:
        learning_rate: Adam's, where the configuration leaves it open.
        batch_multiple: pieces of a batch, over steps or processes, are multiples of it.
        bounded: something within the network holds its slopes; otherwise a gradient penalty must.
        freezable: stages from the image side can be frozen for transfer.
        policies: of `diffaugment`, where the configuration leaves them open.
        terms: of the generator's loss beside the adversarial one with their shares, where the configuration leaves them open.
        backbone: it sees pictures through a pretrained network.
    """

    learning_rate: float
    batch_multiple: int
    bounded: bool
    freezable: bool
    policies: tuple[str, ...] = ("color", "translation", "cutout")
    terms: Mapping[str, float] = field(default_factory=dict)
    backbone: bool = False


GENERATORS = Table(
    "generator",
    {
        "fastgan": GeneratorRow(
            "artgan.models.fastgan_generator:Generator",
            learning_rate=4e-4,
            styled=True,
            separable=False,
            mapping=True,
            paddings=("mixed", "zeros"),
        ),
        "r3gan": GeneratorRow(
            "artgan.models.r3gan_generator:Generator",
            learning_rate=2e-4,
            styled=False,
            separable=True,
            mapping=False,
            paddings=("zeros",),
        ),
        "stylegan2": GeneratorRow(
            "artgan.models.stylegan2_generator:Generator",
            learning_rate=2.5e-3,
            styled=True,
            separable=True,
            mapping=True,
            paddings=("zeros",),
            style_mixing=0.9,
            path_length_weight=2.0,
        ),
    },
)

DISCRIMINATORS = Table(
    "discriminator",
    {
        "fastgan": DiscriminatorRow(
            "artgan.models.fastgan_discriminator:Discriminator",
            learning_rate=4e-4,
            batch_multiple=4,
            bounded=True,
            freezable=True,
        ),
        "projected": DiscriminatorRow(
            "artgan.models.projected:Discriminator",
            learning_rate=4e-4,
            batch_multiple=1,
            bounded=True,
            freezable=False,
            policies=("translation", "cutout"),  # under changes of color a generator settles on one ground for all pictures
            terms={"transport": 0.3},
            backbone=True,
        ),
        "r3gan": DiscriminatorRow(
            "artgan.models.r3gan_discriminator:Discriminator",
            learning_rate=2e-4,
            batch_multiple=1,
            bounded=False,
            freezable=True,
        ),
        "stylegan2": DiscriminatorRow(
            "artgan.models.stylegan2_discriminator:Discriminator",
            learning_rate=2.5e-3,
            batch_multiple=4,
            bounded=False,
            freezable=True,
        ),
    },
)
