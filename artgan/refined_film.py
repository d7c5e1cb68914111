"""Films and animated pictures through a look, frame by frame: with their time, loop and sound, and with flicker measured.

The frames of a film are one series of their own. They go in order; a stopped run goes on after the last one that was finished.
Flicker is the mean difference of neighbouring frames. Where the style step flickers less when each frame starts from the result
of the one before, as the second frame shows, all of them do.
"""

import hashlib
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageSequence

import artgan
from artgan.datasets import films
from artgan.errors import ConfigError, DataError
from artgan.file_names import distinct_names
from artgan.generation.sound import MUX_FORMATS, with_sound
from artgan.generation.video import check_format, encode_video
from artgan.progress import Listener, Progress, silent
from artgan.refine.encode import to_eight_bits
from artgan.refine.files import WORK_FOLDER
from artgan.refine.materials import Materials, applied, check_materials, look_hash
from artgan.refine.plan import Item
from artgan.refine.recipe import Recipe
from artgan.refine.sequence import Passes
from artgan.refine.store import FolderStore
from artgan.storage import file_sha256, write_whole

_ANIMATED = {"GIF": "gif", "WEBP": "webp", "PNG": "webp"}


@dataclass(frozen=True)
class RefinedFilm:
    """What became of a film.

    Attributes:
        target: the file.
        frames: how many.
        flicker_before, flicker_after: mean difference of neighbouring frames, of 255.
        from_last: whether frames start from the result of the one before.
        lost: what the result lacks, a sentence each.
    """

    target: Path
    frames: int
    flicker_before: float
    flicker_after: float
    from_last: bool
    lost: tuple[str, ...]

    def __str__(self) -> str:
        way = "each frame started from the last one's result" if self.from_last else "each frame started from itself"
        flicker = f"flicker {self.flicker_after:.2f} of 255 (source {self.flicker_before:.2f})"
        return f"{self.target}: {self.frames} frames; {flicker}; {way}"


@dataclass(frozen=True)
class _Clock:
    """A film's time: frames per second, milliseconds of each frame (None: even), how often it plays, and its seconds."""

    fps: float
    times_ms: tuple[int, ...] | None
    loop: int | None
    seconds: float


def is_moving(path: Path) -> bool:
    """Return whether a file is a film, by its name, or a picture with several frames, by its header."""
    if films.is_film(path.name):
        return True
    try:
        with Image.open(path) as image:
            return image.format in _ANIMATED and getattr(image, "n_frames", 1) > 1
    except Exception:  # whatever a damaged header makes Pillow raise: it is then for the way of pictures to refuse
        return False


def refine_films(
    paths: Sequence[Path],
    out: Path,
    recipe: Recipe,
    materials: Materials,
    device: torch.device,
    on_progress: Listener = silent,
) -> list[RefinedFilm]:
    """Refine films, each a series of its own, and write them into a folder.

    Args:
        paths: files that `is_moving`.
        out: an existing folder.
        recipe, materials, device: as of `refine_files`.
        on_progress: told about every frame.

    Raises:
        ConfigError: the recipe lacks something, a format needs PyAV, or a result would replace what is there.
        DataError: a film cannot be read.
    """
    check_materials(recipe, materials)
    formats = [_format_of(path) for path in paths]
    for video_format in formats:
        check_format(video_format)
    stems = [path.stem for path in paths]
    targets = [out / distinct_names(stems, "")[place] for place in range(len(paths))]
    targets = [target.with_name(f"{target.name}.{kind}") for target, kind in zip(targets, formats, strict=True)]
    for path, target in zip(paths, targets, strict=True):
        if target.exists() and target.samefile(path):
            raise ConfigError(f"--out {out}: holds {path.name}, which is an input; the originals are never overwritten")
        if target.exists() and b'"kind": "film"' not in target.read_bytes():
            raise ConfigError(f"--out {out}: {target.name} is a film that artgan did not make: move it away")
    return [
        _refine_film(path, target, recipe, materials, device, on_progress) for path, target in zip(paths, targets, strict=True)
    ]


def _format_of(path: Path) -> str:
    if films.is_film(path.name):
        return "webm" if path.suffix.lower() == ".webm" else "mp4"
    with Image.open(path) as image:
        return _ANIMATED[str(image.format)]


def _refine_film(
    path: Path, target: Path, recipe: Recipe, materials: Materials, device: torch.device, on_progress: Listener
) -> RefinedFilm:
    identity = file_sha256(path)
    work = target.parent / WORK_FOLDER
    folder = work / f"film-{identity[:24]}"
    folder.mkdir(parents=True, exist_ok=True)
    frames, clock = _unpacked(path, folder, on_progress)
    store = FolderStore(work)
    passes = Passes(recipe, materials, str(device), store)
    look = f"{look_hash(recipe, materials)}:{identity}"
    items = [_item(frame, target.stem, look, recipe, materials) for frame in frames]
    for step in recipe.steps:
        step.check_size(items[0].size, path.name)
    items, from_last = _first_pass(items, passes, store, recipe, on_progress)
    second = passes.second([item.key for item in items])
    flicker = _Flicker()

    def finished() -> Iterator[np.ndarray]:
        for index, item in enumerate(items):
            done = second(item)
            pixels = done.pixels if done.pixels.dtype == np.uint8 else to_eight_bits(done.pixels, dither=False)
            flicker.add(done.source.pixels, pixels)
            on_progress(Progress("color and detail", index + 1, len(items), "frames"))
            yield pixels if done.alpha is None or target.suffix != ".webp" else np.dstack([pixels, done.alpha])

    kind = target.suffix.removeprefix(".")
    note = json.dumps(
        {"kind": "film", "source": path.name, "version": artgan.__version__, "refine": applied(recipe, materials)}
    )
    data = encode_video(finished(), kind, clock.fps, note, clock.times_ms, clock.loop)
    if kind in MUX_FORMATS and _has_sound(path):
        data = with_sound(data, kind, path, clock.seconds)
    write_whole(target, data)
    lost = ("has transparent frames, which a gif of all colors cannot hold: they stand on their own colors",)
    is_lost = kind == "gif" and any(item.source().alpha is not None for item in items[:1])
    return RefinedFilm(target, len(items), flicker.before(), flicker.after(), from_last, lost if is_lost else ())


