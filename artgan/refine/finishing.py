"""The second pass of a run, picture by picture: color fitted to the whole series, detail, the file."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from artgan.decode import decode_file
from artgan.errors import DataError
from artgan.refine.color import Map
from artgan.refine.encode import save
from artgan.refine.grading import fit_grade, is_graded, pool, samples_to_grade
from artgan.refine.pipeline import finish, map_for, resized
from artgan.refine.recipe import Recipe
from artgan.refine.styling import Outcome


@dataclass(frozen=True)
class FinishTask:
    """One picture: where from, its key, where to, and what its file says about it."""

    path: Path
    key: str
    target: Path
    metadata: Mapping[str, Any]
    source_type: str


@dataclass(frozen=True)
class Finisher:
    """What a process needs to finish pictures: all of it pickles.

    Attributes:
        recipe: the look.
        palette: Oklab samples to match, or None.
        work: the folder of first-pass results.
        keys: of all pictures of the series, in its order.
    """

    recipe: Recipe
    palette: np.ndarray | None
    work: Path
    keys: tuple[str, ...]

    def series_map(self) -> Map | None:
        """Fit the color map of the whole series."""
        color = self.recipe.color
        if not is_graded(color):
            return None
        return fit_grade(pool([self._samples(key) for key in self.keys]), self.palette, color, self.recipe.seed)

    def worker(self) -> Callable[[FinishTask], str | None]:
        """Fit the map and return the function that finishes a picture: None, or the reason why it failed."""
        shared = self.series_map()

        def work(task: FinishTask) -> str | None:
            try:
                self._write(task, shared)
            except DataError as error:
                return str(error)
            return None

        return work

    def _write(self, task: FinishTask, shared: Map | None) -> None:
        content = resized(decode_file(task.path).pixels, self.recipe.output.size_px)
        with np.load(Outcome.file(self.work, task.key), allow_pickle=False) as held:
            styled = held.get("styled", content)
        color_map = map_for(self._samples(task.key), shared, self.palette, self.recipe)
        pixels = finish(styled, content, color_map, self.recipe, task.target.stem)
        output = self.recipe.output
        profile = _profile_of(task.path) if output.profile == "source" else None
        save(task.target, pixels, output.format, output.dither, profile, task.metadata, task.source_type)

    def _samples(self, key: str) -> np.ndarray:
        with np.load(Outcome.file(self.work, key), allow_pickle=False) as held:
            return samples_to_grade(held["content_samples"], held.get("styled_samples"), self.recipe.color)


def _profile_of(path: Path) -> bytes | None:
    with Image.open(path) as image:
        profile = image.info.get("icc_profile")
    return profile if isinstance(profile, bytes) and profile else None
