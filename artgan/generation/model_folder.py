"""The model folder: the EMA generator and all that is needed to use it, without pickle.

`model.safetensors`, `config.json`, `README.md` (the model card), `samples.png`, and `manifest.json` with the sha256 of
each. The layout is that of the model hubs, so a folder can be shared as it is.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

import artgan
from artgan.errors import ArtganError, CheckpointError, StorageError
from artgan.generation.model_card import model_card
from artgan.generation.space import Space
from artgan.models import GENERATORS
from artgan.models.contract import GeneratorNetwork
from artgan.overview import encode_sheet
from artgan.storage import building, check_format, misfits, read_sealed_json, seal, verify_seal

FORMAT_VERSION = 1


@dataclass(frozen=True)
class ModelCard:
    """What a model is and where it comes from.

    Attributes:
        architecture: the generator's name in the table.
        arguments: every argument of its constructor.
        classes: class names, empty for an unconditional model.
        images_seen: real images shown to the discriminator up to here.
        collection: name, pixel hash and number of pictures of the training collection.
        metrics: the metrics line of its evaluation, or None.
    """

    architecture: str
    arguments: dict[str, int | str]
    classes: tuple[str, ...]
    images_seen: int
    collection: dict[str, Any]
    metrics: dict[str, Any] | None = None


@dataclass(frozen=True)
class Model:
    """A loaded model: the generator in evaluation mode, its card, and the hash of its weights."""

    generator: GeneratorNetwork
    card: ModelCard
    sha256: str
    folder: Path

    @cached_property
    def space(self) -> Space:
        """The latent space, with what is computed once."""
        return Space(self.generator, len(self.card.classes))

    @property
    def name(self) -> str:
        return f"{self.card.collection.get('name', 'model')}-{self.card.images_seen // 1000}k"


def save_model(folder: Path, generator: GeneratorNetwork, card: ModelCard, sheet: np.ndarray) -> None:
    """Write a model folder beside `folder` and move it there.

    Args:
        folder: the target, replaced when it exists.
        generator: the EMA generator.
        card: its description.
        sheet: a grid of samples, uint8 `[H, W, 3]`.

    Raises:
        StorageError: no space or not writable; what is there stays.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with building(folder) as partial:
            _write(partial, generator, card, sheet)
    except (OSError, SafetensorError) as error:
        raise StorageError(f"cannot save the model {folder}: {error}. Free space and run again") from error


def _write(folder: Path, generator: GeneratorNetwork, card: ModelCard, sheet: np.ndarray) -> None:
    folder.mkdir()
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in generator.state_dict().items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    content = {"format": FORMAT_VERSION, "artgan": artgan.__version__, **asdict(card)}
    (folder / "config.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    (folder / "README.md").write_text(model_card(card), encoding="utf-8")
    (folder / "samples.png").write_bytes(encode_sheet(sheet, "samples"))
    seal(folder)


def is_model_or_run(path: Path) -> bool:
    """Return whether a folder is a model or a run, rather than a folder of pictures."""
    return (path / "config.json").is_file() or (path / "config.yaml").is_file()


def run_of(model: Path) -> Path | None:
    """Return the run that a model folder lies in, `RUN/model/NAME`; None for a model folder alone."""
    model = model.resolve()
    return model.parent.parent if model.parent.name == "model" else None


def find_model(path: Path) -> Path:
    """Return the model folder that a user means: the folder itself, or the best or otherwise the latest of a run.

    Raises:
        CheckpointError: there is none.
    """
    for candidate in (path, path / "model" / "best", path / "model" / "latest", path / "best", path / "latest"):
        if (candidate / "config.json").is_file():
            return candidate
    if not path.exists():
        raise CheckpointError(f"model {path}: no such folder; give a run or a model folder")
    if (path / "config.yaml").is_file():
        raise CheckpointError(f"run {path} has no model yet: it appears with the first checkpoint; train on and try again")
    raise CheckpointError(f"{path} is neither a model folder (config.json) nor a run (config.yaml)")


def load_model(path: Path, device: torch.device | str = "cpu") -> Model:
    """Load a model folder, or the best model of a run.

    Raises:
        CheckpointError: missing, damaged, of a newer format, or not fitting its own description.
    """
    folder = find_model(path)
    digests = verify_seal(folder)
    content = read_sealed_json(folder / "config.json")
    check_format(content, FORMAT_VERSION, f"model {folder}", CheckpointError)
    try:
        card = _card_from(content)
        with torch.device("meta"):  # whatever sizes the card claims, memory is taken by the tensors of the file alone
            generator = GENERATORS.load(card.architecture)(**card.arguments)
        tensors = load_file(folder / "model.safetensors")
        if problem := misfits(generator.state_dict(), tensors):
            raise ValueError(problem)
        generator.load_state_dict(tensors, assign=True)
    except (KeyError, TypeError, ValueError, RuntimeError, SafetensorError, ArtganError) as error:
        raise CheckpointError(f"model {folder} does not fit its config.json: {error}") from error
    return Model(generator.to(device).eval().requires_grad_(False), card, digests["model.safetensors"], folder)


def _card_from(content: Mapping[str, Any]) -> ModelCard:
    return ModelCard(
        architecture=str(content["architecture"]),
        arguments={str(name): value if isinstance(value, str) else int(value) for name, value in content["arguments"].items()},
        classes=tuple(str(name) for name in content["classes"]),
        images_seen=int(content["images_seen"]),
        collection=dict(content["collection"]),
        metrics=content["metrics"],
    )
