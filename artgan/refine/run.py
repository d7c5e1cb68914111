"""A series of files, with its report."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from artgan.progress import Listener, silent
from artgan.refine.files import Result, forget_run, refine_files
from artgan.refine.grading import write_cube
from artgan.refine.materials import Materials
from artgan.refine.plan import REPORT, SHEET
from artgan.refine.recipe import Recipe
from artgan.refine.report import summary, write_report
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
