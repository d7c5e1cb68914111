"""Favourites: the points that someone liked, in a file beside the run, so that samples, films and pages can start from them.

The file is JSON: `{"format": 1, "favourites": [{"point": {...}, "model": "drawn-40k", "model_hash": "..."}, ...]}`, in the
order that they are wanted in; what the studio keeps also has `lineage`, and `note` and `tags` where they were given. A point
means another picture in another model, so each carries the hash of its own. The checkpoints of a lineage change a point's
picture little by little, so that what was liked under one is a favourite under each.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from artgan.errors import CheckpointError, DataError
from artgan.generation.model_folder import Model, load_model, run_of
from artgan.generation.point import Point, point_from
from artgan.storage import check_format, write_made

NAME = "favourites.json"
FORMAT_VERSION = 1
MAX_FAVOURITES = 10_000
MAX_NOTE, MAX_TAGS, MAX_TAG = 2000, 20, 40
DATA_VARIABLE = "ARTGAN_DATA"
_MAX_BYTES = 64 << 20
_NAMED_SEEDS = 8


@dataclass(frozen=True)
class Favourite:
    """A liked point, and the model whose picture it was.

    Attributes:
        point: what was liked.
        model: the name of its model.
        model_hash: sha256 of that model.
        lineage: what `lineage_of` says of it; empty where it was not noted.
        note: of the person who liked it.
        tags: words to find it by.
    """

    point: Point
    model: str
    model_hash: str
    lineage: str = ""
    note: str = ""
    tags: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values; what is empty is left out."""
        about = {"lineage": self.lineage, "note": self.note, "tags": list(self.tags)}
        always = {"point": self.point.as_dict(), "model": self.model, "model_hash": self.model_hash}
        return always | {key: value for key, value in about.items() if value}


def lineage_of(model: Model) -> str:
    """Return what the checkpoints of a training have in common: the first state of their collection, and their network.

    Two trainings of one network on one collection are one lineage: their model folders do not say which is which.
    """
    collection = model.card.collection
    first = [*collection.get("earlier", ()), collection.get("pixel_hash")][0]
    origin = [model.card.architecture, model.card.arguments, first]
    return hashlib.sha256(json.dumps(origin, sort_keys=True).encode()).hexdigest()[:32]


def data_dir() -> Path:
    """Return the folder for what a user makes and no run holds: `ARTGAN_DATA` or `~/.local/share/artgan`."""
    override = os.environ.get(DATA_VARIABLE)
    return Path(override) if override else Path.home() / ".local" / "share" / "artgan"


def favourites_path(target: Path) -> Path:
    """Return where the favourites of a target are.

    They are in the run, also for its models. Those of a model folder are beside it where such a file is, as from a model's
    page, and otherwise in `data_dir`, by lineage: the folder may be replaced, or not be the user's.
    """
    target = target.resolve()
    if run := run_of(target):
        return run / NAME
    if not (target / "config.json").is_file():
        return target / NAME
    beside = target.with_name(f"{target.name}.{NAME}")
    return beside if beside.is_file() else data_dir() / "favourites" / f"{lineage_of(load_model(target))}.json"


def read_favourites(path: Path) -> list[Favourite]:
    """Read a file of favourites.

    Raises:
        DataError: it is missing, too large, or not such a file; names the entry.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise DataError(f"{path}: {path.stat().st_size / 1e6:.0f} MB, too much for a file of favourites")
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"no favourites in {path} ({error.strerror}): like some in the studio or on a model's page") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: is not JSON ({str(error)[:80]})") from error
    if not isinstance(content, dict) or not isinstance(content.get("favourites"), list):
        raise DataError(f"{path}: expected an object with a list 'favourites'")
    check_format(content, FORMAT_VERSION, str(path), DataError)
    if len(content["favourites"]) > MAX_FAVOURITES:
        raise DataError(f"{path}: {len(content['favourites'])} favourites; expected up to {MAX_FAVOURITES}")
    return [_favourite(entry, f"{path}: favourite {number}") for number, entry in enumerate(content["favourites"], start=1)]


def _favourite(entry: Any, where: str) -> Favourite:
    if not isinstance(entry, Mapping):
        raise DataError(f"{where}: expected an object, got a {type(entry).__name__}")
    texts = [entry.get(key) for key in ("model", "model_hash")]
    if not all(isinstance(text, str) and 0 < len(text) <= 200 for text in texts):
        raise DataError(f"{where}: expected the name and the hash of its model, as texts under 'model' and 'model_hash'")
    try:
        lineage = _text(entry.get("lineage", ""), "lineage", 200)
        note, tags = note_from(entry.get("note", "")), tags_from(entry.get("tags", []))
        return Favourite(point_from(entry.get("point")), str(texts[0]), str(texts[1]), lineage, note, tags)
    except DataError as error:
        raise DataError(f"{where}: {error}") from error


def note_from(value: Any) -> str:
    """Read a note that came from outside."""
    return _text(value, "note", MAX_NOTE)


def tags_from(value: Any) -> tuple[str, ...]:
    """Read tags that came from outside: distinct, in order."""
    if not isinstance(value, list | tuple) or len(value) > MAX_TAGS:
        raise DataError(f"tags: expected a list of up to {MAX_TAGS}, got {str(value)[:40]}")
    return tuple(dict.fromkeys(text for tag in value if (text := _text(tag, "tags", MAX_TAG).strip())))


def _text(value: Any, key: str, limit: int) -> str:
    if not isinstance(value, str) or len(value) > limit:
        raise DataError(f"{key}: expected a text of up to {limit} characters, got {str(value)[:40]}")
    return value


def write_favourites(path: Path, favourites: Sequence[Favourite]) -> None:
    """Write a file of favourites in one step.

    Raises:
        StorageError: it cannot be written; what was there stays.
    """
    write_made(path, favourites_text(favourites))


def favourites_text(favourites: Sequence[Favourite]) -> str:
    """Return what a file of favourites holds."""
    content = {"format": FORMAT_VERSION, "favourites": [item.as_dict() for item in favourites]}
    return json.dumps(content, indent=1) + "\n"


def liked_points(model: Model, path: Path) -> list[Point]:
    """Return the favourites of a model and of its lineage, in the order of the file.

    Raises:
        DataError: the file is missing or damaged.
        CheckpointError: it holds favourites of other models alone.
    """
    favourites = read_favourites(path)
    lineage = lineage_of(model)
    own = [item.point for item in favourites if item.model_hash == model.sha256 or item.lineage == lineage]
    if own:
        return own
    if not favourites:
        raise DataError(f"{path}: holds no favourites yet")
    others = ", ".join(dict.fromkeys(f"{item.model} ({item.model_hash[:12]})" for item in favourites))
    seeds = list(dict.fromkeys(str(item.point.seed) for item in favourites if not item.point.styles))[:_NAMED_SEEDS]
    raise CheckpointError(
        f"{path}: its favourites are of {others}, not of {model.name} ({model.sha256[:12]}): give "
        "the model that they were liked in"
        + (f"; or --seeds {','.join(seeds)} for what this model makes of their seeds" if seeds else "")
    )


@torch.inference_mode()
def nearest_order(model: Model, points: Sequence[Point]) -> list[Point]:
    """Return points as a way that goes, from the first one, always to the nearest in W that is left: a calmer film."""
    styles = model.space.styles(points).flatten(1)
    left, order = list(range(1, len(points))), [0]
    while left:
        here = torch.cdist(styles[order[-1]][None], styles[left])[0]
        order.append(left.pop(int(here.argmin())))
    return [points[place] for place in order]
