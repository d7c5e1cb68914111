"""Ways through the latent space: from key to key in W, with easing, open or as a seamless loop; and style-mixing sheets."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from artgan.errors import ConfigError
from artgan.generation.point import Point

EASINGS: dict[str, Callable[[float], float]] = {
    "linear": lambda t: t,
    "smooth": lambda t: t * t * (3 - 2 * t),
    "cosine": lambda t: (1 - math.cos(math.pi * t)) / 2,
}
BANDS = ("coarse", "middle", "fine")


def journey(keys: Sequence[Point], steps: int, *, easing: str = "smooth", loop: bool = True) -> list[Point]:
    """Return the points on the way along keys.

    Args:
        keys: at least two; a journey rests at none of them for longer than one frame.
        steps: frames from a key to the next.
        easing: how a way is shared out over its frames: `linear`, `smooth` (3t^2 - 2t^3) or `cosine`.
        loop: go back to the first key. The last frame is then the one before the first key, so that repeating shows no jump.

    Returns:
        `steps` points a way, and the last key when the journey is open. Frame k * steps is key k itself.

    Raises:
        ConfigError: fewer than two keys, or no step.
    """
    if len(keys) < 2 or steps < 1:
        raise ConfigError(f"a way needs two or more keys and one or more steps; got {len(keys)} and {steps}")
    ease = EASINGS[easing]
    ends = [*keys[1:], keys[0]] if loop else list(keys[1:])
    points = [
        replace(start, toward=end, amount=ease(step / steps)) if step else start
        for start, end in zip(keys, ends)
        for step in range(steps)
    ]
    return points if loop else [*points, keys[-1]]


def band_layers(band: str, num_styles: int) -> tuple[int, int]:
    """Return the layers `[first, end)` of the coarse, the middle or the fine third.

    Raises:
        ConfigError: the model has one style for the whole picture.
    """
    if num_styles < 2:
        raise ConfigError("this model has one style for the whole picture: there is nothing to mix")
    place = BANDS.index(band)
    edges = [round(num_styles * third / 3) for third in range(4)]
    if num_styles == 2:
        edges = [0, 1, 1, 2]
    return edges[place], edges[place + 1]


def mixing_matrix(rows: Sequence[Point], columns: Sequence[Point], layers: tuple[int, int]) -> list[list[Point]]:
    """Return the row's point with the column's styles in `layers`, for every pair (Karras et al. 2019, section 3.1)."""
    return [[replace(row, mixed=column, layers=layers) for column in columns] for row in rows]
