"""The frames of a film or an animated picture: which files move, their frames as files, when each is shown."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

from PIL import ImageSequence

from artgan.datasets import films
from artgan.decode import SUFFIXES
from artgan.errors import DataError
from artgan.metadata import opened
from artgan.progress import Listener, Progress
from artgan.side_files import side_file
from artgan.storage import write_whole

_ANIMATED = {"GIF": "gif", "WEBP": "webp", "PNG": "webp", "AVIF": "webp"}
_MISCOUNTED = 2  # frames by which the count in a film's header may be wrong
_ENDLESS = ("AVIF",)  # of which Pillow does not say how often it plays; without an edit list that is for ever


@dataclass(frozen=True)
class Clock:
    """A film's time.

    Attributes:
        fps: frames per second, on average.
        seconds: from its first frame to its end.
        times_ms: of each frame; None where there are stamps.
        stamps: when each frame is shown, from 0, and the seconds of one unit.
        loop: how often it plays.
        start: seconds at which its first frame is shown, by the clock of its file.
    """

    fps: float
    seconds: float
    times_ms: tuple[int, ...] | None = None
    stamps: tuple[tuple[int, ...], Fraction] | None = None
    loop: int | None = 0
    start: float = 0.0


def is_moving(path: Path) -> bool:
    """Return whether a file is a film, by its name, or a picture with several frames, by its header."""
    if films.is_film(path.name):
        return True
    try:
        with opened(path) as image:
            return image.format in _ANIMATED and getattr(image, "n_frames", 1) > 1
    except Exception:  # whatever a damaged header makes Pillow raise: it is then for the way of pictures to refuse
        return False


def divided(inputs: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Return (pictures and folders of pictures, films) among what a user named.

    A folder that holds films, or pictures that move, is taken apart; any other one stays as it is.
    """
    stills: list[Path] = []
    moving: list[Path] = []
    for path in inputs:
        if path.is_dir():
            inside = sorted(item for item in path.iterdir() if item.is_file() and side_file(item.name) is None)
            shown = [item for item in inside if item.suffix.lower() in (*SUFFIXES, *films.SUFFIXES)]
            moves = {item: is_moving(item) for item in shown}
            moving += [item for item in shown if moves[item]]
            stills += [item for item in shown if not moves[item]] if any(moves.values()) else [path]
        else:
            (moving if path.is_file() and is_moving(path) else stills).append(path)
    return stills, list(dict.fromkeys(moving))


def format_of(path: Path) -> str:
    """Return the format that the result of a film has, a key of `MEDIA_TYPES`."""
    if films.is_film(path.name):
        return "webm" if path.suffix.lower() == ".webm" else "mp4"
    with opened(path) as image:
        return _ANIMATED[str(image.format)]


def unpacked(path: Path, folder: Path, on_progress: Listener) -> tuple[list[Path], Clock]:
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
    frames, ends = [], [0.0]
    try:
        with opened(path) as image:
            still = int(getattr(image, "default_image", False))  # a PNG's own picture, which is no frame of its animation
            for place, frame in enumerate(ImageSequence.Iterator(image)):
                frame.load()  # which is when a webp says how long its frame stays
                if place < still:
                    continue
                ends.append(ends[-1] + (frame.info.get("duration") or 100))
                frames.append(folder / f"frame-{place - still:06d}.png")
                if not frames[-1].exists():
                    write_whole(frames[-1], _png(frame))
                on_progress(Progress("reading frames", len(frames), image.n_frames - still, "frames"))  # type: ignore[attr-defined]
            loop = image.info.get("loop", 0 if image.format in _ENDLESS else None)
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise DataError(f"{path}: damaged or truncated: {error}") from error
    times = tuple(round(later) - round(earlier) for earlier, later in pairwise(ends))  # whole, and right in sum
    seconds = sum(times) / 1000
    return frames, Clock(len(times) / max(seconds, 1e-3), seconds, times, loop=loop)


def _png(frame: Any) -> bytes:
    image = frame.convert("RGBA")
    image = image if image.getextrema()[3][0] < 255 else image.convert("RGB")
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _film_clock(path: Path, stamps: Sequence[int]) -> Clock:
    import av

    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        unit = Fraction(stream.time_base or Fraction(1, 25))
        gaps = [later - earlier for earlier, later in pairwise(stamps)]
        usual = Fraction(sum(gaps), len(gaps)) * unit if gaps else Fraction(1, 25)
        rate = float(stream.average_rate or 1 / usual)
    shown = tuple(stamp - stamps[0] for stamp in stamps)
    return Clock(rate, float(shown[-1] * unit + usual), stamps=(shown, unit), start=float(stamps[0] * unit))


def has_sound(path: Path) -> bool:
    """Return whether a film has a sound track."""
    import av

    with av.open(str(path)) as container:
        return bool(container.streams.audio)


def losses_of(path: Path, size: tuple[int, int], frames: int) -> tuple[str, ...]:
    """Return what an mp4 or webm of so many frames of this (height, width) lacks of its source, one sentence a kind."""
    import av

    with av.open(str(path)) as container:
        pictures, sounds, texts = container.streams.video[0], container.streams.audio, container.streams.subtitles
        parts = pictures.format.components
        lost = {
            "has an odd side, whose last row or column films of this format cannot hold": size[0] % 2 or size[1] % 2,
            "has more than 8 bits a channel, written with 8": any(part.bits > 8 for part in parts),
            "has transparency, which films of this format cannot hold": any(part.is_alpha for part in parts)
            or pictures.metadata.get("alpha_mode") == "1",
            "breaks off: frames that it speaks of are not in it": pictures.frames > frames + _MISCOUNTED,
            "has several sound tracks, of which the first was kept": len(sounds) > 1,
            "has more than two channels of sound, mixed to two": bool(sounds) and sounds[0].layout.nb_channels > 2,
            "has subtitles, which were left out": bool(texts),
        }
    return tuple(sentence for sentence, is_so in lost.items() if is_so)
