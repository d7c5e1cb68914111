"""The canvas: shapes put down one over the other, in color and, at a quarter of the size, as a map of what each part is."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from artgan.drawings.palettes import Palette
from artgan.drawings.textures import Field, Random, cut, ruled

OVERSAMPLING = 2
PARTS_STRIDE = 4
Points = NDArray[np.floating]
Point = Sequence[float] | NDArray[np.floating]

# What a place in a drawing can be. Order is part of every pool that was drawn.
PARTS = (
    "ground", "sky", "land", "water", "wall", "opening", "roof", "leaf", "trunk", "flower", "vessel", "fruit", "table",
    "head", "hair", "eye", "nose", "mouth", "ear", "hat", "neck", "cloth", "ornament", "limb", "hand", "beast", "tail",
    "disc", "polygon", "blob", "line", "noise",
)  # fmt: skip
# One stroke of a brush, as long as it is wide.
_DAB = np.array([(-0.8, 1), (0.7, 0.9), (1, 0.2), (0.8, -0.9), (-0.7, -1), (-1, -0.1)])
_PART_VALUES = {name: value for value, name in enumerate(PARTS)}


class Canvas:
    """A square that shapes are put on; coordinates run from 0 to 1, x to the right and y down.

    Args:
        random: the random numbers of this drawing.
        tiles: noise for textured fills.
        palette: colors that fills are chosen from.
        side_px: of the finished picture.
        plain: share of fills that are one flat color.
        outline_px: width of the contour that is drawn around shapes, in pixels of the finished picture; 0 for none.
    """

    def __init__(
        self, random: Random, tiles: tuple[Field, ...], palette: Palette, side_px: int, plain: float, outline_px: float
    ) -> None:
        self.random, self.tiles, self.palette = random, tiles, palette
        self.plain, self.outline = plain, outline_px * OVERSAMPLING
        self.side = side_px * OVERSAMPLING
        self.parts_side = side_px // PARTS_STRIDE
        self.image = Image.new("RGB", (self.side, self.side))
        self.parts = Image.new("L", (self.parts_side, self.parts_side))
        self._pen, self._labels = ImageDraw.Draw(self.image), ImageDraw.Draw(self.parts)

    def color(self, index: int | None = None) -> NDArray[np.float32]:
        """Return a color `[3]` of the palette, a little off, as a brush never mixes the same twice."""
        chosen = self.palette[self.random.integers(2, len(self.palette)) if index is None else index]
        return (chosen + self.random.normal(0, 6, 3)).clip(0, 255).astype(np.float32)

    def ground(self, part: str, color: int | None = 0) -> None:
        """Cover everything, mostly with more than a flat color."""
        whole = np.array([(-0.1, -0.1), (1.1, -0.1), (1.1, 1.1), (-0.1, 1.1)])
        self.shape(whole, part, color, plain=min(self.plain, 0.35), outline=False)

    def shape(
        self, points: Points, part: str, color: int | None = None, *, plain: float | None = None, outline: bool = True
    ) -> None:
        """Fill a polygon `[N, 2]` and draw its contour."""
        corners = [(x, y) for x, y in (np.asarray(points) * self.side).tolist()]
        first = self.color(color)
        if self.random.random() < (self.plain if plain is None else plain):
            self._pen.polygon(corners, fill=_tuple(first))
        else:
            self._textured(np.asarray(corners), first)
        self._labels.polygon([(x * self.parts_side, y * self.parts_side) for x, y in points.tolist()], _PART_VALUES[part])
        if outline and self.outline > 0:
            dark = _tuple(self.color(1))
            self._pen.line([*corners, corners[0]], fill=dark, width=max(1, round(self.outline)), joint="curve")

    def _textured(self, corners: Points, first: NDArray[np.float32]) -> None:
        low = np.floor(corners.min(0)).astype(int).clip(0, self.side)
        high = np.ceil(corners.max(0)).astype(int).clip(0, self.side)
        width, height = (high - low).tolist()
        if width < 2 or height < 2:
            return
        mask = Image.new("L", (width, height))
        ImageDraw.Draw(mask).polygon([(x, y) for x, y in (corners - low).tolist()], fill=255)
        fill = Image.fromarray(self._fill(height, width, first).astype(np.uint8))
        self.image.paste(fill, (int(low[0]), int(low[1])), mask)

    def _fill(self, height: int, width: int, first: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return a surface `[height, width, 3]` in 0-255 between a color and others of the palette."""
        random = self.random
        near = (first + random.normal(0, 30, 3)).clip(0, 255)
        second = near if random.random() < 0.5 else self.color()
        kind = random.random()
        if kind < 0.3:  # a wash from one side to the other
            angle = random.uniform(0, 2 * np.pi)
            y, x = np.ogrid[-0.5 : 0.5 : height * 1j, -0.5 : 0.5 : width * 1j]
            field = (0.5 + x * np.cos(angle) + y * np.sin(angle)).clip(0, 1)
            field = field + random.choice([0.0, 0.3]) * (cut(random, self.tiles, height, width) - 0.5)
        elif kind < 0.75:
            field = cut(random, self.tiles, height, width)
            if random.random() < 0.3:  # a print of two tones
                field = ((field - 0.5) * 8 + 0.5).clip(0, 1)
        else:
            field = ruled(random, height, width)
        surface = first + field[..., None].clip(0, 1) * (second - first)
        return surface.astype(np.float32)

    def line(
        self, points: Points, width: float, part: str | None = "line", color: int | None = 1, *, taper: bool = True
    ) -> None:
        """Draw a stroke along points `[N, 2]`, `width` at its widest, thin at its ends when it tapers."""
        fill = _tuple(self.color(color))
        xy = np.asarray(points) * self.side
        half = max(0.5, width * self.side / 2)
        if taper and half > 0.8 and len(xy) > 2:
            body = capsule(xy, half * np.sin(np.linspace(0.15, np.pi - 0.15, len(xy))))
            self._pen.polygon([(x, y) for x, y in body.tolist()], fill=fill)
        else:
            self._pen.line([(x, y) for x, y in xy.tolist()], fill=fill, width=max(1, round(2 * half)), joint="curve")
        if part is not None and width * self.parts_side > 0.6:
            scaled = [(x * self.parts_side, y * self.parts_side) for x, y in np.asarray(points).tolist()]
            self._labels.line(scaled, fill=_PART_VALUES[part], width=max(1, round(width * self.parts_side)))

    def dabs(
        self, places: Points, angles: NDArray[np.floating], length: float, width: float, colors: NDArray[np.floating]
    ) -> None:
        """Put strokes of a brush down at places `[N, 2]`, in colors `[N, 3]`; parts stay what they are."""
        along = np.stack([np.cos(angles), np.sin(angles)], 1)[:, None] * (length / 2)
        across = np.stack([-np.sin(angles), np.cos(angles)], 1)[:, None] * (width / 2)
        outlines = (places[:, None] + _DAB[:, :1] * along + _DAB[:, 1:] * across) * self.side
        polygon = self._pen.polygon
        for outline, color in zip(
            outlines.reshape(len(places), -1).tolist(), colors.clip(0, 255).astype(int).tolist(), strict=True
        ):
            polygon(outline, tuple(color))


