"""Palettes: eight colors of one temper, from the ground up."""

import colorsys

import numpy as np
from numpy.typing import NDArray

from artgan.drawings.textures import Random

Palette = NDArray[np.float32]
GROUND, DARK, FLESH = 0, 1, 2
SIZE = 8

# Range of hues around a random center, of saturations and of values; the ground's value.
TEMPERS: dict[str, tuple[float, tuple[float, float], tuple[float, float], tuple[float, float]]] = {
    "ink": (0.04, (0.0, 0.15), (0.1, 0.8), (0.8, 0.97)),
    "earth": (0.10, (0.2, 0.65), (0.2, 0.8), (0.5, 0.95)),
    "faded": (0.25, (0.1, 0.35), (0.45, 0.85), (0.7, 0.95)),
    "pastel": (0.5, (0.12, 0.4), (0.75, 1.0), (0.85, 1.0)),
    "bright": (0.5, (0.6, 1.0), (0.5, 1.0), (0.3, 1.0)),
    "dark": (0.15, (0.3, 0.8), (0.1, 0.5), (0.03, 0.25)),
    "single": (0.03, (0.2, 0.9), (0.15, 0.95), (0.2, 0.95)),
    "opposed": (0.06, (0.4, 0.9), (0.3, 0.95), (0.2, 0.95)),
}


def _color(hue: float, saturation: float, value: float) -> tuple[float, float, float]:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, saturation, value)
    return 255 * red, 255 * green, 255 * blue


def mix(random: Random, temper: str) -> Palette:
    """Return a palette `[8, 3]` in 0-255: a ground, a dark, a light for flesh or main subject, then five more."""
    spread, saturations, values, grounds = TEMPERS[temper]
    center = random.uniform(0.02, 0.15) if temper in ("earth", "ink") else random.random()
    colors = [_color(center + random.uniform(-spread, spread), random.uniform(*saturations) * 0.7, random.uniform(*grounds))]
    colors.append(_color(center + random.uniform(-0.1, 0.1), random.uniform(0, 0.7), random.uniform(0.02, 0.3)))
    flesh = random.uniform(0.03, 0.12) if random.random() < 0.7 else random.random()
    colors.append(_color(flesh, random.uniform(0.05, 0.5), random.uniform(max(0.35, values[0]), max(0.6, values[1]))))
    for index in range(SIZE - 3):
        turn = 0.5 * (index % 2) if temper == "opposed" else 0.0
        hue = center + turn + random.uniform(-spread, spread)
        colors.append(_color(hue, random.uniform(*saturations), random.uniform(*values)))
    return np.asarray(colors, np.float32)
