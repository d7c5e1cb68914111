"""From crops of works to the small pictures that they might have been: as resizing, files and generators leave them."""

import io

import numpy as np
from PIL import Image, ImageFilter

from artgan.refine.steps.enlarge import EnlargerFit

DRAWS = 5
_DOWN = (Image.Resampling.BOX, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS)
_MAX_BLUR = 0.3  # deviation of a blur in small pixels
_JPEG_QUALITY = (60, 95)


def degraded(crop: np.ndarray, factor: int, fit: EnlargerFit, draws: np.ndarray) -> np.ndarray:
    """Return a crop reduced by a whole factor: perhaps blurred, by one of three filters, perhaps a JPEG; uint8 `[h, w, 3]`.

    Args:
        crop: uint8; its sides are multiples of the factor.
        factor: of the enlarger.
        fit: the shares of blurred crops and of JPEGs.
        draws: uniform in (0, 1), `[5]`: what happens is a function of them.
    """
    image = Image.fromarray(crop)
    if draws[0] < fit.blurred:
        image = image.filter(ImageFilter.GaussianBlur(float(draws[1]) * _MAX_BLUR * factor))
    image = image.resize((image.width // factor, image.height // factor), _DOWN[int(draws[2] * len(_DOWN))])
    if draws[3] < fit.jpeg:
        low, high = _JPEG_QUALITY
        held = io.BytesIO()
        image.save(held, "JPEG", quality=int(low + (high - low) * draws[4]))
        image = Image.open(held)
    return np.asarray(image)


def reduced(picture: np.ndarray, factor: int) -> np.ndarray:
    """Return a picture, uint8 `[h, w, 3]`, reduced by a whole factor with Pillow's bicubic filter, as for judging."""
    size = (picture.shape[1] // factor, picture.shape[0] // factor)
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC))
