"""From untidy files to a collection: several processes, one index line per file, nothing dropped in silence.

A killed preparation goes on where it was when the same command comes again, and the result is the same, byte for byte.
"""

import base64
import ctypes
import hashlib
import multiprocessing
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from artgan import object_store, targets
from artgan.datasets.collection import FORMAT_VERSION
from artgan.datasets.duplicates import fingerprint
from artgan.datasets.fates import KEPT, PASSED_OVER, REJECTED, TOO_SMALL
from artgan.datasets.journal import AGAIN, Entry, files_done, open_journal
from artgan.datasets.labels import with_labels
from artgan.datasets.recipe import Box, Recipe, cut_tile, fit_pixels, open_work, tile_boxes
from artgan.datasets.rights import stated_rights
from artgan.datasets.settle import Summary, settle
from artgan.datasets.source_file import SourceFile
from artgan.datasets.sources import Listing, Reading, list_files
from artgan.decode import MAX_PIXELS, installed
from artgan.errors import DataError, StorageError
from artgan.overview import SHEET_REASON, is_sheet
from artgan.progress import Listener, Progress, silent
from artgan.storage import only_one
from artgan.workers.tasks import Lost, Workers, over_workers

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _KEPT_BYTES = -1, -3, 128 << 20  # malloc.h
_SETTLED_KEYS = ("duplicates", "holdout", "max_reject")
_LINES_VERSION = 2  # of a journal's: since then with keypoints


@dataclass(frozen=True)
class Forecast:
    """What a preparation would do: files, how many of them a killed run has done, bytes needed and free."""

    num_files: int
    num_done: int
    needed_bytes: int
    free_bytes: int


def prepare(
    sources: Sequence[Path | str],
    out: Path,
    recipe: Recipe,
    *,
    workers: int | Workers = 1,
    max_pixels: int = MAX_PIXELS,
    overwrite: bool = False,
    use_labels: bool = True,
    unlabelled: str = "error",
    reading: Reading | None = None,
    on_progress: Listener = silent,
) -> Summary:
    """Make a collection of every usable picture of the sources.

    The result does not depend on the number of workers, nor on how often it was killed on the way.

    Args:
        sources: see `artgan.datasets.sources.list_files`.
        out: the collection; where it lies within a source, it is no part of it.
        recipe: how pictures are made alike.
        workers: processes; or a cluster, which must see local sources.
        max_pixels: a picture of more is rejected by its header; a JPEG that can be decoded small enough is not.
        overwrite: replace an existing collection.
        use_labels: take classes from folders and label files.
        unlabelled: what to do with a picture without a label: see `artgan.datasets.labels.with_labels`.
        reading: how sources are read.
        on_progress: told after each file.

    Raises:
        ConfigError: `out` is or holds a source, or is no former collection; or the cluster cannot be used or was lost.
        DataError: nothing to read, too many rejected files (the index then stays beside `out`), or `out` exists.
        StorageError: no space, not writable, or another process is making the same collection.
    """
    crew = Workers(workers) if isinstance(workers, int) else workers
    if out.exists() and not overwrite:
        raise DataError(f"{out} exists already: choose another --out, or replace it with --force")
    local = [Path(source) for source in sources if not object_store.is_url(str(source))]
    targets.check_apart(out, local)
    targets.check_former(out, targets.COLLECTION)
    listing = list_for(sources, out, reading, use_labels=use_labels, unlabelled=unlabelled)
    files = listing.files
    if out.exists():  # a list of paths or a link may lead into it
        targets.check_apart(out, _places(files))
    building, shape = _building(out), (recipe.height, recipe.width, 3)
    busy = StorageError(f"{out} is being made by another process: wait for it, stop it, or choose another --out")
    try:
        plan = _plan(files, recipe, max_pixels)
        _check_space(out, _forecast(plan, out, recipe))
        building.parent.mkdir(parents=True, exist_ok=True)
        with only_one(out.with_name(f".{out.name}.lock"), busy):
            journal = open_journal(building, plan, shape)
            try:
                left = files[journal.files :]
                for entries in _prepare_files(left, recipe, crew, max_pixels, local):
                    journal.append(entries)
                    on_progress(Progress("preparing", journal.files, len(files), "files"))
            finally:
                journal.close()
            rights = stated_rights(sources)
            summary = settle(building, journal.lines, recipe, use_labels, rights, out, listing.notes, on_progress)
            shutil.rmtree(building, ignore_errors=True)
    except OSError as error:
        raise StorageError(f"cannot write the collection {out}: {error}; what is done is kept for the next try") from error
    return summary


