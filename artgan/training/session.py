"""What surrounds the loop: opening or resuming a run, one trainer per run, asking it to stop."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from artgan.config import ResolvedConfig, RunConfig, config_from_dict, with_values
from artgan.datasets.collection import Collection
from artgan.devices import choose_device, choose_precision, is_out_of_memory
from artgan.errors import CheckpointError, ConfigError, StorageError
from artgan.evaluation.protocol import digest
from artgan.models import DISCRIMINATORS
from artgan.storage import only_one
from artgan.training.checkpoint import (
    Checkpoint,
    checkpoint_name,
    list_checkpoints,
    load_checkpoint,
    load_newest,
    set_aside,
)
from artgan.training.resolve import left_open, resolve_config
from artgan.training.state import TrainState, build_state, load_tensors
from artgan.training.status import LOCK_FILE
from artgan.world import World

CHECKPOINTS = "checkpoints"
_SMALLEST_FACTOR = 1 / 8
_FEWEST_PICTURES = 2
# What may change between sessions of one run: how long, how often, how many, and where; never the maths.
_FREE_KEYS = (
    "training.total_kimg",
    "training.log_every_kimg",
    "training.sample_every_kimg",
    "training.evaluate_every_kimg",
    "training.checkpoint_every_kimg",
    "training.keep_checkpoints",
    "training.max_disk_gb",
    "training.device",
    "training.micro_batch",
    "training.compile",
    "training.patience",
    "evaluation.features",
    "evaluation.num_generated",
)


@dataclass(frozen=True)
class Session:
    """An open run.

    Attributes:
        config: resolved: every value is filled in, except `training.micro_batch`.
        resumed_at: images seen in the checkpoint that this session goes on from, 0 for a new run.
        trained_on: identity of the collection up to there.
        world: the processes that train it together.
        micro_batch: images that fit at a time, where that was tried and the configuration leaves it open.
    """

    run: Path
    config: ResolvedConfig
    collection: Collection
    device: torch.device
    precision: torch.dtype
    state: TrainState
    resumed_at: int
    world: World
    micro_batch: int | None = None
    trained_on: str = ""


def open_session(config: RunConfig, collection: Collection, run: Path, world: World | None = None) -> Session:
    """Start a run, or go on from its newest checkpoint; nothing is written yet.

    Args:
        config: what is asked for; what it leaves open is filled in.
        collection: what to train on.
        run: the run folder.
        world: the processes of the run, by default this one alone.

    Raises:
        CheckpointError: the checkpoint is damaged, or the collection, the configuration or the backbone's weights are not the
            run's own.
        ConfigError: a device, precision or combination that cannot be; a batch larger than the collection; networks that do not
            fit into memory; processes that would not do the same.
    """
    world = world or World()
    device = choose_device(config.training.device, world.local_rank)
    checkpoint = load_newest(run / CHECKPOINTS)
    resolved = (
        _same_run(config, collection, checkpoint) if checkpoint else resolve_config(config, collection.height, collection.width)
    )
    precision = choose_precision(resolved.training.precision, device)
    resolved = with_values(resolved, {"training.precision": str(precision).removeprefix("torch.")})
    _check_batch(resolved, collection, world)
    try:
        state = build_state(resolved, collection, device)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise ConfigError(
            "out of memory while building the networks: lower model.width, model.discriminator_width, model.latent_dim or "
            "model.backbone_input_px"
        ) from error
    if checkpoint:
        _check_weights(resolved, state, checkpoint)
        _put(state, checkpoint)
    _check_agreement(resolved, collection, state, device, world)
    trained_on = checkpoint.info["collection"]["pixel_hash"] if checkpoint else collection.pixel_hash
    return Session(run, resolved, collection, device, precision, state, state.images_seen, world, trained_on=trained_on)


def roll_back(session: Session, ruined: int | None) -> bool:
    """Put the newest checkpoint's tensors back and halve the learning rates; False where there is none to go back to.

    A step is a function of its place, so the same step at the same rate would break down again.

    Args:
        session: an open run.
        ruined: images seen of the checkpoint that training came back to before, if it did: breaking down from there once
            more, it goes to the one before it, and that one is set aside.
    """
    folder, factor = session.run / CHECKPOINTS, session.state.learning_rate_factor / 2
    checkpoints = list_checkpoints(folder)
    if not checkpoints or factor < _SMALLEST_FACTOR:
        return False
    again = len(checkpoints) > 1 and ruined is not None and checkpoints[-1].name == checkpoint_name(ruined)
    checkpoint = load_checkpoint(checkpoints[-2]) if again else load_newest(folder)
    assert checkpoint is not None
    _put(session.state, checkpoint)
    session.state.learning_rate_factor = factor
    session.world.wait()  # all have read what they need
    if again and session.world.is_first:
        set_aside(checkpoints[-1])
    return True


def apply_learning_rates(session: Session) -> None:
    """Set the optimizers to the configured rates, times the factor that breakdowns left."""
    state, training = session.state, session.config.training
    pairs = ((state.optimizer_generator, training.generator_lr), (state.optimizer_discriminator, training.discriminator_lr))
    for optimizer, rate in pairs:
        for group in optimizer.param_groups:
            group["lr"] = rate * state.learning_rate_factor


def _put(state: TrainState, checkpoint: Checkpoint) -> None:
    load_tensors(state, checkpoint.tensors, str(checkpoint.folder))
    state.images_seen = int(checkpoint.info["images_seen"])
    state.training_seconds = float(checkpoint.info["training_seconds"])
    state.learning_rate_factor = float(checkpoint.info.get("learning_rate_factor", 1.0))


def checkpoint_info(session: Session) -> dict[str, Any]:
    """Return what a checkpoint says about itself."""
    collection, weights = session.collection, session.state.weights_sha256()
    of_terms = {name: weights[name] for name in session.state.terms if name in weights}
    return {
        "images_seen": session.state.images_seen,
        "training_seconds": session.state.training_seconds,
        "learning_rate_factor": session.state.learning_rate_factor,
        "weights_sha256": session.state.discriminator.weights_sha256,
        **({"term_weights_sha256": of_terms} if of_terms else {}),
        "config": session.config.model_dump(mode="json"),
        "collection": {
            "name": collection.name,
            "pixel_hash": collection.pixel_hash,
            "height": collection.height,
            "width": collection.width,
        },
    }


def _same_run(config: RunConfig, collection: Collection, checkpoint: Checkpoint) -> ResolvedConfig:
    """Return the resolved configuration to go on with, after checking that it is the run's own in all that matters."""
    info, run = checkpoint.info, checkpoint.folder.parent.parent
    try:
        theirs, saved = info["collection"], config_from_dict(info["config"], str(checkpoint.folder))
        shape, pixel_hash = (int(theirs["height"]), int(theirs["width"])), theirs["pixel_hash"]
    except (KeyError, TypeError, ValueError, ConfigError) as error:
        raise CheckpointError(f"{checkpoint.folder / 'state.json'} cannot be used: {error!r}") from error
    if shape != (collection.height, collection.width):
        raise CheckpointError(
            f"run {run} was trained at {shape[1]}x{shape[0]} px, the collection {collection.folder} has {collection.width}x"
            f"{collection.height} px: give the run's own collection ('{theirs.get('name')}') or another --run"
        )
    if pixel_hash not in (collection.pixel_hash, *collection.earlier):
        raise CheckpointError(
            f"run {run} was trained on other pictures than {collection.folder} holds (collection '{theirs.get('name')}', "
            f"{pixel_hash[:12]}, now {collection.pixel_hash[:12]}): give the run's own collection or another --run"
        )
    resolved = resolve_config(left_open(config, saved), collection.height, collection.width)
    if resolved.training.precision == "auto":
        resolved = with_values(resolved, {"training.precision": saved.training.precision})
    before = resolve_config(saved, collection.height, collection.width)
    changed = _changed_keys(before.model_dump(mode="json"), resolved.model_dump(mode="json"))
    if changed:
        raise CheckpointError(
            f"run {run} was started with other values: {'; '.join(changed)}. Give the same ones, leave CONFIG out to "
            f"go on as before, or choose another --run"
        )
    return resolved


