"""Generators and discriminators, by name.

A generator is built from `(height_px, width_px, width, latent_dim, mapping_layers, num_classes)` and maps latents to
images; a discriminator splits into `features(images)`, `logits(features, labels)` and `auxiliary_loss(features, images)`,
so that a step can keep features that need no gradient. What each takes is in its docstring.

What the configuration must know of an architecture before anything heavy is imported stands beside its name.
"""

GENERATORS = {
    "fastgan": "artgan.models.fastgan_generator:Generator",
    "r3gan": "artgan.models.r3gan_generator:Generator",
    "stylegan2": "artgan.models.stylegan2_generator:Generator",
}

DISCRIMINATORS = {
    "fastgan": "artgan.models.fastgan_discriminator:Discriminator",
    "projected": "artgan.models.projected:Discriminator",
    "r3gan": "artgan.models.r3gan_discriminator:Discriminator",
    "stylegan2": "artgan.models.stylegan2_discriminator:Discriminator",
}

# Layers take styles of their own, so that two latents can be mixed and a path length means something.
STYLED_GENERATORS = ("fastgan", "stylegan2")
# An image's gradient involves no other image of the batch.
SEPARABLE_GENERATORS = ("r3gan", "stylegan2")
# Nothing within the network holds its slopes: a gradient penalty must.
UNBOUNDED_DISCRIMINATORS = ("r3gan", "stylegan2")
# Stages from the image side can be frozen for transfer.
FREEZABLE_DISCRIMINATORS = ("fastgan", "r3gan", "stylegan2")
# Pieces of a batch, over steps or processes, are multiples of this.
BATCH_MULTIPLES = {"fastgan": 4, "projected": 1, "r3gan": 1, "stylegan2": 4}
# Adam's learning rate where the configuration leaves it open.
LEARNING_RATES = {"fastgan": 4e-4, "projected": 4e-4, "r3gan": 2e-4, "stylegan2": 2.5e-3}
# Share of images whose layers take the styles of two latents, where the configuration leaves it open.
STYLE_MIXING = {"fastgan": 0.0, "r3gan": 0.0, "stylegan2": 0.9}
