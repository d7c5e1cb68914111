"""What drives a film, frame by frame: truncation, speed and steps along directions; from sound or from a table."""

import csv
import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from artgan.datasets.plain_text import read_text
from artgan.errors import ConfigError, DataError
from artgan.generation.paths import EASINGS
from artgan.generation.point import MAX_MOVE, MAX_TRUNCATION, Point
from artgan.generation.sound import BANDS, Curves
from artgan.tables import nearest

MAX_SPEED = 20.0  # times the pace that --steps gives
_MAX_TABLE_BYTES = 16 << 20
_MAX_FRAMES = 200_000
_COLUMNS = ("time", "truncation", "speed")  # all others are directions
# Of a full reaction: how far silence pulls towards the typical, how slow it is, and what a beat adds to the speed.
_QUIET_TRUNCATION, _QUIET_SPEED, _BEAT_SPEED = 0.5, 0.25, 2.0


@dataclass(frozen=True)
class Drive:
    """Curves of a film, float64 `[frames]` each.

    Attributes:
        truncation: None leaves each picture's own.
        speed: times the usual pace.
        moves: direction -> amount, in standard deviations of W along it.
    """

    speed: np.ndarray
    truncation: np.ndarray | None = None
    moves: Mapping[str, np.ndarray] = field(default_factory=dict)


def drive_of_sound(curves: Curves, truncation: float, moves: Sequence[tuple[str, float]], react: float) -> Drive:
    """Return what a sound drives: quiet is nearer to the typical and slower, low notes push on, bands step along directions.

    Args:
        curves: of the sound.
        truncation: at the loudest.
        moves: the first follows the low band, the second the middle one, the third the high one, and so on again.
        react: 0 keeps truncation and speed even, 1 is the whole effect.
    """
    quiet = 1 - curves.loudness
    speed = 1 - react * (1 - _QUIET_SPEED) * quiet + react * _BEAT_SPEED * curves.pulses["low"]
    bands = list(BANDS)
    steps = {
        name: amount * np.maximum(curves.pulses[bands[place % 3]], 0.5 * curves.levels[bands[place % 3]])
        for place, (name, amount) in enumerate(moves)
    }
    return Drive(speed, truncation * (1 - react * _QUIET_TRUNCATION * quiet), steps)


def driven_way(keys: Sequence[Point], drive: Drive, steps: int, *, easing: str = "smooth", loop: bool = True) -> list[Point]:
    """Return the point of each frame: as `paths.journey`, at the drive's speed, truncation and moves.

    Args:
        keys: at least two.
        drive: one value for each frame.
        steps: frames from a key to the next at speed 1.
        easing: as in `journey`.
        loop: go around as often as the frames allow; otherwise the last frame is the last key, at whatever pace that takes.

    Raises:
        ConfigError: fewer than two keys, or no step.
    """
    if len(keys) < 2 or steps < 1:
        raise ConfigError(f"a way needs two or more keys and one or more steps; got {len(keys)} and {steps}")
    phase = np.concatenate([[0.0], np.cumsum(drive.speed[:-1])]) / steps
    if not loop:
        phase *= (len(keys) - 1) / max(float(phase[-1]), 1e-9)
    ends = [*keys[1:], keys[0]]
    points = []
    for frame, place in enumerate(phase):
        whole = min(math.floor(place + 1e-9), len(keys) - 2) if not loop else math.floor(place)
        start, end = (_moved(key, drive, frame) for key in (keys[whole % len(keys)], ends[whole % len(keys)]))
        amount = EASINGS[easing](min(max(float(place) - whole, 0.0), 1.0))
        points.append(replace(start, toward=end, amount=amount) if amount > 0 else start)
    return points


def _moved(key: Point, drive: Drive, frame: int) -> Point:
    moves = tuple((name, float(np.clip(curve[frame], -MAX_MOVE, MAX_MOVE))) for name, curve in drive.moves.items())
    moved = replace(key, moves=tuple(pair for pair in key.moves if pair[0] not in drive.moves) + moves)
    if drive.truncation is None:
        return moved
    return replace(moved, truncation=float(np.clip(drive.truncation[frame], 0, MAX_TRUNCATION)))


