"""Pillow's road: formats that it reads rightly, and the corrections that its own samples allow."""

import io
import math
import struct
import sys
import zlib
from functools import cache
from typing import Any

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from artgan.decode import boxes
from artgan.decode.encodings import Encoding, of_cicp, of_gamma
from artgan.decode.png_facts import PngFacts, png_facts
from artgan.decode.psd_facts import DUOTONE, PsdFacts
from artgan.decode.raster import FULL, Raster, Space, Wish, check_size, to_full_scale, too_many_pixels
from artgan.errors import DataError

# What Pillow, its plugins and the codecs of the extra raise for damaged files.
UNREADABLE = (
    *(OSError, ValueError, SyntaxError, TypeError, LookupError, EOFError, ArithmeticError, MemoryError),
    *(RuntimeError, AssertionError, AttributeError, struct.error, zlib.error),
)
REFUSED = (Image.DecompressionBombError, UnidentifiedImageError, *UNREADABLE)
_SHRINK_HEADROOM = 2
_SHRINKABLE_TIMES = 8
_SIXTEEN_BIT_MODES = ("I;16", "I;16L", "I;16B", "I;16N", "I")
_ORIENTATION_TAG = 0x0112
_SWAPPED_BYTES = (";16B", ";16L", ";16N")


def read(data: bytes, kind: str, wish: Wish) -> Raster:
    """Read a file of one of Pillow's formats that needs no correction; a JPEG may come reduced."""
    image = opened(data, kind, wish)
    size, covered = image.size, _shrink_on_load(image, wish) if kind == "JPEG" else None
    raster = raster_of(image)
    if covered is not None:
        raster.notes.insert(0, f"decoded at {image.width}x{image.height}")
        raster.width, raster.height, raster.covered = *size, covered
    if kind == "JPEG" and raster.space == "CMYK" and "adobe" not in image.info:
        raster.notes.append("CMYK without Adobe's mark: taken as inverted all the same, as most programs do")
    return raster


def read_png(data: bytes, wish: Wish) -> Raster:
    """Read a PNG, with its transparent color at the file's depth, and what its color chunks say."""
    facts = png_facts(data)
    image = opened(facts.data, "PNG", wish)
    if facts.profile is not None:
        image.info["icc_profile"] = facts.profile
    if facts.key is not None:
        del image.info["transparency"]
    raster = raster_of(image)
    raster.notes += facts.notes
    _set_encoding(raster, facts)
    if wish.keep_depth or raster.encoding is not None:  # linear light and PQ have too few darks in 8 bits
        _add_low_bytes(raster, opened(facts.data, "PNG", wish))
    if facts.key is not None:
        _clear_key(raster, facts)
    return raster


def read_avif(data: bytes, wish: Wish) -> Raster:
    """Read an AVIF; its code points count where it has no profile."""
    image = opened(data, "AVIF", wish)
    raster = raster_of(image)
    _use_facts(raster, data)
    return raster


def read_jp2(data: bytes, facts: boxes.Jp2Facts, wish: Wish) -> Raster:
    """Read a JPEG 2000 file of 8 bits, or a gray one of up to 16, with the profile of its header."""
    image = opened(data, "JPEG2000", wish)
    image.load()
    if image.mode == "RGBA" and not facts.alpha and _space_of(facts.profile) == b"CMYK":
        image = Image.frombytes("CMYK", image.size, image.tobytes())
        image.format = "JPEG2000"
    depths = facts.depths
    if image.mode == "I;16":  # Pillow shifts samples up, which leaves white short of white
        values = np.asarray(image).astype(np.uint16) >> (16 - depths[0])
        raster = Raster("JPEG2000", "I;16", *image.size, to_full_scale(values, depths[0]), "L")
        raster.notes.append(f"{depths[0]}-bit scaled to 8")
    else:
        if min(depths) < 8 and not facts.has_palette:
            tables = [[round((value >> 8 - bits) * 255 / ((1 << bits) - 1)) for value in range(256)] for bits in depths]
            image = image.point([value for table in tables for value in table])
            image.format = "JPEG2000"
        raster = raster_of(image)
    raster.profile = facts.profile
    return raster


def read_tiff(data: bytes, bits: int, *, white_is_zero: bool, wish: Wish) -> Raster:
    """Read the first page of a TIFF that Pillow decodes rightly; gray of 12 bits and white at zero are set right here."""
    raster = raster_of(opened(data, "TIFF", wish))
    if wish.keep_depth:
        _add_low_bytes(raster, opened(data, "TIFF", wish))
    if isinstance(raster.samples, np.ndarray) and raster.space == "L" and bits <= 16:
        if bits < 16:
            raster.samples = to_full_scale(raster.samples, bits)
            raster.notes[:] = [note.replace("16-bit", f"{bits}-bit") for note in raster.notes]
        if white_is_zero:
            raster.samples = FULL - raster.samples
    return raster


