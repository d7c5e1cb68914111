"""Films through a look: the frames of each are a series, in order; a stopped run goes on after the last one that was done."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import artgan
from artgan.errors import ConfigError, DataError
from artgan.file_names import distinct_names
from artgan.generation.soundtrack import MUX_FORMATS, with_sound
from artgan.generation.video import check_format, encode_video
from artgan.metadata import COMPOSITE
from artgan.progress import Listener, Progress, silent
from artgan.refine.encode import to_eight_bits
from artgan.refine.files import WORK_FOLDER
from artgan.refine.materials import Materials, applied, check_materials, look_hash
from artgan.refine.plan import Item
from artgan.refine.recipe import Recipe
from artgan.refine.run import Films
from artgan.refine.sequence import Passes
from artgan.refine.store import FolderStore
from artgan.refined_film.flicker import Flicker, styled_frames
from artgan.refined_film.frames import format_of, has_sound, losses_of, unpacked
from artgan.signing import Signature, signed
from artgan.storage import file_sha256, write_whole


@dataclass(frozen=True)
class RefinedFilm:
    """What became of a film.

    Attributes:
        source: the file that it was.
        target: the file that it is.
        frames: how many.
        flicker_before, flicker_after: mean difference of neighbouring frames, of 255.
        from_last: whether frames start from the result of the one before.
        lost: what the result lacks, a sentence each.
    """

    source: Path
    target: Path
    frames: int
    flicker_before: float
    flicker_after: float
    from_last: bool
    lost: tuple[str, ...]

    def __str__(self) -> str:
        way = "; each frame started from the last one's result" if self.from_last else ""
        flicker = f"flicker {self.flicker_after:.2f} of 255 (source {self.flicker_before:.2f})"
        return f"{self.target}: {self.frames} frames; {flicker}{way}"

    def line(self) -> dict[str, Any]:
        """Return what `refine.json` says of it; flicker is of 255."""
        return {
            "file": self.target.name,
            "source": self.source.name,
            "frames": self.frames,
            "flicker_before": round(self.flicker_before, 4),
            "flicker_after": round(self.flicker_after, 4),
            "from_last": self.from_last,
        }


def refine_films(
    paths: Sequence[Path],
    out: Path,
    recipe: Recipe,
    materials: Materials,
    device: torch.device,
    signature: Signature | None = None,
    on_progress: Listener = silent,
) -> tuple[list[RefinedFilm], dict[Path, str]]:
    """Refine films, each a series of its own, and write them into a folder; one that fails does not stop the others.

    Args:
        paths: files that `is_moving`.
        out: an existing folder.
        recipe, materials, device, signature: as of `refine_files`.
        on_progress: told about every frame.

    Returns:
        what became of them, and why others failed.

    Raises:
        ConfigError: the recipe lacks something, a format needs PyAV, or a result would replace what is there.
    """
    check_materials(recipe, materials)
    formats = [format_of(path) for path in paths]
    for video_format in formats:
        check_format(video_format)
    names = distinct_names([path.stem for path in paths], "")
    targets = [out / f"{name}.{kind}" for name, kind in zip(names, formats, strict=True)]
    for path, target in zip(paths, targets, strict=True):
        if target.exists() and target.samefile(path):
            raise ConfigError(f"--out {out}: holds {path.name}, which is an input; the originals are never overwritten")
        if target.is_dir() or (target.exists() and b'"kind": "film"' not in target.read_bytes()):
            what = "a folder" if target.is_dir() else "a film that refine did not make"
            raise ConfigError(f"--out {out}: {target.name} is {what}: move it away")
    done: list[RefinedFilm] = []
    failed: dict[Path, str] = {}
    for path, target in zip(paths, targets, strict=True):
        try:
            done.append(_refine_film(path, target, recipe, materials, device, signature, on_progress))
        except DataError as error:
            failed[path] = str(error)
    return done, failed


def told(done: Sequence[RefinedFilm], failed: Mapping[Path, str]) -> Films:
    """Return what became of films, as the report of their run takes it."""
    lost: dict[str, list[str]] = {}
    for film in done:
        for sentence in film.lost:
            lost.setdefault(sentence, []).append(film.target.name)
    return Films([film.line() for film in done], lost, failed)


def _refine_film(
    path: Path,
    target: Path,
    recipe: Recipe,
    materials: Materials,
    device: torch.device,
    signature: Signature | None,
    on_progress: Listener,
) -> RefinedFilm:
    identity = file_sha256(path)
    work = target.parent / WORK_FOLDER
    folder = work / f"film-{identity[:24]}"
    folder.mkdir(parents=True, exist_ok=True)
    frames, clock = unpacked(path, folder, on_progress)
    store = FolderStore(work)
    passes = Passes(recipe, materials, str(device), store)
    look = f"{look_hash(recipe, materials)}:{identity}"
    items = [_item(frame, target.stem, look, recipe, materials) for frame in frames]
    for step in recipe.steps:
        step.check_size(items[0].size, path.name)
    kind, size = target.suffix.removeprefix("."), recipe.size_after(*items[0].size)
    if kind in MUX_FORMATS and min(size) < 2:
        raise DataError(f"{path.name}: comes out {size[1]}x{size[0]} px; an {kind} has at least 2 pixels a side")
    items, from_last = styled_frames(items, passes, store, recipe, on_progress)
    second = passes.second([item.key for item in items])
    flicker = Flicker()
    has_alpha = kind not in MUX_FORMATS and any(_has_alpha(item.path) for item in items)

    def finished() -> Iterator[np.ndarray]:
        for index, item in enumerate(items):
            done = second(item)
            pixels = done.pixels if done.pixels.dtype == np.uint8 else to_eight_bits(done.pixels, dither=False)
            flicker.add(done.source.pixels, pixels)
            on_progress(Progress("color and detail", index + 1, len(items), "frames"))
            yield _with_alpha(pixels, done.alpha) if has_alpha else pixels

    note = {"kind": "film", "source": path.name, "version": artgan.__version__, "refine": applied(recipe, materials)}
    data = encode_video(finished(), kind, clock.fps, json.dumps(note), clock.times_ms, clock.loop, clock.stamps)
    lost: tuple[str, ...] = ()
    if kind in MUX_FORMATS:
        lost = losses_of(path, size, len(items))
    if kind in MUX_FORMATS and has_sound(path):
        data, whole = with_sound(data, kind, path, clock.seconds, clock.start)
        lost += () if whole else ("has damaged sound, of which what comes before was kept",)
    if signature is not None:
        data = signed(data, kind, target.name, note, signature, COMPOSITE, path)
    write_whole(target, data)
    return RefinedFilm(path, target, len(items), flicker.before(), flicker.after(), from_last, lost)


def _item(frame: Path, name: str, look: str, recipe: Recipe, materials: Materials) -> Item:
    key = hashlib.sha256(f"{look}:{frame.stem}".encode()).hexdigest()[:32]
    item = Item(frame, f"{name}.png", key, (0, 0), recipe.output.size_px, tuple(materials.masks))
    pixels = item.source().pixels
    return replace(item, size=(pixels.shape[0], pixels.shape[1]))


def _has_alpha(frame: Path) -> bool:
    with Image.open(frame) as image:
        return image.mode == "RGBA"


def _with_alpha(pixels: np.ndarray, alpha: np.ndarray | None) -> np.ndarray:
    return np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8) if alpha is None else alpha])
