"""The first pass of a run, picture by picture: decode, style, and keep the result with samples of its colors."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from artgan.decode import decode_file
from artgan.devices import is_out_of_memory
from artgan.errors import DataError
from artgan.progress import Listener, silent
from artgan.refine.encode import write_whole
from artgan.refine.feedforward import load_network
from artgan.refine.grading import sample_pixels
from artgan.refine.pipeline import OnIterate, Stylist, reporter, resized
from artgan.refine.recipe import Recipe
from artgan.refine.sources import mask_for
from artgan.refine.style_card import StyleSource


class Styles(Protocol):
    """A style engine, ready to work."""

    def prepare(self, sizes: Sequence[tuple[int, int]], on_progress: Listener = silent) -> None:
        """Compute what pictures of these sizes share."""

    def __call__(
        self, pictures: Sequence[np.ndarray], masks: Sequence[Sequence[np.ndarray]] = (), on_iterate: OnIterate = ...
    ) -> list[np.ndarray]:
        """Return uint8 pictures of one size in the look, float32 in [0, 1]."""


@dataclass(frozen=True)
class StyleTask:
    """Pictures that go together: `(path, key)` each, and the masks of the run."""

    pictures: tuple[tuple[Path, str], ...]
    masks: tuple[Path, ...]


@dataclass(frozen=True)
class Outcome:
    """How one picture went: its source, and the reason when it failed."""

    path: Path
    error: str | None = None

    @staticmethod
    def file(work: Path, key: str) -> Path:
        """Return where a picture's first-pass result lies: samples of its colors, and the styled picture when style is on."""
        return work / f"{key}.npz"


@dataclass(frozen=True)
class Styling:
    """What a process needs to style pictures: all of it pickles."""

    recipe: Recipe
    styles: tuple[StyleSource, ...]
    weights: tuple[float, ...]
    device: str
    network: Path | None
    work: Path

    def worker(self, on_progress: Listener = silent, done: int = 0, total: int = 0) -> Callable[[StyleTask], list[Outcome]]:
        """Build the engine and return the function of a task; progress within pictures counts on from `done`."""
        engine = make_stylist(self) if self.recipe.styles else None
        counter = _Counter(done)

        def work(task: StyleTask) -> list[Outcome]:
            report = reporter(on_progress, counter.done, total, len(task.pictures))
            counter.done += len(task.pictures)
            return _style_batch(task, self, engine, report)

        return work


@dataclass
class _Counter:
    done: int


def make_stylist(styling: Styling) -> Styles:
    """Return the engine of a recipe.

    Raises:
        WeightsError, CheckpointError: its networks are not at hand or damaged.
    """
    device = torch.device(styling.device)
    if styling.recipe.style.engine == "feedforward":
        assert styling.network is not None
        return load_network(styling.network, styling.recipe.style.strength, device)
    return Stylist(styling.recipe, styling.styles, styling.weights, device)


def _style_batch(task: StyleTask, styling: Styling, engine: Styles | None, report: OnIterate) -> list[Outcome]:
    """Decode pictures, style those of one shape together, and keep the results."""
    decoded: list[tuple[Path, str, np.ndarray, list[np.ndarray]]] = []
    outcomes: list[Outcome] = []
    for path, key in task.pictures:
        try:
            pixels = resized(decode_file(path).pixels, styling.recipe.output.size_px)
            masks = [mask_for(mask, path, (pixels.shape[0], pixels.shape[1])) for mask in task.masks]
            decoded.append((path, key, pixels, masks))
        except DataError as error:
            outcomes.append(Outcome(path, str(error)))
    if not decoded:
        return outcomes
    if engine is None:
        for _, key, pixels, _ in decoded:
            _keep(Outcome.file(styling.work, key), pixels, None)
        return outcomes + [Outcome(path) for path, *_ in decoded]
    try:
        results = _with_less_memory(engine, [entry[2] for entry in decoded], [entry[3] for entry in decoded], report)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        reason = "not enough memory; give --tile 512, or a smaller --size"
        return outcomes + [Outcome(path, reason) for path, *_ in decoded]
    for (path, key, pixels, _), styled in zip(decoded, results, strict=True):
        _keep(Outcome.file(styling.work, key), pixels, styled)
        outcomes.append(Outcome(path))
    return outcomes


def _with_less_memory(
    engine: Styles, pictures: list[np.ndarray], masks: list[list[np.ndarray]], report: OnIterate
) -> list[np.ndarray]:
    """Style a batch, and its pictures one by one when it does not fit."""
    go = partial(engine, on_iterate=report)
    if len(pictures) == 1:
        return go(pictures, masks)
    try:
        return go(pictures, masks)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        torch.cuda.empty_cache()
    return [go([picture], [of_picture])[0] for picture, of_picture in zip(pictures, masks, strict=True)]


def _keep(path: Path, content: np.ndarray, styled: np.ndarray | None) -> None:
    arrays = {"content_samples": sample_pixels(content)}
    if styled is not None:
        arrays |= {"styled": styled.astype(np.float32), "styled_samples": sample_pixels(styled)}
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    write_whole(path, buffer.getvalue())
