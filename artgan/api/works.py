"""Collections of works: made, and opened."""

import os
from collections.abc import Sequence
from pathlib import Path

from artgan import arguments
from artgan.datasets import collection as collections
from artgan.datasets import prepare as preparing
from artgan.datasets import recipe as framing
from artgan.datasets.collection import Collection
from artgan.progress import Listener, silent


def prepare(
    sources: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    resolution: int | tuple[int, int] = 256,
    fit: str = "crop",
    focus: str = "center",
    tiles: int = 1,
    trim: bool = False,
    duplicates: str = "alike",
    holdout: float = 0.05,
    use_labels: bool = True,
    workers: int = 1,
    overwrite: bool = False,
    on_progress: Listener = silent,
) -> Collection:
    """Make a collection of every usable picture of the sources, and open it.

    Args:
        sources: a folder, file, pattern, archive, list, table or URL, or several of them.
        out: the collection's folder.
        resolution: side in pixels, or (width, height).
        fit: `crop`, `pad`, `stretch` or `smart`.
        focus: what a crop keeps: `center`, `top` or `detail`.
        tiles: cut a large work into up to this many crops along its longer side.
        trim: cut borders of one color first.
        duplicates: keep one of those that look `alike`, of `exact` ones, or `keep` all.
        holdout: share that stays out of training, from 0 to 0.9.
        use_labels: take classes from sub-folders and label files.
        workers: processes; a script that asks for more than one needs `if __name__ == "__main__":` around its own code.
        overwrite: replace a collection that is there.
        on_progress: told after each file.

    Raises:
        ConfigError: a value is out of range.
        DataError: nothing usable, or `out` exists.
        StorageError: no space, or not writable.
    """
    several = [sources] if isinstance(sources, str | os.PathLike) else list(sources)
    text = str(resolution) if isinstance(resolution, int) else "x".join(str(side) for side in resolution)
    width, height = arguments.resolution(text)
    recipe = framing.Recipe(
        height=height,
        width=width,
        fit=arguments.choice("fit", fit, framing.FITS),
        focus=arguments.choice("focus", focus, framing.FOCI),
        tiles=int(arguments.number("tiles", tiles, 1, 64)),
        trim=trim,
        min_side_px=min(width, height) // 2,
        duplicates=arguments.choice("duplicates", duplicates, framing.DUPLICATES),
        holdout=arguments.number("holdout", holdout, 0, 0.9),
    )
    paths = [os.fspath(source) for source in several]
    preparing.prepare(
        paths, Path(out), recipe, workers=workers, overwrite=overwrite, use_labels=use_labels, on_progress=on_progress
    )
    return open_collection(out)


def open_collection(folder: str | os.PathLike[str]) -> Collection:
    """Open a prepared collection: `images` uint8 `[N, H, W, 3]`, classes, labels, and the rows of both splits.

    Raises:
        DataError: the folder is missing, no collection, or damaged.
    """
    return collections.open_collection(Path(folder))
