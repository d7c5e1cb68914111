"""What the loop, sampling and evaluation expect of a generator and of a discriminator."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn

from artgan.errors import ConfigError

Features = tuple[Tensor, ...]


class GeneratorNetwork(nn.Module, ABC):
    """Latents to images by way of styles.

    Attributes:
        latent_dim: width of z.
        style_dim: width of w.
        num_styles: layers, from coarse to fine, that take a style of their own; 1 where one style serves the whole image.
        couples_batch: in training mode an image depends on the others of its batch, as under batch norm.
        mapping: maps latents `[N, latent_dim]` and labels `[N]` to styles `[N, style_dim]`.
    """

    latent_dim: int
    style_dim: int
    num_styles: int = 1
    couples_batch: bool = False
    mapping: nn.Module

    @abstractmethod
    def synthesis(self, styles: Tensor, noise: Tensor | None = None) -> Tensor:
        """Map styles to images.

        Args:
            styles: `[N, style_dim]` for all layers, or `[N, num_styles, style_dim]`, one for each.
            noise: int64 `[N]`, keys of each image's noise inputs (`models.noise`); None takes the fixed noise of the model.
                Generators without noise inputs ignore it.

        Returns:
            `[N, 3, H, W]`, for [-1, 1]; where the last layer does not bound them, values may lie beyond.
        """

    @abstractmethod
    def level_of(self, tensor: str) -> int | None:
        """Return after how many doublings of the base grid a tensor of the state dict works; None for the mapping's."""

    def grow_from(self, small: Self) -> None:
        """Start all that a smaller generator lacks so that pictures are its own, enlarged: new stages carry colors alone.

        Args:
            small: of the same architecture, channels and base grid, with fewer doublings; its tensors are in place already.

        Raises:
            ConfigError: this architecture has no such start.
        """
        raise ConfigError("this generator cannot grow from a smaller one: begin with one of its own size, or without --init")

    def forward(self, latents: Tensor, labels: Tensor | None = None, noise: Tensor | None = None) -> Tensor:
        """Map latents `[N, latent_dim]` and labels `[N]` (int64) to images `[N, 3, H, W]`."""
        return self.synthesis(self.mapping(latents, labels), noise)

    def per_layer(self, styles: Tensor) -> Tensor:
        """Return styles as `[N, num_styles, style_dim]`, whichever of the two forms they have."""
        return styles if styles.ndim == 3 else styles[:, None].expand(-1, self.num_styles, -1)


@dataclass(frozen=True)
class DiscriminatorSpec:
    """What a run knows when it builds its discriminator; an architecture takes what it needs.

    Attributes:
        height_px, width_px: of the images.
        width: feature channels.
        num_classes: 0 for unconditional.
        backbone: name of the pretrained network to see through; None for architectures without one.
        input_px: shorter side at which it sees pictures; None likewise.
        backbone_rate: how fast the backbone's own weights change, as a share of the learning rate.
        pictures: gives so many training pictures, or all if there are fewer, `[N, 3, H, W]` in [-1, 1].
    """

    height_px: int
    width_px: int
    width: int
    num_classes: int
    backbone: str | None
    input_px: int | None
    backbone_rate: float
    pictures: Callable[[int], Tensor]


class DiscriminatorNetwork(nn.Module, ABC):
    """Images to logits by way of features, so that a step can reuse features or take them without a gradient.

    Attributes:
        batch_multiple: images that are judged together; pieces of a batch must be multiples of it.
        weights_sha256: identity of the pretrained weights that it sees through, which no state dict holds; None for none.
        learns_features: what it makes of a picture changes while it learns.
    """

    batch_multiple: int = 1
    weights_sha256: str | None = None
    learns_features: bool = True

    @classmethod
    def from_spec(cls, spec: DiscriminatorSpec) -> Self:
        """Build a new run's discriminator on the CPU; by default from the sizes alone.

        Raises:
            ConfigError: sizes, or a backbone, that cannot be.
            WeightsError: no weights for the backbone.
        """
        return cls(
            height_px=spec.height_px,
            width_px=spec.width_px,
            width=spec.width,
            num_classes=spec.num_classes,
        )

    @abstractmethod
    def features(self, images: Tensor) -> Features:
        """Map images `[N, 3, H, W]` in [-1, 1] to features."""

    @abstractmethod
    def logits(self, features: Features, labels: Tensor | None = None) -> Tensor:
        """Map features and labels `[N]` (int64) to logits `[N, K]`; higher means more real."""

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map images and labels to logits `[N, K]`."""
        return self.logits(self.features(images), labels)

    def auxiliary_loss(self, features: Features, images: Tensor) -> Tensor:
        """Return a loss on real images beside the adversarial one; zero unless the discriminator is self-supervised."""
        return torch.zeros((), device=images.device)

    def hold_features(self) -> None:
        """Keep what it makes of a picture as it is from now on, where that changes by weights of a pretrained network."""

    def stages(self) -> Sequence[nn.Module]:
        """Return the parts that `training.freeze_stages` counts, from the image side on; none where nothing can be frozen."""
        return ()
