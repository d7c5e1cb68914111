"""What a training step expects of an augmentation."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn


class Augmentation(nn.Module, ABC):
    """A change to each image by draws of its own; its buffers are part of a checkpoint.

    Attributes:
        num_draws: uniforms that one image needs.
    """

    num_draws: int

    @abstractmethod
    def forward(self, images: Tensor, draws: Tensor) -> Tensor:
        """Map images `[N, 3, H, W]` and uniforms `[N, num_draws]` to changed images; differentiable twice."""

    @torch.no_grad()
    def observe(self, signs: Tensor, batch_size: int) -> None:
        """Learn the mean sign of the real images' logits in a step, over all processes; fixed augmentations ignore it."""

    @property
    def strength(self) -> Tensor | None:
        """The probability of each change, for the log, where it moves."""
        return None
