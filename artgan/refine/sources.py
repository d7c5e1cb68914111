"""Where styles, palettes and masks come from: a picture, a folder of pictures, or a prepared collection."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from artgan.decode import SUFFIXES, decode_file
from artgan.errors import DataError
from artgan.overview import SHEET_REASON, is_sheet
from artgan.refine.style_card import StyleSource
from artgan.side_files import side_file
from artgan.storage import file_sha256


@dataclass(frozen=True)
class PictureFiles:
    """Pictures in files, decoded when asked for."""

    paths: tuple[Path, ...]

    def __call__(self, index: int) -> np.ndarray:
        return decode_file(self.paths[index]).pixels


@dataclass(frozen=True)
class MappedPictures:
    """Rows of a memory-mapped array uint8 `[N, H, W, 3]`, such as a collection's `images.npy`."""

    array: Path
    rows: tuple[int, ...]

    def __call__(self, index: int) -> np.ndarray:
        return np.array(np.load(self.array, mmap_mode="r", allow_pickle=False)[self.rows[index]])


def find_pictures(inputs: Sequence[Path]) -> list[Path]:
    """Return the picture files that a user means, sorted: files as they are, folders with what lies directly in them.

    Overview sheets of artgan's own are passed over: a run over the folder that `sample` wrote takes its pictures alone.

    Raises:
        DataError: an input is missing, or it is a folder without a picture directly in it, or there are sheets alone.
    """
    found: list[Path] = []
    for path in inputs:
        if path.is_dir():
            named = [item for item in path.iterdir() if item.suffix.lower() in SUFFIXES and side_file(item.name) is None]
            pictures = [item for item in named if item.is_file()]
            if not pictures:
                deeper = sum(item.is_dir() for item in path.iterdir())
                hint = f"; folders are not searched, name those of its {deeper} that are meant" if deeper else ""
                raise DataError(f"no pictures in {path}{hint}")
            found += pictures
        elif path.is_file():
            found.append(path)
        else:
            raise DataError(f"{path}: no such picture or folder")
    works = [path for path in found if not is_sheet(path)]
    if found and not works:
        raise DataError(f"{found[0]}: {SHEET_REASON}. Give the pictures that it shows, or a copy of it without its metadata")
    return sorted(dict.fromkeys(works), key=lambda path: (path.name, str(path)))


def style_of_files(path: Path) -> StyleSource:
    """Return the style of a picture, or of all pictures in a folder.

    Raises:
        DataError: missing, or the picture (or the first one of the folder) cannot be read.
    """
    paths = tuple(find_pictures([path]))
    decode_file(paths[0])  # what cannot be read is said before any work
    digest = file_sha256(paths[0]) if len(paths) == 1 else _digest([file_sha256(item) for item in paths])
    return StyleSource(path.name, digest, len(paths), PictureFiles(paths))


def style_of_array(name: str, array: Path, rows: Sequence[int], identity: str) -> StyleSource:
    """Return the style of rows of a collection's array; `identity` is the collection's pixel hash."""
    return StyleSource(name, _digest([identity, *map(str, rows)]), len(rows), MappedPictures(array, tuple(map(int, rows))))


def mask_for(mask: Path, picture: Path, size: tuple[int, int]) -> np.ndarray:
    """Return a mask as float32 `[H, W]` in [0, 1], brought to a picture's size.

    Args:
        mask: a gray picture, white where the look goes, for all pictures; or a folder with one for each, of the same stem.
        picture: which picture.
        size: its (height, width).

    Raises:
        DataError: there is no mask for the picture, or it cannot be read.
    """
    path = mask
    if mask.is_dir():
        matches = [item for item in find_pictures([mask]) if item.stem == picture.stem]
        if not matches:
            raise DataError(f"{picture.name}: no mask of that name in {mask}")
        path = matches[0]
    gray = Image.fromarray(decode_file(path).pixels).convert("L")
    resized = gray.resize((size[1], size[0]), Image.Resampling.BOX if gray.width > size[1] else Image.Resampling.BILINEAR)
    return np.asarray(resized, np.float32) / 255


def mask_identity(mask: Path) -> str:
    """Return a hash of what a mask argument holds."""
    return _digest([file_sha256(path) for path in find_pictures([mask])])


def _digest(parts: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
