"""Style transfer by optimisation, from coarse to fine (Gatys et al. 2016).

Departures from the paper: several scales, each starting from the content plus the change that the coarser scale made, so
that the content's fine detail is never blurred away; pictures are continued beyond their borders (`networks`), which keeps
them free of a frame; losses relative to their targets; a strength that moves the target statistics, not the weights.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from artgan import seeding
from artgan.backbones.backbone import Backbone
from artgan.refine.descent import adam, lbfgs
from artgan.refine.objective import Objective, Region, Weights
from artgan.refine.tiles import TiledObjective

_COARSEST_PX = 64
_NOISE_DEVIATION = 0.3
_DESCENTS = {"adam": adam, "lbfgs": lbfgs}

Size = tuple[int, int]


@dataclass(frozen=True)
class Settings:
    """Weights and lengths of the optimisation.

    Attributes:
        weights: of the parts of the loss.
        iterations: steps at each scale.
        learning_rate: in units of the [0, 1] pixel range.
        optimizer: `adam` or `lbfgs`.
        patience: stop a picture that gains nothing over so many steps; 0 never.
        scale_ratio: between neighbouring scales.
        tile_px: work in tiles of this side; 0 for whole pictures.
    """

    weights: Weights
    iterations: int
    learning_rate: float
    optimizer: str = "adam"
    patience: int = 0
    scale_ratio: float = 2.0
    tile_px: int = 0


@dataclass(frozen=True)
class Iterate:
    """Where the optimisation is: side in pixels, share of the whole work done, and the mean loss of the batch."""

    side_px: int
    share: float
    loss: float


def scales(height: int, width: int, ratio: float = 2.0) -> list[Size]:
    """Return the sizes from coarse to fine: the full size divided by powers of the ratio, down to a short side of 64 px."""
    sizes = [(height, width)]
    while min(sizes[-1]) / ratio >= _COARSEST_PX - 0.5:
        factor = ratio ** -len(sizes)
        sizes.append((round(height * factor), round(width * factor)))
    return sizes[::-1]


def stylize(
    content: Tensor,
    looks: Callable[[Size], Sequence[Region]],
    backbone: Backbone,
    settings: Settings,
    on_iterate: Callable[[Iterate], None],
    start: Callable[[Size], Tensor] | None = None,
) -> Tensor:
    """Give each content picture a look.

    Args:
        content: `[B, 3, H, W]`, float32 in [-1, 1]; a picture's result does not depend on the others.
        looks: the regions' statistics and masks at a size.
        backbone: returns the layers of `settings`.
        settings: see there.
        on_iterate: called a few times a scale.
        start: pictures `[1 or B, 3, h, w]` to start from at the coarsest size; None starts from the content.

    Returns:
        `[B, 3, H, W]`, float32 in [-1, 1]; the content, bit for bit, where every mask is 0.
    """
    height, width = content.shape[-2:]
    sizes = scales(height, width, settings.scale_ratio)
    work = [rows * columns for rows, columns in sizes]
    coarse = resize(content, sizes[0])
    change = torch.zeros_like(coarse) if start is None else start(sizes[0]).to(coarse) - coarse
    regions: Sequence[Region] = []
    for index, size in enumerate(sizes):
        target = resize(content, size)
        begin = (target + resize(change, size)).clamp(-1, 1)
        regions = looks(size)

        def report(step: int, loss: float, index: int = index, size: Size = size) -> None:
            done = sum(work[:index]) + work[index] * step / settings.iterations
            on_iterate(Iterate(min(size), done / sum(work), loss))

        if settings.tile_px and max(size) > settings.tile_px:
            objective: Objective = TiledObjective(target, regions, backbone, settings.weights, settings.tile_px)
        else:
            objective = Objective(target, regions, backbone, settings.weights)
        change = (
            _DESCENTS[settings.optimizer](
                begin,
                objective.gradient,
                iterations=settings.iterations,
                learning_rate=settings.learning_rate,
                patience=settings.patience,
                report=report,
            )
            - target
        )
    masks = [region.mask for region in regions]
    if all(mask is not None for mask in masks):
        change = change * torch.stack([mask.expand(len(content), -1, -1, -1) for mask in masks if mask is not None]).amax(0)
    return (content + change).clamp(-1, 1)


def noise(size: Size, seed: int) -> Tensor:
    """Return seeded gray-centered noise `[1, 3, h, w]`, the same for every picture of a size."""
    values = seeding.normal(seed, "refine/start", 0, 1, 3 * size[0] * size[1]) * _NOISE_DEVIATION
    return torch.from_numpy(values).view(1, 3, *size)


def resize(images: Tensor, size: Size) -> Tensor:
    """Resize `[B, 3, H, W]` with antialiased bicubic filtering."""
    if images.shape[-2:] == size:
        return images
    return F.interpolate(images, size, mode="bicubic", antialias=True, align_corners=False)
