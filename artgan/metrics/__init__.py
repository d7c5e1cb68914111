"""Metrics by name: numbers from features, in float64, with what people and protocols must know of each.

A row's function takes `artgan.metrics.sides.Sides` and returns an `Estimate`, or None where there are too few pictures. A new
metric is one file and one row: evaluation, its floor, the report and the comparison of lines go by the rows.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from artgan.tables import Row, Table


@dataclass(frozen=True, kw_only=True)
class MetricRow(Row):
    """What is known of a metric.

    Attributes:
        group: asked for together: `--metrics distances,manifold`.
        meaning: what the number says, for people.
        better: -1 where lower is better, 1 where higher is, 0 where neither.
        estimator: how it is computed, part of the protocol: two values under unlike estimators are never compared. Metrics of
            one estimator share the text; empty where the text of another one says it.
        floor: what real pictures reach against real pictures: by `halves` of the training split, where the value depends on
            the number of pictures, or by the `holdout` against the training split; None where that says nothing.
        space: the one feature space that it is defined in; None for all.
        replaces: the metric that has another name in that space.
        healthy: the values that call for no advice, from the lowest to the highest.
        advice: what to do about one beyond them.
        joint: its estimator stands in the protocol of every line, whichever metrics it has, as lines were first written. The
            text of others stands beside their values.
        scale: what people are shown is the value times this; files and Python have the value itself.
    """

    group: str
    meaning: str
    better: Literal[-1, 0, 1]
    estimator: str
    floor: Literal["halves", "holdout"] | None
    space: str | None = None
    replaces: str | None = None
    healthy: tuple[float, float] | None = None
    advice: str = ""
    joint: bool = False
    scale: int = 1


_FRECHET = "Frechet with covariance N-1"
_BALLS = "precision, recall, density and coverage with k=5, rims inside"
_CLIPPED = "clipped density and coverage with k=5, rims inside, as shares of good pictures"
_VARIANCE = "ratio of traces of covariances with N-1, whole or along principal directions of the real pictures"

METRICS = Table(
    "metric",
    {
        "fid": MetricRow(
            "artgan.metrics.estimates:frechet_distance_of",
            group="distances",
            meaning="Fréchet distance in 2048-d Inception features: likeness and variety in one",
            better=-1,
            estimator=_FRECHET,
            floor="halves",
            space="inception-2048",
            replaces="fd",
            joint=True,
        ),
        "fd": MetricRow(
            "artgan.metrics.estimates:frechet_distance_of",
            group="distances",
            meaning="Fréchet distance in these features: likeness and variety in one",
            better=-1,
            estimator=_FRECHET,
            floor="halves",
            joint=True,
        ),
        "kid": MetricRow(
            "artgan.metrics.estimates:kid",
            group="distances",
            meaning="kernel distance, unbiased at any number of pictures; about 0 for pictures of the collection",
            better=-1,
            estimator="KID over all pairs, unbiased, kernel (x.y/d+1)^3",
            floor="holdout",
            joint=True,
            scale=1000,
        ),
        "mind": MetricRow(
            "artgan.metrics.estimates:mind",
            group="distances",
            meaning="sliced transport distance",
            better=-1,
            estimator="MIND over 1000 directions",
            floor="halves",
            joint=True,
        ),
        "variance": MetricRow(
            "artgan.metrics.dispersion:variance",
            group="range",
            meaning="how widely pictures differ, beside the collection's; 1 is as widely",
            better=0,
            estimator=_VARIANCE,
            floor=None,
            healthy=(0.85, 1.2),
            advice="below 1 samples lie closer together than the collection: train longer, or sample without truncation",
        ),
        "variance_wide": MetricRow(
            "artgan.metrics.dispersion:variance_wide",
            group="range",
            meaning="the same along the 20 directions in which the collection varies most: layouts, grounds, kinds of pictures",
            better=0,
            estimator=_VARIANCE,
            floor=None,
            healthy=(0.7, 1.3),
            advice="low where samples repeat a few layouts: train longer, and leave color out of augment.policies",
        ),
        "variance_fine": MetricRow(
            "artgan.metrics.dispersion:variance_fine",
            group="range",
            meaning="the same beyond the 200 widest directions: details and textures",
            better=0,
            estimator=_VARIANCE,
            floor=None,
            healthy=(0.5, 1.5),
            advice="high where textures stand for forms: train longer; low where pictures are smooth: a larger model.width",
        ),
        "vendi": MetricRow(
            "artgan.metrics.dispersion:vendi",
            group="range",
            meaning="effective number of distinct pictures over that of as many real ones",
            better=1,
            estimator="Vendi ratio of at most 1000 pictures, cosine about the mean of the real ones",
            floor=None,
            healthy=(0.7, float("inf")),
            advice="samples resemble each other: train longer, or choose with sample --select 20 --by variety",
        ),
        "precision": MetricRow(
            "artgan.metrics.estimates:precision",
            group="manifold",
            meaning="share of generated pictures that look like some real one",
            better=1,
            estimator=_BALLS,
            floor="holdout",
            joint=True,
        ),
        "recall": MetricRow(
            "artgan.metrics.estimates:recall",
            group="manifold",
            meaning="share of real pictures that look like some generated one",
            better=1,
            estimator=_BALLS,
            floor="halves",
            joint=True,
        ),
        "density": MetricRow(
            "artgan.metrics.estimates:density",
            group="manifold",
            meaning="how closely generated pictures crowd around real ones; about 1 for real pictures",
            better=1,
            estimator=_BALLS,
            floor="holdout",
            joint=True,
        ),
        "coverage": MetricRow(
            "artgan.metrics.estimates:coverage",
            group="manifold",
            meaning="share of real pictures with a generated one close by; 0.97 for real pictures",
            better=1,
            estimator=_BALLS,
            floor="halves",
            joint=True,
        ),
        "clipped_density": MetricRow(
            "artgan.metrics.clipped:clipped_density",
            group="manifold",
            meaning="share of generated pictures that are as real as real ones",
            better=1,
            estimator=_CLIPPED,
            floor="holdout",
            healthy=(0.4, 1.0),
            advice="few samples look like the collection: train longer, or choose with sample --select 20 --by realism",
        ),
        "clipped_coverage": MetricRow(
            "artgan.metrics.clipped:clipped_coverage",
            group="manifold",
            meaning="the collection is covered as by this share of real pictures",
            better=1,
            estimator=_CLIPPED,
            floor="halves",
            healthy=(0.2, 1.0),
            advice="most of the collection has no sample close by: train longer, or on fewer kinds of pictures at once",
        ),
        "auth_pct": MetricRow(
            "artgan.metrics.estimates:auth_pct",
            group="copying",
            meaning="percent of generated pictures that are no copies; 0 when all are copies",
            better=1,
            estimator="AuthPct",
            floor="holdout",
            joint=True,
        ),
        "near_copies": MetricRow(
            "artgan.metrics.estimates:near_copies",
            group="copying",
            meaning="share of generated pictures within half the distance of real neighbors, mirrored and cut too",
            better=-1,
            estimator="",
            floor="holdout",
            joint=True,
        ),
        "c_t": MetricRow(
            "artgan.metrics.estimates:c_t",
            group="copying",
            meaning="copying test: about 0 is honest, below -3 copies, far above 0 unlike the collection",
            better=0,
            estimator="C_T in 3 cells after 64 components",
            floor=None,
            joint=True,
        ),
    },
)


def groups() -> tuple[str, ...]:
    """Return the names of the groups, in the table's order."""
    return tuple(dict.fromkeys(row.group for row in METRICS.values()))


