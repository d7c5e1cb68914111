"""What the loop, sampling and evaluation expect of a generator and of a discriminator."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

Features = tuple[Tensor, ...]


class GeneratorNetwork(nn.Module, ABC):
    """Latents to images by way of styles.

    Attributes:
        latent_dim: width of z.
        mapping: maps latents `[N, latent_dim]` and labels `[N]` to styles `[N, latent_dim]`.
    """

    latent_dim: int
    mapping: nn.Module

    @abstractmethod
    def synthesis(self, styles: Tensor) -> Tensor:
        """Map styles `[N, latent_dim]` to images `[N, 3, H, W]` in [-1, 1]."""

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map latents `[N, latent_dim]` and labels `[N]` (int64) to images `[N, 3, H, W]` in [-1, 1]."""
        return self.synthesis(self.mapping(latents, labels))


class DiscriminatorNetwork(nn.Module, ABC):
    """Images to logits by way of features, so that a step can reuse features or take them without a gradient."""

    @abstractmethod
    def features(self, images: Tensor) -> Features:
        """Map images `[N, 3, H, W]` in [-1, 1] to features."""

    @abstractmethod
    def logits(self, features: Features, labels: Tensor | None = None) -> Tensor:
        """Map features and labels `[N]` (int64) to logits `[N, K]`; higher means more real."""

    def auxiliary_loss(self, features: Features, images: Tensor) -> Tensor:
        """Return a loss on real images beside the adversarial one; zero unless the discriminator is self-supervised."""
        return torch.zeros((), device=images.device)
