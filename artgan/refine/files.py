"""A run over picture files: resumable after any kind of stop, spread over processes and machines, one look for all.

Two passes. The first gives each picture its style and keeps the result, named by a hash of all that it depends on, in
`OUT/.unfinished`. The second knows the whole series: it fits the color map to all pictures and writes the files. A run that
was stopped begins again with what is there; a picture's bytes depend on the picture, the look and (for color) the series,
not on order, processes or stops. They may depend on the threads that a process has, by the library's products alone:
SqueezeNet's 1x1 convolutions do, and on some processors (an Intel Xeon) those of any network and Gram matrices.
"""

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

import artgan
from artgan.errors import DataError, StorageError
from artgan.metadata import COMPOSITE, TRAINED, read_credits, read_metadata, resolution_of
from artgan.progress import Listener, Progress, silent
from artgan.refine.canvas import Source
from artgan.refine.color import Map
from artgan.refine.encode import MEDIA_KIND, save
from artgan.refine.materials import Materials, applied, check_materials
from artgan.refine.plan import REPORT, SHEET, Item, plan
from artgan.refine.recipe import OutputLook, Recipe
from artgan.refine.sequence import Passes, batches_of
from artgan.refine.sources import find_pictures
from artgan.refine.store import FolderStore
from artgan.signing import Signature, sign_file
from artgan.storage import only_one, write_whole
from artgan.targets import REFINED, check_apart, check_replaceable
from artgan.workers.tasks import ALONE, Lost, Workers, over_workers

WORK_FOLDER = ".unfinished"
_LOST = "its process was ended from outside, most likely for want of memory: give fewer --jobs, --tile 512 or a smaller --size"


@dataclass
class Result:
    """What a run did.

    Attributes:
        written: source -> result.
        failed: source -> reason.
        waiting: how many pictures other shards still have to style.
        color_map: of the whole series, or None.
        lost: what results lack of their sources -> file names of those results.
    """

    written: dict[Path, Path] = field(default_factory=dict)
    failed: dict[Path, str] = field(default_factory=dict)
    waiting: int = 0
    color_map: Map | None = None
    lost: dict[str, list[str]] = field(default_factory=dict)


