"""A batch in pieces does the same mathematics as the batch in one."""

import pytest
import torch

from artgan.config import with_values
from artgan.datasets.sampler import Batches
from artgan.errors import ConfigError
from artgan.training.context import build_context
from artgan.training.micro_batches import PiecewiseSteps
from artgan.training.session import open_session
from artgan.training.state import state_tensors
from artgan.training.steps import discriminator_step, generator_step
from artgan.world import World
from tests.integration.test_resume import COMBINATIONS, combined, for_long

EXACT = {"training.precision": "float64", "training.batch_size": 16}


def take_steps(config, collection, folder, count, break_at=None):
    """Take a few steps of both networks and return state and messages; optionally memory runs out once in a step."""
    session = open_session(config, collection, folder)
    context, said = build_context(session), []
    steps = PiecewiseSteps(session.state, context, said.append)
    state, seen = session.state, session.collection.images
    for index in range(count):
        rows = session.collection.train_rows[:16]
        images = torch.from_numpy(seen[rows]).permute(0, 3, 1, 2).double() / 127.5 - 1
        labels = torch.from_numpy(session.collection.labels[rows])
        if index == break_at:
            run_out_of_memory_once(context)
        steps.take(discriminator_step, images, labels)
        steps.take(generator_step, images.flip(0) if context.objective.paired else None, labels)
        state.images_seen += 16
    return state, context, said


def run_out_of_memory_once(context):
    """Let the next pass of the discriminator fail as a full device does, after spectral norms have moved."""
    judge = context.passes.judge

    def failing(*arguments):
        context.passes.judge = judge
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    context.passes.judge = failing


def assert_close(first, second, tolerance):
    one, two = state_tensors(first), state_tensors(second)
    for name, tensor in one.items():
        assert torch.allclose(tensor.double(), two[name].double(), rtol=tolerance, atol=tolerance), name


@pytest.mark.parametrize("values", for_long(COMBINATIONS, 4, 5), ids=lambda values: "-".join(map(str, values.values())))
def test_pieces_add_up_to_the_batch(collection, tmp_path, values):
    config = with_values(combined(values), EXACT | {"training.micro_batch": None})
    whole, _, _ = take_steps(config, collection, tmp_path / "whole", 3)
    pieces, context, _ = take_steps(with_values(config, {"training.micro_batch": 4}), collection, tmp_path / "pieces", 3)
    assert context.micro_batch == 4
    assert_close(whole, pieces, 1e-6)


@pytest.mark.parametrize("values", for_long([COMBINATIONS[3], COMBINATIONS[0]], 1), ids=["fastgan", "stylegan2"])
def test_a_full_memory_halves_the_pieces_and_changes_nothing(collection, tmp_path, values):
    config = with_values(combined(values), EXACT | {"training.micro_batch": None})
    calm, _, said = take_steps(config, collection, tmp_path / "calm", 3)
    assert said == []
    full, context, said = take_steps(config, collection, tmp_path / "full", 3, break_at=1)
    assert context.micro_batch == 8
    assert said == ["out of memory: going on with 8 images at a time; gradients add up to those of the same batch"]
    assert_close(calm, full, 1e-6)


def test_a_process_whose_image_is_at_an_odd_place_adds_nothing_to_the_path_length(collection, tmp_path):
    """One image for each process: only the first one's is at an even place."""
    sums, gradients = [], []

    class SecondOfTwo(World):
        def total(self, value):
            sums.append(value)
            return value

        def sum_gradients(self, parameters):
            gradients.extend(parameter.grad for parameter in parameters)

        def gather(self, rows):
            return [rows, rows]

    values = {"model.generator": "stylegan2", "objective.name": "nonsaturating", "objective.terms": {}}
    session = open_session(
        with_values(combined(values), EXACT | {"training.batch_size": 2}), collection, tmp_path, SecondOfTwo(rank=1, size=2)
    )
    scalars = generator_step(session.state, build_context(session), None, torch.zeros(1, dtype=torch.int64))
    assert [float(value) for value in sums] == [0]
    assert sums[0].dtype == torch.float64  # as in the process that has something to add
    assert scalars["path_length"].isfinite()
    assert all(gradient.isfinite().all() for gradient in gradients)


@pytest.mark.parametrize("generator", ["stylegan2", "r3gan"])
def test_no_step_makes_tensors_of_the_hosts_numbers(collection, tmp_path, monkeypatch, generator):
    """On a GPU, each would be a copy that waits for all that is still to be computed."""
    values = {"model.generator": generator, "model.discriminator": generator, "objective.name": "nonsaturating"}
    session = open_session(combined(values | {"augment.name": "ada"}), collection, tmp_path)
    context, batches = build_context(session), Batches(collection, 0, session.device, horizontal_flip=True)

    def refuse(*arguments, **options):
        raise AssertionError("torch.tensor within a step")

    monkeypatch.setattr(torch, "tensor", refuse)
    images, labels = batches.batch(0, 8)
    discriminator_step(session.state, context, images, labels)
    generator_step(session.state, context, None, labels)


def test_what_cannot_be_halved_says_so(collection, tmp_path):
    config = with_values(combined(COMBINATIONS[0]), EXACT | {"training.micro_batch": 4})
    with pytest.raises(ConfigError, match=r"out of memory at 4 images at a time .*lower .*training\.batch_size, model\.width"):
        take_steps(config, collection, tmp_path, 1, break_at=0)