def rows_of(asked: Collection[str], space: str) -> dict[str, MetricRow]:
    """Return the rows of some groups in a feature space, each metric under the name that it has there."""
    rows = {name: row for name, row in METRICS.items() if row.group in asked and row.space in (None, space)}
    renamed = {row.replaces for row in rows.values()}
    return {name: row for name, row in rows.items() if name not in renamed}


def label(name: str) -> str:
    """Return a metric's name as people are shown it, with its unit: `kid x 1000`."""
    scale = METRICS[name].scale if name in METRICS else 1
    return name if scale == 1 else f"{name} x {scale}"


def shown(name: str, value: float, form: str = ".4g") -> str:
    """Return a value, or a difference of two, in the unit of `label`."""
    return format(in_unit(name, value), form)


def in_unit(name: str, value: float) -> float:
    """Return a value in the unit of `label`."""
    return value * (METRICS[name].scale if name in METRICS else 1)


def span(name: str, entry: Mapping[str, Any]) -> str:
    """Return the interval of a value, `0.25 to 0.75`, or nothing where there is none."""
    low, high = entry.get("low"), entry.get("high")
    return "" if low is None or high is None else f"{shown(name, low)} to {shown(name, high)}"


def joint_estimators() -> str:
    """Return the text that stands in the protocol of every line."""
    return "; ".join(dict.fromkeys(row.estimator for row in METRICS.values() if row.joint and row.estimator))
