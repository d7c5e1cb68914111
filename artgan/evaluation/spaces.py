"""Distances in several feature spaces beside what real art reaches there: who is near in one alone has learnt to please it.

A distance says how far pictures are from a collection as one network sees them. Training on such a distance can bring it below
that of real pictures while eyes and other networks see no better ones; so what is far in one space and impossibly near in
another is an alarm.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from artgan.datasets.collection import Collection
from artgan.evaluation.judge import Judge
from artgan.evaluation.measure import DISTANCES, evaluate
from artgan.evaluation.subjects import Subject
from artgan.metrics import METRICS
from artgan.progress import Listener, silent
from artgan.world import World

# Real art is at 1. A model of 32 thousand images was at 3.2 in the space that it was trained on, at 4.8 to 21 in three others.
TOO_NEAR, FAR = 1.0, 2.0


def add_spaces(
    line: dict[str, Any],
    subject: Subject,
    collection: Collection,
    spaces: Sequence[str],
    judge: Judge,
    *,
    world: World | None = None,
    on_progress: Listener = silent,
) -> None:
    """Judge the same pictures in other feature spaces and write what comes out into the metrics line, `spaces` and `warnings`.

    Args:
        line: the metrics line in the judge's own space, with the distances; see `artgan.evaluation`.
        subject: the pictures that it judged.
        collection: that it was judged by.
        spaces: other feature spaces; one that a run was trained on is welcome here, as it is the one that would be pleased.
        judge: of the line; device and resizing are its.
        world: the processes that judge together.
        on_progress: told about each space as one task.

    Raises:
        ConfigError: an unknown space.
        WeightsError: a space whose weights are not available.
    """
    lines = {judge.features: line}
    for space in spaces:
        if space not in lines:
            other = Judge(space, collection, judge.device, resize_mode=judge.resize_mode, world=world, workers=judge.workers)
            lines[space] = evaluate(other, subject, (DISTANCES,), on_progress=on_progress).line
    line["spaces"] = {space: ratios_of(found) for space, found in lines.items()}
    if warning := pleased(line["spaces"]):
        line["warnings"].append(warning)


def ratios_of(line: Mapping[str, Any]) -> dict[str, float]:
    """Return the metrics whose floor real halves give, `fd` or `fid` and `mind`, each over that floor: real art is at 1."""
    return {
        name: entry["value"] / floor["value"]
        for name, entry in line["metrics"].items()
        if METRICS[name].group == DISTANCES
        and METRICS[name].floor == "halves"
        and (floor := line["floor"].get(name)) is not None
        and floor["value"] > 0
    }


def pleased(spaces: Mapping[str, Mapping[str, float]]) -> str | None:
    """Return a sentence where pictures are nearer than real art in one space and far in another by the same metric, or None."""
    for metric in dict.fromkeys(name for ratios in spaces.values() for name in ratios):
        ratios = {space: found[metric] for space, found in spaces.items() if metric in found}
        near, far = min(ratios, key=ratios.__getitem__), max(ratios, key=ratios.__getitem__)
        if ratios[near] < TOO_NEAR and ratios[far] > FAR:
            return (
                f"{metric} is {ratios[near]:.2f} times real art's in {near} and {ratios[far]:.1f} times in {far}: the model "
                f"pleases {near} rather than the eye; trust the other spaces, and look at the pictures"
            )
    return None
