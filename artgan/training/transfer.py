"""Starting from another model: tensors of the same name and shape are taken over, the rest is named.

A run at twice or more the resolution grows the generator: the new stages start as if they were not there (Karras et al. 2018,
1710.10196, fade them in; here nothing is blended, since the architectures let a stage pass colors alone).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from artgan.errors import ConfigError
from artgan.generation.model_folder import Model, load_model
from artgan.models.base_grid import base_grid
from artgan.models.contract import DiscriminatorNetwork
from artgan.storage import misfits
from artgan.training.checkpoint import Checkpoint, is_checkpoint, load_checkpoint, load_newest
from artgan.training.session import CHECKPOINTS, Session

_NAMED = 4
# A projected discriminator's statistics of features: of the other collection's pictures.
_OF_THE_COLLECTION = "standardize."
# Weights that hold something for each class, by the end of their names, and along which axis.
_CLASS_AXES = {"embedding.weight": 0, "embed.weight": 1}


@dataclass(frozen=True)
class Growth:
    """A generator that got new stages: height and width of the pictures before and after."""

    from_px: tuple[int, int]
    to_px: tuple[int, int]

    def __str__(self) -> str:
        before, after = (f"{width}x{height}" for height, width in (self.from_px, self.to_px))
        return f" grown from {before} to {after} px, new stages passing on colors alone at first"


@dataclass(frozen=True)
class Transfer:
    """How much of one network came from elsewhere: names of tensors that were taken, and of those that were not."""

    network: str
    taken: tuple[str, ...]
    left: tuple[str, ...]
    growth: Growth | None = None

    def __str__(self) -> str:
        rest = f"; starting anew: {len(self.left)}, " + ", ".join(self.left[:_NAMED]) if self.left else ""
        more = ", ..." if len(self.left) > _NAMED else ""
        count = f"{len(self.taken)} of {len(self.taken) + len(self.left)} tensors taken over"
        return f"{self.network}{self.growth or ''}: {count}{rest}{more}"

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values, for the run's lineage."""
        grown = {"grown": {"from_px": self.growth.from_px, "to_px": self.growth.to_px}} if self.growth else {}
        return {"taken": self.taken, "left": self.left, **grown}


def start_from(session: Session, source: Path) -> list[Transfer]:
    """Put another model's tensors into a new session's networks.

    A model gives the generator; a run also gives the discriminator of its newest checkpoint, and a checkpoint that and its own
    generator's average, where both discriminators see through the same pretrained weights, if any. Resolution and classes may
    differ: what does not fit keeps its fresh start, and so do the statistics of the collection's features. What was learned of
    a class goes to the class of that name.

    Raises:
        CheckpointError: the model is damaged or missing.
        ConfigError: it is of another architecture or width, or its pictures are larger or not 1/2, 1/4, ... as large.
    """
    model, checkpoint = _read(source)
    state, wanted = session.state, session.config.model
    small = model.generator.to(next(state.generator.parameters()))
    grown = _check_fit(session, source, model)
    classes = session.collection.classes if wanted.conditional else (), model.card.classes
    tensors = small.state_dict()
    if grown:  # what follows the new stages is theirs, even where its shape would fit
        doublings = base_grid(*_sides_of(model))[2]
        tensors = {name: x for name, x in tensors.items() if (state.generator.level_of(name) or 0) <= doublings}
    generator = _take(state.generator, tensors, "generator", classes)
    if grown:
        state.generator.grow_from(small)
        generator = replace(generator, growth=Growth(_sides_of(model), state.image_size))
    state.ema.load_state_dict(state.generator.state_dict())
    found = [generator]
    if checkpoint and checkpoint.info["config"]["model"]["discriminator"] == wanted.discriminator:
        theirs = _discriminator_of(checkpoint, state.discriminator)
        found.append(_take(state.discriminator, theirs, "discriminator", classes))
    return found


def _read(source: Path) -> tuple[Model, Checkpoint | None]:
    """Return a generator with its card, and the checkpoint that a discriminator can be taken from."""
    if not is_checkpoint(source):
        model = load_model(source)
        return model, load_newest(source / CHECKPOINTS) if (source / CHECKPOINTS).is_dir() else None
    checkpoint, model = load_checkpoint(source), load_model(source.parent.parent)
    average = {name.removeprefix("ema."): x for name, x in checkpoint.tensors.items() if name.startswith("ema.")}
    if problem := misfits(model.generator.state_dict(), average):
        raise ConfigError(f"--init {source}: does not fit the model of its run: {problem}")
    model.generator.load_state_dict(average)
    return model, checkpoint


