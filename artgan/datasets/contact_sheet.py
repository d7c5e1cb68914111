"""The contact sheet: what a collection looks like, at one glance."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from artgan.decode import WHITE

_MAX_PICTURES = 100
_TILE_PX = 96


def write_contact_sheet(path: Path, images: np.ndarray, rows: Sequence[Mapping[str, Any]]) -> None:
    """Draw up to 100 pictures, evenly spread and ordered by class.

    Args:
        path: of the PNG.
        images: uint8 `[N, H, W, 3]`.
        rows: kept index lines; each has `row` and `label`.
    """
    ordered = sorted(rows, key=lambda line: (line["label"] or "", line["row"]))
    count = min(len(ordered), _MAX_PICTURES)
    shown = [ordered[i * len(ordered) // count] for i in range(count)]
    columns = int(np.ceil(np.sqrt(count)))
    tile = (_TILE_PX, max(1, round(_TILE_PX * images.shape[1] / images.shape[2])))
    sheet = Image.new("RGB", (columns * tile[0], -(-count // columns) * tile[1]), WHITE)
    for place, line in enumerate(shown):
        picture = Image.fromarray(images[line["row"]]).resize(tile, Image.Resampling.LANCZOS)
        sheet.paste(picture, (place % columns * tile[0], place // columns * tile[1]))
    sheet.save(path)
