"""Labels from beside the pictures: StyleGAN's `dataset.json`, image-folder `metadata.csv` and `metadata.jsonl`."""

import csv
import io
import json
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from artgan.datasets.fates import DROPPED, PASSED_OVER, Fate
from artgan.datasets.plain_text import GUESSED, read_text
from artgan.datasets.source_file import LABEL_COLUMNS, SourceFile, is_label_file, may_be_picture
from artgan.datasets.sources import Listing
from artgan.errors import DataError

LABELS = ("folders", "outermost", "none")
MISSING_LABELS = ("error", "drop", "class")
UNLABELLED_CLASS = "unlabelled"
_NAME_KEYS = ("file_name", "file", "filename", "path")
_DELIMITERS = ",;\t"
_MAX_REASON = 150


def with_labels(
    listing: Listing, unlabelled: str = "error", label_column: str | None = None, *, use_labels: bool = True
) -> Listing:
    """Give files the labels that label files name, and keep the label files in the list, passed over.

    Args:
        listing: of all sources; a label file counts for its folder and what is below, by names relative to it.
        unlabelled: what to do with a picture that its label file or label column does not name: `error`, `drop` (the index
            says so), or `class` (a class of its own). The last two go for pictures beside class folders too.
        label_column: of label files; default: the first of `LABEL_COLUMNS` that they have.
        use_labels: whether anybody wants labels; otherwise no label file is read.

    Raises:
        DataError: a label file cannot be read, or a picture has no label and `unlabelled` is `error`.
    """
    if not use_labels:
        aside = Fate(PASSED_OVER, "a label file, not read")
        return Listing([replace(file, fate=aside) if is_label_file(file) else file for file in listing.files], listing.notes)
    notes = list(listing.notes)
    labelled = iter(apply_label_files(listing.files, unlabelled, label_column, notes))
    aside = Fate(PASSED_OVER, "a label file")
    files = [replace(file, fate=aside) if is_label_file(file) else next(labelled) for file in listing.files]
    return Listing(files, notes)


def apply_label_files(
    files: Sequence[SourceFile], unlabelled: str, label_column: str | None = None, notes: list[str] | None = None
) -> list[SourceFile]:
    """Take the label files out of the list, and give the others the labels that these name; see `with_labels`.

    What there is to say about them is added to `notes`.
    """
    notes, used = [] if notes is None else notes, []
    columns = (label_column,) if label_column else LABEL_COLUMNS
    others = [file for file in files if not is_label_file(file)]
    tables: dict[tuple[int, str], SourceFile] = {}
    for file in files:
        if not is_label_file(file):
            continue
        other = tables.setdefault((file.source, _folder(file.name)), file)
        if other is not file:
            raise DataError(f"{other.where} and {file.name}: two label files in one folder; keep one")
    for (source, folder), table in tables.items():
        labels, encoding = _read_labels(table, columns)
        if encoding == GUESSED:
            notes.append(f"{table.where} is not Unicode and was read as Windows-1252; save it as UTF-8 if names are wrong")
        if labels is None:
            notes.append(f"{table.where} has no labels ({', '.join(columns)}), and none are taken from it")
            continue
        used.append(table)
        others = [_labelled(file, table, folder, labels) if file.source == source else file for file in others]
    if used:
        notes.append(f"labels are from {_named(used)}")
    return _settle_missing(others, unlabelled)


def _named(tables: Sequence[SourceFile]) -> str:
    return tables[0].where + (f" and {len(tables) - 1} more" if len(tables) > 1 else "")


def _folder(name: str) -> str:
    """Return the folder of a name with a slash at its end, or nothing at the top."""
    return name[: name.rfind("/") + 1]


def _key(name: str) -> str:
    r"""Return a name as names compare: one form of Unicode, `/` for `\`, no `./`."""
    return str(PurePosixPath(unicodedata.normalize("NFC", name).replace("\\", "/")))


def _labelled(file: SourceFile, table: SourceFile, folder: str, labels: Mapping[str, str]) -> SourceFile:
    if not file.name.startswith(folder) or file.fate is not None:
        return file
    return replace(file, label=labels.get(_key(file.name.removeprefix(folder))), labelled_by=table.where)


