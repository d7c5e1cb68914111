"""The one front door of the room: a series of files with its report, or a series in memory."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from artgan.progress import Listener, Progress, silent
from artgan.refine.canvas import Source, resized, scaled_alpha
from artgan.refine.encode import to_eight_bits
from artgan.refine.files import Result, forget_run, refine_files
from artgan.refine.grading import pool, sample_pixels, write_cube
from artgan.refine.materials import Materials, check_materials
from artgan.refine.plan import REPORT, SHEET
from artgan.refine.recipe import Recipe
from artgan.refine.report import summary, write_report
from artgan.refine.sequence import Passes, batches_of
from artgan.refine.steps.step import Size
from artgan.refine.store import MemoryStore
from artgan.refine.style_card import source_of_picture
from artgan.signing import Signature
from artgan.workers.tasks import ALONE, Workers

Say = Callable[[str], None]


@dataclass(frozen=True)
class Films:
    """What became of the films of a run, for its report.

    Attributes:
        lines: of each, as they stand in `refine.json`.
        lost: what results lack of their sources -> file names of those results.
        failed: source -> reason.
    """

    lines: Sequence[Mapping[str, Any]] = ()
    lost: Mapping[str, Sequence[str]] = field(default_factory=dict)
    failed: Mapping[Path, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RefineRequest:
    """A run over files.

    Attributes:
        inputs: pictures and folders of pictures; none where there were films alone.
        out: an existing folder.
        recipe, materials: the look and what it is applied with.
        device: where networks run.
        workers: processes on a CPU, or a cluster.
        shard: (i, n): this run's share of the first pass.
        cube: also write the color map of the series there.
        films: of the same run, which are done.
        signature: signs every result.
    """

    inputs: Sequence[Path]
    out: Path
    recipe: Recipe
    materials: Materials
    device: torch.device
    workers: Workers = ALONE
    shard: tuple[int, int] = (1, 1)
    cube: Path | None = None
    films: Films = field(default_factory=Films)
    signature: Signature | None = None


def run_refine(request: RefineRequest, *, say: Say = lambda _: None, on_progress: Listener = silent) -> Result:
    """Refine files as one series, and write `refine.json`, `sheet.png` and perhaps a color table beside them.

    A stopped run goes on where it was; what it kept for that is removed at the end. A failed picture does not stop the others;
    what was kept stays then, so that the same run refines the failed ones once they can be read.

    Returns:
        what was written and what failed; with other shards' pictures still waiting nothing is written yet.

    Raises:
        DataError, ConfigError, StorageError: as `refine_files`.
    """
    started = time.monotonic()
    recipe, materials, device, out = request.recipe, request.materials, request.device, request.out
    result = Result()
    if request.inputs:
        result = refine_files(
            request.inputs,
            out,
            recipe,
            materials,
            device=device,
            workers=request.workers,
            shard=request.shard,
            signature=request.signature,
            on_progress=on_progress,
        )
    if result.waiting:
        i, n = request.shard
        say(f"shard {i}/{n} is done; {result.waiting} pictures of other shards are not yet styled")
        return result
    films = request.films
    result.failed |= films.failed
    for sentence, names in films.lost.items():
        result.lost.setdefault(sentence, []).extend(names)
    report = write_report(out, result, recipe, materials, device, time.monotonic() - started, films.lines, on_progress)
    if request.cube is not None and result.color_map is not None:
        write_cube(request.cube, result.color_map, recipe.description or "artgan")
    if not result.failed:
        forget_run(out)
    say(summary(report))
    kinds = {"pictures": len(result.written), "films": len(films.lines)}
    made = " and ".join(f"{count} {kind}" for kind, count in kinds.items() if count)
    for sentence, names in result.lost.items():
        say(f"{len(names)} of {made}: the source {sentence} ({', '.join(names[:3])})")
    sheet = f"before and after: {out / SHEET}; " if result.written else ""
    say(f"{made} in {out}; {sheet}numbers: {out / REPORT}")
    return result


@dataclass(frozen=True)
class Series:
    """Pictures to refine and what they are refined towards.

    Attributes:
        pictures: uint8 `[H, W, 3]` each, or `[H, W, 4]` with opacity, of any sizes.
        names: one for each, for messages and grain.
        style: uint8 `[h, w, 3]`, or None without a style step.
        palette: uint8 pictures whose pooled colors are the target of `match`; the style picture by default.
    """

    pictures: Sequence[np.ndarray]
    names: Sequence[str]
    style: np.ndarray | None
    palette: Sequence[np.ndarray]


@dataclass(frozen=True)
class _Held:
    """A picture in memory, as the sequence meets it."""

    key: str
    name: str
    held: Source
    start: None = None

    @property
    def size(self) -> Size:
        return self.held.pixels.shape[0], self.held.pixels.shape[1]

    def source(self) -> Source:
        return self.held

    def masks(self) -> list[np.ndarray]:
        return []


def refine(series: Series, recipe: Recipe, device: torch.device, on_progress: Listener = silent) -> list[np.ndarray]:
    """Return the refined pictures, uint8 `[H, W, 3]`, in order; those with opacity, `[H, W, 4]`, keep it.

    One color map is fitted to the pooled series and applied to every picture, so that the differences between pictures
    stay. A picture that no step changes is returned as it came, bit for bit.

    Raises:
        ConfigError: the recipe needs a style or a palette, and there is none.
        DataError: a picture is too small for style.
    """
    styles = [] if series.style is None else [source_of_picture("style", series.style)]
    palette = pool([sample_pixels(picture) for picture in series.palette]) if series.palette else None
    materials = Materials(styles, [1.0] * len(styles), palette=palette)
    check_materials(recipe, materials)
    return refine_pictures(series.pictures, series.names, recipe, materials, device, on_progress)


def refine_pictures(
    pictures: Sequence[np.ndarray],
    names: Sequence[str],
    recipe: Recipe,
    materials: Materials,
    device: torch.device,
    on_progress: Listener = silent,
) -> list[np.ndarray]:
    """Return pictures refined as one series, uint8 `[H, W, 3]`, in order; `materials` fit the recipe.

    Raises:
        DataError: a picture is too small for style.
    """
    named = zip(pictures, names, strict=True)
    originals = [
        _Held(str(place), name, _source(picture, recipe.output.size_px)) for place, (picture, name) in enumerate(named)
    ]
    for original in originals:
        for step in recipe.steps:
            step.check_size(original.size, original.name)
    passes = Passes(recipe, materials, str(device), MemoryStore())
    first = passes.first(on_progress, 0, len(originals))
    for batch in batches_of(originals, device):
        for reason in first(batch).values():
            raise MemoryError(reason)
    second, results = passes.second([original.key for original in originals]), []
    for original in originals:
        finished = second(original)
        pixels = finished.pixels
        eight = pixels if pixels.dtype == np.uint8 else to_eight_bits(pixels, recipe.output.dither)
        results.append(eight if finished.alpha is None else np.dstack([eight, finished.alpha]))
        on_progress(Progress("color and detail", len(results), len(originals), "pictures"))
    return results


def _source(picture: np.ndarray, size_px: int | None) -> Source:
    pixels = resized(np.ascontiguousarray(picture[..., :3]) if picture.shape[2] == 4 else picture, size_px)
    alpha = np.ascontiguousarray(picture[..., 3]) if picture.shape[2] == 4 else None
    return Source(pixels, scaled_alpha(alpha, (pixels.shape[0], pixels.shape[1])))
