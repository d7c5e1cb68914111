"""What a run looks like when it goes wrong, in numbers: collapse, overfitting, a metric that no longer falls."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image

from artgan.datasets.collection import Collection
from artgan.evaluation.verdict import HELD_SLOPES, LEARNED_IMAGES
from artgan.images import to_float

_THUMB_PX = 8
_JUDGED_AT_ONCE = 8  # a multiple of what any discriminator judges together; in float32, where training may take bfloat16
_FEW_PICTURES = 8
_COLLAPSED = 0.4  # of the real pictures' diversity
_OVERFITTED = 0.8
_WORSE = 1.5  # times the best KID, in as many evaluations in a row:
_WORSE_EVALUATIONS = 3


def diversity(pictures: np.ndarray) -> float:
    """Return the mean distance of two pictures.

    Args:
        pictures: uint8 `[N, H, W, 3]`, at least two.

    Returns:
        Root mean square distance of 8 px thumbnails, in [0, 1] of the full range, over all pairs.
    """
    thumbs = np.stack([np.asarray(Image.fromarray(x).resize((_THUMB_PX, _THUMB_PX), Image.Resampling.BOX)) for x in pictures])
    rows = thumbs.reshape(len(thumbs), -1).astype(np.float64) / 255
    squared = (rows**2).sum(1)
    distances = np.sqrt(np.maximum(squared[:, None] + squared[None] - 2 * rows @ rows.T, 0) / rows.shape[1])
    return float(distances[np.triu_indices(len(rows), 1)].mean())


def relative_diversity(pictures: np.ndarray, collection: Collection) -> float:
    """Return the diversity of samples as a share of that of as many training pictures."""
    rows = collection.train_rows
    shown = rows[np.linspace(0, len(rows) - 1, min(len(pictures), len(rows))).astype(np.int64)]
    return diversity(pictures) / max(diversity(collection.images[shown]), 1e-9)


@torch.no_grad()
def overfitting(discriminator: torch.nn.Module, collection: Collection, fake: np.ndarray, conditional: bool) -> float | None:
    """Return (E[D(train)] - E[D(hold-out)]) / (E[D(train)] - E[D(fake)]) (Karras et al. 2020, 2006.06676, eq. 1).

    0: the discriminator treats pictures it never saw as those it trains on; 1: as generated ones. None where the hold-out is
    too small to tell, or the discriminator tells nothing apart.

    Args:
        discriminator: maps images and labels to logits.
        collection: its training split and hold-out.
        fake: generated pictures, uint8 `[N, H, W, 3]`, of classes in turn.
        conditional: whether labels matter.
    """
    if len(collection.holdout_rows) < _FEW_PICTURES:
        return None
    parameter = next(discriminator.parameters())
    count = len(fake)

    def mean_logit(images: np.ndarray, labels: np.ndarray) -> float:
        logits = []
        for start in range(0, count, _JUDGED_AT_ONCE):
            part = slice(start, start + _JUDGED_AT_ONCE)
            inputs = to_float(torch.from_numpy(images[part])).to(parameter.device, parameter.dtype)
            logits.append(discriminator(inputs, torch.from_numpy(labels[part]).to(parameter.device)))
        return float(torch.cat(logits).mean())

    def of_rows(rows: np.ndarray) -> float:
        shown = rows[np.linspace(0, len(rows) - 1, count).astype(np.int64)]  # a small hold-out stands more than once
        return mean_logit(collection.images[shown], collection.labels[shown])

    train, holdout = of_rows(collection.train_rows), of_rows(collection.holdout_rows)
    classes = np.arange(count) % max(1, len(collection.classes)) if conditional else np.zeros(count, np.int64)
    gap = train - mean_logit(fake, classes.astype(np.int64))
    return (train - holdout) / gap if gap > 1e-6 else None


def evaluations_since_best(kids: Sequence[float]) -> int:
    """Return how many evaluations in a row brought no better KID."""
    return len(kids) - 1 - int(np.argmin(kids)) if kids else 0


def warnings(relative: float, overfit: float | None, history: Sequence[tuple[int, float]]) -> dict[str, str]:
    """Return what is wrong, by a word, with what helps.

    Args:
        relative: `relative_diversity` of the newest samples.
        overfit: `overfitting`, where it is known.
        history: (images seen, upper end of the KID interval) of the run's evaluations, in order.
    """
    found = {}
    if relative < _COLLAPSED and (not history or history[-1][0] >= LEARNED_IMAGES):
        found["collapse"] = (
            f"samples are {relative:.0%} as varied as the collection: the generator is collapsing. If it does not recover, "
            f"start again with gradient penalties ({', '.join(HELD_SLOPES)}) or a larger batch"
        )
    if overfit is not None and overfit > _OVERFITTED:
        found["overfitting"] = (
            f"the discriminator knows the training pictures by heart ({overfit:.0%} of the way to taking the hold-out for "
            f"generated): more augmentation (augment.name=ada), a larger objective.r1_gamma, or more works"
        )
    kids = [value for _, value in history]
    if evaluations_since_best(kids) >= _WORSE_EVALUATIONS and min(kids[-_WORSE_EVALUATIONS:]) > _WORSE * max(min(kids), 0):
        best_at = history[int(np.argmin(kids))][0]
        found["metric"] = (
            f"KID has been worse than at {best_at / 1000:,.1f} kimg for {evaluations_since_best(kids)} evaluations: that model "
            f"is kept as model/best; training.patience stops such runs"
        )
    return found


def summary(relative: float, overfit: float | None) -> dict[str, Any]:
    """Return the watchdog's numbers for metrics.jsonl."""
    return {"diversity": relative} | ({} if overfit is None else {"overfitting": overfit})
