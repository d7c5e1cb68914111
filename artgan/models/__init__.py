"""Generators and discriminators, by name.

A generator is built from `(resolution, width, latent_dim, mapping_layers, num_classes)` and maps latents to
images; a discriminator splits into `features(images)`, `logits(features, labels)` and `auxiliary_loss(features, images)`,
so that a step can keep features that need no gradient. What each takes is in its docstring.
"""

GENERATORS = {
    "fastgan": "artgan.models.fastgan_generator:Generator",
}

DISCRIMINATORS = {
    "fastgan": "artgan.models.fastgan_discriminator:Discriminator",
    "projected": "artgan.models.projected:Discriminator",
}
