"""Gaussian transport of pictures as they are: where things stand in them, and how much happens, not only what they show.

As `transport`, with three differences. A picture is seen without augmentation: under translation and cutout, generated and real
pictures vary alike long before they do without (after 96 thousand images of KaoKore 1.0 and 0.8 along the widest directions).
Beside the spatial mean of every channel there is its deviation, and the means of the coarsest map's quarters: each of the three
counts alike. And only the directions that real pictures vary in most are compared, at most a quarter as many as pictures.

What real pictures are like is taken once, so that it costs nothing in a step; the generated ones cost a pass more through the
discriminator's features.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from artgan.objectives.terms.contract import GeneratorTerm, Judged, Side, Sums
from artgan.objectives.terms.transport import pooled, transport_map

_PICTURES = 1000  # real ones that are looked at; so says its row
_AT_ONCE = 8
_DIRECTIONS = 256
_PICTURES_PER_DIRECTION = 4
_WINDOW = 2000  # generated pictures that the moments reach back over
_FEWEST = 1000  # generated pictures seen before there is a map
_REFRESH_EVERY = 16  # steps from one map to the next
_SMALLEST = 1e-12


class LayoutTransport(GeneratorTerm):
    """The term.

    Args:
        share: as for every term.

    Attributes:
        center, basis: a description `[d]` becomes coordinates `[256]` by `(description - center) @ basis`; where there are
            fewer directions, the others are zeros.
        variances: of real pictures along the directions, `[256]`; their means are 0.
        seen: generated pictures in the moments.
        mean, square: their mean and mean outer product.
        transport, origin: T, and the mean that it maps from; zeros until there is a map.
        ready: 1 once there is a map, otherwise 0.
    """

    plain = True
    center: Tensor
    basis: Tensor
    variances: Tensor
    seen: Tensor
    mean: Tensor
    square: Tensor
    transport: Tensor
    origin: Tensor
    ready: Tensor

    def prepare(self, judge: Callable[[Tensor], tuple[Tensor, ...]], pictures: Callable[[int], Tensor]) -> None:
        """Look at up to 1,000 training pictures: how large each part of a description is, and where they vary most."""
        with torch.no_grad():
            parts = zip(*(descriptions(judge(few)) for few in pictures(_PICTURES).split(_AT_ONCE)), strict=True)
            blocks = [torch.cat(part).double() for part in parts]
        scales = [block.var(0, correction=0).sum().clamp_min(_SMALLEST).rsqrt() for block in blocks]
        whole = torch.cat([block * scale for block, scale in zip(blocks, scales, strict=True)], 1)
        center, axes, variances = widest_directions(whole)
        sizes = torch.cat([scale.expand(block.shape[1]) for block, scale in zip(blocks, scales, strict=True)])
        self.register_buffer("center", (center / sizes).float())
        self.register_buffer("basis", (sizes[:, None] * axes).float())
        self.register_buffer("variances", variances.float())
        for name, shape in (("seen", ()), ("ready", ()), ("mean", (_DIRECTIONS,)), ("origin", (_DIRECTIONS,))):
            self.register_buffer(name, torch.zeros(shape))
        for name in ("square", "transport"):
            self.register_buffer(name, torch.zeros(_DIRECTIONS, _DIRECTIONS))

    @torch.no_grad()
    def sums(self, judged: Judged) -> Sums:
        """Return the sum of generated pictures' coordinates and of their outer products; nothing of real ones."""
        if judged.plain is None:
            return {}
        found = self._coordinates(judged)
        return {"coordinates": found.sum(0), "outer": found.T @ found}

    def loss(self, judged: Judged) -> Tensor:
        """Return the mean over pictures of the squared way to a picture's place, real pictures varying by at most 3 in all."""
        found = self._coordinates(judged)
        return self.ready * (found - (found.detach() - self.origin) @ self.transport).square().sum(1).mean()

    @torch.no_grad()
    def observe(self, side: Side, sums: Mapping[str, Tensor], count: int, images_seen: int) -> None:
        """Move the generated pictures' moments, unless they would not be finite; every few steps also the map."""
        if side == "real":
            return
        seen = self.seen + count
        rate = count / seen.clamp(max=_WINDOW)
        finite = sums["coordinates"].isfinite().all() & sums["outer"].isfinite().all()
        for moment, total in ((self.mean, sums["coordinates"]), (self.square, sums["outer"])):
            moment.copy_(torch.where(finite, moment + rate * (total / count - moment), moment))
        self.seen.copy_(torch.where(finite, seen, self.seen))
        if images_seen >= _FEWEST and images_seen // count % _REFRESH_EVERY == 0:
            self._refresh()

    def _refresh(self) -> None:
        mean = self.mean.double()
        transport = transport_map(self.square.double() - torch.outer(mean, mean), self.variances.double().diag())
        known = transport.isfinite().all() & (self.seen >= _FEWEST)
        for buffer, value in ((self.transport, transport), (self.origin, self.mean), (self.ready, torch.ones_like(self.ready))):
            buffer.copy_(torch.where(known, value.to(buffer.dtype), buffer))

    def _coordinates(self, judged: Judged) -> Tensor:
        assert judged.plain is not None
        return (torch.cat(descriptions(judged.plain), 1).to(self.basis) - self.center) @ self.basis


def descriptions(features: tuple[Tensor, ...]) -> tuple[Tensor, Tensor, Tensor]:
    """Return of maps `[N, C, H, W]` each channel's spatial means and deviations, and means of the last one's quarters."""
    means = pooled(features)
    wide = [x if x.dtype == torch.float64 else x.float() for x in features]
    deviations = torch.cat([(x.var((2, 3), correction=0) + 1e-4).sqrt() for x in wide], 1)
    return means, deviations, F.adaptive_avg_pool2d(wide[-1], 2).flatten(1)


def widest_directions(whole: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return of descriptions `[N, d]` (float64) the mean `[d]`, orthonormal directions `[d, 256]` and variances `[256]`.

    So many directions as a quarter of the pictures, at least one and at most 256; the others are zeros.
    """
    center = whole.mean(0)
    away = whole - center
    squares, vectors = torch.linalg.eigh(away @ away.T)  # as many as pictures, not as features
    count = min(_DIRECTIONS, max(1, len(whole) // _PICTURES_PER_DIRECTION), whole.shape[1])
    squares, vectors = squares.flip(0)[:count].clamp_min(0), vectors.flip(1)[:, :count]
    axes, variances = whole.new_zeros(whole.shape[1], _DIRECTIONS), whole.new_zeros(_DIRECTIONS)
    axes[:, :count] = away.T @ vectors * squares.clamp_min(_SMALLEST).rsqrt()
    variances[:count] = squares / len(whole)
    return center, axes, variances
