"""A collection out again: a StyleGAN `dataset.zip`, or a plain folder of PNGs with one sub-folder per class."""

import csv
import io
import json
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from PIL import Image

import artgan
from artgan import targets
from artgan.datasets.collection import Collection
from artgan.errors import ConfigError, DataError, StorageError
from artgan.progress import Listener, Progress, silent
from artgan.storage import building

_FILES_PER_FOLDER = 1000
_MAX_FOLDER = 80  # letters: a name of 255 bytes is the limit of most drives
_MAX_DIGITS = 3  # years are names: as numbers they would make a dataset of two thousand classes
_EARLIEST = (1980, 1, 1, 0, 0, 0)  # the first date that a zip can hold: equal collections make equal archives
_EXPORTED = re.compile(r"\d{5,}/img\d{8,}\.png|dataset\.json")


def export(collection: Collection, out: Path, *, overwrite: bool = False, on_progress: Listener = silent) -> int:
    """Write all pictures of a collection, the hold-out too, and return how many.

    Args:
        collection: what to write.
        out: ends in `.zip` for a StyleGAN dataset (stored PNGs and `dataset.json` with the labels); otherwise a folder.
        overwrite: replace what is there.
        on_progress: told after each picture.

    Raises:
        ConfigError: `out` is, holds or lies within the collection, or is no former export.
        DataError: `out` exists.
        StorageError: it cannot be written.
    """
    if out.exists() and not overwrite:
        raise DataError(f"{out} exists already: choose another --out, or replace it with --force")
    targets.check_apart(out, [collection.folder])
    if out.suffix.lower() == ".zip":
        targets.output_file("--out", out, (".zip",))
        _check_former(out)
    else:
        targets.check_former(out, targets.EXPORT)
    write = _write_zip if out.suffix.lower() == ".zip" else _write_folder
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with building(out) as partial:
            write(collection, partial, on_progress)
    except OSError as error:
        raise StorageError(f"cannot write {out}: {error}") from error
    return len(collection.images)


def _check_former(archive: Path) -> None:
    """Refuse to replace a zip that is no export: originals often lie in one.

    Exports are told by the date that all their members have, and by their names.

    Raises:
        ConfigError: it is another zip, or a damaged one.
    """
    if not archive.exists():
        return
    with archive.open("rb") as file:
        if file.read(2) != b"PK":
            return
    try:
        with zipfile.ZipFile(archive) as opened:
            ours = all(info.date_time == _EARLIEST and _EXPORTED.fullmatch(info.filename) for info in opened.infolist())
    except (zipfile.BadZipFile, OSError, ValueError):
        ours = False
    if not ours:
        raise ConfigError(
            f"--out {archive}: is no exported collection that artgan made, and --force replaces nothing else; choose another "
            f"--out, or remove the file yourself"
        )


def _write_zip(collection: Collection, path: Path, on_progress: Listener) -> None:
    names = [f"{row // _FILES_PER_FOLDER:05d}/img{row:08d}.png" for row in range(len(collection.images))]
    numbers = _numbers(collection.classes)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for row, name in enumerate(names):
            archive.writestr(zipfile.ZipInfo(name, _EARLIEST), _png(collection, row))
            on_progress(Progress("exporting", row + 1, len(names), "pictures"))
        content: dict[str, Any] = {"labels": None}
        if collection.classes:
            content["labels"] = [[name, numbers[collection.labels[row]]] for row, name in enumerate(names)]
            content["classes"] = {str(number): name for number, name in zip(numbers, collection.classes, strict=True)}
        archive.writestr(zipfile.ZipInfo("dataset.json", _EARLIEST), json.dumps(content))


def _write_folder(collection: Collection, path: Path, on_progress: Listener) -> None:
    folders = folder_names(collection.classes) or [""]
    names = [str(PurePosixPath(folders[label], f"{row:08d}.png")) for row, label in enumerate(collection.labels)]
    path.mkdir(parents=True)
    for row, name in enumerate(names):
        (path / name).parent.mkdir(exist_ok=True)
        (path / name).write_bytes(_png(collection, row))
        on_progress(Progress("exporting", row + 1, len(names), "pictures"))
    facts = {"format": 1, "artgan": artgan.__version__, "pictures": len(names), "pixel_hash": collection.pixel_hash}
    (path / targets.EXPORT.sign).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    if collection.classes and folders != list(collection.classes):
        with (path / "metadata.csv").open("w", encoding="utf-8", newline="") as file:
            rows = [(name, collection.classes[label]) for name, label in zip(names, collection.labels, strict=True)]
            csv.writer(file).writerows([("file_name", "label"), *rows])


def folder_names(classes: Sequence[str]) -> list[str]:
    """Return a folder for each class: its name without what a folder's name must not have, and never the same twice.

    Names are the same where they differ in case alone, as on many drives; the second then gets a number.
    """
    taken: dict[str, str] = {}
    for label, name in enumerate(classes):
        safe = "".join(letter if letter.isalnum() or letter in " -_.,()" else "_" for letter in name).strip(". ")
        folder, number = safe[:_MAX_FOLDER] or f"class-{label}", 2
        while folder.casefold() in taken:
            folder, number = f"{safe[:_MAX_FOLDER]}-{number}", number + 1
        taken[folder.casefold()] = folder
    return list(taken.values())


def _numbers(classes: Sequence[str]) -> list[int]:
    """Return the number of each class in a StyleGAN dataset: the one that is its name, otherwise its place."""
    if all(name.isascii() and name.isdigit() and len(name) <= _MAX_DIGITS for name in classes):
        own = [int(name) for name in classes]
        if len(set(own)) == len(own):
            return own
    return list(range(len(classes)))


def _png(collection: Collection, row: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(collection.images[row]).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
