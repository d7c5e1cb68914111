"""Where results may go: never over, nor around, what they are made from, and never over what artgan did not make.

One rule for all verbs, in three cases. A folder of results: `--force` lets a verb replace what the same verb made before, and
nothing else (`output_folder`). Files within it: those of artgan alone, known by what they hold (`check_replaceable`). A file
that the user names: any of its kind, except an input (`output_file`). Folders and files are told apart by what they are on disk
and not by their names, so that links, other spellings and drives that ignore case change nothing.
"""

import json
import os
import re
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from artgan.errors import ConfigError, DataError, StorageError
from artgan.side_files import side_file

_OWN_FOLDERS = (
    ("collection.json", "images.npy"),
    ("manifest.json", "model.safetensors"),
)  # whole: nothing is written into them

_made: list[Path] = []  # by this process, inner ones first
_PAGE_FACTS = "window.artganFacts"
_PICTURES = (".png", ".jpg", ".webp", ".tif")


@dataclass(frozen=True)
class Kind:
    """A kind of result folder.

    Attributes:
        name: in words.
        sign: a file that every such folder has.
        key: that the sign's JSON has; of a manifest, the file that it lists; empty where the sign is no JSON.
        whole: of a folder that is replaced as a whole: what all its files are called; None where files are only added.
    """

    name: str
    sign: str
    whole: str | None = None
    key: str = ""


COLLECTION = Kind(
    "collection", "collection.json", r"collection\.json|images\.npy|index\.jsonl|contact_sheet\.png", "pixel_hash"
)
EXPORT = Kind("exported collection", "export.json", r"([^/]+/)?\d{8}\.png|metadata\.csv|export\.json", "artgan")
MODEL = Kind(
    "model", "manifest.json", r"(config|manifest)\.json|model\.safetensors|README\.md|samples\.png", "model.safetensors"
)
SAMPLES = Kind("folder of samples", "grid.png")
REFINED = Kind("folder of refined pictures", "refine.json", key="recipe")
DIRECTIONS = Kind("folder of directions", "directions.json", key="model_hash")
PROJECTION = Kind("projection", "projection.png")
ENLARGER = Kind(
    "enlarger", "enlarger.json", r"(enlarger|manifest)\.json|(enlarger|fit)\.safetensors|README\.md", "weights_sha256"
)
DEMO = Kind("demo", "collection/collection.json", key="pixel_hash")
PAGE = Kind("model page", "data/facts.js")


def check_apart(out: Path, sources: Iterable[Path]) -> None:
    """Refuse a target that is a source, or holds one.

    A target *within* a source is no danger as long as it is new or of the verb's own kind: see `check_former`.

    Raises:
        ConfigError: it is or holds one, or lies in a collection or a model.
    """
    identity = _identity(out)
    for source in sources if identity is not None else ():
        resolved = source.resolve()
        for place in (resolved, *resolved.parents, *source.absolute().parents):
            if _identity(place) == identity:
                how = "is" if place == resolved else "holds"
                raise ConfigError(
                    f"--out {out}: {how} {source}, which is an input and is never replaced; the originals are never overwritten"
                )
    for parent in out.resolve().parents:
        if any(all((parent / name).is_file() for name in names) for names in _OWN_FOLDERS):
            raise ConfigError(
                f"--out {out}: lies within {parent}, a collection or model of artgan's; choose a place outside of it"
            )


def check_former(out: Path, kind: Kind) -> None:
    """Refuse to replace, or to write into, a folder with files in it that is not a former result of the kind.

    Raises:
        ConfigError: it is none, it is a file, or it is one with something of somebody else's in it.
    """
    if not out.exists():
        return
    if not out.is_dir():
        raise ConfigError(f"--out {out}: is a file; give a folder")
    if not any(out.iterdir()):
        return
    if not _has_sign(out, kind):
        raise ConfigError(
            f"--out {out}: is no {kind.name} that artgan made, and --force replaces nothing else; choose another --out, or "
            f"remove the folder yourself"
        )
    foreign = _foreign(out, kind) if kind.whole is not None else None
    if foreign is not None:
        raise ConfigError(
            f"--out {out}: holds {foreign}, which is no part of a {kind.name}; move it away, or choose another --out"
        )


