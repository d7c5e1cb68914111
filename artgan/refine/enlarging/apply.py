"""Enlarging whole pictures, in tiles of bounded memory that meet without a seam."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from artgan.devices import is_out_of_memory, place
from artgan.errors import DataError
from artgan.refine.canvas import image_tensor
from artgan.refine.enlarging.classical import WAYS
from artgan.refine.enlarging.folder import read_enlarger
from artgan.refine.enlarging.network import still_noise
from artgan.refine.steps.enlarge import EnlargeLook
from artgan.refine.steps.step import Cost, Workload
from artgan.refine.tiles import spans

TILE_PX = 192
_LEAST_TILE_PX = 16
_PROBE_PX = 64
_VALUES_AT_WORK = 6  # maps of a size that are held at once
_UP_CHANNELS = 64


@dataclass(frozen=True)
class Enlarge:
    """A way to enlarge pictures of any size.

    Attributes:
        enlarge: `[1, 3, h, w]` in [-1, 1] and noise `[1, 4, h, w]` to `[1, 3, factor h, factor w]`.
        factor: of both sides.
        radius: how many pixels around a small picture's pixel its enlargement depends on.
        tile_px: side of the tiles, at the small size.
        device: where.
    """

    enlarge: Callable[[Tensor, Tensor], Tensor]
    factor: int
    radius: int
    tile_px: int
    device: torch.device

    def __call__(self, pixels: np.ndarray, name: str = "the picture") -> np.ndarray:
        """Return a picture, uint8 or float in [0, 1], `[H, W, 3]`, enlarged: float32 in [0, 1].

        Raises:
            DataError: there is no memory for the result, or for a small tile.
        """
        try:
            return self._in_tiles(pixels)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
        if self.tile_px // 2 >= _LEAST_TILE_PX:
            return replace(self, tile_px=self.tile_px // 2)(pixels, name)
        height, width = pixels.shape[:2]
        raise DataError(
            f"{name}: not enough memory to enlarge {width}x{height} px {self.factor} times, in tiles of {self.tile_px} px "
            f"and in larger ones; give a smaller --size"
        )

    @torch.inference_mode()
    def _in_tiles(self, pixels: np.ndarray) -> np.ndarray:
        height, width = pixels.shape[:2]
        factor = self.factor
        noise = still_noise(height, width)
        result = np.empty((factor * height, factor * width, 3), np.float32)
        for rows in spans(height, self.tile_px, self.radius, 1):
            for columns in spans(width, self.tile_px, self.radius, 1):
                tile = np.ascontiguousarray(pixels[rows.start : rows.stop, columns.start : columns.stop])
                here = noise[:, :, rows.start : rows.stop, columns.start : columns.stop].to(self.device)
                large = self.enlarge(image_tensor([tile], self.device), here).clamp(-1, 1)
                down, across = factor * (rows.core_start - rows.start), factor * (columns.core_start - columns.start)
                core = large[0, :, down:, across:].permute(1, 2, 0).cpu().numpy()
                window = result[
                    factor * rows.core_start : factor * rows.core_stop, factor * columns.core_start : factor * columns.core_stop
                ]
                window[:] = (core[: window.shape[0], : window.shape[1]] + 1) / 2
        return result


def load_enlarge(folder: Path, device: torch.device, texture: float | None = None, tile_px: int = TILE_PX) -> Enlarge:
    """Return a fitted enlarger, ready to work.

    Args:
        folder: of the enlarger.
        device: where.
        texture: from 0 (nearest to the picture) to 1; None for what was best on held-out works.
        tile_px: side of the tiles.

    Raises:
        CheckpointError: the folder is no enlarger, or it is damaged.
    """
    network = place(read_enlarger(folder).network(texture), device)
    return Enlarge(network, network.factor, network.radius, tile_px, device)


def classical(way: str, factor: int, device: torch.device, tile_px: int = TILE_PX) -> Enlarge:
    """Return a classical way, `lanczos` or `edge`, ready to work."""
    held = WAYS[way]
    return Enlarge(lambda images, _: held.enlarge(images, factor), factor, held.radius, tile_px, device)


def enlarger_of_look(look: EnlargeLook, folder: Path | None, device: torch.device) -> Enlarge:
    """Return what the step of a look enlarges with.

    Raises:
        CheckpointError: as `load_enlarge`.
    """
    if look.way != "network":
        return classical(look.way, look.factor, device, look.tile_px)
    assert folder is not None
    return load_enlarge(folder, device, look.texture, look.tile_px)


def enlarging_cost(look: EnlargeLook, workload: Workload) -> Cost:
    """Return what the step takes, from a second picture of 64 px."""
    enlarge = enlarger_of_look(look, workload.materials.enlarger, workload.device)
    picture = np.zeros((_PROBE_PX, _PROBE_PX, 3), np.uint8)
    enlarge(picture)
    started = time.perf_counter()
    enlarge(picture)
    seconds = (time.perf_counter() - started) / _PROBE_PX**2
    pixels = [height * width for height, width in workload.sizes]
    tile = min(max(pixels, default=0), (look.tile_px + 2 * enlarge.radius) ** 2)
    result = 12 * look.factor**2 * max(pixels, default=0)
    return Cost(seconds * sum(pixels), 2 * result + 4 * _VALUES_AT_WORK * _UP_CHANNELS * look.factor**2 / 4 * tile)
