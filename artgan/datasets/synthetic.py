"""A small collection of abstract art, drawn by code: five recognisable manners as classes, for the demo and for tests.

The works come as an untidy folder on purpose: several sizes and formats, a rotated one, one with transparency, a copy and
a broken file, so that `prepare` has something to do.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from artgan import seeding
from artgan.progress import Listener, Progress, silent

_SIDE = 256
_OVERSAMPLING = 2
_DRAWS = 512
Color = tuple[int, int, int]
_PALETTES: tuple[tuple[Color, ...], ...] = (
    ((236, 226, 205), (190, 38, 30), (22, 22, 26), (38, 70, 130), (226, 170, 38)),
    ((240, 234, 220), (32, 60, 58), (206, 98, 56), (226, 186, 124), (96, 132, 120)),
    ((228, 222, 214), (60, 44, 88), (214, 76, 92), (246, 184, 96), (70, 132, 160)),
    ((244, 240, 230), (16, 28, 44), (240, 94, 48), (54, 142, 126), (250, 208, 92)),
)


class _Draws:
    """The random numbers of one work, taken in order."""

    def __init__(self, seed: int, index: int) -> None:
        self._values: Iterator[float] = iter(seeding.uniform(seed, "synthetic", index, 1, _DRAWS)[0].tolist())

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * next(self._values)

    def whole(self, low: int, high: int) -> int:
        return low + int((high - low + 1) * next(self._values))


def _color_fields(draw: ImageDraw.ImageDraw, side: int, palette: tuple[Color, ...], draws: _Draws) -> None:
    """Soft-edged bands on a ground, as color-field painters hung them."""
    first = draws.whole(1, 4)
    draw.rectangle((0, 0, side, side), fill=palette[first])
    top, margin = side * 0.07, side * draws.between(0.06, 0.12)
    for band in range(draws.whole(2, 3)):
        height = side * draws.between(0.2, 0.4)
        color = palette[(first + 1 + band * draws.whole(1, 2)) % 5]
        draw.rectangle((margin, top, side - margin, min(top + height, side * 0.94)), fill=color)
        top += height + side * 0.04


def _suprematist(draw: ImageDraw.ImageDraw, side: int, palette: tuple[Color, ...], draws: _Draws) -> None:
    """Tilted bars and one heavy square, afloat on a pale ground."""
    draw.rectangle((0, 0, side, side), fill=palette[0])
    angle = draws.between(-0.7, 0.7)
    _bar(draw, side, (draws.between(0.3, 0.6), draws.between(0.3, 0.6)), (0.3, 0.3), angle, palette[draws.whole(1, 2)])
    for _ in range(draws.whole(4, 7)):
        center = (draws.between(0.15, 0.85), draws.between(0.15, 0.85))
        size = (draws.between(0.15, 0.5), draws.between(0.02, 0.08))
        _bar(draw, side, center, size, angle + (math.pi / 2) * draws.whole(0, 1), palette[draws.whole(1, 4)])


def _circles(draw: ImageDraw.ImageDraw, side: int, palette: tuple[Color, ...], draws: _Draws) -> None:
    """Concentric rings, the largest of them cut by the frame."""
    draw.rectangle((0, 0, side, side), fill=palette[draws.whole(0, 1)])
    for _ in range(draws.whole(2, 4)):
        x, y = side * draws.between(0.15, 0.85), side * draws.between(0.15, 0.85)
        radius, rings, first = side * draws.between(0.16, 0.4), draws.whole(3, 5), draws.whole(0, 4)
        for ring in range(rings):
            r = radius * (1 - ring / rings)
            draw.ellipse((x - r, y - r, x + r, y + r), fill=palette[(first + ring) % 5])


def _waves(draw: ImageDraw.ImageDraw, side: int, palette: tuple[Color, ...], draws: _Draws) -> None:
    """Stripes that swing, wide and calm or narrow and quick."""
    draw.rectangle((0, 0, side, side), fill=palette[0])
    count, amplitude = draws.whole(5, 9), side * draws.between(0.02, 0.08)
    cycles, phase, first = draws.between(0.7, 2), draws.between(0, 6.3), draws.whole(0, 4)
    step = side / count
    for stripe in range(-1, count + 2):
        edge = [(x, stripe * step + amplitude * math.sin(cycles * 6.283 * x / side + phase)) for x in range(0, side + 8, 8)]
        lower = [(x, y + step * 0.62) for x, y in reversed(edge)]
        draw.polygon(edge + lower, fill=palette[1 + (first + stripe) % 4])


def _landscape(draw: ImageDraw.ImageDraw, side: int, palette: tuple[Color, ...], draws: _Draws) -> None:
    """A sun over three ridges."""
    draw.rectangle((0, 0, side, side), fill=palette[draws.whole(0, 1) * 4])
    x, y, r = side * draws.between(0.2, 0.8), side * draws.between(0.15, 0.4), side * draws.between(0.07, 0.14)
    draw.ellipse((x - r, y - r, x + r, y + r), fill=palette[2])
    first = draws.whole(1, 3)
    for ridge in range(3):
        base, height = side * (0.5 + 0.17 * ridge), side * draws.between(0.05, 0.14)
        cycles, phase = draws.between(0.6, 1.8), draws.between(0, 6.3)
        line = [(px, base - height * math.sin(cycles * 6.283 * px / side + phase)) for px in range(0, side + 8, 8)]
        draw.polygon([*line, (side, side), (0, side)], fill=palette[1 + (first + ridge) % 4])


def _bar(
    draw: ImageDraw.ImageDraw,
    side: int,
    center: tuple[float, float],
    size: tuple[float, float],
    angle: float,
    color: Color,
) -> None:
    cosine, sine = math.cos(angle), math.sin(angle)
    corners = [(-1, -1), (1, -1), (1, 1), (-1, 1)]
    half = [(sx * size[0] / 2, sy * size[1] / 2) for sx, sy in corners]
    draw.polygon(
        [(side * (center[0] + x * cosine - y * sine), side * (center[1] + x * sine + y * cosine)) for x, y in half], fill=color
    )


MANNERS: dict[str, Callable[[ImageDraw.ImageDraw, int, tuple[Color, ...], _Draws], None]] = {
    "circles": _circles,
    "color-fields": _color_fields,
    "landscapes": _landscape,
    "suprematist": _suprematist,
    "waves": _waves,
}


def draw_work(manner: str, seed: int, index: int, side_px: int = _SIDE) -> Image.Image:
    """Draw one work, RGB, `side_px` square, with a little canvas grain."""
    draws = _Draws(seed, list(MANNERS).index(manner) * 1_000_000 + index)
    side = side_px * _OVERSAMPLING
    image = Image.new("RGB", (side, side))
    MANNERS[manner](ImageDraw.Draw(image), side, _PALETTES[draws.whole(0, len(_PALETTES) - 1)], draws)
    if manner == "color-fields":
        image = image.filter(ImageFilter.GaussianBlur(side / 64))
    image = image.resize((side_px, side_px), Image.Resampling.LANCZOS)
    grain = seeding.normal(seed, f"synthetic/grain/{manner}", index, 1, side_px * side_px)[0].reshape(side_px, side_px, 1)
    return Image.fromarray(np.clip(np.asarray(image) + 3.0 * grain, 0, 255).astype(np.uint8))


def write_collection_sources(
    folder: Path,
    works_per_class: int,
    seed: int = 0,
    on_progress: Listener = silent,
    manners: Sequence[str] = tuple(MANNERS),
) -> int:
    """Write an untidy folder of works, one sub-folder a manner, and return the number of files in it."""
    total = works_per_class * len(manners)
    for done in range(total):
        manner, index = manners[done % len(manners)], done // len(manners)
        (folder / manner).mkdir(parents=True, exist_ok=True)
        _save_untidy(draw_work(manner, seed, index), folder / manner / f"{index:04d}", index)
        on_progress(Progress("drawing", done + 1, total, "works"))
    first, last = folder / manners[0], folder / manners[-1]
    copy = next(last.iterdir())
    (last / f"copy of {copy.name}").write_bytes(copy.read_bytes())
    (first / "broken.png").write_bytes((first / "0000.png").read_bytes()[:2000])
    return total + 2


def _save_untidy(image: Image.Image, stem: Path, index: int) -> None:
    """Save one work in a format that goes by its index, as a folder of years has them."""
    kind = index % 8
    if kind == 1:
        rotated = Image.Exif()
        rotated[0x0112] = 6  # shown by turning it 90 degrees clockwise
        image.rotate(90, expand=True).save(stem.with_suffix(".jpg"), quality=95, exif=rotated)
    elif kind == 2:
        image.save(stem.with_suffix(".webp"), quality=95)
    elif kind == 3:
        image.convert("RGBA").save(stem.with_suffix(".PNG"))
    elif kind in (4, 5):
        image.save(stem.with_suffix(".jpg"), quality=95)
    else:
        image.save(stem.with_suffix(".png"))