def read_psd(data: bytes, facts: PsdFacts, wish: Wish) -> Raster:
    """Read the 8-bit composite of a PSD; a fourth channel is opacity only where the file says so."""
    image = opened(data, "PSD", wish)
    raster = raster_of(image, count_frames=False)
    if raster.alpha is not None:
        raster.alpha = raster.alpha if facts.is_transparent else None
        raster.mode = image.mode if facts.is_transparent else "RGB"
    if raster.alpha is not None:
        raster.samples = _without_white(np.asarray(raster.samples), np.asarray(raster.alpha))
    elif facts.is_transparent:
        raster.notes.append("transparency flattened on white by the program that saved it")
    if facts.mode == DUOTONE:
        raster.notes.append("duotone taken as gray")
    if facts.layers:
        raster.notes.append(f"the composite of {facts.layers} layers")
    return raster


def _without_white(colors: np.ndarray, alpha: np.ndarray) -> Image.Image:
    """Take the white out that Photoshop composites under a transparent picture."""
    share = np.maximum(alpha.astype(np.float32), 1)[..., None] / 255
    return Image.fromarray(np.rint((colors - 255 * (1 - share)) / share).clip(0, 255).astype(np.uint8))


def read_by_plugin(data: bytes, plugin: type[ImageFile.ImageFile], kind: str, wish: Wish) -> Raster:
    """Read a file with one of the extra's plugins for Pillow.

    They turn pictures upright themselves, except a JPEG that was packed into JPEG XL, which they unpack as it was.
    """
    image = plugin(io.BytesIO(data), "")
    check_size(*image.size, wish)
    raster = raster_of(image)
    raster.format = kind
    if not getattr(image, "jpeg", False):
        raster.orientation = 1
    if kind == "HEIF":
        _use_facts(raster, data)
    return raster


def opened(data: bytes, kind: str, wish: Wish) -> Image.Image:
    """Open a file as the one kind it is, without probing others, within the limit.

    A JPEG over the limit is let through where its own transform can make it small enough.

    Raises:
        DataError: it is too large.
        Exception: one of `REFUSED`, its header cannot be read.
    """
    image: Image.Image = _factories()[kind](io.BytesIO(data), "")
    if kind != "JPEG" or image.width * image.height <= wish.max_pixels:
        check_size(*image.size, wish)
        return image
    size, small = image.size, _reduced_size(image.size, wish.enough_px)
    streams = not image.info.get("progressive") and not image.info.get("progression")
    if not streams or math.prod(small) > wish.max_pixels or math.prod(size) > _SHRINKABLE_TIMES * wish.max_pixels:
        raise too_many_pixels(*size, wish)
    return image


@cache
def _factories() -> dict[str, Any]:
    Image.init()
    return {name: factory for name, (factory, _) in Image.OPEN.items()}


def _reduced_size(size: tuple[int, int], enough_px: int | None) -> tuple[int, int]:
    share = _share(size, enough_px)
    scale = next(scale for scale in (8, 4, 2, 1) if scale * share <= 1 or scale == 1)
    return math.ceil(size[0] / scale), math.ceil(size[1] / scale)


def _share(size: tuple[int, int], enough_px: int | None) -> float:
    return 1.0 if enough_px is None else min(1.0, _SHRINK_HEADROOM * enough_px / min(size))


def _shrink_on_load(image: Image.Image, wish: Wish) -> tuple[float, float] | None:
    """Let a JPEG's inverse DCT skip what the reduction would throw away.

    Returns:
        How much of the reduced width and height the picture covers: at odd sizes its last pixels reach beyond it.
    """
    size, share = image.size, _share(image.size, wish.enough_px)
    drafted = image.draft(None, (math.ceil(size[0] * share), math.ceil(size[1] * share))) if share < 1 else None
    return drafted[1][2:] if drafted is not None and image.size != size else None


def raster_of(image: Image.Image, *, count_frames: bool = True) -> Raster:
    """Load an image and part its colors from its opacity."""
    mode, file_format = image.mode, image.format or ""
    notes = _notes_on_depth(image)
    image.load()
    orientation = _orientation(image, notes)
    frames = getattr(image, "n_frames", 1) if count_frames else 1
    if frames > 1:
        notes.append(f"first of {frames} frames")
    samples, space, alpha = _parted(image, notes)
    return Raster(
        file_format,
        mode,
        *image.size,
        samples,
        space,
        alpha,
        image.info.get("icc_profile") or None,
        orientation=orientation,
        notes=notes,
    )


def _notes_on_depth(image: Image.Image) -> list[str]:
    """Say so when color channels have 16 bits: Pillow keeps the high byte of each, within one level of v / 257."""
    deep = image.mode in ("RGB", "RGBA", "CMYK") and any(";16" in str(tile.args) for tile in getattr(image, "tile", ()))
    return ["16-bit scaled to 8"] if deep else []


