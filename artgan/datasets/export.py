"""A collection out again: a StyleGAN `dataset.zip`, or a plain folder of PNGs with one sub-folder per class."""

import io
import json
import os
import shutil
import zipfile
from pathlib import Path

from PIL import Image

from artgan.datasets.collection import Collection
from artgan.errors import DataError, StorageError
from artgan.progress import Listener, Progress, silent

_FILES_PER_FOLDER = 1000
_EARLIEST = (1980, 1, 1, 0, 0, 0)  # the first date that a zip can hold: equal collections make equal archives


def export(collection: Collection, out: Path, *, overwrite: bool = False, on_progress: Listener = silent) -> int:
    """Write all pictures of a collection, the hold-out too, and return how many.

    Args:
        collection: what to write.
        out: ends in `.zip` for a StyleGAN dataset (stored PNGs and `dataset.json` with the labels); otherwise a folder.
        overwrite: replace what is there.
        on_progress: told after each picture.

    Raises:
        DataError: `out` exists.
        StorageError: it cannot be written.
    """
    if out.exists() and not overwrite:
        raise DataError(f"{out} exists already: choose another --out, or replace it with --force")
    partial = out.with_name(f".{out.name}.partial")
    _remove(partial)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        write = _write_zip if out.suffix.lower() == ".zip" else _write_folder
        write(collection, partial, on_progress)
        _remove(out)
        os.replace(partial, out)
    except OSError as error:
        raise StorageError(f"cannot write {out}: {error}") from error
    finally:
        _remove(partial)
    return len(collection.images)


def _write_zip(collection: Collection, path: Path, on_progress: Listener) -> None:
    names = [f"{row // _FILES_PER_FOLDER:05d}/img{row:08d}.png" for row in range(len(collection.images))]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for row, name in enumerate(names):
            archive.writestr(zipfile.ZipInfo(name, _EARLIEST), _png(collection, row))
            on_progress(Progress("exporting", row + 1, len(names), "pictures"))
        labels = [[name, int(collection.labels[row])] for row, name in enumerate(names)] if collection.classes else None
        archive.writestr(zipfile.ZipInfo("dataset.json", _EARLIEST), json.dumps({"labels": labels}))


def _write_folder(collection: Collection, path: Path, on_progress: Listener) -> None:
    for row in range(len(collection.images)):
        folder = path / _folder_name(collection, row)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{row:08d}.png").write_bytes(_png(collection, row))
        on_progress(Progress("exporting", row + 1, len(collection.images), "pictures"))


def _folder_name(collection: Collection, row: int) -> str:
    """Return the class of a row as a folder; a label from a table may hold what a folder's name must not."""
    if not collection.classes:
        return ""
    name = collection.classes[int(collection.labels[row])]
    safe = "".join(letter if letter.isalnum() or letter in " -_.,()" else "_" for letter in name).strip(". ")
    return safe or f"class-{int(collection.labels[row])}"


def _png(collection: Collection, row: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(collection.images[row]).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
