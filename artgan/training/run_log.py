"""What a run leaves behind for people: metrics.jsonl, TensorBoard events, sample sheets, status.json."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from artgan.config import ResolvedConfig, dump_config
from artgan.errors import ArtganError, CheckpointError, StorageError
from artgan.overview import SAMPLES, sample_sheet, save_sheet
from artgan.storage import append_whole, write_whole
from artgan.training.checkpoint import list_checkpoints
from artgan.training.disk import make_room
from artgan.training.events import Events
from artgan.training.session import CHECKPOINTS
from artgan.training.sparing import Sparing
from artgan.training.status import write_status
from artgan.world import World

METRICS_FILE = "metrics.jsonl"
COLLECTION = "collection"  # a line of the run's lineage: works were left out of what it is trained on
BREAKDOWN = "breakdown"  # what a warning is about that stays, however far back training goes
_BAD_STEPS = 2  # in a row: one step may go wrong, and is skipped


class Breakdown(ArtganError):
    """Training no longer makes finite numbers."""


class RunLog:
    """Collects scalars on the device and writes them at log points.

    Lines and events beyond `images_seen` are dropped on opening: a killed session may have written past the checkpoint
    that training goes on from, and no images_seen may stand twice. Lines that there is no space for wait for the next ones.

    Args:
        run: the run folder.
        images_seen: where this session starts.
        world: the processes; the first one writes, and all of them take part in `flush`.
        config: left in the run.
        sparing: how training goes on where nothing can be written.
    """

    def __init__(self, run: Path, images_seen: int, world: World, config: ResolvedConfig, sparing: Sparing) -> None:
        self.run, self.world, self.config, self._sparing = run, world, config, sparing
        self._waiting = b""
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, Tensor] = {}
        self._steps: dict[str, int] = {}  # since the last log point at which something was finite, or a step not skipped
        if images_seen == 0:
            _refuse_to_begin_again(run)
        self._open(images_seen)

    def _open(self, images_seen: int) -> None:
        if not self.world.is_first:
            return
        run = self.run
        try:
            (run / SAMPLES).mkdir(parents=True, exist_ok=True)
            (run / CHECKPOINTS).mkdir(exist_ok=True)  # by which a run that has none yet is told from one that has lost them
            (run / "config.yaml").write_text(dump_config(self.config), encoding="utf-8")
            _drop_lines_after(run / METRICS_FILE, images_seen)
            self._lines = (run / METRICS_FILE).open("ab", buffering=0)
            self._events = Events(run, images_seen + 1)
        except OSError as error:
            raise StorageError(f"cannot write into the run {run}: {error}. Choose another --run") from error

    def add(self, scalars: dict[str, Tensor]) -> None:
        """Add one step's scalars, without waiting for the device; what is not finite counts as a step without a value."""
        for name, value in scalars.items():
            finite = value.isfinite()
            self._sums[name] = self._sums.get(name, 0) + torch.where(finite, value, 0)
            self._counts[name] = self._counts.get(name, 0) + finite
            self._steps[name] = self._steps.get(name, 0) + 1

    def flush(self, images_seen: int, extra: dict[str, float]) -> dict[str, float]:
        """Write and return the means since the last log point: the one place where the loop waits for the device.

        What was finite in no step, such as the penalty of the one step that has it, is left out.

        Raises:
            Breakdown: a scalar was finite in none of the last two steps that had it or more, or as many updated no network.
        """
        names = list(self._sums)
        if not names:
            return {}
        sums = self.world.total(torch.stack([self._sums[name].double() for name in names]))
        counts = self.world.total(torch.stack([self._counts[name].double() for name in names])) / self.world.size
        scalars = dict(zip(names, (sums / counts).tolist(), strict=True))
        self._sums, self._counts = {}, {}
        absent = [name for name, value in scalars.items() if not math.isfinite(value)]
        skipped = [name for name, value in scalars.items() if name.startswith("skipped/") and value > 0.999]
        for name in {*names} - {*absent, *skipped}:
            del self._steps[name]
        broken, idle = ([name for name in bad if self._steps[name] >= _BAD_STEPS] for bad in (absent, skipped))
        if broken or idle:
            problem = f"{', '.join(broken)} is not finite" if broken else "no step has finite gradients"
            raise Breakdown(
                f"training broke down: {problem} at {images_seen:,} images seen. Run the same command "
                f"again to go on from the last checkpoint; if it happens again, lower the learning rates or use "
                f"--set training.precision=float32 in a new run"
            )
        scalars = {name: value for name, value in scalars.items() if name not in absent} | extra
        if self.world.is_first:
            self._write(images_seen, {"kind": "train"} | scalars)
            self._show(scalars, images_seen)
        return scalars

    def rewind(self, images_seen: int) -> None:
        """Drop everything beyond a checkpoint that training goes back to."""
        self.close()
        self._sums, self._counts, self._steps, self._waiting = {}, {}, {}, b""
        self._open(images_seen)

    def note(self, images_seen: int, kind: str, content: dict[str, Any]) -> None:
        """Write a line of another kind: what the watchdog measured, what a transfer loaded."""
        if self.world.is_first:
            self._write(images_seen, {"kind": kind} | content)

    def metrics(self, images_seen: int, line: dict[str, Any], minutes: float) -> None:
        """Write a metrics line of `artgan.evaluation`."""
        self._write(images_seen, {"kind": "metrics", "minutes": minutes} | line)
        self._show({f"metrics/{name}": entry["value"] for name, entry in line["metrics"].items()}, images_seen)

    def sheet(self, images_seen: int, sheet: np.ndarray, needed: int) -> None:
        """Save a sheet of samples, uint8 `[H, W, 3]`, where the run may take the bytes that are `needed`."""
        with self._sparing("sheets"):
            make_room(self.run, self.config.training.max_disk_gb, needed)
            save_sheet(sample_sheet(self.run, images_seen), sheet, "samples")
            self._events.image("samples", sheet, images_seen)

    def status(
        self, state: str, images_seen: int, total_images: int, minutes_left: float | None = None, ends_at: int | None = None
    ) -> None:
        """Write `status.json`, the truth about a run for whoever watches it."""
        if not self.world.is_first:
            return
        with self._sparing("status files"):
            write_status(self.run, state, images_seen, total_images, minutes_left, ends_at)

    def close(self) -> None:
        """Close the files."""
        if not self.world.is_first:
            return
        self._lines.close()
        self._events.close()

    def _write(self, images_seen: int, content: dict[str, Any]) -> None:
        self._waiting += (json.dumps({"images_seen": images_seen} | content) + "\n").encode()
        with self._sparing("log lines"):
            append_whole(self._lines, self._waiting)
            self._waiting = b""

    def _show(self, values: dict[str, float], images_seen: int) -> None:
        with self._sparing("curves of TensorBoard"):
            self._events.scalars(values, images_seen)


