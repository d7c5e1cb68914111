"""Pictures that a browser sent: decoded by the one safe decoder, kept small and few, named by number."""

import io
from collections import OrderedDict
from typing import Any

import numpy as np
from PIL import Image

from artgan.decode import decode
from artgan.errors import DataError
from artgan.studio import refining

MAX_UPLOADS = 12
MAX_PIXELS = 50_000_000
_SIDE_PX = 1024


class Uploads:
    """The newest uploads of a session."""

    def __init__(self) -> None:
        self._kept: OrderedDict[int, np.ndarray] = OrderedDict()
        self._count = 0

    def take(self, data: bytes) -> dict[str, Any]:
        """Decode a picture, keep a copy of up to 1024 px, and return its number, size and what it lost.

        Raises:
            DataError: not a picture, damaged, or of too many pixels.
        """
        picture = decode(data, enough_px=_SIDE_PX, max_pixels=MAX_PIXELS)
        pixels = picture.pixels
        if max(pixels.shape[:2]) > _SIDE_PX:
            image = Image.fromarray(pixels)
            image.thumbnail((_SIDE_PX, _SIDE_PX), Image.Resampling.LANCZOS)
            pixels = np.asarray(image)
        self._count += 1
        self._kept[self._count] = pixels
        while len(self._kept) > MAX_UPLOADS:
            self._kept.popitem(last=False)
        height, width, _ = pixels.shape
        lost = refining.losses_of(picture, width, height)
        return {"upload": self._count, "width": width, "height": height, "lost": lost}

    def pixels(self, number: Any) -> np.ndarray:
        """Return an uploaded picture, uint8 `[H, W, 3]`.

        Raises:
            DataError: there is no such upload, or no longer.
        """
        pixels = self._kept.get(number) if isinstance(number, int) else None
        if pixels is None:
            raise DataError("that upload is no longer here; choose the picture again")
        return pixels

    def png(self, number: Any) -> bytes:
        """Return an uploaded picture, encoded anew."""
        return quick_png(self.pixels(number))


def quick_png(pixels: np.ndarray) -> bytes:
    """Encode uint8 `[H, W, 3]` with little effort: the page wants it soon, and nobody keeps it."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
