"""Results on object storage, through fsspec (the `cloud` extra): unique keys, and the manifest last.

An object store has no folders to rename, so a result is made on this machine and travels when it is whole. Each file gets a key
of its own, `URL/SHA256/NAME` by its content, which nothing overwrites; then `URL/manifest.json` names them. Whoever reads meets
the earlier result or this one, never a mixture, and a delivery that is repeated sends only what is not there yet.
"""

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import artgan
from artgan.errors import ArtganError, DataError, StorageError
from artgan.progress import Listener, track
from artgan.storage import MANIFEST, building, check_format, file_sha256
from artgan.weights import is_offline

T = TypeVar("T")
FORMAT = 1
_KEY_LETTERS = 32
_MAX_MANIFEST_BYTES = 64 << 20
_HERE = ("file", "local", "memory")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def is_url(text: str) -> bool:
    """Return whether a source or a place is a URL such as `s3://bucket/scans` and not a path."""
    scheme, separator, _ = text.partition("://")
    return bool(separator) and scheme.isalnum()


def open_store(url: str, what: str = "source") -> tuple[Any, str]:
    """Return fsspec's file system of a URL, and the path in it.

    Raises:
        StorageError: the extra is missing, or `--offline` forbids it.
        DataError: fsspec knows no such scheme.
    """
    scheme = url.partition("://")[0].lower()
    if scheme not in _HERE and is_offline():
        raise StorageError(f"{what} {url}: --offline forbids to reach it; copy it by other means and give the folder")
    try:
        from fsspec.core import url_to_fs

        return url_to_fs(url)
    except ImportError as error:
        raise StorageError(f"{what} {url} needs more packages: pip install 'artgan[cloud]' ({error})") from error
    except ValueError as error:
        raise DataError(f"{what} {url}: {error}") from error


def reason_of(error: Exception) -> str:
    """Return an error of a store in one line."""
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__


def holds_result(url: str) -> bool:
    """Return whether a result was delivered to a URL."""
    system, root = open_store(url, "result")
    return bool(_asking(url, lambda: system.exists(f"{root}/{MANIFEST}")))


def deliver(made: Path, url: str, on_progress: Listener) -> int:
    """Send a file or all files of a folder to a URL; return how many bytes were not there yet.

    Files whose names begin with a dot are work in progress, and stay.

    Raises:
        StorageError: the store does not take them; what an earlier manifest names is as it was.
    """
    system, root = open_store(url, "result")
    whole = [made] if made.is_file() else sorted(path for path in made.rglob("*") if path.is_file())
    paths = {path.relative_to(made.parent if made.is_file() else made).as_posix(): path for path in whole}
    paths = {name: path for name, path in paths.items() if not any(part.startswith(".") for part in name.split("/"))}
    entries, sent = {}, 0
    for name, path in track(paths.items(), "sending results", len(paths), "files", on_progress):
        sha256, size = file_sha256(path), path.stat().st_size
        key = f"{sha256[:_KEY_LETTERS]}/{path.name}"
        if _asking(url, lambda key=key: _size(system, f"{root}/{key}")) != size:  # type: ignore[misc]
            _asking(url, lambda key=key, path=path: _send(system, path, f"{root}/{key}"))  # type: ignore[misc]
            sent += size
        entries[name] = {"key": key, "sha256": sha256, "bytes": size}
    content = {"format": FORMAT, "artgan": artgan.__version__, "files": entries}
    text = (json.dumps(content, indent=2) + "\n").encode()
    _asking(url, lambda: system.pipe_file(f"{root}/{MANIFEST}", text))
    return sent


def fetch(url: str, folder: Path, on_progress: Listener) -> Path:
    """Bring a delivered result to this machine; return its folder in `folder`, where it stays for the next time.

    Raises:
        DataError: nothing was delivered there, the manifest is damaged, or a file is not the one that it names.
        StorageError: the store or the disk fails.
    """
    system, root = open_store(url)
    try:
        with system.open(f"{root}/{MANIFEST}", "rb") as file:
            text = file.read(_MAX_MANIFEST_BYTES + 1)
    except Exception as error:  # every store has errors of its own
        raise DataError(f"{url}: no result of artgan can be read there ({reason_of(error)})") from error
    entries = _entries(text, url)
    target = folder / hashlib.sha256(text).hexdigest()[:_KEY_LETTERS] / PurePosixPath(root).name
    if target.is_dir():
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with building(target, by_many=True) as partial:
            for name, entry in track(entries.items(), "fetching", len(entries), "files", on_progress):
                _fetch_file(system, f"{root}/{entry['key']}", partial / name, entry["sha256"], url)
    except (OSError, ValueError) as error:  # a name that no disk can have, too
        raise StorageError(f"{url}: cannot be kept in {target}: {error}") from error
    return target


def _fetch_file(system: Any, key: str, path: Path, sha256: str, url: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    _asking(url, lambda: system.get_file(key, str(path)))
    if not path.is_file() or file_sha256(path) != sha256:
        raise DataError(f"{url}: {key} is not the file that {MANIFEST} names; deliver it again")


def _entries(text: bytes, url: str) -> dict[str, dict[str, Any]]:
    """Return what a manifest names, by names that lie within a folder."""
    try:
        if len(text) > _MAX_MANIFEST_BYTES:
            raise ValueError("too large")
        content: dict[str, Any] = json.loads(text)
        files: dict[str, Any] = content["files"]
        whole = isinstance(files, dict) and all(_is_entry(name, entry) for name, entry in files.items())
    except (ValueError, KeyError, TypeError, RecursionError):
        whole = False
    if not whole:
        raise DataError(f"{url}/{MANIFEST}: is no manifest of a result, or is damaged")
    check_format(content, FORMAT, f"{url}/{MANIFEST}", DataError)
    return files


def _is_entry(name: str, entry: Any) -> bool:
    sha256, key = entry["sha256"], entry["key"]
    inside = re.fullmatch(r"[^/\\\0:]+(/[^/\\\0:]+)*", name) and ".." not in name.split("/") and "." not in name.split("/")
    return bool(inside and _SHA256.fullmatch(sha256) and key == f"{sha256[:_KEY_LETTERS]}/{name.rpartition('/')[2]}")


def _size(system: Any, path: str) -> int | None:
    return int(system.info(path)["size"]) if system.exists(path) else None


def _send(system: Any, path: Path, key: str) -> None:
    system.makedirs(key.rpartition("/")[0], exist_ok=True)  # which stores without folders take as done
    system.put_file(str(path), key)
    if _size(system, key) != path.stat().st_size:
        raise OSError(f"{key} did not arrive whole")


def _asking(url: str, ask: Callable[[], T]) -> T:
    """Ask a store, and turn what it raises into artgan's own error."""
    try:
        return ask()
    except ArtganError:
        raise
    except Exception as error:  # every store has errors of its own
        raise StorageError(f"{url}: the store refuses ({reason_of(error)})") from error
