"""Adversarial losses, by name: objects with `discriminator_loss` and `generator_loss`, functions of logits.

Each is a mean over images, so that the loss of a batch is the mean of the losses of its pieces.
"""

OBJECTIVES = {
    "hinge": "artgan.objectives.hinge:Hinge",
    "nonsaturating": "artgan.objectives.nonsaturating:Nonsaturating",
    "relativistic": "artgan.objectives.relativistic:Relativistic",
}

# Objectives that compare each generated image with a real one: a logit alone means nothing there.
PAIRED_OBJECTIVES = ("relativistic",)
# Steps from one gradient penalty to the next, where the configuration leaves it open.
PENALTY_EVERY = {"hinge": 16, "nonsaturating": 16, "relativistic": 1}
