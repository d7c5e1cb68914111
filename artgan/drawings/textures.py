"""Grounds and surfaces: fields of noise that drawings are filled, ruled and aged with.

Power-law spectra, warped noise, Gabor grains and random layers on noise are the image models that Baradad et al. 2021,
"Learning to See by Looking at Noise" (2106.05963), learned features from; a bank of tiles is made once for each process.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from artgan import seeding

Field = NDArray[np.float32]
Random = np.random.Generator

_TILE_PX = 256
_TILES = 72


def generator(seed: int, stream: str, position: int) -> Random:
    """Return the random numbers of one position of a stream, as a numpy generator."""
    key = seeding.stream_key(seed, stream)
    return np.random.Generator(np.random.Philox(key=key, counter=position << 64))


def _stretched(field: NDArray[np.floating]) -> Field:
    low, high = np.quantile(field, [0.01, 0.99])
    return ((field - low) / max(high - low, 1e-6)).clip(0, 1).astype(np.float32)


def _power_law(random: Random) -> Field:
    """Noise whose spectrum falls as a power of the frequency, along one direction more than along the other."""
    power, stretch, angle = random.uniform(0.6, 2.2), random.choice([1.0, 1.0, 3.0, 8.0]), random.uniform(0, np.pi)
    y, x = np.meshgrid(np.fft.fftfreq(_TILE_PX), np.fft.rfftfreq(_TILE_PX), indexing="ij")
    along = x * np.cos(angle) + y * np.sin(angle)
    across = (y * np.cos(angle) - x * np.sin(angle)) * stretch
    frequency = np.hypot(along, across)
    frequency[0, 0] = np.inf
    phases = np.exp(2j * np.pi * random.random(frequency.shape))
    return _stretched(np.fft.irfft2(phases / np.maximum(frequency, 1 / _TILE_PX) ** power, s=(_TILE_PX, _TILE_PX)))


def _warped(random: Random) -> Field:
    """One noise read at places that two others displace: marble, veins, flow."""
    base, dy, dx = (_power_law(random) for _ in range(3))
    smooth = [ndimage.gaussian_filter(shift, random.uniform(2, 8), mode="wrap") - 0.5 for shift in (dy, dx)]
    reach = random.uniform(40, 160)
    grid = np.mgrid[:_TILE_PX, :_TILE_PX].astype(np.float32)
    return _stretched(ndimage.map_coordinates(base, grid + reach * np.stack(smooth), order=1, mode="grid-wrap"))


def _grains(random: Random) -> Field:
    """Many copies of one mark, thrown at random: dabs, fibres, chips."""
    side = int(random.integers(7, 31))
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    angle, ratio = random.uniform(0, np.pi), random.uniform(1, 5)
    along, across = x * np.cos(angle) + y * np.sin(angle), (y * np.cos(angle) - x * np.sin(angle)) * ratio
    mark = np.exp(-4 * (along**2 + across**2)) * np.cos(random.uniform(0, 9) * across)
    thrown = (random.random((_TILE_PX, _TILE_PX)) < random.uniform(0.002, 0.05)) * random.normal(size=(_TILE_PX, _TILE_PX))
    spectrum = np.fft.rfft2(thrown) * np.fft.rfft2(mark, s=(_TILE_PX, _TILE_PX))
    return _stretched(np.fft.irfft2(spectrum, s=(_TILE_PX, _TILE_PX)))


def _layers(random: Random) -> Field:
    """Noise through untrained layers, from coarse to fine, as a generator makes it before it has learned anything."""
    x = random.normal(size=(8, 8, 8))
    while x.shape[1] < _TILE_PX:
        x = ndimage.zoom(x, (1, 2, 2), order=1, mode="grid-wrap", grid_mode=True)
        x = np.einsum("oc,chw->ohw", random.normal(size=(8, 8)) / np.sqrt(8), x)
        x += random.uniform(0, 0.6) * random.normal(size=x.shape[1:]) + random.normal(size=(8, 1, 1)) * 0.3
        x = ndimage.uniform_filter(x, (0, 3, 3), mode="wrap")
        x = np.maximum(x, 0.2 * x) * random.uniform(0.5, 1.8, (8, 1, 1))
        x /= x.std() + 1e-6
    return _stretched(x[0])


def _cells(random: Random) -> Field:
    """Distances to scattered points: scales, pebbles, cracks."""
    points = np.ones((_TILE_PX, _TILE_PX), bool)
    count = int(random.integers(30, 500))
    points[random.integers(0, _TILE_PX, count), random.integers(0, _TILE_PX, count)] = False
    distance = ndimage.distance_transform_edt(np.tile(points, (2, 2)))
    middle = _TILE_PX // 2
    tile = distance[middle : middle + _TILE_PX, middle : middle + _TILE_PX]
    return _stretched(tile if random.random() < 0.5 else tile % random.uniform(4, 12))


_MAKERS = (_power_law, _power_law, _warped, _grains, _grains, _layers, _cells)


@cache
def bank(seed: int) -> tuple[Field, ...]:
    """Return the tiles of noise, `[256, 256]` in [0, 1] each."""
    return tuple(_MAKERS[index % len(_MAKERS)](generator(seed, "drawings/tiles", index)) for index in range(_TILES))


def cut(random: Random, tiles: tuple[Field, ...], height: int, width: int) -> Field:
    """Cut a field `[height, width]` in [0, 1] from a random tile, at a random magnification from 1 to 4."""
    tile = tiles[random.integers(len(tiles))]
    zoom = int(random.choice([1, 1, 2, 4]))
    rows, columns = -(-height // zoom), -(-width // zoom)
    top, left = random.integers(0, _TILE_PX, 2)
    piece = tile.take(range(top, top + rows), 0, mode="wrap").take(range(left, left + columns), 1, mode="wrap")
    if zoom > 1:
        piece = ndimage.zoom(piece, zoom, order=1, mode="nearest", grid_mode=True)[:height, :width]
    return piece if random.random() < 0.5 else 1 - piece


def ruled(random: Random, height: int, width: int) -> Field:
    """Return straight or swinging hatching, `[height, width]` in [0, 1]: stripes, crossed stripes or checks."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    angle, period = random.uniform(0, np.pi), random.uniform(4, 24)
    swing = random.choice([0.0, 0.0, 1.0]) * random.uniform(1, 6) * np.sin(x / random.uniform(6, 30))
    share = random.uniform(-0.6, 0.8)
    lines = np.sin(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle) + swing) / period)
    if random.random() < 0.4:
        other = np.sin(2 * np.pi * (y * np.cos(angle) - x * np.sin(angle) + swing) / period)
        lines = np.maximum(lines, other) if random.random() < 0.5 else lines * other
    return ((lines - share) * random.uniform(1.5, 6) + 0.5).clip(0, 1).astype(np.float32)
