"""Judge a generator or a folder: one pass over its pictures, then every metric that is asked for."""

import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from artgan import seeding
from artgan.datasets.collection import Collection, recipe_of
from artgan.datasets.recipe import Recipe, fit_pixels, open_work
from artgan.datasets.sources import SourceFile, find_files
from artgan.decode import SUFFIXES
from artgan.errors import CheckpointError, DataError
from artgan.evaluation.copying import Judged, Matches, find_matches
from artgan.evaluation.judge import Judge, Pictures, Portable
from artgan.evaluation.reference import COPIES, Reference
from artgan.evaluation.tally import Tally
from artgan.evaluation.words import warnings_about
from artgan.generation.model_folder import load_model
from artgan.generation.sample import generate
from artgan.generation.space import Space
from artgan.metrics import METRICS, MetricRow, groups, rows_of
from artgan.metrics.features import Estimate, Rows
from artgan.metrics.frechet import fit_gaussian, frechet
from artgan.metrics.kernel import kernel_distance
from artgan.metrics.sides import Sides
from artgan.models.contract import GeneratorNetwork
from artgan.overview import is_sheet
from artgan.progress import Listener, silent

DISTANCES, RANGE, MANIFOLD, COPYING = "distances", "range", "manifold", "copying"
JUDGING, MIRRORED = "judging", "looking for mirrored copies"
QUICK = 300  # pictures: their KID is near enough, and they take a sixth of the time of 2,000
_QUICK_ROWS = {name: METRICS[name] for name in ("kid",)}
_MIN_PER_CLASS = 2
# Takes the metrics line of the first pictures, and how many seconds the rest will take.
QuickLook = Callable[[dict[str, Any], float], None]


@dataclass(frozen=True)
class Subject:
    """Pictures to judge.

    Attributes:
        pictures: gives uint8 `[H, W, 3]` of indices 0..count-1, as often as it is asked.
        count: how many.
        names: for people, one for each picture.
        about: where they come from, for the metrics line.
        labels: the class of each, int64 `[count]`, or None.
        prepared: for the protocol: how pictures of a folder were made alike, and which of them were taken.
        warnings: what to know about them, in words.
    """

    pictures: Pictures
    count: int
    names: Sequence[str]
    about: dict[str, Any]
    labels: np.ndarray | None = None
    prepared: str = ""
    warnings: tuple[str, ...] = ()


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


def generator_subject(
    collection: Collection,
    generator: GeneratorNetwork,
    num_generated: int,
    truncation: float = 1.0,
    conditional: bool = False,
    folder: Path | None = None,
) -> Subject:
    """Return the pictures of seeds 0..num_generated-1; classes are drawn in the proportions of the training split.

    Args:
        collection: whose classes and proportions.
        generator: in evaluation mode.
        num_generated: how many.
        truncation: 1 is the whole variety.
        folder: of the model, if its pictures may be made by several processes.
        conditional: whether the generator heeds classes, so that it can be judged class by class.

    Raises:
        CheckpointError: the generator's weights are not finite.
    """
    weights = generator.state_dict()
    finite = torch.stack([tensor.isfinite().all() for tensor in weights.values()]).tolist()
    if not all(finite):
        name = list(weights)[finite.index(False)]
        raise CheckpointError(f"the generator's '{name}' holds NaN or infinity; judge an earlier checkpoint's model")
    labels = _labels_like(collection, num_generated)
    space = Space(generator, len(collection.classes))
    pictures: Pictures = _drawn(space, labels, truncation)
    if folder is not None:
        pictures = _Generated(folder, space, len(collection.classes), space.device, labels, truncation)
    return Subject(
        pictures=pictures,
        count=num_generated,
        names=[f"seed {seed}" for seed in range(num_generated)],
        about={"from": "model", "seeds": f"0-{num_generated - 1}", "truncation": truncation},
        labels=labels if conditional else None,
        warnings=_other_size(space, collection),
    )


def _drawn(space: Space, labels: np.ndarray, truncation: float) -> Pictures:
    return lambda seeds: generate(space, seeds, [int(labels[seed]) for seed in seeds], truncation)


@dataclass
class _Generated(Portable):
    """The pictures of seeds; in another process the model is loaded from its folder."""

    folder: Path
    space: Space | None
    num_classes: int
    device: torch.device
    labels: np.ndarray
    truncation: float

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"space": None}

    def __call__(self, seeds: Sequence[int]) -> Iterator[np.ndarray]:
        if self.space is None:
            self.space = Space(load_model(self.folder, self.device).generator, self.num_classes)
        return _drawn(self.space, self.labels, self.truncation)(seeds)


def _other_size(space: Space, collection: Collection) -> tuple[str, ...]:
    if (space.height_px, space.width_px) == (collection.height, collection.width):
        return ()
    sizes = (
        f"the model makes {space.width_px}x{space.height_px} px, the collection has {collection.width}x{collection.height} px"
    )
    return (f"{sizes}: sharpness alone sets them apart; judge it by a collection of its own size",)


def _made_alike(file: SourceFile, recipe: Recipe) -> np.ndarray:
    try:
        work = open_work(file.read(), recipe, suffix=file.suffix)
        return fit_pixels(work.pixels, recipe, work.extent)
    except DataError as error:
        raise DataError(f"{file.where}: {error}") from error


