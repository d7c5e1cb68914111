"""The sections of a run's configuration: every key with its type, bounds and default, and what it does."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from artgan.augment import AUGMENTATIONS
from artgan.backbones import BACKBONES, DEFAULT_FEATURES, check_features
from artgan.models import DISCRIMINATORS, GENERATORS
from artgan.objectives import OBJECTIVES
from artgan.objectives.terms import TERMS
from artgan.schema.reader import Section

Positive = Annotated[float, Field(gt=0)]
PositiveInt = Annotated[int, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Kimg = Annotated[float, Field(ge=0.001, le=1e9)]  # one image at least
Share = Annotated[float, Field(ge=0, le=1)]
Padding = Literal["mixed", "zeros"]
TermShare = Annotated[float, Field(gt=0, le=10)]


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
    padding: Padding | None = None
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
    """Shorter side at which the backbone sees pictures; by default theirs, and at least 128."""
    backbone_rate: Share | None = None
    """How fast the backbone's own weights change, as a share of the discriminator's learning rate; 0 keeps them as they came.
    By default 0.1 for `drawn` and 0 for all others."""
    backbone_kimg: NotNegative | None = None
    """Thousand images of a run for which the backbone's own weights change; then they stay as they are. By default 10."""

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
    terms: dict[str, TermShare] | None = Field(
        default=None,
        description="Terms of the generator's loss beside the adversarial one, by name, each with its share: its gradient at "
        f"the images is that many times as long as the adversarial one's. Names: {', '.join(f'`{name}`' for name in TERMS)}.",
    )
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
    max_disk_gb: Positive | None = None
    """What the run's folder may take, in GB of 10^9 bytes; by default no limit. Where more is to be written, older checkpoints
    and then every second sheet go first, and training ends where a checkpoint still does not fit."""
    freeze_stages: Annotated[int, Field(ge=0)] = 0
    """Stages of the discriminator, from the image side, that do not learn: for going on from another model (Freeze-D)."""
    patience: PositiveInt | None = None
    """Stop after this many evaluations in a row without a better KID; by default never."""
    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$", examples=["auto", "cpu", "cuda", "cuda:1"])] = "auto"
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
