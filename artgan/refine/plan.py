"""The pictures of a run before it starts: names of their results, sizes, identities, and which go together."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image

from artgan.decode import decode_file
from artgan.errors import DataError
from artgan.refine.encode import SUFFIX
from artgan.refine.materials import Materials, look_hash
from artgan.refine.pipeline import check_size, size_after
from artgan.refine.recipe import Recipe
from artgan.refine.sources import find_pictures
from artgan.sealed import file_sha256

_BATCH_PIXELS_ON_GPU = 16 * 256 * 256


@dataclass(frozen=True)
class Item:
    """One picture of a run: where it is, its result's file name, its identity, its size in the result, and its style's key."""

    path: Path
    name: str
    sha256: str
    height: int
    width: int
    key: str


def plan(inputs: Sequence[Path], recipe: Recipe, materials: Materials) -> tuple[list[Item], dict[Path, str]]:
    """Return the pictures to refine and those that cannot be, from their headers."""
    paths = find_pictures(inputs)
    look = look_hash(recipe, materials)
    items: list[Item] = []
    failed: dict[Path, str] = {}
    for path, name in zip(paths, unique_names(paths, SUFFIX[recipe.output.format]), strict=True):
        try:
            height, width = size_after(*_header_size(path), recipe.output.size_px)
            if recipe.styles:
                check_size(height, width, path.name)
            sha256 = file_sha256(path)
        except (DataError, OSError) as error:
            failed[path] = str(error)
            continue
        key = hashlib.sha256(f"{look}:{sha256}:{path.stem if materials.masks else ''}".encode()).hexdigest()[:32]
        items.append(Item(path, name, sha256, height, width, key))
    return items, failed


def unique_names(paths: Sequence[Path], suffix: str) -> list[str]:
    """Return an output name for each input; the same stem from two folders gets a number."""
    names: dict[str, None] = {}
    for path in paths:
        name, number = f"{path.stem}{suffix}", 2
        while name in names or name in ("sheet.png", "refine.json"):
            name, number = f"{path.stem}-{number}{suffix}", number + 1
        names[name] = None
    return list(names)


def _header_size(path: Path) -> tuple[int, int]:
    """Return (height, width), upright, without decoding; a file that cannot be opened is decoded for its error."""
    try:
        with Image.open(path) as image:
            upright = image.getexif().get(0x0112, 1) < 5
            return (image.height, image.width) if upright else (image.width, image.height)
    except Exception:  # whatever a damaged header makes Pillow raise; the careful way says what is wrong
        height, width = decode_file(path).pixels.shape[:2]
        return height, width


def batches_of(items: Sequence[Item], device: torch.device) -> list[list[Item]]:
    """Group pictures of one size: as many as a GPU likes, and one by one on a CPU, where a batch gains nothing."""
    groups: dict[tuple[int, int], list[Item]] = {}
    for item in items:
        groups.setdefault((item.height, item.width), []).append(item)
    batches = []
    for (height, width), group in groups.items():
        limit = 1 if device.type == "cpu" else max(1, _BATCH_PIXELS_ON_GPU // (height * width))
        batches += [group[start : start + limit] for start in range(0, len(group), limit)]
    return batches
