"""What a PNG says of itself beside its pixels: color chunks, transparency; and a copy without what Pillow would choke on."""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from artgan.decode.encodings import Chromaticities, Cicp

_SIGNATURE_BYTES = 8
_MAX_CHUNKS = 1 << 20
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_MAX_TEXT = 1 << 20  # unpacked; what Pillow allows for one entry
_MAX_TEXTS = 32 << 20
_MAX_PROFILE = 16 << 20
_MEGA = 1e6


@dataclass(frozen=True)
class PngFacts:
    """What a PNG says of itself.

    Attributes:
        bit_depth, color_type: of its header.
        key: `tRNS` as whole numbers, for gray and RGB: the one transparent color, at the file's own depth; or None.
        cicp, profile, is_srgb, gamma, chromaticities: its color chunks; None where they are missing or damaged.
        notes: what was passed over.
        data: the file, without the chunks that were passed over.
    """

    bit_depth: int
    color_type: int
    key: tuple[int, ...] | None
    cicp: Cicp | None
    profile: bytes | None
    is_srgb: bool
    gamma: float | None
    chromaticities: Chromaticities | None
    notes: tuple[str, ...]
    data: bytes


def png_facts(data: bytes) -> PngFacts:
    """Walk the chunks of a PNG.

    Raises:
        ValueError: it has no header.
    """
    found: dict[bytes, bytes] = {}
    notes: list[str] = []
    passed: list[tuple[int, int]] = []
    profile, texts = None, 0
    for name, start, end in _chunks(data):
        if name in (b"IDAT", b"fdAT", b"IEND", b"PLTE"):
            continue
        content = data[start + 8 : end - 4]
        why = "" if _is_whole(data, start, end) or not name[0] & 0x20 else "with a wrong checksum"
        if not why and name == b"iCCP":
            profile, why = _profile(content)
            if profile is not None and len(profile) > _MAX_TEXT:
                passed.append((start, end))  # read here, too long for Pillow
        elif not why and name in _TEXTS:
            size = _text_size(name, content)
            texts += size
            why = "of over 1 MB" if size > _MAX_TEXT else "beyond 32 MB of text" if texts > _MAX_TEXTS else ""
        if why:
            passed.append((start, end))
            notes.append(f"{name.decode('latin-1')} {why} passed over")
        else:
            found.setdefault(name, content)
    header = found.get(b"IHDR", b"")
    if len(header) != 13:
        raise ValueError("the PNG has no header")
    bit_depth, color_type = header[8], header[9]
    return PngFacts(
        bit_depth,
        color_type,
        _key(found.get(b"tRNS", b""), color_type),
        _cicp(found.get(b"cICP", b"")),
        profile,
        b"sRGB" in found,
        _gamma(found.get(b"gAMA", b"")),
        _chromaticities(found.get(b"cHRM", b"")),
        tuple(dict.fromkeys(notes)),
        _without(data, passed),
    )


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield each chunk's name, first byte and end; stop where the file ends early, which the decoder will say."""
    start = _SIGNATURE_BYTES
    for _ in range(_MAX_CHUNKS):
        if start + 12 > len(data):
            return
        size, name = struct.unpack_from(">I4s", data, start)
        end = start + 12 + size
        if end > len(data):
            return
        yield name, start, end
        if name == b"IEND":
            return
        start = end


def _is_whole(data: bytes, start: int, end: int) -> bool:
    return zlib.crc32(data[start + 4 : end - 4]) == struct.unpack_from(">I", data, end - 4)[0]


def _without(data: bytes, passed: list[tuple[int, int]]) -> bytes:
    if not passed:
        return data
    kept, place = [], 0
    for start, end in passed:
        kept.append(data[place:start])
        place = end
    return b"".join([*kept, data[place:]])


def _text_size(name: bytes, content: bytes) -> int:
    """Return the bytes of a text once unpacked, or one more than is allowed."""
    packed = b""
    if name == b"zTXt":
        packed = content.partition(b"\0")[2][1:]
    elif name == b"iTXt":
        after = content.partition(b"\0")[2]
        if after[:1] == b"\1":
            packed = after[2:].partition(b"\0")[2].partition(b"\0")[2]
    if not packed:
        return len(content)
    try:
        return len(zlib.decompressobj().decompress(packed, _MAX_TEXT + 1))
    except zlib.error:
        return len(content)


def _profile(content: bytes) -> tuple[bytes | None, str]:
    unpack = zlib.decompressobj()
    try:
        profile = unpack.decompress(content.partition(b"\0")[2][1:], _MAX_PROFILE + 1)
    except zlib.error:
        return None, "that cannot be unpacked"
    return (None, "of over 16 MB") if len(profile) > _MAX_PROFILE else (profile, "")


def _key(content: bytes, color_type: int) -> tuple[int, ...] | None:
    count = {0: 1, 2: 3}.get(color_type)
    if count is None or len(content) < 2 * count:
        return None
    return struct.unpack_from(f">{count}H", content)


def _cicp(content: bytes) -> Cicp | None:
    if len(content) != 4 or content[2] != 0:  # PNG holds RGB only
        return None
    return Cicp(content[0], content[1], bool(content[3]))


def _gamma(content: bytes) -> float | None:
    value = struct.unpack(">I", content)[0] / 1e5 if len(content) == 4 else 0
    return value if 0.05 <= value <= 20 else None


def _chromaticities(content: bytes) -> Chromaticities | None:
    if len(content) != 32:
        return None
    white, red, green, blue = ((x / 1e5, y / 1e5) for x, y in struct.iter_unpack(">2I", content))
    points = (red, green, blue, white)
    if any(y <= 0 or x + y > 1.0001 for x, y in points):
        return None
    area = (green[0] - red[0]) * (blue[1] - red[1]) - (blue[0] - red[0]) * (green[1] - red[1])
    return points if abs(area) > 1e-3 else None
