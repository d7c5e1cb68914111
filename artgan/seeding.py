"""Counter-based random numbers: every draw is a pure function of (seed, stream, position).

A stream is a name such as "latents/generator"; a position counts samples or images within it. Because nothing is kept
between draws, resuming is a number, and batch size, worker count and number of processes change nothing:
`uniform(seed, stream, 0, 8, width)` equals two draws of four, one from position 0 and one from position 4.

The words come from Philox4x64-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3") in NumPy, whose
raw output NumPy guarantees never to change. NumPy's `Generator` methods carry no such promise, so uniforms and normals
are made here.
"""

import hashlib

import numpy as np

_WORDS_PER_COUNTER = 4
_UNIFORM_BITS = 53


def stream_key(seed: int, stream: str) -> int:
    """Return the 128-bit Philox key of a named stream."""
    return int.from_bytes(hashlib.blake2b(f"{seed}:{stream}".encode(), digest_size=16).digest(), "little")


def _words(seed: int, stream: str, position: int, count: int, width: int) -> np.ndarray:
    """Return uint64 `[count, width]`: row i depends on (seed, stream, position + i, width) alone."""
    counters_per_row = max(1, -(-width // _WORDS_PER_COUNTER))
    philox = np.random.Philox(key=stream_key(seed, stream), counter=position * counters_per_row)
    words = philox.random_raw(count * counters_per_row * _WORDS_PER_COUNTER)
    return words.reshape(count, -1)[:, :width]


def uniform(seed: int, stream: str, position: int, count: int, width: int) -> np.ndarray:
    """Draw uniforms for `count` consecutive positions.

    Returns:
        float64 `[count, width]`, strictly inside (0, 1).
    """
    words = _words(seed, stream, position, count, width)
    return ((words >> np.uint64(64 - _UNIFORM_BITS)) + 0.5) * 2.0**-_UNIFORM_BITS


def normal(seed: int, stream: str, position: int, count: int, width: int) -> np.ndarray:
    """Draw standard normals for `count` consecutive positions, by inverting the normal distribution function.

    Returns:
        float32 `[count, width]`.
    """
    from scipy.special import ndtri

    return ndtri(uniform(seed, stream, position, count, width)).astype(np.float32)


def permutation(seed: int, stream: str, position: int, length: int) -> np.ndarray:
    """Return a random order of `range(length)` (int64), one per position: the order of one epoch, say."""
    return np.argsort(_words(seed, stream, position, 1, length)[0], kind="stable")
