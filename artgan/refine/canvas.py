"""A picture on its way through the steps, and the sizes that it takes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from artgan.images import to_float
from artgan.refine.encode import to_eight_bits
from artgan.refine.oklab import oklab_from_srgb, srgb_from_oklab
from artgan.refine.optimize import resize
from artgan.refine.steps.step import Size, scaled_size


@dataclass(frozen=True)
class Source:
    """A picture before the first step, at the size that the recipe asks for.

    Attributes:
        pixels: sRGB `[H, W, 3]`, what is transparent included: uint8, or float32 in [0, 1] where there are more bits.
        alpha: opacity `[H, W]`, uint8 or uint16, or None.
        own: uint8 or uint16 `[H, W, 3]` in the file's own color profile, where it has one and kept its size.
        notes: what was done to read it, in words.
        profile: the file's ICC profile, where it is one for RGB.
        profile_space: what the file's ICC profile is for, such as `L`; empty without one.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None = None
    own: np.ndarray | None = None
    notes: tuple[str, ...] = ()
    profile: bytes | None = None
    profile_space: str = ""


@dataclass(frozen=True)
class Canvas:
    """A picture between two steps; converted only when a step asks for the other color space.

    Attributes:
        content: the picture before the first step, sRGB `[H, W, 3]`: uint8, or float32 in [0, 1].
        name: for messages and grain.
        key: in the store of the first pass.
        masks: none, one, or one for each style; float32 `[H, W]` in [0, 1].
        held: the picture now, of any size.
        space: of `held`: `srgb` (uint8, or float in [0, 1]) or `oklab` (float32).
        start: what an optimisation of the picture starts from in place of it, float `[H, W, 3]` in [0, 1].
    """

    content: np.ndarray
    name: str
    key: str
    masks: Sequence[np.ndarray]
    held: np.ndarray
    space: str = "srgb"
    start: np.ndarray | None = None

    @property
    def is_changed(self) -> bool:
        """Whether a step has changed the picture."""
        return self.held is not self.content

    def srgb(self) -> np.ndarray:
        """Return the picture now: the very content, or sRGB float in [0, 1]."""
        return self.held if self.space == "srgb" else srgb_from_oklab(self.held).astype(np.float32)

    def oklab(self) -> np.ndarray:
        """Return the picture now in Oklab, float32."""
        return self.held if self.space == "oklab" else oklab_from_srgb(self.held)

    def with_srgb(self, pixels: np.ndarray) -> "Canvas":
        """Return the picture changed to sRGB pixels: float `[H', W', 3]` in [0, 1]."""
        return replace(self, held=pixels, space="srgb")

    def with_oklab(self, pixels: np.ndarray) -> "Canvas":
        """Return the picture changed to Oklab pixels, float32 `[H', W', 3]`."""
        return replace(self, held=pixels, space="oklab")


def canvas_of(
    content: np.ndarray, name: str, key: str, masks: Sequence[np.ndarray] = (), start: np.ndarray | None = None
) -> Canvas:
    """Return a picture before the first step, uint8 `[H, W, 3]`."""
    return Canvas(content, name, key, masks, content, start=start)


def resized(picture: np.ndarray, size_px: int | None) -> np.ndarray:
    """Scale a picture so that its longer side is `size_px`; without one it stays as it is."""
    height, width = picture.shape[:2]
    size = scaled_size(height, width, size_px)
    if size == (height, width):
        return picture
    scaled = resize(image_tensor([picture], torch.device("cpu")), size)[0].clamp(-1, 1)
    pixels: np.ndarray = ((scaled.permute(1, 2, 0) + 1) / 2).numpy()
    return to_eight_bits(pixels, dither=False) if picture.dtype == np.uint8 else pixels


def image_tensor(pictures: Sequence[np.ndarray], device: torch.device) -> Tensor:
    """Return pictures of one size as networks take them: `[N, 3, H, W]`, float32 in [-1, 1].

    Args:
        pictures: `[H, W, 3]` each, uint8 or float in [0, 1]; one that is deeper than 8 bits makes all of them float.
        device: where.
    """
    if all(picture.dtype == np.uint8 for picture in pictures):
        return to_float(torch.from_numpy(np.stack(pictures)).to(device))
    shares = [picture / np.float32(255) if picture.dtype == np.uint8 else picture for picture in pictures]
    return torch.from_numpy(np.stack(shares).astype(np.float32)).to(device).permute(0, 3, 1, 2) * 2 - 1


def scaled_alpha(alpha: np.ndarray | None, size: Size) -> np.ndarray | None:
    """Return an opacity `[H, W]` at the (height, width) of the picture that it belongs to."""
    if alpha is None or alpha.shape == size:
        return alpha
    image = Image.fromarray(alpha.astype(np.float32)).resize(size[::-1], Image.Resampling.BICUBIC)
    return np.rint(np.asarray(image)).clip(0, np.iinfo(alpha.dtype).max).astype(alpha.dtype)
