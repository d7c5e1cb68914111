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
from typing import Any

import numpy as np
import torch
from PIL import Image

import artgan
from artgan.decode import decode_file
from artgan.errors import ConfigError, DataError, StorageError
from artgan.exclusive import only_one
from artgan.images import COMPOSITE, TRAINED, read_credits, read_metadata
from artgan.progress import Listener, Progress, silent
from artgan.refine.color import Map
from artgan.refine.encode import SUFFIX, write_whole
from artgan.refine.feedforward import fitted_styles, network_sha256
from artgan.refine.finishing import Finisher, FinishTask
from artgan.refine.pipeline import check_size, size_after
from artgan.refine.recipe import Recipe
from artgan.refine.sources import find_pictures, mask_identity
from artgan.refine.style_card import StyleSource
from artgan.refine.styling import Outcome, StyleTask, Styling, make_stylist
from artgan.refine.workers import over_processes
from artgan.sealed import file_sha256

WORK_FOLDER = ".unfinished"
_BATCH_PIXELS_ON_GPU = 16 * 256 * 256


@dataclass(frozen=True)
class Materials:
    """What a recipe is applied with.

    Attributes:
        styles, weights: the styles and how much each counts.
        masks: none, one, or one for each style; see `artgan.refine.sources.mask_for`.
        palette: Oklab samples `[N, 3]` for `match`, or None.
        palette_name: for the metadata.
        network: a fitted network's folder, for the engine `feedforward`.
    """

    styles: Sequence[StyleSource] = ()
    weights: Sequence[float] = ()
    masks: Sequence[Path] = ()
    palette: np.ndarray | None = None
    palette_name: str | None = None
    network: Path | None = None


@dataclass(frozen=True)
class Item:
    """One picture of a run: where it is, its result's file name, its identity, its size in the result, and its style's key."""

    path: Path
    name: str
    sha256: str
    height: int
    width: int
    key: str


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
        what was written and what failed; a failed picture does not stop the others.

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


def plan(inputs: Sequence[Path], recipe: Recipe, materials: Materials) -> tuple[list[Item], dict[Path, str]]:
    """Return the pictures to refine and those that cannot be, from their headers."""
    paths = find_pictures(inputs)
    look = _look_hash(recipe, materials)
    items: list[Item] = []
    failed: dict[Path, str] = {}
    for path, name in zip(paths, unique_names(paths, SUFFIX[recipe.output.format]), strict=True):
        try:
            height, width = size_after(*_header_size(path), recipe.output.size_px)
            if recipe.styles:
                check_size(height, width, path.name)
            sha256 = file_sha256(path)
        except (DataError, OSError) as error:
            failed[path] = str(error)
            continue
        key = hashlib.sha256(f"{look}:{sha256}:{path.stem if materials.masks else ''}".encode()).hexdigest()[:32]
        items.append(Item(path, name, sha256, height, width, key))
    return items, failed


def check_materials(recipe: Recipe, materials: Materials) -> None:
    """Check that a recipe has what it needs.

    Raises:
        ConfigError: it lacks a style, a palette or a network, or masks and styles do not pair.
    """
    look = recipe.style
    if recipe.styles and look.engine == "optimize" and not materials.styles:
        raise ConfigError("refine needs --style PICTURE|COLLECTION; for color and detail alone add --engine none")
    if recipe.styles and look.engine == "feedforward" and materials.network is None:
        raise ConfigError(
            "--engine feedforward needs --network FOLDER, made by: artgan refine SAMPLES --style PICTURE --fit FOLDER"
        )
    if recipe.color.mode == "match" and materials.palette is None:
        raise ConfigError("--color match needs --palette PICTURE|COLLECTION|COLORS, or --style to take the colors from")
    if recipe.styles and look.engine == "feedforward" and materials.network is not None:
        _check_network(materials.network, materials)
    if len(materials.masks) not in (0, 1, len(materials.styles)):
        raise ConfigError(
            f"{len(materials.masks)} masks and {len(materials.styles)} styles: give one mask, or one for each style"
        )
    if len(materials.masks) > 1 and len(set(materials.weights)) > 1:
        raise ConfigError("--style-weights with a mask for each style: the masks say how much each counts; leave one out")
    if materials.masks and look.loss == "sliced":
        raise ConfigError("--mask needs --style-loss gram, moments or wasserstein")
    if look.nearest and all(style.count == 1 for style in materials.styles):
        raise ConfigError("--nearest needs a collection or a folder as --style")


