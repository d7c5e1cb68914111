"""The directions of a model as files: numbers for programs, sheets for people."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import save_file

from artgan.file_names import distinct_names
from artgan.generation.model_folder import Model
from artgan.generation.point import Point
from artgan.generation.sample import class_label, render
from artgan.images import captioned_grid, tiles_of
from artgan.overview import save_sheet
from artgan.progress import Listener, Progress, silent
from artgan.storage import building
from artgan.targets import check_replaceable

_COLUMNS = 7


def save_directions(
    model: Model, out: Path, seeds: Sequence[int], amount: float, on_progress: Listener = silent, class_name: str | None = None
) -> list[Path]:
    """Write `directions.safetensors`, `directions.json`, and a sheet for each seed; return the sheets.

    A row of a sheet is one direction, from -amount to amount; the picture of the seed is in the middle.

    Args:
        model: the model.
        out: an existing folder.
        seeds: of the sheets.
        amount: in standard deviations of W along the direction.
        on_progress: told after each sheet.
        class_name: of a conditional model: the directions and pictures of this class; default: of its first.

    Raises:
        CheckpointError: the model's weights are not finite.
        ConfigError: there is no such class, or a file is in the way that artgan did not make.
    """
    label = None if class_name is None else class_label(model, class_name)
    found = model.space.directions_of(label or 0)
    at = "" if label is None else f"@{label}"
    classes = () if label is None else ((label, 1.0),)
    sheets = [out / name for name in distinct_names([f"seed-{seed:04d}" for seed in seeds], ".png")]
    check_replaceable(sheets)
    tensors = {name: direction.step.contiguous() for name, direction in found.items()}
    with building(out / "directions.safetensors") as partial:
        save_file(tensors, partial, metadata={"model_hash": model.sha256})
    shares = {name: item.share for name, item in found.items()}
    facts: dict[str, Any] = {"format": 1, "model": model.name, "model_hash": model.sha256, "shares": shares}
    if class_name is not None:
        facts |= {"class": class_name, "label": label}
    (out / "directions.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    amounts = np.linspace(-amount, amount, _COLUMNS)
    for index, (seed, sheet) in enumerate(zip(seeds, sheets, strict=True)):
        base = Point(seed, classes=classes)
        points = [replace(base, moves=((f"{name}{at}", float(value)),)) for name in found for value in amounts]
        captions = [f"{name} {value:+.3g}" for name in found for value in amounts]
        tiles = tiles_of(render(model.space, points), len(points))
        save_sheet(sheet, captioned_grid(tiles, captions, _COLUMNS), "directions")
        on_progress(Progress("drawing", index + 1, len(seeds), "sheets"))
    return sheets
