"""What boxed files say of themselves (ISO/IEC 14496-12, 15444-1 annex I, 23008-12, 18181-2): brands, color, size, depth."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from artgan.decode.encodings import Cicp

_MAX_BOXES = 10_000
_MAX_BRANDS = 64
_CODESTREAM = b"\xff\x4f\xff\x51"
_MAX_PROFILE = 16 << 20
_ALPHA_TYPES = (1, 2)


def boxes_in(data: bytes, start: int = 0, end: int | None = None) -> Iterator[tuple[bytes, int, int]]:
    """Yield the type, first and last byte of each box's content; stop at what is damaged."""
    end = len(data) if end is None else min(end, len(data))
    for _ in range(_MAX_BOXES):
        if start + 8 > end:
            return
        size, kind = struct.unpack_from(">I4s", data, start)
        header = 8
        if size == 1:
            if start + 16 > end:
                return
            size, header = struct.unpack_from(">Q", data, start + 8)[0], 16
        size = end - start if size == 0 else size
        if size < header:
            return
        yield kind, start + header, min(start + size, end)
        start += size


def brands_of(data: bytes) -> list[bytes]:
    """Return the major and the compatible brands of a file that begins with `ftyp`."""
    size = min(struct.unpack_from(">I", data)[0] if len(data) >= 16 else 0, 16 + 4 * _MAX_BRANDS, len(data))
    return [data[8:12], *(data[place : place + 4] for place in range(16, size - 3, 4))]


def heif_facts(data: bytes) -> tuple[Cicp | None, int]:
    """Return the code points of the primary picture of a HEIF or AVIF file, or None, and the bits of its samples."""
    cicp, bits = None, 8
    try:
        for kind, first, last in _primary_properties(data):
            if kind == b"colr" and data[first : first + 4] == b"nclx" and cicp is None:
                primaries, transfer, _, full = struct.unpack_from(">HHHB", data, first + 4)
                cicp = Cicp(primaries, transfer, bool(full >> 7))
            elif kind == b"pixi":
                bits = max(bits, *data[first + 5 : min(first + 5 + data[first + 4], last)])
    except (struct.error, IndexError, TypeError):
        pass  # what came before counts
    return cicp, bits


def _primary_properties(data: bytes) -> list[tuple[bytes, int, int]]:
    """Return the properties of the primary item, and then all of them, since a grid may leave them to its tiles."""
    for kind, start, end in boxes_in(data):
        if kind == b"meta":
            inside = {name: (first, last) for name, first, last in boxes_in(data, start + 4, end)}
            break
    else:
        return []
    properties: list[tuple[bytes, int, int]] = []
    associations: dict[int, list[int]] = {}
    for kind, first, last in boxes_in(data, *inside[b"iprp"]) if b"iprp" in inside else ():
        if kind == b"ipco":
            properties = list(boxes_in(data, first, last))
        elif kind == b"ipma":
            associations |= _associations(data, first, last)
    primary = _primary_item(data, inside[b"pitm"][0]) if b"pitm" in inside else None
    own = [properties[index - 1] for index in associations.get(primary or -1, []) if 0 < index <= len(properties)]
    return [*own, *properties]


def _primary_item(data: bytes, start: int) -> int:
    return struct.unpack_from(">H" if data[start] == 0 else ">I", data, start + 4)[0]


def _associations(data: bytes, start: int, end: int) -> dict[int, list[int]]:
    version, wide = data[start], bool(data[start + 3] & 1)
    count = struct.unpack_from(">I", data, start + 4)[0]
    place, found = start + 8, {}
    for _ in range(min(count, _MAX_BOXES)):
        if place >= end:
            break
        item = struct.unpack_from(">H" if version < 1 else ">I", data, place)[0]
        place += 2 if version < 1 else 4
        entries = data[place]
        place += 1
        form, width = (">H", 2) if wide else (">B", 1)
        mask = 0x7FFF if wide else 0x7F
        found[item] = [struct.unpack_from(form, data, place + width * k)[0] & mask for k in range(entries)]
        place += width * entries
    return found


@dataclass(frozen=True)
class Jp2Facts:
    """What a JPEG 2000 file says of itself.

    Attributes:
        width, height: of the whole picture.
        depths: bits of each component.
        signed: whether any component is.
        profile: the embedded ICC profile, restricted or not, or None.
        enumerated: the number of its color space (16 sRGB, 17 gray, 18 sYCC, 12 CMYK), or None.
        alpha: whether a channel is opacity; None when the file has no word on it.
        has_palette: whether samples are indices.
        codestream: its first byte in the file.
    """

    width: int
    height: int
    depths: tuple[int, ...]
    signed: bool
    profile: bytes | None
    enumerated: int | None
    alpha: bool | None
    has_palette: bool
    codestream: int


def jp2_facts(data: bytes) -> Jp2Facts:
    """Read the header of a JP2 file or a bare codestream.

    Raises:
        ValueError: there is no codestream, or its header is damaged.
    """
    place = 0 if data.startswith(_CODESTREAM) else -1
    profile: bytes | None = None
    enumerated: int | None = None
    alpha: bool | None = None
    has_palette = False
    try:
        for kind, start, end in boxes_in(data) if place else ():
            if kind == b"jp2c":
                place = start
                break
            for name, first, last in boxes_in(data, start, end) if kind == b"jp2h" else ():
                if name == b"colr" and profile is None and enumerated is None:  # the first one counts (I.5.3.3)
                    method = data[first]
                    if method == 1:
                        enumerated = struct.unpack_from(">I", data, first + 3)[0]
                    elif method in (2, 3) and last - first - 3 <= _MAX_PROFILE:
                        profile = data[first + 3 : last]
                elif name == b"cdef":
                    count = struct.unpack_from(">H", data, first)[0]
                    kinds = [struct.unpack_from(">HHH", data, first + 2 + 6 * k)[1] for k in range(min(count, 64))]
                    alpha = any(value in _ALPHA_TYPES for value in kinds)
                elif name == b"pclr":
                    has_palette = True
        if place < 0 or data[place : place + 4] != _CODESTREAM:
            raise ValueError("there is no JPEG 2000 codestream")
        x1, y1, x0, y0 = struct.unpack_from(">4I", data, place + 8)
        count = struct.unpack_from(">H", data, place + 40)[0]
        depths = [data[place + 42 + 3 * k] for k in range(count)]
    except (struct.error, IndexError) as error:
        raise ValueError("its JPEG 2000 header ends early") from error
    bits = tuple((value & 0x7F) + 1 for value in depths)
    signed = any(value & 0x80 for value in depths)
    return Jp2Facts(x1 - x0, y1 - y0, bits, signed, profile, enumerated, alpha, has_palette, place)


def is_whole_codestream(data: bytes) -> bool:
    """Return whether the tile-parts of a JPEG 2000 file lie end to end up to its end marker (ISO/IEC 15444-1, A.4)."""
    place = data.find(_CODESTREAM) + 2
    while 2 <= place <= len(data) - 12:
        marker, length = struct.unpack_from(">HH", data, place)
        is_part = marker == 0xFF90
        step = struct.unpack_from(">I", data, place + 6)[0] if is_part else 2 + length
        if is_part and step == 0:  # the last one: up to the end marker
            return data.endswith(b"\xff\xd9")
        if step < (14 if is_part else 4):
            return False
        place += step
        if is_part and data[place : place + 2] == b"\xff\xd9":
            return True
    return False
