"""`--out URL` and `--collection URL`: a verb works in a folder of this machine, and what it makes travels when it is whole."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from artgan.cli.terminal import hearing
from artgan.errors import ConfigError, StorageError
from artgan.object_store import deliver, fetch, holds_result, is_url
from artgan.storage import remove, write_whole
from artgan.weights import OFFLINE_VARIABLE, cache_dir

_MAKE_NOTHING = ("--dry-run", "--help", "-h")
_GO_ON = ("prepare", "refine")  # a killed one goes on from what is in its folder
_MADE = "made.json"


def run_delivering(words: list[str], run: Callable[[list[str]], None]) -> None:
    """Run a command whose `--out` may be a URL.

    Args:
        words: of the command line.
        run: runs a command; it may end with `SystemExit`.

    Raises:
        ConfigError: results are there already, and `--force` was not given.
        StorageError: they cannot be delivered; what was made is kept, and the same command delivers it.
    """
    if "--offline" in words:
        os.environ[OFFLINE_VARIABLE] = "1"  # a store is asked before the words are parsed
    quiet = "--quiet" in words
    words = _with_collection_here(words, quiet)
    place = _value_of(words, "--out")
    url = "" if place is None else words[place].removeprefix("--out=").rstrip("/")
    if place is None or not is_url(url):
        run(words)
        return
    name = PurePosixPath(url.partition("://")[2]).name
    if not name:
        raise ConfigError(f"--out {url}: give a place below it, such as {url}/results")
    folder = cache_dir() / "results" / hashlib.sha256(url.encode()).hexdigest()[:32]
    words[place] = f"--out={folder / name}" if words[place].startswith("--out=") else str(folder / name)
    if any(word in _MAKE_NOTHING for word in words):
        run(words)
        return
    if "--force" not in words and holds_result(url):
        raise ConfigError(f"--out {url}: results were delivered there; choose another place, or replace them with --force")
    _make(words, run, folder)
    with hearing(quiet=quiet) as listen:
        try:
            sent = deliver(folder / name, url, listen)
        except StorageError as error:
            raise StorageError(f"{error}; what was made is kept in {folder}, and the same command delivers it") from error
    remove(folder)
    if not quiet:
        print(
            f"delivered to {url}: {sent / 1e6:,.1f} MB; manifest.json names every file; the folder on this machine is gone",
            flush=True,
        )


def _make(words: list[str], run: Callable[[list[str]], None], folder: Path) -> None:
    """Run a verb into a folder that is kept until all of it was delivered; what is made already is not made again."""
    asked, made = json.dumps(words), folder / _MADE
    if made.is_file() and made.read_text(encoding="utf-8") == asked:
        return
    if made.is_file() and "--force" not in words:
        raise ConfigError(
            f"{folder} holds what another command made for the same place and could not deliver: repeat that command, or "
            f"leave it behind with --force"
        )
    if made.is_file() or not any(word in _GO_ON for word in words if not word.startswith("-")):
        remove(folder)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        run(words)
    except SystemExit as end:
        if end.code:
            raise
    write_whole(folder / _MADE, asked)


def _with_collection_here(words: list[str], quiet: bool) -> list[str]:
    """Return the words with a collection that lies behind a URL brought to this machine."""
    words = list(words)
    place = _value_of(words, "--collection")
    if place is not None and is_url(url := words[place].removeprefix("--collection=")):
        with hearing(quiet=quiet) as listen:
            here = fetch(url.rstrip("/"), cache_dir() / "fetched", listen)
        words[place] = f"--collection={here}" if words[place].startswith("--") else str(here)
    return words


def _value_of(words: list[str], flag: str) -> int | None:
    """Return where the value of a flag stands, as a word or after `=`."""
    for index, word in enumerate(words):
        if word == "--":
            break
        if word.startswith(f"{flag}="):
            return index
        if word == flag and index + 1 < len(words):
            return index + 1
    return None
