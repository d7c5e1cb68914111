"""Refining picture files: what was in a picture's metadata goes on into the result."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps

import artgan
from artgan.decode import SUFFIXES, decode_file
from artgan.errors import DataError
from artgan.images import COMPOSITE, TRAINED, grid, read_metadata, save_png
from artgan.progress import Listener, silent
from artgan.refine.pipeline import Series, refine
from artgan.refine.recipe import Recipe
from artgan.sealed import file_sha256

_SHEET_PICTURES = 8
_SHEET_TILE_PX = 192


def find_pictures(inputs: Sequence[Path]) -> list[Path]:
    """Return the picture files that a user means: files as they are, folders with what lies directly in them.

    Raises:
        DataError: an input is missing, or there is no picture at all.
    """
    found: list[Path] = []
    for path in inputs:
        if path.is_dir():
            inside = sorted(item for item in path.iterdir() if item.suffix.lower() in SUFFIXES)
            found += [item for item in inside if item.is_file() and item.name not in ("grid.png", "sheet.png")]
        elif path.is_file():
            found.append(path)
        else:
            raise DataError(f"{path}: no such picture or folder")
    if not found:
        raise DataError(f"no pictures in {', '.join(map(str, inputs))}")
    return found


def refine_files(
    inputs: Sequence[Path],
    out: Path,
    recipe: Recipe,
    *,
    style: Path | None,
    palette: Sequence[np.ndarray] = (),
    palette_name: str | None = None,
    device: torch.device,
    on_progress: Listener = silent,
) -> list[Path]:
    """Refine pictures as one series into PNG files of the same names, and draw `sheet.png`, before above after.

    Args:
        inputs: pictures and folders of pictures.
        out: an existing folder.
        recipe: the look.
        style: picture of the style, for the `optimize` engine.
        palette: uint8 pictures to match colors to; the style picture when empty.
        palette_name: what the palette is, for the metadata.
        device: where style is computed.
        on_progress: told about every few steps.

    Raises:
        DataError: an input, or the style, is not a readable picture; nothing has been written then.
    """
    paths = find_pictures(inputs)
    pictures = [decode_file(path).pixels for path in paths]
    style_pixels = decode_file(style).pixels if style else None
    colors = list(palette) or ([style_pixels] if style_pixels is not None else [])
    series = Series(pictures, [str(path) for path in paths], style_pixels, colors)
    results = refine(series, recipe, device, on_progress)
    applied: dict[str, Any] = recipe.as_dict()
    if style:
        applied |= {"style": style.name, "style_sha256": file_sha256(style)}
    if palette_name:
        applied["palette"] = palette_name
    written = []
    for path, pixels, name in zip(paths, results, _unique_names(paths), strict=True):
        origin = read_metadata(path)
        metadata = (origin or {"kind": "picture", "source": path.name, "version": artgan.__version__}) | {"refine": applied}
        save_png(out / name, pixels, metadata, TRAINED if origin else COMPOSITE)
        written.append(out / name)
    save_png(out / "sheet.png", before_after_sheet(pictures, results))
    return written


def before_after_sheet(before: Sequence[np.ndarray], after: Sequence[np.ndarray]) -> np.ndarray:
    """Return a sheet with up to 8 pictures above their results, uint8 `[H, W, 3]`."""
    shown = range(min(len(before), _SHEET_PICTURES))
    tiles = [_tile(before[index]) for index in shown] + [_tile(after[index]) for index in shown]
    return grid(np.stack(tiles), columns=len(shown))


def _tile(pixels: np.ndarray) -> np.ndarray:
    image = ImageOps.contain(Image.fromarray(pixels), (_SHEET_TILE_PX, _SHEET_TILE_PX), Image.Resampling.LANCZOS)
    tile = Image.new("RGB", (_SHEET_TILE_PX, _SHEET_TILE_PX), (255, 255, 255))
    tile.paste(image, ((_SHEET_TILE_PX - image.width) // 2, (_SHEET_TILE_PX - image.height) // 2))
    return np.asarray(tile)


def _unique_names(paths: Sequence[Path]) -> list[str]:
    """Return an output name for each input; the same stem from two folders gets a number."""
    names: list[str] = []
    for path in paths:
        name, number = f"{path.stem}.png", 2
        while name in names:
            name, number = f"{path.stem}-{number}.png", number + 1
        names.append(name)
    return names
