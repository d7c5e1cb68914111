"""Everything that a checkpoint holds: networks, their average, optimizers, and how far training is."""

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from artgan import seeding
from artgan.augment import AUGMENTATIONS
from artgan.augment.contract import Augmentation
from artgan.config import ResolvedConfig
from artgan.datasets.collection import Collection
from artgan.datasets.sampler import epoch_rows
from artgan.devices import place
from artgan.errors import CheckpointError, ConfigError
from artgan.images import to_float
from artgan.models import DISCRIMINATORS, GENERATORS
from artgan.models.contract import DiscriminatorNetwork, DiscriminatorSpec, GeneratorNetwork
from artgan.objectives.penalties import PathLength
from artgan.objectives.terms import TERMS
from artgan.objectives.terms.contract import GeneratorTerm
from artgan.storage import misfits

_OPTIMIZERS = ("optimizer_generator", "optimizer_discriminator")


@dataclass
class TrainState:
    """The whole state of a run; randomness needs no part of it, being a function of `images_seen`.

    Attributes:
        images_seen: real images shown to the discriminator, the one measure of progress.
        training_seconds: time spent in training steps, over all sessions of the run.
        learning_rate_factor: 1, halved by every return to a checkpoint after a breakdown.
        augment: what the discriminator sees images through, with its strength.
        path_length: the running mean of path lengths.
        terms: of the generator's loss, by name.
        image_size: height and width of the images, in pixels.
    """

    generator: GeneratorNetwork
    discriminator: DiscriminatorNetwork
    ema: GeneratorNetwork
    optimizer_generator: torch.optim.Optimizer
    optimizer_discriminator: torch.optim.Optimizer
    augment: Augmentation
    path_length: PathLength
    terms: nn.ModuleDict
    image_size: tuple[int, int]
    images_seen: int = 0
    training_seconds: float = 0.0
    learning_rate_factor: float = 1.0

    def parts(self) -> dict[str, nn.Module]:
        """Return everything that holds tensors, except the optimizers, by the name that a checkpoint gives it.

        The one list of state: checkpoints, undone steps and the forecasts of memory and disk all go by it.
        """
        return {
            "generator": self.generator,
            "discriminator": self.discriminator,
            "ema": self.ema,
            "augment": self.augment,
            "path_length": self.path_length,
            "terms": self.terms,
        }

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Return the optimizers, by the name that a checkpoint gives them."""
        return {name: getattr(self, name) for name in _OPTIMIZERS}

    def weights_sha256(self) -> dict[str, str]:
        """Return the identity of the pretrained weights that each part sees through, which no state dict holds."""
        found = {"discriminator": self.discriminator.weights_sha256}
        found |= {name: term.weights_sha256 for name, term in self.terms.items() if isinstance(term, GeneratorTerm)}
        return {name: sha256 for name, sha256 in found.items() if sha256 is not None}

    @property
    def dtype(self) -> torch.dtype:
        """Of weights, latents and draws: float32, or float64 for checks."""
        return next(self.generator.parameters()).dtype


def generator_arguments(config: ResolvedConfig, collection: Collection) -> dict[str, Any]:
    """Return the arguments that build the run's generator."""
    arguments = {
        "height_px": collection.height,
        "width_px": collection.width,
        "width": config.model.width,
        "latent_dim": config.model.latent_dim,
        "mapping_layers": config.model.mapping_layers,
        "num_classes": num_classes(config, collection),
    }
    choice = len(GENERATORS.row(config.model.generator).paddings) > 1
    return arguments | ({"padding": config.model.padding} if choice else {})


def num_classes(config: ResolvedConfig, collection: Collection) -> int:
    """Return the number of classes that the networks are conditioned on, 0 for none.

    Raises:
        ConfigError: conditioning is asked for on a collection without labels, or with a class that has no training picture.
    """
    if not config.model.conditional:
        return 0
    if not collection.classes:
        raise ConfigError(
            f"model.conditional = true, but the collection {collection.folder} has no classes: prepare it from one "
            f"sub-folder per class, or set model.conditional=false"
        )
    counts = np.bincount(collection.labels[collection.train_rows], minlength=len(collection.classes))
    if not counts.all():
        missing = [name for name, count in zip(collection.classes, counts, strict=True) if not count]
        raise ConfigError(
            f"model.conditional = true, but {collection.folder} has no training picture of class {', '.join(missing)}: prepare "
            f"it again with --holdout 0 or without that class, or set model.conditional=false"
        )
    return len(collection.classes)


