"""Labels from beside the pictures: StyleGAN's `dataset.json`, image-folder `metadata.csv` and `metadata.jsonl`."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from artgan.datasets.sources import LABEL_COLUMNS, LABEL_FILES, SourceFile
from artgan.errors import DataError

MISSING_LABELS = ("error", "drop", "class")
UNLABELLED_CLASS = "unlabelled"
_NAME_KEYS = ("file_name", "file", "filename", "path")


def apply_label_files(files: Sequence[SourceFile], unlabelled: str, label_column: str | None = None) -> list[SourceFile]:
    """Take the label files out of the list, and give the others the labels that these name.

    Args:
        files: of all sources; a label file counts for its folder and what is below, by names relative to it.
        unlabelled: what to do with a file that its label file or label column does not name: `error`, `drop` (the index says
            so), or `class` (a class of its own).
        label_column: of label files; default: the first of `label`, `class` and `style` that they have.

    Raises:
        DataError: a label file cannot be read, or a file has no label and `unlabelled` is `error`.
    """
    columns = (label_column,) if label_column else LABEL_COLUMNS
    pictures = [file for file in files if _base(file) not in LABEL_FILES]
    tables: dict[tuple[int, str], SourceFile] = {}
    for file in files:
        if _base(file) not in LABEL_FILES:
            continue
        other = tables.setdefault((file.source, _folder(file.name)), file)
        if other is not file:
            raise DataError(f"{other.where} and {file.name}: two label files in one folder; keep one")
    for (source, folder), table in tables.items():
        labels = _read_labels(table, columns)
        if labels is not None:
            pictures = [_labelled(file, table, folder, labels) if file.source == source else file for file in pictures]
    return _settle_missing(pictures, unlabelled)


def _base(file: SourceFile) -> str:
    return PurePosixPath(file.name).name if file.member is None or isinstance(file.member, str) else ""


def _folder(name: str) -> str:
    """Return the folder of a name with a slash at its end, or nothing at the top."""
    return name[: name.rfind("/") + 1]


def _labelled(file: SourceFile, table: SourceFile, folder: str, labels: dict[str, str]) -> SourceFile:
    if not file.name.startswith(folder):
        return file
    return replace(file, label=labels.get(file.name.removeprefix(folder)), labelled_by=table.where)


def _settle_missing(files: Sequence[SourceFile], unlabelled: str) -> list[SourceFile]:
    missing = [file for file in files if file.labelled_by and file.label is None]
    if missing and unlabelled == "error":
        raise DataError(
            f"{missing[0].labelled_by} has no label for {len(missing)} file(s), the first: {missing[0].name}. Add it, or give "
            f"--unlabelled drop or --unlabelled class"
        )
    label, dropped = (None, "has no label") if unlabelled == "drop" else (UNLABELLED_CLASS, None)
    return [replace(file, label=label, dropped=dropped) if file.labelled_by and file.label is None else file for file in files]


def _read_labels(table: SourceFile, columns: Sequence[str]) -> dict[str, str] | None:
    """Return the label of each name, or None when the table has no labels."""
    try:
        text = table.read().decode("utf-8-sig")
        if table.name == "dataset.json":
            return _dataset_json(json.loads(text))
        rows: list[dict[str, Any]]
        if table.name.endswith(".jsonl"):
            rows = [json.loads(line) for line in text.splitlines() if line.strip()]
        else:
            rows = list(csv.DictReader(io.StringIO(text)))
        return _column(rows, columns)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, csv.Error) as error:
        raise DataError(f"{table.where} cannot be read as a table of labels: {error!r}") from error


def _dataset_json(content: Any) -> dict[str, str] | None:
    pairs = content.get("labels")
    if not pairs:
        return None
    width = max(len(str(label)) for _, label in pairs)
    return {str(PurePosixPath(name)): str(label).zfill(width) for name, label in pairs}


def _column(rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> dict[str, str] | None:
    keys = set(rows[0]) if rows else set()
    name_key = next((key for key in _NAME_KEYS if key in keys), None)
    label_key = next((key for key in columns if key in keys), None)
    if name_key is None:
        raise ValueError(f"expected a column {' or '.join(_NAME_KEYS)}, got {', '.join(sorted(keys)) or 'no rows'}")
    if label_key is None:
        return None
    return {str(row[name_key]): str(row[label_key]) for row in rows if row.get(label_key) not in (None, "")}
