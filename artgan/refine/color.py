"""Color matching in Oklab: maps fitted to samples of pixels, each a function `[..., 3] -> [..., 3]`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from artgan import seeding
from artgan.refine.oklab import linear_from_oklab, oklab_from_linear

# Flat pictures have almost no variance to scale; bounded gains keep their grain from becoming blotches.
_MIN_GAIN, _MAX_GAIN = 0.4, 2.5
_EPSILON = 1e-8
_TRANSPORT_STEPS = 12
_CELLS = 2048  # of a table: slopes between the bounds are off by less than a thousandth of its range
_TRANSPORT_KNOTS = 65
# Reinhard et al. 2001, eq. 4 and 6: cone responses of linear light, and the decorrelated axes of their logarithms.
_CONES = np.array([[0.3811, 0.5783, 0.0402], [0.1967, 0.7244, 0.0782], [0.0241, 0.1288, 0.8444]])
_AXES = np.diag([1 / np.sqrt(3), 1 / np.sqrt(6), 1 / np.sqrt(2)]) @ np.array([[1, 1, 1], [1, 1, -2], [1, -1, 0]])
_DARKEST = 1e-4

Map = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class ColorStatistics:
    """Mean `[3]` and covariance `[3, 3]` of pixels in Oklab."""

    mean: np.ndarray
    covariance: np.ndarray


@dataclass(frozen=True)
class LinearMap:
    """x' = target_mean + matrix (x - source_mean)."""

    matrix: np.ndarray
    source_mean: np.ndarray
    target_mean: np.ndarray

    def __call__(self, colors: np.ndarray) -> np.ndarray:
        matrix = self.matrix.astype(colors.dtype)
        offset = (self.target_mean - self.matrix @ self.source_mean).astype(colors.dtype)
        return colors @ matrix.T + offset


def statistics_of(pixels: np.ndarray) -> ColorStatistics:
    """Return mean and covariance of pixels `[N, 3]`."""
    pixels = pixels.astype(np.float64)
    mean = pixels.mean(0)
    centered = pixels - mean
    return ColorStatistics(mean, centered.T @ centered / len(pixels))


def monge_kantorovich(source: ColorStatistics, target: ColorStatistics, *, bounded: bool = True) -> LinearMap:
    """Return the linear map of least transport cost between two Gaussians (Pitié & Kokaram 2007).

    A = S^(-1/2) (S^(1/2) T S^(1/2))^(1/2) S^(-1/2), symmetric and positive, so that no color axis flips.

    Args:
        source, target: statistics to map from and to.
        bounded: keep A's gains within 0.4 and 2.5; without it mean and covariance are matched exactly.
    """
    root = _matrix_root(source.covariance + _EPSILON * np.eye(3))
    inverse = np.linalg.inv(root)
    matrix = inverse @ _matrix_root(root @ (target.covariance + _EPSILON * np.eye(3)) @ root) @ inverse
    if bounded:
        gains, axes = np.linalg.eigh((matrix + matrix.T) / 2)
        matrix = (axes * gains.clip(_MIN_GAIN, _MAX_GAIN)) @ axes.T
    return LinearMap(matrix, source.mean, target.mean)


def fit_monge_kantorovich(source: np.ndarray, target: np.ndarray) -> Map:
    """Fit the linear optimal transport map to Oklab samples `[N, 3]` and `[M, 3]`."""
    return monge_kantorovich(statistics_of(source), statistics_of(target))


def fit_reinhard(source: np.ndarray, target: np.ndarray) -> Map:
    """Match mean and deviation of each axis of the logarithmic cone space (Reinhard et al. 2001, eq. 10-11).

    The gains are bounded as those of the linear map are. It takes no notice of correlations between axes.
    """
    ours, theirs = _log_opponent(source.astype(np.float64)), _log_opponent(target.astype(np.float64))
    gains = (theirs.std(0) / ours.std(0).clip(_EPSILON)).clip(_MIN_GAIN, _MAX_GAIN)
    center, goal = ours.mean(0), theirs.mean(0)

    def mapped(oklab: np.ndarray) -> np.ndarray:
        moved = (_log_opponent(oklab) - center) * gains + goal
        cones = 10.0 ** (moved @ np.linalg.inv(_AXES).T).clip(-8, 2)
        linear = (cones @ np.linalg.inv(_CONES).T).clip(0, 4)
        return oklab_from_linear(linear).astype(oklab.dtype)

    return mapped


def _log_opponent(oklab: np.ndarray) -> np.ndarray:
    linear = linear_from_oklab(oklab).clip(0, None)
    return np.log10((linear @ _CONES.T).clip(_DARKEST)) @ _AXES.T