def _is_sheet(file: SourceFile) -> bool:
    if isinstance(file.path, Path) and file.member is None:
        return is_sheet(file.path)
    return Path(file.name).suffix.lower() == ".png" and is_sheet(file.read())


def folder_subject(collection: Collection, folder: Path, num_generated: int | None, *, as_collection: bool = True) -> Subject:
    """Return the pictures below a folder, made alike as the collection was; subfolders named as classes give their labels.

    Args:
        collection: to be compared with.
        folder: of pictures, or an archive.
        num_generated: how many to take; fewer than there are come from all classes in their shares, drawn by a fixed seed.
        as_collection: with the fit, focus, borders and matte of the collection; otherwise cut to the middle on white.

    Raises:
        DataError: fewer pictures than `num_generated`, or a collection of tiles; on reading, a file that is no picture.
    """
    named = [file for file in find_files([folder]) if Path(file.name).suffix.lower() in SUFFIXES]
    files = [file for file in named if not _is_sheet(file)]
    count = len(files) if num_generated is None else num_generated
    if len(files) < max(count, 2):
        raise DataError(
            f"{folder} holds {len(files)} pictures, {max(count, 2)} are needed: give a fuller folder or a smaller "
            f"--num-generated"
        )
    recipe = recipe_of(collection) if as_collection else Recipe(collection.height, collection.width)
    if recipe.tiles > 1:
        raise DataError(
            f"{collection.folder} is cut into tiles, and {folder} holds whole pictures: prepare it without --tiles, "
            f"or judge the middle of each picture with --fit crop"
        )
    places = {name: label for label, name in enumerate(collection.classes)}
    label_of = [next((places[part] for part in _folders(file) if part in places), -1) for file in files]
    chosen = _spread([label if label >= 0 else file.label for label, file in zip(label_of, files, strict=True)], count)

    labels = [label_of[index] for index in chosen]
    prepared = f"fit {recipe.fit}, focus {recipe.focus}, borders {'cut' if recipe.trim else 'kept'}, matte {recipe.matte}"
    if count < len(files):
        prepared += f"; {count} of {len(files)} pictures, from all classes in their shares, drawn by seed 0"
    return Subject(
        pictures=_Files(tuple(files[index] for index in chosen), recipe),
        count=count,
        names=[files[index].name for index in chosen],
        about={"from": "folder", "files": len(files)},
        labels=np.array(labels) if labels and min(labels) >= 0 else None,
        prepared=prepared,
    )


@dataclass(frozen=True)
class _Files(Portable):
    """The pictures of files, made alike."""

    files: tuple[SourceFile, ...]
    recipe: Recipe

    def __call__(self, places: Sequence[int]) -> Iterator[np.ndarray]:
        return (_made_alike(self.files[place], self.recipe) for place in places)


def _folders(file: SourceFile) -> tuple[str, ...]:
    return tuple(unicodedata.normalize("NFC", part) for part in Path(file.name).parts[:-1])


def _spread(groups: Sequence[object], count: int) -> list[int]:
    """Return `count` places, ascending, so that every group has its share; which of a group, a fixed seed says."""
    draws = seeding.uniform(0, "evaluation/folder", 0, max(1, len(groups)), 1)[:, 0]
    members: dict[object, list[int]] = {}
    for place in np.argsort(draws[: len(groups)], kind="stable").tolist():
        members.setdefault(groups[place], []).append(place)
    # The k-th of a group of n stands at (k - 1/2) / n: the first of all groups together are spread as the groups are.
    ranked = sorted(((rank + 0.5) / len(group), place) for group in members.values() for rank, place in enumerate(group))
    return sorted(place for _, place in ranked[:count])


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
    for stage, count in reference.unknown_pictures().items():
        tally.foresee(stage, count)
    dim = reference.train.shape[1]  # known before the pictures are judged, so that a quick look can be had at them

    def first_look(rows: np.ndarray) -> None:
        assert on_quick_look is not None
        line = _line_of(judge, subject, reference, rows[:, :dim], _QUICK_ROWS, (), lambda: np.empty(0))[0]
        on_quick_look(line, tally.seconds_left())

    first = (QUICK, first_look) if on_quick_look is not None and subject.count > QUICK else None
    rows: Rows = judge.extract(subject.pictures, subject.count, JUDGING, tally, thumbnails=copying, first=first)
    features = rows[:][:, :dim] if copying else rows
    matches = cache(lambda: find_matches(_searched(judge, subject, rows[:], dim, tally), reference))
    asked = rows_of(metrics, judge.features)
    line, sides = _line_of(judge, subject, reference, features, asked, metrics, lambda: matches().ratios)
    tally.finish()
    return Verdict(line, sides.scores.realism if MANIFOLD in metrics else None, matches() if copying else None)


def _searched(judge: Judge, subject: Subject, rows: np.ndarray, dim: int, on_progress: Listener) -> Judged:
    """Return the pictures as the search for copies takes them: rows `[N, d + t]` hold features and thumbnails."""

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


def _labels_like(collection: Collection, count: int) -> np.ndarray:
    labels = collection.labels[collection.train_rows]
    draws = seeding.uniform(0, "evaluation/labels", 0, count, 1)[:, 0]
    return labels[(draws * len(labels)).astype(np.int64)]
