"""The three ways in which the field resizes pictures for a judge; they differ by up to whole FID points."""

import torch
from torch import Tensor
from torch.nn import functional as F

RESIZES = ("clean", "legacy-torch", "legacy-tf")


def resize(images: Tensor, size_px: int, mode: str) -> Tensor:
    """Resize float images `[N, 3, H, W]` in [-1, 1] to a square, without rounding, clipped to the range.

    Args:
        images: on any device.
        size_px: of the square; the aspect is squeezed, as everywhere in the field.
        mode: `clean`: Pillow's antialiased bicubic filter in float (Parmar et al. 2022, 2104.11222), on the images' device;
            `legacy-torch`: bilinear between pixel centers without antialiasing, as in pytorch-fid;
            `legacy-tf`: TensorFlow 1's bilinear, which takes corners for centers, as in the first FID.
    """
    if images.shape[-2:] == (size_px, size_px):
        return images
    if mode == "legacy-torch":
        return F.interpolate(images, (size_px, size_px), mode="bilinear", align_corners=False)
    if mode == "legacy-tf":
        return _from_corners(_from_corners(images, size_px, -1), size_px, -2)
    return F.interpolate(images, (size_px, size_px), mode="bicubic", antialias=True, align_corners=False).clamp(-1, 1)


def _from_corners(images: Tensor, size_px: int, axis: int) -> Tensor:
    """Interpolate one axis linearly at i * side / size, without the half pixel that would center the grid."""
    side = images.shape[axis]
    places = torch.arange(size_px, device=images.device, dtype=torch.float32) * (side / size_px)
    before = places.floor().long().clamp(max=side - 1)
    after = (before + 1).clamp(max=side - 1)
    share = (places - before).view(-1, 1) if axis == -2 else places - before
    first, second = images.index_select(axis, before), images.index_select(axis, after)
    return first + (second - first) * share
