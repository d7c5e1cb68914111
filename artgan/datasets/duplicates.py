"""Which pictures are the same: equal files, equal pixels, or alike when flipped, turned, scaled or saved again.

Likeness is found by the signs of 63 low DCT coefficients of a 32 px gray copy (a perceptual hash), in which the 8 symmetries
of the square are sign flips and a transposition, and confirmed on a 16 px color copy, so that prints of one motif in other
colors stay apart.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image
from scipy import fft

from artgan.datasets.keypoints import NONE, Keypoints, find_keypoints

HASH_BITS = 64
MAX_DISTANCE = 6
_SMALL_PX, _HASH_PX, _HASH_SIDE = 64, 32, 8
PROXY_PX = 16
_MAX_DIFFERENCE, _MAX_CONTRAST_SHARE, _ROUNDING, _EVEN = 6.0, 0.15, 0.5, 8  # in levels of 255
_BANDS, _BAND_BITS = 4, 16
_PROBES = np.array([0, *(1 << bit for bit in range(_BAND_BITS))])
_QUERIES_AT_ONCE = 1 << 16
_CANDIDATES_AT_ONCE = 1 << 21


@dataclass(frozen=True)
class Fingerprint:
    """What likeness needs of a picture: its hash, a color copy, uint8 `[16, 16, 3]`, and, for crops, its keypoints."""

    hash: int
    proxy: np.ndarray
    keypoints: Keypoints = field(default=NONE)

    @property
    def is_even(self) -> bool:
        """Whether the picture is of one color."""
        return int(np.ptp(self.proxy, (0, 1)).max()) <= _EVEN


def fingerprint(pixels: np.ndarray) -> Fingerprint:
    """Return the fingerprint of uint8 `[h, w, 3]`, taken of the whole picture whatever its shape."""
    # Box averages are taken once and first: a Lanczos filter over a whole scan costs as much as decoding it.
    height, width, _ = pixels.shape
    shares = [max(1, int(side / _SMALL_PX / 2)) for side in (width, height)]
    averaged = Image.fromarray(pixels).reduce((shares[0], shares[1]))
    box = (0, 0, width / shares[0], height / shares[1])
    image = averaged.resize((_SMALL_PX, _SMALL_PX), Image.Resampling.LANCZOS, box)
    gray = image.convert("L").resize((_HASH_PX, _HASH_PX), Image.Resampling.LANCZOS)
    coefficients = fft.dctn(np.asarray(gray, dtype=np.float64), norm="ortho")[:_HASH_SIDE, :_HASH_SIDE]
    signs = coefficients > 0
    signs[0, 0] = False  # the mean says nothing about the motif
    proxy = np.asarray(image.resize((PROXY_PX, PROXY_PX), Image.Resampling.LANCZOS))
    return Fingerprint(int(_pack(signs[None])[0]), proxy, find_keypoints(averaged.convert("L"), box, width / height))


def alike_pairs(fingerprints: Sequence[Fingerprint]) -> Iterator[tuple[int, int]]:
    """Yield pairs (i, j) of pictures that look the same under one of the 8 symmetries of the square.

    Pictures with one and the same fingerprint are paired with the first of them only, so that a thousand copies give a
    thousand pairs and not half a million.
    """
    first: dict[bytes, int] = {}
    for index, item in enumerate(fingerprints):
        identity = hashlib.sha256(item.hash.to_bytes(8, "little") + item.proxy.tobytes()).digest()
        earlier = first.setdefault(identity, index)
        if earlier != index:
            yield earlier, index
    kept = np.array(list(first.values()), dtype=np.int64)
    hashes = np.array([fingerprints[index].hash for index in kept], dtype=np.uint64)
    known = HashIndex(hashes)
    for symmetry, variants in enumerate(symmetries(hashes)):
        for i, j in kept[known.close_pairs(variants)]:
            if i == j or (symmetry == 0 and i > j):
                continue
            if _same_colors(_apply(fingerprints[i].proxy, symmetry), fingerprints[j].proxy):
                yield int(i), int(j)


def _same_colors(a: np.ndarray, b: np.ndarray) -> bool:
    """Return whether two proxies differ by little, and by little of their contrast: flat pictures are not all the same."""
    allowed = min(_MAX_DIFFERENCE, _ROUNDING + _MAX_CONTRAST_SHARE * float(b.std((0, 1)).mean()))
    return float(np.abs(a.astype(np.int16) - b).mean()) <= allowed


class Groups:
    """Sets of items that belong together: a union-find."""

    def __init__(self, count: int) -> None:
        self._parent = list(range(count))
        self._sizes = [1] * count

    def root(self, item: int) -> int:
        """Return the smallest member of an item's set."""
        while self._parent[item] != item:
            self._parent[item] = self._parent[self._parent[item]]
            item = self._parent[item]
        return item

    def join(self, a: int, b: int) -> None:
        """Put two sets together."""
        low, high = sorted((self.root(a), self.root(b)))
        if low != high:
            self._parent[high] = low
            self._sizes[low] += self._sizes[high]

    def size(self, item: int) -> int:
        """Return how many items are in an item's set."""
        return self._sizes[self.root(item)]

    def copy(self) -> "Groups":
        """Return sets of the same items that go their own way from here."""
        other = Groups(0)
        other._parent, other._sizes = self._parent[:], self._sizes[:]
        return other

    def members(self) -> list[list[int]]:
        """Return the sets with more than one member, each ascending, by their first member."""
        sets: dict[int, list[int]] = {}
        for item in range(len(self._parent)):
            sets.setdefault(self.root(item), []).append(item)
        return [members for members in sets.values() if len(members) > 1]


