"""Pictures inside Parquet tables, as data hubs publish them: a column with the encoded file, columns with labels."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from artgan.datasets import remote
from artgan.errors import DataError, StorageError

SUFFIX = ".parquet"
MAX_ROWS = 10_000_000
_MAX_REASON = 200
Table = Path | str


def is_table(name: str) -> bool:
    """Return whether a file name is that of a Parquet table."""
    return name.lower().endswith(SUFFIX)


def rows_of(
    table: Table, label_columns: Sequence[str], picture_column: str | None = None
) -> tuple[list[tuple[str, str | None]], str | None]:
    """Return a name and a label for each row of a table, and the column that the labels are from.

    Args:
        table: a file or a URL.
        label_columns: the first of these that the table has gives the labels; integer codes become names where the table
            carries them.
        picture_column: default: the column that the table's features call a picture, or the only one that can hold some.

    Raises:
        DataError: no Parquet table, or it has no column of pictures or several.
        StorageError: the extra is missing.
    """
    file = _open(table)
    with _readable(f"{table} is not a readable Parquet table"):
        pictures, schema = _picture_column(table, file, picture_column), file.schema_arrow
        count = file.metadata.num_rows
        if count > MAX_ROWS:
            raise DataError(f"{table} has {count:,} rows, the limit is {MAX_ROWS:,}")
        column = next((name for name in label_columns if name in schema.names), None)
        coded = _class_names(schema, column) if column else None
        paths = (
            file.read(columns=[f"{pictures}.path"]).column(0).to_pylist() if _has_paths(schema, pictures) else [None] * count
        )
        labels = file.read(columns=[column]).column(0).to_pylist() if column else [None] * count
        names = []
        for row, (value, place) in enumerate(zip(labels, paths, strict=True)):
            path = place.get("path") if isinstance(place, dict) else None
            names.append((f"{row:08d}-{path}" if path else f"{row:08d}", _label(value, coded)))
        return names, column


def read_row(table: Table, row: int, picture_column: str | None = None) -> bytes:
    """Return the encoded picture of a row.

    Raises:
        DataError: the row has no picture, or the table is damaged.
    """
    file = _open(table)
    with _readable("damaged in the table"):
        column = _picture_column(table, file, picture_column)
        group, first = 0, 0
        while row - first >= file.metadata.row_group(group).num_rows:
            first += file.metadata.row_group(group).num_rows
            group += 1
        value = _row_group(file, group, column)[row - first]
    data = value.get("bytes") if isinstance(value, dict) else value
    if not isinstance(data, bytes):
        raise DataError("its row holds no picture")
    return data


def _label(value: Any, coded: Sequence[str] | None) -> str | None:
    if value is None or value == "":
        return None
    if coded is None:
        return str(value)
    return coded[value] if isinstance(value, int) and 0 <= value < len(coded) else None


def _has_paths(schema: Any, column: str) -> bool:
    kind = schema.field(column).type
    return hasattr(kind, "get_field_index") and kind.get_field_index("path") >= 0


@lru_cache(maxsize=4)
def _picture_column(table: Table, file: Any, asked: str | None) -> str:
    """Return the column of pictures: what is asked for, what hubs call an image, or the only one with bytes."""
    columns = [field.name for field in file.schema_arrow if _holds_bytes(field.type)]
    if asked is not None:
        if asked not in columns:
            raise DataError(f"{table}: no column '{asked}' with pictures; those with bytes are {', '.join(columns) or 'none'}")
        return asked
    called = [name for name in columns if _features(file.schema_arrow).get(name, {}).get("_type") == "Image"]
    found = called or columns
    if len(found) > 1:
        raise DataError(
            f"{table}: several columns may hold the pictures: {', '.join(found)}; say which: --picture-column {found[0]}"
        )
    if not found:
        raise DataError(f"{table}: no column with pictures; its columns are {', '.join(file.schema_arrow.names)}")
    return found[0]


def _holds_bytes(kind: Any) -> bool:
    """Return whether a column is of bytes, or of structures with bytes in them."""
    return str(kind.field("bytes").type if _is_structure_with_bytes(kind) else kind) in ("binary", "large_binary")


def _is_structure_with_bytes(kind: Any) -> bool:
    return hasattr(kind, "get_field_index") and kind.get_field_index("bytes") >= 0


def _class_names(schema: Any, column: str) -> list[str] | None:
    """Return the names of integer codes, which hubs keep as JSON in the table's metadata."""
    names = _features(schema).get(column, {}).get("names")
    return [str(name) for name in names] if isinstance(names, list) else None


def _features(schema: Any) -> dict[str, dict[str, Any]]:
    """Return what hubs say of each column, or nothing."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return {name: feature for name, feature in features.items() if isinstance(feature, dict)}
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        return {}


def _open(table: Table) -> Any:
    return _open_once(table, 0 if isinstance(table, str) else table.stat().st_mtime_ns)


# A table stays open, and the rows read last stay in memory, for as long as a process works through them in order. The time of
# change is part of the key, so that a replaced table is opened anew.
@lru_cache(maxsize=4)
def _open_once(table: Table, mtime_ns: int) -> Any:
    try:
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise StorageError(f"{table} needs more packages: pip install 'artgan[cloud]' ({error})") from error
    with _readable(f"{table} is not a readable Parquet table"):
        return ParquetFile(remote.open_url(table) if isinstance(table, str) else table)


@lru_cache(maxsize=1)
def _row_group(file: Any, group: int, column: str) -> list[Any]:
    return file.read_row_group(group, columns=[column]).column(0).to_pylist()


@contextmanager
def _readable(problem: str) -> Iterator[None]:
    """Turn what a damaged or hostile table makes its reader raise into our own error."""
    from pyarrow import ArrowException

    try:
        yield
    except DataError:
        raise
    except (ArrowException, OSError, ValueError, LookupError, RuntimeError, TypeError, MemoryError) as error:
        raise DataError(f"{problem}: {' '.join(str(error).split())[:_MAX_REASON] or type(error).__name__}") from error
