"""OpenEXR and Radiance: pictures in linear light, of any brightness, by the `formats` extra."""

import io
import re
import struct

import numpy as np
from PIL import Image

from artgan.decode.encodings import SRGB, Chromaticities, linear_light
from artgan.decode.raster import Raster, Space, Wish, check_size, from_extra
from artgan.errors import DataError

_MAX_ATTRIBUTES = 1000
_MAX_NAME = 256
_MULTI_PART, _DEEP = 0x1000, 0x800
_RESOLUTION = re.compile(rb"\n\n?([-+])([XY]) (\d{1,7}) ([-+])([XY]) (\d{1,7})\n")
_HEADER_BYTES = 1 << 16


def read(data: bytes, kind: str, wish: Wish) -> Raster:
    """Read an EXR or HDR file; what is brighter than white is brought in later, by `encodings.to_srgb`.

    Raises:
        DataError: the extra is missing, or the file is damaged, too large, or holds no picture.
    """
    return _read_exr(data, wish) if kind == "EXR" else _read_radiance(data, wish)


def light_raster(
    file_format: str,
    mode: str,
    light: np.ndarray,
    alpha: np.ndarray | None,
    *,
    associated: bool,
    primaries: Chromaticities = SRGB,
) -> Raster:
    """Return float `[H, W, C]` of 1 or 3 channels as a raster; what is no finite number is dark, and said.

    Raises:
        DataError: no value is a number, or there are four inks.
    """
    if light.shape[-1] not in (1, 3):
        raise DataError(f"{light.shape[-1]} floating-point channels are no light: save the picture with 16 bits")
    height, width = light.shape[:2]
    light = light.astype(np.float32)
    finite = np.isfinite(light)
    notes = []
    if not finite.all():
        if not finite.any():
            raise DataError("none of its values is a finite number")
        notes.append(f"{int(finite.size - finite.sum())} values that are no finite numbers taken as 0")
        light = np.where(finite, light, np.float32(0))
    opacity = None
    if alpha is not None:
        share = np.nan_to_num(alpha.astype(np.float32)).clip(0, 1)
        if associated:
            light /= np.maximum(share, 1e-6)[..., None]
        opacity = Image.fromarray(np.rint(share * 255).astype(np.uint8))
    space: Space = "L" if light.shape[-1] == 1 else "RGB"
    samples = light[..., 0] if space == "L" else np.ascontiguousarray(light)
    encoding = linear_light(primaries)
    return Raster(file_format, mode, width, height, samples, space, opacity, encoding=encoding, notes=notes)


def _read_exr(data: bytes, wish: Wish) -> Raster:
    header = _exr_header(data)
    window = header.get(b"dataWindow", b"")
    if len(window) != 16:
        raise DataError("damaged or truncated: the EXR has no data window; save it again")
    left, top, right, bottom = struct.unpack("<4i", window)
    check_size(right - left + 1, bottom - top + 1, wish, _num_channels(header.get(b"channels", b"")))
    reader = from_extra("OpenEXR", "OpenEXR")
    try:
        part = reader.File(io.BytesIO(data), separate_channels=True, num_threads=0).parts[0]
        channels = {name: np.asarray(channel.pixels) for name, channel in part.channels.items()}
    except (RuntimeError, ValueError, TypeError, LookupError) as error:  # it prints why, and gives no part
        raise DataError("damaged or truncated: the EXR's pixels cannot be read; save it again") from error
    if {"RY", "BY"} <= set(channels):
        raise DataError("OpenEXR in luminance and chroma cannot be read: save it in RGB")
    names = next((names for names in (("R", "G", "B"), ("Y",), ("r", "g", "b")) if set(names) <= set(channels)), None)
    if names is None or {channels[name].shape for name in names} != {(bottom - top + 1, right - left + 1)}:
        raise DataError(
            "the EXR's first part has no plain R, G and B: save the colors alone; "
            f"its channels are {', '.join(sorted(channels)[:8])}"
        )
    light = np.stack([channels[name] for name in names], -1)
    alpha = channels.get("A")
    mode = ("RGB" if len(names) == 3 else "L") + ("A" if alpha is not None else "") + f";{light.dtype.itemsize * 8}F"
    raster = light_raster("EXR", mode, light, alpha, associated=True, primaries=_exr_primaries(header))
    if struct.unpack_from("<I", data, 4)[0] & _MULTI_PART:
        raster.notes.append("first of several parts")
    return raster


def _exr_header(data: bytes) -> dict[bytes, bytes]:
    """Return the attributes of the first part."""
    if len(data) >= 8 and struct.unpack_from("<I", data, 4)[0] & _DEEP:
        raise DataError("deep EXR, which holds many samples for a pixel, cannot be read: flatten it")
    found: dict[bytes, bytes] = {}
    place = 8
    for _ in range(_MAX_ATTRIBUTES):
        name_end = data.find(b"\0", place, place + _MAX_NAME)
        if name_end <= place:
            break
        kind_end = data.find(b"\0", name_end + 1, name_end + 1 + _MAX_NAME)
        if kind_end < 0 or kind_end + 5 > len(data):
            break
        size = struct.unpack_from("<I", data, kind_end + 1)[0]
        found[data[place:name_end]] = data[kind_end + 5 : kind_end + 5 + min(size, _HEADER_BYTES)]
        place = kind_end + 5 + size
    return found


def _num_channels(content: bytes) -> int:
    count, place = 0, 0
    while place < len(content) and content[place]:
        end = content.find(b"\0", place)
        if end < 0:
            break
        count, place = count + 1, end + 1 + 16
    return count


def _exr_primaries(header: dict[bytes, bytes]) -> Chromaticities:
    content = header.get(b"chromaticities", b"")
    if len(content) != 32:
        return SRGB
    red, green, blue, white = struct.iter_unpack("<2f", content)
    points = (red, green, blue, white)
    return points if all(abs(y) > 1e-6 and abs(x) + abs(y) < 2 for x, y in points) else SRGB  # ACES has y below 0


def _read_radiance(data: bytes, wish: Wish) -> Raster:
    found = _RESOLUTION.search(data[:_HEADER_BYTES])
    if found is None or found[2] == found[5]:
        raise DataError("damaged or truncated: the Radiance file has no resolution; save it again")
    lines, length = int(found[3]), int(found[6])
    check_size(length, lines, wish)
    head = data[: found.start()]
    if b"FORMAT=32-bit_rle_xyze" in head:
        raise DataError("Radiance in XYZ cannot be read: save it in RGB")
    codecs = from_extra("imagecodecs", "Radiance HDR")
    usual = b"\n\n-Y %d +X %d\n" % (lines, length)  # which is all that the codec knows
    light = np.asarray(codecs.rgbe_decode(head + usual + data[found.end() :]))
    if light.shape != (lines, length, 3):
        raise DataError("damaged or truncated: the Radiance file has other pixels than its header says; save it again")
    for axis, (sign, name) in enumerate(((found[1], found[2]), (found[4], found[5]))):
        if (sign, name) in ((b"+", b"Y"), (b"-", b"X")):  # up, or to the left
            light = np.flip(light, axis)
    if found[2] == b"X":
        light = light.swapaxes(0, 1)
    return light_raster("HDR", "RGBE", light, None, associated=False)
