import numpy as np
import pytest
from scipy import stats

from artgan import seeding


def test_words_are_the_published_philox():
    """NumPy's Philox4x64-10 against the known answers of the Random123 distribution (counter 0, key 0)."""
    words = np.random.Philox(key=0, counter=2**256 - 1).random_raw(4)  # NumPy steps the counter before it draws
    assert [f"{int(word):016x}" for word in words] == [
        "16554d9eca36314c",
        "db20fe9d672d0fdc",
        "d7e772cee186176b",
        "7e68b68aec7ba23b",
    ]


@pytest.mark.parametrize("draw", [seeding.uniform, seeding.normal])
@pytest.mark.parametrize("width", [1, 3, 4, 7, 256])
def test_a_draw_is_the_same_alone_and_in_a_batch(draw, width):
    whole = draw(5, "stream", 100, 8, width)
    parts = np.concatenate([draw(5, "stream", 100 + start, 2, width) for start in range(0, 8, 2)])
    assert np.array_equal(whole, parts)


def test_streams_seeds_and_positions_differ():
    base = seeding.uniform(1, "a", 0, 1, 16)
    for other in (seeding.uniform(2, "a", 0, 1, 16), seeding.uniform(1, "b", 0, 1, 16), seeding.uniform(1, "a", 1, 1, 16)):
        assert not np.isin(base, other).any()


def test_uniforms_are_uniform_and_inside():
    values = seeding.uniform(0, "test", 0, 1000, 100).ravel()
    assert 0 < values.min() < values.max() < 1
    assert stats.kstest(values, "uniform").pvalue > 0.001


def test_normals_are_normal():
    values = seeding.normal(0, "test", 0, 1000, 100).ravel()
    assert stats.kstest(values, "norm").pvalue > 0.001


def test_permutation_holds_every_number_once():
    order = seeding.permutation(0, "order", 3, 1001)
    assert np.array_equal(np.sort(order), np.arange(1001))
    assert not np.array_equal(order, seeding.permutation(0, "order", 4, 1001))


def test_nothing_asked_for_gives_nothing():
    assert seeding.uniform(0, "a", 0, 4, 0).shape == (4, 0)
