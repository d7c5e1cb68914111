"""Picture files written byte by byte, from their specifications, so that no library that reads them made them too."""

import struct
import zlib
from collections.abc import Mapping, Sequence

import numpy as np

_LONG_TAGS = (254, 256, 257, 273, 279, 330)
_RATIONALS = {50721: 10, 50728: 5}  # SRATIONAL, RATIONAL
_BYTE_TAGS = {34675: 7, 33422: 1, 50706: 1, 50708: 2}
Page = tuple[Mapping[int, object], bytes]


def png(width: int, height: int, bits: int, color_type: int, rows: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """Return a PNG of unfiltered rows (each without its filter byte), with chunks before the pixels."""
    stride = len(rows) // height
    filtered = b"".join(b"\0" + rows[top * stride : (top + 1) * stride] for top in range(height))
    header = struct.pack(">IIBBBBB", width, height, bits, color_type, 0, 0, 0)
    every = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(filtered)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(name, content) for name, content in every)


def png_chunk(name: bytes, content: bytes, wrong_checksum: bool = False) -> bytes:
    checksum = zlib.crc32(name + content) ^ wrong_checksum
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)


def tiff(*pages: Page, within: Sequence[Page] = (), order: str = "<") -> bytes:
    """Return a TIFF of one strip a page; pages `within` are SubIFDs of the first. Sizes and strips are filled in."""
    data = bytearray((b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 0))
    inner = [_directory(data, page, order, 0)[0] for page in within]
    link = 4
    for number, (tags, pixels) in enumerate(pages):
        extra = {330: tuple(inner)} if inner and number == 0 else {}
        place, after = _directory(data, ({**tags, **extra}, pixels), order, 0)
        struct.pack_into(order + "I", data, link, place)
        link = after
    return bytes(data)


def _directory(data: bytearray, page: Page, order: str, following: int) -> tuple[int, int]:
    tags, pixels = page
    data += bytes(len(data) % 2)
    complete = {**tags, 273: len(data), 278: tags[257], 279: len(pixels)}
    data += pixels + bytes(len(pixels) % 2)
    entries = b""
    for tag, value in sorted(complete.items()):
        kind, count, content = _value(tag, value, order)
        if len(content) > 4:
            place = len(data)
            data += content + bytes(len(content) % 2)
            content = struct.pack(order + "I", place)
        entries += struct.pack(order + "HHI", tag, kind, count) + content.ljust(4, b"\0")
    place = len(data)
    data += struct.pack(order + "H", len(complete)) + entries + struct.pack(order + "I", following)
    return place, len(data) - 4


def _value(tag: int, value, order: str) -> tuple[int, int, bytes]:
    if tag in _BYTE_TAGS:
        return _BYTE_TAGS[tag], len(value), bytes(value)
    if tag in _RATIONALS:
        parts = [part for number in value for part in (round(number * 10000), 10000)]
        return _RATIONALS[tag], len(value), struct.pack(f"{order}{len(parts)}i", *parts)
    values = value if isinstance(value, tuple) else (value,)
    code, kind = ("I", 4) if tag in _LONG_TAGS else ("H", 3)
    return kind, len(values), struct.pack(f"{order}{len(values)}{code}", *values)


def gray_tiff(values: np.ndarray, photometric: int = 1, order: str = "<", **more) -> bytes:
    """Return an uncompressed gray TIFF of the array's own depth."""
    tags = {**base_tags(values.shape[1], values.shape[0], (values.itemsize * 8,), photometric), **more.get("tags", {})}
    return tiff((tags, values.astype(values.dtype.newbyteorder(order)).tobytes()), order=order)


def base_tags(width: int, height: int, bits: tuple[int, ...], photometric: int) -> dict[int, object]:
    return {256: width, 257: height, 258: bits, 259: 1, 262: photometric, 277: len(bits)}


def packed(values: np.ndarray, bits: int) -> bytes:
    """Return whole numbers of `bits` each, the highest bit first, rows padded to bytes."""
    spread = (values[..., None] >> np.arange(bits - 1, -1, -1)) & 1
    return np.packbits(spread.reshape(len(values), -1).astype(np.uint8), axis=1).tobytes()


