"""The wall: what was saved, refined and filmed, read from the folders of what is open; the studio puts its own results there.

What a run's models make goes into `RUN/made`, what a workspace's mixtures make into its `made`, and what a model folder makes
into the user's data folder, by lineage. Shown is what lies in these folders, in other folders of a run that training did not
make, and in other folders of the workspace. Links are not followed, and a page names a file by a hash of its place.
"""

import functools
import hashlib
import io
import json
import os
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from artgan.decode import decode
from artgan.errors import DataError, StorageError
from artgan.file_names import distinct_names
from artgan.generation.favourites import data_dir, lineage_of
from artgan.generation.model_folder import load_model, run_of
from artgan.generation.video import MEDIA_TYPES, read_note
from artgan.images import SUFFIX_OF
from artgan.metadata import read_metadata
from artgan.storage import write_whole
from artgan.studio.workspace import Workspace

MADE = "made"
PER_PAGE = 24
MAX_FILE_BYTES = 512 << 20
_LARGE_PX, _SMALL_PX = 2048, 320
_MAX_PIXELS = 100_000_000
_MAX_DEPTH, _MAX_ENTRIES = 4, 50_000
_MAX_RECIPE = 200_000  # characters
_EXAMINED = 120  # files for one page: others of a folder carry no recipe
_OF_TRAINING = frozenset({"checkpoints", "model", "samples"})
_OF_WORKSPACE = frozenset({"collections", "models", "pictures", "runs"})
_PICTURES = {suffix: f"image/{name}" for name, suffix in SUFFIX_OF.items()}
_FILMS = {f".{name}": media_type for name, media_type in MEDIA_TYPES.items()}


@dataclass(frozen=True)
class Root:
    """A folder whose folders are shown.

    Attributes:
        folder: of a run, of a workspace, or of what a model made.
        name: for people.
        without: names of its folders that are something else.
    """

    folder: Path
    name: str
    without: frozenset[str] = frozenset()


@dataclass(frozen=True)
class _Found:
    path: Path
    where: str
    modified: float

    @property
    def name(self) -> str:
        return hashlib.sha256(os.fsencode(self.path)).hexdigest()[:24]


def made_folder(model: Path, workspace: Workspace | None) -> Path:
    """Return the folder for what a model makes in the studio; it may not be there yet."""
    model = model.resolve()
    if run := run_of(model):
        return run / MADE
    if workspace is not None and model.parent == workspace.models.resolve():
        return workspace.root / MADE
    return _made_of_folder(model, data_dir())


@functools.lru_cache(maxsize=64)
def _made_of_folder(model: Path, data: Path) -> Path:
    return data / MADE / lineage_of(load_model(model))


def roots_of(models: Iterable[Path], runs: Iterable[Path], workspace: Workspace | None) -> list[Root]:
    """Return where to look."""
    roots = {run.resolve(): Root(run.resolve(), run.resolve().name, _OF_TRAINING) for run in runs}
    for model in (folder.resolve() for folder in models):
        if run := run_of(model):
            roots.setdefault(run, Root(run, run.name, _OF_TRAINING))
        elif workspace is None or model.parent != workspace.models.resolve():
            made = made_folder(model, workspace)
            roots.setdefault(made.parent, Root(made, model.name))
    if workspace is not None:
        roots.setdefault(workspace.root, Root(workspace.root, workspace.root.name, _OF_WORKSPACE))
    return list(roots.values())


