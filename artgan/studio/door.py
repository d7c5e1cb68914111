"""The front door: from pictures to a run that trains, all in one workspace, as plain calls without HTTP.

Collections, runs and drops are named by their place in lists that only grow; the one path that comes from outside is that of a
source that the user types on this machine, and it is only read.
"""

import base64
import io
import json
import os
import subprocess
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from artgan import arguments, weights
from artgan.backbones import LIGHT_BACKBONES
from artgan.datasets import advice
from artgan.datasets.archives import is_archive, stem
from artgan.datasets.collection import SUMMARY, Collection, open_collection, read_index, recipe_of
from artgan.datasets.drop import leave_out
from artgan.datasets.fates import KEPT
from artgan.datasets.prepare import prepare
from artgan.datasets.recipe import FITS, FOCI, Recipe
from artgan.errors import ConfigError, DataError
from artgan.progress import Listener
from artgan.studio import trainer
from artgan.studio.drops import Drops
from artgan.studio.forecasts import SHEETS, Forecasts
from artgan.studio.workspace import Workspace, new_folder

WORKS_AT_ONCE = 60
_THUMB_PX = 128
_MAX_SIDE_PX = 1024
_MAX_LEFT_OUT = 100_000
_OPEN_COLLECTIONS = 4
_PROCESSES = 8