def psd(
    planes: np.ndarray,
    mode: int,
    *,
    layers: int = 0,
    resources: Mapping[int, bytes] | None = None,
    psb: bool = False,
) -> bytes:
    """Return a PSD without packing, of planes `[C, H, W]`; a negative count of layers says that the last is opacity."""
    count, height, width = planes.shape
    bits = planes.dtype.itemsize * 8
    header = struct.pack(">4sH6xHIIHH", b"8BPS", 2 if psb else 1, count, height, width, bits, mode)
    blocks = b""
    for number, content in (resources or {}).items():
        blocks += b"8BIM" + struct.pack(">HHI", number, 0, len(content)) + content + bytes(len(content) % 2)
    size = ">Q" if psb else ">I"
    info = struct.pack(">h", layers) if layers else b""
    section = struct.pack(size, len(info)) + info + struct.pack(">I", 0)
    data = planes.astype(planes.dtype.newbyteorder(">")).tobytes()
    return (
        header
        + struct.pack(">I", 0)
        + struct.pack(">I", len(blocks))
        + blocks
        + struct.pack(size, len(section))
        + section
        + struct.pack(">H", 0)
        + data
    )


def jp2(codestream: bytes, width: int, height: int, components: int, bits: int, profile: bytes | None) -> bytes:
    """Return a JP2 file around a codestream, with a restricted profile or as enumerated sRGB or gray."""
    enumerated = struct.pack(">BBBI", 1, 0, 0, 16 if components >= 3 else 17)
    color = enumerated if profile is None else bytes([2, 0, 0]) + profile
    header = box(b"ihdr", struct.pack(">IIHBBBB", height, width, components, bits - 1, 7, 0, 0)) + box(b"colr", color)
    return box(b"jP  ", b"\r\n\x87\n") + box(b"ftyp", b"jp2 \0\0\0\0jp2 ") + box(b"jp2h", header) + box(b"jp2c", codestream)


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def radiance(light: np.ndarray, axes: tuple[str, str] = ("-Y", "+X")) -> bytes:
    """Return a Radiance file, not packed; shared exponents as Ward's report has them; `light` as its axes run."""
    brightest = light.max(-1)
    mantissa, exponent = np.frexp(brightest)
    scale = np.where(brightest > 1e-32, mantissa * 256 / np.maximum(brightest, 1e-32), 0)
    rgbe = np.concatenate([light * scale[..., None], np.where(brightest > 1e-32, exponent + 128, 0)[..., None]], -1)
    height, width = brightest.shape
    head = b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n" + (f"{axes[0]} {height} {axes[1]} {width}\n").encode()
    return head + rgbe.astype(np.uint8).tobytes()


def camera_raw(color: tuple[int, int, int], neutral: tuple[float, ...] = (1.0, 1.0, 1.0)) -> bytes:
    """Return a DNG of 96 x 64 px with a 16-bit mosaic of one color, red at the top left, and a small preview beside it.

    The camera's colors are linear sRGB times `neutral`, which is what it sees of white.
    """
    width, height = 96, 64
    mosaic = np.empty((height, width), "<u2")
    for row, column, channel in ((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 2)):
        mosaic[row::2, column::2] = color[channel]
    tags = {
        **base_tags(width, height, (16,), 32803),
        254: 0,
        33421: (2, 2),
        33422: bytes([0, 1, 1, 2]),
        50717: 65535,
    }
    first = {
        **base_tags(16, 12, (8, 8, 8), 2),
        254: 1,
        50706: bytes([1, 4, 0, 0]),
        50708: b"Test Camera\0",
        50721: (3.2406, -1.5372, -0.4986, -0.9689, 1.8758, 0.0415, 0.0557, -0.204, 1.057),
        50728: neutral,
        50778: 21,
    }
    return tiff((first, bytes(16 * 12 * 3)), within=[(tags, mosaic.tobytes())])
