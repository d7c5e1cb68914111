"""Gaussian transport: every generated picture is pulled to its own place among the real ones, in the discriminator's eyes.

A picture's features are the spatial means of the discriminator's maps, as it sees them: augmented. With their means m and
covariances S of generated and of real pictures the linear map

T = S_r^1/2 (S_r^1/2 S_g S_r^1/2)^-1/2 S_r^1/2

carries one to the other (T S_g T = S_r) and moves as little as possible (Olkin & Pukelsheim 1982, "The distance between two
random vectors with given dispersion matrices"). The loss is the mean square of f_i - sg[m_r + T (f_i - m_g)]. For N pictures
with covariances of N its gradient is that of their Fréchet distance, up to one factor:

dFD / df_i = (2 / N) (f_i - m_r - T (f_i - m_g))

So it trains on the distance of distributions (Yang et al. 2026, 2604.28190) for any batch size, without a derivative of an
eigendecomposition: the moments come from thousands of pictures while a batch has sixteen.

Departures: the paper has no discriminator, no augmentation, and the features of judges. Two moments cannot point at single
works, so that copying does not pay. Shares, spaces and schedules that were tried: docs/decisions.md.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from artgan.objectives.terms.contract import GeneratorTerm, Judged, Side, Sums

_WINDOW = 2000  # pictures that moments reach back over where they change
_FEWEST = 1000  # pictures seen before there is a map
_REFRESH_EVERY = 16  # steps from one map to the next
_RIDGE = 1e-3  # of the mean variance: added to both covariances, so that what real pictures hardly vary in is not amplified
_SMALLEST = 1e-12


class GaussianTransport(GeneratorTerm):
    """The term; its moments are those of the pictures of its own run.

    Real pictures never change, so their moments are over all that were seen, in all their augmentations, unless the features
    themselves move; generated ones change, so theirs decay.

    Args:
        share: as for every term.

    Attributes:
        counts: real and generated pictures in the moments.
        mean_real, square_real, mean_fake, square_fake: mean and mean outer product of features, `[d]` and `[d, d]`.
        transport, origin, target: T, and the means it maps between; zeros until there is a map.
        ready: 1 once there is a map, otherwise 0.
    """

    counts: Tensor
    mean_real: Tensor
    square_real: Tensor
    mean_fake: Tensor
    square_fake: Tensor
    transport: Tensor
    origin: Tensor
    target: Tensor
    ready: Tensor

    def prepare(self, judge: Callable[[Tensor], tuple[Tensor, ...]], pictures: Callable[[int], Tensor]) -> None:
        """Learn how many features there are; a picture without any says so before training."""
        with torch.no_grad():
            width = pooled(judge(pictures(1))).shape[1]
        for name, shape in (("counts", (2,)), ("ready", ())):
            self.register_buffer(name, torch.zeros(shape))
        for name in ("mean_real", "mean_fake", "origin", "target"):
            self.register_buffer(name, torch.zeros(width))
        for name in ("square_real", "square_fake", "transport"):
            self.register_buffer(name, torch.zeros(width, width))

    @torch.no_grad()
    def sums(self, judged: Judged) -> Sums:
        """Return the sum of features and of their outer products."""
        features = pooled(judged.features).to(self.mean_real)
        return {"features": features.sum(0), "outer": features.T @ features}

    def loss(self, judged: Judged) -> Tensor:
        """Return the mean over pictures and features of the squared way to a picture's place; 0 until there is a map."""
        features = pooled(judged.features).to(self.mean_real)
        place = self.target + (features.detach() - self.origin) @ self.transport
        return self.ready * (features - place).square().mean()

    @torch.no_grad()
    def observe(self, side: Side, sums: Mapping[str, Tensor], count: int, images_seen: int) -> None:
        """Move the moments of a side, unless they would not be finite; every few steps also the map."""
        index = 0 if side == "real" else 1
        mean, square = (self.mean_real, self.square_real) if side == "real" else (self.mean_fake, self.square_fake)
        seen = self.counts[index] + count
        forgets = side == "fake" or self.moving
        rate = count / (seen.clamp(max=_WINDOW) if forgets else seen)
        finite = sums["features"].isfinite().all() & sums["outer"].isfinite().all()
        for moment, total in ((mean, sums["features"]), (square, sums["outer"])):
            moment.copy_(torch.where(finite, moment + rate * (total / count - moment), moment))
        self.counts[index] = torch.where(finite, seen, self.counts[index])
        if side == "fake" and images_seen >= _FEWEST and images_seen // count % _REFRESH_EVERY == 0:
            self._refresh()

    def _refresh(self) -> None:
        real, fake = (
            square.double() - torch.outer(mean.double(), mean.double())
            for mean, square in ((self.mean_real, self.square_real), (self.mean_fake, self.square_fake))
        )
        transport = transport_map(fake, real)
        known = transport.isfinite().all()
        for buffer, value in ((self.transport, transport), (self.origin, self.mean_fake), (self.target, self.mean_real)):
            buffer.copy_(torch.where(known, value.to(buffer.dtype), buffer))
        self.ready.copy_(torch.where(known, torch.ones_like(self.ready), self.ready))


def pooled(features: tuple[Tensor, ...]) -> Tensor:
    """Return the spatial means of maps `[N, C, H, W]`, side by side, `[N, d]`."""
    return torch.cat([x.mean((2, 3), dtype=torch.float64 if x.dtype == torch.float64 else torch.float32) for x in features], 1)


def transport_map(source: Tensor, target: Tensor, ridge: float = _RIDGE) -> Tensor:
    """Return T `[d, d]` from one covariance to another; both may be singular.

    The inner matrix has the squares of both conditions: with float32 its smallest values are rounding, and T then pulls
    nearly all in directions that no picture varies in, hundreds of times as far as any real one.

    Args:
        source, target: `[d, d]`, float64.
        ridge: added to both diagonals, as a share of the target's mean variance.
    """
    assert source.dtype == target.dtype == torch.float64
    identity = torch.eye(len(target), dtype=target.dtype, device=target.device) * (ridge * target.diagonal().mean())
    values, vectors = torch.linalg.eigh(target + identity)
    root = (vectors * values.clamp_min(0).sqrt()) @ vectors.T
    inner = root @ (source + identity) @ root
    values, vectors = torch.linalg.eigh((inner + inner.T) / 2)
    return root @ (vectors * values.clamp_min(_SMALLEST).rsqrt()) @ vectors.T @ root
