"""Does a generator copy its training pictures? AuthPct, the three-sample test C_T, and near copies.

No one number separates copying from honest likeness (Stein et al. 2023, 2306.04675): read them together, and look at the
pairs.
"""

from dataclasses import dataclass

import numpy as np

from artgan.metrics.features import STANDARD_ERRORS, Estimate, Rows, blocks, share_estimate
from artgan.metrics.manifold import Manifold, squared_distances

_COMPONENTS = 64
_CELLS = 3
_MIN_GENERATED_PER_CELL = 20
_LLOYD_STEPS = 100


@dataclass(frozen=True)
class Nearest:
    """The nearest row of a set for each of N rows: int64 `[N]`, and the squared distance, float64 `[N]`."""

    rows: np.ndarray
    distances: np.ndarray


def nearest_rows(features: Rows, others: np.ndarray) -> Nearest:
    """Find the nearest of `others` `[M, d]` for each of features `[N, d]`."""
    rows, distances = np.empty(len(features), np.int64), np.empty(len(features))
    for start, block in blocks(features):
        here = squared_distances(block, others)
        place = slice(start, start + len(block))
        rows[place] = here.argmin(1)
        distances[place] = here.min(1)
    return Nearest(rows, distances)


def authenticity(nearest: Nearest, train: Manifold) -> Estimate:
    """Return AuthPct / 100 (Alaa et al. 2022, 2102.08921): the share of pictures that are authentic.

    A picture is a copy when it is no farther from its nearest training picture than that one is from its own nearest; 0 when
    all are copies.
    """
    return share_estimate(nearest.distances > train.nearest[nearest.rows])


def copying_score(generated: Rows, holdout: np.ndarray, train: np.ndarray) -> Estimate | None:
    """Return C_T (Meehan et al. 2020, 2004.05675): below 0 generated pictures lie nearer to the training set than unseen do.

    In each cell of the training set (k-means after 64 principal components) a Mann-Whitney U compares the distances to the
    nearest training picture of generated (m) and of held-out (n) pictures:

    Z_U = (U - m n / 2) / (m n (m + n + 1) / 12)^(1/2),  U = pairs in which the generated one is farther, ties by half

    C_T is the mean over cells, weighted by held-out pictures n_c, of those cells that hold at least 20 generated ones. Under no
    copying Z_U is about a standard normal, so C_T has the deviation (sum n_c^2)^(1/2) / sum n_c, which gives the interval; a
    C_T of -3 is far out. None when no cell has enough pictures.
    """
    mean = train.astype(np.float64).mean(0)
    basis = _principal_components(train, mean)
    points = (train - mean) @ basis
    centers = _cells(points)
    generated_points = np.concatenate([(block - mean) @ basis for _, block in blocks(generated)])
    sets = []
    for points_here in (generated_points, (holdout - mean) @ basis):
        sets.append((nearest_rows(points_here, points).distances, nearest_rows(points_here, centers).rows))
    (ours, our_cells), (theirs, their_cells) = sets
    total = weight = squares = 0.0
    for cell in range(len(centers)):
        x, y = ours[our_cells == cell], theirs[their_cells == cell]
        if len(x) >= _MIN_GENERATED_PER_CELL and len(y) >= 2:
            total += len(y) * mann_whitney(x, y)
            weight += len(y)
            squares += len(y) ** 2
    if not weight:
        return None
    value, reach = total / weight, STANDARD_ERRORS * squares**0.5 / weight
    return Estimate(value, value - reach, value + reach)


def mann_whitney(x: np.ndarray, y: np.ndarray) -> float:
    """Return Z_U of two samples: positive when values of `x` tend to be larger than those of `y`."""
    ordered = np.sort(y)
    below = (np.searchsorted(ordered, x, "left") + np.searchsorted(ordered, x, "right")).sum() / 2
    m, n = len(x), len(y)
    return float((below - m * n / 2) / np.sqrt(m * n * (m + n + 1) / 12))


def _principal_components(features: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Return the first directions of largest variance, `[d, 64]` or fewer."""
    centered = features - mean
    if len(features) > features.shape[1]:
        return np.linalg.eigh(centered.T @ centered)[1][:, ::-1][:, :_COMPONENTS]
    return np.linalg.svd(centered, full_matrices=False)[2][:_COMPONENTS].T


def _cells(points: np.ndarray) -> np.ndarray:
    """Return the centers of Lloyd's k-means, `[3, c]`, from far-apart starts: no draw, and no order of pictures, enters."""
    centers = points[[np.square(points - points.mean(0)).sum(1).argmin()]]
    while len(centers) < min(_CELLS, len(points)):
        centers = np.concatenate([centers, points[[nearest_rows(points, centers).distances.argmax()]]])
    for _ in range(_LLOYD_STEPS):
        owners = nearest_rows(points, centers).rows
        moved = np.stack(
            [points[owners == cell].mean(0) if (owners == cell).any() else centers[cell] for cell in range(len(centers))]
        )
        if np.array_equal(moved, centers):
            break
        centers = moved
    return centers