def list_for(
    sources: Sequence[Path | str],
    out: Path,
    reading: Reading | None = None,
    *,
    use_labels: bool = True,
    unlabelled: str = "error",
) -> Listing:
    """Return every file that a preparation of `out` would take up, with its label; see `prepare`."""
    reading = reading or Reading()
    made = (
        out,
        _building(out),
        *(out.with_name(name.format(out.name)) for name in (".{}.lock", ".replaced-{}", "{}.rejected.jsonl")),
    )
    listing = list_files(sources, replace(reading, leave_out=made))
    return with_labels(listing, unlabelled, reading.label_column, use_labels=use_labels)


def _places(files: Sequence[SourceFile]) -> set[Path]:
    """Return the folders in which files are, and those that links among them lead to."""
    paths = {file.path for file in files if isinstance(file.path, Path)}
    return {path.parent for path in paths} | {path.resolve().parent for path in paths if path.is_symlink()}


def forecast(files: Sequence[SourceFile], out: Path, recipe: Recipe, max_pixels: int = MAX_PIXELS) -> Forecast:
    """Return what `prepare` would do, without reading a picture."""
    return _forecast(_plan(files, recipe, max_pixels), out, recipe)


def _forecast(plan: Mapping[str, Any], out: Path, recipe: Recipe) -> Forecast:
    count, shape = len(plan["files"]), (recipe.height, recipe.width, 3)
    existing = next(folder for folder in (out.resolve(), *out.resolve().parents) if folder.exists())
    done = files_done(_building(out), plan, shape)
    needed = (count - done) * recipe.tiles**2 * recipe.height * recipe.width * 3
    return Forecast(count, done, needed, shutil.disk_usage(existing).free)


def _building(out: Path) -> Path:
    return out.with_name(f".{out.name}.building")


def _plan(files: Sequence[SourceFile], recipe: Recipe, max_pixels: int) -> dict[str, Any]:
    """Return all that the lines and pixels of a journal depend on; duplicates and splits are settled after it."""
    look = {key: value for key, value in asdict(recipe).items() if key not in _SETTLED_KEYS}
    if max_pixels != MAX_PIXELS:
        look["max_pixels"] = max_pixels
    stamps = [[*file.stamp(), file.label] for file in files]
    return {"format": FORMAT_VERSION, "lines": _LINES_VERSION, "readers": installed(), "recipe": look, "files": stamps}


def _check_space(out: Path, expected: Forecast) -> None:
    if expected.free_bytes < expected.needed_bytes:
        raise StorageError(
            f"{out} needs up to {expected.needed_bytes / 1e9:.1f} GB, its disk has {expected.free_bytes / 1e9:.1f} GB free: "
            f"choose a smaller --resolution or another --out"
        )


