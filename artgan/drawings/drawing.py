"""One drawing: a scene in a palette by a hand, from a seed and a number."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from artgan.drawings.canvas import PARTS, Canvas
from artgan.drawings.hands import HANDS, finish
from artgan.drawings.palettes import TEMPERS, mix
from artgan.drawings.scenes import SCENES
from artgan.drawings.textures import Random, bank, generator

SIDE_PX = 96
# What is known about a drawing as a whole, and how many values each has.
ATTRIBUTES = {"scene": len(SCENES), "hand": len(HANDS), "temper": len(TEMPERS), "outline": 2}
NUM_PARTS = len(PARTS)


@dataclass(frozen=True)
class Drawing:
    """A picture and what it shows.

    Attributes:
        image: uint8 `[96, 96, 3]`.
        parts: uint8 `[24, 24]`, which of `PARTS` lies on top at each place.
        attributes: uint8, one for each of `ATTRIBUTES`.
    """

    image: NDArray[np.uint8]
    parts: NDArray[np.uint8]
    attributes: NDArray[np.uint8]


def _choose(random: Random, weights: list[float]) -> int:
    shares = np.asarray(weights) / sum(weights)
    return int(random.choice(len(weights), p=shares))


def draw(seed: int, index: int) -> Drawing:
    """Draw picture `index` of `seed`: the same on every machine and in any order."""
    random = generator(seed, "drawings", index)
    scene = _choose(random, [weight for _, weight in SCENES.values()])
    hand = _choose(random, [weight for _, weight in HANDS.values()])
    temper = int(random.integers(len(TEMPERS)))
    outlined = random.random() < 0.45
    palette = mix(random, list(TEMPERS)[temper])
    outline = random.uniform(0.5, 1.5) if outlined else 0.0
    canvas = Canvas(random, bank(seed), palette, SIDE_PX, plain=random.uniform(0.2, 0.95), outline_px=outline)
    list(SCENES.values())[scene][0](canvas)
    list(HANDS.values())[hand][0](canvas)
    attributes = np.array([scene, hand, temper, outlined], np.uint8)
    return Drawing(finish(canvas), np.asarray(canvas.parts).copy(), attributes)
