"""Starting from another model: tensors of the same name and shape are taken over, the rest is named."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from artgan.errors import ConfigError
from artgan.generation.model_folder import load_model
from artgan.models.contract import DiscriminatorNetwork
from artgan.training.checkpoint import Checkpoint, load_newest
from artgan.training.session import CHECKPOINTS, Session

_NAMED = 4
# A projected discriminator's statistics of features: of the other collection's pictures.
_OF_THE_COLLECTION = "standardize."
# Weights that hold something for each class, by the end of their names, and along which axis.
_CLASS_AXES = {"embedding.weight": 0, "embed.weight": 1}


@dataclass(frozen=True)
class Transfer:
    """How much of one network came from elsewhere: names of tensors that were taken, and of those that were not."""

    network: str
    taken: tuple[str, ...]
    left: tuple[str, ...]

    def __str__(self) -> str:
        rest = f"; starting anew: {len(self.left)}, " + ", ".join(self.left[:_NAMED]) if self.left else ""
        more = ", ..." if len(self.left) > _NAMED else ""
        return f"{self.network}: {len(self.taken)} of {len(self.taken) + len(self.left)} tensors taken over{rest}{more}"


def start_from(session: Session, source: Path) -> list[Transfer]:
    """Put another model's tensors into a new session's networks.

    A model gives the generator; a run also gives the discriminator of its newest checkpoint, where both see through the
    same pretrained weights, if any. Resolution and classes may differ: what does not fit keeps its fresh start, and so do
    the statistics of the collection's features. What was learned of a class goes to the class of that name.

    Raises:
        CheckpointError: the model is damaged or missing.
        ConfigError: it is of another architecture, so that nothing fits.
    """
    model = load_model(source)
    state, wanted = session.state, session.config.model
    if model.card.architecture != wanted.generator:
        raise ConfigError(
            f"--init {source} is a {model.card.architecture} generator, this run has model.generator = '{wanted.generator}': "
            f"set model.generator={model.card.architecture}, or leave --init out"
        )
    tensors = model.generator.state_dict()
    classes = session.collection.classes if wanted.conditional else (), model.card.classes
    found = [_take(state.generator, tensors, "generator", classes)]
    _take(state.ema, tensors, "ema", classes)
    checkpoint = load_newest(source / CHECKPOINTS) if (source / CHECKPOINTS).is_dir() else None
    if checkpoint and checkpoint.info["config"]["model"]["discriminator"] == wanted.discriminator:
        theirs = _discriminator_of(checkpoint, state.discriminator)
        found.append(_take(state.discriminator, theirs, "discriminator", classes))
    if not found[0].taken:
        raise ConfigError(
            f"--init {source}: no tensor of its generator fits this run; model.width and model.latent_dim must be the same"
        )
    return found


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
