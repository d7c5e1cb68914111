"""What a picture file says beside its pixels: what makes it again, how it came to be (IPTC), and who its author is."""

import io
import json
import struct
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

from PIL import ExifTags, Image, TiffImagePlugin

from artgan.errors import DataError

TRAINED = "trainedAlgorithmicMedia"
COMPOSITE = "compositeWithTrainedAlgorithmicMedia"
METADATA_KEY = "artgan"
JPEG_COMMENT_LIMIT = 60_000  # of Exif, which with its frame must fit into one segment of 65,533 bytes
SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
_METADATA_LIMIT = 1 << 20
_WRITTEN = ("PNG", "JPEG", "WEBP", "TIFF")  # by artgan; other readers, some of which start programs, have no business here
_EXIF_ASCII = b"ASCII\0\0\0"
_UNREADABLE = (OSError, ValueError, SyntaxError, TypeError, KeyError, IndexError, OverflowError, Image.DecompressionBombError)
_EXIF_CREDITS = {
    "artist": ExifTags.Base.Artist,
    "copyright": ExifTags.Base.Copyright,
    "description": ExifTags.Base.ImageDescription,
}
_XMP_CREDITS = {"artist": "creator", "copyright": "rights", "description": "description"}
_PNG_CREDITS = {"artist": "Author", "copyright": "Copyright", "description": "Description"}  # PNG, third edition, 11.3.3.2
_DC = "{http://purl.org/dc/elements/1.1/}"
_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_MAX_CREDIT = 1000
_MAX_XMP_BYTES = 1 << 20
_TIFF_XMP_TAG = 700
_TIFF_UNDEFINED = 7
_COMMENT_MARKER = b"\xff\xfe"
_COMMENT_BYTES = 65_000


def user_comment(metadata: Mapping[str, Any]) -> bytes:
    """Return the Exif entry that carries the metadata, as `read_metadata` finds it."""
    return _EXIF_ASCII + f"{METADATA_KEY} {_json(metadata)}".encode()


def exif_block(metadata: Mapping[str, Any], limit: int | None = None) -> Image.Exif:
    """Return Exif with the metadata, or with the `parameters` line alone where it is longer than `limit` bytes."""
    exif = Image.Exif()
    # Exif text is ASCII; JSON escapes all other characters.
    exif[ExifTags.Base.ImageDescription] = parameters_line(metadata).encode("ascii", "replace").decode()[:_MAX_CREDIT]
    comment = user_comment(metadata)
    if limit is None or len(comment) <= limit:
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment] = comment
    return exif


def tiff_tags(metadata: Mapping[str, Any], source_type: str) -> TiffImagePlugin.ImageFileDirectory_v2:
    """Return the metadata as tags of a TIFF: with compression, Pillow leaves out the Exif folder."""
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[ExifTags.Base.ImageDescription] = parameters_line(metadata).encode("ascii", "replace").decode()
    packet = xmp(source_type, metadata).encode()
    for tag, value in ((ExifTags.Base.UserComment, user_comment(metadata)), (_TIFF_XMP_TAG, packet)):
        tags.tagtype[tag] = _TIFF_UNDEFINED
        tags[tag] = value
    return tags


def with_long_metadata(jpeg: bytes, metadata: Mapping[str, Any]) -> bytes:
    """Return a JPEG with metadata that is too long for Exif in as many comment segments as it takes (T.81, B.2.4.5)."""
    if len(user_comment(metadata)) <= JPEG_COMMENT_LIMIT:
        return jpeg
    text = _json(metadata).encode()
    parts = [text[start : start + _COMMENT_BYTES] for start in range(0, len(text), _COMMENT_BYTES)]
    segments = b""
    for place, part in enumerate(parts, start=1):
        data = f"{METADATA_KEY} {place}/{len(parts)} ".encode() + part
        segments += _COMMENT_MARKER + struct.pack(">H", len(data) + 2) + data
    at = 2  # after the start marker; comments go behind the application segments, which readers want first
    while jpeg[at] == 0xFF and 0xE0 <= jpeg[at + 1] <= 0xEF:
        at += 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
    return jpeg[:at] + segments + jpeg[at:]


def _json(metadata: Mapping[str, Any]) -> str:
    return json.dumps(metadata, sort_keys=True)


