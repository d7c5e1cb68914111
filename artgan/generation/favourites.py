"""Favourites: the points that someone liked, in a file beside the run, so that samples, films and pages can start from them.

The file is JSON: `{"format": 1, "favourites": [{"point": {...}, "model": "drawn-40k", "model_hash": "..."}, ...]}`, in the
order in which they were liked. A point means another picture in another model, so each carries the hash of its own.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from artgan.errors import CheckpointError, DataError
from artgan.generation.model_folder import Model
from artgan.generation.point import Point, point_from
from artgan.storage import check_format, write_whole

NAME = "favourites.json"
FORMAT_VERSION = 1
MAX_FAVOURITES = 10_000
_MAX_BYTES = 64 << 20
_NAMED_SEEDS = 8


@dataclass(frozen=True)
class Favourite:
    """A liked point, and the model whose picture it was."""

    point: Point
    model: str
    model_hash: str


def favourites_path(target: Path) -> Path:
    """Return where the favourites of a target are: in the run, also for its models; those of a model folder beside it."""
    target = target.resolve()
    if target.parent.name == "model":
        return target.parent.parent / NAME
    return target.with_name(f"{target.name}.{NAME}") if (target / "config.json").is_file() else target / NAME


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
        return Favourite(point_from(entry.get("point")), str(texts[0]), str(texts[1]))
    except DataError as error:
        raise DataError(f"{where}: {error}") from error


def write_favourites(path: Path, favourites: Sequence[Favourite]) -> None:
    """Write a file of favourites in one step.

    Raises:
        StorageError: it cannot be written; what was there stays.
    """
    entries = [{"point": item.point.as_dict(), "model": item.model, "model_hash": item.model_hash} for item in favourites]
    write_whole(path, (json.dumps({"format": FORMAT_VERSION, "favourites": entries}, indent=1) + "\n").encode())


def liked_points(model: Model, path: Path) -> list[Point]:
    """Return the favourites of a model, in the order in which they were liked.

    Raises:
        DataError: the file is missing or damaged.
        CheckpointError: it holds favourites of other models alone.
    """
    favourites = read_favourites(path)
    own = [item.point for item in favourites if item.model_hash == model.sha256]
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
