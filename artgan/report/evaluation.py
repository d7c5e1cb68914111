"""A verdict on a model or a folder: numbers with intervals and what real art reaches, and the pictures behind them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import artgan
from artgan.metrics import METRICS, in_unit, label, shown, span
from artgan.report.page import curves, picture, render

_CURVES = ("fid", "fd", "kid", "mind")
_MIN_POINTS = 2
_SMALLEST_PX = 96


def evaluation_page(
    title: str,
    line: Mapping[str, Any],
    *,
    standing: str = "",
    best: Sequence[Any] = (),
    worst: Sequence[Any] = (),
    pairs: Sequence[Any] = (),
    history: Sequence[Mapping[str, Any]] = (),
) -> str:
    """Return the page of a metrics line, as HTML that needs no other file.

    Args:
        title: what was judged.
        line: the metrics line.
        standing: what it says, in a sentence.
        best, worst: judged pictures by realism, each with `pixels`, `name` and `realism`.
        pairs: the likeliest copies first, each with `generated`, `trained` (pixels), `name`, `source`, `matched` and `ratio`;
            see `artgan.evaluation.showcase`.
        history: lines of the run's metrics.jsonl; those of one protocol are drawn as curves.
    """
    return render(
        "evaluation.html.j2",
        {
            "title": title,
            "version": artgan.__version__,
            "line": line,
            "standing": standing,
            "rows": [_row(name, entry, line["floor"].get(name)) for name, entry in line["metrics"].items()],
            "classes": [_class_row(name, result) for name, result in line.get("classes", {}).items()],
            "best": [_shown(item) for item in best],
            "worst": [_shown(item) for item in worst],
            "pairs": [_pair(item) for item in pairs],
            "charts": _charts(history),
        },
    )


def _row(name: str, entry: Mapping[str, Any], floor: Mapping[str, Any] | None) -> dict[str, str]:
    meaning, direction = (METRICS[name].meaning, METRICS[name].better) if name in METRICS else ("", 0)
    return {
        "name": label(name),
        "value": shown(name, entry["value"]),
        "interval": span(name, entry),
        "real": shown(name, floor["value"]) if floor else "",
        "of": floor["of"] if floor else "",
        "meaning": meaning,
        "better": {-1: "lower is better", 0: "", 1: "higher is better"}[direction],
    }


def _class_row(name: str, result: Mapping[str, Any]) -> dict[str, Any]:
    kid = result["metrics"].get("kid")
    value = shown("kid", kid["value"]) if kid else result["note"]
    counts = (result["num_generated"], result["num_reference"])
    return {"name": name, "counts": counts, "value": value, "interval": span("kid", kid) if kid else ""}


def _shown(item: Any) -> dict[str, Any]:
    return {"src": picture(item.pixels, _zoom(item.pixels)), "name": item.name, "realism": f"{item.realism:.2f}"}


def _pair(item: Any) -> dict[str, Any]:
    both = np.concatenate([item.generated, item.trained], 1)
    words = {"name": item.name, "source": item.source, "matched": item.matched, "ratio": f"{item.ratio:.2f}"}
    return words | {"src": picture(both, _zoom(item.generated))}


def _zoom(pixels: np.ndarray) -> int:
    return max(1, _SMALLEST_PX // pixels.shape[1])


def _charts(history: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Draw each distance over images seen, for the lines under the protocol of the last one."""
    judged = [line for line in history if line.get("kind") == "metrics"]
    judged = [line for line in judged if line["protocol_hash"] == judged[-1]["protocol_hash"]]
    if len(judged) < _MIN_POINTS:
        return []
    features = judged[-1]["protocol"]["features"]
    kimg = [line["images_seen"] / 1000 for line in judged]
    charts = []
    for name in _CURVES:
        entries = [line["metrics"].get(name) for line in judged]
        if any(entry is None or entry["low"] is None for entry in entries):
            continue
        low, value, high = ([in_unit(name, entry[key]) for entry in entries] for key in ("low", "value", "high"))
        charts.append(curves({name: (kimg, value)}, "kimg", f"{label(name)}, {features}", {name: (low, high)}))
    return charts
