"""Style, content and smoothness losses: one number per picture, so that pictures in a batch never mix.

Style is measured on statistics of features over positions: mean, second moment (the Gram matrix), and quantiles along
fixed directions. All of them mix linearly, so several styles, whole collections and partial strength are weighted sums.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from artgan import seeding

Features = Mapping[str, Tensor]
NUM_QUANTILES = 128
_MAX_DIRECTIONS = 128
_MAX_SELF_SIMILARITY_POSITIONS = 1024
_RELATIVE_EPSILON = 1e-4  # of the mean variance, added to covariances before their roots
_FLAT = 0.02  # covariances count as at least so large a share of the Gram matrix: those of a plain color are nothing


@dataclass(frozen=True)
class Statistics:
    """Statistics of one layer's features over positions.

    Attributes:
        mean: `[B, C]`.
        second: E[f f^T], `[B, C, C]`: the Gram matrix over the number of positions (Gatys et al. 2016, eq. 3).
        quantiles: of the projections on K directions, `[B, K, 128]`, or None where the loss does not need them.
    """

    mean: Tensor
    second: Tensor
    quantiles: Tensor | None = None

    def map(self, function: Callable[[Tensor], Tensor]) -> "Statistics":
        """Apply a function to each tensor."""
        quantiles = None if self.quantiles is None else function(self.quantiles)
        return Statistics(function(self.mean), function(self.second), quantiles)


def statistics(features: Tensor, loss: str, mask: Tensor | None = None) -> Statistics:
    """Return the statistics of `[B, C, H, W]` that a loss needs.

    Args:
        features: of one layer.
        loss: `gram`, `moments`, `wasserstein` or `sliced`.
        mask: weights of the positions, `[B or 1, 1, H, W]` in [0, 1]; not for `sliced`.
    """
    features = _wide(features)
    if mask is None:
        mean, second = _Moments.apply(features.flatten(2))
    else:
        covered = mask.sum((2, 3)).clamp_min(1e-6)  # [B, 1]
        flat, weights = features.flatten(2), mask.flatten(2)
        mean = (flat * weights).sum(2) / covered
        second = (flat * weights) @ flat.transpose(1, 2) / covered[..., None]
    return Statistics(mean, second, _quantiles(features) if loss == "sliced" else None)


class _Moments(torch.autograd.Function):
    """E[f] `[B, C]` and E[f f^T] `[B, C, C]` over the positions of `[B, C, N]`.

    Its gradient is one product, in the layout of the features; autograd's is two products, sums and copies between layouts.
    """

    @staticmethod
    def forward(context: Any, flat: Tensor) -> tuple[Tensor, Tensor]:
        context.save_for_backward(flat)
        return flat.mean(2), flat @ flat.transpose(1, 2) / flat.shape[2]

    @staticmethod
    @once_differentiable
    def backward(context: Any, mean_slope: Tensor, second_slope: Tensor) -> Tensor:
        (flat,) = context.saved_tensors
        slope = (second_slope + second_slope.transpose(1, 2)) / flat.shape[2]
        offset = mean_slope / flat.shape[2]
        if flat.stride(1) == 1:  # channels last
            return torch.baddbmm(offset[:, None, :], flat.transpose(1, 2), slope).transpose(1, 2)
        return torch.baddbmm(offset[:, :, None], slope, flat)


def mixture(parts: Sequence[Statistics], weights: Sequence[float]) -> Statistics:
    """Return the weighted mean of statistics: moments of the mixture, and the barycenter of the 1-D projections."""
    shares = [weight / sum(weights) for weight in weights]

    def mixed(values: Sequence[Tensor]) -> Tensor:
        parts = [share * value for share, value in zip(shares, values, strict=True)]
        return sum(parts[1:], parts[0])

    quantiles = [part.quantiles for part in parts if part.quantiles is not None]
    return Statistics(
        mixed([part.mean for part in parts]), mixed([part.second for part in parts]), mixed(quantiles) if quantiles else None
    )


def between(first: Statistics, second: Statistics, share: float) -> Statistics:
    """Return statistics `share` of the way from the first to the second: of means, covariances and quantiles.

    Not the mixture of the two: its covariance has share (1 - share) d d^T more, d the difference of the means, which a picture
    meets by being one look in some places and the other elsewhere.
    """
    mean = torch.lerp(first.mean, second.mean.expand_as(first.mean), share)
    spread = torch.lerp(covariance(first), covariance(second).expand_as(first.second), share)
    quantiles = None
    if first.quantiles is not None and second.quantiles is not None:
        quantiles = torch.lerp(first.quantiles, second.quantiles.expand_as(first.quantiles), share)
    return Statistics(mean, spread + mean[:, :, None] * mean[:, None, :], quantiles)


def style_distance(found: Statistics, target: Statistics, scale: Statistics, loss: str) -> Tensor:
    """Return `[B]`: how far statistics are from their target, in units of the style's own size.

    Departure from Gatys et al. (2016, eq. 4-5): each distance is relative to the style's statistics, so that weights mean
    the same in every layer, backbone and size. `gram` is |G - T|^2 / |S|^2; `moments` the mean of that for means and for
    covariances (Li et al. 2017, arXiv 1701.01036, in spirit); `wasserstein` the squared 2-Wasserstein distance of the two
    Gaussians; `sliced` the mean squared distance of quantiles (Heitz et al. 2021, arXiv 2006.07229, with fixed directions).
    """
    if loss == "gram":
        return _relative(found.second, target.second, scale.second)
    if loss == "sliced":
        assert found.quantiles is not None
        assert target.quantiles is not None
        assert scale.quantiles is not None
        return _relative(found.quantiles, target.quantiles, scale.quantiles)
    if loss == "moments":
        means = _relative(found.mean, target.mean, scale.mean)
        size = _squares(covariance(scale)).maximum(_FLAT**2 * _squares(scale.second)).clamp_min(1e-12)
        return (means + _squares(covariance(found) - covariance(target)) / size) / 2
    means = (found.mean - target.mean).square().sum(1)
    size = scale.second.diagonal(dim1=1, dim2=2).sum(1)
    return (means + bures(covariance(found), covariance(target))) / size.clamp_min(1e-12)


def covariance(values: Statistics) -> Tensor:
    """Return E[f f^T] - E[f] E[f]^T, `[B, C, C]`."""
    return values.second - values.mean[:, :, None] * values.mean[:, None, :]


def bures(first: Tensor, second: Tensor) -> Tensor:
    """Return tr(A + B - 2 (B^(1/2) A B^(1/2))^(1/2)) of covariances `[B, C, C]`: the covariance part of Wasserstein-2.

    Differentiable in A. Both get a small multiple of the identity: with fewer positions than channels they have no full
    rank, and the root has no slope there.
    """
    channels = first.shape[-1]
    size = second.diagonal(dim1=1, dim2=2).mean(1)[:, None, None].detach()
    ridge = _RELATIVE_EPSILON * size.clamp_min(1e-12) * torch.eye(channels, device=first.device, dtype=first.dtype)
    first, second = first + ridge, second + ridge
    root = _matrix_root(second)
    inner = root @ first @ root
    traces = first.diagonal(dim1=1, dim2=2).sum(1) + second.diagonal(dim1=1, dim2=2).sum(1)
    return traces - 2 * _TraceOfRoot.apply((inner + inner.transpose(1, 2)) / 2)


class _TraceOfRoot(torch.autograd.Function):
    """tr(M^(1/2)) of symmetric positive matrices `[B, C, C]`; its gradient is M^(-1/2) / 2.

    NaN where a matrix is not finite: the solver would stop the whole batch.
    """

    @staticmethod
    def forward(context: Any, matrices: Tensor) -> Tensor:
        finite = matrices.isfinite().all((1, 2))
        values, vectors = torch.linalg.eigh(torch.where(finite[:, None, None], matrices, 0.0))
        floor = values[:, -1:].clamp_min(1e-30) * torch.finfo(values.dtype).eps
        roots = values.clamp_min(floor).sqrt()
        context.save_for_backward(roots, vectors)
        return torch.where(finite, roots.sum(1), torch.nan)

    @staticmethod
    def backward(context: Any, slope: Tensor) -> Tensor:
        roots, vectors = context.saved_tensors
        return slope[:, None, None] * ((vectors / (2 * roots[:, None, :])) @ vectors.transpose(1, 2))


def _matrix_root(matrices: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(matrices.detach())
    return (vectors * values.clamp_min(0).sqrt()[:, None, :]) @ vectors.transpose(1, 2)


@cache
def _directions(channels: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Return seeded unit directions `[K, C]`, K = min(C, 128)."""
    count = min(channels, _MAX_DIRECTIONS)
    values = torch.from_numpy(seeding.normal(0, f"refine/directions/{channels}", 0, count, channels))
    return (values / values.norm(dim=1, keepdim=True)).to(device, dtype)


