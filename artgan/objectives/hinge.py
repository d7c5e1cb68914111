"""Hinge loss (Lim & Ye 2017, 1705.02894; Miyato et al. 2018, 1802.05957).

L_D = E[max(0, 1 - D(x))] + E[max(0, 1 + D(G(z)))]
L_G = -E[D(G(z))]
"""

from torch import Tensor
from torch.nn import functional as F

from artgan.objectives.contract import Objective


class Hinge(Objective):
    """The two losses, as means over a batch and over all logits of an image."""

    def discriminator_loss(self, logits_real: Tensor, logits_fake: Tensor) -> Tensor:
        return F.relu(1 - logits_real).mean() + F.relu(1 + logits_fake).mean()

    def generator_loss(self, logits_fake: Tensor, logits_real: Tensor | None = None) -> Tensor:
        return -logits_fake.mean()
