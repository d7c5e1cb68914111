"""What files a collection is made from: folders, files, patterns, archives, lists of paths, URLs, Parquet tables."""

import glob
import os
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from artgan import object_store
from artgan.datasets import archives, films, parquet, remote
from artgan.datasets.fates import PASSED_OVER, REJECTED, Fate
from artgan.datasets.folder_labels import with_folder_labels
from artgan.datasets.folders import fate_of, walk
from artgan.datasets.plain_text import read_text
from artgan.datasets.source_file import LABEL_COLUMNS, SourceFile, as_text, is_label_file
from artgan.errors import DataError
from artgan.side_files import side_file

_LIST_SUFFIX = ".txt"


@dataclass(frozen=True)
class Reading:
    """How sources are read.

    Attributes:
        label_column: of Parquet tables; default: the first of `LABEL_COLUMNS` that they have.
        picture_column: of Parquet tables; default: the one that is called a picture, or the only one that can be.
        zip_encoding: of names in zips that are not marked as UTF-8.
        outermost: take the first folder below each source for the class, even if all pictures share it or it is a split.
        every: of films, every so many-th frame; None passes films over.
        leave_out: files and folders that are no source, wherever they lie: what is being made.
    """

    label_column: str | None = None
    picture_column: str | None = None
    zip_encoding: str | None = None
    outermost: bool = False
    every: int | None = None
    leave_out: tuple[Path, ...] = ()

    @property
    def label_columns(self) -> tuple[str, ...]:
        return (self.label_column,) if self.label_column else LABEL_COLUMNS


@dataclass
class Listing:
    """Every file of the sources, ordered by source and then by name, and what there is to say about them in words."""

    files: list[SourceFile] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def find_files(sources: Sequence[Path | str], label_column: str | None = None) -> list[SourceFile]:
    """List every file of the sources that may be a picture or a label file, with the labels that folders say.

    See `list_files`; what is known to be neither is left out.
    """
    return [file for file in list_files(sources, Reading(label_column)).files if file.fate is None]


def list_files(sources: Sequence[Path | str], reading: Reading | None = None) -> Listing:
    """List every file of the sources, ordered by source and then by name.

    A source is a folder, a picture, a pattern such as `scans/**/*.tif`, a zip or tar archive, a text file with one path per
    line, a Parquet table with pictures in it, or a URL of a folder, file or pattern. Archives and tables within folders are
    opened. Every file is listed, picture or not: what cannot be used is rejected later, with a reason, and nothing is lost in
    silence. Links to folders are not followed, so that a loop of links cannot trap the search.

    Args:
        sources: where from.
        reading: how.

    Raises:
        DataError: a source is missing, or there is not one file.
        StorageError: a source needs the `cloud` extra, or the network that `--offline` forbids.
    """
    reading = reading or Reading()
    listing = Listing()
    for number, source in enumerate(sources):
        is_url = isinstance(source, str) and object_store.is_url(source)
        files = _files_behind(str(source)) if is_url else _files_of(Path(source), reading, listing.notes)
        listing.files += [replace(row, source=number) for file in files for row in _with_rows(file, reading, listing.notes)]
    if not listing.files:
        raise DataError(f"no files in {', '.join(map(str, sources))}: give a folder that holds pictures")
    listing.files, notes = with_folder_labels([_known(file) for file in listing.files], reading.outermost)
    listing.notes += notes
    return listing


def _known(file: SourceFile) -> SourceFile:
    """Return a file with its fate, where its name says it."""
    if file.fate is not None or file.is_row or is_label_file(file):
        return file
    kind, packed = side_file(file.name), archives.unread_kind(file.name)
    if kind is not None:
        return replace(file, fate=Fate(PASSED_OVER, kind))
    if packed is None and file.inner is not None and archives.is_archive(file.name):
        packed = "zip or tar within another"
    return replace(file, fate=Fate(REJECTED, f"an archive ({packed}) that is not read in place: unpack it")) if packed else file


def _files_behind(url: str) -> list[SourceFile]:
    return [SourceFile(file.url, file.name, None, version=file.version) for file in remote.files_below(url)]


def _with_rows(file: SourceFile, reading: Reading, notes: list[str]) -> list[SourceFile]:
    """Return the rows of a Parquet table, the frames of a film, or the file itself when it is neither."""
    if file.member is None and file.fate is None and films.is_film(file.name):
        return _frames(file, reading.every, notes)
    if file.member is not None or file.fate is not None or not parquet.is_table(file.name):
        return [file]
    rows, column = parquet.rows_of(file.path, reading.label_columns, reading.picture_column)
    by = f"column '{column}' of {file.where}" if column else None
    return [
        replace(file, name=f"{file.name}/{name}", label=label, member=row, column=reading.picture_column, labelled_by=by)
        for row, (name, label) in enumerate(rows)
    ]