def _check_weights(config: ResolvedConfig, state: TrainState, checkpoint: Checkpoint) -> None:
    """Refuse a backbone with other weights: what was trained on its features would go on from some that it never saw.

    A checkpoint without an entry is from before it was kept, and goes on: a refusal would strand the run, and its next
    checkpoint has the entry.
    """
    theirs = {"discriminator": checkpoint.info.get("weights_sha256"), **checkpoint.info.get("term_weights_sha256", {})}
    for part, ours in state.weights_sha256().items():
        if theirs.get(part) not in (None, ours):
            seen_through = config.model.backbone if part == "discriminator" else f"the term {part}"
            raise CheckpointError(
                f"run {checkpoint.folder.parent.parent} was trained with other weights of {seen_through} (sha256 "
                f"{str(theirs[part])[:12]}, now {ours[:12]}): name the folder that has the run's own with --weights-dir, or "
                f"choose another --run"
            )


def _check_agreement(
    config: ResolvedConfig, collection: Collection, state: TrainState, device: torch.device, world: World
) -> None:
    """Refuse processes that would sum gradients of different runs, as where a machine does not see the run's folder."""
    ours = {
        "config": config.model_dump(mode="json"),
        "pixel_hash": collection.pixel_hash,
        "images_seen": state.images_seen,
        "weights_sha256": state.weights_sha256(),
    }
    if not world.all_same(digest(ours), device):
        raise ConfigError(
            f"the processes of this run do not agree: this one has {state.images_seen:,} images seen of {collection.name} "
            f"({collection.pixel_hash[:12]}), {config.training.precision}. Give all machines the same configuration, "
            f"collection, weights and run folder"
        )


