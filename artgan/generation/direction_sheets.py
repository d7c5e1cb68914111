"""The directions of a model as files: numbers for programs, sheets for people."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from safetensors.torch import save_file

from artgan.generation.model_folder import Model
from artgan.generation.point import Point
from artgan.generation.sample import render
from artgan.images import captioned_grid
from artgan.overview import save_sheet
from artgan.progress import Listener, Progress, silent

_COLUMNS = 7


def save_directions(model: Model, out: Path, seeds: Sequence[int], amount: float, on_progress: Listener = silent) -> list[Path]:
    """Write `directions.safetensors`, `directions.json`, and a sheet for each seed; return the sheets.

    A row of a sheet is one direction, from -amount to amount; the picture of the seed is in the middle.

    Args:
        model: the model.
        out: an existing folder.
        seeds: of the sheets.
        amount: in standard deviations of W along the direction.
        on_progress: told after each sheet.
    """
    found = model.space.directions
    tensors = {name: direction.step.contiguous() for name, direction in found.items()}
    save_file(tensors, out / "directions.safetensors", metadata={"model_hash": model.sha256})
    facts = {"model": model.name, "model_hash": model.sha256, "shares": {name: item.share for name, item in found.items()}}
    (out / "directions.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    amounts = np.linspace(-amount, amount, _COLUMNS)
    sheets = []
    for index, seed in enumerate(seeds):
        points = [replace(Point(seed), moves=((name, float(value)),)) for name in found for value in amounts]
        captions = [f"{name} {value:+.3g}" for name in found for value in amounts]
        sheets.append(out / f"seed-{seed:04d}.png")
        pixels = captioned_grid(np.stack(list(render(model.space, points))), captions, _COLUMNS)
        save_sheet(sheets[-1], pixels, "directions")
        on_progress(Progress("drawing", index + 1, len(seeds), "sheets"))
    return sheets
