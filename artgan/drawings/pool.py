"""Drawings made ahead, in a folder of shards that are read by memory map; whatever is there already is kept."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from artgan.drawings.drawing import ATTRIBUTES, SIDE_PX, draw
from artgan.errors import StorageError
from artgan.progress import Listener, Progress, silent
from artgan.storage import building
from artgan.workers.tasks import Lost, Workers, over_workers

SHARD = 1024
_PARTS_PX = SIDE_PX // 4
# The fields of a drawing as they lie behind one another in a record of a shard.
RECORD = np.dtype(
    [
        ("image", np.uint8, (SIDE_PX, SIDE_PX, 3)),
        ("parts", np.uint8, (_PARTS_PX, _PARTS_PX)),
        ("attributes", np.uint8, (len(ATTRIBUTES),)),
    ]
)


def _shard_path(folder: Path, seed: int, shard: int) -> Path:
    return folder / f"seed{seed}-{shard:05d}.npy"


def _draw_shard(folder: Path, seed: int, shard: int) -> int:
    records = np.empty(SHARD, RECORD)
    for row in range(SHARD):
        drawing = draw(seed, shard * SHARD + row)
        records[row] = (drawing.image, drawing.parts, drawing.attributes)
    path = _shard_path(folder, seed, shard)
    with building(path, by_many=True) as partial, partial.open("wb") as file:
        np.save(file, records, allow_pickle=False)
    return shard


def fill_pool(folder: Path, seed: int, count: int, *, workers: int = 1, on_progress: Listener = silent) -> None:
    """Draw what a pool of `count` drawings still lacks, in whole shards of 1,024.

    Raises:
        StorageError: the folder cannot be written.
    """
    shards = range(-(-count // SHARD))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        missing = [shard for shard in shards if not _shard_path(folder, seed, shard).is_file()]
        done = len(shards) - len(missing)
        for _ in _drawn(folder, seed, missing, workers):
            done += 1
            on_progress(Progress("drawing", done * SHARD, len(shards) * SHARD, "drawings"))
    except OSError as error:
        raise StorageError(f"cannot write drawings to {folder}: {error}. Free space or name another folder") from error


def _drawn(folder: Path, seed: int, shards: list[int], workers: int) -> Iterator[int]:
    for index, drawn in over_workers(partial(_drawer, folder, seed), shards, Workers(workers)):
        if isinstance(drawn, Lost):
            raise StorageError(f"the process that draws shard {shards[index]} is ended: is there enough memory?")
        yield drawn


def _drawer(folder: Path, seed: int) -> Callable[[int], int]:
    return partial(_draw_shard, folder, seed)


class Pool:
    """The drawings of a pool that `fill_pool` filled with the same folder and seed; a shard is opened when it is first read."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.seed = folder, seed
        self._shards: dict[int, NDArray[np.void]] = {}

    def _shard(self, number: int) -> NDArray[np.void]:
        if number not in self._shards:
            self._shards[number] = np.load(_shard_path(self.folder, self.seed, number), mmap_mode="r", allow_pickle=False)
        return self._shards[number]

    def read(self, rows: NDArray[np.int64]) -> NDArray[np.void]:
        """Return the records of rows, in their order: fields `image`, `parts` and `attributes`."""
        found = np.empty(len(rows), RECORD)
        for place, row in enumerate(rows.tolist()):
            found[place] = self._shard(row // SHARD)[row % SHARD]
        return found
