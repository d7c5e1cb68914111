"""Leaving works out of a collection after the fact: the rest keeps its pixels, its classes and its side of the hold-out.

The collection keeps the identities that it had before in `collection.json`, so that a run that was trained on it may go on.
"""

import json
from collections.abc import Collection, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from artgan.datasets.collection import HOLDOUT, IMAGES, SUMMARY, open_collection, pixel_hash, read_index
from artgan.datasets.contact_sheet import write_contact_sheet
from artgan.datasets.fates import DROPPED, KEPT
from artgan.datasets.settle import take_rows, write_lines
from artgan.errors import DataError
from artgan.storage import building
from artgan.tables import nearest

REASON = "left out by name"
_FEWEST = 2


def drop(folder: Path, names: Sequence[str]) -> list[str]:
    """Leave works out of a collection and return their names; what reads it meets the old or the new one, never half of it.

    Args:
        folder: of the collection.
        names: of works as the index has them, whole or without their folders; `*` and `?` stand for any characters.

    Raises:
        DataError: no collection, a name that no kept work has, or fewer than two works would be left.
        StorageError: the folder cannot be written.
    """
    open_collection(folder)
    kept = [line for line in read_index(folder) if line["status"] == KEPT]
    for name in names:
        if not any(_is_named(line, name) for line in kept):
            known = [Path(line["name"]).name for line in kept]
            raise DataError(f"--drop {name}{nearest(name, known)}: no work of {folder} has that name; index.jsonl lists them")
    return leave_out(folder, [line["row"] for line in kept if any(_is_named(line, name) for name in names)])


def leave_out(folder: Path, rows: Collection[int]) -> list[str]:
    """Leave works out of a collection by their rows, and return their names: see `drop`.

    Raises:
        DataError: no collection, a row that it has not, or fewer than two works would be left.
        StorageError: the folder cannot be written.
    """
    collection = open_collection(folder)
    lines = read_index(folder)
    kept = [line for line in lines if line["status"] == KEPT]
    chosen = set(rows)
    if not chosen <= set(range(len(kept))):
        raise DataError(f"{folder} has no work in row {min(chosen - set(range(len(kept))))}; it has {len(kept)}")
    left_out = [line for line in kept if line["row"] in chosen]
    staying = [line for line in kept if line["row"] not in chosen]
    if len(staying) < _FEWEST:
        raise DataError(f"--drop would leave {len(staying)} of {len(kept)} works in {folder}, at least {_FEWEST} are needed")
    stayed = [line["row"] for line in staying]
    for line in left_out:
        del line["row"]
        line |= {"status": DROPPED, "reason": REASON}
    for row, line in enumerate(staying):
        line["row"] = row
    content: dict[str, Any] = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
    content |= {
        "count": len(staying),
        "pixel_hash": pixel_hash(staying),
        "holdout": sum(line["split"] == HOLDOUT for line in staying),
        "earlier": [*collection.earlier, collection.pixel_hash],
    }
    with building(folder) as made:
        made.mkdir()
        write_lines(made / "index.jsonl", lines)
        take_rows(folder / IMAGES, made / IMAGES, stayed)
        write_contact_sheet(made / "contact_sheet.png", made / IMAGES, staying)
        (made / SUMMARY).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return [line["name"] for line in left_out]


def _is_named(line: dict[str, Any], name: str) -> bool:
    return any(known == name or fnmatchcase(known, name) for known in (line["name"], Path(line["name"]).name))
