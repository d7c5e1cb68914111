"""What a training step expects of a term of the generator's loss.

The loss of a batch is the mean of the losses of its pieces, so that pieces and processes change nothing: what a term must know
of a whole batch, or of more, it keeps in buffers, which `observe` moves once a step. Buffers are its whole state: they are in
every checkpoint, and a step that is skipped leaves them as they were.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

_DECAY = 0.9
_SMALLEST = 1e-30
Side = Literal["real", "fake"]
Sums = dict[str, Tensor]


@dataclass(frozen=True)
class Judged:
    """A piece of a batch as a step has it.

    Attributes:
        images: `[N, 3, H, W]`, for [-1, 1].
        seen: what the discriminator saw of them: augmented.
        features: the discriminator's of `seen`, from fine to coarse.
        labels: int64 `[N]`.
    """

    images: Tensor
    seen: Tensor
    features: tuple[Tensor, ...]
    labels: Tensor


class GeneratorTerm(nn.Module, ABC):
    """A loss on generated images.

    Its weight follows from its share: that many times the length of the adversarial gradient at the images, by running means
    of both squared lengths. So a share means the same at every resolution and for every scale of the loss (as in the gradient
    normalization of adversarial flow models, 2511.22475). The weight is 0 until both lengths are known.

    Args:
        share: of the adversarial gradient's length.

    Attributes:
        weights_sha256: identity of pretrained weights that the term sees through beside the discriminator's; None for none.
        moving: the discriminator's features of a picture change as it learns, if only at first; set before `prepare`.
        squares: running means of the squared gradients at the images: the adversarial one's, and the term's.
    """

    weights_sha256: str | None = None
    moving: bool = False
    squares: Tensor

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share
        self.register_buffer("squares", torch.zeros(2))

    def prepare(self, judge: Callable[[Tensor], tuple[Tensor, ...]], pictures: Callable[[int], Tensor]) -> None:
        """Take from training pictures, once for a new run, what never changes.

        Args:
            judge: maps images `[N, 3, H, W]` in [-1, 1] to the discriminator's features, on its device.
            pictures: gives so many training pictures, or all if there are fewer.
        """

    def sums(self, judged: Judged) -> Sums:
        """Return sums over a piece's images, of what `observe` wants; without gradient. By default nothing."""
        return {}

    @abstractmethod
    def loss(self, judged: Judged) -> Tensor:
        """Return a mean over a piece's images, a scalar; targets from the buffers carry no gradient."""

    def observe(self, side: Side, sums: Mapping[str, Tensor], count: int, images_seen: int) -> None:
        """Move the buffers after a step.

        Args:
            side: whose sums: real images after the discriminator's step, generated ones after the generator's.
            sums: of `sums`, over the whole batch and all processes.
            count: images in the batch.
            images_seen: where training is.
        """

    @torch.no_grad()
    def observe_gradients(self, squares: Tensor) -> None:
        """Move the running means of the squared lengths, `[2]`, if both are finite; the first ones are taken as they are."""
        moved = torch.where(self.squares > 0, self.squares + (1 - _DECAY) * (squares - self.squares), squares)
        self.squares.copy_(torch.where(moved.isfinite().all(), moved, self.squares))

    @property
    def weight(self) -> Tensor:
        """What the term's loss is multiplied by, a scalar without gradient."""
        adversarial, own = self.squares
        known = (adversarial > 0) & (own > 0)
        return torch.where(known, self.share * (adversarial / own.clamp_min(_SMALLEST)).sqrt(), torch.zeros_like(own))
