"""Finished pixels as files: dithered 8 bits, 16 bits as PNG or TIFF, with a color profile and metadata.

Pillow has no 16-bit RGB; the two writers here make the plainest valid files.
"""

import io
import json
import struct
import zlib
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from artgan.errors import ConfigError, DataError
from artgan.images import save_png
from artgan.metadata import parameters_line, user_comment, xmp
from artgan.storage import write_whole

_SOFTWARE = "artgan"
# Roberts 2018: the plastic number's powers spread points evenly over the plane.
_PLASTIC = 1.32471795724474602596
_DITHER_AMPLITUDE = 0.499  # below a half: a value that 8 bits hold exactly stays
SUFFIX = {"png": ".png", "png16": ".png", "tiff16": ".tif"}
MEDIA_KIND = {"png": "png", "png16": "png", "tiff16": "tiff"}  # of `artgan.signing`


def check_output(file_format: str, profile: str) -> None:
    """Check, before any work, that pictures can be written so.

    Raises:
        ConfigError: a package is missing.
    """
    if profile == "source" and file_format != "png" and find_spec("imagecodecs") is None:
        raise ConfigError(f"--profile source with --format {file_format} needs imagecodecs: pip install 'artgan[formats]'")


def to_eight_bits(pixels: np.ndarray, dither: bool) -> np.ndarray:
    """Return floats `[H, W, 3]` in [0, 1] as uint8, rounded to the nearest or with an even, seedless dither pattern."""
    scaled = pixels * 255
    if dither:
        scaled = scaled + _dither_pattern(pixels.shape[0], pixels.shape[1])
    return np.rint(scaled).clip(0, 255).astype(np.uint8)


@cache
def _dither_pattern(height: int, width: int) -> np.ndarray:
    """Return offsets `[H, W, 3]` in (-0.5, 0.5), low-discrepancy in the plane and shifted from channel to channel."""
    rows, columns = np.arange(height)[:, None, None], np.arange(width)[None, :, None]
    phase = rows / _PLASTIC**2 + columns / _PLASTIC + np.arange(3) / 3
    return ((phase % 1 - 0.5) * 2 * _DITHER_AMPLITUDE).astype(np.float32)


def save(
    path: Path,
    pixels: np.ndarray,
    file_format: str,
    dither: bool,
    profile: bytes | None,
    metadata: Mapping[str, Any],
    source_type: str,
    *,
    alpha: np.ndarray | None = None,
    dpi: tuple[float, float] | None = None,
    in_profile: bool = False,
) -> None:
    """Write a finished picture in one step.

    Args:
        path: where to.
        pixels: sRGB, uint8 or uint16 `[H, W, 3]` (kept exactly where the format has the bits) or float in [0, 1].
        file_format: `png`, `png16` or `tiff16`.
        dither: of floats, for 8 bits.
        profile: an ICC profile to convert to and embed; None is sRGB.
        metadata, source_type: as in `artgan.images.save_png`.
        alpha: opacity `[H, W]`, uint8 or uint16.
        dpi: dots per inch to print at.
        in_profile: the pixels are in the profile already.

    Raises:
        StorageError: the file cannot be written.
        DataError: the profile cannot be used.
    """
    if file_format == "png":
        shares = pixels / np.float32(65535) if pixels.dtype == np.uint16 else pixels
        eight = shares if shares.dtype == np.uint8 else to_eight_bits(shares, dither)
        if profile is not None and not in_profile:
            eight = _to_profile(eight, profile, path)
        if alpha is not None:
            eight = np.dstack([eight, alpha if alpha.dtype == np.uint8 else np.rint(alpha / 257).astype(np.uint8)])
        save_png(path, eight, metadata, source_type, icc_profile=profile or srgb_profile(), dpi=dpi)
        return
    sixteen = to_sixteen_bits(pixels)
    if profile is not None and not in_profile:
        sixteen = _deep_to_profile(sixteen, profile, path)
    if alpha is not None:
        sixteen = np.dstack([sixteen, to_sixteen_bits(alpha)])
    encode = _png16 if file_format == "png16" else _tiff16
    write_whole(path, encode(sixteen, metadata, source_type, profile or srgb_profile(), dpi))


def to_sixteen_bits(pixels: np.ndarray) -> np.ndarray:
    """Return uint16 of any shape: 65535 is 1.0; 8-bit values are repeated, so that 255 is 65535."""
    if pixels.dtype == np.uint8:
        return pixels.astype(np.uint16) * 257
    if pixels.dtype == np.uint16:
        return pixels
    return np.rint(pixels.astype(np.float64) * 65535).clip(0, 65535).astype(np.uint16)


@cache
def srgb_profile() -> bytes:
    """Return an sRGB profile, the same bytes every time: the library stamps the time of making, which is cleared here."""
    data = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return data[:24] + struct.pack(">6H", 2000, 1, 1, 0, 0, 0) + data[36:]


