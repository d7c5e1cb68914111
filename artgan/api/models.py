"""Models: trained, loaded, and what they make."""

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from artgan import arguments
from artgan.api.given import opened, several
from artgan.config import RunConfig, load_config
from artgan.datasets.collection import Collection
from artgan.errors import ConfigError
from artgan.progress import Listener, silent
from artgan.schema.strict_yaml import find_document

if TYPE_CHECKING:
    from artgan.generation.model_folder import Model


@dataclass(frozen=True)
class Run:
    """A run folder after a session of training.

    Attributes:
        folder: has `report.html`, `samples/`, `metrics.jsonl`, `checkpoints/` and `model/`.
        outcome: how the session ended: `finished`, `no better`, `out of time` or `stopped`. The same call goes on from there.
        images_seen: real images shown to the discriminator, over all sessions of the run.
    """

    folder: Path
    outcome: str
    images_seen: int

    @property
    def model(self) -> "Model":
        """The best model so far, loaded on a CPU."""
        return load_model(self.folder, device="cpu")


def train(
    collection: Collection | str | os.PathLike[str],
    run: str | os.PathLike[str],
    config: RunConfig | str | os.PathLike[str] | None = None,
    *,
    settings: Mapping[str, Any] | None = None,
    minutes: float | None = None,
    init: str | os.PathLike[str] | None = None,
    say: Callable[[str], None] = lambda text: None,
    on_progress: Listener = silent,
) -> Run:
    """Train a new run, or go on with one that is there; Ctrl-C saves and stops.

    Args:
        collection: what to train on, open or its folder.
        run: the run's folder.
        config: a YAML file, the name of one of `configs/` such as `kaokore_cpu_64`, or what `load_config` returned. Without one
            the run's own, or for a new run a fitting choice that `say` explains.
        settings: values that win over the configuration, by dotted key: `{"training.batch_size": 8}`.
        minutes: of training in this session; without a number training goes on to `training.total_kimg`.
        init: a model or run that a new run starts from.
        say: shows one line of what is chosen, planned and reached; `print` for example.
        on_progress: told at each log point.

    Raises:
        ConfigError: wrong values, or a run that another process trains.
        DataError: no usable collection.
        CheckpointError: the run's newest checkpoint is damaged, or of other pictures or values.
        StorageError: no space, or not writable; what was saved stays.
    """
    from artgan.training.start import Order, train_run

    folder = Path(run)
    overrides = [f"{key}={json.dumps(value)}" for key, value in (settings or {}).items()]
    own = folder / "config.yaml"
    chosen = _config(config if config is not None or not own.is_file() else own, overrides)
    if minutes is not None:
        arguments.number("minutes", minutes, 0.001, 1e6)
    order = Order(opened(collection), folder, chosen, overrides, minutes, Path(init) if init is not None else None)
    outcome = train_run(order, say=say, on_progress=on_progress)
    assert outcome is not None  # only a dry run has none
    return Run(folder, outcome.value, int(json.loads((folder / "status.json").read_text(encoding="utf-8"))["images_seen"]))


def load_model(path: str | os.PathLike[str], *, device: str = "auto") -> "Model":
    """Load a model folder, or the best model of a run.

    Args:
        path: of the model or the run.
        device: `auto`, `cpu`, `cuda` or `cuda:1`.

    Raises:
        CheckpointError: missing, damaged, or not fitting its own description.
    """
    from artgan.devices import choose_device
    from artgan.generation import model_folder

    return model_folder.load_model(Path(path), choose_device(device))


def generate(
    model: "Model | str | os.PathLike[str]",
    seeds: int | Iterable[int],
    *,
    truncation: float = 1.0,
    class_name: str | None = None,
) -> list[Image.Image]:
    """Return the picture of each seed; a seed always gives the same picture of a model, alone and among others.

    Args:
        model: loaded, or the folder of a model or run.
        seeds: one or several, from 0 to 2^32 - 1.
        truncation: 1 keeps the model's whole variety, 0 gives its mean picture.
        class_name: of a conditional model; without one, seed k has class k modulo their number.

    Raises:
        ConfigError: a seed or truncation out of range, or a class that the model has not.
    """
    from artgan.generation.sample import Look, points_of_seeds, render

    loaded = load_model(model) if isinstance(model, str | os.PathLike) else model
    numbers = [int(arguments.number("seed", seed, 0, arguments.MAX_SEED)) for seed in several(seeds)]
    arguments.number("truncation", truncation, 0, 2)
    look = Look(truncation, classes=() if class_name is None else ((class_name, 1.0),))
    return [Image.fromarray(pixels) for pixels in render(loaded.space, points_of_seeds(loaded, numbers, look))]


def _config(config: RunConfig | str | os.PathLike[str] | None, overrides: Sequence[str]) -> RunConfig | None:
    if config is None:
        return None
    if isinstance(config, RunConfig):
        if overrides:
            raise ConfigError("settings go with the name or file of a configuration: this one is open, so put them into it")
        return config
    return load_config(find_document(config), overrides)
