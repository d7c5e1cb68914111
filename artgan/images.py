"""The only place that converts layout and range, and that writes pictures.

Inside networks a picture is `[N, 3, H, W]`, float, in [-1, 1]; on disk and in collections it is `[N, H, W, 3]`, uint8.
"""

import io
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import numpy as np
import torch
from PIL import ExifTags, Image, ImageDraw, ImageFont, PngImagePlugin, TiffImagePlugin
from torch import Tensor

from artgan.errors import DataError, StorageError

TRAINED = "trainedAlgorithmicMedia"
COMPOSITE = "compositeWithTrainedAlgorithmicMedia"
_SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/"
METADATA_KEY = "artgan"
_METADATA_LIMIT = 1 << 20
SUFFIX_OF = {"png": ".png", "jpeg": ".jpg", "webp": ".webp", "tiff": ".tif"}
_ENCODERS: dict[str, dict[str, Any]] = {
    "png": {"format": "PNG"},
    "jpeg": {"format": "JPEG", "quality": 95, "subsampling": 0},
    "webp": {"format": "WEBP", "lossless": True, "quality": 80},
    "tiff": {"format": "TIFF", "compression": "tiff_adobe_deflate"},
}
_EXIF_ASCII = b"ASCII\0\0\0"
_UNREADABLE_EXIF = (OSError, ValueError, SyntaxError, TypeError, KeyError, IndexError, OverflowError)  # it says nothing
_CREDITS = {
    "artist": ExifTags.Base.Artist,
    "copyright": ExifTags.Base.Copyright,
    "description": ExifTags.Base.ImageDescription,
}
_MAX_CREDIT = 1000
_TIFF_XMP_TAG = 700
_TIFF_UNDEFINED = 7
_CAPTION_PX = 11


def to_float(images: Tensor) -> Tensor:
    """Convert uint8 `[N, H, W, 3]` to float32 `[N, 3, H, W]` in [-1, 1], channels last in memory."""
    return images.to(torch.float32, copy=True).div_(127.5).sub_(1).permute(0, 3, 1, 2)  # one new block of memory, not three


def to_uint8(images: Tensor) -> Tensor:
    """Convert float `[N, 3, H, W]` in [-1, 1] to uint8 `[N, H, W, 3]`, rounded to the nearest and clipped.

    `to_uint8(to_float(x))` is x, bit for bit.
    """
    scaled = (images.float() + 1) * 127.5
    return scaled.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)


def grid(images: np.ndarray, columns: int | None = None) -> np.ndarray:
    """Lay pictures out in rows.

    Args:
        images: uint8 `[N, H, W, 3]`.
        columns: pictures in a row; by default the square root of N, rounded up.

    Returns:
        uint8 `[rows * H, columns * W, 3]`, white where the last row has no picture.
    """
    count, height, width, _ = images.shape
    columns = columns or math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    sheet = np.full((rows * height, columns * width, 3), 255, np.uint8)
    for index, image in enumerate(images):
        row, column = divmod(index, columns)
        sheet[row * height : (row + 1) * height, column * width : (column + 1) * width] = image
    return sheet


def captioned_grid(images: np.ndarray, captions: Sequence[str] | None = None, columns: int | None = None) -> np.ndarray:
    """Lay pictures out in rows as `grid`, with a line of text under each when captions are given; uint8 `[H', W', 3]`."""
    if captions is None:
        return grid(images, columns)
    count, height, width, _ = images.shape
    font = ImageFont.load_default(_CAPTION_PX)
    tiles = np.full((count, height + _CAPTION_PX + 6, width, 3), 255, np.uint8)
    tiles[:, :height] = images
    for tile, text in zip(tiles, captions, strict=True):
        strip = Image.new("RGB", (width, _CAPTION_PX + 6), "white")
        ImageDraw.Draw(strip).text((2, 2), _shortened(text, font, width - 4), "#333333", font)
        tile[height:] = np.asarray(strip)
    return grid(tiles, columns)


def _shortened(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width_px: int) -> str:
    """Cut a text at the end until it fits."""
    while len(text) > 1 and font.getlength(text) > width_px:
        text = text[:-2] + "."
    return text


def save_png(
    path: Path,
    pixels: np.ndarray,
    metadata: Mapping[str, Any] | None = None,
    source_type: str = TRAINED,
    icc_profile: bytes | None = None,
) -> None:
    """Write a PNG; see `save_picture` and `encode_picture`."""
    write_whole(path, encode_picture(pixels, "png", metadata, source_type, icc_profile))


def save_picture(path: Path, pixels: np.ndarray, metadata: Mapping[str, Any] | None = None, source_type: str = TRAINED) -> None:
    """Write a picture in one step, in the format of its suffix: a reader never meets half a file.

    Args:
        path: ends in .png, .jpg, .webp or .tif; its folder must exist.
        pixels: uint8 `[H, W, 3]`.
        metadata: what reproduces the picture; see `encode_picture`.
        source_type: the IPTC term, `TRAINED` or `COMPOSITE`.

    Raises:
        StorageError: the file cannot be written.
    """
    image_format = next(name for name, suffix in SUFFIX_OF.items() if suffix == path.suffix)
    write_whole(path, encode_picture(pixels, image_format, metadata, source_type))


