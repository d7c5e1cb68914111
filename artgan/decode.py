"""The one safe way from a picture file to sRGB pixels; every file may be broken or hostile.

Order: format allow-list and bomb limit -> load -> EXIF orientation -> 16-bit scaled -> palette and alpha composited on
a matte -> CMYK through its profile -> ICC to sRGB -> uint8. Whatever was done to the picture is noted in words.
"""

import io
import math
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from artgan.errors import DataError

# MPO comes in through JPEG.
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "JPEG2000", "AVIF", "TGA")
SUFFIXES = frozenset(
    ".apng .avif .bmp .dib .gif .j2k .jfif .jp2 .jpe .jpeg .jpg .mpo .pbm .pgm .png .pnm .ppm .tga .tif .tiff .webp".split()
)
WHITE = (255, 255, 255)
_SHRINK_HEADROOM = 2
_SIXTEEN_BIT_MODES = ("I;16", "I;16L", "I;16B", "I;16N", "I")
_SIXTEEN_BIT_MAX = 65535
_UNREADABLE = (OSError, ValueError, SyntaxError, TypeError, IndexError, KeyError, EOFError, OverflowError, MemoryError)


@dataclass(frozen=True)
class Picture:
    """A decoded picture.

    Attributes:
        pixels: uint8 `[H, W, 3]`, sRGB, upright.
        format, mode: of the file, as Pillow names them.
        width, height: of the file, before its orientation was applied.
        profile: description of the embedded ICC profile, or None.
        orientation: the EXIF orientation, 1 when there is none.
        notes: what was done on the way, in words.
    """

    pixels: np.ndarray
    format: str
    mode: str
    width: int
    height: int
    profile: str | None
    orientation: int
    notes: tuple[str, ...]


def decode_file(path: Path, *, matte: tuple[int, int, int] = WHITE) -> Picture:
    """Read one picture file that a user named.

    Raises:
        DataError: as `decode`, with the file's name in front.
    """
    try:
        return decode(path.read_bytes(), matte=matte)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def decode(data: bytes, *, matte: tuple[int, int, int] = WHITE, enough_px: int | None = None) -> Picture:
    """Decode the bytes of one picture file.

    Args:
        data: the whole file; its name and suffix do not matter.
        matte: the color under transparent pixels.
        enough_px: for a picture that will be reduced to this side: a JPEG may then be decoded at a half, a quarter or an
            eighth of its size, as long as its shorter side stays twice as long (over 50 dB from the whole way, in less than
            half the time). None decodes every pixel.

    Raises:
        DataError: not a picture of an allowed format, too large, truncated or damaged; the message names the reason but
            not the file, which the caller knows.
    """
    if not data:
        raise DataError("the file is empty")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns from 89 megapixels on and refuses from 179: its refusal is our limit
        try:
            with Image.open(io.BytesIO(data), formats=_readable_formats()) as image:
                size, notes = image.size, _notes_on_depth(image)
                _shrink_on_load(image, enough_px)
                image.load()
                return _convert(image, size, matte, notes)
        except UnidentifiedImageError as error:
            raise DataError("not a picture of a known format") from error
        except Image.DecompressionBombError as error:
            raise DataError(
                f"too many pixels: the limit is {2 * (Image.MAX_IMAGE_PIXELS or 0) / 1e6:.0f} megapixels"
            ) from error
        except _UNREADABLE as error:
            raise DataError(f"damaged or truncated: {error}") from error


@cache
def _readable_formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)  # AVIF, for one, is not in every build of Pillow


def _notes_on_depth(image: Image.Image) -> list[str]:
    """Say so when color channels have 16 bits: Pillow keeps the high byte of each, within one level of v / 257."""
    deep = image.mode == "RGB" and any(";16" in str(tile.args) for tile in getattr(image, "tile", ()))
    return ["16-bit scaled to 8"] if deep else []


