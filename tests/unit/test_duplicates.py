"""Likeness is tested on real changes to real drawings, and on pictures that only seem alike."""

import io

import numpy as np
import pytest
from PIL import Image

from artgan.datasets.duplicates import HashIndex, alike_pairs, fingerprint, symmetries
from artgan.datasets.synthetic import MANNERS, draw_work

WORKS = [
    np.asarray(draw_work(manner, 3, index, side_px=160))
    for manner in ("circles", "landscapes", "suprematist")
    for index in range(4)
]


def pairs(pictures):
    return {tuple(sorted(pair)) for pair in alike_pairs([fingerprint(picture) for picture in pictures])}


def saved_again(pixels, quality=50):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer).convert("RGB"))


def half_size(pixels):
    return np.asarray(Image.fromarray(pixels).resize((80, 80), Image.Resampling.LANCZOS))


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("change", [lambda x: x, saved_again, half_size], ids=["same", "jpeg", "half"])
def test_a_turned_mirrored_saved_or_scaled_copy_is_found(turns, mirrored, change):
    copies = [change(np.ascontiguousarray(np.rot90(work[:, ::-1] if mirrored else work, turns))) for work in WORKS]
    expected = {(index, index + len(WORKS)) for index in range(len(WORKS))}
    assert pairs([*WORKS, *copies]) == expected


def test_different_works_stay_apart():
    works = [np.asarray(draw_work(manner, 5, index, side_px=96)) for manner in MANNERS for index in range(40)]
    assert pairs(works) == set()


def test_noise_and_flat_colors_stay_apart():
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, (64, 64, 3), dtype=np.uint8) for _ in range(200)]
    flat = [np.full((64, 64, 3), level, np.uint8) for level in range(0, 256, 16)]
    assert pairs([*noise, *flat]) == set()


def test_a_motif_in_other_colors_is_another_work():
    assert pairs([WORKS[0], WORKS[0][..., [2, 0, 1]].copy()]) == set()


def test_close_pairs_equal_brute_force():
    rng = np.random.default_rng(1)
    hashes = rng.integers(0, 2**63, 300, dtype=np.uint64)
    near = hashes[:100].copy()
    for _ in range(7):  # up to 7 changed bits: some within reach, some not
        near ^= np.uint64(1) << rng.integers(0, 63, 100, dtype=np.uint64)
    everything = np.concatenate([hashes, near])
    distance = np.bitwise_count(everything[:, None] ^ everything[None])
    assert {tuple(pair) for pair in HashIndex(everything).close_pairs(everything)} == set(
        zip(*np.nonzero(distance <= 6), strict=True)
    )


def test_the_hash_of_a_turned_picture_follows_from_the_hash():
    work = WORKS[5]
    variants = [int(x[0]) for x in symmetries(np.array([fingerprint(work).hash], dtype=np.uint64))]
    turned = [work, work[:, ::-1], work[::-1], work[::-1, ::-1]]
    for symmetry, picture in enumerate(turned):
        assert bin(variants[symmetry] ^ fingerprint(np.ascontiguousarray(picture)).hash).count("1") <= 2
    transposed = fingerprint(np.ascontiguousarray(work.swapaxes(0, 1))).hash
    assert bin(variants[4] ^ transposed).count("1") <= 2
