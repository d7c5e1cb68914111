"""Augmentations of what the discriminator sees, by name.

Each is built from its policies, says how many uniforms one image needs (`num_draws`), and maps images and those uniforms
to images.
"""

AUGMENTATIONS = {
    "diffaugment": "artgan.augment.diffaugment:DiffAugment",
}
