"""Pictures that are dropped onto the page: copied into the workspace under plain names, bounded in number and bytes."""

import shutil
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from artgan.datasets.archives import is_archive
from artgan.decode.kinds import kind_of
from artgan.errors import DataError, StorageError
from artgan.file_names import distinct_names, plain_name
from artgan.side_files import side_file
from artgan.storage import building
from artgan.studio.workspace import Workspace, new_folder

MAX_FILES = 50_000
MAX_FILE_BYTES = 512 << 20
MAX_ARCHIVE_BYTES = 4 << 30
KEPT_FREE_BYTES = 1 << 30
_MAX_DEPTH = 4
_MAX_OPEN = 20
_HEAD_BYTES = 1024
_TGA = (".tga", ".targa", ".vda", ".icb", ".vst")


@dataclass
class _Drop:
    folder: Path
    files: int = 0
    taken: dict[Path, list[str]] = field(default_factory=lambda: defaultdict(list))


class Drops:
    """What is being dropped.

    Args:
        workspace: it goes into the `pictures/` of this one.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._open: dict[str, _Drop] = {}

    def begin(self, wanted: str) -> str:
        """Make a folder for a drop and return its name."""
        try:
            folder = new_folder(self._workspace.pictures, wanted)
            folder.mkdir()
        except OSError as error:
            raise StorageError(f"cannot write into {self._workspace.root} ({error.strerror})") from error
        self._open[folder.name] = _Drop(folder)
        while len(self._open) > _MAX_OPEN:
            del self._open[next(iter(self._open))]
        return folder.name

    def limit_of(self, name: str) -> int:
        """Return how many bytes a file of this name may have."""
        return MAX_ARCHIVE_BYTES if is_archive(name) else MAX_FILE_BYTES

    async def take(self, drop: str, name: str, content: AsyncIterator[bytes]) -> str:
        """Write one file of a drop and return its name there, with its folders.

        Args:
            drop: what `begin` returned.
            name: of the file, with the folders that it was in; each part becomes a plain name, what leads out is left out.
            content: its bytes, as they come.

        Raises:
            DataError: no such drop, too many files, or no picture.
            StorageError: no space, or not writable.
        """
        if drop not in self._open:
            raise DataError("this drop is over: drop the pictures again")
        opened = self._open[drop]
        if opened.files >= MAX_FILES:
            raise DataError(f"up to {MAX_FILES:,} files at a time; artgan prepare takes any number")
        *folders, own = [plain_name(part, "") for part in PurePosixPath(name.replace("\\", "/")).parts] or [""]
        folder = opened.folder.joinpath(*[part for part in folders if part][:_MAX_DEPTH])
        own = own or "picture"
        what = side_file(own)
        if what is not None:
            raise DataError(f"{own}: no picture, but {what}")
        opened.files += 1
        (free_name,) = distinct_names([Path(own).stem], Path(own).suffix, opened.taken[folder])
        opened.taken[folder].append(free_name)
        with _writing(folder / free_name) as partial, partial.open("wb") as file:
            head = b""
            async for part in content:
                if part and not head:
                    head = part[:_HEAD_BYTES]
                    _check_kind(own, head)
                file.write(part)
                if shutil.disk_usage(opened.folder).free < KEPT_FREE_BYTES:
                    raise StorageError(f"less than {KEPT_FREE_BYTES >> 30} GB would be free on the disk of {opened.folder}")
            if not head:
                raise DataError(f"{own}: is empty")
        return (folder / free_name).relative_to(opened.folder).as_posix()


@contextmanager
def _writing(path: Path) -> Iterator[Path]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with building(path) as partial:
            yield partial
    except OSError as error:
        raise StorageError(f"cannot write {path.name} into the workspace ({error.strerror})") from error


def _check_kind(name: str, head: bytes) -> None:
    """Refuse what is no picture by its first bytes; what pixels it has is seen when it is prepared."""
    if is_archive(name):
        return
    try:
        kind = kind_of(head)
    except DataError as error:
        raise DataError(f"{name}: {error}") from None
    if kind == "TGA" and not name.lower().endswith(_TGA):
        raise DataError(f"{name}: not a picture of a known format")
