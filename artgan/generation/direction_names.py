"""What people call a model's directions: one open file of the run, or of the user's data folder for a model folder alone.

The file is JSON: `{"format": 1, "names": {"sefa-1": {"name": "snow", "model": "drawn-40k", "model_hash": "..."}}}`. Directions
are those of one model's weights: under a later checkpoint a name still stands, with the model that it was given at.
"""

import json
import logging
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from artgan.errors import DataError
from artgan.generation.favourites import data_dir, lineage_of
from artgan.generation.model_folder import Model, run_of
from artgan.generation.sample import class_label
from artgan.storage import check_format, write_made
from artgan.tables import nearest

NAME = "direction_names.json"
FORMAT_VERSION = 1
MAX_NAME = 40
_MAX_BYTES = 1 << 20
_MAX_NAMES = 500
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DirectionName:
    """What a direction is called.

    Attributes:
        name: for people.
        model: the name of the model that it was given at.
        model_hash: sha256 of that model.
    """

    name: str
    model: str
    model_hash: str


def direction_names_path(model: Model) -> Path:
    """Return where the names of a model's directions are."""
    run = run_of(model.folder)
    return run / NAME if run else data_dir() / "direction_names" / f"{lineage_of(model)}.json"


def read_direction_names(path: Path) -> dict[str, DirectionName]:
    """Return direction -> what it is called; nothing where there is no file yet.

    Raises:
        DataError: it is damaged, or no such file; says where.
    """
    if not path.exists():
        return {}
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise DataError(f"{path}: {path.stat().st_size / 1e6:.0f} MB, too much for names of directions")
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: cannot be read as JSON ({str(error)[:80]}); mend it or move it away") from error
    if not isinstance(content, dict) or not isinstance(content.get("names"), dict) or len(content["names"]) > _MAX_NAMES:
        raise DataError(f"{path}: expected an object with up to {_MAX_NAMES} entries under 'names'")
    check_format(content, FORMAT_VERSION, str(path), DataError)
    return {direction[:MAX_NAME]: _name(entry, f"{path}: {direction[:40]}") for direction, entry in content["names"].items()}


def _name(entry: Any, where: str) -> DirectionName:
    if not isinstance(entry, dict):
        raise DataError(f"{where}: expected an object, got a {type(entry).__name__}")
    texts = [entry.get(key) for key in ("name", "model", "model_hash")]
    if not all(isinstance(text, str) and len(text) <= 200 for text in texts):
        raise DataError(f"{where}: expected texts under 'name', 'model' and 'model_hash'")
    return DirectionName(name_from(texts[0]), str(texts[1]), str(texts[2]))


def name_from(value: Any) -> str:
    """Read a name that came from outside: one line; empty takes a name away.

    Raises:
        DataError: it is no text, or too long.
    """
    if not isinstance(value, str) or len(value.strip()) > MAX_NAME or not value.isprintable():
        raise DataError(f"name: expected one line of up to {MAX_NAME} characters, got {str(value)[:50]!r}")
    return value.strip()


def name_direction(model: Model, direction: Any, name: Any) -> None:
    """Give a direction a name, in place of another, or take it away by an empty one.

    Raises:
        DataError: the model has no such direction, the name is none, or the file is damaged.
        StorageError: it cannot be written; what was there stays.
    """
    if not isinstance(direction, str) or direction not in model.space.directions:
        raise DataError(f"direction: there are {', '.join(model.space.directions)}, got {str(direction)[:40]}")
    path = direction_names_path(model)
    names = read_direction_names(path)
    said = name_from(name)
    names |= {direction: DirectionName(said, model.name, model.sha256)} if said else {}
    if not said:
        names.pop(direction, None)
    content = {"format": FORMAT_VERSION, "names": {key: asdict(value) for key, value in sorted(names.items())}}
    write_made(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def moves_of(model: Model, called: Iterable[tuple[str, float]]) -> tuple[tuple[str, float], ...]:
    """Return moves as points have them, of directions by what people call them; see `direction_called`."""
    return tuple((direction_called(model, name), amount) for name, amount in called)


def direction_called(model: Model, text: str) -> str:
    """Return a direction as points have it, by its own name or by the one that somebody gave it.

    Args:
        model: the model.
        text: `pca-1`, `snow`, or that of a class, `pca-1@waves` or `snow@waves`, which comes back with the class's label.

    Raises:
        ConfigError: the model has no such class.
        DataError: it has no such direction, two have the name, or the file of names is damaged.
    """
    found, at = _directions_called(model, text), ""
    if not found and "@" in text:
        text, _, class_name = text.rpartition("@")
        is_label = class_name.isdecimal() and class_name not in model.card.classes
        found, at = _directions_called(model, text), f"@{class_name if is_label else class_label(model, class_name)}"
    if len(found) == 1:
        return found[0] + at
    if found:
        raise DataError(f"'{text}' is what {' and '.join(found)} are called: give one of these")
    names = {name: entry.name for name, entry in read_direction_names(direction_names_path(model)).items()}
    known = [f"{name} ({names[name]})" if name in names else name for name in model.space.directions]
    meant = nearest(text, [*model.space.directions, *names.values()])
    raise DataError(f"no direction '{text}'{meant}: there are {', '.join(known)}")


def _directions_called(model: Model, text: str) -> list[str]:
    """Return the directions with a name, of which a direction's own goes before those that were given."""
    if text in model.space.directions:
        return [text]
    entries = read_direction_names(direction_names_path(model))
    found = {name: entry for name, entry in entries.items() if entry.name == text and name in model.space.directions}
    for name, entry in found.items():
        if entry.model_hash != model.sha256:
            _log.warning("%s was called '%s' in another model, %s: here it may do something else", name, text, entry.model)
    return list(found)
