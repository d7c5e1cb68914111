"""The only place that converts layout and range, and that writes pictures.

Inside networks a picture is `[N, 3, H, W]`, float, in [-1, 1]; on disk and in collections it is `[N, H, W, 3]`, uint8.
"""

import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont, PngImagePlugin
from torch import Tensor

from artgan.metadata import (
    JPEG_COMMENT_LIMIT,
    METADATA_KEY,
    TRAINED,
    exif_block,
    parameters_line,
    tiff_tags,
    with_long_metadata,
    xmp,
)
from artgan.storage import write_whole

SUFFIX_OF = {"png": ".png", "jpeg": ".jpg", "webp": ".webp", "tiff": ".tif"}
_ENCODERS: dict[str, dict[str, Any]] = {
    "png": {"format": "PNG"},
    "jpeg": {"format": "JPEG", "quality": 95, "subsampling": 0},
    "webp": {"format": "WEBP", "lossless": True, "quality": 80},
    "tiff": {"format": "TIFF", "compression": "tiff_adobe_deflate"},
}
_CAPTION_PX = 11
_SHEET_PIXELS = 1 << 24


def to_float(images: Tensor) -> Tensor:
    """Convert uint8 `[N, H, W, 3]` to float32 `[N, 3, H, W]` in [-1, 1], channels last in memory."""
    return images.to(torch.float32, copy=True).div_(127.5).sub_(1).permute(0, 3, 1, 2)  # one new block of memory, not three


def to_uint8(images: Tensor) -> Tensor:
    """Convert float `[N, 3, H, W]` in [-1, 1] to uint8 `[N, H, W, 3]`, rounded to the nearest and clipped.

    `to_uint8(to_float(x))` is x, bit for bit.
    """
    scaled = (images.float() + 1) * 127.5
    return scaled.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)


def tile_size(count: int, height: int, width: int) -> tuple[int, int]:
    """Return the (height, width) of each of so many pictures on a sheet of at most 16 megapixels."""
    factor = min(1.0, math.sqrt(_SHEET_PIXELS / (count * height * width)))
    return (height, width) if factor == 1 else (max(1, int(height * factor)), max(1, int(width * factor)))


def tiles_of(pictures: Iterable[np.ndarray], count: int) -> np.ndarray:
    """Return pictures of one size as tiles for a sheet, uint8 `[N, h, w, 3]`, reduced as they come if they are many or large.

    Args:
        pictures: uint8 `[H, W, 3]`, `count` of them.
        count: how many go on one sheet.
    """
    tiles: np.ndarray | None = None
    for index, pixels in enumerate(pictures):
        height, width = pixels.shape[:2]
        size = tile_size(count, height, width)
        if tiles is None:
            tiles = np.empty((count, *size, 3), np.uint8)
        reduced = pixels if size == (height, width) else Image.fromarray(pixels).resize(size[::-1], Image.Resampling.LANCZOS)
        tiles[index] = np.asarray(reduced)
    assert tiles is not None
    return tiles


def grid(images: np.ndarray, columns: int | None = None) -> np.ndarray:
    """Lay pictures out in rows.

    Args:
        images: uint8 `[N, H, W, 3]`.
        columns: pictures in a row; by default the square root of N, rounded up.

    Returns:
        uint8 `[rows * H, columns * W, 3]`, white where the last row has no picture.
    """
    count, height, width, _ = images.shape
    columns = min(columns or math.ceil(math.sqrt(count)), count)
    rows = math.ceil(count / columns)
    sheet = np.full((rows * height, columns * width, 3), 255, np.uint8)
    for index, image in enumerate(images):
        row, column = divmod(index, columns)
        sheet[row * height : (row + 1) * height, column * width : (column + 1) * width] = image
    return sheet


