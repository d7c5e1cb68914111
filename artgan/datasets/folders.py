"""A walk through a folder that loses nothing in silence: what cannot be entered or read is found too, with the reason."""

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from artgan.datasets.fates import PASSED_OVER, REJECTED, Fate
from artgan.datasets.source_file import as_text


def walk(folder: Path, leave_out: Sequence[Path] = ()) -> Iterator[tuple[Path, Fate | None]]:
    """Yield every file below a folder, and with their fate every folder, link or thing that leads to none.

    Args:
        folder: where to begin.
        leave_out: what is no part of it, with all that lies below.
    """
    hidden = {(path.name, path.parent.resolve()) for path in leave_out}
    names = {name for name, _ in hidden}
    failures: list[OSError] = []
    for parent, folders, files in os.walk(folder, onerror=failures.append):
        if names.intersection(folders + files):
            here = Path(parent).resolve()
            folders[:] = [name for name in folders if (name, here) not in hidden]
            files = [name for name in files if (name, here) not in hidden]
        for name in folders:
            path = Path(parent, name)
            if path.is_symlink():
                yield path, Fate(PASSED_OVER, "a link to a folder, which is not followed: give that folder as a source")
        for name in files:
            path = Path(parent, name)
            yield path, fate_of(path)
    for failure in failures:
        yield Path(failure.filename), Fate(REJECTED, f"a folder that cannot be read: {failure.strerror}")


def fate_of(path: Path) -> Fate | None:
    """Return None for a regular file, or what keeps a path from being one."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        if path.is_symlink() and error.errno in (errno.ENOENT, errno.ELOOP, errno.ENOTDIR):
            return Fate(REJECTED, f"a link that leads nowhere: {as_text(os.readlink(path))[:200]}")
        return Fate(REJECTED, f"cannot be read: {error.strerror}")
    if stat.S_ISREG(mode):
        return None
    if stat.S_ISDIR(mode):
        return Fate(PASSED_OVER, "a folder that the pattern matches: end the pattern with /** to take what lies below")
    return Fate(PASSED_OVER, "neither a file nor a folder")