def _prepare_file(file: SourceFile, recipe: Recipe, max_pixels: int) -> list[Entry]:
    """Do one file's whole work; runs in a worker process and never raises for a bad file."""
    line: dict[str, Any] = {"name": file.name, "source": file.where, "status": KEPT, "reason": None, "label": file.label}
    if file.fate is not None:
        return [(line | asdict(file.fate), None)]
    try:
        data = file.read()
    except OSError as error:
        return _rejected(line | {AGAIN: True}, f"cannot be read: {error.strerror}")
    except DataError as error:
        return _rejected(line | {AGAIN: True}, str(error))
    line |= {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    if is_sheet(data):
        return [(line | {"status": PASSED_OVER, "reason": SHEET_REASON}, None)]
    try:
        work = open_work(data, recipe, max_pixels, file.suffix)
    except DataError as error:
        return _rejected(line, str(error))
    picture = work.picture
    line |= {
        "format": picture.format,
        "mode": picture.mode,
        "width": picture.width,
        "height": picture.height,
        "profile": picture.profile,
        "orientation": picture.orientation,
        "notes": list(picture.notes),
    }
    pixels, extent, cut = work.pixels, work.extent, work.cut
    if any(cut):
        line["notes"].append(f"uniform borders cut: left {cut[0]}, top {cut[1]}, right {cut[2]}, bottom {cut[3]} px")
    height, width, _ = pixels.shape
    if min(width, height) < recipe.min_side_px:
        return _rejected(line, f"{TOO_SMALL}: the short side is under {recipe.min_side_px} px")
    if not recipe.min_aspect <= width / height <= recipe.max_aspect:
        return _rejected(line, f"its shape, width / height, is not within {recipe.min_aspect:g} to {recipe.max_aspect:g}")
    twin = fingerprint(pixels)
    line["perceptual_hash"] = f"{twin.hash:016x}"
    for key, value in (("proxy", twin.proxy.tobytes()), ("keypoints", twin.keypoints.to_bytes())):
        line[key] = base64.b64encode(value).decode()
    return _fitted(line, pixels, extent, recipe)


def _fitted(line: dict[str, Any], pixels: np.ndarray, extent: Box, recipe: Recipe) -> list[Entry]:
    """Return the whole work, which covers that extent of its pixels, in the frame; or its tiles."""
    left, top, right, bottom = extent
    boxes = tile_boxes(bottom - top, right - left, recipe)
    if len(boxes) == 1:
        return [_with_hash(line, fit_pixels(pixels, recipe, extent))]
    entries = []
    for index, tile in enumerate(boxes):
        box = (tile[0] + left, tile[1] + top, tile[2] + left, tile[3] + top)
        place = {"tile": [index, len(boxes)], "box": [round(side, 2) for side in box]}
        entries.append(_with_hash(line | place, cut_tile(pixels, box, recipe)))
    return entries


def _with_hash(line: dict[str, Any], pixels: np.ndarray) -> Entry:
    return line | {"pixels_sha256": hashlib.sha256(pixels.tobytes()).hexdigest()}, pixels


def _rejected(line: dict[str, Any], reason: str) -> list[Entry]:
    return [(line | {"status": REJECTED, "reason": reason}, None)]


def _prepare_files(
    files: Sequence[SourceFile], recipe: Recipe, workers: Workers, max_pixels: int = MAX_PIXELS, sees: Sequence[Path] = ()
) -> Iterator[list[Entry]]:
    """Yield results in the order of the files; one that kills its process, by a decoder's fault, is rejected like others."""
    work = partial(_worker, recipe, max_pixels)
    for index, entries in over_workers(work, files, workers, in_order=True, sees=sees):
        if not isinstance(entries, Lost):
            yield entries
            continue
        line = {"name": files[index].name, "source": files[index].where, "label": files[index].label}
        yield _rejected(line | {AGAIN: True}, "kills the process that decodes it, or needs more memory than there is")


def _worker(recipe: Recipe, max_pixels: int) -> Callable[[SourceFile], list[Entry]]:
    if multiprocessing.parent_process() is not None:  # a process of this work's own
        _keep_freed_memory()
    return partial(_prepare_file, recipe=recipe, max_pixels=max_pixels)


def _keep_freed_memory() -> None:
    """Tell glibc to keep what one picture frees for the next: handing it back and faulting it in again costs a third."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
        mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES // 2)