def _apply(picture: np.ndarray, symmetry: int) -> np.ndarray:
    """Apply symmetry 0..7: bit 2 transposes, then bit 1 flips rows, bit 0 flips columns."""
    if symmetry & 4:
        picture = picture.swapaxes(0, 1)
    if symmetry & 2:
        picture = picture[::-1]
    return picture[:, ::-1] if symmetry & 1 else picture


def symmetries(hashes: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the hashes that the pictures would have under each symmetry, in the order of `_apply`.

    Mirroring x(n) -> x(N-1-n) multiplies the k-th DCT-II coefficient by (-1)^k.
    """
    signs = ((hashes[:, None] >> np.arange(HASH_BITS, dtype=np.uint64)) & np.uint64(1)).astype(bool)
    signs = signs.reshape(-1, _HASH_SIDE, _HASH_SIDE)
    odd = np.arange(_HASH_SIDE) % 2 == 1
    for symmetry in range(8):
        turned = signs.swapaxes(1, 2) if symmetry & 4 else signs
        turned = turned ^ (odd[None, :, None] & bool(symmetry & 2)) ^ (odd[None, None, :] & bool(symmetry & 1))
        yield _pack(turned)


def _pack(signs: np.ndarray) -> np.ndarray:
    """Pack bool `[N, 8, 8]` into uint64 `[N]`."""
    weights = np.uint64(1) << np.arange(HASH_BITS, dtype=np.uint64)
    return (signs.reshape(-1, HASH_BITS) * weights).sum(1, dtype=np.uint64)


class HashIndex:
    """Hashes, uint64 `[N]`, by four bands of 16 bits each."""

    def __init__(self, hashes: np.ndarray) -> None:
        self._hashes = hashes
        self._orders, self._starts = [], []
        for keys in _bands(hashes):
            self._orders.append(np.argsort(keys, kind="stable").astype(np.int32))
            self._starts.append(np.cumsum(np.bincount(keys + 1, minlength=(1 << _BAND_BITS) + 1)))

    def close_pairs(self, queries: np.ndarray) -> np.ndarray:
        """Return all (i, j) with Hamming distance of queries[i] to hashes[j] of at most 6, ascending, int64 `[P, 2]`.

        Of four bands of 16 bits, 6 differences leave one band with at most 1: each band is looked up with 0 or 1 bit changed.
        """
        found = [np.empty((0, 2), dtype=np.int64)]
        for order, starts, keys in zip(self._orders, self._starts, _bands(queries), strict=True):
            for first in range(0, len(queries), _QUERIES_AT_ONCE):
                buckets = (keys[first : first + _QUERIES_AT_ONCE, None] ^ _PROBES).ravel()
                start = starts[buckets]
                count = starts[buckets + 1] - start
                for part in _parts(count):
                    probe = np.repeat(np.arange(part.start, part.stop), count[part])
                    within = np.arange(len(probe)) - np.repeat(np.cumsum(count[part]) - count[part], count[part])
                    i, j = first + probe // len(_PROBES), order[start[probe] + within]
                    near = np.bitwise_count(queries[i] ^ self._hashes[j]) <= MAX_DISTANCE
                    found.append(np.stack([i[near], j[near]], 1))
        return np.unique(np.concatenate(found), axis=0)


def _bands(hashes: np.ndarray) -> Iterator[np.ndarray]:
    """Yield each 16 bits of hashes, int64 `[N]`."""
    for band in range(_BANDS):
        yield ((hashes >> np.uint64(band * _BAND_BITS)) & np.uint64((1 << _BAND_BITS) - 1)).astype(np.int64)


def _parts(counts: np.ndarray) -> Iterator[slice]:
    """Cut a range so that the counts in each part add up to a bounded number of candidates."""
    owners = (np.cumsum(counts) - 1) // _CANDIDATES_AT_ONCE
    edges = np.flatnonzero(np.diff(owners)) + 1
    for first, last in zip([0, *edges], [*edges, len(counts)], strict=True):
        yield slice(first, last)
