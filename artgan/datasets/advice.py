"""What beginners' collections ask for: said after preparing and before training, with what to type or what to press."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from artgan.datasets.fates import KEPT
from artgan.datasets.journal import first_of_file
from artgan.datasets.recipe import Recipe

TOO_FEW = 20
FEW = 200
_MIRRORED_UP_TO = 1000
_MUCH_CUT = 0.15
_OF_ONE_SHAPE = 0.6  # of the works
_SHAPE_TOLERANCE = 0.1
_GRID = 4  # a frame's sides are small whole numbers of a quarter of the shorter one, which every generator can make


@dataclass(frozen=True)
class Advice:
    """What to do next, for people.

    Attributes:
        typed: in the words of the command line.
        pressed: in those of the studio's page, whose controls it names.
    """

    typed: str
    pressed: str

    def __str__(self) -> str:
        return self.typed


def about_works(count: int) -> list[Advice]:
    """Return what to do about so few works."""
    if count < TOO_FEW:
        gather = f"{count} works are too few to learn from: a generator can only repeat them. Gather {FEW} or more of one kind"
        return [
            Advice(f"{gather}, or cut large works into many with artgan prepare --tiles 4", f"{gather}, and drop them above")
        ]
    if count < FEW:
        copies = f"with fewer than {FEW} works a model tends to copy them: look"
        return [Advice(f"{copies} at the nearest pictures in report.html", f"{copies} at what it makes beside the works here")]
    return []


def about_mirroring(count: int) -> list[Advice]:
    """Return whether mirrored works would help; twice too few are too few."""
    if not TOO_FEW <= count < _MIRRORED_UP_TO:
        return []
    few = f"{count} works are few: where their mirror images would be works too (no writing, no hands that matter), "
    return [
        Advice(
            f"{few}--set augment.horizontal_flip=true doubles them", f"{few}tick \u201cTheir mirror images are works too\u201d"
        )
    ]


def about_shapes(lines: Sequence[dict[str, Any]], recipe: Recipe) -> list[Advice]:
    """Return the frame that keeps more of the works, where most of them are of one other shape.

    Args:
        lines: of index.jsonl.
        recipe: of the collection.
    """
    if recipe.fit != "crop" or recipe.tiles > 1:
        return []
    works = [line for line in lines if line["status"] == KEPT and first_of_file(line)]
    shapes = np.array([line["width"] / line["height"] for line in works if line.get("width") and line.get("height")])
    if not len(shapes):
        return []
    typical = float(np.median(shapes))
    alike = np.abs(np.log(shapes / typical)) < _SHAPE_TOLERANCE
    cut = _share_cut(typical, recipe.width / recipe.height)
    width, height = _frame_for(typical, min(recipe.width, recipe.height))
    if cut < _MUCH_CUT or alike.mean() < _OF_ONE_SHAPE or _share_cut(typical, width / height) > cut / 2:
        return []
    shaped = f"{alike.sum():,} of {len(shapes):,} works are about {typical:.2f} times as wide as high"
    lost = f"{shaped}, and {cut:.0%} of each is cut away"
    keeps = f"keeps {1 - _share_cut(typical, width / height):.0%} of it"
    return [
        Advice(
            f"{lost}: --resolution {width}x{height} {keeps}",
            f"{lost}: {width} \u00d7 {height}, under Pixels above, {keeps}; then Prepare again",
        )
    ]


def _share_cut(shape: float, frame: float) -> float:
    return 1 - min(shape / frame, frame / shape)


def _frame_for(shape: float, side_px: int) -> tuple[int, int]:
    """Return the (width, height) nearest to a shape whose shorter side has so many pixels."""
    unit = max(1, side_px // _GRID)
    longer = unit * round(_GRID * max(shape, 1 / shape))
    return (longer, side_px) if shape >= 1 else (side_px, longer)
