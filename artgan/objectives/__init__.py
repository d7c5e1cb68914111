"""Adversarial losses, by name: modules with `discriminator_loss` and `generator_loss`, functions of logits."""

OBJECTIVES = {
    "hinge": "artgan.objectives.hinge:Hinge",
}
