"""Projection: the styles whose picture is most like a given one (Abdal et al. 2019, 1904.03189).

In W one style serves all layers: the result stays a picture of the model's kind. In W+ each layer has its own: closer to the
target, further from what the model knows. Departures: the start is the best of some hundred seeds, not the mean; the distance
is that of normalised features of the backbone that is available, plus pixels; a pull towards the start keeps W+ editable.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from artgan.backbones import BACKBONES
from artgan.backbones.backbone import Backbone, load_backbone
from artgan.devices import place
from artgan.generation.point import Point
from artgan.generation.space import Space
from artgan.images import to_float, to_uint8
from artgan.progress import Listener, Progress, silent

_NUM_STARTS = 256  # of all classes together, or one of each
_LEAST_STARTS, _START_PIXELS = 64, 256 * 512 * 512  # of large models, whose pictures take the time
_STARTS_AT_ONCE = 8
_FEATURE_SIDE_PX = 128
_START_SIDE_PX = 256
_LEARNING_RATE = 0.1
_WARM_UP, _COOL_DOWN = 0.05, 0.25
_PULL = 2e-4


@dataclass(frozen=True)
class Settings:
    """How to search.

    Attributes:
        steps: of Adam.
        per_layer: W+ instead of W.
        backbone: of the distance, a name of `BACKBONES` with projection layers.
        pixel_weight: of the pixels' mean squared difference beside the features'.
        label: the class of a conditional model to start from; None: that of the best start over all classes.
    """

    steps: int = 200
    per_layer: bool = True
    backbone: str = "squeezenet1_1"
    pixel_weight: float = 2.0
    label: int | None = None


@dataclass(frozen=True)
class Projection:
    """What was found.

    Attributes:
        styles: float32 `[num_styles, style_dim]`.
        losses: distance before each step, and at the end.
        start_seed: the seed that the search began at.
        classes: the class that it began in, as in `Point`; empty for an unconditional model.
    """

    styles: np.ndarray
    losses: list[float]
    start_seed: int
    classes: tuple[tuple[int, float], ...] = ()


def fitted(target: np.ndarray, height_px: int, width_px: int) -> np.ndarray:
    """Return a picture cut to the model's aspect around its center and reduced to its size, uint8 `[H, W, 3]`."""
    height, width = target.shape[:2]
    scale = min(height / height_px, width / width_px)
    tall, wide = max(1, round(height_px * scale)), max(1, round(width_px * scale))
    top, left = (height - tall) // 2, (width - wide) // 2
    image = Image.fromarray(np.ascontiguousarray(target[top : top + tall, left : left + wide]))
    return np.asarray(image.resize((width_px, height_px), Image.Resampling.LANCZOS))


def project(
    space: Space,
    target: np.ndarray,
    settings: Settings,
    on_progress: Listener = silent,
    on_picture: Callable[[np.ndarray], None] | None = None,
) -> Projection:
    """Find the styles whose picture is most like a target.

    Args:
        space: of the model.
        target: uint8 `[h, w, 3]`, of any size.
        settings: see there.
        on_progress: told after each step.
        on_picture: given the picture of each step, uint8 `[H, W, 3]`: the frames of a film.
    """
    distance = _Distance(space, fitted(target, space.height_px, space.width_px), settings)
    began = _best_start(space, distance, settings.label, on_progress)
    start = space.styles([began]).clone()  # a clone outside of inference mode can be differentiated
    styles = start.clone() if settings.per_layer else start[:, :1].clone()
    deviation = float(space.cloud(began.classes[0][0] if began.classes else 0).std(0).mean())
    optimizer = torch.optim.Adam([styles.requires_grad_(True)], lr=_LEARNING_RATE * deviation, betas=(0.9, 0.999))
    best, best_loss, losses = start, float("inf"), []
    for step in range(settings.steps):
        for group in optimizer.param_groups:
            group["lr"] = _LEARNING_RATE * deviation * _ramp(step / settings.steps)
        full = styles.expand(-1, space.generator.num_styles, -1)
        picture = space.generator.synthesis(full)
        loss = distance(picture)[0]
        losses.append(loss.item())
        if losses[-1] < best_loss:
            best, best_loss = full.detach().clone(), losses[-1]
        pull = _PULL * ((full - start) / deviation).square().mean()
        (styles.grad,) = torch.autograd.grad(loss + pull, [styles])
        optimizer.step()
        if on_picture is not None:
            on_picture(to_uint8(picture.detach())[0].cpu().numpy())
        on_progress(Progress("projecting", step + 1, settings.steps, "steps", f"distance {losses[-1]:.4f}"))
    return Projection(best[0].cpu().numpy(), [*losses, best_loss], began.seed, began.classes)


