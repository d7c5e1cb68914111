"""Values of command-line flags: parsed and checked, without importing anything heavy."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from artgan.errors import ConfigError, StorageError
from artgan.tables import nearest

MAX_SEED = 2**32 - 1
MAX_SEEDS_AT_ONCE = 100_000
_MAX_SIDE_PX = 4096


def resolution(text: str) -> tuple[int, int]:
    """Parse `256` or `320x256` to (width, height) in pixels."""
    match = re.fullmatch(r"(\d{1,6})(?:[xX](\d{1,6}))?", text)
    if match:
        width, height = int(match[1]), int(match[2] or match[1])
        if min(width, height) >= 8 and max(width, height) <= _MAX_SIDE_PX:
            return width, height
    raise ConfigError(
        f"--resolution {text}: expected a side from 8 to {_MAX_SIDE_PX} px, such as 256, or WIDTHxHEIGHT, such as 320x256"
    )


def color(option: str, text: str) -> tuple[int, int, int]:
    """Parse `#rrggbb`."""
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", text):
        raise ConfigError(f"{option} {text}: expected a color such as #ffffff")
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


def seeds(text: str) -> list[int]:
    """Parse `0-63` or `3,5,8-12` to a list, in the order given."""
    numbers: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,10})(?:-(\d{1,10}))?\s*", part)
        if not match:
            raise ConfigError(f"--seeds {text}: expected numbers and ranges such as 0-63 or 3,5,8-12; cannot read '{part}'")
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first or last > MAX_SEED:
            raise ConfigError(f"--seeds {text}: a range goes upwards and ends at {MAX_SEED} at most; got {part.strip()}")
        if len(numbers) + last - first + 1 > MAX_SEEDS_AT_ONCE:
            raise ConfigError(f"--seeds {text}: more than {MAX_SEEDS_AT_ONCE:,} at once; split the range")
        numbers.extend(range(first, last + 1))
    return numbers


def names(text: str) -> tuple[str, ...]:
    """Parse `a,b,c`; nothing gives an empty tuple."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def choice(option: str, value: str, choices: Sequence[str]) -> str:
    """Check that a value is one of a few words."""
    if value not in choices:
        raise ConfigError(f"{option} {value}{nearest(value, choices)}: expected one of {', '.join(choices)}")
    return value


def number(option: str, value: float, low: float, high: float) -> float:
    """Check that a number lies within bounds, both included; NaN never does."""
    if not low <= value <= high:
        raise ConfigError(f"{option} {value:g}: expected a number from {low:g} to {high:g}")
    return value


def fraction(option: str, text: str) -> float:
    """Parse one number of 0 or more."""
    try:
        return number(option, float(text), 0, 1e9)
    except ValueError:
        raise ConfigError(f"{option} {text}: expected a number of 0 or more") from None


def shard(text: str) -> tuple[int, int]:
    """Parse `2/3`: the second of three shares."""
    match = re.fullmatch(r"(\d{1,5})/(\d{1,5})", text)
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise ConfigError(f"--shard {text}: expected i/n with i from 1 to n, such as 2/3")
    return int(match[1]), int(match[2])


def jobs(count: int) -> int:
    """Check a number of processes; 0 is one for each core that this process may use."""
    if not 0 <= count <= 1024:
        raise ConfigError(f"--jobs {count}: expected a number from 0 to 1024")
    return count or (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def output_folder(path: Path, force: bool) -> Path:
    """Check that results can go to a folder without overwriting anything.

    Raises:
        ConfigError: it holds files and `force` was not given, or it is a file.
        StorageError: it cannot be made.
    """
    if path.exists() and not path.is_dir():
        raise ConfigError(f"--out {path}: is a file; give a folder")
    if path.is_dir() and any(path.iterdir()) and not force:
        raise ConfigError(f"--out {path}: the folder is not empty; choose another, or add --force to write into it")
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"--out {path}: cannot be made ({error.strerror})") from error
    return path


def write_text(path: Path, text: str) -> None:
    """Write a result to a file that the user named.

    Raises:
        StorageError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from error


def named_numbers(option: str, text: str, default: float | None = None) -> tuple[str, float]:
    """Parse `name=number`; without a number, the default when there is one."""
    name, separator, value = text.partition("=")
    if not separator and default is not None:
        return name.strip(), default
    try:
        number_given = float(value)
        if name.strip() and abs(number_given) <= 1e6:
            return name.strip(), number_given
    except ValueError:
        pass
    raise ConfigError(f"{option} {text}: expected NAME=NUMBER, such as sefa-1=2")