def _item(frame: Path, name: str, look: str, recipe: Recipe, materials: Materials) -> Item:
    key = hashlib.sha256(f"{look}:{frame.stem}".encode()).hexdigest()[:32]
    item = Item(frame, f"{name}.png", key, (0, 0), recipe.output.size_px, tuple(materials.masks))
    pixels = item.source().pixels
    return replace(item, size=(pixels.shape[0], pixels.shape[1]))


def _first_pass(
    items: list[Item], passes: Passes, store: FolderStore, recipe: Recipe, on_progress: Listener
) -> tuple[list[Item], bool]:
    """Take the frames through the first pass, in order; return them with their keys in the store, and the way taken."""
    solves = recipe.style.is_solved and len(items) > 1
    passes.prepare(list(dict.fromkeys(item.size for item in items)), on_progress)
    work = passes.first()

    def taken(item: Item, start: np.ndarray | None) -> Item:
        key = item.key if start is None else hashlib.sha256(f"{item.key}:after".encode()).hexdigest()[:32]
        item = replace(item, key=key, start=start)
        if not store.has(key):
            for reason in work([item]).values():
                raise DataError(f"{item.path.name}: {reason}")
        return replace(item, start=None)

    def styled(item: Item) -> np.ndarray:
        found = store.styled(item.key)
        return item.source().pixels if found is None else found

    done = [taken(items[0], None)]
    from_last = False
    if solves:
        alone, after = taken(items[1], None), taken(items[1], styled(done[0]))
        first = styled(done[0])
        from_last = bool(np.abs(styled(after) - first).mean() < np.abs(styled(alone) - first).mean())
    for index, item in enumerate(items[1:], start=1):
        done.append(taken(item, styled(done[-1]) if from_last else None))
        on_progress(Progress("style", index + 1, len(items), "frames"))
    return done, from_last


class _Flicker:
    """The mean difference of neighbouring frames, before and after, of 255."""

    def __init__(self) -> None:
        self._last: tuple[np.ndarray, np.ndarray] | None = None
        self._sums: list[tuple[float, float]] = []

    def add(self, source: np.ndarray, result: np.ndarray) -> None:
        share = 1.0 if source.dtype == np.uint8 else 255.0
        now = source.astype(np.float32) * share, result.astype(np.float32)
        if self._last is not None:
            self._sums.append((_difference(self._last[0], now[0]), _difference(self._last[1], now[1])))
        self._last = now

    def before(self) -> float:
        return float(np.mean([before for before, _ in self._sums])) if self._sums else 0.0

    def after(self) -> float:
        return float(np.mean([after for _, after in self._sums])) if self._sums else 0.0


def _difference(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one - other).mean()) if one.shape == other.shape else 0.0


def _unpacked(path: Path, folder: Path, on_progress: Listener) -> tuple[list[Path], _Clock]:
    """Write the frames as PNG files, those that are not there yet, and return them with the film's time."""
    if films.is_film(path.name):
        found = films.frames_of(path, 1)
        frames = []
        for index, (name, stamp) in enumerate(found):
            frames.append(folder / f"{name}.png")
            if not frames[-1].exists():
                write_whole(frames[-1], films.read_frame(path, stamp))
            on_progress(Progress("reading frames", index + 1, len(found), "frames"))
        return frames, _film_clock(path, [stamp for _, stamp in found])
    frames, times = [], []
    try:
        with Image.open(path) as image:
            for index, frame in enumerate(ImageSequence.Iterator(image)):
                frame.load()  # which is when a webp says how long its frame stays
                times.append(int(frame.info.get("duration") or 100))
                frames.append(folder / f"frame-{index:06d}.png")
                if not frames[-1].exists():
                    write_whole(frames[-1], _png(frame))
                on_progress(Progress("reading frames", index + 1, image.n_frames, "frames"))  # type: ignore[attr-defined]
            loop = image.info.get("loop")
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise DataError(f"{path}: damaged or truncated: {error}") from error
    seconds = sum(times) / 1000
    return frames, _Clock(len(times) / max(seconds, 1e-3), tuple(times), loop, seconds)


def _png(frame: Any) -> bytes:
    image = frame.convert("RGBA")
    image = image if image.getextrema()[3][0] < 255 else image.convert("RGB")
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _film_clock(path: Path, stamps: Sequence[int]) -> _Clock:
    import av

    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        gaps = [later - earlier for earlier, later in pairwise(stamps)]
        usual = sum(gaps) / len(gaps) * float(stream.time_base or 0) if gaps else 1 / 25
        rate = float(stream.average_rate or 1 / usual)
    return _Clock(rate, None, 0, len(stamps) / rate)


def _has_sound(path: Path) -> bool:
    import av

    with av.open(str(path)) as container:
        return bool(container.streams.audio)
