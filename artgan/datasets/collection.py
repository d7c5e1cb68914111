"""The prepared collection on disk: `collection.json`, `images.npy`, `index.jsonl`, `contact_sheet.png`."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from artgan.datasets.recipe import Recipe
from artgan.decode import WHITE
from artgan.errors import DataError
from artgan.progress import Listener, Progress, silent
from artgan.storage import check_format

FORMAT_VERSION = 1
TRAIN, HOLDOUT = "train", "holdout"
SUMMARY, IMAGES = "collection.json", "images.npy"


@dataclass(frozen=True)
class Collection:
    """A prepared collection, open for reading.

    Attributes:
        folder: where it is.
        name: its folder's name.
        images: uint8 `[N, H, W, 3]`, memory-mapped.
        classes: class names; empty when the collection has no labels.
        labels: int64 `[N]`, indices into `classes`; zeros when it has none.
        train_rows, holdout_rows: int64 row numbers of the two splits.
        pixel_hash: identity of pixels, labels and splits; checkpoints and metric caches carry it.
        rights: what its sources state about rights, a line each.
        earlier: identities that it had before works were left out, the oldest first.
    """

    folder: Path
    name: str
    images: np.ndarray
    classes: tuple[str, ...]
    labels: np.ndarray
    train_rows: np.ndarray
    holdout_rows: np.ndarray
    pixel_hash: str
    rights: tuple[str, ...] = ()
    earlier: tuple[str, ...] = ()

    @property
    def height(self) -> int:
        return self.images.shape[1]

    @property
    def width(self) -> int:
        return self.images.shape[2]


def is_collection(path: Path) -> bool:
    """Return whether a folder is a prepared collection."""
    return (path / SUMMARY).is_file()


def pixel_hash(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return the identity of a collection from its kept index lines, in row order."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(f"{row['pixels_sha256']} {row['split']} {row['label']}\n".encode())
    return digest.hexdigest()


def open_collection(folder: Path) -> Collection:
    """Open a collection and check that its parts fit together.

    Raises:
        DataError: the folder is missing or no collection, or its parts are damaged or do not fit.
    """
    if not is_collection(folder):
        state = "is not a prepared collection" if folder.exists() else "does not exist"
        raise DataError(f"collection {folder} {state}. Make one with: artgan prepare SOURCE --out {folder} --resolution 64")
    summary = _read_json(folder / SUMMARY)
    try:
        check_format(summary, FORMAT_VERSION, f"collection {folder}", DataError)
        rows = [line for line in read_index(folder) if line["status"] == "kept"]
        classes = tuple(str(name) for name in summary["classes"])
        shape = (int(summary["count"]), int(summary["height"]), int(summary["width"]), 3)
        label_of = {name: index for index, name in enumerate(classes)}
        labels = np.array([label_of[row["label"]] if classes else 0 for row in rows], dtype=np.int64)
        splits = np.array([row["split"] for row in rows])
        rights = tuple(str(line) for line in summary.get("rights", ()))
        earlier = tuple(str(identity) for identity in summary.get("earlier", ()))
        expected_hash, actual_hash = summary["pixel_hash"], pixel_hash(rows)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"collection {folder} is damaged: {error!r} in collection.json or index.jsonl; prepare it again"
        ) from error
    images = _map_images(folder / IMAGES, shape)
    if len(rows) != shape[0] or expected_hash != actual_hash:
        raise DataError(f"collection {folder} is damaged: index.jsonl does not fit collection.json; prepare it again")
    return Collection(
        folder=folder,
        name=folder.resolve().name,
        images=images,
        classes=classes,
        labels=labels,
        train_rows=np.flatnonzero(splits == TRAIN),
        holdout_rows=np.flatnonzero(splits == HOLDOUT),
        pixel_hash=expected_hash,
        rights=rights,
        earlier=earlier,
    )


def recipe_of(collection: Collection) -> Recipe:
    """Return how the pictures of a collection were made alike."""
    stored = _read_json(collection.folder / SUMMARY).get("recipe")
    known = {field.name for field in fields(Recipe)}
    try:
        values = {name: value for name, value in dict(stored or {}).items() if name in known}
        values |= {"height": collection.height, "width": collection.width, "matte": tuple(values.get("matte", WHITE))}
        return Recipe(**values)
    except (TypeError, ValueError) as error:
        raise DataError(f"{collection.folder / 'collection.json'}: its recipe cannot be read; prepare it again") from error


def damaged_rows(collection: Collection, on_progress: Listener = silent) -> list[str]:
    """Hash every picture again and return the names of those whose pixels are not what the index says."""
    kept = [line for line in read_index(collection.folder) if line["status"] == "kept"]
    damaged = []
    for row, line in enumerate(kept):
        if hashlib.sha256(collection.images[row].tobytes()).hexdigest() != line["pixels_sha256"]:
            damaged.append(line["name"])
        on_progress(Progress("checking", row + 1, len(kept), "pictures"))
    return damaged


def read_index(folder: Path) -> list[dict[str, Any]]:
    """Return the lines of `index.jsonl`, one for every source file."""
    try:
        with (folder / "index.jsonl").open(encoding="utf-8") as file:
            return [json.loads(line) for line in file]
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{folder / 'index.jsonl'} cannot be read ({error}); prepare the collection again") from error


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} cannot be read ({error}); prepare the collection again") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected an object, got a {type(content).__name__}; prepare the collection again")
    return content


def _map_images(path: Path, shape: tuple[int, int, int, int]) -> np.ndarray:
    try:
        # Copy-on-write: torch wants writable memory, the file must never change.
        images = np.load(path, mmap_mode="c", allow_pickle=False)
    except Exception as error:  # whatever a damaged file makes the reader raise
        raise DataError(f"{path} cannot be read ({error}); prepare the collection again") from error
    if images.dtype != np.uint8 or images.shape != shape:
        raise DataError(f"{path}: expected uint8 {shape}, got {images.dtype} {images.shape}; prepare the collection again")
    return images
