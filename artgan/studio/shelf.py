"""The shelf: what is kept of a run or of a model folder, in its file of favourites, with notes, tags, an order and a way back.

The file is read anew for each change and written in one step, so that another studio, or a person with an editor, may change it
in between. A kept picture is named by a hash of its point; the page names no file.
"""

import hashlib
import io
import json
import zipfile
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from artgan.errors import DataError
from artgan.generation.favourites import (
    Favourite,
    favourites_path,
    favourites_text,
    lineage_of,
    note_from,
    read_favourites,
    tags_from,
    write_favourites,
)
from artgan.generation.model_folder import Model
from artgan.generation.point import Point, point_from
from artgan.generation.sample import caption, picture_metadata, render, stem_of
from artgan.images import captioned_grid, encode_picture, tiles_of
from artgan.overview import encode_sheet
from artgan.progress import Listener, track

MAX_KEPT = 2000
MAX_ZIP_BYTES = 1 << 30
_MAX_STEPS_BACK = 50
_EARLIEST = (1980, 1, 1, 0, 0, 0)
Kept = tuple[Favourite, ...]


@dataclass(frozen=True)
class _Step:
    number: int
    path: Path
    before: Kept
    after: Kept


class Shelf:
    """What is kept, for each model that is open."""

    def __init__(self) -> None:
        self._steps: deque[_Step] = deque(maxlen=_MAX_STEPS_BACK)
        self._count = 0

    def facts(self, model: Model) -> dict[str, Any]:
        """Return `kept`: for each picture its `id`, `point`, `note`, `tags`, and the `model` where that is another one."""
        return {"kept": [_described(item, model) for item in _read(favourites_path(model.folder))]}

    def change(self, model: Model, request: dict[str, Any]) -> dict[str, Any]:
        """Change what is kept; return `facts` and the number of this `step`, by which it can be undone.

        Args:
            model: that is open.
            request: `do` is one of keep (`points`), drop (`ids`), describe (`id`, `note`, `tags`),
                move (`id`, `to`), undo and redo (`step`).

        Raises:
            DataError: it cannot be read, names what is not kept, or too much is kept.
            StorageError: the file cannot be written; what was there stays.
        """
        path = favourites_path(model.folder)
        now = _read(path)
        ways: dict[str, Callable[[], Kept]] = {
            "keep": lambda: _with(now, request.get("points"), model),
            "drop": lambda: _without(now, request.get("ids")),
            "describe": lambda: _told(now, request),
            "move": lambda: _moved(now, request),
            "undo": lambda: self._back(path, now, request.get("step"), forth=False),
            "redo": lambda: self._back(path, now, request.get("step"), forth=True),
        }
        name = request.get("do")
        if not isinstance(name, str) or name not in ways:
            raise DataError(f"do: expected one of {', '.join(ways)}")
        after = ways[name]()
        if after != now:
            write_favourites(path, after)
        step = request.get("step")
        if name not in ("undo", "redo"):
            self._count += 1
            step = self._count
            self._steps.append(_Step(step, path, now, after))
        return self.facts(model) | {"step": step}

    def _back(self, path: Path, now: Kept, number: Any, *, forth: bool) -> Kept:
        for step in self._steps:
            if step.number == number and step.path == path:
                start, end = (step.before, step.after) if forth else (step.after, step.before)
                if now != start:
                    raise DataError("what is kept has changed since; undo that first")
                return end
        raise DataError("that change is too long ago to undo")

    def archive(self, model: Model, request: dict[str, Any], listen: Listener) -> bytes:
        """Return a zip of kept pictures under the model that is open: PNG files with their recipes, a sheet and the list.

        Args:
            model: makes the pictures.
            request: `ids` of what is wanted, in order; all of it where they are missing.
            listen: told after each picture.
        """
        kept = {_id(item.point): item for item in _read(favourites_path(model.folder))}
        chosen = [_found(kept, name) for name in _ids(request["ids"])] if "ids" in request else list(kept.values())
        if not chosen:
            raise DataError("nothing is kept yet")
        points = [item.point for item in chosen]
        pictures = track(render(model.space, points), "making", len(points), "pictures", listen)
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:

            def add(name: str, data: bytes | str) -> None:
                archive.writestr(zipfile.ZipInfo(name, _EARLIEST), data)
                if buffer.tell() > MAX_ZIP_BYTES:
                    raise DataError("more than 1 GB of pictures: choose some by a tag, or use artgan sample --liked")

            def added() -> Iterator[np.ndarray]:
                for number, (point, pixels) in enumerate(zip(points, pictures, strict=True), start=1):
                    made = encode_picture(pixels, "png", picture_metadata(model, point))
                    add(f"kept-{number:04d}-{stem_of(point)}.png", made)
                    yield pixels

            tiles = tiles_of(added(), len(points))
            captions = [item.note.partition("\n")[0] or caption(model, item.point) for item in chosen]
            add("sheet.png", encode_sheet(captioned_grid(tiles, captions), "kept pictures"))
            add("favourites.json", favourites_text(chosen))
        return buffer.getvalue()


