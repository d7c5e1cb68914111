"""Before training: a few steps on a copy of the state tell memory, time and how many images fit at a time."""

import copy
import shutil
import time
from dataclasses import dataclass

import torch

from artgan.datasets.sampler import Batches
from artgan.devices import peak_host_bytes
from artgan.errors import StorageError
from artgan.progress import format_seconds
from artgan.training.choose import Say
from artgan.training.context import build_context
from artgan.training.disk import least_gb, sizes_of
from artgan.training.micro_batches import PiecewiseSteps
from artgan.training.session import CHECKPOINTS, Session
from artgan.training.state import TrainState
from artgan.training.steps import discriminator_step, generator_step, kinds_of_steps


@dataclass(frozen=True)
class Preflight:
    """What a run will take.

    Attributes:
        micro_batch: images that fit at a time in this process.
        seconds_per_kimg: of training, without sheets and evaluations, and before any compiling, which would take minutes here.
        memory_gb: of the device while training, without the copy of the state; on a CPU of the whole process.
        disk_gb: that checkpoints, models and sheets will take.
        free_gb: on the disk of the run.
    """

    micro_batch: int
    seconds_per_kimg: float
    memory_gb: float
    disk_gb: float
    free_gb: float


def preflight(session: Session, say: Say) -> Preflight:
    """Take a few steps on a copy of the session's state; the session itself stays as it is.

    Raises:
        ConfigError: not even the smallest piece of a batch fits into memory.
        StorageError: the disk cannot hold the run's checkpoints.
    """
    micro_batch, seconds_per_step, peak_bytes = _try_steps(session, say)
    if (
        session.device.type == "cuda"
    ):  # otherwise it keeps what these steps took, from a collection that would fit and from the log
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(session.device)
    vital_gb, disk_gb, free_gb = _disk(session)
    seconds_per_kimg = seconds_per_step / session.config.training.batch_size * 1000
    result = Preflight(micro_batch, seconds_per_kimg, peak_bytes / 1e9, disk_gb, free_gb)
    limit_gb, least = session.config.training.max_disk_gb, least_gb(session.run, sizes_of(session.state))
    if limit_gb is not None and limit_gb < least:
        raise StorageError(
            f"run {session.run}: training.max_disk_gb = {limit_gb:g}, and it cannot save with less than {least:.2g} GB: two "
            f"checkpoints and the models; give that much, or lower model.width and model.discriminator_width in a new run"
        )
    if free_gb < vital_gb:
        raise StorageError(
            f"run {session.run}: its checkpoints and models take about {vital_gb:.2g} GB, and {free_gb:.2g} GB are free; free "
            f"space, lower training.keep_checkpoints, or choose another place for --run"
        )
    return result


def _try_steps(session: Session, say: Say) -> tuple[int, float, int]:
    """Return the images that fit at a time, the mean seconds of a step, and the peak memory without the copy of the state."""
    state, copied_bytes = copy.deepcopy(session.state), _state_bytes(session.state)
    context = build_context(session, state, compiled=False)
    steps = PiecewiseSteps(state, context, say)
    batches = Batches(session.collection, session.config.seed, session.device, session.config.augment.horizontal_flip)
    images, labels = batches.batch(0, context.local_batch)
    images = images.to(state.dtype)
    if session.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(session.device)

    def seconds_of_step(place: int) -> float:
        state.images_seen = place * context.batch_size
        started = time.perf_counter()
        steps.take(discriminator_step, images, labels)
        steps.take(generator_step, images if context.objective.paired else None, labels)
        if session.device.type == "cuda":
            torch.cuda.synchronize(session.device)
        return time.perf_counter() - started

    seconds_of_step(0)  # the first one also sets up kernels and optimizers
    mean = 0.0
    for place, share in kinds_of_steps(context).items():
        times = 2 if share >= 0.5 else 1  # what else the machine does in that moment counts once
        mean += share * min(seconds_of_step(place) for _ in range(times))
    return context.micro_batch, mean, _peak_bytes(session.device) - copied_bytes


def describe(session: Session, found: Preflight, minutes: float | None = None) -> list[str]:
    """Return a preflight as lines for people; with `minutes`, also what so many bring of what is left."""
    training = session.config.training
    left_kimg = max(0.0, training.total_kimg - session.state.images_seen / 1000)
    pieces = -(-training.batch_size // session.world.size // found.micro_batch)
    together = "at once" if pieces == 1 else f"in {pieces} pieces of {found.micro_batch} whose gradients add up"
    if pieces > 1 and session.state.generator.couples_batch:
        together += ", but at once in the generator, whose batch norm couples its images"
    plain = " before compiling" if training.compile else ""
    processes = f" on {session.world.size} processes" if session.world.size > 1 else ""
    reached_kimg = None if minutes is None else 60 * minutes / found.seconds_per_kimg
    brought = f", about {reached_kimg:,.2g} of them in {minutes:g} minutes" if reached_kimg and reached_kimg < left_kimg else ""
    tight = ", which will not do to the end" if found.free_gb < found.disk_gb else ""
    if training.max_disk_gb is not None and training.max_disk_gb < found.disk_gb:
        tight += f"; to stay within training.max_disk_gb = {training.max_disk_gb:g}, older checkpoints and sheets will go"
    return [
        f"preflight: {found.seconds_per_kimg:.3g} s per kimg{plain}, {format_seconds(left_kimg * found.seconds_per_kimg)} for "
        f"{left_kimg:,g} kimg without evaluations{brought}; batch {training.batch_size}{processes} {together}",
        f"preflight: {found.memory_gb:.2g} GB of memory; about {found.disk_gb:.2g} GB of disk, {found.free_gb:,.3g} GB are free"
        f"{tight}",
    ]


def _peak_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return peak_host_bytes()


def _state_bytes(state: TrainState) -> int:
    """Return what a copy of the state takes, frozen backbones included."""
    tensors = [tensor for part in state.parts().values() for tensor in (*part.parameters(), *part.buffers())]
    for optimizer in state.optimizers().values():
        tensors += [moment for moments in optimizer.state.values() for moment in moments.values()]
    return sum(tensor.nbytes for tensor in tensors)


def _disk(session: Session) -> tuple[float, float, float]:
    """Return GB that checkpoints and models still take, these with all sheets to the end, and free ones."""
    training = session.config.training
    sizes = sizes_of(session.state)
    left_kimg = max(0.0, training.total_kimg - session.state.images_seen / 1000)
    sheets = left_kimg / training.sample_every_kimg * sizes.sheet
    there = sum(file.stat().st_size for name in (CHECKPOINTS, "model") for file in (session.run / name).rglob("*.safetensors"))
    # What is there will be replaced, each by one that is written beside it first.
    vital = max((training.keep_checkpoints + 1) * sizes.checkpoint + 2 * sizes.model - there, sizes.save)
    place = next(folder for folder in (session.run, *session.run.absolute().parents) if folder.exists())
    return vital / 1e9, (vital + sheets) / 1e9, shutil.disk_usage(place).free / 1e9
