"""What mixing a band of styles does to pictures: how far it changes them, and how much of them it leaves.

Which layers of a generator heed their styles is learned, so that a band may do nothing, or everything (Karras et al. 2019,
section 3.1, show where each did something in theirs).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from artgan.errors import ConfigError
from artgan.generation.paths import BANDS, band_layers, mixing_matrix
from artgan.generation.point import Point
from artgan.generation.sample import render
from artgan.generation.space import Space

SEEN = 5.0  # of 255, on average over a picture: what changes less is not noticed
_TRIED = 3  # rows and columns


@dataclass(frozen=True)
class Effect:
    """What a band does: mean absolute differences of 255.

    Attributes:
        band: one of `BANDS`.
        changes: of mixed pictures from those whose styles they keep outside the band.
        leaves: of mixed pictures from those whose styles they take within the band.
    """

    band: str
    changes: float
    leaves: float

    @property
    def is_seen(self) -> bool:
        """Whether people see a change, and not the other picture."""
        return self.changes >= SEEN and self.leaves >= SEEN

    def __str__(self) -> str:
        if self.changes < SEEN:
            return f"{self.band} styles change these pictures by {self.changes:.1f} of 255, which nobody sees"
        if self.leaves < SEEN:
            return f"{self.band} styles give the other picture whole ({self.leaves:.1f} of 255 from it)"
        return f"{self.band} styles change these pictures by {self.changes:.0f} of 255"


def effects(space: Space, rows: Sequence[Point], columns: Sequence[Point]) -> list[Effect]:
    """Return what each band of the model's styles does, by a few pictures of both.

    Args:
        space: of the model.
        rows: points that keep their styles outside the band.
        columns: points that give theirs within it.

    Raises:
        ConfigError: the model has one style for the whole picture, or a side has no point.
    """
    rows, columns = rows[:_TRIED], columns[:_TRIED]
    if not rows or not columns:
        raise ConfigError("mixing needs a point on each side")
    bands = {band: mixing_matrix(rows, columns, band_layers(band, space.generator.num_styles)) for band in BANDS}
    wanted = [*rows, *columns, *(point for matrix in bands.values() for row in matrix for point in row)]
    pictures = np.stack(list(render(space, wanted))).astype(np.float32)
    kept, given = pictures[: len(rows)], pictures[len(rows) :][: len(columns)]
    mixed = pictures[len(rows) + len(columns) :].reshape(len(bands), len(rows), len(columns), *pictures.shape[1:])
    return [
        Effect(band, float(np.abs(here - kept[:, None]).mean()), float(np.abs(here - given[None]).mean()))
        for band, here in zip(bands, mixed, strict=True)
    ]
