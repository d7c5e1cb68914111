"""Starting from another model: tensors of the same name and shape are taken over, the rest is named."""

from collections.abc import Mapping
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
    the statistics of the collection's features.

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
    found = [_take(state.generator, tensors, "generator")]
    _take(state.ema, tensors, "ema")
    checkpoint = load_newest(source / CHECKPOINTS) if (source / CHECKPOINTS).is_dir() else None
    if checkpoint and checkpoint.info["config"]["model"]["discriminator"] == wanted.discriminator:
        found.append(_take(state.discriminator, _discriminator_of(checkpoint, state.discriminator), "discriminator"))
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


@torch.no_grad()
def _take(network: nn.Module, stored: Mapping[str, Tensor], title: str) -> Transfer:
    taken: list[str] = []
    left: list[str] = []
    for name, target in network.state_dict().items():
        fits = name in stored and stored[name].shape == target.shape
        if fits:
            target.copy_(stored[name])
        (taken if fits else left).append(name)
    return Transfer(title, tuple(taken), tuple(left))
