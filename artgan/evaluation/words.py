"""A metrics line as people read it: what each number says, its interval, what real art reaches, and when not to trust it."""

from collections.abc import Mapping
from typing import Any

from artgan.evaluation.verdict import KID, standing_of_line
from artgan.metrics import METRICS, label, shown, span

_MIN_HOLDOUT = 20
_COPYING_LIMIT = -3.0


def warnings_about(
    names: Mapping[str, Any], count: int, train_shape: tuple[int, ...], num_holdout: int, copying: bool
) -> list[str]:
    """Return what a reader must know before trusting the numbers.

    Args:
        names: metric -> its estimate.
        count: judged pictures.
        train_shape: (training pictures, dimensions).
        num_holdout: held-out pictures.
        copying: whether copying was asked for.
    """
    num_train, dim = train_shape
    warnings = []
    frechet_name = next((name for name in ("fid", "fd") if name in names), None)
    if frechet_name and count < 2 * dim:
        warnings.append(
            f"{frechet_name} of {count} pictures in {dim} dimensions is biased upwards: compare at equal counts only, and "
            f"trust kid"
        )
    if frechet_name and num_train < dim:
        warnings.append(
            f"{num_train} training pictures in {dim} dimensions: their covariance is singular; trust kid, or choose features "
            f"of fewer dimensions"
        )
    if copying and num_holdout < _MIN_HOLDOUT:
        have = f"{num_holdout} pictures are held out" if num_holdout else "the collection has no hold-out"
        warnings.append(f"c_t needs pictures that no model has seen, {have}: prepare more works, or with a larger --holdout")
    score = getattr(names.get("c_t"), "value", 0.0)
    if score < _COPYING_LIMIT:
        warnings.append(f"c_t is {score:.1f}: generated pictures lie nearer to the training pictures than unseen ones do")
    return warnings + _advice(names)


def _advice(estimates: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each value beyond what is healthy; without the value, so that it stays one sentence as it moves."""
    rows = {name: METRICS.row(name) for name in estimates}
    beyond = {name: row for name, row in rows.items() if row.healthy and _is_beyond(estimates[name].value, row.healthy)}
    return [f"{name} is not within {_span(row.healthy)}: {row.advice}" for name, row in beyond.items() if row.healthy]


def _is_beyond(value: float, healthy: tuple[float, float]) -> bool:
    return not healthy[0] <= value <= healthy[1]


def _span(healthy: tuple[float, float]) -> str:
    return f"{healthy[0]:g} to {healthy[1]:g}" if healthy[1] < float("inf") else f"{healthy[0]:g} and above"


def describe(line: Mapping[str, Any]) -> list[str]:
    """Return a metrics line as lines of text for people."""
    texts = [_row(name, entry, line["floor"].get(name)) for name, entry in line["metrics"].items()]
    for name, result in line.get("classes", {}).items():
        counts = f"{result['num_generated']} against {result['num_reference']}"
        values = [_row(metric, entry, None) for metric, entry in result["metrics"].items()] or [result["note"]]
        texts.append(f"  {name} ({counts}): {'; '.join(values)}")
    for space, ratios in line.get("spaces", {}).items():
        texts.append(f"  in {space}: " + ", ".join(f"{name} {ratio:.2f} times real art's" for name, ratio in ratios.items()))
    protocol = line["protocol"]
    texts.append(
        f"{line['num_generated']} pictures against {protocol['num_reference']}, {protocol['features']} features, "
        f"protocol {line['protocol_hash'][:12]}"
    )
    return [*texts, *(f"note: {warning}" for warning in line["warnings"]), str(standing_of_line(line))]


def quick_look(line: Mapping[str, Any]) -> str:
    """Return what the first pictures of an evaluation say, in a sentence without its end."""
    kid, floor = line["metrics"]["kid"], line["floor"].get("kid")
    real = f" (real art reaches {shown('kid', floor['value'])})" if floor else ""
    return f"quick look at {line['num_generated']} pictures: {KID} is {shown('kid', kid['value'])}{real}"


def _row(name: str, entry: Mapping[str, Any], floor: Mapping[str, Any] | None) -> str:
    real = f"  real art reaches {shown(name, floor['value'])}: {floor['of']}" if floor else ""
    between = f"  [{span(name, entry)}]" if entry["low"] is not None else ""
    return f"{label(name):<{max(map(len, METRICS))}} {shown(name, entry['value'])}{between}{real}"
