"""Style transfer by optimisation, from coarse to fine (Gatys et al. 2016).

Departures from the paper: Adam on the pixels with averaged iterates instead of L-BFGS; several scales, each starting from
the content plus the change that the coarser scale made, so that the content's fine detail is never blurred away; the first
convolution pads by replication, which keeps the frame free of border artefacts; losses relative to their targets.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from artgan import seeding
from artgan.backbones.backbone import Backbone
from artgan.refine.losses import content_loss, gram_matrices, style_loss, total_variation

MIN_SIDE_PX = 32
_COARSEST_PX = 64
_ADAM_BETAS = (0.9, 0.99)
_AVERAGE_DECAY = 0.97
_NOISE_DEVIATION = 0.3


@dataclass(frozen=True)
class Settings:
    """Weights and lengths of the optimisation.

    Attributes:
        style_layers, content_layers: of the backbone.
        content_weight, variation_weight: beside a style weight of 1.
        strength: in (0, 1]; the content weighs 1 / strength^2 as much.
        iterations: Adam steps at each scale.
        learning_rate: in units of the [0, 1] pixel range.
        noise_seed: start from this seed's noise, the same for every picture of a size; None starts from the content.
    """

    style_layers: tuple[str, ...]
    content_layers: tuple[str, ...]
    content_weight: float
    variation_weight: float
    strength: float
    iterations: int
    learning_rate: float
    noise_seed: int | None = None


@dataclass(frozen=True)
class Iterate:
    """Where the optimisation is: side in pixels, step over all scales, and the mean loss of the batch."""

    side_px: int
    step: int
    num_steps: int
    loss: float


def scales(height: int, width: int) -> list[tuple[int, int]]:
    """Return the sizes from coarse to fine: halvings of the full size, down to a short side of 64 px."""
    sizes = [(height, width)]
    while min(sizes[-1]) >= 2 * _COARSEST_PX:
        h, w = sizes[-1]
        sizes.append((round(h / 2), round(w / 2)))
    return sizes[::-1]


def stylize(
    content: Tensor, style: Tensor, backbone: Backbone, settings: Settings, on_iterate: Callable[[Iterate], None]
) -> Tensor:
    """Give each content picture the look of the style picture.

    Args:
        content: `[B, 3, H, W]`, float32 in [-1, 1]; a picture's result does not depend on the others.
        style: `[1, 3, h, w]`, float32 in [-1, 1]; it is reduced with the scale, and never enlarged.
        backbone: returns the layers of `settings`.
        settings: see there.
        on_iterate: called a few times a scale.

    Returns:
        `[B, 3, H, W]`, float32 in [-1, 1].
    """
    sizes = scales(*content.shape[-2:])
    num_steps = len(sizes) * settings.iterations
    coarse = resize(content, sizes[0])
    change = torch.zeros_like(coarse) if settings.noise_seed is None else _noise(coarse, settings.noise_seed) - coarse
    for index, size in enumerate(sizes):
        target = resize(content, size)
        start = (target + resize(change, size)).clamp(-1, 1)

        def report(step: int, loss: float, index: int = index, size: tuple[int, int] = size) -> None:
            on_iterate(Iterate(min(size), index * settings.iterations + step, num_steps, loss))

        style_here = _reduce(style, max(size))
        change = _optimize(start, target, style_here, backbone, settings, report) - target
    return (content + change).clamp(-1, 1)


def _noise(like: Tensor, seed: int) -> Tensor:
    values = seeding.normal(seed, "refine/start", 0, 1, like[0].numel()) * _NOISE_DEVIATION
    return torch.from_numpy(values).view(1, *like.shape[1:]).expand_as(like).to(like.device)


def _optimize(
    start: Tensor, content: Tensor, style: Tensor, backbone: Backbone, settings: Settings, report: Callable[[int, float], None]
) -> Tensor:
    """Return the averaged iterate at one scale."""
    with torch.no_grad():
        style_features, content_features = backbone(style), backbone(content)
    grams = {layer: gram_matrices(style_features[layer]) for layer in settings.style_layers}
    content_weight = settings.content_weight / settings.strength**2
    image = start.clone().requires_grad_(True)
    optimizer = torch.optim.Adam([image], lr=2 * settings.learning_rate, betas=_ADAM_BETAS)
    average = torch.zeros_like(start)
    for step in range(1, settings.iterations + 1):
        features = backbone(image)
        losses = (
            style_loss(features, grams)
            + content_weight * content_loss(features, content_features, settings.content_layers)
            + settings.variation_weight * total_variation(image)
        )
        optimizer.zero_grad()
        losses.sum().backward()
        optimizer.step()
        with torch.no_grad():
            image.clamp_(-1, 1)
            average.lerp_(image, 1 - _AVERAGE_DECAY)
        if step % 10 == 0 or step == settings.iterations:
            report(step, losses.detach().mean().item())
    return average / (1 - _AVERAGE_DECAY**settings.iterations)


def resize(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize `[B, 3, H, W]` with antialiased bicubic filtering."""
    if images.shape[-2:] == size:
        return images
    return F.interpolate(images, size, mode="bicubic", antialias=True, align_corners=False)


def _reduce(style: Tensor, long_side_px: int) -> Tensor:
    height, width = style.shape[-2:]
    factor = min(1.0, long_side_px / max(height, width))
    size = (max(MIN_SIDE_PX, round(height * factor)), max(MIN_SIDE_PX, round(width * factor)))
    return resize(style, size).clamp(-1, 1)


def pad_by_replication(backbone: Backbone) -> Backbone:
    """Let the first convolution continue the picture at its border instead of framing it in black."""
    name, first = next(iter(backbone.stages.items()))
    if isinstance(first, nn.Conv2d) and first.padding != (0, 0):
        assert isinstance(first.padding, tuple)
        rows, columns = first.padding
        first.padding = (0, 0)
        backbone.stages[name] = nn.Sequential(nn.ReplicationPad2d((columns, columns, rows, rows)), first)
    return backbone
