"""A run over picture files: resumable after any kind of stop, spread over processes and machines, one look for all.

Two passes. The first gives each picture its style and keeps the result, named by a hash of all that it depends on, in
`OUT/.unfinished`. The second knows the whole series: it fits the color map to all pictures and writes the files. A run that
was stopped begins again with what is there; a picture's bytes depend on the picture, the look and (for color) the series,
not on order, processes or stops. They may depend on the threads that a process has: SqueezeNet's do (its 1x1 convolutions),
VGG's do not.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch

import artgan
from artgan.errors import ConfigError, DataError, StorageError
from artgan.exclusive import only_one
from artgan.images import COMPOSITE, TRAINED, read_credits, read_metadata
from artgan.progress import Listener, Progress, silent
from artgan.refine.color import Map
from artgan.refine.encode import write_whole
from artgan.refine.finishing import Finisher, FinishTask
from artgan.refine.materials import Materials, applied, check_materials
from artgan.refine.plan import Item, batches_of, plan
from artgan.refine.recipe import Recipe
from artgan.refine.sources import find_pictures
from artgan.refine.styling import Outcome, StyleTask, Styling, make_stylist
from artgan.refine.workers import over_processes

WORK_FOLDER = ".unfinished"


@dataclass
class Result:
    """What a run did.

    Attributes:
        written: source -> result.
        failed: source -> reason.
        waiting: how many pictures other shards still have to style.
        color_map: of the whole series, or None.
    """

    written: dict[Path, Path] = field(default_factory=dict)
    failed: dict[Path, str] = field(default_factory=dict)
    waiting: int = 0
    color_map: Map | None = None


def refine_files(
    inputs: Sequence[Path],
    out: Path,
    recipe: Recipe,
    materials: Materials,
    *,
    device: torch.device,
    jobs: int = 1,
    shard: tuple[int, int] = (1, 1),
    on_progress: Listener = silent,
) -> Result:
    """Refine pictures as one series.

    Args:
        inputs: pictures and folders of pictures.
        out: an existing folder.
        recipe: the look.
        materials: what it is applied with.
        device: where style is computed.
        jobs: processes, on a CPU.
        shard: (i, n): style every n-th picture, from the i-th (counted from 1). The run that finds all pictures styled,
            whichever it is, goes on to color and files.
        on_progress: told about every few steps.

    Returns:
        what was written and what failed; a failed picture does not stop the others. What the run kept to go on with stays
        until `forget_run`, so that whoever reports on it can be stopped as well.

    Raises:
        DataError: there is no picture, or none that can be read.
        ConfigError: the recipe asks for what the materials lack.
        StorageError: there is no space; finished pictures stay, and the same command goes on.
    """
    check_materials(recipe, materials)
    _check_out(find_pictures(inputs), out)
    items, failed = plan(inputs, recipe, materials)
    if not items:
        raise DataError(_all_failed(failed))
    work = out / WORK_FOLDER
    _make(work)
    styling = Styling(recipe, tuple(materials.styles), tuple(materials.weights), str(device), materials.network, work)
    failed |= _style(items, styling, materials, device, jobs, shard, on_progress)
    failed |= _failed_elsewhere(work, [item for item in items if item.path not in failed])
    items = [item for item in items if item.path not in failed]
    waiting = sum(not _is_styled(work, item) for item in items)
    if waiting:
        return Result(failed=failed, waiting=waiting)
    if not items:
        raise DataError(_all_failed(failed))
    busy = StorageError(f"{work}: another run is finishing this series; wait for it")
    with only_one(work / "finishing.lock", busy):
        result = _finish(items, recipe, materials, out, jobs, on_progress)
    result.failed |= failed
    return result


def forget_run(out: Path) -> None:
    """Remove what a finished run kept to go on with; a run that is stopped before this goes on where it was."""
    shutil.rmtree(out / WORK_FOLDER, ignore_errors=True)


def _check_out(paths: Sequence[Path], out: Path) -> None:
    folder = out.resolve()
    for path in paths:
        if folder in (path.parent.resolve(), path.resolve().parent):
            raise ConfigError(f"--out {out}: holds {path.name}, which is an input; the originals are never overwritten")


def _style(
    items: Sequence[Item],
    styling: Styling,
    materials: Materials,
    device: torch.device,
    jobs: int,
    shard: tuple[int, int],
    on_progress: Listener,
) -> dict[Path, str]:
    """Give this shard's pictures their style; return the failures."""
    mine = items[shard[0] - 1 :: shard[1]]
    missing = [item for item in mine if not _is_styled(styling.work, item)]
    if not missing:
        return {}
    batches = batches_of(mine, device) if styling.recipe.styles else [[item] for item in mine]
    wanted = {item.key for item in missing}
    batches = [batch for batch in batches if any(item.key in wanted for item in batch)]  # whole ones: results stay the same
    tasks = [StyleTask(tuple((item.path, item.key) for item in batch), tuple(materials.masks)) for batch in batches]
    jobs = jobs if device.type == "cpu" else 1
    if styling.recipe.styles:
        sizes = list(dict.fromkeys((item.height, item.width) for item in missing))
        make_stylist(styling).prepare(sizes, on_progress)
    done = len(mine) - sum(len(batch) for batch in batches)
    failed: dict[Path, str] = {}
    keys = {item.path: item.key for item in mine}  # a batch may hold pictures that have their style already
    alone = jobs <= 1 or len(tasks) <= 1
    listener = on_progress if alone else silent
    for _, outcomes in over_processes(
        partial(styling.worker, listener, done, len(mine)) if alone else styling.worker, tasks, jobs
    ):
        done += len(outcomes)
        on_progress(Progress("style", done, len(mine), "pictures"))
        for outcome in outcomes:
            if outcome.error is not None:
                failed[outcome.path] = outcome.error
                write_whole(_note_of_failure(styling.work, keys[outcome.path]), outcome.error.encode())
    return failed


