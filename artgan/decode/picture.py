"""The one safe way from a picture file to sRGB pixels; every file may be broken or hostile.

Order: what it is, by its first bytes, and the allow-list -> the limit on pixels, before anything is unpacked -> the reader for
what the file says of itself -> color to sRGB -> opacity over a matte -> upright -> uint8. Whatever was done is noted in words.
"""

import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image

from artgan.decode.color import to_srgb
from artgan.decode.kinds import kind_of
from artgan.decode.raster import FULL, Raster, Wish
from artgan.decode.readers import read
from artgan.decode.reasons import refusal
from artgan.decode.with_pillow import REFUSED
from artgan.errors import DataError

WHITE = (255, 255, 255)
MAX_PIXELS = 178_956_970  # a quarter of a gigabyte of RGB, twice; Pillow's limit
_DARK = 1 / 12
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True)
class Picture:
    """A decoded picture.

    Attributes:
        grid: uint8 `[H, W, 3]`, sRGB, upright, as decoded.
        box: the part of the grid that the picture covers (left, top, right, bottom): all of it, except where a JPEG was decoded
            at a fraction of a size that does not divide. What resizes anyway resizes from there; `pixels` is for everyone else.
        format, mode: of the file, as Pillow names them.
        width, height: of the file, before its orientation was applied.
        profile: description of the embedded ICC profile, or None.
        orientation: the EXIF orientation, 1 when there is none.
        notes: what was done on the way, in words.
    """

    grid: np.ndarray
    box: tuple[float, float, float, float]
    format: str
    mode: str
    width: int
    height: int
    profile: str | None
    orientation: int
    notes: tuple[str, ...]

    @cached_property
    def pixels(self) -> np.ndarray:
        """The picture alone, uint8 `[H, W, 3]`: the grid, brought to whole pixels where the box has none."""
        height, width, _ = self.grid.shape
        left, top, right, bottom = self.box
        if self.box == (0, 0, width, height):
            return self.grid
        size = (max(1, int(right - left)), max(1, int(bottom - top)))
        return np.asarray(Image.fromarray(self.grid).resize(size, Image.Resampling.LANCZOS, box=self.box))


def decode_file(path: Path, *, matte: tuple[int, int, int] = WHITE) -> Picture:
    """Read one picture file that a user named.

    Raises:
        DataError: as `decode`, with the file's name in front.
    """
    try:
        return decode(path.read_bytes(), matte=matte, suffix=path.suffix)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def decode(
    data: bytes,
    *,
    matte: tuple[int, int, int] = WHITE,
    enough_px: int | None = None,
    max_pixels: int = MAX_PIXELS,
    suffix: str = "",
) -> Picture:
    """Decode the bytes of one picture file.

    Args:
        data: the whole file.
        matte: the color under transparent pixels.
        enough_px: for a picture that will be reduced to this side: a JPEG may then be decoded at a half, a quarter or an
            eighth of its size, as long as its shorter side stays twice as long: in less than half the time, and 48 to 58 dB
            from the whole way (measured on works and waves). At odd sizes that holds by the picture's `box`; without it, it is
            up to 12 dB less (findings/jpeg_draft_shifts.sh). None decodes every pixel.
        max_pixels: a picture of more is refused by its header.
        suffix: of its name. It matters in one case alone: a TIFF that is called .dng and begins with a preview is camera raw.

    Raises:
        DataError: not a picture of an allowed format, one that needs the `formats` extra, too large, truncated or damaged; the
            message names the reason but not the file, which the caller knows.
    """
    if not data:
        raise DataError("the file is empty: copy or download it again")
    kind = kind_of(data)
    wish = Wish(enough_px, max_pixels, suffix=suffix)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what a reader warns of is noted here, or is an error
        try:
            return _finished(read(data, kind, wish), matte)
        except REFUSED as error:
            raise DataError(refusal(data, kind, error, wish)) from error


def _finished(raster: Raster, matte: tuple[int, int, int]) -> Picture:
    _note_on_darkness(raster)
    image, profile = to_srgb(raster)
    if raster.alpha is not None:
        image = _over_matte(image, raster.alpha, matte)
        raster.notes.append("transparency composited on the matte")
    box = _upright_box(raster.covered or image.size, image.size, raster.orientation)
    if raster.orientation in _UPRIGHT:
        image = image.transpose(_UPRIGHT[raster.orientation])
        raster.notes.append(f"EXIF orientation {raster.orientation} applied")
    grid = np.asarray(image, dtype=np.uint8)
    about = (raster.format, raster.mode, raster.width, raster.height)
    return Picture(grid, box, *about, profile, raster.orientation, tuple(raster.notes))


def _upright_box(covered: tuple[float, float], size: tuple[int, int], orientation: int) -> tuple[float, float, float, float]:
    """Return where the part of a stored picture that it covers is once it stands upright."""
    (across, down), (width, height) = covered, size
    left, right = (width - across, width) if orientation in (2, 3, 7, 8) else (0, across)
    top, bottom = (height - down, height) if orientation in (3, 4, 6, 7) else (0, down)
    return (top, left, bottom, right) if orientation >= 5 else (left, top, right, bottom)


def _note_on_darkness(raster: Raster) -> None:
    """Say so when deep samples use a small part of their range: 10 or 12 bits may have been stored as 16."""
    if isinstance(raster.samples, np.ndarray) and raster.samples.dtype == np.uint16 and raster.space != "CMYK":
        brightest = int(raster.samples.max())
        if brightest < _DARK * FULL:
            raster.notes.append(f"dark: its highest sample is at {brightest / FULL:.1%} of white")


def _over_matte(image: Image.Image, alpha: Image.Image, matte: tuple[int, int, int]) -> Image.Image:
    image.putalpha(alpha)
    return Image.alpha_composite(Image.new("RGBA", image.size, (*matte, 255)), image).convert("RGB")
