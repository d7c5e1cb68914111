"""Names of files: as many results as are said, and strangers' names made harmless, on every file system."""

import unicodedata
from collections.abc import Iterable, Sequence

_FORBIDDEN = '<>:"/\\|?*'  # on some file system
_DEVICES = frozenset(
    "con prn aux nul".split() + [f"{device}{number}" for device in ("com", "lpt") for number in range(10)]
)  # of Windows, with any suffix
_MAX_READ, _MAX_NAME_BYTES, _MAX_SUFFIX = 1000, 120, 10


def distinct_names(stems: Iterable[str], suffix: str, taken: Iterable[str] = ()) -> list[str]:
    """Return a file name for each stem, none twice: the second of a name gets `-2`.

    Names count as equal where some file system takes them so: in upper and lower case, and however accents are composed.

    Args:
        stems: in order; the first of each keeps its name.
        suffix: with its dot.
        taken: file names that are in use already.
    """
    used = {_key(name) for name in taken}
    names = []
    for stem in stems:
        name, number = f"{stem}{suffix}", 2
        while _key(name) in used:
            name, number = f"{stem}-{number}{suffix}", number + 1
        used.add(_key(name))
        names.append(name)
    return names


def plain_name(text: str, otherwise: str) -> str:
    """Return one plain name of a file or folder, whatever a stranger sent: no path, nothing hidden, nothing unprintable.

    Args:
        text: a name, or anything else.
        otherwise: what to call it where nothing is left.
    """
    letters = (letter for letter in unicodedata.normalize("NFC", text[:_MAX_READ]) if letter.isprintable())
    name = "".join(letter for letter in letters if letter not in _FORBIDDEN).strip(" .")
    if not name:
        return otherwise
    if name.partition(".")[0].strip().casefold() in _DEVICES:
        name = f"_{name}"
    stem, dot, suffix = name.rpartition(".") if len(name.rpartition(".")[2]) <= _MAX_SUFFIX else (name, "", "")
    stem, suffix = (stem, dot + suffix) if stem else (name, "")
    while len(f"{stem}{suffix}".encode()) > _MAX_NAME_BYTES:
        stem = stem[:-1]
    return f"{stem.rstrip(' .')}{suffix}"


def join_names(names: Sequence[str]) -> str:
    """Return names in a list that reads back: those with a comma, an equals sign or quotes are quoted."""
    return ", ".join(quoted(name) for name in names)


def quoted(name: str) -> str:
    """Return a name, in quotes where it could be taken for several or for a number with a name."""
    plain = name and name == name.strip() and not any(letter in name for letter in ',="')
    return name if plain else '"' + name.replace('"', '""') + '"'


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