def _quantiles(features: Tensor) -> Tensor:
    flat = features.flatten(2)
    projected = (_directions(flat.shape[1], flat.device, flat.dtype) @ flat).sort(2).values  # [B, K, N]
    places = (torch.arange(NUM_QUANTILES, device=flat.device, dtype=flat.dtype) + 0.5) / NUM_QUANTILES * flat.shape[2] - 0.5
    places = places.clamp(0, flat.shape[2] - 1)
    low = places.floor().long()
    high = (low + 1).clamp_max(flat.shape[2] - 1)
    return torch.lerp(projected[:, :, low], projected[:, :, high], places - low)


def content_loss(features: Features, targets: Features, layers: Sequence[str]) -> Tensor:
    """Return `[B]`: the mean over layers of |F - F_content|^2 / |F_content|^2 (relative, as the style loss)."""
    pairs = [(_wide(features[layer]), _wide(targets[layer])) for layer in layers]
    return torch.stack([_relative(found, target, target) for found, target in pairs]).mean(0)


def self_similarity_loss(features: Features, targets: Features, layers: Sequence[str]) -> Tensor:
    """Return `[B]`: how differently positions relate to each other (Kolkin et al. 2019, arXiv 1904.12785, eq. 5-6).

    The mean over layers of N |D / sum D - D_t / sum D_t| over pairs of N positions, D their cosine distances with columns
    normalised. Departure from the paper: positions on a regular grid of at most 1,024, not drawn at random.
    """
    pairs = [(_self_distances(features[layer]), _self_distances(targets[layer])) for layer in layers]
    return torch.stack([total((found - target).abs()) / found.shape[1] for found, target in pairs]).mean(0)


