"""What a run will take, before it starts: time from two probe steps, memory from what a step keeps for its gradient."""

import resource
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from artgan.devices import describe_device, peak_host_bytes
from artgan.progress import format_seconds
from artgan.refine.feedforward import load_network
from artgan.refine.losses import statistics
from artgan.refine.materials import Materials
from artgan.refine.objective import Objective, Region
from artgan.refine.optimize import Size, noise, scales
from artgan.refine.pipeline import Stylist
from artgan.refine.plan import batches_of, plan
from artgan.refine.recipe import Recipe

_PROBE_PX = 128
_FINISHED_BYTES_PER_PIXEL = 3
_KEPT_BYTES_PER_PIXEL = 12  # the first pass keeps float32
_FINISHING_SECONDS_PER_PIXEL = 3e-7
# Gradients in flight beside what a step keeps: where the largest map meets its Gram matrix, six of its size.
_MAPS_IN_FLIGHT = 6
_JUDGE_BYTES = 2e8  # SqueezeNet's features of a picture of 256 px: the report comes last
_IMAGE_BYTES_PER_PIXEL = 12
_NETWORK_BYTES_PER_PIXEL = 400  # of a fitted network: its widest maps at full size, twice, beside those that wait to be added
_IMAGES = {"adam": 14, "lbfgs": 34}  # pictures in float32 that a descent works on; L-BFGS with its history of ten pairs


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
        sizes = "" if self.sizes == 1 else f" of {self.sizes} sizes"
        processes = "" if self.jobs == 1 else f" in each of {self.jobs} processes"
        return (
            f"{self.pictures} pictures{sizes} on {self.device}: about {format_seconds(self.seconds)}, "
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
    pixels = [item.height * item.width for item in mine]
    seconds = _FINISHING_SECONDS_PER_PIXEL * sum(pixels)
    working = 100.0 * max(pixels, default=0)
    jobs = min(jobs, max(1, len(mine))) if device.type == "cpu" else 1
    if recipe.styles and recipe.style.engine == "optimize":
        per_pixel, bytes_per_pixel = _probe(recipe, materials, device)
        for item in mine:
            worked = sum(h * w for h, w in scales(item.height, item.width, recipe.style.scale_ratio))
            seconds += per_pixel * worked * recipe.style.iterations
        largest = max((sum(item.height * item.width for item in batch) for batch in batches_of(mine, device)), default=0)
        working = bytes_per_pixel * _pixels_at_once(largest, recipe)
        working += _IMAGE_BYTES_PER_PIXEL * _IMAGES[recipe.style.optimizer] * largest
    if recipe.styles and recipe.style.engine == "feedforward" and materials.network is not None:
        seconds += _probe_network(materials.network, device) * sum(pixels)
        working = max(_NETWORK_BYTES_PER_PIXEL * max(pixels, default=0), _JUDGE_BYTES if materials.styles else 0)
    memory = max(peak_host_bytes(), _resident_bytes() + working)
    if recipe.styles and device.type != "cpu":
        memory = working  # of the device
    disk = sum(pixels) * (_FINISHED_BYTES_PER_PIXEL + (_KEPT_BYTES_PER_PIXEL if recipe.styles else 0))
    sizes = len({(item.height, item.width) for item in mine})
    return Forecast(len(mine), sizes, seconds / jobs, memory, disk, describe_device(device), jobs)


def _pixels_at_once(pixels: int, recipe: Recipe) -> int:
    tile = recipe.style.tile_px
    return min(pixels, (tile + 256) ** 2) if tile else pixels


def _probe(recipe: Recipe, materials: Materials, device: torch.device) -> tuple[float, float]:
    """Return seconds and bytes for each pixel of a step, from two steps at 128 px; not the bytes of pictures themselves."""
    stylist = Stylist(recipe, materials.styles, materials.weights, device)
    size: Size = (_PROBE_PX, _PROBE_PX)
    picture = noise(size, 0).to(device)
    with torch.no_grad():
        features = stylist.backbone(picture)
    region = Region({layer: statistics(features[layer], recipe.style.loss) for layer in recipe.style.style_layers})
    objective = Objective(picture, [region], stylist.backbone, stylist.settings.weights)
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Any:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        objective.gradient(picture)
    started = time.perf_counter()
    objective.gradient(picture)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    pixels = _PROBE_PX * _PROBE_PX
    weights = {buffer.untyped_storage().data_ptr() for buffer in stylist.backbone.buffers()}
    seconds = time.perf_counter() - started
    largest_map = max(features[layer].numel() * features[layer].element_size() for layer in recipe.style.style_layers)
    step = sum(size for at, size in kept.items() if at not in weights) + _MAPS_IN_FLIGHT * largest_map
    return seconds / pixels, step / pixels


def _probe_network(folder: Path, device: torch.device) -> float:
    """Return seconds for each pixel of a fitted network, from a second picture of 128 px."""
    stylist = load_network(folder, 1.0, device)
    picture = np.zeros((_PROBE_PX, _PROBE_PX, 3), np.uint8)
    stylist([picture])
    started = time.perf_counter()
    stylist([picture])
    return (time.perf_counter() - started) / (_PROBE_PX * _PROBE_PX)


def _resident_bytes() -> float:
    """Return the resident memory of this process now; where the system does not tell, its peak."""
    try:
        return float(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:
        return peak_host_bytes()