def _read(path: Path) -> Kept:
    return tuple(read_favourites(path)) if path.exists() else ()


def _id(point: Point) -> str:
    return hashlib.sha256(json.dumps(point.as_dict(), sort_keys=True).encode()).hexdigest()[:20]


def _described(item: Favourite, model: Model) -> dict[str, Any]:
    elsewhere = {} if item.model_hash == model.sha256 else {"model": item.model}
    about = {"id": _id(item.point), "point": item.point.as_dict(), "note": item.note, "tags": list(item.tags)}
    return about | elsewhere


def _with(now: Kept, contents: Any, model: Model) -> Kept:
    if not isinstance(contents, list) or not contents:
        raise DataError("points: expected a list")
    known = {_id(item.point) for item in now}
    new = {_id(point): point for point in map(point_from, contents)}
    model.space.styles(list(new.values()))  # says what this model cannot make
    lineage = lineage_of(model)
    added = [Favourite(point, model.name, model.sha256, lineage) for name, point in new.items() if name not in known]
    if len(now) + len(added) > MAX_KEPT:
        raise DataError(f"up to {MAX_KEPT:,} pictures can be kept of a run: export some and drop them")
    return (*now, *added)


def _without(now: Kept, names: Any) -> Kept:
    kept, gone = {_id(item.point): item for item in now}, _ids(names)
    for name in gone:
        _found(kept, name)
    return tuple(item for name, item in kept.items() if name not in gone)


def _told(now: Kept, request: dict[str, Any]) -> Kept:
    kept = {_id(item.point): item for item in now}
    item = _found(kept, request.get("id"))
    note, tags = note_from(request.get("note", item.note)), tags_from(request.get("tags", list(item.tags)))
    return tuple((kept | {request["id"]: replace(item, note=note, tags=tags)}).values())


def _moved(now: Kept, request: dict[str, Any]) -> Kept:
    item, to = _found({_id(item.point): item for item in now}, request.get("id")), request.get("to")
    if isinstance(to, bool) or not isinstance(to, int) or not 0 <= to < len(now):
        raise DataError(f"to: expected a place from 0 to {len(now) - 1}, got {str(to)[:40]}")
    others = [other for other in now if other is not item]
    return (*others[:to], item, *others[to:])


def _ids(value: Any) -> dict[str, None]:
    if not isinstance(value, list) or not 0 < len(value) <= MAX_KEPT or not all(isinstance(name, str) for name in value):
        raise DataError(f"ids: expected a list of up to {MAX_KEPT} names")
    return dict.fromkeys(value)


def _found(kept: dict[str, Favourite], name: Any) -> Favourite:
    if not isinstance(name, str) or name not in kept:
        raise DataError("that picture is no longer kept: look at the page again")
    return kept[name]