def refine_files(
    inputs: Sequence[Path],
    out: Path,
    recipe: Recipe,
    materials: Materials,
    *,
    device: torch.device,
    workers: Workers = ALONE,
    shard: tuple[int, int] = (1, 1),
    signature: Signature | None = None,
    on_progress: Listener = silent,
) -> Result:
    """Refine pictures as one series.

    Args:
        inputs: pictures and folders of pictures.
        out: an existing folder.
        recipe: the look.
        materials: what it is applied with.
        device: where style is computed.
        workers: processes on a CPU, or a cluster, which must see `inputs` and `out`.
        shard: (i, n): style every n-th picture, from the i-th (counted from 1). The run that finds all pictures styled,
            whichever it is, goes on to color and files.
        signature: signs every result, with its source as an ingredient.
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
    check_apart(out, [*inputs, *find_pictures(inputs)])
    items, failed = plan(inputs, recipe, materials)
    if not items:
        raise DataError(_all_failed(failed))
    check_replaceable([*(out / item.file_name for item in items), out / SHEET, out / REPORT], kind=REFINED)
    work = out / WORK_FOLDER
    _make(work)
    store = FolderStore(work)
    passes = Passes(recipe, materials, str(device), store)
    workers = workers if device.type == "cpu" or workers.cluster is not None else ALONE
    with _witness(work, workers) as sees:
        failed |= _first_pass(items, passes, store, workers, sees, shard, on_progress)
    elsewhere = {item.path: store.failure(item.key) for item in items if item.path not in failed}
    failed |= {path: reason for path, reason in elsewhere.items() if reason is not None}
    items = [item for item in items if item.path not in failed]
    waiting = sum(not store.has(item.key) for item in items)
    if waiting:
        return Result(failed=failed, waiting=waiting)
    if not items:
        raise DataError(_all_failed(failed))
    busy = StorageError(f"{work}: another run is finishing this series; wait for it")
    with only_one(work / "finishing.lock", busy), _witness(work, workers) as sees:
        result = _second_pass(items, passes, out, workers, sees, signature, on_progress)
    result.failed |= failed
    return result


def forget_run(out: Path) -> None:
    """Remove what a finished run kept to go on with; a run that is stopped before this goes on where it was."""
    shutil.rmtree(out / WORK_FOLDER, ignore_errors=True)


@contextmanager
def _witness(work: Path, workers: Workers) -> Iterator[list[Path]]:
    """Yield what every machine of a cluster must see: a new file where results go."""
    if workers.cluster is None:
        yield []
        return
    witness = work / f"seen-{uuid.uuid4().hex}"
    write_whole(witness, b"")
    try:
        yield [witness]
    finally:
        witness.unlink(missing_ok=True)


def _first_pass(
    items: Sequence[Item],
    passes: Passes,
    store: FolderStore,
    workers: Workers,
    sees: Sequence[Path],
    shard: tuple[int, int],
    on_progress: Listener,
) -> dict[Path, str]:
    """Take this shard's pictures through the first pass; return the failures."""
    mine = items[shard[0] - 1 :: shard[1]]
    missing = {item.key: item for item in mine if not store.has(item.key)}
    if not missing:
        return {}
    device = torch.device(passes.device)
    batches = batches_of(mine, device)
    batches = [batch for batch in batches if any(item.key in missing for item in batch)]  # whole ones: results stay the same
    passes.prepare(list(dict.fromkeys(item.size for item in missing.values())), on_progress)
    done = len(mine) - sum(map(len, batches))
    paths: dict[str, list[Path]] = {}
    for item in mine:  # a batch may hold pictures that have been through already, and two files may be the same picture
        paths.setdefault(item.key, []).append(item.path)
    failed: dict[Path, str] = {}
    workers = workers.for_tasks(len(batches))
    make = partial(passes.first, silent if workers.are_elsewhere else on_progress, done, len(mine))
    for index, outcome in over_workers(make, batches, workers, threads=torch.get_num_threads(), sees=sees):
        reasons = dict.fromkeys((item.key for item in batches[index]), _LOST) if isinstance(outcome, Lost) else outcome
        done += len(batches[index])
        on_progress(Progress("style", done, len(mine), "pictures"))
        for key, reason in reasons.items():
            failed |= dict.fromkeys(paths[key], reason)
            store.put_failure(key, reason)
    return failed


@dataclass(frozen=True)
class _Writing:
    """One result: from which picture, where to, and what its file says about it."""

    item: Item
    target: Path
    metadata: dict[str, Any]
    source_type: str


@dataclass(frozen=True)
class _Written:
    """How writing went: the reason why it failed, or what the result lacks of its source."""

    error: str | None
    lost: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Writer:
    """What a process needs for the second pass: all of it pickles."""

    passes: Passes
    keys: tuple[str, ...]
    signature: Signature | None

    def worker(self) -> Callable[[_Writing], _Written]:
        """Fit to the series and return what writes a result."""
        finish = self.passes.second(self.keys)
        output = self.passes.recipe.output

        def work(writing: _Writing) -> _Written:
            try:
                done = finish(writing.item)
                profile = done.source.profile if output.profile == "source" else None
                kept = done.own is not None and profile is not None
                save(
                    writing.target,
                    done.own if done.own is not None and kept else done.pixels,
                    output.format,
                    output.dither,
                    profile,
                    writing.metadata,
                    writing.source_type,
                    alpha=done.alpha,
                    dpi=resolution_of(writing.item.path),
                    in_profile=kept,
                )
                if self.signature is not None:
                    kind = MEDIA_KIND[output.format]
                    said, source_type = writing.metadata, writing.source_type
                    sign_file(writing.target, kind, said, self.signature, source_type, writing.item.path)
            except DataError as error:
                return _Written(str(error))
            return _Written(None, _losses(done.source, output))

        return work


