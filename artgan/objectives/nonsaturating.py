"""Non-saturating logistic loss (Goodfellow et al. 2014, 1406.2661).

L_D = E[softplus(-D(x))] + E[softplus(D(G(z)))]
L_G = E[softplus(-D(G(z)))]
"""

from torch import Tensor
from torch.nn import functional as F

from artgan.objectives.contract import Objective


class Nonsaturating(Objective):
    """The two losses, as means over a batch and over all logits of an image."""

    def discriminator_loss(self, logits_real: Tensor, logits_fake: Tensor) -> Tensor:
        return F.softplus(-logits_real).mean() + F.softplus(logits_fake).mean()

    def generator_loss(self, logits_fake: Tensor, logits_real: Tensor | None = None) -> Tensor:
        return F.softplus(-logits_fake).mean()
