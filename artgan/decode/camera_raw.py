"""Camera raw: developed by LibRaw (rawpy, the `formats` extra), or rejected by what it holds."""

import io

import numpy as np
from PIL import Image

from artgan.decode.kinds import EXTRA
from artgan.decode.raster import Raster, Wish, check_size
from artgan.decode.tiff_facts import Page
from artgan.errors import DataError

_SRGB_CURVE = (2.4, 12.92)  # power and slope at black


def read(data: bytes, preview: Page | None, wish: Wish) -> Raster:
    """Develop a raw file: the camera's white balance, its own brightness, sRGB and its curve, upright.

    White is the sensor's highest number, or LibRaw's remedy for cameras that state one which they never reach: the picture's
    brightest sample, where that is above three quarters of it.

    Args:
        data: the file.
        preview: the picture beside the sensor's numbers, where the file shows it.
        wish: the limits.

    Raises:
        DataError: the extra is missing, or LibRaw cannot open it.
    """
    held = f"holds only a preview of {preview.width}x{preview.height}" if preview else "holds a sensor's numbers"
    try:
        import rawpy
    except ImportError as error:
        raise DataError(f"camera raw: it {held}; develop it first, or {EXTRA}") from error
    try:
        with rawpy.imread(io.BytesIO(data)) as raw:
            sizes = raw.sizes
            check_size(sizes.raw_width, sizes.raw_height, wish)
            pixels = np.asarray(raw.postprocess(use_camera_wb=True, no_auto_bright=True, gamma=_SRGB_CURVE))
            flipped = sizes.flip
    except (rawpy.LibRawError, MemoryError) as error:
        raise DataError(
            f"camera raw that this LibRaw ({'.'.join(map(str, rawpy.libraw_version))}) cannot open: it {held}; develop it first"
        ) from error
    height, width = pixels.shape[:2]
    if flipped in (5, 6):
        height, width = width, height
    raster = Raster("RAW", "RGB", width, height, Image.fromarray(pixels), "RGB")
    raster.notes.append("developed from camera raw with the camera's white balance")
    return raster
