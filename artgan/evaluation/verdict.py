"""One plain sentence on how a run or a model stands, the numbers that it rests on, and what to do next.

Thresholds are from our own runs at 64 px: sheets of 2,280 heads had holes up to 16 thousand images and were heads from 24
thousand on, landscapes (drawn ones, and Monet's) had banks and trees at 5 thousand; while they got visibly better, over 30
minutes, KID x 1000 went 1.27, 0.70, 0.62, 0.44 (docs/results.md), by more than a tenth from one evaluation to the next.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from artgan.datasets.advice import Advice
from artgan.metrics import label, shown

FIRST_FORMS_IMAGES, EARLY_IMAGES = 5_000, 20_000
LEARNED_IMAGES = 8_000  # before, pictures are alike because nothing is learned; from here on healthy runs are at 85 % and more
SETTLED_EVALUATIONS = 3
SETTLED_SHARE = 0.1
COPYING_C_T = -3.0
COLLAPSED_DIVERSITY = 0.4  # of the collection's
KID = label("kid").replace("kid", "KID")  # in a sentence, with its unit
HELD_SLOPES = ("objective.name=relativistic", "objective.penalty_every=4")  # mended the demo's collapse (docs/decisions.md)
_MUCH = 0.5  # of what real art covers
_GO_ON = Advice("Run the same command again to go on.", "Press Train on, under Start, to go on.")
_WAIT = Advice("It is training: wait for the next sheet.", "It is training: the next sheet comes by itself.")

Kind = Literal["early", "on the way", "settled", "collapsing", "copying", "judged"]


@dataclass(frozen=True)
class Standing:
    """How a run or a model stands.

    Attributes:
        kind: in a word or two.
        sentence: for people, with the numbers.
        advice: what to do next.
    """

    kind: Kind
    sentence: str
    advice: Advice

    def __str__(self) -> str:
        return f"{self.sentence} {self.advice}"


def standing_of_run(judged: Sequence[Mapping[str, Any]], images_seen: int, diversity: float | None) -> Standing:
    """Return how a run stands.

    Args:
        judged: its metrics lines under the present protocol, in order.
        images_seen: where it is.
        diversity: of its newest samples, as a share of the collection's; None where it was not measured.
    """
    seen = f"{images_seen / 1000:,.1f} thousand images"
    if diversity is not None and diversity < COLLAPSED_DIVERSITY and images_seen >= LEARNED_IMAGES:
        return Standing(
            "collapsing",
            f"Collapsing: after {seen} the samples are {diversity:.0%} as varied as the collection.",
            Advice(
                f"Start again in another --run, with {' '.join(f'--set {value}' for value in HELD_SLOPES)} (gradient "
                "penalties mended it in our demo) or a larger training.batch_size.",
                "Stop it: on these works the usual settings collapse. Prepare more or more alike works, under Start.",
            ),
        )
    if images_seen < EARLY_IMAGES:
        return Standing(
            "early",
            f"Early: {seen} are seen; forms come between {FIRST_FORMS_IMAGES / 1000:.0f} thousand, for landscapes, and "
            f"{EARLY_IMAGES / 1000:.0f} thousand, for heads{_now(judged)}.",
            _GO_ON,
        )
    if len(judged) < 2:
        times = "judged once" if judged else "not judged yet"
        return Standing(
            "on the way",
            f"On the way: {seen} are seen and {times}{_now(judged)}; a second evaluation says whether they get better.",
            _GO_ON,
        )
    kids = [float(line["metrics"]["kid"]["value"]) for line in judged]
    before, last = kids[:-SETTLED_EVALUATIONS], kids[-SETTLED_EVALUATIONS:]
    if before and min(last) > (1 - SETTLED_SHARE) * min(before):
        return Standing(
            "settled",
            f"Settled: KID fell by less than {SETTLED_SHARE:.0%} in the last {SETTLED_EVALUATIONS} evaluations{_now(judged)}.",
            Advice(
                "More training will change little: sample the best model, or give it more or more alike works.",
                "More training will change little: look through the best model, under Explore, or prepare more works.",
            ),
        )
    return Standing(
        "on the way",
        f"On the way: {seen} are seen, and KID still falls{_now(judged)}.",
        _GO_ON,
    )


def while_training(standing: Standing) -> Standing:
    """Return how a run stands that goes on by itself: nobody needs to start it."""
    return replace(standing, advice=_WAIT) if standing.advice == _GO_ON else standing


def standing_of_lines(lines: Sequence[Mapping[str, Any]], images_seen: int) -> Standing:
    """Return how a run stands, by its own lines: those under its newest protocol."""
    judged = [line for line in lines if line["kind"] == "metrics"]
    same = [line for line in judged if line["protocol_hash"] == judged[-1]["protocol_hash"]]
    watched = [line["diversity"] for line in lines if line["kind"] == "watch"]
    return standing_of_run(same, images_seen, watched[-1] if watched else None)


def standing_of_line(line: Mapping[str, Any]) -> Standing:
    """Return how judged pictures stand: whether they copy, then how near they are to real art."""
    metrics = line["metrics"]
    copies, c_t = metrics.get("near_copies"), metrics.get("c_t")
    real = (line["floor"].get("near_copies") or {"value": 0.0})["value"]
    if c_t and c_t["high"] is not None and c_t["high"] < COPYING_C_T:
        return _copying(f"C_T is {c_t['value']:.1f}, where honest pictures have about 0")
    if copies and copies["low"] is not None and copies["low"] > max(real, 0.0):
        return _copying(f"{copies['value']:.1%} are near copies, of unseen works {real:.1%}")
    found = _now([line]).lstrip("; ") or "no distances were measured"
    no_copies = " No copying was found." if copies else ""
    return Standing("judged", f"{found[0].upper()}{found[1:]}.{no_copies}", _spread(metrics, line["floor"]))


def _copying(numbers: str) -> Standing:
    pairs = "Look at the closest pairs in the report"
    return Standing(
        "copying",
        f"Copying: {numbers}.",
        Advice(
            f"{pairs}; train on more works, with augment.horizontal_flip=true, or for less time.",
            f"{pairs}; train on more works, with their mirror images, or for less time.",
        ),
    )


def _now(judged: Sequence[Mapping[str, Any]]) -> str:
    if not judged or "kid" not in judged[-1]["metrics"]:
        return ""
    value, floor = judged[-1]["metrics"]["kid"]["value"], judged[-1]["floor"].get("kid")
    # Of few works held out it is noise, and may lie far above.
    reaches = f" (real art reaches {shown('kid', floor['value'], '.2f')})" if floor and floor["value"] < value else ""
    return f"; {KID} is {shown('kid', value, '.2f')}{reaches}"


def _spread(metrics: Mapping[str, Any], floor: Mapping[str, Any]) -> Advice:
    """Return what to try where pictures cover little of the collection."""
    coverage = metrics.get("coverage")
    if coverage is None:
        said = "artgan evaluate with --metrics manifold says how much of the collection they cover."
        return Advice(said, said)
    real = floor.get("coverage", {"value": 1.0})["value"]
    covered = f"They cover {coverage['value']:.0%} of the collection (real art {real:.0%})"
    if coverage["value"] >= _MUCH * real:
        return Advice(f"{covered}.", f"{covered}.")
    return Advice(f"{covered}: train on, or sample with --truncation 1.", f"{covered}: train on, or move Truncation to 1.")