def _losses(source: Source, output: OutputLook) -> tuple[str, ...]:
    """Return what a result lacks of its source, one sentence a kind."""
    lost = []
    if any(note.startswith(("first of", "page ")) for note in source.notes):
        lost.append("has several pictures, of which one was refined")
    if output.format == "png" and source.pixels.dtype != np.uint8:
        lost.append("has 16 bits a channel, written with 8; --format png16 or tiff16 keeps them")
    if any(note.endswith("-bit scaled to 8") for note in source.notes):
        lost.append("has more than 8 bits a channel, of which 8 could be read")
    if output.profile == "source" and source.profile_space not in ("", "RGB"):
        lost.append("has a color profile for gray, inks or Lab, which RGB cannot carry; written in sRGB")
    return tuple(lost)


def _second_pass(
    items: Sequence[Item],
    passes: Passes,
    out: Path,
    workers: Workers,
    sees: Sequence[Path],
    signature: Signature | None,
    on_progress: Listener,
) -> Result:
    """Fit to the series and write the files."""
    keys = tuple(item.key for item in items)
    said = applied(passes.recipe, passes.materials)
    signer = [] if signature is None else [signature.chain]
    series = keys if passes.recipe.color.acts else ()  # without a color step a result does not depend on the others
    journal = _Journal(out / WORK_FOLDER / "finished.jsonl", _digest([json.dumps(said, sort_keys=True), *series, *signer]))
    result = Result(color_map=passes.color_map(keys))
    writings = []
    for item in items:
        target = out / item.file_name
        if journal.has(item) and target.is_file():
            result.written[item.path] = target
            continue
        try:
            writings.append(_writing(item, target, said))
        except DataError as error:
            result.failed[item.path] = str(error)
    make, workers = _Writer(passes, keys, signature).worker, workers.for_tasks(len(writings))
    for index, outcome in over_workers(make, writings, workers, threads=torch.get_num_threads(), sees=sees):
        item, written = writings[index].item, _Written(_LOST) if isinstance(outcome, Lost) else outcome
        if written.error is None:
            result.written[item.path] = writings[index].target
            journal.add(item, written.lost)
        else:
            result.failed[item.path] = written.error
        on_progress(Progress("color and detail", len(result.written) + len(result.failed), len(items), "pictures"))
    result.written = {item.path: result.written[item.path] for item in items if item.path in result.written}
    for target in result.written.values():
        for sentence in journal.lost.get(target.name, ()):
            result.lost.setdefault(sentence, []).append(target.name)
    return result


def _writing(item: Item, target: Path, said: dict[str, Any]) -> _Writing:
    origin = read_metadata(item.path)
    if origin is None:
        origin = {"kind": "picture", "source": item.path.name, "version": artgan.__version__} | read_credits(item.path)
    before = {"before": origin["refine"]} if "refine" in origin else {}
    source_type = COMPOSITE if origin.get("kind") == "picture" else TRAINED
    return _Writing(item, target, origin | {"refine": said | before}, source_type)


class _Journal:
    """Finished files and what they lack, one a line; another run's journal does not count, nor another picture's file."""

    def __init__(self, path: Path, identity: str) -> None:
        self.path, self.identity = path, identity
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        entries = [json.loads(entry) for line in lines for mark, _, entry in [line.partition(" ")] if mark == identity]
        self.lost: dict[str, list[str]] = {entry["name"]: entry["lost"] for entry in entries}
        self._keys = {entry["name"]: entry.get("key") for entry in entries}

    def has(self, item: Item) -> bool:
        return self._keys.get(item.file_name) == item.key

    def add(self, item: Item, lost: Sequence[str]) -> None:
        self.lost[item.file_name], self._keys[item.file_name] = list(lost), item.key
        entry = {"name": item.file_name, "key": item.key, "lost": list(lost)}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(f"{self.identity} {json.dumps(entry)}\n")


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
