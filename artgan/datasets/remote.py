"""Pictures behind URLs: object stores, data hubs and web folders, through fsspec (the `cloud` extra)."""

from dataclasses import dataclass
from typing import Any

from artgan.errors import DataError
from artgan.object_store import open_store, reason_of

MAX_FILE_BYTES = 512 << 20


@dataclass(frozen=True)
class Remote:
    """A file behind a URL: its name below the source, and what changes when it does, as the listing tells it."""

    url: str
    name: str
    version: tuple[str, ...]


def files_below(url: str) -> list[Remote]:
    """Return every file of a URL: a folder, one file, or a pattern with `*`. One listing; no request for each file.

    Raises:
        DataError: nothing is there, or it cannot be listed.
        StorageError: the extra is missing, or `--offline` forbids it.
    """
    system, path = open_store(url)
    try:
        if "*" in path:
            root = path[: path.index("*")].rpartition("/")[0]
            found = system.glob(path, detail=True)
        elif system.isfile(path) and not path.endswith("/"):
            root, found = path.rpartition("/")[0], {path: system.info(path)}
        else:
            root, found = path.rstrip("/"), system.find(path, detail=True)
    except Exception as error:  # every store has errors of its own
        raise DataError(f"source {url} cannot be listed: {reason_of(error)}") from error
    files = [
        Remote(system.unstrip_protocol(match), match.removeprefix(root).lstrip("/"), _version(facts))
        for match, facts in found.items()
        if facts.get("type", "file") == "file"
    ]
    if not files:
        raise DataError(f"source {url}: no files there")
    return sorted(files, key=lambda file: file.url)


def _version(facts: dict[str, Any]) -> tuple[str, ...]:
    """Return a file's size, and the store's tag or time of change where it tells one."""
    keys = ("size", "ETag", "etag", "blob_id", "LastModified", "last_modified", "mtime", "created")
    return tuple(str(facts[key]) for key in keys if facts.get(key) is not None)[:2]


def read_url(url: str) -> bytes:
    """Return the bytes behind a URL.

    Raises:
        DataError: it cannot be read, or is larger than 512 MB.
    """
    system, path = open_store(url)
    try:
        with system.open(path, "rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except Exception as error:
        raise DataError(f"cannot be read: {reason_of(error)}") from error
    if len(data) > MAX_FILE_BYTES:
        raise DataError(f"larger than {MAX_FILE_BYTES / 1e6:.0f} MB")
    return data


def open_url(url: str) -> Any:
    """Open a URL as a file with random access, so that a part of it can be read.

    Raises:
        DataError: it cannot be opened.
    """
    system, path = open_store(url)
    try:
        return system.open(path, "rb")
    except Exception as error:
        raise DataError(f"source {url} cannot be opened: {reason_of(error)}") from error