def read_curve(path: Path, fps: int, frames: int | None, direction_called: Callable[[str], str]) -> Drive:
    """Read a table with a column `time` in seconds and any of `truncation`, `speed` and directions; between rows it is linear.

    Args:
        path: CSV, with commas, or with semicolons or tabs and decimal commas; in any encoding that `read_text` knows.
        fps: frames per second.
        frames: of the film; None ends with the table's last row.
        direction_called: gives the model's direction of a name; a DataError where there is none.

    Raises:
        DataError: it is missing or no such table; names the line.
    """
    rows, names = _table(path, direction_called)
    times = rows[:, 0]
    count = frames if frames is not None else math.floor(times[-1] * fps) + 1
    if count > _MAX_FRAMES:
        raise DataError(f"{path}: {count} frames; a film has up to {_MAX_FRAMES}")
    at = np.arange(count) / fps
    curves = {name: np.interp(at, times, rows[:, place]) for place, name in enumerate(names) if place}
    speed, truncation = curves.pop("speed", np.ones(count)), curves.pop("truncation", None)
    for name, curve, low, high in (("speed", speed, 0, MAX_SPEED), ("truncation", truncation, 0, MAX_TRUNCATION)):
        if curve is not None and not (low <= curve.min() and curve.max() <= high):
            raise DataError(f"{path}: {name} goes from {curve.min():g} to {curve.max():g}; expected {low} to {high:g}")
    return Drive(speed, truncation, curves)


def _column(path: Path, name: str, direction_called: Callable[[str], str]) -> str:
    if name.casefold() in _COLUMNS:
        return name.casefold()
    try:
        return direction_called(name)
    except (ConfigError, DataError) as error:
        known = ", ".join(_COLUMNS)
        raise DataError(f"{path}: unknown column '{name[:40]}'{nearest(name, _COLUMNS)}: not {known}, and {error}") from error


def _table(path: Path, direction_called: Callable[[str], str]) -> tuple[np.ndarray, list[str]]:
    """Return the rows of a table, float64 `[rows, columns]`, time first, and the columns' names."""
    try:
        if path.stat().st_size > _MAX_TABLE_BYTES:
            raise DataError(f"{path}: {path.stat().st_size / 1e6:.0f} MB, too much for a curve")
        text, _ = read_text(path.read_bytes())
        lines, european = _cells(text)
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as a table ({getattr(error, 'strerror', None) or error})") from error
    names = [_column(path, name.strip(), direction_called) for name in lines[0]] if lines else []
    if "time" not in names or len(set(names)) < len(names) or len(names) < 2:
        raise DataError(f"{path}: expected a first line with 'time' and other columns, each once; got {', '.join(names)[:100]}")
    rows = []
    for number, line in enumerate(lines[1:], start=2):
        if not any(cell.strip() for cell in line):
            continue
        cells = [cell.replace(",", ".") if european else cell for cell in line]
        try:
            values = [float(cell) for cell in cells]
        except ValueError:
            values = []
        if len(values) != len(names) or not all(map(math.isfinite, values)):
            raise DataError(f"{path}: line {number}: expected {len(names)} numbers, got {', '.join(line)[:60]}")
        rows.append(values)
    table = np.array(rows).reshape(len(rows), len(names))
    order = [names.index("time"), *[place for place, name in enumerate(names) if name != "time"]]
    table, names = table[:, order], [names[place] for place in order]
    if len(table) < 2 or table[0, 0] < 0 or (np.diff(table[:, 0]) <= 0).any():
        raise DataError(f"{path}: expected two or more rows whose time, in seconds from 0 on, goes upwards")
    return table, names


def _cells(text: str) -> tuple[list[list[str]], bool]:
    """Return the cells of a table, and whether its numbers may have decimal commas: it has semicolons or tabs between them."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").lstrip("\n")
    if text[:4].casefold() == "sep=":  # a line that Excel reads and no table has
        text = text.partition("\n")[2]
    first = text.partition("\n")[0]
    delimiter = next((letter for letter in ";\t" if letter in first), ",")
    return list(csv.reader(io.StringIO(text), delimiter=delimiter)), delimiter != ","


def curve_text(drive: Drive, fps: int) -> str:
    """Return a drive as the table that `read_curve` reads, a row for each frame."""
    columns = (
        {"speed": drive.speed} | ({} if drive.truncation is None else {"truncation": drive.truncation}) | dict(drive.moves)
    )
    lines = [",".join(["time", *columns])]
    for frame in range(len(drive.speed)):
        lines.append(",".join([f"{frame / fps:.6f}", *[f"{curve[frame]:.6g}" for curve in columns.values()]]))
    return "\n".join(lines) + "\n"
