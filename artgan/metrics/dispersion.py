"""How much generated pictures differ from each other, beside real ones: variance, its spectrum, and the Vendi score.

variance ratio = tr S_g / tr S_r, with covariances of N - 1; below 1 the pictures lie closer together than the collection.

Vendi score (Friedman & Dieng 2023, 2210.02410) = exp(-sum_i l_i log l_i) for the eigenvalues l of K / n: the effective number
of distinct pictures, 1 where all are equal and n where none resembles another. K is the cosine of features about the training
pictures' mean: without that center the mean alone would make all pictures alike. The score grows with n, so the ratio takes as
many real pictures as generated ones, evenly spaced through the collection.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from artgan.metrics.features import Estimate, Rows, blocks, check_features, grouped_estimate, jackknife_groups
from artgan.metrics.sides import Sides

VENDI_PICTURES = 1000  # the Gram matrix has their square
BANDS = (20, 60, 200)  # principal directions of the real pictures, counted from the widest


def variance(sides: Sides) -> Estimate | None:
    """Return the variance ratio, or None where all real pictures are equal."""
    return _known(variance_ratio(sides.generated, sides.train.features))


def variance_wide(sides: Sides) -> Estimate | None:
    """Return the variance ratio in the first band, or None where all real pictures are equal."""
    spectrum = sides.once(_spectrum)
    return Estimate(spectrum[0]) if spectrum else None


def variance_fine(sides: Sides) -> Estimate | None:
    """Return the variance ratio in the last of all bands, or None where the real pictures do not reach so far."""
    spectrum = sides.once(_spectrum)
    return Estimate(spectrum[-1]) if len(spectrum) > len(BANDS) else None


def vendi(sides: Sides) -> Estimate | None:
    """Return the Vendi ratio, or None where all real pictures are equal."""
    return _known(vendi_ratio(sides.generated, sides.train.features))


def _spectrum(sides: Sides) -> list[float]:
    return variance_spectrum(sides.generated, sides.train.features)


def _known(estimate: Estimate) -> Estimate | None:
    return None if np.isnan(estimate.value) else estimate


def variance_ratio(generated: Rows, reference: np.ndarray) -> Estimate:
    """Return tr S_g / tr S_r of features `[N, d]` and `[M, d]`, with the interval of the jackknife over groups.

    The value is NaN where all real pictures are equal.

    Raises:
        DataError: fewer than two pictures, or values that are not finite.
    """
    check_features(generated)
    check_features(reference)
    real = float(np.var(reference, axis=0, ddof=1, dtype=np.float64).sum())
    if real == 0:
        return Estimate(float("nan"))
    groups = jackknife_groups(len(generated))
    parts = max(groups, 1)
    center = reference.mean(0, dtype=np.float64)
    counts, sums, squares = np.zeros(parts), np.zeros((parts, generated.shape[1])), np.zeros(parts)
    for start, block in blocks(generated):
        block -= center
        owners = np.arange(start, start + len(block)) % parts
        for part in range(parts):
            mine = block[owners == part]
            counts[part] += len(mine)
            sums[part] += mine.sum(0)
            squares[part] += np.square(mine).sum()

    def ratio(kept: Sequence[int]) -> float:
        count, total = counts[kept].sum(), sums[kept].sum(0)
        return float((squares[kept].sum() - np.square(total).sum() / count) / (count - 1) / real)

    everything = list(range(parts))
    left_out = [ratio([part for part in everything if part != group]) for group in range(groups)]
    return grouped_estimate(ratio(everything), left_out)


def variance_spectrum(generated: Rows, reference: np.ndarray) -> list[float]:
    """Return the variance ratio within each band of the real pictures' principal directions: up to `BANDS`, then the rest.

    Directions along which real pictures do not vary are left out, and so is a band without directions: none may be left.

    Args:
        generated, reference: features `[N, d]` and `[M, d]`.

    Raises:
        DataError: fewer than two pictures, or values that are not finite.
    """
    check_features(generated)
    check_features(reference)
    center = reference.mean(0, dtype=np.float64)
    _, deviations, directions = np.linalg.svd(reference - center, full_matrices=False)
    real = np.square(deviations) / (len(reference) - 1)
    kept = real > real[0] * 1e-10
    real, directions = real[kept], directions[kept]
    total, squares = np.zeros(len(real)), np.zeros(len(real))
    for _, block in blocks(generated):
        projected = (block - center) @ directions.T
        total += projected.sum(0)
        squares += np.square(projected).sum(0)
    ours = (squares - np.square(total) / len(generated)) / (len(generated) - 1)
    edges = [0, *(edge for edge in BANDS if edge < len(real)), len(real)]
    return [float(ours[a:b].sum() / real[a:b].sum()) for a, b in pairwise(edges) if b > a]


def vendi_ratio(generated: Rows, reference: np.ndarray) -> Estimate:
    """Return the Vendi score of features `[N, d]` over that of as many of the reference's `[M, d]`; 1 is as varied as they are.

    At most `VENDI_PICTURES` of each are compared, the first generated ones. The value is NaN where all real pictures are equal.

    Raises:
        DataError: fewer than two pictures, or values that are not finite.
    """
    check_features(generated)
    check_features(reference)
    if (reference == reference[0]).all():
        return Estimate(float("nan"))
    count = min(len(generated), len(reference), VENDI_PICTURES)
    center = reference.mean(0, dtype=np.float64)
    ours, theirs = generated[:count] - center, reference[np.arange(count) * len(reference) // count] - center
    groups = jackknife_groups(count)
    owners = np.arange(count) % max(groups, 1)
    # A group is left out of both sides: the ratio stays one of equal numbers.
    left_out = [vendi_score(ours[owners != group]) / vendi_score(theirs[owners != group]) for group in range(groups)]
    return grouped_estimate(vendi_score(ours) / vendi_score(theirs), left_out)


def vendi_score(features: np.ndarray) -> float:
    """Return the effective number of distinct rows of `[n, d]` under the cosine of two rows; rows of zeros are alike."""
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    directions = features / np.where(lengths > 0, lengths, 1)
    few = min(directions.shape)
    gram = directions @ directions.T if few == len(directions) else directions.T @ directions
    zeros = float((lengths == 0).sum())  # together one direction of its own
    eigenvalues = np.append(np.linalg.eigvalsh(gram), zeros) / len(directions)
    positive = eigenvalues[eigenvalues > 1e-12]
    return float(np.exp(-(positive * np.log(positive)).sum()))