class Numbered:
    """Names with numbers that stay theirs: new ones come behind those that are known."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def add(self, names: list[str]) -> list[str]:
        """Return all names, in the order of their numbers, after adding those that are new."""
        self.names += [name for name in names if name not in self.names]
        return self.names

    def number(self, name: str) -> int:
        """Return the number of a name."""
        return self.add([name]).index(name)

    def name(self, what: str, number: Any) -> str:
        """Return the name of a number.

        Raises:
            DataError: there is none.
        """
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < len(self.names):
            raise DataError(f"{what}: there is none of the number {str(number)[:20]}")
        return self.names[number]


@dataclass(frozen=True)
class _Opened:
    collection: Collection
    lines: list[dict[str, Any]]
    kept: list[dict[str, Any]]


class Door:
    """What the front door can do.

    Args:
        workspace: the one folder that is written into.
        alone: whether only this machine can reach the studio; paths are then taken from the page.
    """

    def __init__(self, workspace: Workspace, *, alone: bool = True) -> None:
        self.workspace = workspace
        self.alone = alone
        self.drops = Drops(workspace)
        self.forecasts = Forecasts()
        self.collections, self.runs, self.dropped = Numbered(), Numbered(), Numbered()
        self._children: dict[Path, subprocess.Popen] = {}
        self._opened: dict[str, tuple[int, _Opened]] = {}

    def describe(self) -> dict[str, Any]:
        """Return what the page needs to draw itself: the place, drops, collections, runs and the backbone that will be used."""
        self._reap()
        space = self.workspace
        backbone = weights.first_found(LIGHT_BACKBONES)
        return {
            "place": str(space.root),
            "paths": self.alone,
            "drops": self.dropped.add(space.drop_names()),
            "collections": [self._summary(name) for name in self.collections.add(space.collection_names())],
            "runs": [self._run(name) for name in self.runs.add(space.run_names())],
            "backbone": backbone,
            "better": None if backbone == LIGHT_BACKBONES[0] else LIGHT_BACKBONES[0],
            "fits": list(FITS),
            "foci": list(FOCI),
            "side": 256 if torch.cuda.is_available() else 64,
            "sheets": SHEETS,
        }

    def _summary(self, name: str) -> dict[str, Any] | None:
        """Return name, number of works and size of a collection; None where it is gone."""
        try:
            content = json.loads((self.workspace.collections / name / SUMMARY).read_text(encoding="utf-8"))
            return {"name": name} | {key: int(content[key]) for key in ("count", "width", "height")}
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None

    def _run(self, name: str) -> dict[str, Any] | None:
        run = self.workspace.runs / name
        if not run.is_dir():
            return None
        order = trainer.read_order(run)
        asked = {"collection": order.collection, "minutes": order.minutes, "mirror": order.mirror} if order else None
        return {"name": name, "order": asked, **trainer.state_of(run, alive=run in self._children)}

    def prepare(self, request: dict[str, Any], listen: Listener) -> dict[str, Any]:
        """Make a collection of what was dropped or of a path that was typed, and return its number.

        Args:
            request: `drop` (a name that `drops.begin` returned, or a number of the list) or `path`; `resolution`, `fit`,
                `focus`, `trim`.
            listen: told after each file.
        """
        source = self._source(request)
        width, height = arguments.resolution(str(request.get("resolution", "64"))[:20])
        if max(width, height) > _MAX_SIDE_PX:
            raise DataError(f"resolution: up to {_MAX_SIDE_PX} px here; artgan prepare goes further")
        recipe = Recipe(
            height=height,
            width=width,
            fit=arguments.choice("fit", str(request.get("fit", "crop"))[:20], FITS),
            focus=arguments.choice("focus", str(request.get("focus", "center"))[:20], FOCI),
            trim=request.get("trim") is True,
            min_side_px=min(width, height) // 2,
        )
        out = new_folder(self.workspace.collections, stem(source.name) if is_archive(source.name) else source.name)
        # Never in this process: what a decoder dies of must not end the studio.
        workers = max(2, min(_PROCESSES, os.cpu_count() or 1))
        summary = prepare([source], out, recipe, workers=workers, on_progress=listen)
        return {"collection": self.collections.number(out.name), "notes": list(summary.notes)}

    def _source(self, request: dict[str, Any]) -> Path:
        drop, path = request.get("drop"), request.get("path")
        if isinstance(drop, str):
            drop = self.dropped.add(self.workspace.drop_names()).index(drop) if drop in self.workspace.drop_names() else -1
        if drop is not None:
            return self.workspace.pictures / self.dropped.name("drop", drop)
        if not isinstance(path, str) or not path.strip() or "\0" in path or len(path) > 4000:
            raise DataError("choose pictures first: drop them, or type the path of a folder")
        if not self.alone:
            raise ConfigError("paths are taken on this machine alone, and this studio listens beyond it: drop the pictures")
        typed = Path(path.strip().strip("'\"")).expanduser()
        if not typed.is_absolute():
            raise DataError(f"{typed}: type the whole path, from the root on")
        if not typed.exists():
            raise DataError(f"{typed}: no such folder")
        if typed.is_file() and not is_archive(typed.name):
            raise DataError(f"{typed}: is a file; give the folder with the pictures, or a zip or tar archive of them")
        root, real = self.workspace.root.resolve(), typed.resolve()
        if real == root or real in root.parents:
            raise DataError(f"{typed}: holds the workspace itself; give the folder with the pictures")
        return typed

    def leave_out(self, request: dict[str, Any]) -> dict[str, Any]:
        """Leave works out of a collection and return how many stay.

        Args:
            request: `collection`, `rows`, and the `hash` of the collection that the rows were chosen in.
        """
        opened = self._open(request.get("collection"))
        rows = request.get("rows")
        is_list = isinstance(rows, list) and 0 < len(rows) <= _MAX_LEFT_OUT
        if not is_list or not all(isinstance(row, int) and not isinstance(row, bool) for row in rows or ()):
            raise DataError("rows: expected a list of numbers")
        if request.get("hash") != opened.collection.pixel_hash:
            raise DataError("the collection has changed meanwhile: look at it again, then leave works out")
        assert isinstance(rows, list)
        names = leave_out(opened.collection.folder, rows)
        return {"left_out": len(names), "count": len(opened.kept) - len(names)}

    def facts(self, number: Any) -> dict[str, Any]:
        """Return what there is to say about a collection, beginners' advice among it."""
        opened = self._open(number)
        collection, lines = opened.collection, opened.lines
        count = len(collection.images)
        fates = Counter((line["status"], str(line.get("reason"))) for line in lines if line["status"] != KEPT)
        return {
            "name": collection.name,
            "hash": collection.pixel_hash,
            "count": count,
            "holdout": len(collection.holdout_rows),
            "width": collection.width,
            "height": collection.height,
            "classes": list(collection.classes[:100]),
            "left": [{"status": status, "reason": why[:200], "count": many} for (status, why), many in fates.most_common(8)],
            "advice": [
                said.pressed
                for said in (
                    *advice.about_works(count),
                    *advice.about_shapes(lines, recipe_of(collection)),
                    *advice.about_mirroring(count),
                )
            ],
        }

    def works(self, number: Any, start: int) -> dict[str, Any]:
        """Return up to 60 works from a row on: `row`, `name`, `label`, `picture` (a JPEG in base64)."""
        opened = self._open(number)
        shown = opened.kept[start : start + WORKS_AT_ONCE]
        return {
            "hash": opened.collection.pixel_hash,
            "works": [
                {
                    "row": start + place,
                    "name": line["name"],
                    "label": line["label"],
                    "picture": _thumbnail(opened.collection.images[start + place]),
                }
                for place, line in enumerate(shown)
            ],
        }

    def _open(self, number: Any) -> _Opened:
        name = self.collections.name("collection", number)
        folder = self.workspace.collections / name
        try:
            stamp = (folder / SUMMARY).stat().st_mtime_ns
        except OSError:
            raise DataError(f"the collection {name} is gone") from None
        known = self._opened.get(name)
        if known is None or known[0] != stamp:
            lines = read_index(folder)
            opened = _Opened(open_collection(folder), lines, [line for line in lines if line["status"] == KEPT])
            self._opened[name] = known = (stamp, opened)
            while len(self._opened) > _OPEN_COLLECTIONS:
                del self._opened[next(iter(self._opened))]
        return known[1]

    def forecast(self, number: Any) -> dict[str, Any]:
        """Return how fast this machine trains on a collection, as far as it has been tried: see `Forecasts.of`."""
        collection = self._open(number).collection
        return self.forecasts.of(collection.folder, collection.pixel_hash)

    def train(self, request: dict[str, Any]) -> dict[str, Any]:
        """Start to train on a collection, or go on with a run; return the run's number.

        Args:
            request: `minutes`, and either `run` or `collection` and `mirror`.
        """
        minutes = trainer.check_minutes(request.get("minutes"))
        trained = next((run for run in self.describe()["runs"] if run and run["busy"]), None)
        if trained:
            raise ConfigError(f"{trained['name']} is being trained: wait for it or stop it, two at a time only slow each other")
        if request.get("run") is not None:
            run = self.workspace.runs / self.runs.name("run", request["run"])
            before = trainer.read_order(run)
            if before is None:
                raise ConfigError(f"{run.name} was begun elsewhere: go on with it by artgan train")
            open_collection(self.workspace.collections / before.collection)
            order = replace(before, minutes=minutes)
        else:
            collection = self._open(request.get("collection")).collection
            run = new_folder(self.workspace.runs, collection.name)
            order = trainer.TrainingOrder(collection.name, minutes, request.get("mirror") is True)
        self.forecasts.end()
        self._children[run] = trainer.start(run, order)
        return {"run": self.runs.number(run.name)}

    def stop(self, number: Any) -> None:
        """Ask a run's training to save and end."""
        trainer.stop(self.workspace.runs / self.runs.name("run", number))

    def training(self) -> list[str]:
        """Return the runs that are being trained."""
        return [run["name"] for run in self.describe()["runs"] if run and run["busy"]]

    def close(self) -> None:
        """End what belongs to the page; a training goes on."""
        self.forecasts.end()

    def _reap(self) -> None:
        self._children = {run: child for run, child in self._children.items() if child.poll() is None}


def _thumbnail(pixels: Any) -> str:
    image = Image.fromarray(pixels)
    image.thumbnail((_THUMB_PX, _THUMB_PX), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=88)
    return base64.b64encode(buffer.getvalue()).decode()
