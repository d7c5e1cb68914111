"""Values of command-line flags: parsed and checked, without importing anything heavy."""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from artgan.errors import ConfigError, StorageError
from artgan.file_names import join_names, quoted
from artgan.storage import write_made
from artgan.tables import nearest

SIZES_PX = (16, 16_384)  # of a picture's longer side
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


def write_text(path: Path, text: str) -> None:
    """Write a result to a file that the user named.

    Raises:
        StorageError: it cannot be written.
    """
    if path.is_file() or not path.exists():
        write_made(path, text)
        return
    try:
        path.write_text(text, encoding="utf-8")  # such as /dev/stdout
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from error


def class_shares(text: str, classes: Sequence[str]) -> tuple[tuple[str, float], ...]:
    """Parse classes of a model with their weights: `waves`, `waves=2,landscapes=1`, or quoted, `"oil, canvas"=2,"a=b"`.

    A name that is a class as it stands needs no quotes, whatever is in it.

    Raises:
        ConfigError: a word is no class, or its weight is no number; names the classes.
    """
    if not text.strip():
        return ()
    if text in classes:
        return ((text, 1.0),)
    found = []
    for name, weight in _named_words(text):
        whole = name if weight is None else f"{name}={weight}"
        if weight is not None and whole in classes:
            name, weight = whole, None
        if name not in classes:
            known = join_names(classes) or "none: the model is unconditional"
            raise ConfigError(f"--class {quoted(name)}{nearest(name, classes)}: the model's classes are {known}")
        found.append((name, 1.0 if weight is None else _weight_of(name, weight)))
    return tuple(found)


def _named_words(text: str) -> Iterator[tuple[str, str | None]]:
    """Yield the names and weights of a list, where quotes (doubled within quotes) keep a name together."""
    pattern = re.compile(r'\s*(?:"((?:[^"]|"")*)"|(?!")([^,]*?))\s*(?:=\s*([^,="]*))?\s*(?:,|$)')
    at = 0
    while at < len(text):
        match = pattern.match(text, at)
        if match is None or match.end() == at:
            raise ConfigError(
                f"--class {text}: cannot be read from '{text[at:]}' on; expected NAME, NAME=NUMBER or quoted names"
            )
        at = match.end()
        name = match[1].replace('""', '"') if match[1] is not None else match[2].strip()
        if name:
            yield name, None if match[3] is None else match[3].strip()


def _weight_of(name: str, text: str) -> float:
    try:
        return number("--class", float(text), 0, 1e6)
    except ValueError:
        raise ConfigError(f"--class {quoted(name)}={text}: expected NAME=NUMBER, such as waves=2") from None


def named_number(option: str, text: str) -> tuple[str, float]:
    """Parse `name=number`; a name may hold an equals sign."""
    name, _, value = text.rpartition("=")
    try:
        number_given = float(value)
        if name.strip() and abs(number_given) <= 1e6:
            return name.strip(), number_given
    except ValueError:
        pass
    raise ConfigError(f"{option} {text}: expected NAME=NUMBER, such as sefa-1=2")
