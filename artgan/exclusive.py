"""One process at a time: a lock that the system drops when its holder ends, however it ends."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from artgan.errors import ArtganError


@contextmanager
def only_one(lock_file: Path, busy: ArtganError) -> Iterator[None]:
    """Hold a lock while the block runs.

    Args:
        lock_file: in an existing folder; it is removed at the end.
        busy: raised when another process holds the lock.
    """
    lock = FileLock(lock_file)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise busy from None
    try:
        yield
    finally:
        lock_file.unlink(missing_ok=True)
        lock.release()