def _shrink_on_load(image: Image.Image, enough_px: int | None) -> None:
    """Let a JPEG's inverse DCT skip what the reduction would throw away; other formats are left alone."""
    if enough_px is None:
        return
    share = _SHRINK_HEADROOM * enough_px / min(image.size)
    if share < 1:
        image.draft(None, (math.ceil(image.width * share), math.ceil(image.height * share)))


def _convert(image: Image.Image, size: tuple[int, int], matte: tuple[int, int, int], notes: list[str]) -> Picture:
    file_format, mode = image.format or "", image.mode
    width, height = size
    if image.size != size:
        notes.append(f"decoded at {image.width}x{image.height}")
    icc = image.info.get("icc_profile")
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        notes.append(f"first of {frames} frames")
    orientation = _orientation(image, notes)
    if orientation != 1:
        image = ImageOps.exif_transpose(image)
        notes.append(f"EXIF orientation {orientation} applied")
    image = _flatten(_to_eight_bits(image, notes), matte, notes)
    image, profile = _to_srgb(image, icc, notes)
    pixels = np.asarray(image, dtype=np.uint8)
    return Picture(pixels, file_format, mode, width, height, profile, orientation, tuple(notes))


def _orientation(image: Image.Image, notes: list[str]) -> int:
    try:
        value = image.getexif().get(0x0112, 1)
    except _UNREADABLE:
        notes.append("EXIF unreadable, ignored")
        return 1
    return value if value in range(1, 9) else 1


def _to_eight_bits(image: Image.Image, notes: list[str]) -> Image.Image:
    if image.mode in _SIXTEEN_BIT_MODES:
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > _SIXTEEN_BIT_MAX:
            raise DataError(f"32-bit values from {values.min()} to {values.max()}: only 0..{_SIXTEEN_BIT_MAX} can be scaled")
        notes.append("16-bit scaled to 8")
        return Image.fromarray(np.rint(values / 257).astype(np.uint8))
    if image.mode == "F":
        raise DataError("floating-point pixels have no known white: save the picture with 8 or 16 bits")
    return image


def _flatten(image: Image.Image, matte: tuple[int, int, int], notes: list[str]) -> Image.Image:
    """Return the picture in mode L, RGB, CMYK or LAB, with palette expanded and transparency over the matte."""
    has_alpha = image.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in image.info
    if has_alpha:
        rgba = image.convert("RGBA")
        notes.append("transparency composited on the matte")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, (*matte, 255)), rgba).convert("RGB")
    if image.mode == "1":
        return image.convert("L")
    if image.mode in ("L", "RGB", "CMYK", "LAB"):
        return image
    return image.convert("RGB")


def _to_srgb(image: Image.Image, icc: bytes | None, notes: list[str]) -> tuple[Image.Image, str | None]:
    if not icc:
        if image.mode == "CMYK":
            notes.append("CMYK without a profile, converted without one")
        return _as_rgb(image), None
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        name = ImageCms.getProfileDescription(source).strip()
        converted = _gray_to_srgb(image, source) if image.mode == "L" else _transform(image, source, 0)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        notes.append("ICC profile unreadable or not for these channels, pixels taken as sRGB")
        return _as_rgb(image), None
    if "srgb" not in name.lower():
        notes.append(f"converted from the profile '{name}' to sRGB")
    return converted, name


def _as_rgb(image: Image.Image) -> Image.Image:
    return image if image.mode == "RGB" else image.convert("RGB")  # which would copy


def _transform(image: Image.Image, source: ImageCms.ImageCmsProfile, flags: int) -> Image.Image:
    converted = ImageCms.profileToProfile(
        image,
        source,
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode="RGB",
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION | flags,
    )
    assert converted is not None, "not in place"
    return converted


def _gray_to_srgb(image: Image.Image, source: ImageCms.ImageCmsProfile) -> Image.Image:
    """Convert the 256 grays exactly and look pixels up: the engine's shortcut for gray errs by 2.8 (CIEDE2000) in the darks."""
    ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    table = np.asarray(_transform(ramp, source, ImageCms.Flags.NOOPTIMIZE))[0]
    return Image.fromarray(table[np.asarray(image)])
