"""DiffAugment: the same kind of random change to real and generated images before D sees them.

Zhao et al. 2020, "Differentiable augmentation for data-efficient GAN training" (arXiv 2006.10738). Ranges as in the
paper: brightness +U(-0.5, 0.5); saturation factor U(0, 2) about the pixel's channel mean; contrast factor U(0.5, 1.5)
about the image's mean; translation by up to 1/8 of each side, zeros outside; one zero box of half of each side.

Departure: the random numbers come in as a tensor, one row per image, so that the change to an image depends on its
position in its stream and on nothing else in the batch.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from artgan.augment.contract import Augmentation

_NUM_DRAWS = {"color": 3, "translation": 2, "cutout": 2}
_TRANSLATION_SHARE = 1 / 8
_CUTOUT_SHARE = 1 / 2


class DiffAugment(Augmentation):
    """The policies, applied in order.

    Args:
        policies: some of `color`, `translation`, `cutout`; none leaves images as they are.
    """

    def __init__(self, policies: Sequence[str]) -> None:
        super().__init__()
        self.policies = tuple(policies)
        self.num_draws = sum(_NUM_DRAWS[policy] for policy in self.policies)

    def forward(self, images: Tensor, draws: Tensor) -> Tensor:
        """Change each image; differentiable with respect to the images, twice.

        Args:
            images: `[N, 3, H, W]`, float in [-1, 1].
            draws: `[N, num_draws]`, uniforms in (0, 1).

        Returns:
            `[N, 3, H, W]`; color may leave [-1, 1], as in the paper.
        """
        functions = {"color": _color, "translation": _translation, "cutout": _cutout}
        widths = [_NUM_DRAWS[policy] for policy in self.policies]
        for policy, draw in zip(self.policies, draws.split(widths, dim=1), strict=True):
            images = functions[policy](images, draw)
        return images


def _color(images: Tensor, draws: Tensor) -> Tensor:
    brightness, saturation, contrast = draws.to(images.dtype)[:, :, None, None, None].unbind(1)  # each [N, 1, 1, 1]
    images = images + (brightness - 0.5)
    gray = images.mean(1, keepdim=True)
    images = gray + (images - gray) * (2 * saturation)
    mean = images.mean((1, 2, 3), keepdim=True)
    return mean + (images - mean) * (contrast + 0.5)


def _translation(images: Tensor, draws: Tensor) -> Tensor:
    rows, row_inside = _shifted(images.shape[2], draws[:, 0])  # [N, H]
    columns, column_inside = _shifted(images.shape[3], draws[:, 1])  # [N, W]
    moved = torch.gather(images, 2, rows[:, None, :, None].expand_as(images))
    moved = torch.gather(moved, 3, columns[:, None, None, :].expand_as(images))
    return moved * (row_inside[:, None, :, None] & column_inside[:, None, None, :])


def _shifted(size: int, draws: Tensor) -> tuple[Tensor, Tensor]:
    reach = int(size * _TRANSLATION_SHARE + 0.5)
    shift = torch.floor(draws * (2 * reach + 1)).long() - reach
    source = torch.arange(size, device=draws.device)[None] + shift[:, None]
    return source.clamp(0, size - 1), (source >= 0) & (source < size)


def _cutout(images: Tensor, draws: Tensor) -> Tensor:
    hidden_rows = _box(images.shape[2], draws[:, 0])
    hidden_columns = _box(images.shape[3], draws[:, 1])
    return images * ~(hidden_rows[:, None, :, None] & hidden_columns[:, None, None, :])


def _box(size: int, draws: Tensor) -> Tensor:
    length = int(size * _CUTOUT_SHARE + 0.5)
    start = torch.floor(draws * (size + 1 - length % 2)).long() - length // 2
    place = torch.arange(size, device=draws.device)[None]
    return (place >= start[:, None]) & (place < start[:, None] + length)
