"""From untidy files to a collection: several processes, one index line per file, nothing dropped in silence."""

import hashlib
import json
import multiprocessing
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from artgan.datasets.collection import FORMAT_VERSION, HOLDOUT, TRAIN, pixel_hash
from artgan.datasets.duplicates import ExactDuplicates
from artgan.datasets.sources import SourceFile, find_files
from artgan.decode import WHITE, decode
from artgan.errors import DataError, StorageError
from artgan.progress import Listener, Progress, silent

KEPT, REJECTED, DUPLICATE = "kept", "rejected", "duplicate"
FITS = ("crop", "pad")
_SHEET_PICTURES = 100
_SHEET_TILE_PX = 96
_FILES_AHEAD_PER_WORKER = 16


@dataclass(frozen=True)
class Recipe:
    """How pictures are made alike.

    Attributes:
        height, width: of the collection.
        fit: `crop` fills the frame and cuts the middle; `pad` shows the whole work on the matte.
        min_side_px: a file with a shorter side is rejected as too small.
        matte: color under transparency and around padded works.
        holdout: share of the kept pictures that stays out of training.
        max_reject: share of rejected files above which the run fails.
    """

    height: int
    width: int
    fit: str = "crop"
    min_side_px: int = 0
    matte: tuple[int, int, int] = WHITE
    holdout: float = 0.05
    max_reject: float = 0.5


@dataclass
class Summary:
    """What a run did, in numbers."""

    folder: Path
    count: int
    classes: tuple[str, ...]
    holdout: int
    duplicates: int
    rejected: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class _Prepared:
    line: dict[str, Any]
    pixels: np.ndarray | None


def prepare(
    sources: Sequence[Path],
    out: Path,
    recipe: Recipe,
    *,
    workers: int = 1,
    overwrite: bool = False,
    use_labels: bool = True,
    on_progress: Listener = silent,
) -> Summary:
    """Make a collection of every usable picture below the sources.

    The result does not depend on the number of workers. It is built beside `out` and moved there when it is whole.

    Raises:
        DataError: nothing to read, too many rejected files (the index then stays beside `out`), or `out` exists.
        StorageError: no space or not writable.
    """
    if out.exists() and not overwrite:
        raise DataError(f"{out} exists already: choose another --out, or replace it with --force")
    files = find_files(sources)
    building = out.with_name(f".{out.name}.building")
    try:
        _check_space(out, len(files) * recipe.height * recipe.width * 3)
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir(parents=True)
        with (building / "images.npy").open("wb") as images:
            lines = _write_images(images, _prepare_files(files, recipe, workers), recipe, len(files), on_progress)
        _settle_labels(lines, use_labels)
        _split(lines, recipe.holdout)
        summary = _summarize(out, lines)
        _write_lines(building / "index.jsonl", lines)
        _check_rejects(summary, lines, recipe, building, out)
        _write_summary(building, summary, lines, recipe)
        write_contact_sheet(building, lines)
        _publish(building, out)
    except OSError as error:
        raise StorageError(f"cannot write the collection {out}: {error}") from error
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return summary


