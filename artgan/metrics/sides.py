"""The two sides of a comparison: generated pictures, and real ones with what is computed of them once."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from artgan.metrics.features import Rows
from artgan.metrics.frechet import Gaussian, fit_gaussian
from artgan.metrics.kernel import self_term
from artgan.metrics.manifold import Manifold, ManifoldScores, fit_manifold, manifold_scores

T = TypeVar("T")


class Known:
    """Features of real pictures, float32 `[N, d]`, and what several metrics need of them, computed when first asked for."""

    def __init__(self, features: np.ndarray) -> None:
        self.features = features

    @cached_property
    def gaussian(self) -> Gaussian:
        """Mean and covariance."""
        return fit_gaussian(self.features)

    @cached_property
    def kernel_self(self) -> float:
        """KID's self-term."""
        return self_term(self.features)

    @cached_property
    def manifold(self) -> Manifold:
        """The balls."""
        return fit_manifold(self.features)


def _no_ratios() -> np.ndarray:
    raise NotImplementedError("this comparison has no search for copies")


@dataclass
class Sides:
    """What a metric compares.

    Attributes:
        generated: features of the judged pictures, float32 `[N, d]`.
        train: the real pictures that they are compared with.
        holdout: features of real pictures that no model has seen, float32 `[M, d]`; M may be 0.
        ratios: gives for each judged picture its distance to the nearest training picture, mirrored and cut too, over that
            between the training picture and its own nearest neighbor, float64 `[N]`.
        is_floor: the judged pictures are real ones: their value is wanted, not its interval.
    """

    generated: Rows
    train: Known
    holdout: np.ndarray = field(default_factory=lambda: np.empty((0, 1), np.float32))
    ratios: Callable[[], np.ndarray] = _no_ratios
    is_floor: bool = False
    _computed: dict[Any, Any] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def scores(self) -> ManifoldScores:
        """What the balls say, shared by the metrics of the manifold."""
        return manifold_scores(self.generated, self.train.manifold)

    def once(self, compute: Callable[["Sides"], T]) -> T:
        """Return what a function computes of the sides, computed the first time: metrics of one estimator share it."""
        if compute not in self._computed:
            self._computed[compute] = compute(self)
        return self._computed[compute]
