"""The latent space of a model: what is computed once (means, centers, directions), and from points to styles."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from artgan import seeding
from artgan.devices import Pieces
from artgan.errors import CheckpointError, DataError
from artgan.generation.directions import Direction, find_directions
from artgan.generation.latents import MEAN_SAMPLES, latents_for_seeds, mean_latents, truncate
from artgan.generation.point import Point, unpack_styles
from artgan.models.contract import GeneratorNetwork
from artgan.tables import nearest

_KMEANS_ROUNDS = 30
_MAPPING_BATCH = 8
Mapped = dict[tuple[int, int], Tensor]  # (seed, label) -> w


class Space:
    """Points to styles, for one generator in evaluation mode.

    Means, k-means centers and directions are functions of the weights alone: they are made when first needed, and the same
    wherever the model is opened.

    Args:
        generator: on its device.
        num_classes: 0 for an unconditional model.

    Attributes:
        pieces: in how many its pictures are rendered where memory is short.
    """

    def __init__(self, generator: GeneratorNetwork, num_classes: int = 0) -> None:
        self.generator = generator
        self.num_classes = num_classes
        self.device = next(generator.parameters()).device
        self.pieces = Pieces("rendering")
        self._cloud: dict[int, Tensor] = {}
        self._centers: dict[tuple[int, int], Tensor] = {}
        self._directions: dict[int, dict[str, Direction]] = {}

    @cached_property
    def _size(self) -> tuple[int, int]:
        """Height and width of the pictures, seen on one of them."""
        with torch.inference_mode():
            styles = torch.zeros(1, self.generator.style_dim, device=self.device)
            image = self.pieces(lambda _: self.generator.synthesis(styles), 1)
        return image.shape[2], image.shape[3]

    @property
    def height_px(self) -> int:
        return self._size[0]

    @property
    def width_px(self) -> int:
        return self._size[1]

    @torch.inference_mode()
    def cloud(self, label: int) -> Tensor:
        """Return w of 4096 fixed latents of a class, float32 `[4096, style_dim]`.

        Raises:
            CheckpointError: the weights that make it are not finite.
        """
        if label not in self._cloud:
            latents = mean_latents(self.generator.latent_dim).to(self.device)
            labels = torch.full((MEAN_SAMPLES,), label, device=self.device)
            cloud = self.generator.mapping(latents, labels)
            if not cloud.isfinite().all():
                raise CheckpointError(
                    "the weights of this model are not finite numbers: it broke down; take another checkpoint"
                )
            self._cloud[label] = cloud
        return self._cloud[label]

    def centers(self, label: int, count: int) -> Tensor:
        """Return the mean (`count` 0), or k-means centers of W, float32 `[max(1, count), style_dim]`."""
        key = (label, count)
        if key not in self._centers:
            cloud = self.cloud(label)
            self._centers[key] = cloud.mean(0, keepdim=True) if count == 0 else _kmeans(cloud, count)
        return self._centers[key]

    @property
    def directions(self) -> dict[str, Direction]:
        """The directions of the model by name: `pca-1`, ..., `sefa-1`, ...; where there are classes, those of the first."""
        return self.directions_of(0)

    def directions_of(self, label: int) -> dict[str, Direction]:
        """Return the directions along which the pictures of a class change, by their plain names.

        Raises:
            CheckpointError: the weights are not finite.
        """
        if label not in self._directions:
            self._directions[label] = find_directions(self.generator, self.cloud(label))
        return self._directions[label]

    @torch.inference_mode()
    def styles(self, points: Sequence[Point]) -> Tensor:
        """Return the styles of points, float32 `[N, num_styles, style_dim]`.

        Raises:
            DataError: a point names a class, a direction, layers or stored styles that this model does not have.
        """
        wanted = dict.fromkeys(pair for point in points for pair in self._seeds(point))
        mapped = self._mapped(list(wanted))
        return torch.cat([self._styles(point, mapped) for point in points])

    def _seeds(self, point: Point) -> list[tuple[int, int]]:
        """Return every `(seed, label)` that a point needs."""
        own = [] if point.styles else [(point.seed, label) for label, _ in self._shares(point)]
        return own + [pair for other in (point.toward, point.mixed) if other is not None for pair in self._seeds(other)]

    def _mapped(self, pairs: list[tuple[int, int]]) -> Mapped:
        """Map latents in batches of one size, the last one padded, so that w of a seed has the same bits in any company."""
        mapped: Mapped = {}
        for start in range(0, len(pairs), _MAPPING_BATCH):
            here = pairs[start : start + _MAPPING_BATCH]
            padded = here + here[:1] * (_MAPPING_BATCH - len(here))
            latents = latents_for_seeds([seed for seed, _ in padded], self.generator.latent_dim).to(self.device)
            labels = torch.tensor([label for _, label in padded], device=self.device)
            mapped.update(zip(here, self.generator.mapping(latents, labels)))
        return mapped

    def _styles(self, point: Point, mapped: Mapped) -> Tensor:
        styles = self._truncated(self._origin(point, mapped), point)
        for name, amount in point.moves:
            styles = styles + amount * self._direction(name).step.to(self.device)
        if point.toward is not None and point.amount > 0:
            styles = torch.lerp(styles, self._styles(point.toward, mapped), point.amount)
        first, end = point.layers
        if point.mixed is not None and first < end:
            if end > self.generator.num_styles:
                raise DataError(f"point.layers: {first} to {end}, but this model has {self.generator.num_styles} layers")
            styles = styles.clone()
            styles[:, first:end] = self._styles(point.mixed, mapped)[:, first:end]
        return styles

    def _origin(self, point: Point, mapped: Mapped) -> Tensor:
        """Return `[1, num_styles, style_dim]` before truncation."""
        layers, width = self.generator.num_styles, self.generator.style_dim
        if point.styles:
            return torch.from_numpy(unpack_styles(point.styles, layers, width)).to(self.device)[None]
        shares = self._shares(point)
        if len(shares) == 1:
            return self.generator.per_layer(mapped[point.seed, shares[0][0]][None])
        mix = torch.stack([share * mapped[point.seed, label] for label, share in shares]).sum(0, keepdim=True)
        return self.generator.per_layer(mix)

    def _shares(self, point: Point) -> list[tuple[int, float]]:
        """Return the classes with shares that sum to 1."""
        chosen = [(label, weight) for label, weight in point.classes if weight > 0]
        total = sum(weight for _, weight in chosen)
        if not chosen:
            return [(0, 1.0)]
        if any(label >= max(1, self.num_classes) for label, _ in chosen):
            raise DataError(f"point.classes: {[label for label, _ in chosen]}, but this model has {self.num_classes} classes")
        return [(label, weight / total) for label, weight in chosen]

    def _truncated(self, styles: Tensor, point: Point) -> Tensor:
        if point.truncation == 1.0:
            return styles
        shares = self._shares(point)
        label = max(shares, key=lambda pair: pair[1])[0]
        if point.centers == 0:
            center = sum(share * self.centers(label, 0) for label, share in shares)
            assert isinstance(center, Tensor)
        else:
            centers = self.centers(label, point.centers)
            center = centers[torch.cdist(styles.mean(1), centers).argmin(1)]
        return truncate(styles, center[:, None], point.truncation)

    def _direction(self, name: str) -> Direction:
        """Return a direction: `pca-1`, or that of the class with label 2, `pca-1@2`."""
        plain, _, label = name.partition("@")
        if label and not (label.isdecimal() and int(label) < max(1, self.num_classes)):
            raise DataError(f"direction '{name}': this model has {self.num_classes} classes, counted from 0")
        found = self.directions_of(int(label or 0))
        if plain not in found:
            raise DataError(f"no direction '{plain}'{nearest(plain, found)}: there are {', '.join(found)}")
        return found[plain]


def _kmeans(cloud: Tensor, count: int) -> Tensor:
    """Return Lloyd's centers of `[N, D]`, in float64, from rows that a fixed permutation chooses."""
    from scipy.cluster.vq import kmeans2

    values = cloud.cpu().numpy().astype(np.float64)
    start = values[seeding.permutation(0, "sample/centers", count, len(values))[:count]]
    centers, _ = kmeans2(values, start, iter=_KMEANS_ROUNDS, minit="matrix")
    return torch.from_numpy(centers.astype(np.float32)).to(cloud.device)
