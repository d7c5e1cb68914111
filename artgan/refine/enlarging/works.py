"""The works that an enlarger is fitted to: a collection's originals or its own pictures, or any pictures; some are held out."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from artgan import seeding
from artgan.datasets.collection import HOLDOUT, TRAIN, is_collection, open_collection, read_index
from artgan.datasets.source_file import SourceFile, may_be_picture
from artgan.datasets.sources import list_files
from artgan.decode import decode
from artgan.errors import ConfigError, DataError
from artgan.progress import Listener, Progress
from artgan.refine.steps.enlarge import EnlargerFit

_USUAL_CROP_PX = 128
_LEAST_CROP_PX = 32
_LEAST_SCALE_PX = 256  # shorter side of works as pictures are first looked at, where no collection says it
_MEMORY_BYTES = 1_500_000_000
_JUDGED_WORKS = 64
Say = Callable[[str], None]


@dataclass
class Works:
    """Works of a fit.

    Attributes:
        name, origin: of where they are from, for the card.
        least_px: shorter side of the smallest scale that they are seen at.
        fitted, held_out: uint8 `[h, w, 3]` each.
        identities: hashes of all of them.
        rights: what the collection states.
    """

    name: str
    origin: str
    least_px: int
    fitted: list[np.ndarray] = field(default_factory=list)
    held_out: list[np.ndarray] = field(default_factory=list)
    identities: list[str] = field(default_factory=list)
    rights: tuple[str, ...] = ()

    def crop_px(self, values: EnlargerFit) -> int:
        """Return the side of crops: what was asked for, or 128, or what is usual among smaller works."""
        if values.crop_px is not None:
            return values.crop_px
        usual = int(np.median([min(work.shape[:2]) for work in self.fitted]))
        return max(_LEAST_CROP_PX, min(_USUAL_CROP_PX, usual) // 4 * 4)


def gather_works(
    inputs: Sequence[Path],
    sources: Sequence[Path],
    factor: int,
    values: EnlargerFit,
    seed: int,
    say: Say,
    on_progress: Listener,
) -> Works:
    """Read the works of a fit, as many as fit into memory, in an order that the seed gives.

    Args:
        inputs: a collection; or pictures, folders and archives of them.
        sources: where the collection's originals are.
        factor: of the enlarger.
        values: of the fit.
        seed: of the order and, without a collection, of the hold-out.
        say: told what was left out and what it costs.
        on_progress: told about every work.

    Raises:
        ConfigError: several collections, or sources without one.
        DataError: no work can be used, or none is left to be held out.
    """
    folders = [path for path in inputs if is_collection(path)]
    if folders and len(inputs) > 1:
        raise ConfigError("--fit-enlarger takes one collection, or pictures and folders of them, not both")
    if sources and not folders:
        raise ConfigError("--sources goes with a collection: it says where the collection's originals are")
    if not folders:
        works = _of_files(inputs, values, seed, say, on_progress)
    elif sources:
        works = _originals(folders[0], sources, factor, values, seed, say, on_progress)
    else:
        works = _own_pictures(folders[0], say)
    return _large_enough(works, values, say)


def _of_files(inputs: Sequence[Path], values: EnlargerFit, seed: int, say: Say, on_progress: Listener) -> Works:
    files = _pictures(inputs)
    name = inputs[0].name or "works"
    works = Works(name, f"{len(files)} files of {', '.join(path.name for path in inputs)}", _LEAST_SCALE_PX)
    if len(files) < 2:
        raise DataError(f"--fit-enlarger needs two works or more, one to learn from and one to be judged on; got {len(files)}")
    order = seeding.permutation(seed, "enlarger/works", 0, len(files))
    held_out = min(_JUDGED_WORKS, max(1, round(values.holdout * len(files))))
    marked = [(files[index], place < held_out) for place, index in enumerate(order)]
    _read(works, marked, None, values, say, on_progress)
    return works


def _originals(
    folder: Path,
    sources: Sequence[Path],
    factor: int,
    values: EnlargerFit,
    seed: int,
    say: Say,
    on_progress: Listener,
) -> Works:
    """Return a collection's works at full size, found again by the hash of their files."""
    collection = open_collection(folder)
    splits = {line["sha256"]: line["split"] for line in read_index(folder) if line["status"] == "kept"}
    files = _pictures(sources)
    order = seeding.permutation(seed, "enlarger/works", 0, len(files))
    works = Works(
        collection.name,
        f"originals of the collection {collection.name} (pixel hash {collection.pixel_hash[:12]}), train split",
        factor * min(collection.height, collection.width),
        rights=collection.rights,
    )
    found, whole = _read(works, [(files[index], False) for index in order], splits, values, say, on_progress)
    named = ", ".join(map(str, sources))
    if not found:
        raise DataError(
            f"--sources {named}: holds no original of {folder}, whose files are told by their sha256: they are elsewhere, or "
            f"were changed since artgan prepare; prepare again, or leave --sources out to fit on the collection's own pictures"
        )
    if whole and found < len(splits):
        missing = len(splits) - found
        say(f"{missing} of {len(splits)} originals are not in {named} or were changed since artgan prepare: left out")
    return works


