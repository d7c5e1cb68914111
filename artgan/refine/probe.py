"""What the style step takes: time from a few probe steps, memory from what a step keeps for its gradient."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from artgan.refine.feedforward import load_network
from artgan.refine.losses import statistics
from artgan.refine.objective import Objective, Region
from artgan.refine.optimize import noise, scales
from artgan.refine.steps.step import Cost, Size, Workload
from artgan.refine.steps.style import StyleLook
from artgan.refine.stylist import Stylist

_PROBE_PX = 128
_PROBES = 4  # the quickest counts: on a busy machine single steps take up to a hundred times as long
# Gradients in flight beside what a step keeps: where the largest map meets its Gram matrix, six of its size.
_MAPS_IN_FLIGHT = 6
_JUDGE_BYTES = 2e8  # SqueezeNet's features of a picture of 256 px: the report comes last
_IMAGE_BYTES_PER_PIXEL = 12
_NETWORK_BYTES_PER_PIXEL = 400  # of a fitted network: its widest maps at full size, twice, beside those that wait to be added
_IMAGES = {"adam": 14, "lbfgs": 34}  # pictures in float32 that a descent works on; L-BFGS with its history of ten pairs


def optimization_cost(look: StyleLook, workload: Workload) -> Cost:
    """Return what solving for pictures takes."""
    per_pixel, bytes_per_pixel = _probe(look, workload)
    worked = sum(h * w for height, width in workload.sizes for h, w in scales(height, width, look.scale_ratio))
    largest = workload.largest_batch
    at_once = min(largest, (look.tile_px + 256) ** 2) if look.tile_px else largest
    memory = bytes_per_pixel * at_once + _IMAGE_BYTES_PER_PIXEL * _IMAGES[look.optimizer] * largest
    return Cost(per_pixel * worked * look.iterations, memory)


def network_cost(workload: Workload) -> Cost:
    """Return what a fitted network takes, from pictures of 128 px."""
    assert workload.materials.network is not None
    pixels = [height * width for height, width in workload.sizes]
    memory = max(_NETWORK_BYTES_PER_PIXEL * max(pixels, default=0), _JUDGE_BYTES if workload.materials.styles else 0)
    return Cost(_probe_network(workload.materials.network, workload.device) * sum(pixels), memory)


def _probe(look: StyleLook, workload: Workload) -> tuple[float, float]:
    """Return seconds and bytes for each pixel of a step, from steps at 128 px; not the bytes of pictures themselves."""
    device = workload.device
    stylist = Stylist(look, workload.materials.styles, workload.materials.weights, device)
    size: Size = (_PROBE_PX, _PROBE_PX)
    picture = noise(size, 0).to(device)
    with torch.no_grad():
        features = stylist.backbone(picture)
    region = Region({layer: statistics(features[layer], look.loss) for layer in look.style_layers})
    objective = Objective(picture, [region], stylist.backbone, stylist.settings.weights)
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Any:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        objective.gradient(picture)

    def step() -> None:
        objective.gradient(picture)
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    pixels = _PROBE_PX * _PROBE_PX
    weights = {buffer.untyped_storage().data_ptr() for buffer in stylist.backbone.buffers()}
    seconds = _quickest(step)
    largest_map = max(features[layer].numel() * features[layer].element_size() for layer in look.style_layers)
    step_bytes = sum(size for at, size in kept.items() if at not in weights) + _MAPS_IN_FLIGHT * largest_map
    return seconds / pixels, step_bytes / pixels


def _probe_network(folder: Path, device: torch.device) -> float:
    """Return seconds for each pixel of a fitted network, from pictures of 128 px."""
    stylist = load_network(folder, 1.0, device)
    picture = np.zeros((_PROBE_PX, _PROBE_PX, 3), np.uint8)
    stylist([picture])
    return _quickest(lambda: stylist([picture])) / (_PROBE_PX * _PROBE_PX)


def _quickest(work: Callable[[], object]) -> float:
    """Return the seconds that the quickest of a few repeats took."""
    seconds = []
    for _ in range(_PROBES):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return min(seconds)
