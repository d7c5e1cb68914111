"""What a drawing shows: one function for each kind of composition."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from artgan.drawings import figures
from artgan.drawings.canvas import Canvas, bend, blob, capsule, oval, polygon
from artgan.drawings.textures import cut


def portrait(canvas: Canvas) -> None:
    """One or two heads with shoulders, large, before a ground or a wall."""
    random = canvas.random
    canvas.ground("wall" if random.random() < 0.5 else "ground", 0 if random.random() < 0.6 else None)
    if random.random() < 0.35:
        _scatter(canvas, int(random.integers(1, 6)))
    if random.random() < 0.12:
        for x in (0.3, 0.72):
            figures.bust(canvas, (x + random.normal(0, 0.03), random.uniform(0.35, 0.5)), random.uniform(0.12, 0.18))
        return
    center = (0.5 + random.normal(0, 0.08), random.uniform(0.32, 0.55))
    figures.bust(canvas, center, random.uniform(0.14, 0.34))


def crowd(canvas: Canvas) -> None:
    """One to five whole figures on a floor."""
    random = canvas.random
    _setting(canvas)
    count = int(random.integers(1, 6))
    for foot in sorted(random.uniform(0.6, 1.02, count)):
        figures.figure(canvas, (random.uniform(0.1, 0.9), foot), random.uniform(0.35, 0.8) * (0.4 + 0.6 * foot))


def beasts(canvas: Canvas) -> None:
    """One to four animals."""
    random = canvas.random
    _setting(canvas)
    count = int(random.choice([1, 1, 2, 4]))
    for y in sorted(random.uniform(0.35, 0.8, count)):
        figures.beast(canvas, (random.uniform(0.25, 0.75), y), random.uniform(0.15, 0.45) / count**0.4)


def landscape(canvas: Canvas) -> None:
    """Sky, at times a sun, ridges, water, trees and houses."""
    random = canvas.random
    horizon = random.uniform(0.25, 0.75)
    canvas.ground("sky")
    if random.random() < 0.4:
        canvas.shape(oval((random.uniform(0.1, 0.9), random.uniform(0.05, horizon)), (random.uniform(0.04, 0.14),) * 2), "disc")
    for _ in range(int(random.integers(0, 4))):
        canvas.shape(
            blob(random, (random.uniform(0, 1), random.uniform(0, horizon)), random.uniform(0.05, 0.2)), "sky", 0, outline=False
        )
    ridges = int(random.integers(1, 5))
    for ridge in range(ridges):
        _ridge(canvas, horizon + (1 - horizon) * ridge / ridges * 0.8, "water" if random.random() < 0.25 else "land")
        for _ in range(int(random.integers(0, 4))):
            x, y = random.uniform(0, 1), horizon + (1 - horizon) * (ridge + 0.3) / ridges
            size = random.uniform(0.05, 0.14) * (1 + 1.5 * ridge)
            (_house if random.random() < 0.25 else _tree)(canvas, x, y, size)
    if random.random() < 0.3:
        figures.figure(canvas, (random.uniform(0.2, 0.8), random.uniform(0.85, 1)), random.uniform(0.15, 0.4))


def still_life(canvas: Canvas) -> None:
    """Vessels, fruit and flowers on a table."""
    random = canvas.random
    canvas.ground("wall")
    edge = random.uniform(0.5, 0.75)
    canvas.shape(np.array([(-0.1, edge), (1.1, edge + random.normal(0, 0.03)), (1.1, 1.1), (-0.1, 1.1)]), "table")
    for _ in range(int(random.integers(1, 4))):
        _vessel(canvas, random.uniform(0.2, 0.8), edge + random.uniform(0.03, 0.2), random.uniform(0.15, 0.35))
    for _ in range(int(random.integers(0, 9))):
        r = random.uniform(0.03, 0.09)
        canvas.shape(blob(random, (random.uniform(0.1, 0.9), edge + random.uniform(0, 0.35)), r, 0.06), "fruit")


def flowers(canvas: Canvas) -> None:
    """Stems, leaves and petals, large."""
    canvas.ground("ground")
    for _ in range(int(canvas.random.integers(1, 8))):
        x = canvas.random.uniform(0.1, 0.9)
        _stem(
            canvas,
            (x + canvas.random.normal(0, 0.15), 1.05),
            (x, canvas.random.uniform(0.1, 0.7)),
            canvas.random.uniform(0.05, 0.2),
        )


def building(canvas: Canvas) -> None:
    """A street front or an interior: walls, arches, windows, columns, floors in perspective."""
    random = canvas.random
    canvas.ground("sky" if random.random() < 0.6 else "wall")
    vanish = (random.uniform(0.2, 0.8), random.uniform(0.25, 0.6))
    for side in (0, 1):
        if random.random() < 0.7:
            near, far = side, side + (vanish[0] - side) * random.uniform(0.4, 0.9)
            t = abs(far - near) / max(abs(vanish[0] - near), 1e-3)
            canvas.shape(np.array([(near, -0.1), (far, vanish[1] * t), (far, 1 - (1 - vanish[1]) * t), (near, 1.1)]), "wall")
    if random.random() < 0.6:
        canvas.shape(
            np.array([(-0.1, 1.1), (vanish[0] - 0.1, vanish[1] + 0.1), (vanish[0] + 0.1, vanish[1] + 0.1), (1.1, 1.1)]), "land"
        )
    for _ in range(int(random.integers(1, 4))):
        _house(canvas, random.uniform(0, 1), random.uniform(0.6, 1), random.uniform(0.2, 0.5))
    for _ in range(int(random.integers(0, 6))):
        x, w = random.uniform(0, 1), random.uniform(0.02, 0.05)
        canvas.shape(np.array([(x - w, 0.2), (x + w, 0.2), (x + w, 1), (x - w, 1)]), "trunk", 0)


def dead_leaves(canvas: Canvas) -> None:
    """Shapes of all sizes, each hiding others behind it, as Lee, Mumford & Huang 2001 model natural pictures."""
    random = canvas.random
    canvas.ground("noise", None)
    count, power = int(random.integers(15, 70)), random.uniform(1, 2.5)
    kinds = random.choice(3, 2)
    for _ in range(count):
        radius = (0.03 ** (1 - power) + random.random() * (0.4 ** (1 - power) - 0.03 ** (1 - power))) ** (
            1 / (1 - power + 1e-6)
        )
        _leaf(canvas, int(random.choice(kinds)), random.uniform(-0.1, 1.1, 2).tolist(), float(radius))


def abstract(canvas: Canvas) -> None:
    """Bars, rings, blots and lines, afloat."""
    random = canvas.random
    canvas.ground("ground")
    angle = random.uniform(0, np.pi)
    for _ in range(int(random.integers(2, 12))):
        center, kind = random.uniform(0.05, 0.95, 2), random.random()
        if kind < 0.35:
            a = angle + random.choice([0, np.pi / 2])
            half = np.array([np.cos(a), np.sin(a)]) * random.uniform(0.05, 0.5)
            canvas.shape(capsule(np.stack([center - half, center + half]), np.full(2, random.uniform(0.01, 0.1))), "polygon")
        elif kind < 0.6:
            for ring in range(int(random.integers(1, 5)), 0, -1):
                canvas.shape(oval(center, (0.06 * ring,) * 2, count=36), "disc")
        else:
            _leaf(canvas, int(random.integers(3)), center.tolist(), random.uniform(0.05, 0.3))
    for _ in range(int(random.integers(0, 10))):
        canvas.line(
            bend(random.uniform(0, 1, 2), random.uniform(0, 1, 2), random.normal(0, 0.4), 15), random.uniform(0.004, 0.04)
        )


def pattern(canvas: Canvas) -> None:
    """One motif over and over, or a figure mirrored about one axis or more."""
    random = canvas.random
    _leaf_or_being(canvas)
    picture, parts = np.asarray(canvas.image), np.asarray(canvas.parts)
    if random.random() < 0.5:
        times = int(random.choice([2, 3, 4]))
        offset = random.random() < 0.5
        picture, parts = (_tiled(plane, times, offset) for plane in (picture, parts))
    else:
        axes = [(1,), (0,), (0, 1)][int(random.integers(3))]
        for axis in axes:
            picture, parts = (_mirrored(plane, axis) for plane in (picture, parts))
    canvas.image.paste(_image(picture))
    canvas.parts.paste(_image(parts))


def noise(canvas: Canvas) -> None:
    """Fields of noise alone, one to each color."""
    random = canvas.random
    layers = np.stack([cut(random, canvas.tiles, canvas.side, canvas.side) for _ in range(2)])
    colors = np.stack([canvas.color() for _ in range(3)])
    mixed = colors[0] + layers[0, ..., None] * (colors[1] - colors[0]) + layers[1, ..., None] * (colors[2] - colors[0]) * 0.7
    canvas.ground("noise")
    canvas.image.paste(_image(mixed.clip(0, 255).astype(np.uint8)))


def fractal(canvas: Canvas) -> None:
    """The attractor of random affine maps, as in formula-driven supervision (Kataoka et al. 2020, 2101.08515)."""
    random = canvas.random
    canvas.ground("ground")
    count = int(random.integers(2, 6))
    maps = random.uniform(-1, 1, (count, 2, 3))
    norm = np.linalg.norm(maps[:, :, :2], axis=(1, 2), keepdims=True)
    maps[:, :, :2] *= random.uniform(0.6, 1.0) / np.maximum(norm, 1)
    points = random.normal(size=(400, 2))
    seen = []
    for step in range(40):
        chosen = maps[random.integers(0, count, len(points))]
        points = np.einsum("nij,nj->ni", chosen[:, :, :2], points) + chosen[:, :, 2]
        if step >= 12:
            seen.append(points)
    cloud = np.concatenate(seen)
    low, high = np.quantile(cloud, [0.01, 0.99], axis=0)
    places = ((cloud - low) / np.maximum(high - low, 1e-6) * 0.84 + 0.08).clip(0, 0.999)
    density = np.zeros((canvas.side, canvas.side), np.float32)
    np.add.at(density, tuple((places * canvas.side).astype(int).T[::-1]), 1)
    soft = ndimage.gaussian_filter(density, random.uniform(0.8, 2))
    weight = (soft / (np.quantile(soft[soft > 1e-3], 0.8) if (soft > 1e-3).any() else 1)).clip(0, 1)[..., None]
    ground = np.asarray(canvas.image, np.float32)
    canvas.image.paste(_image((ground + weight * (canvas.color() - ground)).clip(0, 255).astype(np.uint8)))


def _image(plane: NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(plane)


def _tiled(plane: NDArray[np.uint8], times: int, offset: bool) -> NDArray[np.uint8]:
    """Repeat a plane so many times across and down, every other column half a motif lower when `offset`."""
    height, width = plane.shape[:2]
    rows, columns = (np.arange(height) * times) % height, (np.arange(width) * times) % width
    small = plane[rows][:, columns]
    if offset:
        for column in range(1, times, 2):
            piece = slice(column * width // times, (column + 1) * width // times)
            small[:, piece] = np.roll(small[:, piece], height // times // 2, 0)
    return small


def _mirrored(plane: NDArray[np.uint8], axis: int) -> NDArray[np.uint8]:
    half = plane.take(range(plane.shape[axis] // 2), axis)
    return np.concatenate([half, np.flip(half, axis)], axis)


def _setting(canvas: Canvas) -> None:
    """Draw what lies behind beings: a bare ground, a floor and a wall, or land."""
    random = canvas.random
    canvas.ground(str(random.choice(["ground", "wall", "sky"])))
    if random.random() < 0.7:
        _ridge(canvas, random.uniform(0.4, 0.85), "land")
    for _ in range(int(random.choice([0, 0, 1, 3]))):
        _tree(canvas, random.uniform(0, 1), random.uniform(0.6, 0.9), random.uniform(0.1, 0.3))


def _scatter(canvas: Canvas, count: int) -> None:
    for _ in range(count):
        _leaf(canvas, int(canvas.random.integers(3)), canvas.random.uniform(0, 1, 2).tolist(), canvas.random.uniform(0.03, 0.2))


def _leaf(canvas: Canvas, kind: int, center: list[float], radius: float) -> None:
    random = canvas.random
    if kind == 0:
        ratio = random.uniform(0.3, 1)
        canvas.shape(oval(center, (radius, radius * ratio), random.uniform(0, np.pi)), "disc")
    elif kind == 1:
        canvas.shape(polygon(random, center, radius), "polygon")
    else:
        canvas.shape(blob(random, center, radius), "blob")


def _leaf_or_being(canvas: Canvas) -> None:
    motifs = (portrait, beasts, flowers, abstract, dead_leaves)
    motifs[int(canvas.random.choice(len(motifs)))](canvas)


def _ridge(canvas: Canvas, height: float, part: str) -> None:
    random = canvas.random
    x = np.linspace(-0.1, 1.1, 25)
    waves = sum(random.normal(0, 0.06 / k) * np.sin(k * 4 * x + random.uniform(0, 6.3)) for k in (1, 2, 4))
    line = np.stack([x, height + (0.3 if part == "water" else 1.0) * waves], 1)
    canvas.shape(np.concatenate([line, [(1.1, 1.1), (-0.1, 1.1)]]), part)


def _tree(canvas: Canvas, x: float, y: float, size: float) -> None:
    random = canvas.random
    trunk = bend((x, y), (x + random.normal(0, 0.2) * size, y - size), random.normal(0, 0.1))
    canvas.shape(capsule(trunk, np.linspace(0.08, 0.03, len(trunk)) * size), "trunk", 1 if random.random() < 0.5 else None)
    kind, color = random.random(), int(random.integers(2, 8))
    if kind < 0.35:
        for level in range(3):
            w, top = size * (0.5 - 0.12 * level), y - size * (0.5 + 0.4 * level)
            canvas.shape(np.array([(x - w, top), (x + w, top), (x, top - size * 0.6)]), "leaf", color)
    elif kind < 0.8:
        for _ in range(int(random.integers(1, 6))):
            center = trunk[-1] + random.normal(0, 0.25, 2) * size
            canvas.shape(blob(random, center.tolist(), size * random.uniform(0.25, 0.6)), "leaf", color)
    else:
        for _ in range(int(random.integers(3, 9))):
            start = trunk[int(random.integers(3, 9))]
            canvas.line(bend(start, start + random.normal(0, 0.5, 2) * size - [0, 0.3 * size], 0.2), 0.05 * size, "trunk")


def _house(canvas: Canvas, x: float, y: float, size: float) -> None:
    random = canvas.random
    wide, tall = size * random.uniform(0.5, 1.2), size * random.uniform(0.6, 1.6)
    left, right, top = x - wide / 2, x + wide / 2, y - tall
    canvas.shape(np.array([(left, top), (right, top), (right, y), (left, y)]), "wall")
    eaves, peak = wide * random.uniform(0, 0.2), size * random.uniform(0.1, 0.6)
    ridge = x + random.choice([0.0, 0.0, 0.4]) * wide
    canvas.shape(np.array([(left - eaves, top), (right + eaves, top), (ridge, top - peak)]), "roof")
    columns, rows = int(random.integers(1, 5)), int(random.integers(1, 5))
    arch = random.random() < 0.3
    for column in range(columns):
        for row in range(rows):
            cx, cy = left + wide * (column + 0.5) / columns, top + tall * (row + 0.5) / rows
            w, h = wide / columns * 0.25, tall / rows * 0.3
            canvas.shape(
                np.array([(cx - w, cy - h), (cx + w, cy - h), (cx + w, cy + h), (cx - w, cy + h)]), "opening", 1, plain=0.9
            )
            if arch:
                canvas.shape(oval((cx, cy - h), (w, w), count=12), "opening", 1, plain=0.9, outline=False)


def _vessel(canvas: Canvas, x: float, y: float, size: float) -> None:
    random = canvas.random
    t = np.linspace(0, 1, 12)
    profile = 0.25 + 0.15 * np.sin(t * random.uniform(2, 6) + random.uniform(0, 6.3)) + 0.15 * np.sin(np.pi * t)
    half = size * profile.clip(0.05, 0.6) * random.uniform(0.6, 1.3)
    heights = y - size * t
    outline = np.concatenate([np.stack([x - half, heights], 1), np.stack([x + half, heights], 1)[::-1]])
    if random.random() < 0.5:
        for _ in range(int(random.integers(2, 8))):
            tip = (x + random.normal(0, 0.5) * size, y - size * random.uniform(1.3, 2.2))
            _stem(canvas, (x, y - size * 0.9), tip, size * random.uniform(0.12, 0.3))
    canvas.shape(outline, "vessel")
    if random.random() < 0.3:
        canvas.line(bend((x + half[5], heights[9]), (x + half[5], heights[4]), 0.5), 0.06 * size, "vessel", None)


def _stem(canvas: Canvas, root: tuple[float, float], tip: tuple[float, float], size: float) -> None:
    random = canvas.random
    spine = bend(root, tip, random.normal(0, 0.15))
    green = int(random.integers(1, 8))
    canvas.line(spine, 0.12 * size, "trunk", green, taper=False)
    for _ in range(int(random.integers(0, 4))):
        start = spine[int(random.integers(2, 8))]
        blade = bend(start, start + random.normal(0, 1, 2) * size, 0.2)
        canvas.shape(capsule(blade, 0.2 * size * np.sin(np.linspace(0, np.pi, len(blade)))), "leaf", green)
    petals, color, ratio = int(random.integers(4, 12)), int(random.integers(2, 8)), random.uniform(0.2, 0.6)
    for petal in range(petals):
        a = 2 * np.pi * petal / petals
        center = (tip[0] + np.cos(a) * size * 0.55, tip[1] + np.sin(a) * size * 0.55)
        canvas.shape(oval(center, (size * 0.5, size * 0.5 * ratio), a, count=12), "flower", color)
    canvas.shape(oval(tip, (size * 0.25,) * 2, count=12), "flower")


SCENES: dict[str, tuple[Callable[[Canvas], None], float]] = {
    "portrait": (portrait, 3.0),
    "crowd": (crowd, 1.5),
    "beasts": (beasts, 1.0),
    "landscape": (landscape, 2.0),
    "still_life": (still_life, 1.0),
    "flowers": (flowers, 0.8),
    "building": (building, 1.0),
    "dead_leaves": (dead_leaves, 1.2),
    "abstract": (abstract, 1.2),
    "pattern": (pattern, 1.0),
    "noise": (noise, 0.7),
    "fractal": (fractal, 0.6),
}
