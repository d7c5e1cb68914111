"""What a picture, a model, a collection or a run is, in a few facts."""

from pathlib import Path
from typing import Any

from artgan.errors import DataError
from artgan.schema.strict_yaml import parse_document


def describe(path: Path) -> dict[str, Any]:
    """Return facts about whatever artgan made or can read, as plain JSON values.

    Raises:
        DataError: there is nothing, or it is none of these.
        CheckpointError: a model folder is damaged.
    """
    if path.is_dir():
        if (path / "collection.json").is_file():
            return _collection(path)
        if (path / "config.json").is_file():
            return _model(path)
        if (path / "config.yaml").is_file():
            return _run(path)
        raise DataError(f"{path}: is neither a collection, nor a model, nor a run of artgan")
    if path.is_file():
        return _picture(path)
    raise DataError(f"{path}: no such file or folder")


def _collection(path: Path) -> dict[str, Any]:
    from collections import Counter

    from artgan.datasets.collection import open_collection, read_index
    from artgan.datasets.journal import first_of_file

    collection = open_collection(path)
    lines = read_index(path)
    per_class = Counter(line["label"] for line in lines if line["status"] == "kept")
    return {
        "kind": "collection",
        "size": f"{collection.width}x{collection.height} px",
        "training": len(collection.train_rows),
        "holdout": len(collection.holdout_rows),
        "works": _works([line for line in lines if line["status"] == "kept" and first_of_file(line)]),
        "files": dict(Counter(line["status"] for line in lines if first_of_file(line))),
        "rejected": dict(Counter(line["reason"] for line in lines if line["status"] == "rejected")),
        "classes": dict(sorted(per_class.items())) if collection.classes else {},
        "profiles": dict(Counter(line["profile"] for line in lines if line.get("profile"))),
        "rights": list(collection.rights),
        "pixel_hash": collection.pixel_hash,
    }


def _works(kept: list[dict[str, Any]]) -> dict[str, str]:
    """Return the spread of the kept files' sizes and shapes, as smallest, median and largest."""
    from statistics import median

    sides = [min(line["width"], line["height"]) for line in kept]
    aspects = [line["width"] / line["height"] for line in kept]
    return {
        "short_side_px": f"{min(sides)}, {median(sides):.0f}, {max(sides)}",
        "width / height": f"{min(aspects):.2f}, {median(aspects):.2f}, {max(aspects):.2f}",
    }


def _model(path: Path) -> dict[str, Any]:
    from artgan.storage import read_sealed_json, verify_seal

    digests = verify_seal(path)
    return {"kind": "model", "sha256": digests["model.safetensors"], **read_sealed_json(path / "config.json")}


def _run(path: Path) -> dict[str, Any]:
    from artgan.training.status import STATUS_FILE, read_status

    try:
        status = read_status(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path / STATUS_FILE} cannot be read: {error}") from error
    return {
        "kind": "run",
        **status,
        "checkpoints": sorted(folder.name for folder in (path / "checkpoints").glob("images-*")),
        "models": sorted(folder.name for folder in (path / "model").glob("[!.]*")),
        "config": parse_document(path / "config.yaml").data,
    }


def _picture(path: Path) -> dict[str, Any]:
    from artgan.decode import decode_file
    from artgan.metadata import read_metadata

    picture = decode_file(path)
    return {
        "kind": "picture",
        "format": picture.format,
        "mode": picture.mode,
        "size": f"{picture.width}x{picture.height} px",
        "profile": picture.profile,
        "notes": list(picture.notes),
        "made_by_artgan": read_metadata(path),
    }
