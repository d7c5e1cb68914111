"""The pictures behind the numbers: the most and the least real ones, and the pairs that look most like copies."""

from dataclasses import dataclass

import numpy as np

from artgan.datasets.collection import Collection, read_index
from artgan.evaluation.measure import Verdict
from artgan.evaluation.subjects import Subject

NUM_SHOWN = 16
NUM_PAIRS = 32


@dataclass(frozen=True)
class Shown:
    """A judged picture: its pixels, uint8 `[H, W, 3]`, its name and its realism."""

    pixels: np.ndarray
    name: str
    realism: float


@dataclass(frozen=True)
class Pair:
    """A judged picture beside its nearest training picture: pixels, names, what was matched, and the ratio of distances."""

    generated: np.ndarray
    trained: np.ndarray
    name: str
    source: str
    matched: str
    ratio: float


@dataclass(frozen=True)
class Showcase:
    """What a page shows of a verdict; empty where it was not asked for."""

    best: list[Shown]
    worst: list[Shown]
    pairs: list[Pair]


def showcase(verdict: Verdict, subject: Subject, collection: Collection) -> Showcase:
    """Fetch the pictures that a verdict points to; those of a generator are made again."""
    realism, matches = verdict.realism, verdict.matches
    best = worst = closest = np.empty(0, np.int64)
    if realism is not None:
        order = np.argsort(-realism, kind="stable")
        best, worst = order[:NUM_SHOWN], order[::-1][:NUM_SHOWN]
    if matches is not None:
        closest = matches.closest[:NUM_PAIRS]
    needed = sorted({int(index) for index in np.concatenate([best, worst, closest])})
    pixels = dict(zip(needed, subject.pictures(needed), strict=True))

    def shown(indices: np.ndarray) -> list[Shown]:
        assert realism is not None
        return [Shown(pixels[int(index)], subject.names[int(index)], float(realism[index])) for index in indices]

    pairs = []
    if matches is not None:
        sources = [line["name"] for line in read_index(collection.folder) if line["status"] == "kept"]
        for index in map(int, closest):
            row = collection.train_rows[matches.rows[index]]
            words = matches.words(index)
            pair = Pair(pixels[index], collection.images[row], subject.names[index], sources[row], words, matches.ratios[index])
            pairs.append(pair)
    return Showcase(shown(best) if len(best) else [], shown(worst) if len(worst) else [], pairs)
