"""Endless batches whose pictures are a function of (seed, position): no worker, no decode, no state to save."""

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from artgan import seeding
from artgan.datasets.collection import Collection
from artgan.devices import send
from artgan.images import to_float

_GPU_SHARE = 0.5


def epoch_rows(rows: np.ndarray, seed: int, position: int, count: int) -> np.ndarray:
    """Return the rows at `count` consecutive positions of an endless sequence of random permutations.

    Every epoch of `len(rows)` positions shows each row once, in an order of its own.
    """
    positions = np.arange(position, position + count)
    epochs, places = np.divmod(positions, len(rows))
    picked = np.empty(count, dtype=np.int64)
    for epoch in np.unique(epochs):
        inside = epochs == epoch
        picked[inside] = rows[_epoch_order(seed, int(epoch), len(rows))[places[inside]]]
    return picked


@lru_cache(maxsize=2)
def _epoch_order(seed: int, epoch: int, length: int) -> np.ndarray:
    return seeding.permutation(seed, "data/order", epoch, length)


class Batches:
    """Reads batches of the training split.

    The pictures move to the GPU once, as uint8, when they take at most half of its free memory; otherwise they stay mapped
    from disk and each batch is copied.

    Args:
        collection: where from.
        seed: of the run.
        device: where batches are wanted.
        horizontal_flip: mirror each picture with probability 1/2.
    """

    def __init__(self, collection: Collection, seed: int, device: torch.device, horizontal_flip: bool) -> None:
        self.rows = collection.train_rows
        self.seed = seed
        self.device = device
        self.horizontal_flip = horizontal_flip
        self.images = torch.from_numpy(collection.images)
        self.labels = torch.from_numpy(collection.labels).to(device)
        if device.type == "cuda" and self.images.nbytes <= _GPU_SHARE * torch.cuda.mem_get_info(device)[0]:
            self.images = self.images.to(device)

    def batch(self, position: int, count: int) -> tuple[Tensor, Tensor]:
        """Return the pictures and labels at `count` positions.

        Returns:
            float32 `[count, 3, H, W]` in [-1, 1] and int64 `[count]`, both on the device.
        """
        rows = torch.from_numpy(epoch_rows(self.rows, self.seed, position, count))
        there = send(rows, self.device)
        kept = self.images.is_cuda
        pixels = self.images.index_select(0, there) if kept else send(self.images.index_select(0, rows), self.device)
        images = to_float(pixels)
        if self.horizontal_flip:
            draws = send(torch.from_numpy(seeding.uniform(self.seed, "data/flip", position, count, 1)), self.device)
            images = torch.where(draws.view(-1, 1, 1, 1) < 0.5, images, images.flip(3))
        return images, self.labels[there]