def _to_profile(pixels: np.ndarray, profile: bytes, path: Path) -> np.ndarray:
    try:
        target = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        source = ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(Image.fromarray(pixels), source, target, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as error:
        raise DataError(f"{path.name}: its own profile cannot be written to ({error}); use --profile srgb") from error
    return np.asarray(converted)


def _deep_to_profile(pixels: np.ndarray, profile: bytes, path: Path) -> np.ndarray:
    """Convert uint16 `[H, W, 3]` from sRGB, as `_to_profile` does with 8 bits, which is all that Pillow's engine takes."""
    import imagecodecs

    try:
        converted = imagecodecs.cms_transform(
            np.ascontiguousarray(pixels),
            srgb_profile(),
            profile,
            colorspace="rgb",
            outcolorspace="rgb",
            outdtype="uint16",
            intent=int(ImageCms.Intent.PERCEPTUAL),
        )
    except (RuntimeError, ValueError) as error:
        raise DataError(f"{path.name}: its own profile cannot be written to ({error}); use --profile srgb") from error
    return np.asarray(converted)


def _png16(
    pixels: np.ndarray, metadata: Mapping[str, Any], source_type: str, profile: bytes, dpi: tuple[float, float] | None = None
) -> bytes:
    """Encode uint16 `[H, W, 3 or 4]` (PNG, third edition: color type 2 or 6, 16 bits; rows filtered by the one above)."""
    height, width, channels = pixels.shape
    rows = pixels.astype(">u2").view(np.uint8).reshape(height, -1)
    above = np.concatenate([np.zeros_like(rows[:1]), rows[:-1]])
    filtered = np.concatenate([np.full((height, 1), 2, np.uint8), rows - above], 1)
    texts = {
        "artgan": json.dumps(metadata, sort_keys=True),
        "parameters": parameters_line(metadata),
        "XML:com.adobe.xmp": xmp(source_type, metadata),
    }
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2 if channels == 3 else 6, 0, 0, 0)),
        (b"iCCP", (b"sRGB" if profile == srgb_profile() else b"ICC") + b"\0\0" + zlib.compress(profile, 9)),
        *([(b"pHYs", struct.pack(">IIB", *[round(value / 0.0254) for value in dpi], 1))] if dpi else []),
        *((b"iTXt", key.encode() + b"\0\0\0\0\0" + text.encode()) for key, text in texts.items()),
        (b"IDAT", zlib.compress(filtered.tobytes(), 6)),
        (b"IEND", b""),
    ]
    framed = [struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


def _tiff16(
    pixels: np.ndarray, metadata: Mapping[str, Any], source_type: str, profile: bytes, dpi: tuple[float, float] | None = None
) -> bytes:
    """Encode uint16 `[H, W, 3 or 4]` (TIFF 6.0, RGB with 16 bits, opacity unassociated: one deflated strip), little-endian."""
    height, width, channels = pixels.shape
    strip = zlib.compress(pixels.astype("<u2").tobytes(), 6)
    description = parameters_line(metadata).encode("ascii", "replace") + b"\0"
    packet = xmp(source_type, metadata).encode()
    short, long, ascii_text, raw, undefined = 3, 4, 2, 1, 7
    entries: list[tuple[int, int, int, bytes]] = [  # tag, type, count, value; in order of tags
        (256, long, 1, struct.pack("<I", width)),
        (257, long, 1, struct.pack("<I", height)),
        (258, short, channels, struct.pack(f"<{channels}H", *[16] * channels)),
        (259, short, 1, struct.pack("<H", 8)),  # deflate
        (262, short, 1, struct.pack("<H", 2)),  # RGB
        (270, ascii_text, len(description), description),
        (273, long, 1, b""),  # where the strip begins, filled in below
        (277, short, 1, struct.pack("<H", channels)),
        (278, long, 1, struct.pack("<I", height)),
        (279, long, 1, struct.pack("<I", len(strip))),
        *_resolution_tags(dpi),
        (284, short, 1, struct.pack("<H", 1)),
        *([(296, short, 1, struct.pack("<H", 2))] if dpi else []),  # inches
        (305, ascii_text, len(_SOFTWARE) + 1, _SOFTWARE.encode() + b"\0"),
        *([(338, short, 1, struct.pack("<H", 2))] if channels == 4 else []),
        (700, raw, len(packet), packet),
        (34675, undefined, len(profile), profile),
        (37510, undefined, len(user_comment(metadata)), user_comment(metadata)),
    ]
    offset = 8 + 2 + 12 * len(entries) + 4
    directory, tail = struct.pack("<H", len(entries)), b""
    outside = sum(len(value) + len(value) % 2 for _, _, _, value in entries if len(value) > 4)
    for tag, kind, count, value in entries:
        if tag == 273:
            value = struct.pack("<I", offset + outside)
        if len(value) > 4:
            field = struct.pack("<I", offset + len(tail))
            tail += value + b"\0" * (len(value) % 2)
        else:
            field = value.ljust(4, b"\0")
        directory += struct.pack("<HHI", tag, kind, count) + field
    return b"II*\0" + struct.pack("<I", 8) + directory + struct.pack("<I", 0) + tail + strip


def _resolution_tags(dpi: tuple[float, float] | None) -> list[tuple[int, int, int, bytes]]:
    if dpi is None:
        return []
    rational = 5
    return [(tag, rational, 1, struct.pack("<2I", round(value * 100), 100)) for tag, value in zip((282, 283), dpi, strict=True)]
