"""What kind of file this is, by its first bytes alone: the allow-list, and true words for what is no picture."""

from collections.abc import Iterator

from artgan.decode.boxes import brands_of
from artgan.errors import DataError

EXTRA = "pip install 'artgan[formats]'"
_UNKNOWN = "not a picture of a known format"
ELSEWHERE = f"{_UNKNOWN}: open it in the program that made it, and save it as PNG or TIFF"
_HEAD = 1024
_TIFF_MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"MM*\0", b"II\0*")
_JP2_SIGNATURE = b"\0\0\0\x0cjP  \r\n\x87\n"
_JXL_SIGNATURE = b"\0\0\0\x0cJXL \r\n\x87\n"
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1", b"mif2"}
_AVIF_BRANDS = {b"avif", b"avis"}
# A raw file that is also a TIFF is told apart by its pages, not here.
_RAW_MAGICS = (b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"\0MRM", b"FOVb")
_PICTURES: tuple[tuple[str, tuple[bytes, ...]], ...] = (
    ("JPEG", (b"\xff\xd8\xff",)),
    ("PNG", (b"\x89PNG\r\n\x1a\n",)),
    ("TIFF", _TIFF_MAGICS),
    ("GIF", (b"GIF87a", b"GIF89a")),
    ("BMP", (b"BM",)),
    ("JPEG2000", (_JP2_SIGNATURE, b"\xff\x4f\xff\x51")),
    ("JXL", (_JXL_SIGNATURE, b"\xff\x0a")),
    ("PSD", (b"8BPS",)),
    ("EXR", (b"v/1\x01",)),
    ("HDR", (b"#?RADIANCE", b"#?RGBE")),
    ("RAW", _RAW_MAGICS),
)
_FILM = "a film or sound: artgan refine takes films by their names, artgan prepare --every 12 takes frames of them"
_NO_PICTURES: tuple[tuple[bytes, str], ...] = (
    (b"version https://git-lfs.github.com/spec", "a Git LFS pointer, the file itself is elsewhere: git lfs pull"),
    (b"%PDF", "a PDF document: save its pages as pictures"),
    (b"%!PS", "PostScript: save it as a picture"),
    (b"\xc5\xd0\xd3\xc6", "PostScript: save it as a picture"),
    (b"PK\x03\x04", "a zip archive: give it as a source of its own, or unpack it"),
    (b"\x1f\x8b", "a gzip archive: give it as a source of its own, or unpack it"),
    (b"Rar!", "a RAR archive: unpack it"),
    (b"7z\xbc\xaf", "a 7z archive: unpack it"),
    (b"\0\x05\x16\x07", "an AppleDouble file, which holds only what a Mac knows about its neighbour"),
    (b"\0\0\x01\0", "an icon (ICO): save it as PNG"),
    (b"icns", "a Mac's icon (ICNS): save it as PNG"),
    (b"\x59\xa6\x6a\x95", "a Sun raster: save it as PNG"),
    (b"\x01\xda\0\x01", "an SGI picture: save it as PNG"),
    (b"\x01\xda\x01\x01", "an SGI picture: save it as PNG"),
    (b"\x01\xda\x01\x02", "an SGI picture of 16 bits: save it as PNG"),
    *((b"\n" + version + b"\x01", "PCX: save it as PNG") for version in (b"\0", b"\x02", b"\x03", b"\x04", b"\x05")),
    (b"/* XPM */", "an X pixmap (XPM): save it as PNG"),
    (b"#define ", "an X bitmap (XBM), or a program's text: save it as PNG"),
    (b"\xd7\xcd\xc6\x9a", "a Windows metafile (WMF): save it as a picture"),
    (b"qoif", "QOI: save it as PNG"),
    (b"P7", "PAM: save it as PNG"),
    *((magic, "a map of floating-point numbers (PFM): save it as OpenEXR, or as PNG of 16 bits") for magic in (b"PF", b"Pf")),
    (b"DDS ", "a DirectDraw surface: save it as PNG"),
    (b"gimp xcf", "a GIMP file (XCF): export it as PNG or TIFF"),
    (b"SIMPLE  =", "FITS: save it as TIFF"),
    (b"II\xbc", "JPEG XR: save it as TIFF"),
    (b"\x1aE\xdf\xa3", _FILM),
    (b"OggS", _FILM),
)


def kind_of(data: bytes) -> str:
    """Return the kind of a picture file: a name of `readers.READERS`.

    TGA has no first bytes of its own: what nothing else claims is tried as TGA.

    Raises:
        DataError: something that is known and no picture, or of a kind that nothing here reads.
    """
    for kind, magics in _PICTURES:
        if data.startswith(magics):
            return kind
    if data[:4] == b"RIFF":
        return _riff(data)
    if data[:1] == b"P" and data[1:2] in (b"1", b"2", b"3", b"4", b"5", b"6", b"y"):
        return "PPM"
    if data[4:8] == b"ftyp":
        return _of_brands(set(brands_of(data)))
    for words in _what_it_is(data[:_HEAD]):
        raise DataError(f"{_UNKNOWN}: it is {words}")
    return "TGA"


def _riff(data: bytes) -> str:
    if data[8:12] == b"WEBP":
        return "WEBP"
    raise DataError(f"{_UNKNOWN}: it is {_FILM}")


def _of_brands(brands: set[bytes]) -> str:
    if brands & _AVIF_BRANDS:
        return "AVIF"
    if b"crx " in brands:
        return "RAW"
    if brands & _HEIF_BRANDS:
        return "HEIF"
    raise DataError(f"{_UNKNOWN}: it is {_FILM}")


def _what_it_is(head: bytes) -> Iterator[str]:
    for magic, words in _NO_PICTURES:
        if head.startswith(magic):
            yield words
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if not text.startswith(b"<"):
        return
    if b"<svg" in text:
        yield "an SVG drawing: save it as a picture"
    elif any(mark in text for mark in (b"<!doctype html", b"<html", b"<head", b"<body")):
        yield "an HTML page, as servers send instead of a picture: download it again"
    elif text.startswith((b"<?xml", b"<!--", b"<x:xmpmeta")):
        yield "XML"
