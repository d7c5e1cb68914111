"""Judge a generator or a folder: one pass over its pictures, then every metric that is asked for."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from artgan.evaluation.copying import Judged, Matches, find_matches
from artgan.evaluation.judge import FULL, GLANCE, MIRRORED_GLANCE, Judge
from artgan.evaluation.reference import COPIES, Reference
from artgan.evaluation.subjects import Subject, generator_subject
from artgan.evaluation.tally import Tally
from artgan.evaluation.words import warnings_about
from artgan.metrics import METRICS, MetricRow, groups, rows_of
from artgan.metrics.features import Estimate, Rows
from artgan.metrics.frechet import fit_gaussian, frechet
from artgan.metrics.kernel import kernel_distance
from artgan.metrics.sides import Sides
from artgan.models.contract import GeneratorNetwork
from artgan.progress import Listener, silent

DISTANCES, RANGE, MANIFOLD, COPYING = "distances", "range", "manifold", "copying"
JUDGING, MIRRORED = "judging", "looking for mirrored copies"
QUICK = 300  # pictures: their KID is near enough, and they take a sixth of the time of 2,000
_QUICK_ROWS = {name: METRICS[name] for name in ("kid",)}
_MIN_PER_CLASS = 2
# Takes the metrics line of the first pictures, and how many seconds the rest will take.
QuickLook = Callable[[dict[str, Any], float], None]


@dataclass(frozen=True)
class Verdict:
    """A metrics line, and what it says about single pictures.

    Attributes:
        line: see `artgan.evaluation`.
        realism: float64 `[N]`, or None when no manifold metric was asked for.
        matches: the nearest training pictures, or None when copying was not asked for.
    """

    line: dict[str, Any]
    realism: np.ndarray | None = None
    matches: Matches | None = None


def evaluate_generator(
    judge: Judge,
    generator: GeneratorNetwork,
    num_generated: int,
    *,
    truncation: float = 1.0,
    metrics: Sequence[str] = (DISTANCES, RANGE),
    on_progress: Listener = silent,
) -> dict[str, Any]:
    """Judge the pictures of seeds 0..num_generated-1 and return the metrics line."""
    subject = generator_subject(judge.collection, generator, num_generated, truncation)
    return evaluate(judge, subject, metrics, on_progress=on_progress).line


def evaluate(
    judge: Judge,
    subject: Subject,
    metrics: Sequence[str] = groups(),
    *,
    on_progress: Listener = silent,
    on_quick_look: QuickLook | None = None,
) -> Verdict:
    """Judge pictures: features once, then the groups of metrics that are asked for.

    Args:
        judge: the feature space and the collection.
        subject: the pictures.
        metrics: of `artgan.metrics.groups`. `distances` alone keeps no more than a few matrices in memory, however many the
            pictures.
        on_progress: told about all of it as one task.
        on_quick_look: told the distances of the first `QUICK` pictures as soon as they are judged, where there are more.

    Raises:
        DataError: fewer than two pictures on a side, or features that are not finite.
    """
    copying = COPYING in metrics
    foreseen = {JUDGING: subject.count, **({COPIES: subject.count // 4, MIRRORED: subject.count // 8} if copying else {})}
    tally = Tally(on_progress, foreseen)
    reference = Reference(judge, tally)
    for stage, count in reference.unknown_pictures(copying).items():
        tally.foresee(stage, count)
    dim = reference.train.shape[1]  # known before the pictures are judged, so that a quick look can be had at them

    def first_look(rows: np.ndarray) -> None:
        assert on_quick_look is not None
        line = _line_of(judge, subject, reference, rows[:, :dim], _QUICK_ROWS, (), lambda: np.empty(0))[0]
        on_quick_look(line, tally.seconds_left())

    first = (QUICK, first_look) if on_quick_look is not None and subject.count > QUICK else None
    takes = (FULL, GLANCE, MIRRORED_GLANCE) if copying else (FULL,)
    rows: Rows = judge.extract(subject.pictures, subject.count, JUDGING, tally, takes=takes, first=first)
    features = rows[:][:, :dim] if copying else rows
    matches = cache(lambda: find_matches(_searched(judge, subject, rows[:], dim, tally), reference))
    asked = rows_of(metrics, judge.features)
    line, sides = _line_of(judge, subject, reference, features, asked, metrics, lambda: matches().ratios)
    tally.finish()
    return Verdict(line, sides.scores.realism if MANIFOLD in metrics else None, matches() if copying else None)


def _searched(judge: Judge, subject: Subject, rows: np.ndarray, dim: int, on_progress: Listener) -> Judged:
    """Return the pictures as the search for copies takes them: rows `[N, 3 d]` hold features and glances."""

    def mirrored(places: Sequence[int]) -> np.ndarray:
        def pictures(indices: Sequence[int]) -> Iterator[np.ndarray]:
            return (picture[:, ::-1] for picture in subject.pictures([places[index] for index in indices]))

        return judge.extract(pictures, len(places), MIRRORED, on_progress)[:]

    return Judged(rows[:, :dim], rows[:, dim:], mirrored)


def _line_of(
    judge: Judge,
    subject: Subject,
    reference: Reference,
    features: Rows,
    rows: Mapping[str, MetricRow],
    metrics: Sequence[str],
    ratios: Callable[[], np.ndarray],
) -> tuple[dict[str, Any], Sides]:
    """Return the metrics line of some rows of the table, and what it was computed from."""
    sides = Sides(features, reference.known, reference.holdout, ratios)
    found = {name: row.load()(sides) for name, row in rows.items()}
    estimates = {name: estimate for name, estimate in found.items() if estimate is not None}
    floors = {name: reference.floor_of(name) for name in estimates}
    count, copying = len(features), COPYING in metrics
    protocol = judge.protocol(count, subject.prepared)
    line = {
        "protocol": protocol.as_dict(),
        "protocol_hash": protocol.hash,
        "num_generated": count,
        "generated": subject.about,
        "metrics": {name: entry(estimate) | _own_estimator(rows[name]) for name, estimate in estimates.items()},
        "floor": {name: floor for name, floor in floors.items() if floor is not None},
        "warnings": [
            *subject.warnings,
            *warnings_about(estimates, count, reference.train.shape, len(reference.holdout), copying),
        ],
    }
    if subject.labels is not None and DISTANCES in metrics:
        line["classes"] = _by_class(features[:], subject.labels, reference, rows)
    return line, sides


def _own_estimator(row: MetricRow) -> dict[str, str]:
    """Return how a value was computed where the line's protocol does not say it."""
    return {} if row.joint else {"estimator": row.estimator}