def _ramp(share: float) -> float:
    """Return the factor of the learning rate: a short linear rise, a cosine fall over the last quarter."""
    fall = min(1.0, (1 - share) / _COOL_DOWN)
    return min(1.0, (share + 1e-3) / _WARM_UP) * (0.5 - 0.5 * float(np.cos(np.pi * fall)))


@torch.inference_mode()
def _best_start(space: Space, distance: "_Distance", label: int | None, on_progress: Listener) -> Point:
    """Return the seed's point, among the first of each class, whose picture is nearest.

    Distances are those of small pictures: at 1024 px the features of the whole ones took most of the time, and a start is a
    start. What is left is making the pictures (1.1 s of one core each there), so large models have fewer starts.
    """
    starts = min(_NUM_STARTS, max(_LEAST_STARTS, _START_PIXELS // (space.height_px * space.width_px)))
    labels = [label] if label is not None else list(range(space.num_classes))
    classes: list[tuple[tuple[int, float], ...]] = [((at, 1.0),) for at in labels] or [()]
    seeds = range(-(-starts // len(classes)))
    points = [Point(seed, classes=chosen) for seed in seeds for chosen in classes]
    found: list[Tensor] = []
    for first in range(0, len(points), _STARTS_AT_ONCE):
        here = points[first : first + _STARTS_AT_ONCE]
        padded = here + here[:1] * (_STARTS_AT_ONCE - len(here))
        found.append(distance.of_small(space.generator.synthesis(space.styles(padded)))[: len(here)])
        on_progress(Progress("looking for a start", first + len(here), len(points), "pictures"))
    return points[int(torch.cat(found).argmin())]


class _Distance:
    """Feature and pixel distance to one target; one number for each picture."""

    def __init__(self, space: Space, target: np.ndarray, settings: Settings) -> None:
        backbone = load_backbone(settings.backbone, BACKBONES.row(settings.backbone).projection_layers)
        assert isinstance(backbone, Backbone)
        self.backbone = place(backbone, space.device)
        self.pixel_weight = settings.pixel_weight
        with torch.no_grad():
            self.target = to_float(torch.from_numpy(target.copy())[None].to(space.device))
            self.features = self._features(self.target)
            self.small_target = self._small(self.target)
            self.small_features = self._features(self.small_target)

    def _features(self, images: Tensor) -> list[Tensor]:
        side = max(_FEATURE_SIDE_PX, *images.shape[-2:])
        if min(images.shape[-2:]) < _FEATURE_SIDE_PX:
            images = F.interpolate(images, (side, side), mode="bilinear", align_corners=False)
        return [F.normalize(x, dim=1) for x in self.backbone(images).values()]  # unit vectors at each place

    def _small(self, images: Tensor) -> Tensor:
        factor = _START_SIDE_PX / min(images.shape[-2:])
        if factor >= 1:
            return images
        size = [round(side * factor) for side in images.shape[-2:]]
        return F.interpolate(images, size, mode="area")

    def __call__(self, images: Tensor) -> Tensor:
        """Return `[N]` for images `[N, 3, H, W]`."""
        return self._between(images, self.target, self.features)

    def of_small(self, images: Tensor) -> Tensor:
        """Return `[N]` for images `[N, 3, H, W]`, measured at a shorter side of 256 px where they are larger."""
        return self._between(self._small(images), self.small_target, self.small_features)

    def _between(self, images: Tensor, target: Tensor, features: list[Tensor]) -> Tensor:
        pairs = zip(self._features(images), features, strict=True)
        total = torch.stack([(a - b).square().sum(1).mean((1, 2)) for a, b in pairs]).sum(0)
        return total + self.pixel_weight * (images - target).square().mean((1, 2, 3))
