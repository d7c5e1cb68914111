"""What is judged: the samples of a generator, or the pictures of a folder made alike as a collection was."""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
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
from artgan.evaluation.judge import Pictures, Portable
from artgan.generation.model_folder import load_model
from artgan.generation.sample import generate
from artgan.generation.space import Space
from artgan.models.contract import GeneratorNetwork
from artgan.overview import is_sheet


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
    named = [file for file in find_files([folder]) if file.is_row or file.suffix.lower() in SUFFIXES]
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


def _labels_like(collection: Collection, count: int) -> np.ndarray:
    labels = collection.labels[collection.train_rows]
    draws = seeding.uniform(0, "evaluation/labels", 0, count, 1)[:, 0]
    return labels[(draws * len(labels)).astype(np.int64)]
