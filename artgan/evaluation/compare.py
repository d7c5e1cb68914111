"""Two metrics lines side by side, and only where comparing them means something."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from artgan.errors import ConfigError, DataError
from artgan.evaluation.protocol import differences, digest
from artgan.metrics import METRICS, label, shown
from artgan.metrics.features import STANDARD_ERRORS


def read_line(path: Path) -> dict[str, Any]:
    """Read a metrics line that `artgan evaluate --json` wrote.

    Raises:
        DataError: the file is missing, is none, or its protocol does not have the hash that it states.
    """
    try:
        line = json.loads(path.read_text(encoding="utf-8"))
        stated, actual = line["protocol_hash"], digest(line["protocol"])
        for entry in line["metrics"].values():
            float(entry["value"])
            if entry["low"] is not None:
                float(entry["high"]) - float(entry["low"])
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror})") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(f"{path} is not a metrics line of artgan evaluate --json ({error!r})") from error
    if stated != actual:
        raise DataError(f"{path}: its protocol was changed after it was written ({actual[:12]}, stated {stated[:12]})")
    return line


def compare(first: Mapping[str, Any], second: Mapping[str, Any], names: tuple[str, str]) -> list[dict[str, Any]]:
    """Return a row for each metric that both lines have.

    A row holds `name`, `first`, `second`, `difference` (second - first), its 95 % interval `low`, `high` (None where a line
    has none), and `verdict`: which is better beyond its interval, or that it cannot be told. Errors of the two are taken as
    independent, which is cautious where both judged the same seeds.

    Raises:
        ConfigError: the protocols differ; the message says in what.
    """
    if first["protocol_hash"] != second["protocol_hash"]:
        unlike = "; ".join(differences(first["protocol"], second["protocol"]))
        raise ConfigError(
            f"{names[0]} and {names[1]} were measured under unlike protocols and cannot be compared: {unlike}. "
            f"Evaluate both again in the same way"
        )
    shared = [name for name, entry in first["metrics"].items() if _estimator(entry) == _estimator(second["metrics"].get(name))]
    return [_row(name, first["metrics"][name], second["metrics"][name], names) for name in shared]


def _estimator(entry: Mapping[str, Any] | None) -> str | None:
    """Return how an entry was computed beyond the protocol of its line; None where there is no entry."""
    return None if entry is None else entry.get("estimator", "")


def _row(name: str, first: Mapping[str, Any], second: Mapping[str, Any], names: tuple[str, str]) -> dict[str, Any]:
    difference = second["value"] - first["value"]
    row = {
        "name": name,
        "first": first["value"],
        "second": second["value"],
        "difference": difference,
        "low": None,
        "high": None,
    }
    direction = METRICS[name].better if name in METRICS else 0
    if first["low"] is None or second["low"] is None:
        return row | {"verdict": "no interval"}
    half = STANDARD_ERRORS * math.hypot(_standard_error(first), _standard_error(second))
    row |= {"low": difference - half, "high": difference + half}
    if abs(difference) <= half:
        return row | {"verdict": "cannot be told apart"}
    better = names[1] if difference * direction > 0 else names[0]
    return row | {"verdict": f"{better} is better" if direction else "they differ"}


def _standard_error(entry: Mapping[str, Any]) -> float:
    return (entry["high"] - entry["low"]) / (2 * STANDARD_ERRORS)


def describe_comparison(rows: list[dict[str, Any]]) -> list[str]:
    """Return the rows as lines of text for people."""
    width = max((len(label(row["name"])) for row in rows), default=0)
    texts = []
    for row in rows:
        name = row["name"]
        signed = {key: shown(name, row[key], "+.4g") for key in ("difference", "low", "high") if row[key] is not None}
        between = f" [{signed['low']} to {signed['high']}]" if "low" in signed else ""
        values = f"{shown(name, row['first'])} -> {shown(name, row['second'])}"
        texts.append(f"{label(name):<{width}} {values}  {signed['difference']}{between}  {row['verdict']}")
    return texts or ["no metric is in both"]
