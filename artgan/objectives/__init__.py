"""Adversarial losses, by name: objects with `discriminator_loss` and `generator_loss`, functions of logits.

Each is a mean over images, so that the loss of a batch is the mean of the losses of its pieces.
"""

from dataclasses import dataclass

from artgan.tables import Row, Table


@dataclass(frozen=True, kw_only=True)
class ObjectiveRow(Row):
    """What is known of an objective.

    Attributes:
        paired: it compares each generated image with a real one: a logit alone means nothing.
        penalty_every: steps from one gradient penalty to the next, where the configuration leaves it open.
    """

    paired: bool
    penalty_every: int


OBJECTIVES = Table(
    "objective",
    {
        "hinge": ObjectiveRow("artgan.objectives.hinge:Hinge", paired=False, penalty_every=16),
        "nonsaturating": ObjectiveRow("artgan.objectives.nonsaturating:Nonsaturating", paired=False, penalty_every=16),
        "relativistic": ObjectiveRow("artgan.objectives.relativistic:Relativistic", paired=True, penalty_every=1),
    },
)
