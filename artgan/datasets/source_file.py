"""One file of a source: where it is, what it is called, what is known of it before it is read."""

import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from artgan.datasets import archives, films, parquet, remote
from artgan.datasets.fates import DROPPED, Fate
from artgan.decode import SUFFIXES

LABEL_FILES = ("dataset.json", "metadata.jsonl", "metadata.csv", "labels.csv")
LABEL_COLUMNS = ("label", "class", "style")


@dataclass(frozen=True)
class SourceFile:
    """One file of a source.

    Attributes:
        path: where it is, or the archive or table that holds it; text when it is a URL.
        name: its path within the source, with forward slashes; the index carries it.
        label: what its folders, a label file or a column say; None when nothing says anything.
        member: its key within the archive, its row within the table, its time within the film, or None.
        source: position of the source in the command.
        labelled_by: the label file or column that has to name it, or None.
        version: of a URL: what changes when the file does.
        inner: its name within the archive, or None.
        column: of a row: the column of pictures, where one was asked for.
        fate: what becomes of it when that is known before it is read, or None.
    """

    path: Path | str
    name: str
    label: str | None
    member: str | int | None = None
    source: int = 0
    labelled_by: str | None = None
    version: tuple[str, ...] = ()
    inner: str | None = None
    column: str | None = None
    fate: Fate | None = None

    @property
    def where(self) -> str:
        place = as_text(self.path)
        return place if self.member is None else f"{place}!{self.inner or as_text(str(self.member))}"

    @property
    def suffix(self) -> str:
        return PurePosixPath(self.name).suffix

    @property
    def is_row(self) -> bool:
        """Whether it is a row of a table, or a frame of a film."""
        return isinstance(self.member, int)

    @property
    def dropped(self) -> str | None:
        """Why it is left out for want of a label, or None."""
        return self.fate.reason if self.fate and self.fate.status == DROPPED else None

    def read(self) -> bytes:
        """Return the file's bytes.

        Raises:
            DataError: a member of an archive, a row of a table or a URL is damaged or refused.
            OSError: the file cannot be read.
        """
        if isinstance(self.member, int) and films.is_film(str(self.path)):
            return films.read_frame(Path(self.path), self.member)
        if isinstance(self.member, int):
            return parquet.read_row(self.path, self.member, self.column)
        if isinstance(self.path, str):
            return remote.read_url(self.path)
        return self.path.read_bytes() if self.member is None else archives.read_member(self.path, self.member)

    def stamp(self) -> list[str | int]:
        """Return what changes when the file does, without reading it."""
        if isinstance(self.path, str):
            return [self.name, self.where, *self.version]
        if self.fate is not None:
            return [self.name, self.where, self.fate.status, self.fate.reason]
        status = self.path.stat()
        return [self.name, self.where, status.st_size, status.st_mtime_ns]


def is_label_file(file: SourceFile) -> bool:
    """Return whether a file is a table of labels, by its name."""
    return not file.is_row and PurePosixPath(file.name).name in LABEL_FILES


def may_be_picture(file: SourceFile) -> bool:
    """Return whether a file counts as a picture where classes are settled: a row, or a name with a picture's suffix or none."""
    if file.fate is not None:
        return file.fate.status == DROPPED
    return file.is_row or PurePosixPath(file.name).suffix.lower() in (*SUFFIXES, "")


def as_text(path: Path | str) -> str:
    r"""Return a path as text that can be written anywhere: bytes that are not UTF-8 become `\xe9`."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