def read_metrics(run: Path) -> list[dict[str, Any]]:
    """Return the lines of a run's metrics.jsonl; a last line that was cut by a kill is left out."""
    path = run / METRICS_FILE
    if not path.is_file():
        return []
    lines = []
    for text in path.read_text(encoding="utf-8").splitlines():
        try:
            lines.append(json.loads(text))
        except ValueError:
            break
    return lines


def _drop_lines_after(path: Path, images_seen: int) -> None:
    if not path.is_file():
        return
    lines = read_metrics(path.parent)
    kept = [line for line in lines if line["images_seen"] <= images_seen or line.get("about") == BREAKDOWN]
    write_whole(path, "".join(json.dumps(line) + "\n" for line in kept))


def _refuse_to_begin_again(run: Path) -> None:
    """Refuse a run whose checkpoints are gone: beginning at 0 would drop its lines and replace its models.

    Raises:
        CheckpointError: there are lines or models, and nothing to go on from.
    """
    if list_checkpoints(run / CHECKPOINTS):
        return
    lines, models = run / METRICS_FILE, run / "model"
    learned = models.is_dir() and any((model / "config.json").is_file() for model in models.iterdir())
    logged = lines.is_file() and lines.stat().st_size > 0 and not (run / CHECKPOINTS).is_dir()
    if learned or logged:
        raise CheckpointError(
            f"{run}: has {'models' if learned else METRICS_FILE}, and no checkpoint in {CHECKPOINTS}/ to go on from. Restore "
            f"{CHECKPOINTS}/ from a copy, or go on in another run from its model: --run ANOTHER --init {run}"
        )
