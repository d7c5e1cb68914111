"""What files a collection is made from, and what label each has."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from artgan.errors import DataError


@dataclass(frozen=True)
class SourceFile:
    """One file of a source.

    Attributes:
        path: where it is.
        name: its path within the source, with forward slashes; the index carries it.
        label: the first folder below the source, or None for a file that lies directly in it.
    """

    path: Path
    name: str
    label: str | None


def find_files(sources: Sequence[Path]) -> list[SourceFile]:
    """List every regular file below the sources, ordered by source and then by name.

    Every file is listed, picture or not: what cannot be used is rejected later, with a reason, and nothing is lost in
    silence. Links to folders are not followed, so that a loop of links cannot trap the search.

    Raises:
        DataError: a source is missing, or there is not one file.
    """
    found: list[SourceFile] = []
    for source in sources:
        if source.is_file():
            found.append(SourceFile(source, source.name, None))
        elif source.is_dir():
            found.extend(_files_below(source))
        else:
            raise DataError(f"source {source}: no such file or folder")
    if not found:
        raise DataError(f"no files in {', '.join(map(str, sources))}: give a folder that holds pictures")
    return found


def _files_below(folder: Path) -> list[SourceFile]:
    files = []
    for parent, _, names in os.walk(folder, followlinks=False):
        for name in names:
            path = Path(parent, name)
            if path.is_file():
                relative = path.relative_to(folder)
                label = relative.parts[0] if len(relative.parts) > 1 else None
                files.append(SourceFile(path, relative.as_posix(), label))
    return sorted(files, key=lambda file: file.name)