def _finish(items: Sequence[Item], recipe: Recipe, materials: Materials, out: Path, jobs: int, on_progress: Listener) -> Result:
    """Fit color to the series and write the files."""
    work = out / WORK_FOLDER
    finisher = Finisher(recipe, materials.palette, work, tuple(item.key for item in items))
    said = applied(recipe, materials)
    journal = _Journal(work / "finished.jsonl", _digest([json.dumps(said, sort_keys=True), *[item.key for item in items]]))
    result = Result(color_map=finisher.series_map())
    tasks, sources = [], []
    for item in items:
        target = out / item.name
        if journal.has(item.name) and target.is_file():
            result.written[item.path] = target
            continue
        try:
            origin = read_metadata(item.path)
        except DataError as error:
            result.failed[item.path] = str(error)
            continue
        if origin is None:
            origin = {"kind": "picture", "source": item.path.name, "version": artgan.__version__} | read_credits(item.path)
        before = {"before": origin["refine"]} if "refine" in origin else {}
        source_type = COMPOSITE if origin.get("kind") == "picture" else TRAINED
        metadata = origin | {"refine": said | before}
        tasks.append(FinishTask(item.path, item.key, target, metadata, source_type))
        sources.append(item)
    for index, reason in over_processes(finisher.worker, tasks, jobs):
        if reason is None:
            result.written[sources[index].path] = tasks[index].target
            journal.add(sources[index].name)
        else:
            result.failed[sources[index].path] = reason
        on_progress(Progress("color and detail", len(result.written) + len(result.failed), len(items), "pictures"))
    result.written = {item.path: result.written[item.path] for item in items if item.path in result.written}
    return result


class _Journal:
    """Names of finished files, one a line; another run's journal does not count."""

    def __init__(self, path: Path, identity: str) -> None:
        self.path, self.identity = path, identity
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        self.names = {name for line in lines for mark, _, name in [line.partition(" ")] if mark == identity}

    def has(self, name: str) -> bool:
        return name in self.names

    def add(self, name: str) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(f"{self.identity} {name}\n")


def _is_styled(work: Path, item: Item) -> bool:
    return Outcome.file(work, item.key).is_file()


def _note_of_failure(work: Path, key: str) -> Path:
    return work / f"{key}.failed"


def _failed_elsewhere(work: Path, items: Sequence[Item]) -> dict[Path, str]:
    """Return the pictures that another shard could not style, with its reasons: nobody waits for them."""
    notes = {item.path: _note_of_failure(work, item.key) for item in items if not _is_styled(work, item)}
    return {path: note.read_text(encoding="utf-8") for path, note in notes.items() if note.is_file()}


def _make(folder: Path) -> None:
    try:
        folder.mkdir(exist_ok=True)
        probe = folder / f"probe-{os.getpid()}"
        write_whole(probe, b"")
        probe.unlink()
    except OSError as error:
        raise StorageError(f"{folder}: cannot be written ({error.strerror})") from error


def _all_failed(failed: dict[Path, str]) -> str:
    path, reason = next(iter(failed.items()))
    return reason if len(failed) == 1 else f"none of {len(failed)} pictures can be refined; the first, {path}: {reason}"


def _digest(parts: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