def _tuple(color: Sequence[float] | NDArray[np.floating]) -> tuple[int, int, int]:
    red, green, blue = color
    return int(red), int(green), int(blue)


def capsule(spine: Points, half_widths: NDArray[np.floating]) -> Points:
    """Return the outline of a band along a spine `[N, 2]`, with half a width at each point."""
    tangent = np.gradient(spine, axis=0)
    normal = np.stack([-tangent[:, 1], tangent[:, 0]], 1) / (np.linalg.norm(tangent, axis=1, keepdims=True) + 1e-9)
    shift = normal * half_widths[:, None]
    return np.concatenate([spine + shift, (spine - shift)[::-1]])


def oval(center: Point, radii: Point, angle: float = 0.0, count: int = 20) -> Points:
    """Return an ellipse as a polygon."""
    turn = np.linspace(0, 2 * np.pi, count, endpoint=False)
    x, y = radii[0] * np.cos(turn), radii[1] * np.sin(turn)
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.stack([center[0] + x * cosine - y * sine, center[1] + x * sine + y * cosine], 1)


def blob(random: Random, center: Point, radius: float, wildness: float = 0.25, count: int = 28) -> Points:
    """Return a closed soft curve: a circle whose radius a few waves disturb."""
    turn = np.linspace(0, 2 * np.pi, count, endpoint=False)
    waves = sum(random.normal(0, wildness / k) * np.cos(k * turn + random.uniform(0, 6.3)) for k in range(1, 6))
    r = radius * np.exp(waves).clip(0.3, 2.0)
    return np.stack([center[0] + r * np.cos(turn), center[1] + r * np.sin(turn)], 1)


def polygon(random: Random, center: Point, radius: float) -> Points:
    """Return a convex or starry polygon of 3 to 9 corners."""
    count = int(random.integers(3, 10))
    turn = np.sort(random.uniform(0, 2 * np.pi, count)) if random.random() < 0.6 else np.linspace(0, 2 * np.pi, count + 1)[:-1]
    r = radius * (random.uniform(0.4, 1.0, count) if random.random() < 0.3 else np.ones(count))
    return np.stack([center[0] + r * np.cos(turn + 0.3), center[1] + r * np.sin(turn + 0.3)], 1)


def bend(start: Point, end: Point, bulge: float, count: int = 9) -> Points:
    """Return a curve `[count, 2]` from one point to another that swings aside by `bulge` of its length."""
    a, b = np.asarray(start, float), np.asarray(end, float)
    t = np.linspace(0, 1, count)[:, None]
    aside = np.array([-(b - a)[1], (b - a)[0]]) * bulge
    return a + t * (b - a) + 4 * t * (1 - t) * aside
