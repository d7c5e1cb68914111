"""The pictures of a run before it starts: names of their results, sizes, identities."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from artgan.decode import decode_file, decode_whole
from artgan.decode.tiff_facts import tiff_size
from artgan.errors import DataError
from artgan.file_names import distinct_names
from artgan.metadata import opened
from artgan.refine.canvas import Source, resized, scaled_alpha
from artgan.refine.encode import SUFFIX
from artgan.refine.materials import Materials, look_hash
from artgan.refine.recipe import Recipe
from artgan.refine.sources import find_pictures, mask_for
from artgan.refine.steps.step import Size, scaled_size
from artgan.storage import file_sha256

SHEET, REPORT = "sheet.png", "refine.json"


@dataclass(frozen=True)
class Item:
    """One picture file of a run.

    Attributes:
        path: where it is.
        file_name: of its result.
        key: of everything that its first pass depends on.
        size: (height, width) as the first step meets it.
        size_px: the longer side of `size`, or None for the picture's own.
        mask_files: of the run.
        start: float `[H, W, 3]` in [0, 1] that style starts from in place of the picture: in a film, the frame before.
    """

    path: Path
    file_name: str
    key: str
    size: Size
    size_px: int | None
    mask_files: tuple[Path, ...]
    start: np.ndarray | None = None

    @property
    def name(self) -> str:
        """Return what its grain is drawn from."""
        return Path(self.file_name).stem

    def source(self) -> Source:
        """Decode and scale it."""
        whole = decode_whole(self.path)
        held = whole.pixels if whole.pixels.dtype == np.uint8 else whole.pixels / np.float32(65535)
        pixels = resized(held, self.size_px)
        own = whole.own if pixels is held else None
        alpha = scaled_alpha(whole.alpha, (pixels.shape[0], pixels.shape[1]))
        return Source(pixels, alpha, own, whole.notes, whole.profile, whole.profile_space)

    def masks(self) -> list[np.ndarray]:
        """Read its masks, float32 `[H, W]` in [0, 1]."""
        return [mask_for(mask, self.path, self.size) for mask in self.mask_files]


def plan(inputs: Sequence[Path], recipe: Recipe, materials: Materials) -> tuple[list[Item], dict[Path, str]]:
    """Return the pictures to refine and those that cannot be, from their headers."""
    paths = find_pictures(inputs)
    look = look_hash(recipe, materials)
    size_px, masks = recipe.output.size_px, tuple(materials.masks)
    names = distinct_names([path.stem for path in paths], SUFFIX[recipe.output.format], taken=(SHEET, REPORT))
    items: list[Item] = []
    failed: dict[Path, str] = {}
    for path, file_name in zip(paths, names, strict=True):
        try:
            size = scaled_size(*_header_size(path), size_px)
            for step in recipe.steps:
                step.check_size(size, path.name)
            sha256 = file_sha256(path)
        except (DataError, OSError) as error:
            failed[path] = str(error)
            continue
        key = hashlib.sha256(f"{look}:{sha256}:{path.stem if masks else ''}".encode()).hexdigest()[:32]
        items.append(Item(path, file_name, key, size, size_px, masks))
    return items, failed


def _header_size(path: Path) -> tuple[int, int]:
    """Return (height, width), upright, without decoding; a file that cannot be opened is decoded for its error."""
    try:
        with opened(path) as image:
            if image.format == "TIFF":  # its work may be on another page
                size = tiff_size(path.read_bytes())
                if size is not None:
                    return size
            upright = image.getexif().get(0x0112, 1) < 5
            return (image.height, image.width) if upright else (image.width, image.height)
    except Exception:  # whatever a damaged header makes Pillow raise; the careful way says what is wrong
        height, width = decode_file(path).pixels.shape[:2]
        return height, width
