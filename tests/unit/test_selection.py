"""What people would choose: as bright and as varied as the collection, not the dark and plain ones."""

import numpy as np
import pytest
from PIL import Image

from artgan.datasets.synthetic import MANNERS, draw_work
from artgan.selection import brightness_and_chroma, like_the_collection


def drawn(count: int, seed: int) -> np.ndarray:
    works = [draw_work(list(MANNERS)[index % len(MANNERS)], seed, index, side_px=32) for index in range(count)]
    return np.stack([np.asarray(work.convert("RGB")) for work in works])


def thumbs(pictures: np.ndarray) -> np.ndarray:
    """A plain feature space: 6 px copies."""
    return np.stack([np.asarray(Image.fromarray(x).resize((6, 6), Image.Resampling.BOX), float).ravel() for x in pictures])


def brightness(pictures: np.ndarray) -> np.ndarray:
    return np.array([brightness_and_chroma(x)[0] for x in pictures])


def spread(features: np.ndarray) -> float:
    return float(np.linalg.norm(features[:, None] - features[None], axis=2).mean())


@pytest.fixture(scope="module")
def works_and_samples():
    """Two in three samples are dark, plain blends of works, as those of a young generator are."""
    works, samples = drawn(120, 1), drawn(240, 2).astype(float)
    mean = samples.mean(0)
    dark = np.arange(240) % 3 > 0
    samples[dark] = 0.4 * (0.3 * samples[dark] + 0.7 * mean)
    return works, samples.astype(np.uint8)


@pytest.mark.parametrize("count", [12, 30])
def test_the_chosen_are_as_bright_and_as_varied_as_the_collection(works_and_samples, count):
    works, samples = works_and_samples
    theirs, ours = brightness(works), brightness(samples)
    chosen, costs = like_the_collection(thumbs(samples), ours, thumbs(works), theirs, count)
    assert len(set(chosen)) == count
    assert costs == sorted(costs)
    assert abs(ours[chosen].mean() - theirs.mean()) < 0.25 * theirs.std()
    assert 0.75 < ours[chosen].std() / theirs.std() < 1.25
    assert 0.75 < spread(thumbs(samples)[chosen]) / spread(thumbs(works)) < 1.25

    assert ours.mean() < theirs.mean() - theirs.std()  # all of them together are not


def test_more_than_there_are_works_goes_through_them_again():
    line = np.arange(10.0)[:, None]
    chosen, costs = like_the_collection(line, line[:, 0], line[::3], line[::3, 0], 6)
    assert len(set(chosen)) == 6
    assert np.isfinite(costs).all()


def test_gray_has_no_chroma_and_white_is_as_bright_as_can_be():
    assert brightness_and_chroma(np.full((4, 4, 3), 255, np.uint8)) == pytest.approx([1, 0], abs=1e-3)
    assert brightness_and_chroma(np.full((4, 4, 3), (255, 0, 0), np.uint8))[1] == pytest.approx(0.2577, abs=1e-3)