def output_folder(path: Path, force: bool, kind: Kind, sources: Iterable[Path] = (), *, going_on: bool = False) -> Path:
    """Check that results can go into a folder without overwriting anything but former results, and make it.

    Args:
        path: of the folder.
        force: let former results be replaced.
        kind: of the results.
        sources: what they are made from.
        going_on: it holds a run that was stopped and goes on.

    Raises:
        ConfigError: it holds files and `force` was not given, or files that are no former result, or an input.
        StorageError: it cannot be made.
    """
    check_apart(path, sources)
    if path.exists() and not path.is_dir():
        raise ConfigError(f"--out {path}: is a file; give a folder")
    if path.is_dir() and any(path.iterdir()) and not (force or going_on):
        if path == Path():  # an unset variable of a shell, as often as a wish
            raise ConfigError("--out is empty, or the folder that you are in, which holds files: give a folder of its own")
        raise ConfigError(f"--out {path}: the folder is not empty; choose another, or add --force to write into it")
    if not going_on:
        check_former(path, kind)
    _made.extend(place for place in (path, *path.parents) if not place.exists())
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"--out {path}: cannot be made ({error.strerror})") from error
    return path


def leave_nothing_empty() -> None:
    """Remove the folders that `output_folder` made in this process, as far as nothing is in them: a verb was refused."""
    while _made:
        with suppress(OSError):
            _made.pop(0).rmdir()


def check_replaceable(paths: Iterable[Path], option: str = "--out", kind: Kind | None = None) -> None:
    """Check, before the work, that results replace nothing but what artgan made itself.

    Args:
        paths: of pictures, and of the sign of the kind.
        option: for the message.
        kind: of the folder that they are in, where its sign is among them.

    Raises:
        ConfigError: a folder, or a file of another origin, is in the way.
    """
    for path in paths:
        if path.exists() and not _is_ours(path, kind.key if kind else ""):
            what = "a folder" if path.is_dir() else "a file that artgan did not make"
            raise ConfigError(
                f"{option} {path.parent}: {path.name} is {what} and would be replaced: give another folder, or move it away"
            )


def output_file(option: str, path: Path, suffixes: Sequence[str], inputs: Sequence[Path] = ()) -> Path:
    """Check, before the work, that a result can go to a file: it replaces no input, no folder and no file of another kind.

    Args:
        option: for the message.
        path: where to; its folder is made.
        suffixes: of the files that this result may replace.
        inputs: files that the command reads.

    Raises:
        ConfigError: it would replace what it must not.
        StorageError: it cannot be written there.
    """
    if path.is_dir():
        raise ConfigError(f"{option} {path}: is a folder; give a file")
    identity = _identity(path)
    if identity is not None and identity in map(_identity, inputs):
        raise ConfigError(f"{option} {path}: is an input, which is never replaced; give another file")
    if identity is not None and path.suffix.lower() not in suffixes:
        raise ConfigError(f"{option} {path}: is there, and is no {suffixes[0]} file; give another name, or move it away")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") if path.exists() else tempfile.TemporaryFile(dir=path.parent):
            return path
    except OSError as error:
        raise StorageError(f"{option} {path}: cannot be written ({error.strerror})") from error


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _has_sign(folder: Path, kind: Kind) -> bool:
    """Return whether a folder has the file that tells the kind; of pictures, one that artgan wrote: an end may be missing."""
    sign = folder / kind.sign
    pictures = (sorted(path for path in folder.iterdir() if path.suffix in _PICTURES)[:3]) if sign.suffix == ".png" else []
    return any(_is_ours(path, kind.key) for path in (sign, *pictures))


def _is_ours(path: Path, key: str = "") -> bool:
    """Return whether artgan wrote a file: a picture or sheet with its mark, or JSON with a key, or a page's facts."""
    if path.suffix not in (".json", ".js"):
        return path.is_file() and _has_mark(path)
    try:
        text = path.read_text(encoding="utf-8")
        held = json.loads(text) if path.suffix == ".json" else None
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(held, dict) and (not key or key in held) if path.suffix == ".json" else text.startswith(_PAGE_FACTS)


def _has_mark(picture: Path) -> bool:
    from artgan.metadata import read_metadata
    from artgan.overview import is_sheet

    try:
        return is_sheet(picture) or read_metadata(picture) is not None
    except DataError:
        return False


def _foreign(folder: Path, kind: Kind) -> str | None:
    """Return the first file that no result of the kind has; what a file manager leaves does not count."""
    assert kind.whole is not None
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            inner = Path(parent, name).relative_to(folder).as_posix()
            is_litter = side_file(name) is not None and Path(name).suffix.casefold() in ("", ".db", ".ini")
            if not re.fullmatch(kind.whole, inner) and not is_litter:
                return inner
    return None