def encode_picture(
    pixels: np.ndarray,
    image_format: str,
    metadata: Mapping[str, Any] | None = None,
    source_type: str = TRAINED,
    icc_profile: bytes | None = None,
) -> bytes:
    """Return the bytes of a picture file; equal input gives equal bytes.

    PNG, lossless WebP and TIFF (deflate) keep every pixel; JPEG has quality 95 without chroma subsampling.

    Args:
        pixels: uint8 `[H, W, 3]`.
        image_format: one of `SUFFIX_OF`.
        metadata: what reproduces the picture. PNG has it as JSON under the iTXt key `artgan` and as the `parameters` line
            that artists' tools read; the others in Exif (UserComment, ImageDescription). All have XMP with the IPTC digital
            source type.
        source_type: the IPTC term, `TRAINED` or `COMPOSITE`.
        icc_profile: what the pixels mean, embedded as it is; without one they are taken for sRGB.
    """
    options: dict[str, Any] = dict(_ENCODERS[image_format])
    if icc_profile is not None:
        options["icc_profile"] = icc_profile
    if metadata is not None and image_format == "png":
        info = PngImagePlugin.PngInfo()
        info.add_itxt(METADATA_KEY, json.dumps(metadata, sort_keys=True))
        info.add_itxt("parameters", parameters_line(metadata))
        info.add_itxt("XML:com.adobe.xmp", xmp(source_type, metadata))
        options["pnginfo"] = info
    elif metadata is not None:
        exif = _exif(metadata)
        if image_format == "tiff":  # with compression, Pillow leaves out the Exif folder: its tags go among the others
            options["tiffinfo"] = _tiff_tags(exif, xmp(source_type, metadata))
        else:
            options |= {"exif": exif, "xmp": xmp(source_type, metadata).encode()}
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, **options)
    return buffer.getvalue()


def user_comment(metadata: Mapping[str, Any]) -> bytes:
    """Return the Exif entry that carries the metadata, as `read_metadata` finds it."""
    return _EXIF_ASCII + f"{METADATA_KEY} {json.dumps(metadata, sort_keys=True)}".encode()


def _exif(metadata: Mapping[str, Any]) -> Image.Exif:
    exif = Image.Exif()
    # Exif text is ASCII; JSON escapes all else.
    exif[ExifTags.Base.ImageDescription] = parameters_line(metadata).encode("ascii", "replace").decode()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment] = user_comment(metadata)
    return exif


def _tiff_tags(exif: Image.Exif, packet: str) -> TiffImagePlugin.ImageFileDirectory_v2:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[ExifTags.Base.ImageDescription] = exif[ExifTags.Base.ImageDescription]
    for tag, value in (
        (ExifTags.Base.UserComment, exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment]),
        (_TIFF_XMP_TAG, packet.encode()),
    ):
        tags.tagtype[tag] = _TIFF_UNDEFINED
        tags[tag] = value
    return tags


def write_whole(path: Path, data: bytes) -> None:
    """Write a file in one step: a reader never meets half of it.

    Raises:
        StorageError: it cannot be written.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_bytes(data)
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise StorageError(f"cannot write {path}: {error.strerror or error}") from error


def read_metadata(path: Path) -> dict[str, Any] | None:
    """Return what artgan wrote into a picture, or None for a picture of another origin.

    Raises:
        DataError: the entry is there and is not JSON.
    """
    try:
        with Image.open(path) as image:
            image.load()  # text chunks may follow the pixels
            text = image.info.get(METADATA_KEY) or _exif_text(image)
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
        raise DataError(f"{path}: the '{METADATA_KEY}' entry of this picture is not readable ({error})") from error
    return metadata


def _exif_text(image: Image.Image) -> str | None:
    try:
        exif = image.getexif()
        comment = exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.UserComment) or exif.get(ExifTags.Base.UserComment)
    except _UNREADABLE_EXIF:
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
    """Return what the Exif data of a picture of another origin says about its author: `artist`, `copyright`, `description`."""
    try:
        with Image.open(path) as image:
            exif = image.getexif()
    except (*_UNREADABLE_EXIF, Image.DecompressionBombError):
        return {}
    held = {name: str(exif.get(tag, "")).strip("\0 ")[:_MAX_CREDIT] for name, tag in _CREDITS.items()}
    return {name: text for name, text in held.items() if text}


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
        f"Iptc4xmpExt:DigitalSourceType={quoteattr(_SOURCE_TYPE + source_type)}>{credits}</rdf:Description>"
        '</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    )


def _plain_text(value: Any) -> str:
    return escape("".join(letter for letter in str(value) if letter.isprintable()))
