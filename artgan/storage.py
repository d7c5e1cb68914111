"""Writing that a kill, a full disk or a reader at the wrong moment cannot spoil; the one module that renames.

Files and folders are made beside their place and moved there when they are whole. Folders that must not change carry a
manifest with the sha256 of each file: safetensors has no checksum of its own, so a flipped bit would load in silence. A lock
keeps a folder to one process.
"""

import errno
import hashlib
import json
import os
import platform
import shutil
import stat
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from filelock import FileLock, Timeout

import artgan
from artgan.errors import ArtganError, CheckpointError, StorageError

MANIFEST = "manifest.json"
_NO_LINKS = (errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EXDEV, errno.EMLINK)
_NO_FOLDER_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP)
_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS)
_PRIVATE = 0o600
_WHILE_LOOKED_AT = 0.2  # seconds; whoever asks `is_held` has the lock for a moment


def write_whole(path: Path, content: bytes | str) -> None:
    """Write a file in one step: a reader never meets half of it. Text becomes UTF-8.

    Raises:
        StorageError: it cannot be written; what is there stays.
    """
    try:
        with building(path) as partial:
            partial.write_bytes(content.encode() if isinstance(content, str) else content)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror or error}") from error


def write_made(path: Path, text: str) -> None:
    """Write a file that a user asked for in one step, and make the folder that it is in.

    Raises:
        StorageError: it cannot be written; what was there stays.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot make {path.parent} ({error.strerror})") from error
    write_whole(path, text)


def append_whole(file: BinaryIO, record: bytes) -> None:
    """Add a record to a file that was opened to append without a buffer (`"ab"`, `buffering=0`), whole or not at all.

    Raises:
        OSError: it cannot be written, as on a full disk; the file ends where it did.
    """
    end = file.seek(0, os.SEEK_END)
    try:
        rest = memoryview(record)
        while rest:
            rest = rest[file.write(rest) :]
    except OSError:
        with suppress(OSError):
            file.truncate(end)
        raise


@contextmanager
def building(path: Path, *, by_many: bool = False) -> Iterator[Path]:
    """Yield a free name beside `path`, for a file or a folder; when the block ends, what was made under it moves to `path`.

    When the block fails, what was made goes away and what is at `path` stays.

    Args:
        path: the place, in an existing folder; what is there is replaced.
        by_many: several processes may make the same file at the same time, as in a cache; the last one stays.
    """
    mark = f"{platform.node()}-{os.getpid()}-" if by_many else ""
    partial = path.with_name(f".partial-{mark}{path.name}")
    remove(partial)
    try:
        yield partial
        _open_to_others(partial)
        move(partial, path)
    except BaseException:
        remove(partial)
        raise


def move(source: Path, target: Path) -> None:
    """Move a file or a folder to `target`, in the place of what is there.

    A folder cannot be replaced in one step: the old one is set aside, and comes back if the new one cannot take its place.

    Raises:
        OSError: it cannot be moved; what was at `target` stays.
    """
    if not target.is_dir() and not (source.is_dir() and target.exists()):
        os.replace(source, target)
        return
    aside = target.with_name(f".replaced-{target.name}")
    remove(aside)
    os.replace(target, aside)
    try:
        os.replace(source, target)
    except OSError:
        os.replace(aside, target)
        raise
    remove(aside)


def remove(path: Path) -> None:
    """Remove a file or a folder with all that is in it, as far as that is possible; nothing there is no error."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def share(source: Path, target: Path) -> None:
    """Give a file a second name, or a copy where the drive has no hard links: exFAT, FAT, many mounted ones."""
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        shutil.copyfile(source, target)


