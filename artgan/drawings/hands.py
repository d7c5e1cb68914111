"""How a drawing is executed, and what time does to it: brushes, dabs, hatching, washes, paper and varnish."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from scipy import ndimage

from artgan.drawings.canvas import OVERSAMPLING, Canvas
from artgan.drawings.textures import cut


def as_drawn(canvas: Canvas) -> None:
    """Leave the shapes as they are."""


def brush(canvas: Canvas) -> None:
    """Paint the picture over with strokes that follow a field of directions, coarse ones first."""
    random = canvas.random
    source = np.asarray(canvas.image.filter(ImageFilter.BoxBlur(2)))
    turn = np.pi * random.uniform(0.5, 3) * cut(random, canvas.tiles, canvas.side, canvas.side)
    slope = ndimage.gaussian_filter(source.mean(2), 4)
    along_edges = np.arctan2(ndimage.sobel(slope, 0), ndimage.sobel(slope, 1)) + np.pi / 2
    follows = random.random() < 0.6
    length, slim = random.uniform(0.03, 0.12), random.uniform(0.2, 0.6)
    wobble, spread = random.uniform(0.05, 0.4), random.uniform(4, 22)
    count = int(min(1400, 1.6 / (length * length * slim)))
    places = random.random((count, 2))
    columns, rows = (places * canvas.side).astype(int).T
    angles = (along_edges if follows else turn)[rows, columns] + wobble * random.normal(size=count)
    colors = source[rows, columns] + spread * random.normal(size=(count, 3))
    canvas.dabs(places, angles, length, length * slim, colors)


def dots(canvas: Canvas) -> None:
    """Set the picture in dots of pure color on its ground."""
    random = canvas.random
    source = np.asarray(canvas.image)
    size, spread = random.uniform(0.015, 0.045), random.uniform(5, 40)
    canvas.image.paste(tuple(int(value) for value in canvas.color(0)), (0, 0, canvas.side, canvas.side))
    count = int(min(2200, 0.8 / size**2))
    places = random.random((count, 2))
    columns, rows = (places * canvas.side).astype(int).T
    colors = source[rows, columns] + spread * random.normal(size=(count, 3))
    canvas.dabs(places, np.zeros(count), size, size, colors)


def hatching(canvas: Canvas) -> None:
    """Turn light and shade into lines of ink, one direction for each depth of tone."""
    random = canvas.random
    tone = np.asarray(canvas.image.convert("L"), np.float32) / 255
    low, high = np.quantile(tone, [0.02, 0.98])
    tone = (tone - low) / max(high - low, 0.05)
    y, x = np.mgrid[: canvas.side, : canvas.side].astype(np.float32)
    ink, angle, period = np.zeros_like(tone), random.uniform(0, np.pi), random.uniform(4, 9)
    for depth in range(int(random.integers(1, 4))):
        a = angle + depth * random.uniform(0.5, 1.6)
        waves = 0.5 + 0.5 * np.sin(2 * np.pi * (x * np.cos(a) + y * np.sin(a)) / period)
        ink = np.maximum(ink, ((waves - tone * (1 + 0.6 * depth)) * 4).clip(0, 1))
    edges = np.hypot(ndimage.sobel(tone, 0), ndimage.sobel(tone, 1))
    ink = np.maximum(ink, (edges * random.uniform(0, 1.2)).clip(0, 1))[..., None]
    paper = canvas.color(0) if random.random() < 0.6 else np.asarray(canvas.image, np.float32)
    _set(canvas, paper + ink * (canvas.color(1) - paper))


def wash(canvas: Canvas) -> None:
    """Let colors run: soft shapes, darker where a puddle dried, paper shining through."""
    random = canvas.random
    sharp = np.asarray(canvas.image, np.float32)
    soft = np.asarray(canvas.image.filter(ImageFilter.GaussianBlur(random.uniform(1.5, 5))), np.float32)
    mottled = 0.75 + 0.5 * cut(random, canvas.tiles, canvas.side, canvas.side)[..., None]
    edge = np.abs(sharp - soft).mean(2, keepdims=True)
    paper = canvas.color(0)
    thin = random.uniform(0.5, 0.95)
    _set(canvas, paper + (soft - paper) * mottled * thin - edge * random.uniform(0, 1))


def contour(canvas: Canvas) -> None:
    """Keep the contours and little of the colors: a line drawing, at times tinted."""
    random = canvas.random
    picture = np.asarray(canvas.image.filter(ImageFilter.GaussianBlur(random.uniform(0.6, 1.6))), np.float32)
    edges = np.hypot(ndimage.sobel(picture, 0), ndimage.sobel(picture, 1)).max(2, keepdims=True)
    ink = ((edges / max(np.quantile(edges, 0.97), 30) - 0.25) * random.uniform(1, 3)).clip(0, 1)
    paper = canvas.color(0)
    tinted = paper + (picture - paper) * random.choice([0.0, 0.3, 0.6])
    _set(canvas, tinted + ink * (canvas.color(1) - tinted))


def print_tones(canvas: Canvas) -> None:
    """Reduce the picture to a few flat tones, as woodcuts and screens do, at times with a shadow that models it."""
    random = canvas.random
    blurred = canvas.image.filter(ImageFilter.ModeFilter(5)) if random.random() < 0.3 else canvas.image
    picture = np.asarray(blurred, np.float32)
    levels = int(random.integers(2, 6))
    shade = ndimage.gaussian_filter(cut(random, canvas.tiles, canvas.side, canvas.side), 3)[..., None] - 0.5
    _set(canvas, np.round((picture / 255 + 0.2 * shade) * levels) / levels * 255)


HANDS: dict[str, tuple[Callable[[Canvas], None], float]] = {
    "as_drawn": (as_drawn, 2.5),
    "brush": (brush, 1.6),
    "dots": (dots, 0.5),
    "hatching": (hatching, 0.8),
    "wash": (wash, 1.2),
    "contour": (contour, 0.7),
    "print": (print_tones, 0.7),
}


def _set(canvas: Canvas, picture: NDArray[np.floating]) -> None:
    canvas.image.paste(Image.fromarray(picture.clip(0, 255).astype(np.uint8)))


def finish(canvas: Canvas) -> NDArray[np.uint8]:
    """Return the picture `[side, side, 3]` at its final size: light over it, paper in it, as a scan or photograph shows it."""
    random = canvas.random
    picture = np.asarray(canvas.image.reduce(OVERSAMPLING), np.float32)
    side = len(picture)
    if random.random() < 0.6:  # from the darkest to the lightest that paper and ink can show
        low, high = np.quantile(picture[::3, ::3], [0.02, 0.98])
        reach = random.uniform(0.5, 1.0)
        picture += reach * ((picture - low) * (235 / max(high - low, 40)) + 10 - picture)
    if random.random() < 0.35:  # light falls from one side
        y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
        angle = random.uniform(0, 2 * np.pi)
        picture *= (1 + random.uniform(0.1, 0.5) * (x * np.cos(angle) + y * np.sin(angle)))[..., None]
    if random.random() < 0.5:
        grain = cut(random, canvas.tiles, side, side)[..., None] - 0.5
        picture += random.uniform(5, 45) * grain
    if random.random() < 0.3:
        picture = ndimage.gaussian_filter(picture, (random.uniform(0.3, 1.0),) * 2 + (0,))
    if random.random() < 0.4:
        picture += random.normal(0, random.uniform(1, 8), picture.shape)
    return picture.clip(0, 255).astype(np.uint8)
