"""How good enlargements are: nearness to the work in decibels, and how far their patches are from those of works."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from artgan.backbones.backbone import Backbone
from artgan.images import to_float
from artgan.metrics.frechet import fit_gaussian, frechet_distance
from artgan.refine.enlarging.degrade import reduced

Enlarge = Callable[[Tensor], Tensor]
ZOOM = 2
"""Small networks see enlargements at so many times their size: their first stride passes over the grain of paint."""
_PATCHES_AT_ONCE = 16
_LEAST_DEVIATION = 1e-3  # of the mean one: features that say less are left out


@dataclass(frozen=True)
class Score:
    """Of enlargements of held-out works that were reduced.

    Attributes:
        psnr_db: peak signal-to-noise ratio, the mean over works.
        patch_fd: Fréchet distance of patches to those of the works, in the mean features of a backbone, each in
            units of its deviation over the works.
    """

    psnr_db: float
    patch_fd: float

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


class Trial:
    """Held-out works, reduced, and what enlargements of them are compared with.

    Args:
        works: uint8 `[h, w, 3]` each.
        factor: of the enlarger.
        side_px: of the middle of each work that is tried, at most.
        patch_px: side of the patches.
        backbone: that patches are looked at through.
        device: where.
    """

    def __init__(
        self, works: Sequence[np.ndarray], factor: int, side_px: int, patch_px: int, backbone: Backbone, device: torch.device
    ) -> None:
        self.backbone, self.patch_px, self.device = backbone, patch_px, device
        self.works = [_middle(work, side_px, patch_px) for work in works]
        self.small = [reduced(work, factor) for work in self.works]
        features = self._features(map(self._placed, self.works))
        deviation = features.std(0)  # layers differ in size, and each is to count
        self._deviation = np.where(deviation > _LEAST_DEVIATION * deviation.mean(), deviation, np.inf)
        self.real = fit_gaussian(features / self._deviation)

    def score(self, enlarge: Enlarge) -> Score:
        """Judge an enlarger: `[1, 3, h, w]` in [-1, 1] to `[1, 3, factor h, factor w]`."""
        errors: list[float] = []

        def made() -> Iterator[Tensor]:
            for work, small in zip(self.works, self.small, strict=True):
                image = enlarge(self._placed(small)).clamp(-1, 1)
                errors.append(psnr_db(image, self._placed(work)))
                yield image

        features = self._features(made()) / self._deviation
        return Score(float(np.mean(errors)), frechet_distance(fit_gaussian(features), self.real))

    def _placed(self, picture: np.ndarray) -> Tensor:
        return to_float(torch.from_numpy(np.array(picture[None])).to(self.device))

    @torch.no_grad()
    def _features(self, images: Iterator[Tensor]) -> np.ndarray:
        rows = []
        for image in images:
            for patches in patches_of(image, self.patch_px).split(_PATCHES_AT_ONCE):
                seen = F.interpolate(patches, scale_factor=ZOOM, mode="bilinear", align_corners=False)
                maps = self.backbone(seen).values()
                rows.append(torch.cat([x.float().mean((2, 3)) for x in maps], 1).cpu())
        return torch.cat(rows).numpy()


def psnr_db(first: Tensor, second: Tensor) -> float:
    """Return 10 log10(2^2 / mean square difference) of pictures in [-1, 1]; at most 100."""
    error = (first.double() - second.double()).square().mean().item()
    return float(10 * np.log10(4 / max(error, 4e-10)))


def patches_of(images: Tensor, side_px: int) -> Tensor:
    """Cut `[B, C, H, W]` into patches side by side `[n, C, side, side]`; what is left at the right and below is passed over."""
    cut = images.unfold(2, side_px, side_px).unfold(3, side_px, side_px)  # [B, C, rows, columns, side, side]
    return cut.permute(0, 2, 3, 1, 4, 5).flatten(0, 2)


def _middle(work: np.ndarray, side_px: int, patch_px: int) -> np.ndarray:
    """Return the middle of a work, as many whole patches as it has, up to a side."""
    height, width = (min(side, side_px) // patch_px * patch_px for side in work.shape[:2])
    top, left = (work.shape[0] - height) // 2, (work.shape[1] - width) // 2
    return work[top : top + height, left : left + width]
