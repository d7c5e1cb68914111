"""The one sequence of a series: first pass, what is fitted to the whole series, second pass. It knows pictures, not files.

The first pass gives each picture its slow steps (style) and keeps the result in a store. The second knows all pictures of the
series, and gives each the other steps (color, detail). A picture's result depends on the picture, the look and the colors of
the series, not on order, processes or stops.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from artgan.devices import is_out_of_memory
from artgan.errors import DataError
from artgan.progress import Listener, Progress, silent
from artgan.refine.canvas import Canvas, Source, canvas_of, scaled_alpha
from artgan.refine.color import Map
from artgan.refine.grading import sample_pixels
from artgan.refine.materials import Materials
from artgan.refine.recipe import Recipe
from artgan.refine.steps.step import Setting, Size, Step
from artgan.refine.store import Kept, Store

_BATCH_PIXELS_ON_GPU = 16 * 256 * 256


class Original(Protocol):
    """A picture of a series before the first step."""

    @property
    def key(self) -> str:
        """Its identity in the store of the first pass."""

    @property
    def name(self) -> str:
        """For messages and grain."""

    @property
    def size(self) -> Size:
        """(height, width) of `source`."""

    @property
    def start(self) -> np.ndarray | None:
        """What its optimisation starts from in place of itself, float `[H, W, 3]` in [0, 1]."""

    def source(self) -> Source:
        """Return it as the first step meets it, at the size that the recipe asks for.

        Raises:
            DataError: it cannot be read.
        """

    def masks(self) -> list[np.ndarray]:
        """Return its masks, float32 `[H, W]` in [0, 1]: none, one, or one for each style.

        Raises:
            DataError: one is missing or cannot be read.
        """


@dataclass(frozen=True)
class Finished:
    """A picture after the last step.

    Attributes:
        pixels: sRGB `[H, W, 3]`: the very pixels where no step changed them, float in [0, 1] otherwise.
        alpha: opacity `[H, W]`, uint8 or uint16, or None: that of the source, at the result's size.
        own: where no step changed it, the very numbers of the file in its own profile, if it has one.
        source: what it came from.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None
    own: np.ndarray | None
    source: Source


@dataclass(frozen=True)
class Passes:
    """The steps of one look over one series; it pickles if its store and materials do.

    Attributes:
        recipe, materials: the look and what it is applied with.
        device: where networks run.
        store: holds what the first pass made.
    """

    recipe: Recipe
    materials: Materials
    device: str
    store: Store

    def prepare(self, sizes: Sequence[Size], on_progress: Listener = silent) -> None:
        """Compute what the first pass needs for pictures of these sizes, so that all processes find it."""
        for step in self._steps(first=True):
            step.prepare(sizes, self._setting(), on_progress)

    def first(
        self, on_progress: Listener = silent, done: int = 0, total: int = 0
    ) -> Callable[[Sequence[Original]], dict[str, str]]:
        """Load the networks of the first pass and return what takes a batch through it.

        Args:
            on_progress: told about progress within a batch.
            done, total: pictures before the first batch, and of all.

        Returns:
            a function of pictures of one size. It keeps what it made in the store, and returns the reasons of those that
            failed by their keys.
        """
        applied = [step.begin(self._setting()) for step in self._steps(first=True)]
        seen = done

        def work(batch: Sequence[Original]) -> dict[str, str]:
            nonlocal seen
            before, seen = seen, seen + len(batch)
            canvases, failed = _opened(batch)

            def report(share: float, note: str) -> None:
                on_progress(Progress("style", before + len(batch) * share, total, "pictures", note))

            try:
                for apply in applied if canvases else ():
                    canvases = apply(canvases, report)
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                reason = "not enough memory; give --tile 512, or a smaller --size"
                return failed | {canvas.key: reason for canvas in canvases}
            for canvas in canvases:
                self.store.put(canvas.key, _kept(canvas))
            return failed

        return work

    def second(self, keys: Sequence[str]) -> Callable[[Original], Finished]:
        """Fit to the series and return what takes a picture through the other steps.

        Args:
            keys: of all pictures of the series, in its order, each of which has been through the first pass.

        Returns:
            a function of a picture.
        """
        applied = [step.begin(self._setting(keys)) for step in self._steps(first=False)]

        def work(original: Original) -> Finished:
            source = original.source()
            canvas = canvas_of(source.pixels, original.name, original.key)
            styled = self.store.styled(original.key)
            if styled is not None:
                canvas = canvas.with_srgb(styled)
            for apply in applied:
                (canvas,) = apply([canvas], _unheard)
            pixels = canvas.srgb()
            own = None if canvas.is_changed else source.own
            return Finished(pixels, scaled_alpha(source.alpha, (pixels.shape[0], pixels.shape[1])), own, source)

        return work

    def color_map(self, keys: Sequence[str]) -> Map | None:
        """Return the color map of the whole series, or None where the look has none."""
        return self.recipe.color.series_map(self._setting(keys))

    def _steps(self, *, first: bool) -> list[Step]:
        return [step for step in self.recipe.steps if step.acts and step.first_pass == first]

    def _setting(self, keys: Sequence[str] = ()) -> Setting:
        return Setting(self.recipe.seed, self.materials, torch.device(self.device), keys, self.store.samples)


def batches_of(originals: Sequence[Original], device: torch.device) -> list[list[Original]]:
    """Group pictures of one size: as many as a GPU likes, and one by one on a CPU, where a batch gains nothing."""
    groups: dict[Size, list[Original]] = {}
    for original in originals:
        groups.setdefault(original.size, []).append(original)
    batches = []
    for (height, width), group in groups.items():
        limit = 1 if device.type == "cpu" else max(1, _BATCH_PIXELS_ON_GPU // (height * width))
        batches += [group[start : start + limit] for start in range(0, len(group), limit)]
    return batches


def _opened(batch: Sequence[Original]) -> tuple[list[Canvas], dict[str, str]]:
    """Return the pictures of a batch that can be read, and the reasons of those that cannot."""
    canvases: list[Canvas] = []
    failed: dict[str, str] = {}
    for original in batch:
        try:
            canvases.append(canvas_of(original.source().pixels, original.name, original.key, original.masks(), original.start))
        except DataError as error:
            failed[original.key] = str(error)
    return canvases, failed


def _kept(canvas: Canvas) -> Kept:
    content = sample_pixels(canvas.content)
    if not canvas.is_changed:
        return Kept(content, None, None)
    styled = canvas.srgb()
    return Kept(content, styled, sample_pixels(styled))


def _unheard(share: float, note: str) -> None:
    """The second pass reports whole pictures."""