def _check_network(network: Path, materials: Materials) -> None:
    """Check that a fitted network paints the styles that are named, which its pictures are measured by."""
    if len(materials.masks) > 1:
        raise ConfigError("--engine feedforward takes one --mask: its network paints one look")
    fitted = fitted_styles(network)
    if materials.styles and [style.sha256 for style in materials.styles] != [sha256 for _, sha256 in fitted]:
        names = ", ".join(name for name, _ in fitted)
        raise ConfigError(f"--network {network}: was fitted to {names}; leave --style out, or give the same file")


def _check_out(paths: Sequence[Path], out: Path) -> None:
    folder = out.resolve()
    for path in paths:
        if folder in (path.parent.resolve(), path.resolve().parent):
            raise ConfigError(f"--out {out}: holds {path.name}, which is an input; the originals are never overwritten")


def unique_names(paths: Sequence[Path], suffix: str) -> list[str]:
    """Return an output name for each input; the same stem from two folders gets a number."""
    names: dict[str, None] = {}
    for path in paths:
        name, number = f"{path.stem}{suffix}", 2
        while name in names or name in ("sheet.png", "refine.json"):
            name, number = f"{path.stem}-{number}{suffix}", number + 1
        names[name] = None
    return list(names)


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
    keys = {item.path: item.key for item in missing}
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
    applied = _applied(recipe, materials)
    journal = _Journal(work / "finished.jsonl", _digest([json.dumps(applied, sort_keys=True), *[item.key for item in items]]))
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
        metadata = origin | {"refine": applied | before}
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


def _applied(recipe: Recipe, materials: Materials) -> dict[str, Any]:
    """Return what the metadata says about a look: enough to apply it again."""
    applied: dict[str, Any] = {"recipe": recipe.as_dict()}
    if materials.styles:
        applied["styles"] = [
            {"name": style.name, "sha256": style.sha256, "weight": weight}
            for style, weight in zip(materials.styles, materials.weights, strict=True)
        ]
    if materials.palette_name and materials.palette is not None:
        applied["palette"] = materials.palette_name
        applied["palette_sha256"] = hashlib.sha256(np.ascontiguousarray(materials.palette).tobytes()).hexdigest()
    if materials.network:
        applied["network_sha256"] = network_sha256(materials.network)
    if materials.masks:
        applied["masks"] = [mask.name for mask in materials.masks]
    return applied


def _look_hash(recipe: Recipe, materials: Materials) -> str:
    """Return the identity of everything that a styled picture depends on, besides the picture."""
    parts: dict[str, Any] = {"style": None, "size_px": recipe.output.size_px, "version": artgan.__version__}
    if recipe.styles:
        parts |= {
            "style": recipe.style.model_dump(mode="json"),
            "seed": recipe.seed,
            "styles": [style.sha256 for style in materials.styles],
            "weights": list(materials.weights),
            "masks": [mask_identity(mask) for mask in materials.masks],
            "network": network_sha256(materials.network) if materials.network else None,
        }
    return _digest([json.dumps(parts, sort_keys=True)])


def _header_size(path: Path) -> tuple[int, int]:
    """Return (height, width), upright, without decoding; a file that cannot be opened is decoded for its error."""
    try:
        with Image.open(path) as image:
            upright = image.getexif().get(0x0112, 1) < 5
            return (image.height, image.width) if upright else (image.width, image.height)
    except Exception:  # whatever a damaged header makes Pillow raise; the careful way says what is wrong
        height, width = decode_file(path).pixels.shape[:2]
        return height, width


def batches_of(items: Sequence[Item], device: torch.device) -> list[list[Item]]:
    """Group pictures of one size: as many as a GPU likes, and one by one on a CPU, where a batch gains nothing."""
    groups: dict[tuple[int, int], list[Item]] = {}
    for item in items:
        groups.setdefault((item.height, item.width), []).append(item)
    batches = []
    for (height, width), group in groups.items():
        limit = 1 if device.type == "cpu" else max(1, _BATCH_PIXELS_ON_GPU // (height * width))
        batches += [group[start : start + limit] for start in range(0, len(group), limit)]
    return batches


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
