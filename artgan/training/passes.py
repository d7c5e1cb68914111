"""The forward passes of a step, compiled where that is asked for."""

from typing import Any

import torch
from torch import Tensor

from artgan.devices import autocast
from artgan.models.contract import DiscriminatorNetwork, Features, GeneratorNetwork
from artgan.objectives.penalties import path_lengths, squared_slopes


class Passes:
    """Functions of the networks that the steps call.

    A compiled network cannot be differentiated twice, so penalties are passes of their own, with the first derivative taken
    inside by `torch.func.grad`. It is not to run under autocast, which therefore ends within them.

    Args:
        generator, discriminator: the networks.
        device, precision: of the arithmetic in penalties; that of the others is their caller's.
        compiled: compile every pass at its first call.
    """

    BACKEND = "inductor"

    def __init__(
        self,
        generator: GeneratorNetwork,
        discriminator: DiscriminatorNetwork,
        device: torch.device,
        precision: torch.dtype,
        compiled: bool,
    ) -> None:
        self.generator, self.discriminator = generator, discriminator
        self.device, self.precision = device, precision
        if compiled:
            for name in ("judge", "synthesize", "slopes", "lengths"):
                setattr(self, name, torch.compile(getattr(self, name), dynamic=False, backend=self.BACKEND))

    def judge(self, images: Tensor, labels: Tensor, auxiliary: bool) -> tuple[Tensor, Tensor, Features]:
        """Return logits `[N, K]`, the discriminator's auxiliary loss where asked for, and its features."""
        features = self.discriminator.features(images)
        loss: Any = self.discriminator.auxiliary_loss(features, images) if auxiliary else images.new_zeros(())
        return self.discriminator.logits(features, labels), loss, features

    def synthesize(self, styles: Tensor, noise: Tensor) -> Tensor:
        """Return images of styles and noise keys."""
        return self.generator.synthesis(styles, noise)

    def slopes(self, images: Tensor, labels: Tensor) -> Tensor:
        """Return the discriminator's squared slope at each image, `[N]`."""

        def score(x: Tensor) -> Tensor:
            with autocast(self.device, self.precision):
                return self.discriminator(x, labels)

        return squared_slopes(score, images)

    def lengths(self, styles: Tensor, keys: Tensor, noise: Tensor) -> Tensor:
        """Return the generator's path length at each image, `[N]`."""

        def synthesis(w: Tensor) -> Tensor:
            with autocast(self.device, self.precision):
                return self.generator.synthesis(w, keys)

        return path_lengths(synthesis, styles, noise)


def is_compiler_error(error: Exception) -> bool:
    """Whether an error comes from torch.compile; importing its classes would load the compiler for everyone."""
    return any(kind.__module__.startswith(("torch._dynamo", "torch._inductor")) for kind in type(error).__mro__)
