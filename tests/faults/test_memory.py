"""Fault 17: memory runs out at the allocation, in training, sampling, judging and refining."""

from contextlib import contextmanager

import numpy as np
import pytest
import torch

from artgan.config import with_values
from artgan.errors import ConfigError
from artgan.evaluation import Judge
from artgan.generation.sample import generate
from artgan.generation.space import Space
from artgan.refine.stylist import with_less_memory
from artgan.training.context import build_context
from artgan.training.micro_batches import PiecewiseSteps
from artgan.training.session import open_session
from artgan.training.steps import discriminator_step
from tests.integration.test_resume import combined

MORE_THAN_THERE_IS = 1 << 60


@contextmanager
def memory_for(images, network):
    """Make the allocator fail where a network gets more images at a time."""

    def allocate(module, inputs, *_):
        if len(inputs[0]) > images:
            torch.empty(MORE_THAN_THERE_IS, dtype=torch.uint8)

    handle = network.register_forward_pre_hook(allocate)
    try:
        yield
    finally:
        handle.remove()


def test_samples_are_made_in_halves(trained_model, caplog):
    calm = np.stack(list(generate(Space(trained_model.generator, 5), range(10))))
    with memory_for(2, trained_model.generator.base):
        space = Space(trained_model.generator, 5)
        halved = np.stack(list(generate(space, range(10))))
    assert [record.getMessage() for record in caplog.records] == [
        f"out of memory: going on rendering {size} pictures at a time, as before up to rounding" for size in (4, 2)
    ]  # once: the second chunk begins with what fits
    assert np.abs(halved.astype(int) - calm).max() <= 1
    with memory_for(0, trained_model.generator.base), pytest.raises(ConfigError, match="rendering one picture at a time"):
        list(generate(Space(trained_model.generator, 5), range(2)))


def test_pictures_are_judged_in_halves(collection, caplog):
    judge = Judge("random", collection, torch.device("cpu"))

    def features():
        pictures = lambda indices: (collection.images[index] for index in indices)  # noqa: E731
        return judge.extract(pictures, 36, "judging", lambda event: None)[:]

    calm = features()
    with memory_for(3, judge.backbone):
        halved = features()
    assert "going on judging 2 pictures at a time" in caplog.text
    np.testing.assert_allclose(halved, calm, rtol=1e-5, atol=1e-6)


def test_pictures_are_styled_in_halves(caplog):
    """An engine as `with_less_memory` knows it: pictures in, pictures out, memory for three."""
    taken = []

    def engine(pictures, masks=(), on_iterate=None, *, starts=()):
        if len(pictures) > 3:
            torch.empty(MORE_THAN_THERE_IS, dtype=torch.uint8)
        taken.append(len(pictures))
        return [picture * 0.5 for picture in pictures]

    pictures = [np.full((4, 4, 3), value, np.float32) for value in range(7)]
    styled = with_less_memory(engine, pictures, [()] * 7, lambda _: None)
    assert [float(picture.mean()) for picture in styled] == [0.5 * value for value in range(7)]
    assert taken == [3, 2, 2]
    assert "out of memory: going on with 4 pictures at a time" in caplog.text


def test_a_generator_that_cannot_be_cut_names_the_batch_that_fits(collection, tmp_path):
    """FastGAN's batch norm couples the images of a batch: pieces would be another network."""
    networks = {"model.generator": "fastgan", "model.discriminator": "fastgan"}
    config = with_values(combined(networks), {"training.batch_size": 16})
    session = open_session(config, collection, tmp_path)
    context = build_context(session)
    steps = PiecewiseSteps(session.state, context, lambda text: None)
    images = torch.zeros(16, 3, 32, 32)
    with memory_for(6, session.state.generator.base), pytest.raises(ConfigError) as refused:
        steps.take(discriminator_step, images, torch.zeros(16, dtype=torch.int64))
    assert "all 16 in the generator" in str(refused.value)
    assert "training.batch_size=4 fits in a run of its own" in str(refused.value)
    assert "stands in the run's last checkpoint" in str(refused.value)
