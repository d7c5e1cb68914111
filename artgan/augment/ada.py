"""Adaptive discriminator augmentation.

Karras et al. 2020, "Training generative adversarial networks with limited data" (2006.06676): each change is applied with
probability p, and p follows how often the discriminator calls real images real: r = E[sign D(x)] over four steps, p moves
towards r = 0.6 by at most one in 500 thousand images.

Pipes: `bgc` is the paper's. `art` leaves out what a collection of paintings is about, its orientation and palette: no
quarter turns, no rotation, no mirror, no hue, no inverted lightness, and milder ranges; cutout as in the paper's appendix.
Departures: p ends at a cap of 0.8, since changes that are nearly always there leak into the pictures; draws come in as a
tensor, a row for each image.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from artgan.augment.contract import Augmentation
from artgan.augment.resampling import Warp

_TARGET = 0.6
_EVERY_STEPS = 4
_FULL_SWING_IMAGES = 500_000
_CUTOUT_SHARE = 0.5
_SMALLEST = 2.0**-24


@dataclass(frozen=True)
class Pipe:
    """The range of each change; zero leaves it out. Deviations named `log2` are of a factor 2^x."""

    mirror: bool = False
    quarter_turns: bool = False
    shift_share: float = 0.0
    log2_scale: float = 0.0
    turn_share: float = 0.0
    log2_stretch: float = 0.0
    fine_shift_share: float = 0.0
    brightness: float = 0.0
    log2_contrast: float = 0.0
    invert_lightness: bool = False
    hue_share: float = 0.0
    log2_saturation: float = 0.0
    cutout: bool = False


PIPES = {
    "bgc": Pipe(True, True, 0.125, 0.2, 1.0, 0.2, 0.125, 0.2, 0.5, True, 1.0, 1.0, False),
    "art": Pipe(
        shift_share=0.125,
        log2_scale=0.15,
        log2_stretch=0.1,
        fine_shift_share=0.06,
        brightness=0.1,
        log2_contrast=0.25,
        log2_saturation=0.4,
        cutout=True,
    ),
}


class Ada(Augmentation):
    """The changes of a pipe, each with probability p.

    Args:
        pipe: a name of `PIPES`.
        probability: fixed p, or None to follow the discriminator.
        max_probability: the largest p that following reaches.
    """

    num_draws = 31
    probability: Tensor
    sign_sum: Tensor
    sign_count: Tensor

    def __init__(self, pipe: str, probability: float | None, max_probability: float) -> None:
        super().__init__()
        self.pipe, self.max_probability, self.adaptive = PIPES[pipe], max_probability, probability is None
        self.warp = Warp()
        self.register_buffer("probability", torch.tensor(probability or 0.0))
        self.register_buffer("sign_sum", torch.zeros(()))
        self.register_buffer("sign_count", torch.zeros(()))

    @property
    def strength(self) -> Tensor | None:
        return self.probability

    @torch.no_grad()
    def observe(self, signs: Tensor, batch_size: int) -> None:
        """Move p after every fourth step; nothing here waits for the device."""
        if not self.adaptive:
            return
        self.sign_sum += signs.to(self.sign_sum.dtype)
        self.sign_count += 1
        due = self.sign_count >= _EVERY_STEPS
        step = torch.sign(self.sign_sum / _EVERY_STEPS - _TARGET) * (_EVERY_STEPS * batch_size / _FULL_SWING_IMAGES)
        self.probability.copy_(torch.where(due, (self.probability + step).clamp(0, self.max_probability), self.probability))
        self.sign_sum.mul_(~due)
        self.sign_count.mul_(~due)

    def forward(self, images: Tensor, draws: Tensor) -> Tensor:
        """Change each image.

        Args:
            images: `[N, 3, H, W]`, float32 or float64, in [-1, 1].
            draws: `[N, 31]`, uniforms in (0, 1).

        Returns:
            `[N, 3, H, W]`; colors may leave [-1, 1].
        """
        draw = _Draws(draws.to(images.dtype), self.probability.to(images.dtype))
        images = self.warp(images, _geometry(self.pipe, draw, images.shape[2], images.shape[3]))
        matrix = _colors(self.pipe, draw)
        images = torch.einsum("nij,njhw->nihw", matrix[:, :3, :3], images) + matrix[:, :3, 3, None, None]
        return _cut(images, draw) if self.pipe.cutout else images


class _Draws:
    """Hands out the uniforms of each image in a fixed order, and decides by p which changes happen.

    `ungated` draws are for changes that happen together or on other terms.
    """

    def __init__(self, uniforms: Tensor, probability: Tensor) -> None:
        self.columns = iter(uniforms.clamp(_SMALLEST, 1 - _SMALLEST).unbind(1))
        self.probability = probability

    def uniform(self) -> Tensor:
        return next(self.columns)

    def normal(self) -> Tensor:
        return torch.special.ndtri(next(self.columns))

    def happens(self, probability: Tensor | None = None) -> Tensor:
        return next(self.columns) < (self.probability if probability is None else probability)


def _matrix(rows: list[list[Tensor | float]], like: Tensor) -> Tensor:
    """Stack numbers and `[N]` tensors into `[N, R, C]`."""
    cells = [[cell if isinstance(cell, Tensor) else torch.full_like(like, cell) for cell in row] for row in rows]
    return torch.stack([torch.stack(row, -1) for row in cells], -2)


def _rotation(angle: Tensor) -> Tensor:
    c, s = torch.cos(angle), torch.sin(angle)
    return _matrix([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]], angle)


def _scaling(x: Tensor, y: Tensor) -> Tensor:
    """Return the inverse of a scaling."""
    return _matrix([[1 / x, 0.0, 0.0], [0.0, 1 / y, 0.0], [0.0, 0.0, 1.0]], x)


def _moving(x: Tensor, y: Tensor) -> Tensor:
    """Return the inverse of a shift in pixels."""
    return _matrix([[1.0, 0.0, -x], [0.0, 1.0, -y], [0.0, 0.0, 1.0]], x)


def _geometry(pipe: Pipe, draw: _Draws, height: int, width: int) -> Tensor:
    """Return where each pixel comes from, `[N, 2, 3]`; every draw is taken, whatever the pipe, so that places stay fixed."""
    happens, value = draw.happens(), draw.uniform()
    one, zero = torch.ones_like(value), torch.zeros_like(value)
    flip = torch.where(happens & (value < 0.5) & pipe.mirror, -one, one)
    inverse = _scaling(flip, one)
    happens, value = draw.happens(), draw.uniform()
    inverse = inverse @ _rotation(torch.where(happens & pipe.quarter_turns, torch.floor(value * 4) * (math.pi / 2), zero))
    happens, x, y = draw.happens(), draw.uniform(), draw.uniform()
    x, y = (torch.round((2 * t - 1) * pipe.shift_share * side) for t, side in ((x, width), (y, height)))
    inverse = inverse @ _moving(torch.where(happens, x, zero), torch.where(happens, y, zero))
    happens, value = draw.happens(), torch.exp2(draw.normal() * pipe.log2_scale)
    scale = torch.where(happens, value, one)
    inverse = inverse @ _scaling(scale, scale)
    # Two turns around the stretch, so that it has any direction; together they happen with probability p.
    each = 1 - torch.sqrt(1 - draw.probability)
    turns = [torch.where(draw.happens(each), (2 * draw.uniform() - 1) * (math.pi * pipe.turn_share), zero) for _ in range(2)]
    happens, value = draw.happens(), torch.exp2(draw.normal() * pipe.log2_stretch)
    stretch = torch.where(happens, value, one)
    inverse = inverse @ _rotation(turns[0]) @ _scaling(stretch, 1 / stretch) @ _rotation(turns[1])
    happens, x, y = draw.happens(), draw.normal() * width, draw.normal() * height
    x, y = (torch.where(happens, t * pipe.fine_shift_share, zero) for t in (x, y))
    return (inverse @ _moving(x, y))[:, :2]


def _colors(pipe: Pipe, draw: _Draws) -> Tensor:
    """Return the affine map of colors (r, g, b, 1), `[N, 4, 4]`."""
    happens, value = draw.happens(), draw.normal() * pipe.brightness
    one, zero = torch.ones_like(value), torch.zeros_like(value)
    b = torch.where(happens, value, zero)
    matrix = _matrix([[1.0, 0.0, 0.0, b], [0.0, 1.0, 0.0, b], [0.0, 0.0, 1.0, b], [0.0, 0.0, 0.0, 1.0]], b)
    happens, value = draw.happens(), torch.exp2(draw.normal() * pipe.log2_contrast)
    c = torch.where(happens, value, one)
    matrix = _matrix([[c, 0.0, 0.0, 0.0], [0.0, c, 0.0, 0.0], [0.0, 0.0, c, 0.0], [0.0, 0.0, 0.0, 1.0]], c) @ matrix
    gray = torch.zeros(4, 4, dtype=c.dtype, device=c.device)
    gray[:3, :3] = 1 / 3  # projection on the axis of grays
    identity = torch.eye(4, dtype=c.dtype, device=c.device)
    happens, value = draw.happens(), draw.uniform()
    inverted = (happens & (value < 0.5) & pipe.invert_lightness).to(c.dtype)
    matrix = (identity - 2 * inverted[:, None, None] * gray) @ matrix
    happens, value = draw.happens(), (2 * draw.uniform() - 1) * (math.pi * pipe.hue_share)
    matrix = _hue(torch.where(happens, value, zero), gray, identity) @ matrix
    happens, value = draw.happens(), torch.exp2(draw.normal() * pipe.log2_saturation)
    saturation = torch.where(happens, value, one)[:, None, None]
    colors = identity - gray
    colors[3, 3] = 0
    alpha = identity - colors - gray
    return (gray + saturation * colors + alpha) @ matrix


def _hue(angle: Tensor, gray: Tensor, identity: Tensor) -> Tensor:
    """Rotate colors about the axis of grays (Rodrigues)."""
    cross = torch.zeros_like(gray)
    third = 1 / math.sqrt(3)
    for row, column, sign in ((0, 1, -1), (0, 2, 1), (1, 0, 1), (1, 2, -1), (2, 0, -1), (2, 1, 1)):
        cross[row, column] = sign * third
    alpha = torch.zeros_like(gray)
    alpha[3, 3] = 1
    c, s = torch.cos(angle)[:, None, None], torch.sin(angle)[:, None, None]
    return c * (identity - gray - alpha) + gray + alpha + s * cross


def _cut(images: Tensor, draw: _Draws) -> Tensor:
    """Set a box of half of each side to zero."""
    happens, rows, columns = draw.happens(), draw.uniform(), draw.uniform()
    hidden = []
    for side, center in zip(images.shape[2:], (rows, columns), strict=True):
        place = (torch.arange(side, dtype=images.dtype, device=images.device) + 0.5) / side
        hidden.append((place[None] - center[:, None]).abs() < _CUTOUT_SHARE / 2)
    box = hidden[0][:, None, :, None] & hidden[1][:, None, None, :] & happens[:, None, None, None]
    return images * ~box
