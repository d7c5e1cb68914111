"""What the discriminator will see: training pictures through the configured augmentation, as a sheet."""

import numpy as np
import torch

from artgan import seeding
from artgan.config import RunConfig
from artgan.datasets.collection import Collection
from artgan.images import grid, to_float, to_uint8
from artgan.training.resolve import resolve_config
from artgan.training.state import build_augmentation

_PICTURES = 8
_DRAWS = 7
_STRENGTHS = (0.2, 0.4, 0.6, 0.8)


def preview_augmentation(collection: Collection, config: RunConfig) -> np.ndarray:
    """Return a sheet, uint8 `[H, W, 3]`: a row for each of eight pictures, first as it is, then changed seven times.

    Where the probability follows the discriminator, the sheet shows probabilities of 0.2, 0.4, 0.6 and 0.8, as far as they
    are allowed, from left to right.
    """
    config = resolve_config(config, collection.height, collection.width)
    rows = collection.train_rows
    shown = rows[np.linspace(0, len(rows) - 1, min(_PICTURES, len(rows))).astype(np.int64)]
    images = to_float(torch.from_numpy(collection.images[shown]))
    columns = [images]
    for index in range(_DRAWS):
        augment = build_augmentation(config)
        if config.augment.name == "ada" and config.augment.probability is None:
            strength = min(_STRENGTHS[index * len(_STRENGTHS) // _DRAWS], config.augment.max_probability)
            augment.get_buffer("probability").fill_(strength)
        draws = seeding.uniform(config.seed, "preview", index * _PICTURES, len(images), augment.num_draws)
        columns.append(augment(images, torch.from_numpy(draws).float()))
    pictures = torch.stack(columns, 1).flatten(0, 1)  # one row a picture
    return grid(to_uint8(pictures).numpy(), columns=1 + _DRAWS)
