"""The contact sheet: what a collection looks like, at one glance."""

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image

from artgan.images import captioned_grid
from artgan.overview import save_sheet

_MAX_PICTURES = 100
_TILE_PX = 96


def write_contact_sheet(path: Path, images: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Draw up to 100 pictures, evenly spread and ordered by class, each over its name: by that it can be left out.

    Args:
        path: of the PNG.
        images: the collection's `images.npy`.
        rows: kept index lines; each has `row`, `name` and `label`.
    """
    ordered = sorted(rows, key=lambda line: (line["label"] or "", line["row"]))
    count = min(len(ordered), _MAX_PICTURES)
    shown = [ordered[i * len(ordered) // count] for i in range(count)]
    pixels = _read_rows(images, [line["row"] for line in shown])
    tile = (_TILE_PX, max(1, round(_TILE_PX * pixels.shape[1] / pixels.shape[2])))
    tiles = [np.asarray(Image.fromarray(picture).resize(tile, Image.Resampling.LANCZOS)) for picture in pixels]
    names = [PurePosixPath(line["name"]).name for line in shown]
    save_sheet(path, captioned_grid(np.stack(tiles), names), "collection")


def _read_rows(path: Path, rows: Sequence[int]) -> np.ndarray:
    """Read single rows, one by one: what a map of the file reads around them would count as this process's memory."""
    mapped = np.load(path, mmap_mode="r", allow_pickle=False)
    shape, header_bytes = mapped.shape[1:], mapped.offset
    pictures = []
    with path.open("rb") as file:
        for row in rows:
            file.seek(header_bytes + row * int(np.prod(shape)))
            pictures.append(np.frombuffer(file.read(int(np.prod(shape))), dtype=np.uint8).reshape(shape))
    return np.stack(pictures)
