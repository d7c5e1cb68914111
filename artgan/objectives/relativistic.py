"""Relativistic pairing loss (Jolicoeur-Martineau 2018, 1807.00734; with R1 and R2: Huang et al. 2024, 2501.05441).

L_D = E[softplus(D(G(z)) - D(x))]
L_G = E[softplus(D(x) - D(G(z)))]
"""

from torch import Tensor
from torch.nn import functional as F

from artgan.objectives.contract import Objective


class Relativistic(Objective):
    """The two losses, as means over pairs and over all logits of an image."""

    paired = True

    def discriminator_loss(self, logits_real: Tensor, logits_fake: Tensor) -> Tensor:
        return F.softplus(logits_fake - logits_real).mean()

    def generator_loss(self, logits_fake: Tensor, logits_real: Tensor | None = None) -> Tensor:
        assert logits_real is not None
        return F.softplus(logits_real - logits_fake).mean()
