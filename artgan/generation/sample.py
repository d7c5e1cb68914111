"""Pictures of points: rendered in chunks of one size, written with what makes them again."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

import artgan
from artgan.errors import CheckpointError, ConfigError, DataError
from artgan.file_names import distinct_names, join_names, quoted
from artgan.generation.model_folder import Model, load_model
from artgan.generation.point import Point, point_from
from artgan.generation.space import Space
from artgan.images import SUFFIX_OF, captioned_grid, save_picture, tiles_of, to_uint8
from artgan.overview import save_sheet
from artgan.progress import Listener, Progress, silent
from artgan.refine.enlarging.sizes import LANCZOS, Sizer, sizer_of
from artgan.tables import nearest
from artgan.targets import check_replaceable
from artgan.workers.tasks import ALONE, Lost, Workers, over_workers

# Pixels that a chunk may have: what activations need is in proportion to them.
_CHUNK_PIXELS = {"cpu": 1 << 20, "cuda": 1 << 23}
_MAX_CHUNK = {"cpu": 8, "cuda": 32}
_SHEET_PICTURES = 1024


@dataclass(frozen=True)
class Look:
    """What `sample` does to every seed.

    Attributes:
        truncation, centers, moves, noise: as in `Point`.
        classes: names and weights; empty takes a conditional model's classes in turn.
    """

    truncation: float = 1.0
    centers: int = 0
    moves: tuple[tuple[str, float], ...] = ()
    noise: int | None = None
    classes: tuple[tuple[str, float], ...] = ()


def chunk_size(space: Space) -> int:
    """Return how many pictures run at once: a function of device and picture size alone.

    Kernels may round differently for another batch size. Every chunk of a model therefore has this size, the last one
    padded: a point then gives the same bytes alone and among others. Where memory is short for it, halves are within rounding.
    """
    kind = "cuda" if space.device.type == "cuda" else "cpu"
    fitting = max(1, min(_MAX_CHUNK[kind], _CHUNK_PIXELS[kind] // (space.height_px * space.width_px)))
    return 1 << (fitting.bit_length() - 1)  # a power of two: whole chunks make up the judge's batches


def render(space: Space, points: Iterable[Point]) -> Iterator[np.ndarray]:
    """Yield the picture of each point, uint8 `[H, W, 3]`, in order.

    Raises:
        DataError: a point does not fit the model.
    """
    size = chunk_size(space)
    for chunk in _chunks(points, size):
        yield from _run(space, chunk, size)


def _chunks(points: Iterable[Point], size: int) -> Iterator[list[Point]]:
    """Yield points in groups that run at once."""
    chunk: list[Point] = []
    for point in points:
        if chunk and (chunk[0].noise is None) != (point.noise is None):  # a batch has noise keys for all, or for none
            yield chunk
            chunk = []
        chunk.append(point)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


@torch.inference_mode()
def _run(space: Space, points: list[Point], size: int) -> np.ndarray:
    padded = points + points[:1] * (size - len(points))
    keys = [point.noise for point in padded if point.noise is not None]
    noise = torch.tensor(keys, device=space.device) if keys else None
    styles = space.styles(padded)
    images = space.pieces(lambda part: space.generator.synthesis(styles[part], None if noise is None else noise[part]), size)
    return to_uint8(images[: len(points)]).cpu().numpy()


def generate(
    space: Space, seeds: Sequence[int], labels: Sequence[int] | None = None, truncation: float = 1.0
) -> Iterator[np.ndarray]:
    """Yield the picture of each seed, in order.

    Args:
        space: of a generator in evaluation mode, on its device; it runs in float32.
        seeds: one per picture.
        labels: the class of each picture; zeros by default.
        truncation: 1 keeps the model's whole variety, 0 gives the mean picture of the class.

    Yields:
        uint8 `[H, W, 3]`.
    """
    labels = [0] * len(seeds) if labels is None else list(labels)
    points = (Point(seed, classes=((label, 1.0),), truncation=truncation) for seed, label in zip(seeds, labels, strict=True))
    yield from render(space, points)


def points_of_seeds(model: Model, seeds: Iterable[int], look: Look) -> list[Point]:
    """Return a point for each seed; without classes, seed k of a conditional model has class k modulo their number.

    Raises:
        ConfigError: the model has no such class.
    """
    base = Point(truncation=look.truncation, centers=look.centers, moves=look.moves, noise=look.noise)
    count = len(model.card.classes)
    shares = tuple((class_label(model, name), weight) for name, weight in look.classes)
    if shares or not count:
        return [replace(base, seed=seed, classes=shares) for seed in seeds]
    return [replace(base, seed=seed, classes=((seed % count, 1.0),)) for seed in seeds]


def class_label(model: Model, class_name: str) -> int:
    """Return the label of a class by its name.

    Raises:
        ConfigError: the model has no such class.
    """
    classes = model.card.classes
    if class_name not in classes:
        known = join_names(classes) or "none: the model is unconditional"
        raise ConfigError(f"--class {quoted(class_name)}{nearest(class_name, classes)}: the model's classes are {known}")
    return classes.index(class_name)


def save_samples(
    model: Model,
    out: Path,
    points: Sequence[Point],
    *,
    image_format: str = "png",
    captions: bool = False,
    columns: int | None = None,
    names: Sequence[str] | None = None,
    sizes_px: Sequence[int | None] | None = None,
    sizer: Sizer = LANCZOS,
    heads: Sequence[Point] = (),
    workers: Workers = ALONE,
    on_progress: Listener = silent,
) -> list[Path]:
    """Write each point's picture, with what reproduces it inside, and sheets of them; return the pictures' paths.

    A sheet, `grid.png`, has up to 1024 pictures and 16 megapixels: pictures that are many or large are reduced on it. More go
    on `grid-2.png` and so on.

    Args:
        model: the model.
        out: an existing folder.
        points: what to make.
        image_format: png, jpeg, webp or tiff.
        captions: write under each picture of the grid what makes it.
        columns: of the sheets.
        names: stems of the files, by default of the seeds; a second file of a name gets a number.
        sizes_px: the longer side of each file's picture, None for the model's own, which sheets have.
        sizer: what brings pictures to these sizes.
        heads: points whose pictures stand above the columns of each sheet, from the second column on.
        workers: processes on a CPU, or a cluster, which must see the model and `out`.
        on_progress: told after each picture.

    Raises:
        ConfigError: a file in the folder is in the way that artgan did not make; or a process was ended.
    """
    sizes = sizes_px or [None] * len(points)
    per_sheet = _SHEET_PICTURES // columns * columns if columns else _SHEET_PICTURES
    starts = range(0, len(points), per_sheet)
    sheets = [out / ("grid.png" if not number else f"grid-{number + 1}.png") for number in range(len(starts))]
    stems = names or [stem_of(point) for point in points]
    taken = [path.name for path in sheets]
    paths = [out / name for name in distinct_names(stems, SUFFIX_OF[image_format], taken)]
    check_replaceable([*paths, *sheets])
    pictures = enumerate(_saved(model, list(zip(points, paths, sizes, strict=True)), sizer, workers, out))

    def saved(count: int) -> Iterator[np.ndarray]:
        for index, pixels in itertools.islice(pictures, count):
            on_progress(Progress("sampling", index + 1, len(points), "pictures"))
            yield pixels

    above = _head_row(model.space, heads)
    words_above = ["", *(caption(model, point) for point in heads)] if above else []
    for start, sheet in zip(starts, sheets, strict=True):
        here = points[start : start + per_sheet]
        texts = words_above + [caption(model, point) for point in here] if captions else None
        tiles = tiles_of(itertools.chain(above, saved(len(here))), len(above) + len(here))
        save_sheet(sheet, captioned_grid(tiles, texts, columns), "samples")
    return paths


_Wanted = tuple[Point, Path, int | None]


def _saved(model: Model, wanted: Sequence[_Wanted], sizer: Sizer, workers: Workers, out: Path) -> Iterator[np.ndarray]:
    """Make and save pictures, chunk by chunk; yield each, uint8 `[H, W, 3]`, in order."""
    places = iter(wanted)
    chunks = [
        list(itertools.islice(places, len(chunk)))
        for chunk in _chunks((point for point, *_ in wanted), chunk_size(model.space))
    ]
    workers = workers.for_tasks(len(chunks))
    if workers.are_elsewhere:
        make: Callable[[], _Saver] = partial(_saver_of, model.folder, str(model.space.device), sizer.enlarger)
    else:
        make = partial(partial, _save_chunk, model, sizer)
    for _, pictures in over_workers(
        make, chunks, workers, in_order=True, threads=torch.get_num_threads(), sees=[model.folder, out]
    ):
        if isinstance(pictures, Lost):
            raise ConfigError("a process that makes pictures was ended, most likely for want of memory: give fewer --jobs")
        yield from pictures


_Saver = Callable[[Sequence[_Wanted]], np.ndarray]


def _saver_of(folder: Path, device: str, enlarger: str | None) -> _Saver:
    return partial(_save_chunk, load_model(folder, device), sizer_of(enlarger, torch.device(device)))


def _save_chunk(model: Model, sizer: Sizer, chunk: Sequence[_Wanted]) -> np.ndarray:
    pictures = np.stack(list(render(model.space, [point for point, *_ in chunk])))
    for pixels, (point, path, size_px) in zip(pictures, chunk, strict=True):
        save_picture(path, sizer(pixels, size_px), picture_metadata(model, point, size_px, sizer.way))
    return pictures


def _head_row(space: Space, heads: Sequence[Point]) -> list[np.ndarray]:
    """Return an empty corner and the pictures above the columns of a sheet, or nothing where there are none."""
    pictures = list(render(space, heads))
    return [np.full_like(pictures[0], 255), *pictures] if pictures else []


def stem_of(point: Point) -> str:
    """Return what the file of a point is called."""
    return "projection" if point.styles else f"seed-{point.seed:04d}"


def caption(model: Model, point: Point) -> str:
    """Return what makes a picture, in a few words."""
    words = ["projection" if point.styles else str(point.seed)]
    words += [model.card.classes[label] for label, _ in point.classes if model.card.classes]
    words += [f"{name} {amount:+g}" for name, amount in point.moves]
    return ", ".join(words)


def picture_metadata(model: Model, point: Point, size_px: int | None = None, size_way: str = LANCZOS.way) -> dict[str, Any]:
    """Return what makes a picture again: the point, the model's hash, the versions used, and, if it was resized, how."""
    classes = model.card.classes
    named = [classes[label] for label, _ in point.classes] if classes else []
    return {
        "kind": "sample",
        "seed": None if point.styles else point.seed,
        "class": join_names(named) or None,
        "truncation": point.truncation,
        "point": point.as_dict(),
        "model": model.name,
        "model_hash": model.sha256,
        "version": artgan.__version__,
        "torch": str(torch.__version__),
        **({} if size_px is None else {"size_px": size_px, "size_way": size_way}),
    }


def point_of_picture(model: Model, metadata: dict[str, Any] | None, name: str) -> Point:
    """Return the point that a picture was made from.

    Raises:
        DataError: the picture carries none.
        CheckpointError: it was made by another model.
    """
    if metadata is None or "point" not in metadata:
        raise DataError(f"{name}: carries no point of artgan: only pictures that sample or the studio wrote can be made again")
    if metadata.get("model_hash") != model.sha256:
        raise CheckpointError(
            f"{name} was made by model {metadata.get('model')} ({str(metadata.get('model_hash'))[:12]}), not by {model.folder} "
            f"({model.sha256[:12]}); give the model that made it"
        )
    try:
        return point_from(metadata["point"])
    except DataError as error:
        raise DataError(f"{name}: {error}") from error
