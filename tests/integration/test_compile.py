"""Compiled passes give what plain ones give, penalties included."""

import pytest
import torch

from artgan.config import with_values
from artgan.training.context import build_context
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
