"""A picture on its way through the steps, and the sizes that it takes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from artgan.images import to_float
from artgan.refine.encode import to_eight_bits
from artgan.refine.oklab import oklab_from_srgb, srgb_from_oklab
from artgan.refine.optimize import resize
from artgan.refine.steps.step import scaled_size


@dataclass(frozen=True)
class Canvas:
    """A picture between two steps; converted only when a step asks for the other color space.

    Attributes:
        content: the picture before the first step, sRGB uint8 `[H, W, 3]`.
        name: for messages and grain.
        key: in the store of the first pass.
        masks: none, one, or one for each style; float32 `[H, W]` in [0, 1].
        held: the picture now, of any size.
        space: of `held`: `srgb` (uint8, or float in [0, 1]) or `oklab` (float32).
    """

    content: np.ndarray
    name: str
    key: str
    masks: Sequence[np.ndarray]
    held: np.ndarray
    space: str = "srgb"

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


def canvas_of(content: np.ndarray, name: str, key: str, masks: Sequence[np.ndarray] = ()) -> Canvas:
    """Return a picture before the first step, uint8 `[H, W, 3]`."""
    return Canvas(content, name, key, masks, content)


def resized(picture: np.ndarray, size_px: int | None) -> np.ndarray:
    """Scale a picture so that its longer side is `size_px`; without one it stays as it is."""
    height, width = picture.shape[:2]
    size = scaled_size(height, width, size_px)
    if size == (height, width):
        return picture
    scaled = resize(to_float(torch.from_numpy(np.stack([picture]))), size)[0].clamp(-1, 1)
    return to_eight_bits(((scaled.permute(1, 2, 0) + 1) / 2).numpy(), dither=False)
