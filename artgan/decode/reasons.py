"""Why a picture file is refused, in artgan's own words: no decoder's text reaches users, and no sound file is called damaged.

A reader that gives up raises anything. What it says is looked at for one thing alone, whether the file ends early; whether the
file is sound and of a layout that no reader has is told from its own header.
"""

import struct

from PIL import Image, features

from artgan.decode.boxes import is_whole_codestream
from artgan.decode.kinds import ELSEWHERE
from artgan.decode.raster import Wish

_AGAIN = "copy or download it again"
_SAVE_AGAIN = "save it again where it was made, as PNG"
_NAMES = {"JPEG2000": "JPEG 2000", "JXL": "JPEG XL", "HEIF": "HEIC", "EXR": "OpenEXR file", "HDR": "Radiance file"}
_LIBRARIES = {"AVIF": ("libavif", "avif"), "JPEG2000": ("OpenJPEG", "jpg_2000")}  # sound files that they refuse are known
_EARLY_ENDS = (
    "truncated", "insufficient", "unexpected end", "ends early", "end of file", "requires a buffer", "expected to read",
    "outside of file", "only got", "not enough", "read past", "premature",
)  # fmt: skip
_STANDALONE_MARKERS = (0x01, *range(0xD0, 0xD9))
_JPEG_PROCESSES = {
    **dict.fromkeys((0xC3, 0xCB), "lossless JPEG"),
    **dict.fromkeys((0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF), "hierarchical JPEG"),
    0xF7: "JPEG-LS",
}
_JPEG_FRAMES = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
_BMP_HEADERS = (12, 16, 40, 52, 56, 64, 108, 124)
_BMP_BITS = (1, 2, 4, 8, 16, 24, 32)
_BMP_COMPRESSIONS = {1: "RLE", 2: "RLE", 3: "bit fields", 4: "JPEG within", 5: "PNG within", 6: "bit fields"}


def refusal(data: bytes, kind: str, error: Exception, wish: Wish) -> str:
    """Return the reason for which a file cannot be read, with the way out.

    Args:
        data: the whole file.
        kind: of it, as `kinds.kind_of` names it.
        error: what its reader raised.
        wish: the limits that it was read with.
    """
    if isinstance(error, Image.DecompressionBombError):
        return f"too many pixels, the limit is {wish.max_pixels / 1e6:.0f} megapixels; save a smaller copy"
    if isinstance(error, MemoryError):
        return "needs more memory than there is: save a smaller copy"
    if kind == "TGA":  # which is what nothing else claimed
        return ELSEWHERE
    sound = {"JPEG": _of_jpeg, "BMP": _of_bmp}.get(kind, lambda data: None)(data)
    if sound is not None:
        return f"{sound} cannot be read: {_SAVE_AGAIN}"
    if kind in _LIBRARIES and not (kind == "JPEG2000" and not is_whole_codestream(data)):
        name, feature = _LIBRARIES[kind]
        version = f"{name} ({features.version(feature) or 'none'})"
        return f"{_NAMES.get(kind, kind)} that this {version} cannot parse: {_AGAIN}, or {_SAVE_AGAIN}"
    if any(words in str(error).lower() for words in _EARLY_ENDS) or isinstance(error, EOFError):
        return f"damaged or truncated: the {_NAMES.get(kind, kind)} ends early; {_AGAIN}"
    return f"damaged or truncated: the {_NAMES.get(kind, kind)} cannot be unpacked; {_AGAIN}, or {_SAVE_AGAIN}"


def _of_jpeg(data: bytes) -> str | None:
    """Return what a JPEG is that no reader here has, from its frame header (ITU T.81, B.2.2; T.87 for JPEG-LS)."""
    place = 2
    while place + 10 <= len(data):
        if data[place] != 0xFF:
            return None
        marker = data[place + 1]
        if marker == 0xFF:
            place += 1
        elif marker in _STANDALONE_MARKERS:
            place += 2
        elif marker in _JPEG_FRAMES:
            bits, channels = data[place + 4], data[place + 9]
            if marker in _JPEG_PROCESSES:
                return _JPEG_PROCESSES[marker]
            return (
                f"JPEG of {bits} bits" if bits != 8 else f"JPEG of {channels} channels" if channels not in (1, 3, 4) else None
            )
        else:
            place += 2 + struct.unpack_from(">H", data, place + 2)[0]
    return None


def _of_bmp(data: bytes) -> str | None:
    """Return what a BMP of known header, depth and compression is; None where its header says nothing known."""
    if len(data) < 34:
        return None
    header = struct.unpack_from("<I", data, 14)[0]
    bits = struct.unpack_from("<H", data, 24 if header == 12 else 28)[0]
    compression = 0 if header in (12, 16) else struct.unpack_from("<I", data, 30)[0]
    if header not in _BMP_HEADERS or bits not in (0, *_BMP_BITS) or compression not in (0, *_BMP_COMPRESSIONS):
        return None
    if compression in (4, 5):
        return f"BMP with {_BMP_COMPRESSIONS[compression]}"
    if compression == 0 and bits not in (2, 64):
        return None
    return f"BMP of {bits} bits" + (f" with {_BMP_COMPRESSIONS[compression]}" if compression else "")