def captioned_grid(images: np.ndarray, captions: Sequence[str] | None = None, columns: int | None = None) -> np.ndarray:
    """Lay pictures out in rows as `grid`, with a line of text under each when captions are given; uint8 `[H', W', 3]`."""
    if captions is None:
        return grid(images, columns)
    count, height, width, _ = images.shape
    font = ImageFont.load_default(_CAPTION_PX)
    tiles = np.full((count, height + _CAPTION_PX + 6, width, 3), 255, np.uint8)
    tiles[:, :height] = images
    for tile, text in zip(tiles, captions, strict=True):
        strip = Image.new("RGB", (width, _CAPTION_PX + 6), "white")
        ImageDraw.Draw(strip).text((2, 2), _shortened(text, font, width - 4), "#333333", font)
        tile[height:] = np.asarray(strip)
    return grid(tiles, columns)


def _shortened(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width_px: int) -> str:
    """Cut a text at the end until it fits."""
    while len(text) > 1 and font.getlength(text) > width_px:
        text = text[:-2] + "."
    return text


def save_png(
    path: Path,
    pixels: np.ndarray,
    metadata: Mapping[str, Any] | None = None,
    source_type: str = TRAINED,
    icc_profile: bytes | None = None,
    dpi: tuple[float, float] | None = None,
) -> None:
    """Write a PNG; see `save_picture` and `encode_picture`."""
    write_whole(path, encode_picture(pixels, "png", metadata, source_type, icc_profile, dpi))


def save_picture(path: Path, pixels: np.ndarray, metadata: Mapping[str, Any] | None = None, source_type: str = TRAINED) -> None:
    """Write a picture in one step, in the format of its suffix: a reader never meets half a file.

    Args:
        path: ends in .png, .jpg, .webp or .tif; its folder must exist.
        pixels: uint8 `[H, W, 3]`.
        metadata: what reproduces the picture; see `encode_picture`.
        source_type: the IPTC term, `TRAINED` or `COMPOSITE`.

    Raises:
        StorageError: the file cannot be written.
    """
    image_format = next(name for name, suffix in SUFFIX_OF.items() if suffix == path.suffix)
    write_whole(path, encode_picture(pixels, image_format, metadata, source_type))


def encode_picture(
    pixels: np.ndarray,
    image_format: str,
    metadata: Mapping[str, Any] | None = None,
    source_type: str = TRAINED,
    icc_profile: bytes | None = None,
    dpi: tuple[float, float] | None = None,
) -> bytes:
    """Return the bytes of a picture file; equal input gives equal bytes.

    PNG, lossless WebP and TIFF (deflate) keep every pixel; JPEG has quality 95 without chroma subsampling.

    Args:
        pixels: uint8 `[H, W, 3]`, or `[H, W, 4]` with opacity (not for JPEG).
        image_format: one of `SUFFIX_OF`.
        metadata: what reproduces the picture. PNG has it as JSON under the iTXt key `artgan` and as the `parameters` line
            that artists' tools read; the others in Exif (UserComment, ImageDescription), JPEG in comments where it is too long
            for that. All have XMP with the IPTC digital source type.
        source_type: the IPTC term, `TRAINED` or `COMPOSITE`.
        icc_profile: what the pixels mean, embedded as it is; without one they are taken for sRGB.
        dpi: dots per inch to print at, across and down.
    """
    options: dict[str, Any] = dict(_ENCODERS[image_format])
    if dpi is not None:
        options["dpi"] = dpi
    if icc_profile is not None:
        options["icc_profile"] = icc_profile
    if metadata is not None and image_format == "png":
        info = PngImagePlugin.PngInfo()
        info.add_itxt(METADATA_KEY, json.dumps(metadata, sort_keys=True))
        info.add_itxt("parameters", parameters_line(metadata))
        info.add_itxt("XML:com.adobe.xmp", xmp(source_type, metadata))
        options["pnginfo"] = info
    elif metadata is not None and image_format == "tiff":
        options["tiffinfo"] = tiff_tags(metadata, source_type)
    elif metadata is not None:
        exif = exif_block(metadata, JPEG_COMMENT_LIMIT if image_format == "jpeg" else None)
        options |= {"exif": exif, "xmp": xmp(source_type, metadata).encode()}
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, **options)
    if metadata is not None and image_format == "jpeg":
        return with_long_metadata(buffer.getvalue(), metadata)
    return buffer.getvalue()