def fit_transport(source: np.ndarray, target: np.ndarray, seed: int) -> Map:
    """Move the whole distribution: 1-D transport along the axes of seeded rotations, again and again (Pitié et al. 2005).

    Departure: each 1-D map goes through 65 quantiles with bounded slopes, so that grain is not amplified.
    """
    steps: list[tuple[np.ndarray, list[_Table]]] = []
    moved, goal = source.T.astype(np.float64), target.T.astype(np.float64)  # [3, N]: each axis in one piece
    places = np.linspace(0, 1, _TRANSPORT_KNOTS)
    for step in range(_TRANSPORT_STEPS):
        rotation = np.eye(3) if step == 0 else _rotation(seed, step)
        turned = rotation.T @ moved
        knots = np.quantile(turned, places, axis=1)
        values = _bounded_slopes(knots, np.quantile(rotation.T @ goal, places, axis=1))
        tables = [_Table.through(knots[:, axis], values[:, axis]) for axis in range(3)]
        steps.append((rotation, tables))
        moved = rotation @ _along_axes(turned, tables)
    # A palette of one color would flatten the picture, step by step; what is missing of the least gain is left as it was.
    gain = np.sqrt(moved.var(1).sum() / max(source.var(0).sum(), _EPSILON))
    kept = max(0.0, (_MIN_GAIN - gain) / (1 - gain)) if gain < 1 else 0.0
    shift = moved.mean(1) - source.mean(0)

    def mapped(oklab: np.ndarray) -> np.ndarray:
        colors = np.ascontiguousarray(oklab.reshape(-1, 3).T)
        for rotation, tables in steps:
            turn = rotation.astype(colors.dtype)
            colors = turn @ _along_axes(turn.T @ colors, tables)
        moved = colors.T.reshape(oklab.shape)
        return (moved + kept * (oklab + shift - moved)).astype(oklab.dtype)

    return mapped


@dataclass(frozen=True)
class _Table:
    """A function of one axis at even places from `low` to `high`, and on with slope 1 beyond: looked up, not searched."""

    low: float
    high: float
    values: np.ndarray

    @classmethod
    def through(cls, knots: np.ndarray, values: np.ndarray) -> "_Table":
        places = np.linspace(knots[0], knots[-1], _CELLS + 1)
        return cls(float(knots[0]), float(knots[-1]), np.interp(places, knots + np.arange(len(knots)) * 1e-12, values))

    def __call__(self, x: np.ndarray) -> np.ndarray:
        values = self.values.astype(x.dtype)
        rises = np.diff(values, append=values[-1:])
        inside = x.clip(self.low, self.high)
        share = (inside - self.low) * (_CELLS / max(self.high - self.low, _EPSILON))
        cell = share.astype(np.int32).clip(max=_CELLS)
        return values.take(cell) + (share - cell).astype(x.dtype) * rises.take(cell) + (x - inside)


def _rotation(seed: int, step: int) -> np.ndarray:
    axes, upper = np.linalg.qr(seeding.normal(seed, "refine/transport", step, 1, 9).reshape(3, 3).astype(np.float64))
    return axes * np.sign(np.diag(upper))


def _bounded_slopes(knots: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Limit the steps between quantiles to the bounded gains, and keep the middle where it was to go."""
    steps = np.diff(knots, axis=0)
    limited = np.diff(values, axis=0).clip(_MIN_GAIN * steps, _MAX_GAIN * steps)
    path = np.concatenate([np.zeros((1, 3)), np.cumsum(limited, 0)])
    return path - path.mean(0) + values.mean(0)


def _along_axes(colors: np.ndarray, tables: Sequence[_Table]) -> np.ndarray:
    return np.stack([table(x) for table, x in zip(tables, colors, strict=True)])


def match_histogram(source: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (values, mapped values) that give the source's values `[N]` the distribution of the target's `[M]`.

    Both cumulative distributions are those of the distinct values, each at the middle of its share; between them the target's
    is interpolated. At the upper end of its share, as is usual, a flat area of half a picture would take the target's median,
    where the middle of its half is the first quarter: a drawing's black ground turned gray.
    """
    values, shares = _middles(source)
    goals, goal_shares = _middles(target)
    return values, np.interp(shares, goal_shares, goals)


def _middles(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct values and the middle of the share of the distribution that each holds."""
    values, counts = np.unique(samples, return_counts=True)
    return values, (np.cumsum(counts) - counts / 2) / len(samples)


def fit_histogram(source: np.ndarray, target: np.ndarray) -> Map:
    """Match the histogram of lightness alone: in single color channels it would shift hues."""
    values, mapped_values = match_histogram(source[:, 0].astype(np.float64), target[:, 0].astype(np.float64))
    places = np.linspace(0, 1, 257)
    knots, goals = np.quantile(values, places), np.interp(np.quantile(values, places), values, mapped_values)

    def mapped(oklab: np.ndarray) -> np.ndarray:
        moved = oklab.copy()
        moved[..., 0] = np.interp(oklab[..., 0], knots, goals)
        return moved

    return mapped


def keep_colors(stylized: np.ndarray, content: np.ndarray, strength: float) -> np.ndarray:
    """Give Oklab pixels the content's hue and chroma, and keep their lightness; both `[H, W, 3]`."""
    if strength == 0:
        return stylized
    kept = stylized.copy()
    kept[..., 1:] += strength * (content[..., 1:] - stylized[..., 1:])
    return kept


def _matrix_root(matrix: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(values.clip(0))) @ vectors.T
