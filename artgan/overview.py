"""Overview sheets: many pictures in one, for people to look at. Each carries a mark, so that no verb takes one for a work.

The mark is a text chunk of the PNG and not the file's name: a picture of the user's that is called grid.png is a picture.
"""

import io
import json
import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, PngImagePlugin

from artgan.metadata import METADATA_KEY
from artgan.storage import write_whole

SAMPLES = "samples"  # of a run: its folder of sheets
SHEET_REASON = "an overview sheet that artgan made, no work"
_KIND = "sheet"
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MAX_MARK_BYTES = 4096
_OF_A_RUN = re.compile(r"images-(\d+)\.png")


def sample_sheet(run: Path, images_seen: int) -> Path:
    """Return where a run's sheet after so many images is."""
    return run / SAMPLES / f"images-{images_seen:012d}.png"


def sample_sheets(run: Path) -> list[tuple[int, Path]]:
    """Return a run's sheets with the images seen by then, the earliest first; links and other files are left out."""
    folder = run / SAMPLES
    files = folder.iterdir() if folder.is_dir() else ()
    named = [(match, path) for path in files if (match := _OF_A_RUN.fullmatch(path.name)) and not path.is_symlink()]
    return sorted((int(match[1]), path) for match, path in named)


def save_sheet(path: Path, pixels: np.ndarray, of: str) -> None:
    """Write an overview as a PNG with the mark, in one step.

    Args:
        path: of the PNG.
        pixels: uint8 `[H, W, 3]`.
        of: what it shows, in a word or two; `artgan info` says it.

    Raises:
        StorageError: the file cannot be written.
    """
    write_whole(path, encode_sheet(pixels, of))


def encode_sheet(pixels: np.ndarray, of: str) -> bytes:
    """Return the bytes of an overview, uint8 `[H, W, 3]`, as `save_sheet` writes them."""
    info = PngImagePlugin.PngInfo()
    info.add_itxt(METADATA_KEY, json.dumps({"kind": _KIND, "of": of}))
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def is_sheet(picture: Path | bytes) -> bool:
    """Return whether a picture file, or its bytes, carry the mark; False for what is no PNG or cannot be read.

    Reads the chunks' headers alone, so a sheet of any size is told at once.
    """
    try:
        with io.BytesIO(picture) if isinstance(picture, bytes) else picture.open("rb") as file:
            return any(_is_mark(text) for text in _texts(file))
    except OSError:
        return False


def _texts(file: BinaryIO) -> Iterator[bytes]:
    """Yield what a PNG's text chunks hold under artgan's key, wherever in the file they stand (PNG, third edition, 11.3.3)."""
    if file.read(len(_SIGNATURE)) != _SIGNATURE:
        return
    while len(header := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", header)
        if kind not in (b"iTXt", b"tEXt", b"zTXt") or length > _MAX_MARK_BYTES:
            file.seek(length + 4, io.SEEK_CUR)
            continue
        key, _, rest = file.read(length).partition(b"\0")
        file.seek(4, io.SEEK_CUR)
        if key != METADATA_KEY.encode():
            continue
        packed = kind == b"zTXt" or (kind == b"iTXt" and rest[:1] == b"\1")
        if kind == b"iTXt":
            rest = rest[2:].split(b"\0", 2)[-1]  # after the language and the translated key
        elif packed:
            rest = rest[1:]
        yield _unpacked(rest) if packed else rest


def _unpacked(data: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, _MAX_MARK_BYTES)
    except zlib.error:
        return b""


def _is_mark(text: bytes) -> bool:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(content, dict) and content.get("kind") == _KIND