def _changed_keys(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> list[str]:
    changed = []
    for key in sorted(old.keys() | new.keys()):
        path, was, now = f"{prefix}{key}", old.get(key), new.get(key)
        if isinstance(was, dict) and isinstance(now, dict):
            changed += _changed_keys(was, now, f"{path}.")
        elif was != now and path not in _FREE_KEYS:
            changed.append(f"{path} was {was}, is {now}")
    return changed


def _check_batch(config: ResolvedConfig, collection: Collection, world: World) -> None:
    available, batch = len(collection.train_rows), config.training.batch_size
    if available < _FEWEST_PICTURES:
        raise ConfigError(
            f"the training split of {collection.folder} has {available} picture(s), training needs {_FEWEST_PICTURES}: prepare "
            f"more works, or with --holdout 0"
        )
    if batch > available:
        raise ConfigError(
            f"training.batch_size = {batch} is larger than the training split of {collection.folder} "
            f"({available} pictures): lower it with --set training.batch_size={max(1, available // 2)}"
        )
    multiple = DISCRIMINATORS.row(config.model.discriminator).batch_multiple * world.size
    if world.size > 1 and batch % multiple:
        raise ConfigError(
            f"training.batch_size = {batch} cannot be shared by {world.size} processes: with the "
            f"{config.model.discriminator} discriminator it must be a multiple of {multiple}"
        )


@contextmanager
def only_trainer(run: Path) -> Iterator[None]:
    """Hold the run's lock.

    Raises:
        ConfigError: another process is training this run.
        StorageError: the run folder is not writable.
    """
    busy = ConfigError(f"run {run} is being trained by another process: wait for it, stop it, or choose another --run")
    try:
        run.mkdir(parents=True, exist_ok=True)
        lock = ExitStack()
        lock.enter_context(only_one(run / LOCK_FILE, busy))
    except OSError as error:
        raise StorageError(f"cannot write into the run {run}: {error}. Choose another --run") from error
    with lock:
        yield


@contextmanager
def stop_on_signals(patience: int = 1) -> Iterator[Callable[[], int | None]]:
    """Yield a function that returns the signal that asked to stop, or None.

    The first `patience` SIGINT, SIGTERM or SIGHUP (the terminal was closed) are noted, so that the loop can end its step and
    save; the next one acts at once. What was ignored before, as SIGHUP is under `nohup`, stays ignored. A launcher passes on
    what its processes also got from the terminal, so under one, more than one belong together. Python tells signals to the main
    thread alone: in another one, as when a program trains beside its own work, none are noted.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    received: list[int] = []
    previous: dict[signal.Signals, Any] = {}

    def note(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if len(received) >= patience:
            for asked, handler in previous.items():
                signal.signal(asked, handler)

    for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # Windows has no SIGHUP
        asked = getattr(signal, name, None)
        if asked is not None and signal.getsignal(asked) is not signal.SIG_IGN:
            previous[asked] = signal.signal(asked, note)
    try:
        yield lambda: received[0] if received else None
    finally:
        for asked, handler in previous.items():
            signal.signal(asked, handler)