def _add_low_bytes(raster: Raster, image: Any) -> None:
    """Bring 16-bit colors to their whole depth.

    Pillow keeps the high byte of each. Read once more with the bytes of a sample taken for swapped, it keeps the low one.
    """
    names = {str(tile.args if isinstance(tile.args, str) else tile.args[0]) for tile in getattr(image, "tile", ())}
    if image.mode not in ("RGB", "RGBA") or len(names) != 1 or not (name := names.pop()).endswith(_SWAPPED_BYTES):
        return
    swapped = name[:-1] + ("L" if name.endswith("B") or (name.endswith("N") and sys.byteorder == "big") else "B")
    image.tile = [
        tile._replace(args=swapped if isinstance(tile.args, str) else (swapped, *tile.args[1:])) for tile in image.tile
    ]
    try:
        image.load()
    except ValueError:  # a layout that Pillow has in one order of bytes alone
        return
    low = np.asarray(image).astype(np.uint16)
    raster.samples = (np.asarray(raster.samples).astype(np.uint16) << 8) | low[..., :3]
    if raster.alpha is not None and low.shape[-1] == 4:
        raster.alpha16 = (np.asarray(raster.alpha).astype(np.uint16) << 8) | low[..., 3]


def _orientation(image: Image.Image, notes: list[str]) -> int:
    try:
        value = image.getexif().get(_ORIENTATION_TAG, 1)
    except UNREADABLE:
        notes.append("EXIF unreadable, ignored")
        return 1
    return value if value in range(1, 9) else 1


def _parted(image: Image.Image, notes: list[str]) -> tuple[Image.Image | np.ndarray, Space, Image.Image | None]:
    mode = image.mode
    if mode in _SIXTEEN_BIT_MODES:
        return _sixteen_bit(image, notes), "L", None
    if mode == "F":
        raise DataError("floating-point pixels have no known white: save the picture with 8 or 16 bits")
    if mode in ("LA", "La"):
        both = image if mode == "LA" else image.convert("LA")
        return both.getchannel("L"), "L", both.getchannel("A")
    if mode in ("PA", "RGBA", "RGBa") or "transparency" in image.info:
        rgba = image if mode == "RGBA" else image.convert("RGBA")
        return rgba.convert("RGB"), "RGB", rgba.getchannel("A")
    if mode == "L" or mode == "1":
        return image if mode == "L" else image.convert("L"), "L", None
    if mode == "CMYK":
        return image, "CMYK", None
    if mode == "LAB":
        return _lab(image), "LAB", None
    return image if mode == "RGB" else image.convert("RGB"), "RGB", None


def _sixteen_bit(image: Image.Image, notes: list[str]) -> np.ndarray:
    values = np.asarray(image)
    lowest, highest = int(values.min()), int(values.max())
    if lowest < 0 or highest > FULL:
        raise DataError(f"values from {lowest} to {highest}: only 0 to {FULL} can be scaled; save it with 8 or 16 bits")
    notes.append("16-bit scaled to 8")
    return values.astype(np.uint16)


def _lab(image: Image.Image) -> np.ndarray:
    values = np.asarray(image)
    a_and_b = values[..., 1:].view(np.int8)  # Pillow hands them out signed, as TIFF has them
    return np.concatenate([values[..., :1] * np.float32(100 / 255), a_and_b.astype(np.float32)], -1)


def _clear_key(raster: Raster, facts: PngFacts) -> None:
    """Make the one transparent color of a PNG transparent, compared at the file's own depth where Pillow keeps it."""
    assert facts.key is not None
    values, bits = np.asarray(raster.samples), facts.bit_depth
    key = np.array(facts.key) & ((1 << bits) - 1)
    if values.dtype == np.uint8 and bits == 16:
        key >>= 8
        raster.notes.append("transparent color compared by its high bytes")
    elif values.dtype == np.uint8:
        key = key * 255 // ((1 << bits) - 1)
    same = values == key if values.ndim == 3 else values == key[0]
    clear = same.all(-1) if values.ndim == 3 else same
    raster.alpha = Image.fromarray(np.where(clear, 0, 255).astype(np.uint8))


def _set_encoding(raster: Raster, facts: PngFacts) -> None:
    """Choose among a PNG's color chunks: cICP, then the profile, then sRGB, then gAMA and cHRM (PNG 3rd edition, 4.3)."""
    if facts.cicp is not None:
        encoding, notes = of_cicp(facts.cicp)
        if not notes or raster.profile is None:
            raster.profile, raster.encoding = None, _unless_srgb(encoding)
            raster.notes += notes
    elif raster.profile is None and not facts.is_srgb and (facts.gamma or facts.chromaticities):
        raster.encoding = _unless_srgb(of_gamma(facts.gamma, facts.chromaticities))


def _use_facts(raster: Raster, data: bytes) -> None:
    """Let the code points of an AVIF or HEIF count where it has no profile; its decoder has widened the range."""
    cicp, bits = boxes.heif_facts(data)
    if bits > 8:
        raster.notes.append(f"{bits}-bit scaled to 8")
    if cicp is not None and raster.profile is None:
        encoding, notes = of_cicp(cicp, range_done=True)
        raster.encoding = _unless_srgb(encoding)
        raster.notes += notes


def _unless_srgb(encoding: Encoding) -> Encoding | None:
    return None if encoding.is_srgb else encoding


def _space_of(profile: bytes | None) -> bytes:
    return profile[16:20] if profile else b""
