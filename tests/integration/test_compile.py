"""Compiled passes give what plain ones give, penalties included."""

import pytest
import torch

from artgan.config import with_values
from artgan.errors import ConfigError
from artgan.evaluation import Judge
from artgan.training.context import build_context
from artgan.training.loop import Outcome, train
from artgan.training.passes import Passes
from artgan.training.session import open_session
from artgan.training.steps import discriminator_step, generator_step
from tests.integration.test_resume import combined


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")
def test_compiled_steps_equal_plain_ones(collection, tmp_path, monkeypatch):
    """Traced by the compiler and run without its code generator, which would take minutes."""
    monkeypatch.setattr(Passes, "BACKEND", "aot_eager")
    values = {"model.generator": "r3gan", "model.discriminator": "r3gan", "objective.name": "relativistic"}
    config = with_values(combined(values), {"training.precision": "float32", "training.total_kimg": 0.016})
    states = []
    for compiled in (False, True):
        session = open_session(with_values(config, {"training.compile": compiled}), collection, tmp_path / str(compiled))
        context = build_context(session)
        images = torch.from_numpy(collection.images[collection.train_rows[:8]]).permute(0, 3, 1, 2).float() / 127.5 - 1
        labels = torch.zeros(8, dtype=torch.int64)
        for _ in range(2):
            discriminator_step(session.state, context, images, labels)
            generator_step(session.state, context, images, labels)
            session.state.images_seen += 8
        states.append(session.state)
    for network in ("generator", "discriminator"):
        pairs = zip(*(getattr(state, network).named_parameters() for state in states), strict=True)
        for (name, plain), (_, compiled) in pairs:
            assert torch.allclose(plain, compiled, rtol=1e-3, atol=1e-5), name


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")
def test_a_compiled_path_length_equals_the_plain_one(collection, tmp_path, monkeypatch):
    """The gradient of a gradient, through modulated convolutions, filters and keyed noise."""
    monkeypatch.setattr(Passes, "BACKEND", "aot_eager")
    config = combined({"model.generator": "stylegan2", "training.precision": "float32"})
    state = open_session(config, collection, tmp_path).state
    generator, draws = state.generator, torch.Generator().manual_seed(0)
    latents, noise = torch.randn(2, 16, generator=draws), torch.randn(2, 3, 32, 32, generator=draws)
    keys, found = torch.tensor([3, 5]), []
    for compiled in (False, True):
        passes = Passes(generator, state.discriminator, torch.device("cpu"), torch.float32, compiled)
        lengths = passes.lengths(generator.per_layer(generator.mapping(latents)), keys, noise)
        slopes = torch.autograd.grad((lengths - 1).square().mean(), list(generator.parameters()), allow_unused=True)
        found.append((lengths.detach(), *(slope for slope in slopes if slope is not None)))
    assert len(found[0]) == len(found[1]) > len(list(generator.mapping.parameters()))
    assert all(torch.allclose(plain, traced, rtol=1e-4, atol=1e-6) for plain, traced in zip(*found, strict=True))


def test_a_machine_that_cannot_compile_is_said_in_one_line(collection, tmp_path, monkeypatch):
    def no_compiler(graph, inputs):
        raise OSError("g++: command not found")

    monkeypatch.setattr(Passes, "BACKEND", staticmethod(no_compiler))
    config = combined({"training.precision": "float32", "training.compile": True})
    judge = Judge("random", collection, torch.device("cpu"))
    with pytest.raises(ConfigError, match=r"(?s)training\.compile: .*g\+\+: command not found.*compile=false") as caught:
        train(open_session(config, collection, tmp_path), judge)
    assert "\n" not in str(caught.value)
    going_on = with_values(config, {"training.compile": False})
    assert train(open_session(going_on, collection, tmp_path), judge) is Outcome.FINISHED