def entry(estimate: Estimate) -> dict[str, float | None]:
    """Return an estimate as JSON has it: no interval is null."""
    low, high = (None if np.isnan(bound) else bound for bound in (estimate.low, estimate.high))
    return {"value": estimate.value, "low": low, "high": high}


def _by_class(features: np.ndarray, labels: np.ndarray, reference: Reference, rows: Mapping[str, MetricRow]) -> dict[str, Any]:
    """Return the distances within each class: KID from two pictures on, Fréchet only where its covariances have full rank."""
    collection = reference.judge.collection
    frechet_name = next(name for name in rows if name in ("fid", "fd"))
    train_labels = collection.labels[collection.train_rows]
    result: dict[str, Any] = {}
    for label, name in enumerate(collection.classes):
        ours, theirs = features[labels == label], reference.train[train_labels == label]
        result[name] = {"num_generated": len(ours), "num_reference": len(theirs), "metrics": {}}
        if min(len(ours), len(theirs)) < _MIN_PER_CLASS:
            result[name]["note"] = f"fewer than {_MIN_PER_CLASS} pictures on a side: not judged"
            continue
        result[name]["metrics"]["kid"] = entry(kernel_distance(ours, theirs))
        if min(len(ours), len(theirs)) > features.shape[1]:
            result[name]["metrics"][frechet_name] = entry(frechet(ours, fit_gaussian(theirs)))
    return result
