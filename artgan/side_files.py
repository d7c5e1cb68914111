"""Side files: what systems, cameras and tools leave beside pictures, and what people write about them. None is a picture."""

from pathlib import PurePosixPath

_SYSTEM_FILES = frozenset(
    ".ds_store .directory .localized .nomedia .picasa.ini picasa.ini thumbs.db ehthumbs.db desktop.ini "
    ".gitattributes .gitignore .gitkeep .gitmodules".split()
) | {"icon\r"}
_SYSTEM_FOLDERS = frozenset(
    "__macosx @eadir .@__thumb .thumbnails .trashes .spotlight-v100 .fseventsd $recycle.bin #recycle "
    ".git .svn .hg .cache .ipynb_checkpoints".split()
) | {"system volume information"}
_TEXT_SUFFIXES = frozenset(
    ".txt .caption .json .jsonl .csv .tsv .xml .xmp .yaml .yml .ini .aae .nfo .srt .md .rst .log .py .ipynb".split()
)
_TEXT_NAMES = frozenset("readme license licence copying notice".split())


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
        return "a file manager's own" if not base.startswith(".git") else "Git's own"
    return "a caption or metadata" if path.suffix.casefold() in _TEXT_SUFFIXES or base in _TEXT_NAMES else None
