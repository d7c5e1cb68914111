"""Directions in W along which a model's pictures change, without training: PCA and closed-form factorisation.

GANSpace (Härkönen et al. 2020, 2004.02546): principal components of w over many latents.
SeFa (Shen & Zhou 2021, 2007.06600, eq. 6): eigenvectors of A^T A, where A stacks the weights of all layers that read w.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from artgan.errors import CheckpointError
from artgan.models.contract import GeneratorNetwork

NUM_DIRECTIONS = 8


@dataclass(frozen=True)
class Direction:
    """A direction in W.

    Attributes:
        name: such as `pca-1`.
        step: float32 `[style_dim]`, one standard deviation of W along the direction.
        share: of the variance (PCA), or of the squared effect on the layers (SeFa), that lies along it.
    """

    name: str
    step: Tensor
    share: float


def find_directions(generator: GeneratorNetwork, cloud: Tensor) -> dict[str, Direction]:
    """Return the first directions of both kinds, the strongest first.

    Args:
        generator: in evaluation mode.
        cloud: w of many latents, float32 `[N, style_dim]`, finite.

    Raises:
        CheckpointError: weights that read the styles are not finite.
    """
    centered = (cloud - cloud.mean(0)).double()
    covariance = centered.T @ centered / (len(cloud) - 1)
    found = _leading("pca", covariance, covariance)
    matrices = style_matrices(generator)
    if not all(matrix.isfinite().all() for matrix in matrices):
        raise CheckpointError("the weights of this model are not finite numbers: it broke down; take another checkpoint")
    if matrices:
        stacked = torch.cat([matrix / matrix.norm(dim=1, keepdim=True).clamp_min(1e-12) for matrix in matrices]).double()
        found |= _leading("sefa", stacked.T @ stacked, covariance)
    return found


def _leading(kind: str, matrix: Tensor, covariance: Tensor) -> dict[str, Direction]:
    """Return the eigenvectors of the largest eigenvalues; the sign is such that the largest coordinate is positive."""
    values, vectors = torch.linalg.eigh(matrix.cpu())
    directions = {}
    for place in range(min(NUM_DIRECTIONS, len(values))):
        vector = vectors[:, -1 - place]
        vector = vector * vector[vector.abs().argmax()].sign()
        deviation = (vector @ covariance.cpu() @ vector).clamp_min(0).sqrt()
        name = f"{kind}-{place + 1}"
        share = float(values[-1 - place] / values.sum().clamp_min(1e-12))
        directions[name] = Direction(name, (vector * deviation).float(), share)
    return directions


@torch.inference_mode()
def style_matrices(generator: GeneratorNetwork) -> list[Tensor]:
    """Return the weights `[features, style_dim]` of every layer that reads the styles themselves.

    They are found by running the generator once on a marked style: a layer belongs to them when its input is that style and
    its weight fits. Nothing of an architecture's names is assumed.
    """
    weight = next(generator.parameters())
    mark = torch.linspace(-1, 1, generator.style_dim, device=weight.device)[None]
    found: list[Tensor] = []

    def watch(module: nn.Module, inputs: tuple[object, ...]) -> None:
        matrix = getattr(module, "weight", None)
        given = inputs[0] if inputs else None
        if not isinstance(matrix, Tensor) or not isinstance(given, Tensor) or matrix.ndim != 2:
            return
        if given.shape == mark.shape and matrix.shape[1] == mark.shape[1] and torch.equal(given, mark):
            found.append(matrix.detach())

    with _watched(generator, watch):
        generator.synthesis(mark)
    return found


@contextmanager
def _watched(network: nn.Module, watch: Callable[[nn.Module, tuple[object, ...]], None]) -> Iterator[None]:
    """Call `watch` before every module below `network`, for the length of a block."""
    handles = [module.register_forward_pre_hook(watch) for module in network.modules()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
