"""Clipped Density and Clipped Coverage (Salvy et al. 2025, 2507.01761): shares that read as shares.

Around every real picture lies a ball that reaches to its k-th nearest real neighbor, itself not counted; k = 5.

Clipped Density: balls wider than the median are cut to the median, so that an outlier's ball holds no more than another's; a
generated picture counts min(1, balls it is in / k); the mean is divided by that of the real pictures themselves, each
without its own ball, and is at most 1.

Clipped Coverage: a real picture counts min(1, generated pictures in its whole ball / k); the mean is mapped to the share of
good pictures that would be expected to give it, so that 0.4 reads "as good as 40 % pictures of the collection and 60 % that
resemble none of it". For m good pictures among N real ones of the same distribution the mass of a ball is Beta(k, N - k),
whatever the distribution, so the number of them within it is beta-binomial:

P(b) = C(m, b) B(k + b, N - k + m - b) / B(k, N - k),    f(m) = sum_b min(1, b / k) P(b) = 1 - sum_{b<k} (1 - b / k) P(b)

Departures: a picture on the rim is inside, as in `metrics.manifold`. No code of the authors was read.
"""

from dataclasses import dataclass
from math import lgamma

import numpy as np

from artgan.metrics.features import Estimate, Rows, blocks, check_features, grouped_estimate, jackknife_groups
from artgan.metrics.manifold import SLACK, Manifold, squared_distances
from artgan.metrics.sides import Sides


@dataclass(frozen=True)
class ClippedScores:
    """Both between 0 and 1, with intervals of the jackknife over groups of generated pictures."""

    density: Estimate
    coverage: Estimate


def clipped_density(sides: Sides) -> Estimate | None:
    """Return Clipped Density, or None where real pictures have no neighbors to be measured by."""
    estimate = sides.once(_scores).density
    return None if np.isnan(estimate.value) else estimate


def clipped_coverage(sides: Sides) -> Estimate:
    """Return Clipped Coverage."""
    return sides.once(_scores).coverage


def _scores(sides: Sides) -> ClippedScores:
    return clipped_scores(sides.generated, sides.train.manifold)


def clipped_scores(generated: Rows, reference: Manifold) -> ClippedScores:
    """Compare generated features `[N, d]` with a reference.

    Raises:
        DataError: fewer than two pictures, or values that are not finite.
    """
    check_features(generated)
    k, groups = reference.k, jackknife_groups(len(generated))
    parts = max(groups, 1)
    reach = reference.radii * (1 + SLACK)
    narrow = np.minimum(reach, np.median(reach))
    fidelity, members = np.zeros(parts), np.zeros((parts, len(reach)), np.int64)
    counts = np.bincount(np.arange(len(generated)) % parts, minlength=parts)
    for start, block in blocks(generated):
        distances = squared_distances(block, reference.features)
        owners = np.arange(start, start + len(block)) % parts
        held = np.minimum((distances <= narrow).sum(1) / k, 1)
        for part in range(parts):
            fidelity[part] += held[owners == part].sum()
            members[part] += (distances[owners == part] <= reach).sum(0)
    own = _density_of_real(reference, narrow)

    def density(kept: list[int]) -> float:
        return min(1.0, float(fidelity[kept].sum() / counts[kept].sum() / own)) if own > 0 else float("nan")

    def coverage(kept: list[int]) -> float:
        mean = float(np.minimum(members[kept].sum(0) / k, 1).mean())
        return good_share(mean, int(counts[kept].sum()), len(reach), k)

    everything = list(range(parts))
    without = [[part for part in everything if part != group] for group in range(groups)]
    return ClippedScores(
        density=_within_unit(grouped_estimate(density(everything), [density(kept) for kept in without])),
        coverage=_within_unit(grouped_estimate(coverage(everything), [coverage(kept) for kept in without])),
    )


def expected_coverage(good: int, num_real: int, k: int) -> float:
    """Return f(m), the expected mean of min(1, b / k) for `good` pictures of the real ones' own distribution."""
    if num_real <= k:
        return float(good > 0)  # the ball reaches all real pictures: nothing is known of its mass
    lacking = 0.0
    for inside in range(min(k, good + 1)):
        log_choices = lgamma(good + 1) - lgamma(inside + 1) - lgamma(good - inside + 1)
        log_mass = _log_beta(k + inside, num_real - k + good - inside) - _log_beta(k, num_real - k)
        lacking += (1 - inside / k) * float(np.exp(log_choices + log_mass))
    return 1 - lacking


def good_share(mean: float, num_generated: int, num_real: int, k: int) -> float:
    """Return the share of good pictures at which `mean` is expected, between 0 and 1; f grows with their number."""
    below, above = 0, num_generated
    if mean >= expected_coverage(above, num_real, k):
        return 1.0
    while above - below > 1:
        middle = (below + above) // 2
        if expected_coverage(middle, num_real, k) <= mean:
            below = middle
        else:
            above = middle
    low, high = expected_coverage(below, num_real, k), expected_coverage(above, num_real, k)
    return float((below + (mean - low) / (high - low)) / num_generated)


def _density_of_real(reference: Manifold, narrow: np.ndarray) -> float:
    total = 0.0
    for start, block in blocks(reference.features):
        distances = squared_distances(block, reference.features)
        distances[np.arange(len(block)), start + np.arange(len(block))] = np.inf
        total += float(np.minimum((distances <= narrow).sum(1) / reference.k, 1).sum())
    return total / len(narrow)


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)


def _within_unit(estimate: Estimate) -> Estimate:
    return Estimate(estimate.value, *(float(np.clip(bound, 0, 1)) for bound in (estimate.low, estimate.high)))
