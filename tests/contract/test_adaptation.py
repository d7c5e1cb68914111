"""A backbone whose weights may move: what it starts as, how far a step goes, what a checkpoint holds of it."""

from itertools import pairwise

import pytest
import torch

from artgan.backbones.backbone import load_backbone
from artgan.config import RunConfig, config_from_dict, with_values
from artgan.errors import ConfigError
from artgan.models.projected import Discriminator
from artgan.training.context import build_context
from artgan.training.resolve import resolve_config
from artgan.training.session import open_session
from artgan.training.steps import discriminator_step
from tests.integration.test_resume import tiny

RATE, LEARNING_RATE = 0.1, 1e-3


def network_on(name, rate):
    torch.manual_seed(0)
    backbone = load_backbone(name, Discriminator.taps(name))
    return Discriminator(backbone=backbone, input_px=64, width=8, num_classes=0, backbone_rate=rate).eval()


def pictures(count=4):
    return torch.rand(count, 3, 64, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.mark.parametrize("name", ["random", "drawn"])
def test_it_starts_as_the_frozen_network(name):
    adapted, frozen = (network_on(name, rate)(pictures()) for rate in (RATE, 0.0))
    assert torch.equal(adapted, frozen)


def test_a_step_moves_its_weights_by_their_share_of_the_learning_rate():
    """Adam's first step is the learning rate long in every weight with a gradient, whatever that is."""
    network = network_on("drawn", RATE)
    convolution = network.backbone.stages["relu3_1"][0]
    before = convolution.weight.detach().clone()
    optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE, betas=(0.0, 0.99), eps=1e-30)
    network(pictures()).square().mean().backward()
    moves = convolution.parametrizations.weight[0].difference.grad != 0
    optimizer.step()
    moved = (convolution.weight.detach() - before).abs()
    assert moves.float().mean() > 0.5
    torch.testing.assert_close(moved[moves], torch.full_like(moved[moves], RATE * LEARNING_RATE), rtol=0.01, atol=0)
    assert not moved[~moves].any()


def test_a_checkpoint_holds_what_was_learnt_and_none_of_what_was_given():
    """So that it carries no pretrained network, and a network with the same weights takes it up exactly."""
    network = network_on("drawn", RATE)
    with torch.no_grad():
        for key, parameter in network.named_parameters():
            if key.startswith("backbone"):
                parameter.normal_()
    of_the_backbone = [key for key in network.state_dict() if key.startswith("backbone")]
    assert of_the_backbone
    assert all(key.endswith("parametrizations.weight.0.difference") for key in of_the_backbone)
    fresh = network_on("drawn", RATE)
    fresh.load_state_dict(network.state_dict())
    assert torch.equal(fresh(pictures()), network(pictures()))
    assert not torch.equal(network_on("drawn", 0.0)(pictures()), network(pictures()))


def test_a_rate_is_settled_by_the_backbone_and_needs_one():
    settled = {
        name: resolve_config(with_values(RunConfig(), {"model.backbone": name}), 64, 64).model.backbone_rate
        for name in ("drawn", "random")
    }
    assert settled == {"drawn": 0.1, "random": 0.0}
    given = with_values(RunConfig(), {"model.backbone": "drawn", "model.backbone_rate": 0.0})
    assert resolve_config(given, 64, 64).model.backbone_rate == 0
    with pytest.raises(
        ConfigError, match=r"model\.backbone_rate = 0\.1 has no effect: the r3gan discriminator has no backbone"
    ):
        with_values(RunConfig(), {"model.discriminator": "r3gan", "model.backbone_rate": 0.1})
    with pytest.raises(ConfigError, match=r"model\.backbone_rate"):
        with_values(RunConfig(), {"model.backbone_rate": 1.5})


def test_its_weights_stay_from_an_image_on_while_the_heads_learn(collection, tmp_path):
    values = {"model.backbone": "drawn", "training.batch_size": 4, "model.backbone_kimg": 0.008}
    session = open_session(with_values(tiny(), values), collection, tmp_path / "run")
    context, images, labels = build_context(session), pictures(), torch.zeros(4, dtype=torch.int64)
    seen = []
    for _ in range(4):
        discriminator_step(session.state, context, images, labels)
        session.state.images_seen += 4
        with torch.no_grad():
            features = session.state.discriminator.features(pictures())
            seen.append((features[-1].clone(), session.state.discriminator.logits(features)))
    assert [torch.equal(one[0], other[0]) for one, other in pairwise(seen)] == [False, True, True]
    assert not any(torch.equal(one[1], other[1]) for one, other in pairwise(seen))


def test_how_long_they_learn_is_settled_and_former_runs_have_no_end():
    drawn = with_values(RunConfig(), {"model.backbone": "drawn"})
    assert resolve_config(drawn, 64, 64).model.backbone_kimg == 10
    written = drawn.model_dump(mode="json")
    del written["model"]["backbone_kimg"]
    assert config_from_dict(written, "a former run").model.backbone_kimg == 1e9


@pytest.mark.parametrize("values", [{"model.backbone_rate": 0.0}, {"model.backbone_rate": RATE, "model.backbone_kimg": 0.0}])
def test_none_learn_without_a_rate_or_time(collection, tmp_path, values):
    session = open_session(with_values(tiny(model__backbone="drawn"), values), collection, tmp_path / "run")
    assert not session.state.discriminator.learns_features
    assert not [name for name, _ in session.state.discriminator.named_parameters() if name.startswith("backbone")]


@pytest.mark.parametrize("rate", [0.0, RATE])
def test_terms_know_whether_features_move(collection, tmp_path, rate):
    values = {"model.backbone": "drawn", "model.backbone_rate": rate, "objective.terms": {"transport": 0.3}}
    session = open_session(with_values(tiny(), values), collection, tmp_path / "run")
    assert session.state.terms["transport"].moving == (rate > 0)
