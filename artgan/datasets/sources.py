"""What files a collection is made from: folders, files, patterns, archives, lists of paths, URLs, Parquet tables."""

import glob
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from artgan.datasets import archives, parquet, remote
from artgan.errors import DataError

LABEL_FILES = ("dataset.json", "metadata.jsonl", "metadata.csv", "labels.csv")
LABEL_COLUMNS = ("label", "class", "style")
_LIST_SUFFIX = ".txt"


@dataclass(frozen=True)
class SourceFile:
    """One file of a source.

    Attributes:
        path: where it is, or the archive or table that holds it; text when it is a URL.
        name: its path within the source, with forward slashes; the index carries it.
        label: the first folder below the source, or what a label file or column says; None when nothing says anything.
        member: its name within the archive or its row within the table, or None.
        source: position of the source in the command.
        labelled_by: the label file or column that has to name it, or None.
        dropped: why it is left out unread, or None.
        version: of a URL: what changes when the file does.
    """

    path: Path | str
    name: str
    label: str | None
    member: str | int | None = None
    source: int = 0
    labelled_by: str | None = None
    dropped: str | None = None
    version: tuple[str, ...] = ()

    @property
    def where(self) -> str:
        place = _text(self.path)
        return place if self.member is None else f"{place}!{_text(str(self.member))}"

    def read(self) -> bytes:
        """Return the file's bytes.

        Raises:
            DataError: a member of an archive, a row of a table or a URL is damaged or refused.
            OSError: the file cannot be read.
        """
        if isinstance(self.member, int):
            return parquet.read_row(self.path, self.member)
        if isinstance(self.path, str):
            return remote.read_url(self.path)
        return self.path.read_bytes() if self.member is None else archives.read_member(self.path, self.member)

    def stamp(self) -> list[str | int]:
        """Return what changes when the file does, without reading it."""
        if isinstance(self.path, str):
            return [self.name, self.where, *self.version]
        status = self.path.stat()
        return [self.name, self.where, status.st_size, status.st_mtime_ns]


def find_files(sources: Sequence[Path | str], label_column: str | None = None) -> list[SourceFile]:
    """List every regular file of the sources, ordered by source and then by name.

    A source is a folder, a picture, a pattern such as `scans/**/*.tif`, a zip or tar archive, a text file with one path per
    line, a Parquet table with pictures in it, or a URL of a folder, file or pattern. Every file is listed, picture or not: what
    cannot be used is rejected later, with a reason, and nothing is lost in silence. Links to folders are not followed, so that
    a loop of links cannot trap the search.

    Args:
        sources: where from.
        label_column: of Parquet tables; default: the first of `label`, `class` and `style` that they have.

    Raises:
        DataError: a source is missing, or there is not one file.
        StorageError: a source needs the `cloud` extra, or the network that `--offline` forbids.
    """
    columns = (label_column,) if label_column else LABEL_COLUMNS
    found: list[SourceFile] = []
    for number, source in enumerate(sources):
        files = _files_behind(source) if isinstance(source, str) and remote.is_url(source) else _files_of(Path(source))
        found += [replace(file, source=number) for listed in files for file in _with_rows(listed, columns)]
    if not found:
        raise DataError(f"no files in {', '.join(map(str, sources))}: give a folder that holds pictures")
    return found


def _files_behind(url: str) -> list[SourceFile]:
    found = remote.files_below(url)
    return [SourceFile(file.url, file.name, _first_folder(file.name), version=file.version) for file in found]


def _with_rows(file: SourceFile, label_columns: Sequence[str]) -> list[SourceFile]:
    """Return the rows of a Parquet table, or the file itself when it is none."""
    if file.member is not None or not parquet.is_table(file.name):
        return [file]
    rows, column = parquet.rows_of(file.path, label_columns)
    by = f"column '{column}' of {file.where}" if column else None
    return [
        replace(file, name=f"{file.name}/{name}", label=label, member=row, labelled_by=by)
        for row, (name, label) in enumerate(rows)
    ]


def _files_of(source: Path) -> list[SourceFile]:
    if source.is_dir():
        return _files_below(source)
    if source.is_file() and archives.is_archive(source):
        names = archives.members(source)
        return [SourceFile(source, _text(name), _first_folder(_text(name)), name) for name in names]
    if source.is_file() and source.suffix.lower() == _LIST_SUFFIX:
        return _files_listed(source)
    if source.is_file():
        return [SourceFile(source, _text(source.name), None)]
    matches = sorted(Path(match) for match in glob.glob(str(source), recursive=True)) if glob.has_magic(str(source)) else []
    if not matches:
        raise DataError(f"source {source}: no such file or folder" + (" matches" if glob.has_magic(str(source)) else ""))
    root = Path(os.path.commonpath([match.parent for match in matches]))
    return _named(root, (match for match in matches if match.is_file()))


def _files_listed(source: Path) -> list[SourceFile]:
    """Return the files that a text file names, one path per line, relative to the text file."""
    lines = source.read_text(encoding="utf-8", errors="replace").splitlines()
    paths = [source.parent / line.strip() for line in lines if line.strip() and not line.startswith("#")]
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise DataError(f"{source} names {len(missing)} file(s) that do not exist, the first: {missing[0]}")
    return [SourceFile(path, _text(path.name), _text(path.parent.name) or None) for path in paths]


def _files_below(folder: Path) -> list[SourceFile]:
    paths = (Path(parent, name) for parent, _, names in os.walk(folder, followlinks=False) for name in names)
    return _named(folder, (path for path in paths if path.is_file()))


def _named(root: Path, paths: Iterable[Path]) -> list[SourceFile]:
    names = [(path, _text(path.relative_to(root).as_posix())) for path in paths]
    return sorted((SourceFile(path, name, _first_folder(name)) for path, name in names), key=lambda file: file.name)


def _first_folder(name: str) -> str | None:
    parts = PurePosixPath(name).parts
    return parts[0] if len(parts) > 1 else None


def _text(path: Path | str) -> str:
    r"""Return a path as text that can be written anywhere: bytes that are not UTF-8 become `\xe9`."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
