"""A work and its crops are related, and on one side of the hold-out; pictures that only look a little alike are not."""

import json

import numpy as np
import pytest
from PIL import Image

from artgan.datasets.crops import crop_pairs
from artgan.datasets.duplicates import fingerprint, turned
from artgan.datasets.prepare import prepare
from artgan.datasets.recipe import Recipe
from artgan.datasets.synthetic import draw_work

WORKS = [np.asarray(draw_work(manner, 3, index, side_px=128)) for manner in ("circles", "suprematist") for index in range(12)]


def part(pixels, left, top, width, height):
    """Return a part of a picture, its place and size in shares of the picture's sides."""
    rows, columns, _ = pixels.shape
    box = [round(value) for value in (left * columns, top * rows, (left + width) * columns, (top + height) * rows)]
    return np.ascontiguousarray(pixels[box[1] : box[3], box[0] : box[2]])


def pairs(pictures):
    return set(crop_pairs([fingerprint(np.ascontiguousarray(picture)) for picture in pictures]))


QUARTER, HALF = (0.25, 0.25, 0.5, 0.5), (0.1, 0.2, 0.7, 0.72)


@pytest.mark.parametrize("box", [QUARTER, (0.5, 0.43, 0.5, 0.5), HALF, (0.0, 0.0, 1.0, 0.5), (0.03, 0.01, 0.9, 0.95)])
def test_crops_from_a_quarter_of_the_area_on_are_found(box):
    wanted = {(len(WORKS) + index, index) for index in range(len(WORKS))}
    found = pairs([*WORKS, *(part(work, *box) for work in WORKS)])
    assert len(found & wanted) >= 0.85 * len(WORKS), "of some parts little but ground is left"
    strangers = {(crop, work) for crop, work in found - wanted if (crop - work) % len(WORKS)}
    assert len(strangers) <= 1


@pytest.mark.parametrize("symmetry", [1, 2, 5])
def test_a_mirrored_or_turned_crop_is_found_as_well(symmetry):
    crops = [turned(part(work, *HALF), symmetry) for work in WORKS]
    assert len(pairs([*WORKS, *crops]) & {(len(WORKS) + index, index) for index in range(len(WORKS))}) >= 0.8 * len(WORKS)


def test_unrelated_works_noise_and_flat_colors_are_no_crops():
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, (64, 64, 3), dtype=np.uint8) for _ in range(20)]
    flat = [np.full((64, 64, 3), level, np.uint8) for level in range(0, 256, 32)]
    assert pairs([*WORKS, *noise, *flat]) == set()


@pytest.mark.parametrize("count", [0, 1])
def test_there_is_no_crop_among_less_than_two(count):
    assert pairs(WORKS[:count]) == set()


def test_a_work_and_its_crops_stay_and_keep_to_one_side_of_the_holdout(tmp_path):
    (tmp_path / "works").mkdir()
    for index, work in enumerate(WORKS):
        Image.fromarray(work).save(tmp_path / "works" / f"{index:02}.png")
        for name, box in (("a", (0.2, 0.1, 0.6, 0.7)), ("b", (0.0, 0.3, 0.8, 0.7))):
            Image.fromarray(part(work, *box)).save(tmp_path / "works" / f"{index:02}{name}.png")
    summary = prepare([tmp_path / "works"], tmp_path / "out", Recipe(32, 32, holdout=0.4))
    assert (summary.count, summary.duplicates) == (3 * len(WORKS), 0)
    assert 0 < summary.holdout <= round(0.4 * summary.count)
    sides = {}
    for line in map(json.loads, (tmp_path / "out" / "index.jsonl").read_text(encoding="utf-8").splitlines()):
        sides.setdefault(line["name"][:2], set()).add(line["split"])
    straddling = [name for name, both in sides.items() if len(both) > 1]
    assert len(straddling) <= 0.2 * len(WORKS), "by chance two thirds would"


def test_without_a_holdout_crops_are_not_looked_for(tmp_path):
    (tmp_path / "works").mkdir()
    for name, pixels in (("work", WORKS[0]), ("crop", part(WORKS[0], *HALF))):
        Image.fromarray(pixels).save(tmp_path / "works" / f"{name}.png")
    told = []
    prepare([tmp_path / "works"], tmp_path / "out", Recipe(32, 32, holdout=0.0), on_progress=told.append)
    assert {event.task for event in told} == {"preparing"}
