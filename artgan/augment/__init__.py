"""Augmentations of what the discriminator sees, by name: modules that map images and uniforms to images."""

AUGMENTATIONS = {
    "ada": "artgan.augment.ada:Ada",
    "diffaugment": "artgan.augment.diffaugment:DiffAugment",
}