@contextmanager
def opened(file: Path | io.BytesIO, formats: tuple[str, ...] | None = None) -> Iterator[Image.Image]:
    """Open a picture for what it carries; Pillow's warnings of damage, in its own words, reach nobody."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(file, formats=formats) as image:
            yield image


def read_metadata(path: Path) -> dict[str, Any] | None:
    """Return what artgan wrote into a picture, or None for a picture of another origin.

    Raises:
        DataError: the entry is there and is not JSON.
    """
    return _metadata(path, str(path))


def metadata_of(data: bytes) -> dict[str, Any] | None:
    """Return `read_metadata` of the bytes of a picture file."""
    return _metadata(io.BytesIO(data), "the file")


def _metadata(file: Path | io.BytesIO, name: str) -> dict[str, Any] | None:
    try:
        with opened(file, _WRITTEN) as image:
            image.load()  # text chunks may follow the pixels
            text = image.info.get(METADATA_KEY) or _long_text(image) or _exif_text(image)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    if not isinstance(text, str):
        return None
    try:
        if len(text) > _METADATA_LIMIT:
            raise ValueError(f"{len(text)} characters")
        metadata = json.loads(text)
        if not isinstance(metadata, dict):
            raise ValueError(f"a {type(metadata).__name__}, not an object")
    except (ValueError, RecursionError) as error:
        raise DataError(f"{name}: the '{METADATA_KEY}' entry of this picture is not readable ({error})") from error
    return metadata


def _long_text(image: Image.Image) -> str | None:
    """Return the metadata that `with_long_metadata` wrote, or None."""
    mark = f"{METADATA_KEY} ".encode()
    parts = []
    for kind, data in getattr(image, "applist", ()):
        if kind == "COM" and isinstance(data, bytes) and data.startswith(mark):
            place, _, part = data[len(mark) :].partition(b" ")
            parts.append((place, part))
    expected = [f"{place}/{len(parts)}".encode() for place in range(1, len(parts) + 1)]
    if not parts or [place for place, _ in parts] != expected:
        return None
    return b"".join(part for _, part in parts).decode("ascii", "replace")


def _exif_text(image: Image.Image) -> str | None:
    try:
        exif = image.getexif()
        comment = exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.UserComment) or exif.get(ExifTags.Base.UserComment)
    except _UNREADABLE:
        return None
    start = _EXIF_ASCII + f"{METADATA_KEY} ".encode()
    if not isinstance(comment, bytes) or not comment.startswith(start):
        return None
    return comment[len(start) :].decode("ascii", "replace")


def parameters_line(metadata: Mapping[str, Any]) -> str:
    """Return the line that artists' tools show: `Seed: 3, Model: name, Model hash: 1a2b..., Truncation: 0.8`."""
    titles = {
        "seed": "Seed",
        "model": "Model",
        "model_hash": "Model hash",
        "truncation": "Truncation",
        "class": "Class",
        "version": "artgan version",
    }
    parts = [f"{title}: {metadata[key]}" for key, title in titles.items() if metadata.get(key) is not None]
    refine = metadata.get("refine")
    if isinstance(refine, Mapping):
        style = refine.get("recipe", {}).get("style", {})
        parts.append(f"Refine: {style.get('engine')} at {style.get('strength')}")
    return ", ".join(parts)


def read_credits(path: Path) -> dict[str, str]:
    """Return what a picture of another origin says about its author: `artist`, `copyright` and `description`, where it does.

    From Exif, where it says nothing from XMP (Dublin Core), and then from the text of a PNG. Exif text counts
    as UTF-8, which most programs write, and as Latin-1 where it is no UTF-8.
    """
    try:
        with opened(path) as image:
            if image.format == "PNG":
                image.load()  # text may follow the pixels
            ways = [_exif_credits(image), _xmp_credits(image), _png_credits(image)]
    except _UNREADABLE:
        return {}
    found = {name: next((way[name] for way in ways if way.get(name)), "") for name in _EXIF_CREDITS}
    return {name: text for name, text in found.items() if text}


def resolution_of(path: Path) -> tuple[float, float] | None:
    """Return the dots per inch that a picture is to be printed at, across and down, or None where it does not say."""
    try:
        with opened(path) as image:
            across, down = (float(value) for value in image.info["dpi"])
    except _UNREADABLE:
        return None
    return (across, down) if 0 < across < 1e6 and 0 < down < 1e6 else None


def _exif_credits(image: Image.Image) -> dict[str, str]:
    try:
        exif = image.getexif()
        return {name: _plain_credit(exif.get(tag)) for name, tag in _EXIF_CREDITS.items()}
    except _UNREADABLE:
        return {}


def _plain_credit(value: Any) -> str:
    """Return a credit as text: Pillow hands Exif text out as Latin-1, whatever it is."""
    if isinstance(value, bytes | str):
        raw = value if isinstance(value, bytes) else value.encode("latin-1", "replace")
        try:
            value = raw.decode("utf-8")
        except UnicodeDecodeError:
            value = raw.decode("latin-1")
    return "" if value is None else str(value).strip("\0 \r\n\t")[:_MAX_CREDIT]


def _xmp_credits(image: Image.Image) -> dict[str, str]:
    packet = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or getattr(image, "tag_v2", {}).get(_TIFF_XMP_TAG)
    data = packet.encode() if isinstance(packet, str) else packet
    if not isinstance(data, bytes) or len(data) > _MAX_XMP_BYTES or b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        return {}  # no packet has a document type, which could expand without bound
    try:
        root = ElementTree.fromstring(data.strip(b"\0 \r\n\t"))
    except (ElementTree.ParseError, ValueError):
        return {}
    found = {}
    for name, term in _XMP_CREDITS.items():
        for node in root.iter(_DC + term):
            items = [(item.text or "").strip() for item in node.iter(_RDF + "li")] or [(node.text or "").strip()]
            shown = [item for item in items if item]
            found[name] = ("; ".join(shown) if term == "creator" else (shown or [""])[0])[:_MAX_CREDIT]
    return found


def _png_credits(image: Image.Image) -> dict[str, str]:
    if image.format != "PNG":
        return {}
    return {name: str(image.info.get(key, "")).strip()[:_MAX_CREDIT] for name, key in _PNG_CREDITS.items()}


def xmp(source_type: str, metadata: Mapping[str, Any]) -> str:
    """Return the XMP packet that names a picture's digital source type, and its author where the metadata has one."""
    credits = "".join(
        f"<dc:{name}><rdf:{kind}><rdf:li{language}>{_plain_text(metadata[key])}</rdf:li></rdf:{kind}></dc:{name}>"
        for key, name, kind, language in (
            ("artist", "creator", "Seq", ""),
            ("copyright", "rights", "Alt", ' xml:lang="x-default"'),
            ("description", "description", "Alt", ' xml:lang="x-default"'),
        )
        if key in metadata
    )
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
        'xmlns:dc="http://purl.org/dc/elements/1.1/" '
        f"Iptc4xmpExt:DigitalSourceType={quoteattr(SOURCE_TYPES + source_type)}>{credits}</rdf:Description>"
        '</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    )


def _plain_text(value: Any) -> str:
    return escape("".join(letter for letter in str(value) if letter.isprintable()))