def build_state(config: ResolvedConfig, collection: Collection, device: torch.device) -> TrainState:
    """Build the networks and optimizers of a new run; the initial weights follow from the seed.

    Args:
        config: of the run, made by `resolve_config`.
        collection: gives size, classes, and the pictures that a projected discriminator is calibrated on.
        device: where to.

    Raises:
        ConfigError: classes, stages or an input of the backbone that are not there.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeding.stream_key(config.seed, "init/generator") % 2**63)
        arguments = generator_arguments(config, collection)
        generator = GENERATORS.load(config.model.generator)(**arguments)
        torch.manual_seed(seeding.stream_key(config.seed, "init/discriminator") % 2**63)
        discriminator = _build_discriminator(config, collection)
        torch.manual_seed(seeding.stream_key(config.seed, "init/terms") % 2**63)
        terms = nn.ModuleDict({name: TERMS.load(name)(share) for name, share in sorted(config.objective.terms.items())})
    dtype = torch.float64 if config.training.precision == "float64" else torch.float32
    generator, discriminator = place(generator.to(dtype), device), place(discriminator.to(dtype), device)
    for term in terms.values():
        assert isinstance(term, GeneratorTerm)
        term.moving = discriminator.learns_features
        term.prepare(lambda images: discriminator.features(images.to(device, dtype)), training_pictures(config, collection))
    _freeze(discriminator, config)
    ema = copy.deepcopy(generator).eval().requires_grad_(False)
    training = config.training
    return TrainState(
        generator=generator,
        discriminator=discriminator.eval(),  # see `layers.step_power_iterations`
        ema=ema,
        optimizer_generator=_adam([generator, terms], training.generator_lr, training.adam_betas),
        optimizer_discriminator=_adam([discriminator], training.discriminator_lr, training.adam_betas),
        augment=build_augmentation(config).to(device, dtype),
        path_length=PathLength().to(device, dtype),
        terms=terms.to(device, dtype),
        image_size=(collection.height, collection.width),
    )


def build_augmentation(config: ResolvedConfig) -> Augmentation:
    """Build the augmentation of a new run."""
    row = AUGMENTATIONS.row(config.augment.name)
    return row.load()(**{option: getattr(config.augment, option) for option in row.options})


def training_pictures(config: ResolvedConfig, collection: Collection) -> Callable[[int], Tensor]:
    """Return a function that gives the first pictures of a run, so many or all, `[N, 3, H, W]` in [-1, 1]."""

    def pictures(count: int) -> Tensor:
        rows = epoch_rows(collection.train_rows, config.seed, 0, min(count, len(collection.train_rows)))
        return to_float(torch.from_numpy(collection.images[rows]))

    return pictures


def _build_discriminator(config: ResolvedConfig, collection: Collection) -> DiscriminatorNetwork:
    spec = DiscriminatorSpec(
        height_px=collection.height,
        width_px=collection.width,
        width=config.model.discriminator_width,
        num_classes=num_classes(config, collection),
        backbone=config.model.backbone,
        input_px=config.model.backbone_input_px,
        backbone_rate=config.model.backbone_rate if config.model.backbone_kimg else 0.0,
        pictures=training_pictures(config, collection),
    )
    return DISCRIMINATORS.load(config.model.discriminator).from_spec(spec)


def _freeze(discriminator: DiscriminatorNetwork, config: ResolvedConfig) -> None:
    stages, wanted = discriminator.stages(), config.training.freeze_stages
    if wanted > len(stages):
        raise ConfigError(
            f"training.freeze_stages = {wanted}: the {config.model.discriminator} discriminator has {len(stages)} stages "
            f"at this resolution; give at most so many"
        )
    for stage in stages[:wanted]:
        stage.requires_grad_(False)


def _adam(networks: Iterable[nn.Module], learning_rate: float, betas: tuple[float, float]) -> torch.optim.Optimizer:
    trained = [parameter for network in networks for parameter in network.parameters() if parameter.requires_grad]
    return torch.optim.Adam(trained, lr=learning_rate, betas=betas, eps=1e-8, fused=True)


def state_tensors(state: TrainState) -> dict[str, Tensor]:
    """Return every tensor of the state under a dotted name; frozen backbones are not part of it."""
    tensors: dict[str, Tensor] = {}
    for part, module in state.parts().items():
        tensors |= {f"{part}.{name}": tensor for name, tensor in module.state_dict().items()}
    for part, optimizer in state.optimizers().items():
        for index, moments in optimizer.state_dict()["state"].items():
            tensors |= {f"{part}.{index}.{name}": tensor for name, tensor in moments.items()}
    return tensors


def load_tensors(state: TrainState, tensors: Mapping[str, Tensor], source: str) -> None:
    """Put the tensors of a checkpoint into a state that was built from the same configuration.

    Raises:
        CheckpointError: a tensor is missing, unknown, or of another shape; the message names the first ones.
    """
    network_names = {
        f"{part}.{name}": tensor for part, module in state.parts().items() for name, tensor in module.state_dict().items()
    }
    moments = {name: tensor for name, tensor in tensors.items() if name.startswith("optimizer_")}
    problem = misfits(network_names, {name: tensor for name, tensor in tensors.items() if name not in moments})
    if problem:
        raise CheckpointError(f"{source} does not fit this configuration: {problem}")
    for name, target in network_names.items():
        target.copy_(tensors[name])
    for part, optimizer in state.optimizers().items():
        _load_moments(optimizer, part, moments, source)


def _load_moments(optimizer: torch.optim.Optimizer, part: str, moments: Mapping[str, Tensor], source: str) -> None:
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    per_parameter: dict[int, dict[str, Tensor]] = {}
    for name, tensor in moments.items():
        owner, place, moment = name.split(".")
        if owner == part:
            per_parameter.setdefault(int(place), {})[moment] = tensor
    if per_parameter and set(per_parameter) != set(range(len(parameters))):
        raise CheckpointError(f"{source}: {part} holds {len(per_parameter)} parameters, the networks have {len(parameters)}")
    for index, values in per_parameter.items():
        # Fused Adam walks memory, not indices: a moment must lie in memory as its parameter does.
        for moment, tensor in values.items():
            if tensor.shape == parameters[index].shape:
                values[moment] = torch.empty_like(parameters[index], requires_grad=False).copy_(tensor)
    content = optimizer.state_dict()
    content["state"] = per_parameter
    optimizer.load_state_dict(content)
