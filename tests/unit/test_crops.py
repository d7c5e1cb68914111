"""A work and its crops are related, and on one side of the hold-out; pictures that only look a little alike are not."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from artgan.datasets.crops import crop_pairs
from artgan.datasets.duplicates import fingerprint
from artgan.datasets.keypoints import Keypoints
from artgan.datasets.prepare import prepare
from artgan.datasets.recipe import Recipe
from artgan.datasets.synthetic import draw_work

WORKS = [np.asarray(draw_work(manner, 3, index, side_px=160)) for manner in ("circles", "suprematist") for index in range(12)]
QUARTER, HALF = (0.25, 0.25, 0.5, 0.5), (0.1, 0.2, 0.7, 0.72)


def part(pixels, left, top, width, height):
    """Return a part of a picture, its place and size in shares of the picture's sides."""
    rows, columns, _ = pixels.shape
    box = [round(value) for value in (left * columns, top * rows, (left + width) * columns, (top + height) * rows)]
    return np.ascontiguousarray(pixels[box[1] : box[3], box[0] : box[2]])


def scaled(pixels, times):
    image = Image.fromarray(pixels)
    return np.asarray(image.resize((round(image.width * times), round(image.height * times)), Image.Resampling.BICUBIC))


def saved_again(pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=70)
    return np.asarray(Image.open(buffer).convert("RGB"))


def pairs(pictures):
    return {(crop, work) for _, crop, work in crop_pairs([fingerprint(np.ascontiguousarray(picture)) for picture in pictures])}


@pytest.mark.parametrize(
    ("box", "share"),
    [(QUARTER, 0.8), ((0.5, 0.43, 0.5, 0.5), 0.4), (HALF, 0.9), ((0.0, 0.0, 1.0, 0.5), 0.8), ((0.03, 0.01, 0.9, 0.95), 0.9)],
)
def test_crops_from_a_quarter_of_the_area_on_are_found(box, share):
    """In a corner of a drawn work there is little but ground, so that many of those quarters show nothing to know them by."""
    wanted = {(len(WORKS) + index, index) for index in range(len(WORKS))}
    found = pairs([*WORKS, *(part(work, *box) for work in WORKS)])
    assert len(found & wanted) >= share * len(WORKS)
    strangers = {(crop, work) for crop, work in found if (crop - work) % len(WORKS)}
    assert len(strangers) <= 4


@pytest.mark.parametrize(
    "change", [lambda x: scaled(x, 2.3), lambda x: scaled(x, 0.6), saved_again], ids=["2.3", "0.6", "jpeg"]
)
def test_a_crop_of_another_size_or_saved_again_is_found(change):
    crops = [change(part(work, *HALF)) for work in WORKS]
    assert len(pairs([*WORKS, *crops]) & {(len(WORKS) + index, index) for index in range(len(WORKS))}) >= 0.8 * len(WORKS)


def test_unrelated_works_noise_and_flat_colors_are_no_crops():
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, (64, 64, 3), dtype=np.uint8) for _ in range(20)]
    flat = [np.full((64, 64, 3), level, np.uint8) for level in range(0, 256, 32)]
    assert pairs([*WORKS, *noise, *flat]) == set()


@pytest.mark.parametrize(
    "pictures", [[], WORKS[:1], [np.zeros((1, 1, 3), np.uint8)] * 2, [np.zeros((900, 3, 3), np.uint8)] * 2]
)
def test_of_few_tiny_or_thin_pictures_there_is_no_crop(pictures):
    assert pairs(pictures) == set()


def test_keypoints_are_written_and_read_again():
    keypoints = fingerprint(WORKS[0]).keypoints
    again = Keypoints.from_bytes(keypoints.to_bytes())
    assert len(keypoints.records) > 40
    assert again.aspect == keypoints.aspect
    assert (again.records == keypoints.records).all()


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
    assert len(straddling) <= 0.1 * len(WORKS), "by chance two thirds would"


def test_pictures_of_one_manner_do_not_chain_up_to_one_group(tmp_path):
    """Windows that move along a scroll: each is nearly a crop of the next, and all together would be one group."""
    rng = np.random.default_rng(0)
    scroll = np.asarray(
        Image.fromarray(rng.integers(0, 256, (12, 260, 3), dtype=np.uint8)).resize((5200, 240), Image.Resampling.BICUBIC)
    )
    (tmp_path / "works").mkdir()
    for index in range(60):
        Image.fromarray(scroll[:, 80 * index : 80 * index + 240]).save(tmp_path / "works" / f"{index:02}.png")
    prepare([tmp_path / "works"], tmp_path / "out", Recipe(32, 32, holdout=0.3))
    groups = {}
    for line in map(json.loads, (tmp_path / "out" / "index.jsonl").read_text(encoding="utf-8").splitlines()):
        groups.setdefault(line.get("group", line["name"]), []).append(line["split"])
    assert max(map(len, groups.values())) <= 32
    assert {"train", "holdout"} <= {split for splits in groups.values() for split in splits}


def test_without_a_holdout_crops_are_not_looked_for(tmp_path):
    (tmp_path / "works").mkdir()
    for name, pixels in (("work", WORKS[0]), ("crop", part(WORKS[0], *HALF))):
        Image.fromarray(pixels).save(tmp_path / "works" / f"{name}.png")
    told = []
    prepare([tmp_path / "works"], tmp_path / "out", Recipe(32, 32, holdout=0.0), on_progress=told.append)
    assert {event.task for event in told} == {"preparing"}
