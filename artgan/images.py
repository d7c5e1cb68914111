"""The only place that converts layout and range, and that writes pictures.

Inside networks a picture is `[N, 3, H, W]`, float, in [-1, 1]; on disk and in collections it is `[N, H, W, 3]`, uint8.
"""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np
import torch
from PIL import Image, PngImagePlugin
from torch import Tensor

from artgan.errors import DataError, StorageError

TRAINED = "trainedAlgorithmicMedia"
COMPOSITE = "compositeWithTrainedAlgorithmicMedia"
_SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/"
_METADATA_KEY = "artgan"
_METADATA_LIMIT = 1 << 20


def to_float(images: Tensor) -> Tensor:
    """Convert uint8 `[N, H, W, 3]` to float32 `[N, 3, H, W]` in [-1, 1], channels last in memory."""
    return (images.float() / 127.5 - 1).permute(0, 3, 1, 2)


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


def save_png(
    path: Path,
    pixels: np.ndarray,
    metadata: Mapping[str, Any] | None = None,
    source_type: str = TRAINED,
    icc_profile: bytes | None = None,
) -> None:
    """Write a PNG in one step: a reader never meets half a file.

    Args:
        path: where to; its folder must exist.
        pixels: uint8 `[H, W, 3]`.
        metadata: what reproduces the picture. It is written as JSON under the iTXt key `artgan`, as the `parameters`
            line that artists' tools read, and as XMP with the IPTC digital source type.
        source_type: the IPTC term, `TRAINED` or `COMPOSITE`.
        icc_profile: what the pixels mean, embedded as it is; without one they are taken for sRGB.

    Raises:
        StorageError: the file cannot be written.
    """
    info = PngImagePlugin.PngInfo()
    if metadata is not None:
        info.add_itxt(_METADATA_KEY, json.dumps(metadata, sort_keys=True))
        info.add_itxt("parameters", parameters_line(metadata))
        info.add_itxt("XML:com.adobe.xmp", xmp(source_type))
    partial = path.with_name(f".{path.name}.partial")
    try:
        Image.fromarray(pixels).save(partial, format="PNG", pnginfo=info, icc_profile=icc_profile)
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
            text = image.info.get(_METADATA_KEY)
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
        raise DataError(f"{path}: the '{_METADATA_KEY}' entry of this picture is not readable ({error})") from error
    return metadata


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


def xmp(source_type: str) -> str:
    """Return the XMP packet that names a picture's digital source type."""
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
        f"Iptc4xmpExt:DigitalSourceType={quoteattr(_SOURCE_TYPE + source_type)}/>"
        '</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    )
