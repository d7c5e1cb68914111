"""A picture as it is, for what is to keep it: opacity and hidden colors, 16 bits a channel, its own colors beside sRGB."""

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from artgan.decode.color import deep_to_srgb, to_srgb
from artgan.decode.kinds import kind_of
from artgan.decode.picture import MAX_PIXELS
from artgan.decode.raster import Raster, Wish
from artgan.decode.readers import read
from artgan.decode.reasons import refusal
from artgan.decode.with_pillow import REFUSED
from artgan.errors import DataError


@dataclass(frozen=True)
class WholePicture:
    """A decoded picture that lost nothing.

    Attributes:
        pixels: sRGB `[H, W, 3]`, upright, what is transparent included: uint8, or uint16 where the file has more bits.
        alpha: opacity `[H, W]`, uint8 or uint16, or None.
        own: uint8 or uint16 `[H, W, 3]` in the file's own RGB, where it has a profile for that; else None.
        notes: what was lost all the same, in words.
        profile: the file's ICC profile, where it is one for RGB.
        profile_space: what the file's ICC profile is for, `RGB`, `L`, `CMYK` or `LAB`; empty without one.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None
    own: np.ndarray | None
    notes: tuple[str, ...]
    profile: bytes | None = None
    profile_space: str = ""


def decode_whole(path: Path) -> WholePicture:
    """Read one picture file that a user named, with all that `decode_file` leaves out.

    Raises:
        DataError: as `decode_file`.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    if not data:
        raise DataError(f"{path}: the file is empty: copy or download it again")
    kind, wish = kind_of(data), Wish(None, MAX_PIXELS, keep_depth=True, suffix=path.suffix)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return _whole(read(data, kind, wish))
        except DataError as error:
            raise DataError(f"{path}: {error}") from error
        except REFUSED as error:
            raise DataError(f"{path}: {refusal(data, kind, error, wish)}") from error


def _whole(raster: Raster) -> WholePicture:
    own = _own_colors(raster)
    deep = isinstance(raster.samples, np.ndarray) and raster.samples.dtype == np.uint16
    pixels = deep_to_srgb(raster) if deep else None
    notes = [note for note in raster.notes if pixels is None or not note.endswith("-bit scaled to 8")]
    if pixels is None:
        pixels = np.asarray(to_srgb(raster)[0], np.uint8)
        own = None if deep or raster.space != "RGB" else own
    alpha = raster.alpha16 if raster.alpha16 is not None else None if raster.alpha is None else np.asarray(raster.alpha)
    turned = [None if part is None else _upright(part, raster.orientation) for part in (pixels, alpha, own)]
    assert turned[0] is not None
    space = raster.space if raster.profile else ""
    return WholePicture(turned[0], turned[1], turned[2], tuple(notes), raster.profile if space == "RGB" else None, space)


def _own_colors(raster: Raster) -> np.ndarray | None:
    """Return RGB numbers as the file has them, where its profile says what they mean."""
    if raster.space != "RGB" or not raster.profile:
        return None
    return np.array(raster.samples)


def _upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)
