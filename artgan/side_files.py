"""Side files: what systems, cameras and tools leave beside pictures, and what people write about them. None is a picture."""

from pathlib import PurePosixPath

_SYSTEM_FILES = frozenset(
    ".ds_store .directory .localized .nomedia .picasa.ini picasa.ini thumbs.db ehthumbs.db desktop.ini".split()
) | {"icon\r"}
_SYSTEM_FOLDERS = frozenset(
    "__macosx @eadir .@__thumb .thumbnails .trashes .spotlight-v100 .fseventsd $recycle.bin #recycle".split()
) | {"system volume information"}
_TEXT_SUFFIXES = frozenset(".txt .caption .json .jsonl .csv .tsv .xml .xmp .yaml .yml .ini .aae .nfo .srt".split())


def side_file(name: str) -> str | None:
    """Return in words what a side file is, by its name with its folders, or None for what may be a picture."""
    path = PurePosixPath(name)
    folder = next((part for part in path.parts[:-1] if part.casefold() in _SYSTEM_FOLDERS), None)
    base = path.name.casefold()
    if base.startswith("._"):
        return "AppleDouble: what macOS keeps beside a file"
    if folder is not None:
        return f"a system's own, in {folder}"
    if base in _SYSTEM_FILES:
        return "a file manager's own"
    return "a caption or metadata" if path.suffix.casefold() in _TEXT_SUFFIXES else None
