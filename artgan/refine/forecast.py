"""What a run will take, before it starts: the sum of what its steps say."""

import mmap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from artgan.devices import describe_device, peak_host_bytes
from artgan.progress import format_seconds
from artgan.refine.materials import Materials
from artgan.refine.plan import plan
from artgan.refine.recipe import Recipe
from artgan.refine.sequence import batches_of
from artgan.refine.steps.step import Workload

_FINISHED_BYTES_PER_PIXEL = 3
_KEPT_BYTES_PER_PIXEL = 12  # the first pass keeps float32
_FINISHING_SECONDS_PER_PIXEL = 3e-7
_WORKING_BYTES_PER_PIXEL = 100


@dataclass(frozen=True)
class Forecast:
    """Pictures, seconds, bytes of memory at the peak (of one process) and of disk while it works."""

    pictures: int
    sizes: int
    seconds: float
    memory_bytes: float
    disk_bytes: float
    device: str
    jobs: int

    def __str__(self) -> str:
        pictures = "1 picture" if self.pictures == 1 else f"{self.pictures} pictures"
        sizes = "" if self.sizes == 1 else f" of {self.sizes} sizes"
        processes = "" if self.jobs == 1 else f" in each of {self.jobs} processes"
        return (
            f"{pictures}{sizes} on {self.device}: about {format_seconds(self.seconds)}, "
            f"{self.memory_bytes / 1e9:.2f} GB of memory{processes}, {max(1, round(self.disk_bytes / 1e6)):,} MB of disk"
        )


def forecast(
    inputs: Sequence[Path], recipe: Recipe, materials: Materials, device: torch.device, jobs: int, shard: tuple[int, int]
) -> Forecast:
    """Return what refining these pictures takes.

    Raises:
        DataError, WeightsError, ConfigError: as the run itself would.
    """
    items, _ = plan(inputs, recipe, materials)
    mine = items[shard[0] - 1 :: shard[1]]
    sizes = [item.size for item in mine]
    pixels = sum(height * width for height, width in sizes)
    largest = max((height * width for height, width in sizes), default=0)
    batch = max((sum(item.size[0] * item.size[1] for item in batch) for batch in batches_of(mine, device)), default=0)
    jobs = min(jobs, max(1, len(mine))) if device.type == "cpu" else 1
    seconds, working = _FINISHING_SECONDS_PER_PIXEL * pixels, float(_WORKING_BYTES_PER_PIXEL * largest)
    on_device = False
    for step in recipe.steps:
        if step.acts:
            cost = step.cost(Workload(sizes, batch, materials, device))
            seconds, working = seconds + cost.seconds, max(working, cost.memory_bytes)
            on_device = on_device or (step.first_pass and device.type != "cpu")
            sizes = [step.size_after(size) for size in sizes]
    memory = working if on_device else max(peak_host_bytes(), _resident_bytes() + working)
    finished = sum(height * width for height, width in sizes)
    keeps = any(step.acts and step.first_pass for step in recipe.steps)
    disk = finished * _FINISHED_BYTES_PER_PIXEL + (pixels * _KEPT_BYTES_PER_PIXEL if keeps else 0)
    return Forecast(len(mine), len(set(sizes)), seconds / jobs, memory, disk, describe_device(device), jobs)


def _resident_bytes() -> float:
    """Return the resident memory of this process now; where the system does not tell, its peak."""
    try:
        return float(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE
    except OSError:
        return peak_host_bytes()
