"""What every reader hands on: samples with their meaning, before color; and the limits that hold for all of them."""

import importlib
from dataclasses import dataclass, field
from types import ModuleType
from typing import Literal

import numpy as np
from PIL import Image

from artgan.decode.encodings import Encoding
from artgan.decode.kinds import EXTRA
from artgan.errors import DataError

Space = Literal["L", "RGB", "CMYK", "LAB"]
FULL = 65535
_MAX_CHANNELS = 12


@dataclass(frozen=True)
class Wish:
    """What the caller of `decode` asked for: see there."""

    enough_px: int | None
    max_pixels: int
    keep_depth: bool = False
    suffix: str = ""


@dataclass
class Raster:
    """Samples as a reader gives them, neither turned upright nor converted.

    Attributes:
        format, mode: of the file.
        width, height: of the file.
        samples: an 8-bit Pillow image in mode L, RGB, CMYK or LAB; or an array `[H, W]` for gray, `[H, W, C]` otherwise: uint16
            with white at 65535; float32 in linear light; or, for LAB, float32 with L in 0..100.
        space: of the samples.
        alpha: 8-bit opacity, straight, or None.
        profile: an ICC profile, or None.
        encoding: what RGB and gray numbers mean where no profile says so; None for sRGB.
        orientation: as Exif numbers it.
        covered: how much of the width and height of the samples the picture covers; None for all.
        alpha16: opacity at 16 bits, uint16 `[H, W]`, where depth was asked for and the file has it.
        notes: what was done on the way, in words.
    """

    format: str
    mode: str
    width: int
    height: int
    samples: Image.Image | np.ndarray
    space: Space
    alpha: Image.Image | None = None
    profile: bytes | None = None
    encoding: Encoding | None = None
    orientation: int = 1
    covered: tuple[float, float] | None = None
    alpha16: np.ndarray | None = None
    notes: list[str] = field(default_factory=list)


def check_size(width: int, height: int, wish: Wish, channels: int = 3) -> None:
    """Refuse a picture by its header, before any of it is unpacked.

    Raises:
        DataError: no pixels, too many of them, or too many channels.
    """
    if width <= 0 or height <= 0:
        raise DataError(f"damaged or truncated: its size is {width}x{height}; copy or download it again")
    if width * height > wish.max_pixels:
        raise too_many_pixels(width, height, wish)
    if channels > _MAX_CHANNELS:
        raise DataError(f"{channels} channels: no picture has more than {_MAX_CHANNELS}; save its colors alone")


def too_many_pixels(width: int, height: int, wish: Wish) -> DataError:
    """Return the error that names the limit and the way out."""
    return DataError(
        f"too many pixels: {width}x{height}, the limit is {wish.max_pixels / 1e6:.0f} megapixels; "
        f"save a smaller copy, or let prepare take it with --max-megapixels"
    )


def from_extra(package: str, what: str) -> ModuleType:
    """Import a package of the `formats` extra.

    Raises:
        DataError: it is not installed; the message names what needs it.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise DataError(f"{what} needs more packages: {EXTRA}") from error


def to_full_scale(values: np.ndarray, bits: int) -> np.ndarray:
    """Bring whole numbers of 1 to 16 bits to uint16 with white at 65535."""
    if bits == 16:
        return values.astype(np.uint16, copy=False)
    highest = (1 << bits) - 1
    table = np.rint(np.arange(highest + 1) * (FULL / highest)).astype(np.uint16)
    return table[np.minimum(values, highest)]


def eight_bits(values: np.ndarray) -> Image.Image:
    """Return uint16 samples as an 8-bit image, each rounded to the nearest level."""
    table = np.rint(np.arange(FULL + 1) / 257).astype(np.uint8)
    return Image.fromarray(table[values])


def unmultiplied(colors: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Return associated colors divided by their opacity; uint16 `[H, W, C]` and `[H, W]`, in place."""
    for row, opacity in zip(colors, alpha, strict=True):
        share = np.maximum(opacity.astype(np.float32), 1)[:, None] / FULL
        row[:] = np.minimum(np.rint(row / share), FULL).astype(np.uint16)
    return colors
