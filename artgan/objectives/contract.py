"""What a training step expects of an objective."""

from abc import ABC, abstractmethod

from torch import Tensor


class Objective(ABC):
    """Two losses of logits `[N, K]`; higher logits mean more real.

    Attributes:
        paired: image k of the generated ones is compared with image k of the real ones, in the generator's loss as well.
    """

    paired: bool = False

    @abstractmethod
    def discriminator_loss(self, logits_real: Tensor, logits_fake: Tensor) -> Tensor:
        """Return what the discriminator minimizes, a scalar."""

    @abstractmethod
    def generator_loss(self, logits_fake: Tensor, logits_real: Tensor | None = None) -> Tensor:
        """Return what the generator minimizes, a scalar; real logits are given where `paired`."""
