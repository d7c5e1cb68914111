"""Pictures at another size: by a Lanczos filter, which adds no detail. A fitted enlarger is a step of `artgan.refine`."""

from collections.abc import Iterable, Iterator

import numpy as np
from PIL import Image

WAY = "lanczos"  # as it stands in metadata


def resized(pixels: np.ndarray, longer_side_px: int | None) -> np.ndarray:
    """Return uint8 `[h, w, 3]` with a longer side of so many pixels; None leaves it as it is."""
    height, width, _ = pixels.shape
    if longer_side_px is None or longer_side_px == max(height, width):
        return pixels
    factor = longer_side_px / max(height, width)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))


def enlarged(frames: Iterable[np.ndarray], shorter_side_px: int) -> Iterator[np.ndarray]:
    """Yield frames whose shorter side has at least so many pixels; larger ones stay as they are."""
    for pixels in frames:
        height, width, _ = pixels.shape
        longer = round(max(height, width) * shorter_side_px / min(height, width))
        yield resized(pixels, longer) if shorter_side_px > min(height, width) else pixels
