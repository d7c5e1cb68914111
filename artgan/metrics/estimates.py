"""The functions that the rows of the oldest metrics name: each takes the two sides and returns an estimate, or None."""

from artgan.metrics.features import Estimate, share_estimate
from artgan.metrics.frechet import fit_gaussian, frechet, frechet_distance
from artgan.metrics.kernel import kernel_distance
from artgan.metrics.memorization import authenticity, copying_score, nearest_rows
from artgan.metrics.sides import Sides
from artgan.metrics.sliced import monge_distance

# A picture is called a near copy below this share of the distance from its training picture to that one's nearest other.
NEAR_COPY = 0.5


def frechet_distance_of(sides: Sides) -> Estimate:
    """Return the Fréchet distance; its interval takes ten more, which a floor does without."""
    if sides.is_floor:
        return Estimate(frechet_distance(fit_gaussian(sides.generated), sides.train.gaussian))
    return frechet(sides.generated, sides.train.gaussian)


def kid(sides: Sides) -> Estimate:
    """Return the kernel distance over all pairs, unbiased."""
    return kernel_distance(sides.generated, sides.train.features, sides.train.kernel_self)


def mind(sides: Sides) -> Estimate:
    """Return the sliced transport distance."""
    return monge_distance(sides.generated, sides.train.features)


def precision(sides: Sides) -> Estimate:
    """Return the share of generated pictures within real balls."""
    return sides.scores.precision


def recall(sides: Sides) -> Estimate:
    """Return the share of real pictures within generated balls."""
    return sides.scores.recall


def density(sides: Sides) -> Estimate:
    """Return the mean number of real balls around a generated picture, over k."""
    return sides.scores.density


def coverage(sides: Sides) -> Estimate:
    """Return the share of real balls that hold a generated picture."""
    return sides.scores.coverage


def auth_pct(sides: Sides) -> Estimate:
    """Return the percentage of authentic pictures (`memorization.authenticity`)."""
    share = authenticity(nearest_rows(sides.generated, sides.train.features), sides.train.manifold)
    return Estimate(100 * share.value, 100 * share.low, 100 * share.high)


def near_copies(sides: Sides) -> Estimate:
    """Return the share of near copies."""
    return share_estimate(sides.ratios() < NEAR_COPY)


def c_t(sides: Sides) -> Estimate | None:
    """Return C_T, or None without enough held-out pictures (`memorization.copying_score`)."""
    if len(sides.holdout) < 2:
        return None
    return copying_score(sides.generated, sides.holdout, sides.train.features)
