"""A run, while it trains: what its folder says, read anew for each request and never written."""

import json
from pathlib import Path
from typing import Any

from artgan.errors import DataError
from artgan.evaluation.verdict import standing_of_lines, while_training
from artgan.metrics import in_unit, label
from artgan.overview import sample_sheets
from artgan.training.status import TRAINING, read_status

_ENTRY = ("value", "low", "high")
_MAX_POINTS = 400
_MAX_READ = 64 << 20


class Watch:
    """Reads a run folder.

    Args:
        run: the folder.
    """

    def __init__(self, run: Path) -> None:
        self.run = run
        self.name = run.resolve().name

    def facts(self) -> dict[str, Any]:
        """Return status, curves, evaluations, notes of the watchdog and where there are sheets of samples."""
        lines = self._lines()
        status = self._status()
        training = [line for line in lines if line.get("kind") == "train"]
        return {
            "name": self.name,
            "status": status,
            "standing": _standing(lines, status),
            "curves": _curves(training),
            "evaluations": [_evaluation(line) for line in lines if line.get("kind") == "metrics"],
            "notes": [_note(line) for line in lines if line.get("kind") not in ("train", "metrics")][-50:],
            "sheets": [images for images, _ in sample_sheets(self.run)],
        }

    def sheet(self, place: int) -> bytes:
        """Return a sheet of samples, by its place in `facts()["sheets"]`.

        Raises:
            DataError: there is none.
        """
        sheets = sample_sheets(self.run)
        if not 0 <= place < len(sheets):
            raise DataError(f"sheet: expected a number below {len(sheets)}")
        try:
            return sheets[place][1].read_bytes()
        except OSError as error:
            raise DataError(f"that sheet cannot be read: {error.strerror}") from error

    def _status(self) -> dict[str, Any]:
        try:
            return read_status(self.run)
        except (OSError, ValueError, RecursionError, DataError):
            return {"state": "unreadable"}

    def _lines(self) -> list[dict[str, Any]]:
        """Return the run's metrics lines; one that is being written is left out."""
        path = self.run / "metrics.jsonl"
        if not path.is_file() or path.stat().st_size > _MAX_READ:
            return []
        lines = []
        for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                line = json.loads(text)
            except (ValueError, RecursionError):
                continue
            if isinstance(line, dict) and isinstance(line.get("images_seen"), int):
                lines.append(line)
        return lines


def _standing(lines: list[dict[str, Any]], status: dict[str, Any]) -> dict[str, str] | None:
    """Return how the run stands and what to do next; None where its files do not say."""
    images_seen = status.get("images_seen")
    if not isinstance(images_seen, int) or not images_seen:
        return None
    try:
        stands = standing_of_lines([line for line in lines if "kind" in line], images_seen)
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError):  # a run folder may hold anything
        return None
    if status.get("state") == TRAINING:
        stands = while_training(stands)
    return {"kind": stands.kind, "sentence": stands.sentence, "typed": stands.advice.typed, "pressed": stands.advice.pressed}


def _curves(lines: list[dict[str, Any]]) -> dict[str, list[list[float]]]:
    """Return name -> [[kimg, value], ...] of every number that training logs, thinned to some hundreds of points."""
    stride = max(1, len(lines) // _MAX_POINTS)
    names = [name for name, value in (lines[-1] if lines else {}).items() if isinstance(value, float)]
    return {
        name: [[line["images_seen"] / 1000, line[name]] for line in lines[::stride] if isinstance(line.get(name), int | float)]
        for name in names
    }


def _evaluation(line: dict[str, Any]) -> dict[str, Any]:
    metrics = line.get("metrics")
    entries = metrics if isinstance(metrics, dict) else {}
    values = {name: entry for name, entry in entries.items() if isinstance(entry, dict)}
    floor = line.get("floor") if isinstance(line.get("floor"), dict) else {}
    assert isinstance(floor, dict)
    return {
        "kimg": line["images_seen"] / 1000,
        "metrics": {label(name): {key: _in_unit(name, entry.get(key)) for key in _ENTRY} for name, entry in values.items()},
        "real": {label(name): _in_unit(name, entry.get("value")) for name, entry in floor.items() if isinstance(entry, dict)},
    }


def _in_unit(name: str, value: Any) -> float | None:
    return in_unit(name, value) if isinstance(value, int | float) else None


def _note(line: dict[str, Any]) -> dict[str, Any]:
    text = line.get("message") or line.get("note") or line.get("advice") or json.dumps(line)[:300]
    return {"kimg": line["images_seen"] / 1000, "kind": str(line.get("kind"))[:40], "text": str(text)[:500]}
