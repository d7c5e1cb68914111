"""A metrics line as people read it: what each number says, its interval, its floor, and when not to trust it."""

from collections.abc import Iterable, Mapping
from typing import Any

# What each metric says, and whether lower (-1) or higher (1) is better; 0 where neither is.
MEANINGS = {
    "fid": ("Fréchet distance in 2048-d Inception features: likeness and variety in one", -1),
    "fd": ("Fréchet distance in these features: likeness and variety in one", -1),
    "kid": ("kernel distance, unbiased at any number of pictures; about 0 for pictures of the collection", -1),
    "mind": ("sliced transport distance", -1),
    "precision": ("share of generated pictures that look like some real one", 1),
    "recall": ("share of real pictures that look like some generated one", 1),
    "density": ("how closely generated pictures crowd around real ones; about 1 for real pictures", 1),
    "coverage": ("share of real pictures with a generated one close by; 0.97 for real pictures", 1),
    "auth_pct": ("percent of generated pictures that are no copies; 0 when all are copies", 1),
    "near_copies": ("share of generated pictures within half the distance of real neighbours, mirrored and cut too", -1),
    "c_t": ("copying test: about 0 is honest, below -3 copies, far above 0 unlike the collection", 0),
}
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
        warnings.append(f"c_t needs pictures that no model has seen, {have}: prepare with a larger --holdout")
    score = getattr(names.get("c_t"), "value", 0.0)
    if score < _COPYING_LIMIT:
        warnings.append(f"c_t is {score:.1f}: generated pictures lie nearer to the training pictures than unseen ones do")
    return warnings


def describe(line: Mapping[str, Any]) -> list[str]:
    """Return a metrics line as lines of text for people."""
    texts = [_row(name, entry, line["floor"].get(name)) for name, entry in line["metrics"].items()]
    for name, result in line.get("classes", {}).items():
        counts = f"{result['num_generated']} against {result['num_reference']}"
        values = [_row(metric, entry, None) for metric, entry in result["metrics"].items()] or [result["note"]]
        texts.append(f"  {name} ({counts}): {'; '.join(values)}")
    protocol = line["protocol"]
    texts.append(
        f"{line['num_generated']} pictures against {protocol['num_reference']}, {protocol['features']} features, "
        f"protocol {line['protocol_hash'][:12]}"
    )
    return texts + [f"note: {warning}" for warning in line["warnings"]]


def _row(name: str, entry: Mapping[str, Any], floor: Mapping[str, Any] | None) -> str:
    real = f"  real against real {floor['value']:.5g}: {floor['of']}" if floor else ""
    return f"{name:<{_width(MEANINGS)}} {entry['value']:.5g}{interval(entry)}{real}"


def interval(entry: Mapping[str, Any]) -> str:
    """Return `  [low, high]`, or nothing where there is none."""
    return "" if entry["low"] is None else f"  [{entry['low']:.5g}, {entry['high']:.5g}]"


def _width(names: Iterable[str]) -> int:
    return max(map(len, names))