def _settle_missing(files: Sequence[SourceFile], unlabelled: str) -> list[SourceFile]:
    missing = [file for file in files if file.label is None and may_be_picture(file)]
    named = [file for file in missing if file.labelled_by]
    if named and unlabelled == "error":
        raise DataError(
            f"{named[0].labelled_by} has no label for {len(named)} file(s), the first: {named[0].name}. Add it, give "
            f"--unlabelled drop or --unlabelled class, or read no labels with --labels none"
        )
    if unlabelled == "error" or all(file.label is None for file in files):
        return list(files)
    changed = {"fate": Fate(DROPPED, "has no label")} if unlabelled == "drop" else {"label": UNLABELLED_CLASS}
    without = set(map(id, missing))
    return [replace(file, **changed) if id(file) in without else file for file in files]


def _read_labels(table: SourceFile, columns: Sequence[str]) -> tuple[dict[str, str] | None, str]:
    """Return the label of each name, or None when the table has no labels, and the encoding that it was read by."""
    try:
        text, encoding = read_text(table.read())
        if PurePosixPath(table.name).name == "dataset.json":
            return _dataset_json(json.loads(text)), encoding
        if table.name.endswith(".jsonl"):
            return _column([json.loads(line) for line in text.split("\n") if line.strip()], columns), encoding
        return _column(_rows(text), columns), encoding
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, csv.Error) as error:
        reason = f"{type(error).__name__}: {error}"[:_MAX_REASON]
        raise DataError(f"{table.where} cannot be read as a table of labels ({reason})") from error


def _rows(text: str) -> list[dict[str, Any]]:
    """Return the rows of a table; the separator is the one by which the first line has a column with names.

    Spaces around cells are none of their text.
    """
    found = []
    text = text.replace("\r\n", "\n").replace("\r", "\n").lstrip("\n")
    if text[:4].casefold() == "sep=":  # a line that Excel reads and no table has
        text = text.partition("\n")[2]
    for delimiter in (*_DELIMITERS, _DELIMITERS[0]):
        reader = csv.DictReader(io.StringIO(text), delimiter=delimiter, skipinitialspace=True)
        found = [{_trimmed(key): _trimmed(value) for key, value in row.items()} for row in reader]
        if found and any(_is_called(key, _NAME_KEYS) for key in found[0]):
            break
    return found


def _trimmed(cell: Any) -> Any:
    return cell.strip() if isinstance(cell, str) else cell


def _dataset_json(content: Any) -> dict[str, str] | None:
    if not isinstance(content, dict):
        raise ValueError('expected {"labels": [["a.png", 0], ...]}')
    labels = content.get("labels") or []
    pairs = [(name, label) for name, label in (labels.items() if isinstance(labels, dict) else labels) if label is not None]
    if not pairs:
        return None
    names = content.get("classes")
    if isinstance(names, dict):  # as artgan exports it: the names of the numbers
        return {_key(str(name)): _text(names[str(label)]) for name, label in pairs}
    width = max(len(str(label)) for _, label in pairs)
    return {_key(str(name)): str(label).zfill(width) for name, label in pairs}


def _column(rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> dict[str, str] | None:
    keys = list(rows[0]) if rows else []
    name_key, label_key = (
        next((key for name in wanted for key in keys if _is_called(key, [name])), None) for wanted in (_NAME_KEYS, columns)
    )
    if name_key is None:
        raise ValueError(f"expected a column {' or '.join(_NAME_KEYS)}, got {', '.join(sorted(map(str, keys))) or 'no rows'}")
    if label_key is None:
        return None
    return {_key(str(row[name_key])): _text(row[label_key]) for row in rows if row.get(label_key) not in (None, "")}


def _is_called(key: Any, names: Sequence[str]) -> bool:
    return isinstance(key, str) and key.casefold() in map(str.casefold, names)


def _text(label: Any) -> str:
    return unicodedata.normalize("NFC", str(label))