def flush_to_disk(path: Path) -> None:
    """Make a written file or a renamed entry of a folder survive a power cut; some drives cannot flush a folder."""
    if sys.platform == "win32" and path.is_dir():
        return  # it has no such thing
    descriptor = os.open(path, os.O_RDWR if sys.platform == "win32" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC or not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise
    finally:
        os.close(descriptor)


def _open_to_others(made: Path) -> None:
    """Give files that a library made private the mode that others here have: safetensors makes them 0600."""
    files = [made] if made.is_file() else [path for path in made.rglob("*") if path.is_file()]
    private = [path for path in files if not path.is_symlink() and stat.S_IMODE(path.stat().st_mode) == _PRIVATE]
    if not private:
        return
    probe = made.with_name(f"{made.name}.mode")  # a new file shows the mode; asking for the umask would change it for a moment
    try:
        probe.touch()
        mode = stat.S_IMODE(probe.stat().st_mode)
    finally:
        remove(probe)
    for path in private:
        with suppress(OSError):  # a drive without modes
            path.chmod(mode)


@contextmanager
def only_one(lock_file: Path, busy: ArtganError) -> Iterator[None]:
    """Hold a lock while the block runs.

    Args:
        lock_file: in an existing folder; it is removed at the end.
        busy: raised when another process holds the lock.

    Raises:
        StorageError: the drive has no locks.
    """
    lock = FileLock(lock_file)
    try:
        lock.acquire(timeout=_WHILE_LOOKED_AT, poll_interval=_WHILE_LOOKED_AT / 10)
    except Timeout:
        raise busy from None
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        raise StorageError(
            f"{lock_file.parent}: its drive cannot lock files ({error.strerror}), so nothing would keep two processes apart; "
            f"choose a folder on a drive of this machine and copy the result, or mount the drive with locks"
        ) from error
    try:
        yield
    finally:
        with suppress(PermissionError):  # Windows removes no file that is open; an unheld one is no hindrance
            lock_file.unlink(missing_ok=True)
        lock.release()


def is_held(lock_file: Path) -> bool:
    """Return whether a process of this machine holds a lock of `only_one`."""
    if not lock_file.exists():
        return False
    lock = FileLock(lock_file)
    try:
        lock.acquire(timeout=0)
    except (Timeout, OSError):
        return True
    lock.release()
    return False


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file's bytes, as 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def seal(folder: Path) -> None:
    """Write the manifest of all files in a folder and flush everything to disk."""
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.name != MANIFEST)
    digests = {path.name: {"sha256": file_sha256(path), "bytes": path.stat().st_size} for path in files}
    (folder / MANIFEST).write_text(json.dumps(digests, indent=2) + "\n", encoding="utf-8")
    for path in [*files, folder / MANIFEST, folder]:
        flush_to_disk(path)


def verify_seal(folder: Path) -> dict[str, str]:
    """Check every file of a sealed folder against its manifest; return the sha256 of each.

    Raises:
        CheckpointError: the manifest is missing or unreadable, or a file is missing, cut or changed; names the file.
    """
    entries = read_sealed_json(folder / MANIFEST)
    digests = {}
    for name, entry in entries.items():
        path = folder / name
        if Path(name).name != name or not isinstance(entry, dict):
            raise CheckpointError(f"{folder / MANIFEST}: entry '{name}' is not a file of this folder; the folder is damaged")
        if not path.is_file():
            raise CheckpointError(f"{path} is missing, {MANIFEST} lists it; restore the folder from a copy")
        size = path.stat().st_size
        if size != entry.get("bytes"):
            raise CheckpointError(f"{path} is damaged: it has {size} bytes, {MANIFEST} says {entry.get('bytes')}")
        digests[name] = file_sha256(path)
        if digests[name] != entry.get("sha256"):
            raise CheckpointError(f"{path} is damaged: its sha256 is not the one in {MANIFEST}")
    return digests


def misfits(expected: Mapping[str, Any], stored: Mapping[str, Any]) -> str | None:
    """Return in words how the tensors of a file differ in name or shape from those that are expected, or None."""
    names = [name for name in expected if name not in stored or tuple(stored[name].shape) != tuple(expected[name].shape)]
    names += [name for name in stored if name not in expected]
    return f"{len(names)} tensors differ, first {', '.join(names[:3])}" if names else None


def check_format(content: Mapping[str, Any], reads: int, what: str, error: type[ArtganError]) -> None:
    """Refuse what another version of artgan wrote in a format that this one does not read.

    Args:
        content: what a file says about itself under `format`; files of kinds that had none at first are of format 1.
        reads: the format that this artgan reads.
        what: the file or folder, for the message.
        error: the class of error to raise.

    Raises:
        ArtganError: of the class, naming both formats.
    """
    found = content.get("format", 1)
    if found != reads:
        wrote = f", written by artgan {str(content['artgan'])[:20]}" if "artgan" in content else ""
        raise error(
            f"{what} has format {str(found)[:20]}{wrote}, this artgan reads {reads} (version {artgan.__version__}): update "
            f"artgan, or use the version that wrote it"
        )


def read_sealed_json(path: Path) -> dict[str, Any]:
    """Read a JSON object from a sealed folder.

    Raises:
        CheckpointError: missing or not an object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: expected an object, got a {type(content).__name__}")
    return content
