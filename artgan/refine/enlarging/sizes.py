"""Pictures brought to a size that is asked for: by a Lanczos filter, or by an enlarger where one is named."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from artgan.enlarging import WAY, resized
from artgan.refine.encode import to_eight_bits
from artgan.refine.enlarging.apply import Enlarge, classical, load_enlarge
from artgan.refine.enlarging.folder import enlarger_sha256

_PLAIN = "a Lanczos filter, which adds no detail"


@dataclass(frozen=True)
class Sizer:
    """A way to bring pictures to a size.

    Attributes:
        way: as it stands in metadata: `lanczos`, `edge`, or `enlarger:` and the sha256 of an enlarger's weights.
        name: in words.
        enlarge: what enlarges; None for the Lanczos filter alone.
        enlarger: as it was named, for other processes.
    """

    way: str = WAY
    name: str = _PLAIN
    enlarge: Enlarge | None = None
    enlarger: str | None = None

    def __call__(self, pixels: np.ndarray, longer_side_px: int | None) -> np.ndarray:
        """Return uint8 `[h, w, 3]` with a longer side of so many pixels; None leaves it as it is.

        Enlarged as many times as comes nearest to the size; what is left, up or down, is the Lanczos filter's.
        """
        large = pixels
        for _ in range(self._times(pixels, longer_side_px)):
            assert self.enlarge is not None
            large = self.enlarge(large)
        return resized(large if large is pixels else to_eight_bits(large, dither=False), longer_side_px)

    def told(self, height_px: int, width_px: int, longer_side_px: int) -> str:
        """Return in words how pictures of this size come to that one."""
        times = self._times(np.empty((height_px, width_px, 0)), longer_side_px)
        by = f"{self.name}, {times} times in a row" if times > 1 else self.name if times or self.enlarge is None else _PLAIN
        return f"{longer_side_px} px along the longer side, from {width_px}x{height_px} px by {by}"

    def _times(self, pixels: np.ndarray, longer_side_px: int | None) -> int:
        if self.enlarge is None or longer_side_px is None:
            return 0
        left, times = longer_side_px / max(pixels.shape[:2]), 0
        while left > self.enlarge.factor**0.5:
            left, times = left / self.enlarge.factor, times + 1
        return times


LANCZOS = Sizer()


def sizer_of(enlarger: str | None, device: torch.device) -> Sizer:
    """Return the way that was named: an enlarger's folder, `edge`, or `lanczos`, which is the default.

    Raises:
        CheckpointError: the folder is no enlarger, or it is damaged.
    """
    if enlarger is None or enlarger == WAY:
        return LANCZOS
    if enlarger == "edge":
        return Sizer("edge", "edge, which adds no texture", classical("edge", 2, device), enlarger)
    folder = Path(enlarger)
    held = load_enlarge(folder, device)
    return Sizer(f"enlarger:{enlarger_sha256(folder)}", f"the enlarger {folder} ({held.factor} times)", held, enlarger)
