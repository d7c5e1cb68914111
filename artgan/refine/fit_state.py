"""The state of a fit on disk: weights, averages, optimizers and a few words, so that a stopped fit goes on exactly."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from artgan import seeding
from artgan.errors import ConfigError, StorageError
from artgan.storage import MANIFEST, building, check_format, misfits

FORMAT_VERSION = 1
STATE_FILE = "fit.safetensors"
Optimizers = Mapping[str, torch.optim.Optimizer]
Networks = Mapping[str, nn.Module]
_MOMENTS = ("step", "exp_avg", "exp_avg_sq")


def seed_weights(network: nn.Module, seed: int, stream: str, *, keep: str = "last.") -> None:
    """Draw the weights of convolutions as He et al. (2015, 1502.01852) do, except those under `keep`; biases are zero."""
    for index, (name, parameter) in enumerate(network.named_parameters()):
        if parameter.dim() == 4 and not name.startswith(keep):
            fan_in = parameter[0].numel()
            values = seeding.normal(seed, stream, index, 1, parameter.numel()) * np.sqrt(2 / fan_in)
            parameter.data = torch.from_numpy(values.astype(np.float32)).view_as(parameter)
        elif name.endswith(".bias"):
            nn.init.zeros_(parameter)


def save_fit(
    folder: Path, networks: Networks, optimizers: Optimizers, words: Mapping[str, str], numbers: Mapping[str, float]
) -> None:
    """Write the state.

    Raises:
        StorageError: there is no space.
    """
    tensors = {f"{name}.{key}": value for name, network in networks.items() for key, value in network.state_dict().items()}
    for name, optimizer in optimizers.items():
        for index, state in optimizer.state_dict()["state"].items():
            tensors |= {f"{name}.{index}.{key}": value for key, value in state.items()}
    tensors |= {name: torch.tensor(list(text.encode()), dtype=torch.uint8) for name, text in words.items()}
    tensors |= {name: torch.from_numpy(np.asarray(number)) for name, number in {"format": FORMAT_VERSION, **numbers}.items()}
    write_tensors(folder / STATE_FILE, tensors)


class HeldFit:
    """A state that was read; what belongs to it is checked before anything of it is taken.

    Args:
        folder: of the fit, which holds a state.

    Raises:
        ConfigError: it cannot be read, or a newer artgan wrote it.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / STATE_FILE
        try:
            self._tensors = load_file(self._path)
            held = {"format": self._tensors["format"].item()} if "format" in self._tensors else {}
        except Exception as error:  # whatever a damaged file makes the reader raise
            raise self._unreadable(error) from error
        check_format(held, FORMAT_VERSION, f"the fit {self._path}", ConfigError)

    def word(self, name: str) -> str:
        """Return a word of `save_fit`."""
        try:
            return bytes(self._tensors[name].tolist()).decode()
        except (KeyError, ValueError, TypeError) as error:
            raise self._unreadable(error) from error

    def number(self, name: str) -> float:
        """Return a number of `save_fit`."""
        try:
            return self._tensors[name].item()
        except (KeyError, RuntimeError) as error:
            raise self._unreadable(error) from error

    def restore(self, networks: Networks, optimizers: Optimizers) -> None:
        """Fill networks and optimizers.

        Raises:
            ConfigError: the state lacks a tensor, or has one of another shape.
        """
        try:
            for name, network in networks.items():
                tensors = self._below(f"{name}.")
                if problem := misfits(network.state_dict(), tensors):
                    raise ValueError(problem)
                network.load_state_dict(tensors)
            for name, optimizer in optimizers.items():
                groups = optimizer.state_dict()["param_groups"]
                held = self._below(f"{name}.")
                states = {
                    index: {key: held[f"{index}.{key}"] for key in _MOMENTS}
                    for group in groups
                    for index in group["params"]
                    if f"{index}.step" in held
                }
                optimizer.load_state_dict({"state": states, "param_groups": groups})
        except Exception as error:  # tensors of any kind may lie in a damaged file
            raise self._unreadable(error) from error

    def _below(self, prefix: str) -> dict[str, Tensor]:
        return {key.removeprefix(prefix): value for key, value in self._tensors.items() if key.startswith(prefix)}

    def _unreadable(self, error: Exception) -> ConfigError:
        return ConfigError(f"{self._path} cannot be read ({error}); delete it to fit from the beginning")


def make_fit_folder(flag: str, folder: Path) -> None:
    """Make the folder of a fit.

    Raises:
        StorageError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{flag} {folder}: cannot be made ({error.strerror})") from error


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors into a fit's folder in one step; the manifest there goes, since it speaks of the files before.

    Raises:
        StorageError: there is no space.
    """
    (path.parent / MANIFEST).unlink(missing_ok=True)
    try:
        with building(path) as partial:
            save_file({key: value.contiguous() for key, value in tensors.items()}, partial)
    except Exception as error:  # safetensors has its own kinds of a full disk
        free = shutil.disk_usage(path.parent).free
        raise StorageError(f"cannot write {path} ({error}); {free / 1e6:.0f} MB are free there") from error
