"""The crops of each step of a fit: works at several scales, what they might have been, and a model's own samples."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from artgan import seeding
from artgan.refine.enlarging.degrade import DRAWS, degraded
from artgan.refine.steps.enlarge import EnlargerFit

_PLACES = 6


@dataclass(frozen=True)
class Crops:
    """Crops of works, as a function of (seed, place).

    Attributes:
        works: uint8 `[h, w, 3]` each, no side shorter than a crop.
        samples: a model's own pictures, uint8; they may be none.
        factor: of the enlarger.
        least_px: shorter side of the smallest scale that works are seen at.
        crop_px: side of the large crops.
        values: of the fit.
        seed: of all draws.
    """

    works: Sequence[np.ndarray]
    samples: Sequence[np.ndarray]
    factor: int
    least_px: int
    crop_px: int
    values: EnlargerFit
    seed: int

    def batch(self, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return a step's small and large crops, and small ones of samples: uint8 `[B, h, w, 3]`, the last perhaps empty."""
        size = self.values.batch_size
        draws = seeding.uniform(self.seed, "enlarger/crops", step * size, size, _PLACES + DRAWS)
        large = [self._large(row[:_PLACES]) for row in draws]
        small = [degraded(crop, self.factor, self.values, row[_PLACES:]) for crop, row in zip(large, draws, strict=True)]
        return _stacked(small), _stacked(large), self._own(step, small[0].shape)

    def large(self, count: int) -> Tensor:
        """Return so many crops beside those of the steps, uint8 `[count, side, side, 3]`."""
        draws = seeding.uniform(self.seed, "enlarger/calibration", 0, count, _PLACES)
        return _stacked([self._large(row) for row in draws])

    def _large(self, draws: np.ndarray) -> np.ndarray:
        """Return a crop of any work, at any scale from its own to the smallest, perhaps mirrored: uint8 `[side, side, 3]`."""
        which, scale, down, across, flip, _ = draws
        work, side = self.works[int(which * len(self.works))], self.crop_px
        short = min(work.shape[:2])
        most = max(1.0, min(short / self.least_px, short / side))  # log-uniform over scales, as sizes are told apart
        taken = min(short, round(side * most**scale))
        top, left = int(down * (work.shape[0] - taken + 1)), int(across * (work.shape[1] - taken + 1))
        crop = work[top : top + taken, left : left + taken]
        if taken != side:
            crop = np.asarray(Image.fromarray(crop).resize((side, side), Image.Resampling.LANCZOS))
        return crop[:, ::-1] if flip < 0.5 else crop

    def _own(self, step: int, shape: tuple[int, ...]) -> Tensor:
        """Return crops of samples, as many as their share of a batch, uint8 `[n, h, w, 3]`."""
        count = round(self.values.own_outputs * self.values.batch_size) if self.samples else 0
        crops = []
        for which, down, across in seeding.uniform(self.seed, "enlarger/samples", step * count, count, 3) if count else ():
            sample = self.samples[int(which * len(self.samples))]
            top, left = int(down * (sample.shape[0] - shape[0] + 1)), int(across * (sample.shape[1] - shape[1] + 1))
            crops.append(sample[top : top + shape[0], left : left + shape[1]])
        return _stacked(crops) if crops else torch.zeros((0, *shape), dtype=torch.uint8)


def _stacked(crops: Sequence[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack(crops))
