"""Checkpoints that resume exactly: safetensors and JSON with a manifest, written whole or not at all."""

import errno
import json
import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

import artgan
from artgan.errors import CheckpointError, StorageError
from artgan.storage import building, check_format, flush_to_disk, move, read_sealed_json, remove, seal, verify_seal

_log = logging.getLogger(__name__)

FORMAT_VERSION = 1
_PREFIX = "images-"
_DELETING, _RUINED = ".deleting-", "ruined-"
_LEFTOVERS = (".partial-", ".replaced-", _DELETING, ".building-")  # of a save that was killed; the last one of older versions
_SPACE_FACTOR = 1.2


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that was read and verified.

    Attributes:
        folder: where it is.
        tensors: every tensor of the state, on the CPU.
        info: images_seen, training_seconds, the configuration, and the collection's identity.
    """

    folder: Path
    tensors: dict[str, Tensor]
    info: dict[str, Any]


def save_checkpoint(folder: Path, tensors: Mapping[str, Tensor], info: Mapping[str, Any], keep: int) -> Path:
    """Write `folder/images-NNN`, then delete all but the newest `keep`.

    The files are written and flushed under another name and renamed last: a process killed at any moment leaves the old
    checkpoints whole and at most a folder that `list_checkpoints` does not see and the next save removes. One that is there
    and whole stays as it is: a session that took no step has nothing to add to it.

    Raises:
        StorageError: no space or not writable; the checkpoints that are there stay.
    """
    target = folder / checkpoint_name(info["images_seen"])
    if not _is_whole(target):
        _write(target, tensors, info)
    for old in list_checkpoints(folder)[:-keep]:
        delete_checkpoint(old)
    return target


def _write(target: Path, tensors: Mapping[str, Tensor], info: Mapping[str, Any]) -> None:
    folder = target.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(folder)
        _check_space(folder, tensors)
        with building(target) as partial:  # a damaged one is replaced
            partial.mkdir()
            on_cpu = {key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}
            save_file(on_cpu, partial / "state.safetensors")
            content = {"format": FORMAT_VERSION, "artgan": artgan.__version__, **info}
            (partial / "state.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
            seal(partial)
        flush_to_disk(folder)
    except (OSError, SafetensorError) as error:
        raise StorageError(
            f"cannot save a checkpoint in {folder}: {error}. Earlier checkpoints are whole; free space and run again"
        ) from error


def list_checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoints of a run, oldest first."""
    return sorted(path for path in folder.glob(f"{_PREFIX}*") if path.is_dir())


def spare_checkpoints(folder: Path) -> list[Path]:
    """Return what a run can do without, in the order in which it should go: what was set aside, then all but the newest."""
    return [*sorted(folder.glob(f"{_RUINED}{_PREFIX}*")), *list_checkpoints(folder)[:-1]]


def is_checkpoint(folder: Path) -> bool:
    """Return whether a folder is one checkpoint, rather than a run or a model."""
    return folder.name.startswith(_PREFIX) and (folder / "state.json").is_file()


def set_aside(checkpoint: Path) -> None:
    """Give a checkpoint that training breaks down from another name, so that the one before it is the newest."""
    aside = checkpoint.with_name(f"{_RUINED}{checkpoint.name}")
    move(checkpoint, aside)


def delete_checkpoint(folder: Path) -> None:
    """Delete a checkpoint in one step; where that cannot be, say so and leave it: training goes on."""
    doomed = folder.with_name(f"{_DELETING}{folder.name}")
    try:
        move(folder, doomed)
    except OSError as error:
        _log.warning("an old checkpoint cannot be deleted (%s): training goes on, and the next save tries again", error)
        return
    remove(doomed)


def load_newest(folder: Path) -> Checkpoint | None:
    """Read and verify the newest checkpoint; None when there is none.

    Raises:
        CheckpointError: it is damaged or of a newer format. Going back to an older one is the user's decision: the message
            says how.
    """
    checkpoints = list_checkpoints(folder)
    if not checkpoints:
        return None
    newest = checkpoints[-1]
    try:
        return load_checkpoint(newest)
    except CheckpointError as error:
        older = f"to go on from {checkpoints[-2].name}" if len(checkpoints) > 1 else "to start from the beginning"
        raise CheckpointError(f"{error}. Restore it from a copy, or delete {newest} {older}") from error


def load_checkpoint(folder: Path) -> Checkpoint:
    """Read and verify one checkpoint.

    Raises:
        CheckpointError: it is damaged or of a newer format.
    """
    verify_seal(folder)
    info = read_sealed_json(folder / "state.json")
    check_format(info, FORMAT_VERSION, f"checkpoint {folder}", CheckpointError)
    try:
        return Checkpoint(folder, load_file(folder / "state.safetensors"), info)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{folder / 'state.safetensors'} cannot be read: {error}") from error


def checkpoint_name(images_seen: int) -> str:
    """Return the name of a checkpoint's folder."""
    return f"{_PREFIX}{images_seen:012d}"


def _is_whole(folder: Path) -> bool:
    try:
        verify_seal(folder)
    except (CheckpointError, OSError):
        return False
    return True


def _check_space(folder: Path, tensors: Mapping[str, Tensor]) -> None:
    needed = _SPACE_FACTOR * sum(tensor.nbytes for tensor in tensors.values())
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OSError(errno.ENOSPC, f"{needed / 1e6:.0f} MB are needed, {free / 1e6:.0f} MB are free")


def _remove_leftovers(folder: Path) -> None:
    for path in folder.iterdir():
        if path.name.startswith(_LEFTOVERS):
            remove(path)
