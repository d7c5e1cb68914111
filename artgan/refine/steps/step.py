"""What a step of a look is: a section of the recipe that says what it needs, what it takes, and how it changes pictures.

A step is added by one file here and one row in `artgan.refine.recipe.Recipe`. Its section is its name in YAML files and in
`--set`; the order of the rows is the order of the steps. Files of steps import what is heavy where it is used, so that a
recipe can be checked without it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Self

from pydantic import Field

from artgan.schema.reader import Section

if TYPE_CHECKING:
    import numpy as np
    import torch

    from artgan.refine.canvas import Canvas
    from artgan.refine.materials import Materials

MIN_SIDE_PX = 32

Unit = Annotated[float, Field(ge=0, le=1)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Size = tuple[int, int]


@dataclass(frozen=True)
class Setting:
    """What a step works in.

    Attributes:
        seed: of the recipe.
        materials: styles, masks, palette and networks.
        device: where networks run.
        keys: of all pictures of the series, in its order; empty in the first pass, which does not know the series.
        samples: colors of a picture of the series by its key: Oklab `[n, 3]` before the first step and after the first pass
            (the second is None where that pass changed nothing).
    """

    seed: int
    materials: "Materials"
    device: "torch.device"
    keys: Sequence[str] = ()
    samples: "Callable[[str], tuple[np.ndarray, np.ndarray | None]] | None" = None


Report = Callable[[float, str], None]
"""Told the share of a batch that is done, in [0, 1], and a note."""
Apply = Callable[["Sequence[Canvas]", Report], "list[Canvas]"]
"""Changes pictures of one size, each without regard to the others."""


@dataclass(frozen=True)
class Workload:
    """Pictures that a step will meet: their sizes, and the pixels of the largest batch."""

    sizes: Sequence[Size]
    largest_batch: int
    materials: "Materials"
    device: "torch.device"


@dataclass(frozen=True)
class Cost:
    """Seconds for all pictures, and bytes of memory at work beside what the process has already."""

    seconds: float = 0.0
    memory_bytes: float = 0.0


class Step(Section):
    """A step of a look. Every step takes a strength of some kind; at 0 it returns its input, bit for bit."""

    first_pass: ClassVar[bool] = False
    """Whether it works before the whole series is known. Its result is kept until the files are written: for slow steps."""

    @property
    def acts(self) -> bool:
        """Whether it changes any picture."""
        raise NotImplementedError

    def resolved(self) -> Self:
        """Return the section with the defaults that depend on its other values.

        Raises:
            ConfigError: a name is unknown.
        """
        return self

    def check(self, materials: "Materials") -> None:
        """Check that it has what it needs; called whether it acts or not.

        Raises:
            ConfigError: something is missing or does not fit.
        """

    def check_size(self, size: Size, name: str) -> None:
        """Check that a picture of this (height, width) is large enough.

        Raises:
            DataError: it is not.
        """

    def size_after(self, size: Size) -> Size:
        """Return the (height, width) of a picture after the step."""
        return size

    def cost(self, workload: Workload) -> Cost:
        """Return what it takes, from a probe where that is needed."""
        return Cost()

    def prepare(self, sizes: Sequence[Size], setting: Setting, on_progress: "Callable[..., None]") -> None:
        """Compute what pictures of these sizes share, so that all processes find it."""

    def begin(self, setting: Setting) -> Apply:
        """Load networks, fit to the series, and return what changes pictures; called once in each process.

        Raises:
            WeightsError, CheckpointError: networks are missing or damaged.
        """
        raise NotImplementedError


def one_by_one(change: "Callable[[Canvas], Canvas]") -> Apply:
    """Return a step's work from what changes a single picture."""
    return lambda batch, report: [change(canvas) for canvas in batch]


def scaled_size(height: int, width: int, size_px: int | None) -> Size:
    """Return the size of a picture whose longer side is brought to `size_px`; None keeps it."""
    if size_px is None or max(height, width) == size_px:
        return height, width
    factor = size_px / max(height, width)
    return max(1, round(height * factor)), max(1, round(width * factor))
