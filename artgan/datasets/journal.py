"""The memory of a preparation: what is done is on disk, so that a killed run goes on where it was.

A folder beside the collection holds `plan.json` (what is being made from what), `lines.jsonl` (in the order of the files, one
line for each, or one for each tile of a work that is cut up) and `images.npy` (the pixels of the lines that have any). Pixels
are written before their line, so a line that is whole has its pixels.
"""

import hashlib
import itertools
import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

AGAIN = "again"  # of a line: its file could not be reached, and perhaps can be the next time
_REPEATED = ("status", "reason", "label", "format", "mode", "profile")
Line = dict[str, Any]
Entry = tuple[Line, np.ndarray | None]


class Journal:
    """An open journal; use `open_journal`.

    Attributes:
        lines: of the files that are done.
        files: how many files these are.
        rows: how many of the lines have pixels.
    """

    def __init__(self, folder: Path, lines: list[Line], shape: tuple[int, int, int]) -> None:
        self.folder = folder
        self.lines = lines
        self.files = sum(first_of_file(line) for line in lines)
        self.rows = sum("row" in line for line in lines)
        self._images = (folder / "images.npy").open("r+b" if (folder / "images.npy").exists() else "w+b")
        self._header_bytes = write_header(self._images, 0, shape)
        self._images.truncate(self._header_bytes + self.rows * int(np.prod(shape)))
        self._images.seek(0, 2)
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        (folder / "lines.jsonl").write_text(text, encoding="utf-8")
        self._text = (folder / "lines.jsonl").open("a", encoding="utf-8")
        self._shape = shape

    def append(self, entries: Sequence[Entry]) -> None:
        """Add one file's lines, each with its pixels, uint8 `[H, W, 3]`, when it has any."""
        lines = []
        for line, pixels in entries:
            if pixels is not None:
                line = line | {"row": self.rows}
                self._images.write(pixels.tobytes())
                self.rows += 1
            lines.append(line)
        self._images.flush()
        self._text.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        self._text.flush()
        self.lines += map(_compact, lines)
        self.files += 1

    def close(self) -> None:
        """Close the files; the header then says how many rows there are."""
        self._images.seek(0)
        assert write_header(self._images, self.rows, self._shape) == self._header_bytes, "headers are padded to one length"
        self._images.close()
        self._text.close()


def open_journal(folder: Path, plan: Mapping[str, Any], shape: tuple[int, int, int]) -> Journal:
    """Open the journal of a plan: the one in `folder` when it is of the same plan, otherwise a new one.

    Args:
        folder: of the journal.
        plan: all that the result depends on, as JSON values; `files` has an item for each file.
        shape: (H, W, 3) of a row.
    """
    digest = hashlib.sha256(json.dumps(plan, sort_keys=True).encode()).hexdigest()
    if _plan_of(folder) != digest:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / "plan.json").write_text(json.dumps({"plan": digest}) + "\n", encoding="utf-8")
        return Journal(folder, [], shape)
    return Journal(folder, _lines_of(folder, plan, shape), shape)


def first_of_file(line: Line) -> bool:
    """Return whether a line is its file's only one or its first."""
    return line.get("tile", (0, 1))[0] == 0


def files_done(folder: Path, plan: Mapping[str, Any], shape: tuple[int, int, int]) -> int:
    """Return how many files of a plan are done already."""
    digest = hashlib.sha256(json.dumps(plan, sort_keys=True).encode()).hexdigest()
    if _plan_of(folder) != digest:
        return 0
    return sum(first_of_file(line) for line in _lines_of(folder, plan, shape))


def write_header(images: BinaryIO, count: int, shape: tuple[int, int, int]) -> int:
    """Write the header of an .npy file at the start and return its length, which does not depend on the count."""
    images.seek(0)
    np.lib.format.write_array_header_1_0(images, {"descr": "|u1", "fortran_order": False, "shape": (count, *shape)})
    return images.tell()


def _plan_of(folder: Path) -> str | None:
    try:
        return json.loads((folder / "plan.json").read_text(encoding="utf-8"))["plan"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _lines_of(folder: Path, plan: Mapping[str, Any], shape: tuple[int, int, int]) -> list[Line]:
    """Return the lines that count.

    A journal of all files lies here because its collection was refused, mostly for too many rejected files: the user may have
    mended what kept a file from being read, so that from the first of these on all are done again.
    """
    lines = _lines_with_pixels(folder, int(np.prod(shape)))
    if sum(map(first_of_file, lines)) < len(plan["files"]):
        return lines
    return list(itertools.takewhile(lambda line: AGAIN not in line, lines))


def _lines_with_pixels(folder: Path, row_bytes: int) -> list[Line]:
    """Return the lines of whole files up to the first line that is cut, or whose pixels are not there."""
    path, images = folder / "lines.jsonl", folder / "images.npy"
    if not path.is_file() or not images.is_file():
        return []
    with images.open("rb") as file:
        try:
            np.lib.format.read_magic(file)
            np.lib.format.read_array_header_1_0(file)
        except ValueError:
            return []
        available = (images.stat().st_size - file.tell()) // row_bytes
    lines: list[Line] = []
    with path.open("rb") as file:
        for text in file:
            try:
                line = json.loads(text)
            except ValueError:
                break
            if not text.endswith(b"\n") or line.get("row", -1) >= available:
                break
            lines.append(_compact(line))
    index, count = lines[-1].get("tile", (0, 1)) if lines else (0, 1)
    return lines if index + 1 == count else lines[: -(index + 1)]


def _compact(line: Line) -> Line:
    """Return a line that shares its keys and its repeated words with all others: half the memory, at 100,000 files."""
    return {
        sys.intern(key): sys.intern(value) if key in _REPEATED and isinstance(value, str) else value
        for key, value in line.items()
    }