def _check_fit(session: Session, source: Path, model: Model) -> int:
    """Return how many stages the generator gets beyond all those of the model; none where only some of those fit.

    Raises:
        ConfigError: nothing good could come of taking it over.
    """
    wanted, theirs, leave = session.config.model, model.card.arguments, "or leave --init out"
    if model.card.architecture != wanted.generator:
        raise ConfigError(
            f"--init {source} is a {model.card.architecture} generator, this run has model.generator = '{wanted.generator}': "
            f"set model.generator={model.card.architecture}, {leave}"
        )
    for key in ("width", "latent_dim"):
        if theirs[key] != (ours := getattr(wanted, key)):
            raise ConfigError(
                f"--init {source} has model.{key} = {theirs[key]}, this run {ours}, so that its tensors do not fit: "
                f"set model.{key}={theirs[key]}, {leave}"
            )
    sides, ours = _sides_of(model), session.state.image_size
    (*grid, doublings), (*our_grid, our_doublings) = base_grid(*sides), base_grid(*ours)
    grown = our_doublings - doublings
    if grown < 0 or min(grid) != min(our_grid):
        short = min(sides)
        raise ConfigError(
            f"--init {source} makes {sides[1]}x{sides[0]} px, this run {ours[1]}x{ours[0]}: a generator can stay at its size "
            f"or grow to 2, 4, ... times that; prepare works at a shorter side of {short}, {2 * short}, ... px, {leave}"
        )
    return grown if grid == our_grid else 0


def _sides_of(model: Model) -> tuple[int, int]:
    return int(model.card.arguments["height_px"]), int(model.card.arguments["width_px"])


def _discriminator_of(checkpoint: Checkpoint, ours: DiscriminatorNetwork) -> dict[str, Tensor]:
    """Return what a checkpoint's discriminator has for ours: nothing where it learned to read other pretrained features."""
    if checkpoint.info.get("weights_sha256") != ours.weights_sha256:
        return {}
    prefix = "discriminator."
    stored = {name.removeprefix(prefix): x for name, x in checkpoint.tensors.items() if name.startswith(prefix)}
    return {name: x for name, x in stored.items() if not name.startswith(_OF_THE_COLLECTION)}


def check_frozen(session: Session, transfers: Sequence[Transfer]) -> None:
    """Refuse to keep stages of a new run's discriminator as they are that no other model gave.

    Raises:
        ConfigError: with the first of them.
    """
    discriminator = session.state.discriminator
    taken = {name for transfer in transfers if transfer.network == "discriminator" for name in transfer.taken}
    fresh = [name for name, x in discriminator.named_parameters() if not x.requires_grad and name not in taken]
    if fresh:
        raise ConfigError(
            f"training.freeze_stages = {session.config.training.freeze_stages} would keep what never learned ({fresh[0]}): "
            f"give --init a run with that discriminator at this resolution, which a model folder lacks, or set "
            f"training.freeze_stages=0"
        )


@torch.no_grad()
def _take(
    network: nn.Module, stored: Mapping[str, Tensor], title: str, classes: tuple[Sequence[str], Sequence[str]]
) -> Transfer:
    taken: list[str] = []
    left: list[str] = []
    for name, target in network.state_dict().items():
        source = stored.get(name)
        if source is not None and name.endswith(tuple(_CLASS_AXES)):
            missing = _take_classes(target, source, next(x for end, x in _CLASS_AXES.items() if name.endswith(end)), *classes)
            more = ", ..." if len(missing) > _NAMED else ""
            (left if missing else taken).append(f"{name} ({', '.join(missing[:_NAMED])}{more})" if missing else name)
            continue
        fits = source is not None and source.shape == target.shape
        if fits:
            target.copy_(source)
        (taken if fits else left).append(name)
    return Transfer(title, tuple(taken), tuple(left))


def _take_classes(target: Tensor, source: Tensor, axis: int, ours: Sequence[str], theirs: Sequence[str]) -> list[str]:
    """Take what was learned of each class that both have, and return the others."""
    here, there = target.transpose(0, axis), source.transpose(0, axis)
    if here.shape[1:] != there.shape[1:] or (len(here), len(there)) != (len(ours), len(theirs)):
        return list(ours)
    for index, name in enumerate(ours):
        if name in theirs:
            here[index].copy_(there[theirs.index(name)])
    return [name for name in ours if name not in theirs]