def fit_pixels(pixels: np.ndarray, recipe: Recipe) -> np.ndarray:
    """Resize uint8 `[h, w, 3]` to the recipe's frame with an antialiased Lanczos filter."""
    height, width, _ = pixels.shape
    image = Image.fromarray(pixels)
    if recipe.fit == "crop":
        scale = min(width / recipe.width, height / recipe.height)
        box_width, box_height = recipe.width * scale, recipe.height * scale
        left, top = (width - box_width) / 2, (height - box_height) / 2
        box = (left, top, left + box_width, top + box_height)
        return np.asarray(image.resize((recipe.width, recipe.height), Image.Resampling.LANCZOS, box=box))
    scale = min(recipe.width / width, recipe.height / height)
    inner = (max(1, round(width * scale)), max(1, round(height * scale)))
    canvas = Image.new("RGB", (recipe.width, recipe.height), recipe.matte)
    offset = ((recipe.width - inner[0]) // 2, (recipe.height - inner[1]) // 2)
    canvas.paste(image.resize(inner, Image.Resampling.LANCZOS), offset)
    return np.asarray(canvas)


def _prepare_file(task: tuple[SourceFile, Recipe]) -> _Prepared:
    """Do one file's whole work; runs in a worker process and never raises for a bad file."""
    file, recipe = task
    line: dict[str, Any] = {"name": file.name, "source": str(file.path), "status": KEPT, "reason": None, "label": file.label}
    try:
        data = file.path.read_bytes()
        line |= {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        picture = decode(data, matte=recipe.matte)
    except OSError as error:
        return _Prepared(line | {"status": REJECTED, "reason": f"cannot be read: {error.strerror}"}, None)
    except DataError as error:
        return _Prepared(line | {"status": REJECTED, "reason": str(error)}, None)
    line |= {
        "format": picture.format,
        "mode": picture.mode,
        "width": picture.width,
        "height": picture.height,
        "profile": picture.profile,
        "orientation": picture.orientation,
        "notes": list(picture.notes),
    }
    if min(picture.width, picture.height) < recipe.min_side_px:
        reason = f"too small: the short side is under {recipe.min_side_px} px"
        return _Prepared(line | {"status": REJECTED, "reason": reason}, None)
    pixels = fit_pixels(picture.pixels, recipe)
    return _Prepared(line | {"pixels_sha256": hashlib.sha256(pixels.tobytes()).hexdigest()}, pixels)


def _prepare_files(files: Sequence[SourceFile], recipe: Recipe, workers: int) -> Iterator[_Prepared]:
    """Yield results in the order of the files, with a bounded number of files in flight."""
    tasks = [(file, recipe) for file in files]
    if workers <= 1:
        yield from map(_prepare_file, tasks)
        return
    context = multiprocessing.get_context("spawn")  # forking a process that has threads can hang
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        ahead = workers * _FILES_AHEAD_PER_WORKER
        pending = [pool.submit(_prepare_file, task) for task in tasks[:ahead]]
        for index in range(len(tasks)):
            if index + ahead < len(tasks):
                pending.append(pool.submit(_prepare_file, tasks[index + ahead]))
            yield pending.pop(0).result()


def _write_images(
    images: BinaryIO, prepared: Iterator[_Prepared], recipe: Recipe, total: int, on_progress: Listener
) -> list[dict[str, Any]]:
    """Append kept pictures to an .npy file and return the index lines."""
    header_bytes = _write_header(images, total, recipe)
    duplicates = ExactDuplicates()
    lines, row = [], 0
    for done, item in enumerate(prepared, start=1):
        line = item.line
        if item.pixels is not None:
            original = duplicates.original_of(line["pixels_sha256"], line["name"])
            if original is None:
                line["row"] = row
                images.write(item.pixels.tobytes())
                row += 1
            else:
                line |= {"status": DUPLICATE, "reason": f"same pixels as {original}"}
        lines.append(line)
        on_progress(Progress("preparing", done, total, "files"))
    images.seek(0)
    assert _write_header(images, row, recipe) == header_bytes, "NumPy pads headers so that the count can change"
    return lines


def _write_header(images: BinaryIO, count: int, recipe: Recipe) -> int:
    header = {"descr": "|u1", "fortran_order": False, "shape": (count, recipe.height, recipe.width, 3)}
    np.lib.format.write_array_header_1_0(images, header)
    return images.tell()


def _settle_labels(lines: list[dict[str, Any]], use_labels: bool) -> None:
    """Keep folder labels when every kept picture has one; otherwise the collection has none."""
    kept = [line for line in lines if line["status"] == KEPT]
    if use_labels and all(line["label"] is not None for line in kept):
        return
    for line in lines:
        line["label"] = None


def _split(lines: list[dict[str, Any]], holdout: float) -> None:
    """Choose the hold-out by the pixels themselves: no order, name or seed can change it."""
    kept = sorted((line for line in lines if line["status"] == KEPT), key=lambda line: line["pixels_sha256"])
    count = round(len(kept) * holdout)
    for index, line in enumerate(kept):
        line["split"] = HOLDOUT if index < count else TRAIN


def _summarize(out: Path, lines: list[dict[str, Any]]) -> Summary:
    kept = [line for line in lines if line["status"] == KEPT]
    labels = {line["label"] for line in kept} - {None}
    return Summary(
        folder=out,
        count=len(kept),
        classes=tuple(sorted(labels)),
        holdout=sum(line["split"] == HOLDOUT for line in kept),
        duplicates=sum(line["status"] == DUPLICATE for line in lines),
        rejected=Counter(line["reason"] for line in lines if line["status"] == REJECTED),
    )


def _check_rejects(summary: Summary, lines: list[dict[str, Any]], recipe: Recipe, building: Path, out: Path) -> None:
    rejected = summary.rejected.total()
    share = rejected / len(lines)
    if share <= recipe.max_reject and summary.count >= 2:
        return
    kept_index = out.with_name(f"{out.name}.rejected.jsonl")
    os.replace(building / "index.jsonl", kept_index)
    reasons = "; ".join(f"{count}x {reason}" for reason, count in summary.rejected.most_common(3))
    if share > recipe.max_reject:
        problem = f"{rejected} of {len(lines)} files rejected, more than --max-reject {recipe.max_reject:g}"
    else:
        problem = f"only {summary.count} usable picture(s) in {len(lines)} files, at least 2 are needed"
    raise DataError(f"{problem} ({reasons or 'duplicates'}). Every file and its reason: {kept_index}")


def _write_lines(path: Path, lines: list[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for line in lines:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


def _write_summary(building: Path, summary: Summary, lines: list[dict[str, Any]], recipe: Recipe) -> None:
    content = {
        "format": FORMAT_VERSION,
        "height": recipe.height,
        "width": recipe.width,
        "count": summary.count,
        "classes": list(summary.classes),
        "pixel_hash": pixel_hash(line for line in lines if line["status"] == KEPT),
        "holdout": summary.holdout,
        "duplicates": summary.duplicates,
        "rejected": sum(summary.rejected.values()),
        "recipe": asdict(recipe),
    }
    (building / "collection.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def write_contact_sheet(folder: Path, lines: Sequence[dict[str, Any]]) -> None:
    """Draw up to 100 kept pictures, evenly spread and ordered by class, as `contact_sheet.png`."""
    kept = sorted((line for line in lines if line["status"] == KEPT), key=lambda line: (line["label"] or "", line["row"]))
    shown = [kept[i * len(kept) // min(len(kept), _SHEET_PICTURES)] for i in range(min(len(kept), _SHEET_PICTURES))]
    images = np.load(folder / "images.npy", mmap_mode="r", allow_pickle=False)
    columns = int(np.ceil(np.sqrt(len(shown))))
    rows = -(-len(shown) // columns)
    tile = (_SHEET_TILE_PX, max(1, round(_SHEET_TILE_PX * images.shape[1] / images.shape[2])))
    sheet = Image.new("RGB", (columns * tile[0], rows * tile[1]), WHITE)
    for place, line in enumerate(shown):
        picture = Image.fromarray(images[line["row"]]).resize(tile, Image.Resampling.LANCZOS)
        sheet.paste(picture, (place % columns * tile[0], place // columns * tile[1]))
    sheet.save(folder / "contact_sheet.png")


def _check_space(out: Path, needed_bytes: int) -> None:
    parent = out.resolve().parent
    parent.mkdir(parents=True, exist_ok=True)
    free_bytes = shutil.disk_usage(parent).free
    if free_bytes < needed_bytes:
        raise StorageError(
            f"{out} needs up to {needed_bytes / 1e9:.1f} GB, {parent} has {free_bytes / 1e9:.1f} GB free: "
            f"choose a smaller --resolution or another --out"
        )


def _publish(building: Path, out: Path) -> None:
    if out.exists():
        replaced = out.with_name(f".{out.name}.replaced")
        shutil.rmtree(replaced, ignore_errors=True)
        os.replace(out, replaced)
        os.replace(building, out)
        shutil.rmtree(replaced, ignore_errors=True)
    else:
        os.replace(building, out)
