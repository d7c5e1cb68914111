"""Which pictures stay out of training: whole groups of what belongs together, chosen by the pixels themselves.

Look-alikes, tiles of one work and frames of one film stand on one side; so does a still with the film that it is from. Works
and films give their share each, so that neither side is made of one of them alone.
"""

import math
from collections.abc import Sequence

from artgan.datasets.collection import HOLDOUT, TRAIN
from artgan.datasets.duplicates import Groups
from artgan.datasets.fates import DUPLICATE, KEPT
from artgan.datasets.films import film_of
from artgan.datasets.journal import Line


def split(lines: Sequence[Line], share: float) -> list[str]:
    """Give every kept line its `split`, so that no order, name or seed can change it; return what there is to say about it.

    Args:
        lines: of all files, with `group` where works are alike or cut into tiles. Duplicates are not kept, and still tell what
            belongs together: a still that stands in for a frame is of that frame's film.
        share: of the kept pictures, from 0 to 0.9.
    """
    sides = {True: list[list[Line]](), False: list[list[Line]]()}
    for members in _together(lines):
        kept = [line for line in members if line["status"] == KEPT]
        if kept:
            sides[any(film_of(line["source"]) for line in members)].append(kept)
    held_out = {of_films: _choose(groups, share) for of_films, groups in sides.items()}
    return [_no_frames(sides[True])] if share > 0 and sides[True] and not held_out[True] else []


def _together(lines: Sequence[Line]) -> list[list[Line]]:
    """Return the lines of works, by what must not be torn apart."""
    works = [line for line in lines if line["status"] in (KEPT, DUPLICATE)]
    joined, first = Groups(len(works)), dict[tuple[str, str], int]()
    for index, line in enumerate(works):
        named = {"file": line["source"], "group": line.get("group"), "film": film_of(line["source"])}
        for key in named.items():
            if key[1] is not None:
                joined.join(first.setdefault(key, index), index)
    found: dict[int, list[Line]] = {}
    for index, line in enumerate(works):
        found.setdefault(joined.root(index), []).append(line)
    return list(found.values())


def _choose(groups: Sequence[list[Line]], share: float) -> int:
    """Set the split of kept lines, whole groups as long as they fit into the share; return how many lines are held out."""
    left = budget = round(sum(map(len, groups)) * share)
    for members in sorted(groups, key=lambda members: min(line["pixels_sha256"] for line in members)):
        chosen = len(members) <= left
        left -= len(members) if chosen else 0
        for line in members:
            line["split"] = HOLDOUT if chosen else TRAIN
    return budget - left


def _no_frames(groups: Sequence[list[Line]]) -> str:
    total, smallest = sum(map(len, groups)), min(map(len, groups))
    if len(groups) == 1:
        return (
            f"none of the {total} frames is held out: they are of one film, or of films that share scenes, and so no works "
            "that training has not seen; without such works evaluation has no c_t: give another film as well"
        )
    least = math.ceil(100 * smallest / total) / 100
    return (
        f"no frames are held out: those of one film stay together, and the smallest of {len(groups)} films has {smallest} of "
        f"{total} frames; --holdout {least:g} holds a film out"
    )
