"""Pictures inside zip and tar archives, read in place and never extracted.

An archive is as hostile as any file: names may try to climb out, sizes may lie, members may be encrypted or damaged. Nothing
of a name is ever used as a path on disk, and every read is cut at a limit on the bytes that really come out.
"""

import atexit
import tarfile
import zipfile
import zlib
from functools import lru_cache
from pathlib import Path, PurePosixPath

from artgan.errors import DataError

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
MAX_MEMBERS = 2_000_000
MAX_MEMBER_BYTES = 512 << 20
MAX_RATIO = 1000
_RATIO_COUNTS_FROM_BYTES = 1 << 20
_DAMAGED = (OSError, EOFError, ValueError, RuntimeError, NotImplementedError, zipfile.BadZipFile, tarfile.TarError, zlib.error)


def is_archive(path: Path) -> bool:
    """Return whether a file name is that of an archive."""
    return path.name.lower().endswith(SUFFIXES)


def members(path: Path) -> list[str]:
    """Return the names of the files in an archive, sorted.

    Raises:
        DataError: it is no archive, or it claims more members than any collection has.
    """
    try:
        if path.name.lower().endswith(".zip"):
            names = [info.filename for info in _zip(path).infolist() if not info.is_dir()]
        else:
            names = [member.name for member in _tar(path)[1].values()]
    except _DAMAGED as error:
        raise DataError(f"{path} is not a readable archive: {error}") from error
    if len(names) > MAX_MEMBERS:
        raise DataError(f"{path} has {len(names):,} members, the limit is {MAX_MEMBERS:,}")
    return sorted(set(names))


def read_member(path: Path, name: str) -> bytes:
    """Return one member's bytes.

    Raises:
        DataError: its name climbs out of the archive, it is encrypted, damaged, larger than 512 MB, or unpacks to over 1000
            times its size; the message is the reason and does not name the member.
    """
    if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts or "\\" in name or "\0" in name:
        raise DataError("its name leads out of the archive")
    try:
        return _read_zip(path, name) if path.name.lower().endswith(".zip") else _read_tar(path, name)
    except DataError:
        raise
    except _DAMAGED as error:
        raise DataError(f"damaged in the archive: {error}") from error


def _read_zip(path: Path, name: str) -> bytes:
    archive = _zip(path)
    info = archive.getinfo(name)
    if info.flag_bits & 0x1:
        raise DataError("encrypted in the archive")
    limit = MAX_MEMBER_BYTES
    if info.compress_size * MAX_RATIO > _RATIO_COUNTS_FROM_BYTES:
        limit = min(limit, info.compress_size * MAX_RATIO)
    else:
        limit = min(limit, _RATIO_COUNTS_FROM_BYTES)
    with archive.open(info) as file:
        data = file.read(limit + 1)
        if len(data) > limit:
            raise DataError(f"unpacks to more than {limit / 1e6:.0f} MB, from {info.compress_size / 1e6:.1f} MB")
        file.read(1)  # the checksum is compared when the end is met
    return data


def _read_tar(path: Path, name: str) -> bytes:
    archive, by_name = _tar(path)
    member = by_name[name]
    if member.size > MAX_MEMBER_BYTES:
        raise DataError(f"larger than {MAX_MEMBER_BYTES / 1e6:.0f} MB")
    file = archive.extractfile(member)
    assert file is not None, "only regular files are listed"
    data = file.read(MAX_MEMBER_BYTES)
    if len(data) != member.size:
        raise DataError("truncated in the archive")
    return data


def _zip(path: Path) -> zipfile.ZipFile:
    return _open_zip(path, path.stat().st_mtime_ns)


def _tar(path: Path) -> tuple[tarfile.TarFile, dict[str, tarfile.TarInfo]]:
    return _open_tar(path, path.stat().st_mtime_ns)


# Archives stay open for as long as a process reads their members: a directory of 100,000 names is read once. The time of
# change is part of the key, so that a replaced archive is opened anew.
@lru_cache(maxsize=8)
def _open_zip(path: Path, mtime_ns: int) -> zipfile.ZipFile:
    archive = zipfile.ZipFile(path)
    atexit.register(archive.close)
    return archive


@lru_cache(maxsize=8)
def _open_tar(path: Path, mtime_ns: int) -> tuple[tarfile.TarFile, dict[str, tarfile.TarInfo]]:
    archive = tarfile.open(path)  # noqa: SIM115
    atexit.register(archive.close)
    by_name: dict[str, tarfile.TarInfo] = {}
    for member in archive:
        if member.isreg():
            by_name[member.name] = member
        if len(by_name) > MAX_MEMBERS:
            raise DataError(f"{path} has more than {MAX_MEMBERS:,} members")
    return archive, by_name
