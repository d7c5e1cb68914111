"""Ways to enlarge a finished picture, best first; whoever enlarges says which one was taken.

A way is a row: a function from uint8 `[h, w, 3]` and a (width, height) to uint8 `[height, width, 3]`, and, where it needs
something that a machine may lack, a function that says whether it is there.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

from artgan.tables import Row, Table


@dataclass(frozen=True, kw_only=True)
class Way(Row):
    """A way to enlarge.

    Attributes:
        title: for people.
    """

    title: str


WAYS = Table("way to enlarge", {"lanczos": Way("artgan.enlarging:by_lanczos", title="a Lanczos filter, which adds no detail")})


def way_for(height_px: int, width_px: int, longer_side_px: int) -> str:
    """Return the name of the best way that this machine has to bring a picture to a size."""
    return next(iter(WAYS)) if longer_side_px > max(height_px, width_px) else "lanczos"


def by_lanczos(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return uint8 `[h, w, 3]` resampled to (width, height) with a Lanczos filter of three lobes."""
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))


def size_for(height_px: int, width_px: int, longer_side_px: int) -> tuple[int, int]:
    """Return the (width, height) of a picture whose longer side is to have so many pixels."""
    factor = longer_side_px / max(height_px, width_px)
    return max(1, round(width_px * factor)), max(1, round(height_px * factor))


def resized(pixels: np.ndarray, longer_side_px: int | None) -> np.ndarray:
    """Return uint8 `[h, w, 3]` with a longer side of so many pixels, by `way_for` it; None leaves it as it is."""
    height, width, _ = pixels.shape
    if longer_side_px is None or longer_side_px == max(height, width):
        return pixels
    way = WAYS.load(way_for(height, width, longer_side_px))
    return way(pixels, size_for(height, width, longer_side_px))


def enlarged(frames: Iterable[np.ndarray], shorter_side_px: int) -> Iterator[np.ndarray]:
    """Yield frames whose shorter side has at least so many pixels, enlarged by the best way; larger ones stay as they are."""
    for pixels in frames:
        height, width, _ = pixels.shape
        longer = round(max(height, width) * shorter_side_px / min(height, width))
        yield resized(pixels, longer) if shorter_side_px > min(height, width) else pixels