def _own_pictures(folder: Path, say: Say) -> Works:
    collection = open_collection(folder)
    size = f"{collection.width}x{collection.height} px"
    say(
        f"without --sources the enlarger learns from the collection's own pictures of {size}: it sees no texture finer "
        f"than theirs, and lends pictures of that size the texture of smaller ones; give --sources FOLDER with the originals"
    )
    works = Works(
        collection.name,
        f"pictures of the collection {collection.name} at {size} (pixel hash {collection.pixel_hash[:12]}), train split",
        min(collection.height, collection.width),
        identities=[collection.pixel_hash],
        rights=collection.rights,
    )
    works.fitted = [collection.images[row] for row in collection.train_rows]
    works.held_out = [collection.images[row] for row in collection.holdout_rows[:_JUDGED_WORKS]]
    return works


def _pictures(sources: Sequence[Path]) -> list[SourceFile]:
    return [file for file in list_files(sources).files if file.fate is None and may_be_picture(file)]


def _read(
    works: Works,
    files: Sequence[tuple[SourceFile, bool]],
    splits: dict[str, str] | None,
    values: EnlargerFit,
    say: Say,
    on_progress: Listener,
) -> tuple[int, bool]:
    """Read works until all are read or the memory for them is full; return how many were found, and whether all were read."""
    held_bytes = 0
    found: set[str] = set()
    unreadable: list[str] = []
    for done, (file, held_out) in enumerate(files):
        on_progress(Progress("reading works", done + 1, len(files), "works"))
        try:
            data = file.read()
            identity = hashlib.sha256(data).hexdigest()
            split = (HOLDOUT if held_out else TRAIN) if splits is None else splits.get(identity)
            if split is None or identity in found:
                continue
            found.add(identity)
            if split == HOLDOUT and len(works.held_out) >= _JUDGED_WORKS:
                continue
            work = _shrunk(decode(data, suffix=file.suffix).pixels, values.work_px)
        except (DataError, OSError) as error:
            unreadable.append(f"{file.where}: {error}")
            continue
        works.identities.append(identity)
        (works.held_out if split == HOLDOUT else works.fitted).append(work)
        held_bytes += work.nbytes
        if held_bytes > _MEMORY_BYTES:
            say(f"{len(works.fitted):,} works fill the memory that is kept for them: these are used, of {len(files):,} files")
            return len(found), False
    if unreadable:
        say(f"{len(unreadable)} files cannot be read and are left out; the first: {unreadable[0]}")
    return len(found), True


def _shrunk(work: np.ndarray, side_px: int) -> np.ndarray:
    short = min(work.shape[:2])
    if short <= side_px:
        return work
    height, width = (max(1, round(side * side_px / short)) for side in work.shape[:2])
    return np.asarray(Image.fromarray(work).resize((width, height), Image.Resampling.LANCZOS))


def _large_enough(works: Works, values: EnlargerFit, say: Say) -> Works:
    """Leave out works that are smaller than a crop."""
    if not works.fitted:
        raise DataError("--fit-enlarger: no work to learn from could be read")
    side = works.crop_px(values)
    all_works = [*works.fitted, *works.held_out]
    works.fitted, works.held_out = (
        [work for work in part if min(work.shape[:2]) >= side] for part in (works.fitted, works.held_out)
    )
    small = len(all_works) - len(works.fitted) - len(works.held_out)
    largest = max(min(work.shape[:2]) for work in all_works)
    if small and works.fitted and works.held_out:
        say(f"{small} works are smaller than a crop of {side} px and are left out; --set enlarger.crop_px=N makes it smaller")
    if not works.fitted:
        raise DataError(
            f"--fit-enlarger: all works are smaller than a crop of {side} px (the largest has a shorter side of {largest} px): "
            f"give larger ones, or smaller crops with --set enlarger.crop_px=N, from {_LEAST_CROP_PX} on"
        )
    if not works.held_out:
        raise DataError(
            f"--fit-enlarger: no work of {side} px or more is held out to judge on; of {works.name} prepare a collection with "
            f"--holdout 0.05, or give more works"
        )
    return works
