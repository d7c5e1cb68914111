"""Pictures inside zip and tar archives, read in place and never extracted.

An archive is as hostile as any file: names may try to climb out, sizes may lie, members may be encrypted or damaged. Nothing
of a name is ever used as a path on disk, and every read is cut at a limit on the bytes that really come out.

Names in a zip are UTF-8 when it says so, and code page 437 by the format's own rule when it does not. Many tools write other
bytes there without a word, so bytes that are UTF-8 are taken as such, and others are doubtful until their encoding is named.
"""

import atexit
import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath, PureWindowsPath

from artgan.errors import ConfigError, DataError

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
_UNREAD = {".rar": "RAR", ".7z": "7-Zip", ".tar.zst": "Zstandard", ".lha": "LHA", ".lzh": "LHA", ".sit": "StuffIt"}
MAX_MEMBERS = 2_000_000
MAX_MEMBER_BYTES = 512 << 20
MAX_RATIO = 1000
_PART_BYTES = 1 << 20
_RATIO_COUNTS_FROM_BYTES = 1 << 20
_DAMAGED = (
    *(OSError, EOFError, ValueError, RuntimeError, NotImplementedError),
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError),
)
_UTF8_FLAG, _UNICODE_PATH = 0x800, 0x7075


@dataclass(frozen=True)
class Member:
    """A file in an archive.

    Attributes:
        key: its name as the archive's reader knows it, for `read_member`.
        name: its name for people, with forward slashes.
        doubtful: whether the name's encoding is neither said nor evident.
        not_read: why it is none that can be read, such as a link, or None.
    """

    key: str
    name: str
    doubtful: bool = False
    not_read: str | None = None


def is_archive(name: str) -> bool:
    """Return whether a file name is that of an archive."""
    return name.lower().endswith(SUFFIXES)


def unread_kind(name: str) -> str | None:
    """Return the kind of an archive that cannot be read in place, by its file name, or None."""
    return next((kind for suffix, kind in _UNREAD.items() if name.lower().endswith(suffix)), None)


def stem(name: str) -> str:
    """Return the name of an archive without its suffix, and any other name as it is."""
    suffix = next((suffix for suffix in SUFFIXES if name.lower().endswith(suffix)), "")
    return name[: len(name) - len(suffix)] or name


def members(path: Path, encoding: str | None = None) -> list[Member]:
    """Return the files in an archive, sorted by name.

    Args:
        path: of the archive.
        encoding: of names in a zip that are not marked as UTF-8.

    Raises:
        DataError: it is no archive, or it claims more members than any collection has.
        ConfigError: there is no such encoding.
    """
    try:
        "".encode(encoding or "utf-8")
    except LookupError:
        raise ConfigError(
            f"--zip-encoding {encoding}: no encoding of that name; such as cp932, gb18030, cp866 or cp850"
        ) from None
    try:
        if path.name.lower().endswith(".zip"):
            found = {info.filename: _zip_member(info, encoding) for info in _zip(path).infolist() if not info.is_dir()}
        else:
            found = {member.name: _tar_member(member) for member in _tar(path)[1].values()}
    except _DAMAGED as error:
        raise DataError(f"{path} is not a readable archive: {error}") from error
    if len(found) > MAX_MEMBERS:
        raise DataError(f"{path} has {len(found):,} members, the limit is {MAX_MEMBERS:,}")
    return sorted(found.values(), key=lambda member: (member.name, member.key))


def read_member(path: Path, key: str) -> bytes:
    """Return one member's bytes.

    Raises:
        DataError: its name climbs out of the archive, it is encrypted, damaged, larger than 512 MB, or unpacks to over 1000
            times its size; the message is the reason and does not name the member.
    """
    name = PurePosixPath(key.replace("\\", "/"))
    if name.is_absolute() or PureWindowsPath(str(name)).is_absolute() or ".." in name.parts or "\0" in key:
        raise DataError("its name leads out of the archive")
    try:
        return _read_zip(path, key) if path.name.lower().endswith(".zip") else _read_tar(path, key)
    except DataError:
        raise
    except MemoryError:
        raise DataError("needs more memory than there is") from None
    except _DAMAGED as error:
        raise DataError(f"damaged in the archive: {error}") from error


def _zip_member(info: zipfile.ZipInfo, encoding: str | None) -> Member:
    name, doubtful = _zip_name(info, encoding)
    is_link = stat.S_ISLNK(info.external_attr >> 16)
    return Member(info.filename, _plain(name), doubtful, _link_to("another file") if is_link else None)


def _zip_name(info: zipfile.ZipInfo, encoding: str | None) -> tuple[str, bool]:
    """Return the name of a member, and whether its encoding is a guess (APPNOTE 6.3.10, 4.4.4, 4.6.9 and D.1)."""
    if info.flag_bits & _UTF8_FLAG or info.filename.isascii():
        return info.filename, False
    raw = info.filename.encode("cp437")
    for candidate in (_unicode_path(info.extra, raw), raw):
        try:
            if candidate is not None:
                return candidate.decode("utf-8"), False
        except UnicodeDecodeError:
            continue
    try:
        return raw.decode(encoding or "cp437"), encoding is None
    except UnicodeDecodeError:
        return info.filename, True


def _unicode_path(extra: bytes, raw: bytes) -> bytes | None:
    """Return the UTF-8 name in a member's extra data, when it still belongs to the name beside it."""
    while len(extra) >= 4:
        kind, size = struct.unpack_from("<HH", extra)
        value, extra = extra[4 : 4 + size], extra[4 + size :]
        if kind == _UNICODE_PATH and value[:1] == b"\1" and value[1:5] == struct.pack("<I", zlib.crc32(raw)):
            return value[5:]
    return None


def _tar_member(member: tarfile.TarInfo) -> Member:
    reason = None
    if member.issym() or member.islnk():
        reason = _link_to(member.linkname)
    elif not member.isreg():
        reason = "neither a file nor a folder"
    return Member(member.name, _plain(member.name), not_read=reason)


def _plain(name: str) -> str:
    r"""Return a name with `/` for `\` and without `./`, as `tar -cf x.tar .` has it."""
    return str(PurePosixPath(name.replace("\\", "/")))


def _link_to(target: str) -> str:
    return f"a link within the archive to {target[:200]}, which is not followed"


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
    assert file is not None, "only regular files are read"
    parts, left = [], member.size
    while left and (part := file.read(min(left, _PART_BYTES))):  # memory for what is there, not for what is claimed
        parts.append(part)
        left -= len(part)
    if left:
        raise DataError("truncated in the archive")
    return b"".join(parts)


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
        if not member.isdir():
            by_name[member.name] = member
        if len(by_name) > MAX_MEMBERS:
            raise DataError(f"{path} has more than {MAX_MEMBERS:,} members")
    return archive, by_name
