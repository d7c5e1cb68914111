"""Names of result files: as many as are said, on every file system."""

import unicodedata
from collections.abc import Iterable, Sequence


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


def join_names(names: Sequence[str]) -> str:
    """Return names in a list that reads back: those with a comma, an equals sign or quotes are quoted."""
    return ", ".join(quoted(name) for name in names)


def quoted(name: str) -> str:
    """Return a name, in quotes where it could be taken for several or for a number with a name."""
    plain = name and name == name.strip() and not any(letter in name for letter in ',="')
    return name if plain else '"' + name.replace('"', '""') + '"'


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
