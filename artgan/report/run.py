"""One page on a run: its curves, its sheets over time, the nearest training pictures of its samples, its configuration."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from artgan.metrics import in_unit, label, shown
from artgan.overview import sample_sheets
from artgan.report.page import curves, picture, render

NEAREST_FILE = "nearest.png"
_SHEETS = 6
_KIMG = "thousand images seen"


def run_page(run: Path, lines: Sequence[Mapping[str, Any]], facts: Mapping[str, str], config: str, standing: str) -> str:
    """Return the page, as HTML that needs no other file.

    Args:
        run: the run folder, for its sheets.
        lines: of metrics.jsonl.
        facts: what stands in the table at the top.
        config: the resolved configuration as text.
        standing: how the run stands, in a sentence.
    """
    train = [line for line in lines if line["kind"] == "train"]
    judged = [line for line in lines if line["kind"] == "metrics"]
    watched = [line for line in lines if line["kind"] == "watch"]
    nearest = run / NEAREST_FILE
    return render(
        "run.html.j2",
        {
            "name": run.resolve().name,
            "facts": list(facts.items()),
            "standing": standing,
            "warnings": [(f"{line['images_seen'] / 1000:,.1f}", line["text"]) for line in lines if line["kind"] == "warning"],
            "metric_charts": _metric_charts(judged),
            "metric_rows": [_row(line) for line in judged],
            "charts": [
                chart
                for chart in (
                    _chart(train, {"discriminator": "loss/discriminator", "generator": "loss/generator"}, "loss"),
                    _chart(train, {"real": "logits/real", "generated": "logits/fake"}, "mean logit"),
                    _chart(train, {"R1": "penalty/r1", "R2": "penalty/r2"}, "gradient penalty"),
                    _chart(train, {"probability": "augment/probability"}, "augmentation"),
                    _chart(train, {"path length": "path_length"}, "path length"),
                    _chart(watched, {"diversity": "diversity", "overfitting": "overfitting"}, "watchdog"),
                    _chart(train, {"images/s": "images_per_second"}, "images per second"),
                )
                if chart
            ],
            "sheets": _sheets(run),
            "nearest": picture(nearest) if nearest.is_file() else None,
            "config": config,
        },
    )


def _chart(lines: Sequence[Mapping[str, Any]], names: Mapping[str, str], label: str) -> Any:
    """Draw those of the named values that the lines have; None where there are none."""
    drawn = {}
    for title, key in names.items():
        having = [line for line in lines if key in line]
        if len(having) > 1:
            drawn[title] = ([line["images_seen"] / 1000 for line in having], [line[key] for line in having])
    return curves(drawn, _KIMG, label) if drawn else None


def _metric_charts(judged: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Draw each metric over time, with its interval; only evaluations under the last protocol stand together."""
    if not judged:
        return []
    same = [line for line in judged if line["protocol_hash"] == judged[-1]["protocol_hash"]]
    charts = []
    for name in same[-1]["metrics"]:
        having = [line for line in same if name in line["metrics"]]
        if len(having) < 2:
            continue
        kimg = [line["images_seen"] / 1000 for line in having]
        entries = [line["metrics"][name] for line in having]
        known = all(entry.get("low") is not None for entry in entries)
        low, high = ([in_unit(name, entry[key]) for entry in entries] if known else [] for key in ("low", "high"))
        values = [in_unit(name, entry["value"]) for entry in entries]
        charts.append(curves({name: (kimg, values)}, _KIMG, label(name), {name: (low, high)} if known else None))
    return charts


def _row(line: Mapping[str, Any]) -> dict[str, str]:
    values = ", ".join(f"{label(name)} {shown(name, entry['value'])}" for name, entry in line["metrics"].items())
    return {"kimg": f"{line['images_seen'] / 1000:,.1f}", "minutes": f"{line['minutes']:.1f}", "values": values}


def _sheets(run: Path) -> list[dict[str, Any]]:
    """Return a few sheets, evenly over the run, the last one first."""
    sheets = sample_sheets(run)
    places = {round(index * (len(sheets) - 1) / (_SHEETS - 1)) for index in range(_SHEETS)} if sheets else set()
    shown = [sheets[place] for place in sorted(places, reverse=True)]
    return [{"src": picture(path), "kimg": f"{images_seen / 1000:,.1f}"} for images_seen, path in shown]
