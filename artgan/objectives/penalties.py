"""Penalties on gradients: R1 and R2 of a discriminator, path length of a generator.

R1 = gamma / 2 E[|grad_x D(x)|^2] on real images (Mescheder et al. 2018, 1801.04406), R2 the same on generated ones.
Path length = E[(|J_w^T y| - a)^2] with y normal and a the running mean of the lengths (Karras et al. 2020, 1912.04958, eq. 4).

Gradients are taken by `torch.func.grad`: its result can be differentiated again and compiled, where `torch.autograd.grad`
cannot be compiled.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

_DECAY = 0.01


def squared_slopes(score: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """Return |grad_x D(x)|^2 of each image, `[N]`, in float32 or wider; differentiable with respect to D's parameters.

    Attention is taken as plain products: the fused kernels of transformers have no second derivative.

    Args:
        score: maps images to logits `[N, K]`; D(x) is their mean over K.
        images: `[N, 3, H, W]`.
    """
    with sdpa_kernel(SDPBackend.MATH):
        slopes = torch.func.grad(lambda x: score(x).mean(1).sum())(images)
    return (slopes if slopes.dtype == torch.float64 else slopes.float()).square().sum((1, 2, 3))


def path_lengths(synthesis: Callable[[Tensor], Tensor], styles: Tensor, noise: Tensor) -> Tensor:
    """Return |J_w^T y| of each image, `[N]`, as the root of the mean over layers of the squared norm.

    Args:
        synthesis: maps styles to images.
        styles: `[N, L, D]`, one for each layer.
        noise: standard normals `[N, 3, H, W]`; y is this over sqrt(H W).
    """
    scaled = noise / math.sqrt(noise.shape[2] * noise.shape[3])
    slopes = torch.func.grad(lambda w: (synthesis(w) * scaled).sum())(styles)
    return slopes.square().sum(2).mean(1).sqrt()


class PathLength(nn.Module):
    """The running mean of path lengths, and the penalty for departing from it.

    Departure: the penalty is against the mean before this step, not after it, so that the pieces of a batch need not wait
    for each other.
    """

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(()))

    def penalty(self, lengths: Tensor) -> Tensor:
        """Return E[(length - mean)^2] of lengths `[N]`."""
        return (lengths - self.mean).square().mean()

    @torch.no_grad()
    def observe(self, mean_length: Tensor) -> None:
        """Move the running mean towards the mean length of a whole batch, over all processes, if it is finite."""
        moved = self.mean + _DECAY * (mean_length.to(self.mean.dtype) - self.mean)
        self.mean.copy_(torch.where(moved.isfinite(), moved, self.mean))
