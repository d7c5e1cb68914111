"""Flicker, the mean difference of neighbouring frames: measured, and bounded where style is solved for.

Where a film flickers less when each frame starts from the result of the one before, all its frames do. That is told by its
first frames, from where it moves: both ways are solved there, since a chain of results pays only after some frames (with ten
steps a scale 14.9 of 255 against 12.0 at the first move, 6.5 against 10.7 at the fourth).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from artgan.errors import DataError
from artgan.progress import Listener, Progress
from artgan.refine.plan import Item
from artgan.refine.recipe import Recipe
from artgan.refine.sequence import Passes
from artgan.refine.store import FolderStore

_PROBED_MOVES = 5


def styled_frames(
    items: list[Item], passes: Passes, store: FolderStore, recipe: Recipe, on_progress: Listener
) -> tuple[list[Item], bool]:
    """Take the frames through the first pass, in order; return them with their keys in the store, and the way taken."""
    solves = recipe.style.is_solved and len(items) > 1
    passes.prepare(list(dict.fromkeys(item.size for item in items)), on_progress)
    at = 0

    def heard(event: Progress) -> None:
        on_progress(Progress("style", at + event.done % 1, len(items), "frames", event.note))

    work = passes.first(heard, 0, len(items))

    def taken(item: Item, start: np.ndarray | None) -> Item:
        key = item.key if start is None else hashlib.sha256(f"{item.key}:after".encode()).hexdigest()[:32]
        item = replace(item, key=key, start=start)
        if not store.has(key):
            for reason in work([item]).values():
                raise DataError(f"{item.path.name}: {reason}")
        return replace(item, start=None)

    def styled(item: Item) -> np.ndarray:
        found = store.styled(item.key)
        return _shares(item) if found is None else found

    def flicker(chosen: Sequence[Item]) -> float:
        return sum(_difference(styled(one), styled(other)) for one, other in pairwise(chosen))

    def chained(first: Item, rest: Sequence[Item]) -> list[Item]:
        found = [first]
        for item in rest:
            found.append(taken(item, styled(found[-1])))
        return found

    done = [taken(items[0], None)]
    from_last = False
    moves = (index for index in range(1, len(items)) if _difference(_shares(items[index - 1]), _shares(items[index])) > 0)
    first = next(moves, 0) if solves else 0
    if first:
        probed = items[first - 1 : first + _PROBED_MOVES]
        alone = [taken(item, None) for item in probed]
        from_last = flicker(chained(alone[0], probed[1:])) < flicker(alone)
    for at, item in enumerate(items[1:], start=1):
        done.append(taken(item, styled(done[-1]) if from_last and at >= first else None))
        on_progress(Progress("style", at + 1, len(items), "frames"))
    return done, from_last


def _shares(item: Item) -> np.ndarray:
    """Return a frame before the first step, float32 in [0, 1]."""
    pixels = item.source().pixels
    return pixels / np.float32(255) if pixels.dtype == np.uint8 else pixels


class Flicker:
    """The mean difference of neighbouring frames, before and after, of 255."""

    def __init__(self) -> None:
        self._last: tuple[np.ndarray, np.ndarray] | None = None
        self._sums: list[tuple[float, float]] = []

    def add(self, source: np.ndarray, result: np.ndarray) -> None:
        share = 1.0 if source.dtype == np.uint8 else 255.0
        now = source.astype(np.float32) * share, result.astype(np.float32)
        if self._last is not None:
            self._sums.append((_difference(self._last[0], now[0]), _difference(self._last[1], now[1])))
        self._last = now

    def before(self) -> float:
        return float(np.mean([before for before, _ in self._sums])) if self._sums else 0.0

    def after(self) -> float:
        return float(np.mean([after for _, after in self._sums])) if self._sums else 0.0


def _difference(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one - other).mean()) if one.shape == other.shape else 0.0