def _self_distances(features: Tensor) -> Tensor:
    height, width = features.shape[-2:]
    stride = 1
    while (-(-height // stride)) * (-(-width // stride)) > _MAX_SELF_SIMILARITY_POSITIONS:
        stride += 1
    flat = _wide(features[:, :, ::stride, ::stride]).flatten(2)
    unit = flat / flat.norm(dim=1, keepdim=True).clamp_min(1e-8)
    distances = (1 - unit.transpose(1, 2) @ unit).clamp_min(0)  # [B, N, N]
    return distances / distances.sum(1, keepdim=True).clamp_min(1e-8)


def total_variation(images: Tensor) -> Tensor:
    """Return `[B]`: the mean squared difference of neighbours in `[B, 3, H, W]`."""
    rows = _mean((images[:, :, 1:] - images[:, :, :-1]).square())
    columns = _mean((images[:, :, :, 1:] - images[:, :, :, :-1]).square())
    return rows + columns


def _relative(values: Tensor, target: Tensor, scale: Tensor) -> Tensor:
    return _squares(values - target) / _squares(scale).clamp_min(1e-12)


def total(values: Tensor) -> Tensor:
    """Return the sum over all dimensions but the first, `[B]`, one after the other.

    torch cuts a sum to a single number into as many parts as there are threads: a picture's bytes would depend on their number.
    """
    while values.dim() > 1:
        values = values.sum(-1)
    return values


def _squares(values: Tensor) -> Tensor:
    return total(values.square())


def _mean(values: Tensor) -> Tensor:
    return total(values) / values[0].numel()


def _wide(values: Tensor) -> Tensor:
    """Return half-precision features as float32; sums over many positions need it."""
    return values if values.dtype == torch.float64 else values.float()
