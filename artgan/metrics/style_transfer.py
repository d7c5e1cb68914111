"""How far a picture is from its content and from its style, and how much a series is one: numbers from features and colors.

Everything is float64. Distances are comparable only on the same backbone and layers, at the same size.
"""

from collections.abc import Mapping, Sequence

import numpy as np

Features = Mapping[str, np.ndarray]
_EPSILON = 1e-8


def content_distance(found: Features, content: Features) -> float:
    """Return the mean over layers of |F - C|^2 / |C|^2, for features `[C, h, w]` of a result and of its content."""
    parts = []
    for layer, target in content.items():
        ours, theirs = found[layer].astype(np.float64), target.astype(np.float64)
        parts.append(np.square(ours - theirs).sum() / max(np.square(theirs).sum(), _EPSILON))
    return float(np.mean(parts))


def gram_matrix(features: np.ndarray) -> np.ndarray:
    """Return F F^T / N over the N positions of `[C, h, w]`."""
    flat = features.reshape(len(features), -1).astype(np.float64)
    return flat @ flat.T / flat.shape[1]


def gram_distance(found: Mapping[str, np.ndarray], style: Mapping[str, np.ndarray]) -> float:
    """Return the mean over layers of |G - S|_F^2 / |S|_F^2, for Gram matrices `[C, C]` of a result and of the style.

    Gatys et al. (2016, eq. 4), relative to the style so that layers weigh the same.
    """
    parts = [np.square(found[layer] - gram).sum() / max(np.square(gram).sum(), _EPSILON) for layer, gram in style.items()]
    return float(np.mean(parts))


def palette_distance(first: tuple[np.ndarray, np.ndarray], second: tuple[np.ndarray, np.ndarray]) -> float:
    """Return the 2-Wasserstein distance of two Gaussians of colors, each (mean `[3]`, covariance `[3, 3]`) in Oklab.

    W^2 = |m1 - m2|^2 + tr(A + B - 2 (B^(1/2) A B^(1/2))^(1/2)) (Olkin & Pukelsheim 1982).
    """
    (mean_a, a), (mean_b, b) = first, second
    root = _root(b)
    spread = np.trace(a) + np.trace(b) - 2 * np.trace(_root(root @ a @ root))
    return float(np.sqrt(max(np.square(mean_a - mean_b).sum() + spread, 0.0)))


def series_consistency(colors: Sequence[tuple[np.ndarray, np.ndarray]]) -> dict[str, float]:
    """Return how much the pictures of a series differ in color; all are 0 for equal colors.

    Args:
        colors: (mean, covariance) in Oklab of each picture.

    Returns:
        `mean_spread`: root mean square distance of mean colors from their mean; `range_spread`: deviation of the logarithms
        of the colors' standard deviations along principal axes; `palette_spread`: mean pairwise palette distance.
    """
    means = np.stack([mean for mean, _ in colors]).astype(np.float64)
    ranges = np.stack([np.log(np.linalg.eigvalsh(covariance).clip(_EPSILON)) / 2 for _, covariance in colors])
    pairs = [palette_distance(one, other) for index, one in enumerate(colors) for other in colors[:index]]
    return {
        "mean_spread": float(np.sqrt(np.square(means - means.mean(0)).sum(1).mean())),
        "range_spread": float(np.sqrt(np.square(ranges - ranges.mean(0)).mean())),
        "palette_spread": float(np.mean(pairs)) if pairs else 0.0,
    }


def _root(matrix: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    return (vectors * np.sqrt(values.clip(0))) @ vectors.T
