"""Folders of files with a manifest of their sha256, written whole or not at all: checkpoints and models.

safetensors has no checksum of its own; a flipped bit would load in silence.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from artgan.errors import CheckpointError

MANIFEST = "manifest.json"


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


def flush_to_disk(path: Path) -> None:
    """Make a written file or a renamed entry of a folder survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


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