def _frames(file: SourceFile, every: int | None, notes: list[str]) -> list[SourceFile]:
    if every is None:
        return [replace(file, fate=Fate(PASSED_OVER, films.NOT_READ))]
    if isinstance(file.path, str):
        return [replace(file, fate=Fate(REJECTED, "a film behind a URL: fetch it first"))]
    try:
        found = films.frames_of(file.path, every)
    except DataError as error:
        return [replace(file, fate=Fate(REJECTED, str(error).removeprefix(f"{file.path} ")))]
    notes.append(f"{file.path}: {len(found)} frames, one of every {every}; frames of one film are no independent works")
    return [replace(file, name=f"{file.name}-{name}", member=stamp) for name, stamp in found]


def _files_of(source: Path, reading: Reading, notes: list[str]) -> list[SourceFile]:
    if source.is_dir():
        return _below(source, reading, notes)
    if source.is_file() and archives.is_archive(source.name):
        return _inside(source, "", reading, notes)
    if source.is_file() and source.suffix.lower() == _LIST_SUFFIX:
        return _listed(source)
    if source.is_file():
        return [SourceFile(source, as_text(source.name), None)]
    matches = sorted(Path(match) for match in glob.glob(str(source), recursive=True)) if glob.has_magic(str(source)) else []
    if not matches:
        raise DataError(f"source {source}: no such file or folder" + (" matches" if glob.has_magic(str(source)) else ""))
    root = Path(os.path.commonpath([match.parent for match in matches]))
    if "**" in str(source):  # the files below have lines of their own
        matches = [match for match in matches if not match.is_dir()]
    return _named(root, ((match, fate_of(match)) for match in matches), reading, notes)


def _below(folder: Path, reading: Reading, notes: list[str]) -> list[SourceFile]:
    return _named(folder, walk(folder, reading.leave_out), reading, notes)


def _named(root: Path, found: Iterable[tuple[Path, Fate | None]], reading: Reading, notes: list[str]) -> list[SourceFile]:
    """Return files by their names below a root, sorted, with those of archives in their place."""
    files: list[SourceFile] = []
    for path, fate in found:
        name = as_text(path.relative_to(root).as_posix())
        if fate is not None or not archives.is_archive(path.name):
            files.append(SourceFile(path, name, None, fate=fate))
            continue
        try:
            files += _inside(path, f"{name}/", reading, notes)
        except DataError as error:
            files.append(SourceFile(path, name, None, fate=Fate(REJECTED, str(error).removeprefix(f"{path} "))))
    return sorted(files, key=lambda file: file.name)


def _inside(archive: Path, prefix: str, reading: Reading, notes: list[str]) -> list[SourceFile]:
    """Return the files in an archive; names whose encoding is a guess are said."""
    found = archives.members(archive, reading.zip_encoding)
    doubtful = [member.name for member in found if member.doubtful]
    if doubtful:
        notes.append(
            f"{archive}: {len(doubtful)} names are not UTF-8 and may read wrong, the first: {as_text(doubtful[0])}; name their "
            f"encoding, such as --zip-encoding cp932 (Japanese), gb18030 (Chinese), cp866 (Russian) or cp850"
        )
    return [
        SourceFile(
            archive,
            as_text(f"{prefix}{member.name}"),
            None,
            member.key,
            inner=as_text(member.name),
            fate=Fate(PASSED_OVER, as_text(member.not_read)) if member.not_read else None,
        )
        for member in found
    ]


def _listed(source: Path) -> list[SourceFile]:
    """Return the files that a text file names, one path per line, relative to the text file."""
    lines = _lines(source)
    paths = [_place(source.parent, line.strip()) for line in lines if line.strip() and not line.startswith("#")]
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise DataError(
            f"{source} names {len(missing)} file(s) that do not exist, the first: {as_text(missing[0])}. Paths are relative to "
            f"the list, one a line, in UTF-8"
        )
    return [SourceFile(path, as_text(Path(path.parent.name, path.name).as_posix()), None) for path in paths]


def _place(folder: Path, line: str) -> Path:
    r"""Return the file that a line means: with `/` for `\`, or in another form of Unicode, where it is not there as written."""
    forms = [line, line.replace("\\", "/")]
    forms += [unicodedata.normalize(form, name) for name in forms for form in ("NFC", "NFD")]
    return next((folder / form for form in forms if (folder / form).is_file()), folder / line)


def _lines(source: Path) -> list[str]:
    """Return the lines of a list of paths; where it is not Unicode, its bytes as the file system has names."""
    data = source.read_bytes()
    try:
        return data.decode("utf-8-sig").splitlines() if b"\0" not in data else read_text(data)[0].splitlines()
    except ValueError:
        pass
    lines = os.fsdecode(data).splitlines()
    first = next((line.strip() for line in lines if line.strip() and not line.startswith("#")), "")
    return lines if (source.parent / first).is_file() else read_text(data)[0].splitlines()