class Wall:
    """Results on disk, the newest first."""

    def __init__(self) -> None:
        self._known: dict[str, _Found] = {}
        self._one_at_a_time = threading.Lock()  # a large picture takes its memory once

    def put(self, folder: Path, name: str, data: bytes) -> str:
        """Keep a result, under its name or the next one that is free; equal bytes are kept once.

        Returns:
            Why it could not be kept, or nothing: the browser has it in either case.
        """
        stem, suffix = os.path.splitext(name)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            taken = [entry.name for entry in os.scandir(folder)]
            alike = [path for path in map(folder.joinpath, taken) if path.name.startswith(stem) and path.suffix == suffix]
            if any(path.stat().st_size == len(data) and path.read_bytes() == data for path in alike):
                return ""
            (free,) = distinct_names([stem], suffix, taken)
            write_whole(folder / free, data)
        except (OSError, StorageError) as error:
            return f"it could not be kept in {folder} ({getattr(error, 'strerror', None) or error}): save it from here"
        return ""

    def page(self, roots: Iterable[Root], start: Any) -> dict[str, Any]:
        """Return what there is from a place on: `items`, and `next`, the place to go on from, or None at the end.

        Raises:
            DataError: the place is no whole number.
        """
        if isinstance(start, bool) or not isinstance(start, int) or start < 0:
            raise DataError(f"start: expected a whole number, got {str(start)[:40]}")
        found = sorted(_files(roots), key=lambda one: (-one.modified, str(one.path)))
        self._known = {one.name: one for one in found}
        items: list[dict[str, Any]] = []
        place = start
        while place < min(len(found), start + _EXAMINED) and len(items) < PER_PAGE:
            described = _described(found[place])
            items += [] if described is None else [described]
            place += 1
        return {"items": items, "next": place if place < len(found) else None}

    def file(self, name: str) -> tuple[Path, str]:
        """Return where a result is, and its media type.

        Raises:
            DataError: it is not on the wall, or no longer.
        """
        found = self._known.get(name)
        if found is None or found.path.is_symlink() or not found.path.is_file():
            raise DataError("that is no longer on the wall: look at it again")
        return found.path, (_PICTURES | _FILMS)[found.path.suffix.lower()]

    def picture(self, name: str, *, small: bool) -> bytes:
        """Return a picture, or a film's first frame, encoded anew: small as JPEG, otherwise as PNG of up to 2048 px.

        Raises:
            DataError: there is none, or it cannot be decoded.
        """
        path, _ = self.file(name)
        side_px = _SMALL_PX if small else _LARGE_PX
        with self._one_at_a_time:
            if path.stat().st_size > MAX_FILE_BYTES:
                raise DataError(f"{path.name}: {path.stat().st_size / 1e6:,.0f} MB are too much to show")
            pixels = decode(path.read_bytes(), enough_px=side_px, max_pixels=_MAX_PIXELS).pixels
            return _encoded(pixels, side_px, small)


def _encoded(pixels: np.ndarray, side_px: int, small: bool) -> bytes:
    image, buffer = Image.fromarray(pixels), io.BytesIO()
    image.thumbnail((side_px, side_px), Image.Resampling.LANCZOS)
    if small:
        image.save(buffer, "JPEG", quality=88)
    else:
        image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _files(roots: Iterable[Root]) -> Iterator[_Found]:
    left = _MAX_ENTRIES
    for root in roots:
        folders = [(root.folder, 0)]
        while folders:
            folder, depth = folders.pop()
            for entry in _entries(folder):
                left -= 1
                if left < 0:
                    return
                if entry.name.startswith(".") or entry.is_symlink() or (depth == 0 and entry.name in root.without):
                    continue
                if entry.is_dir():
                    folders += [(Path(entry.path), depth + 1)] if depth < _MAX_DEPTH else []
                elif (depth or not root.without) and os.path.splitext(entry.name)[1].lower() in _PICTURES | _FILMS:
                    where = "/".join((root.name, *folder.relative_to(root.folder).parts))
                    yield _Found(Path(entry.path), where, entry.stat(follow_symlinks=False).st_mtime)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return []


def _described(found: _Found) -> dict[str, Any] | None:
    """Return what a page shows of a file; None for what carries no recipe of artgan's."""
    suffix = found.path.suffix.lower()
    recipe = None
    try:
        if suffix in _PICTURES:
            recipe = read_metadata(found.path)
        if recipe is None and suffix in _FILMS:
            recipe = read_note(found.path)
        size = found.path.stat().st_size
    except (DataError, OSError):
        return None
    if recipe is None:
        return None
    is_film = "keys" in recipe or "time_lapse" in recipe
    kind = "film" if is_film else "refined" if "refine" in recipe else "sampled"
    media_type = _FILMS[suffix] if is_film and suffix in _FILMS else _PICTURES.get(suffix, "image/gif")
    too_long = len(json.dumps(recipe)) > _MAX_RECIPE
    return {
        "id": found.name,
        "name": found.path.name,
        "where": found.where,
        "kind": kind,
        "media_type": media_type,
        "modified": found.modified,
        "bytes": size,
        "recipe": {"model": recipe.get("model"), "model_hash": recipe.get("model_hash")} if too_long else recipe,
    }
