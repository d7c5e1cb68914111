"""Mixtures of two models: their layers and weights, and what is said of models that do not fit."""

import json
import shutil

import numpy as np
import pytest
import torch

from artgan.errors import ConfigError
from artgan.generation.favourites import NAME
from artgan.generation.mixing import RELATED, Mixture, mix_models, mixed_generator, relation
from artgan.generation.model_folder import ModelCard, load_model, save_model
from artgan.generation.point import Point
from artgan.generation.sample import render
from artgan.models import GENERATORS
from tests.integration.test_cli import artgan

SHEET = np.zeros((8, 8, 3), np.uint8)


def make_model(folder, architecture="fastgan", seed=0, after=None, **changed):
    """A model with fresh weights, or with those of `after` trained on a little, as far as a test can tell."""
    sizes = {"height_px": 32, "width_px": 32, "width": 8, "latent_dim": 16, "mapping_layers": 2, "num_classes": 0} | changed
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        generator = GENERATORS.load(architecture)(**sizes).eval().requires_grad_(False)
        if after is not None:
            generator.load_state_dict(after.generator.state_dict())
        for parameter in generator.parameters():
            parameter.add_(0.3 * parameter.std(correction=0) * torch.randn_like(parameter))
    classes = tuple("abcdef"[: sizes["num_classes"]])
    save_model(folder, generator, ModelCard(architecture, sizes, classes, 1000, {"name": folder.name, "count": 9}), SHEET)
    return load_model(folder)


@pytest.fixture(params=["fastgan", "stylegan2", "r3gan"])
def pair(request, tmp_path):
    first = make_model(tmp_path / "first", request.param, 1)
    return first, make_model(tmp_path / "second", request.param, 2, after=first)


def test_every_tensor_has_a_level(pair):
    generator = pair[0].generator
    levels = {name: generator.level_of(name) for name in generator.state_dict()}
    assert {level for level in levels.values() if level is not None} == {0, 1, 2, 3}  # 4, 8, 16, 32 px
    assert {name.split(".")[0] for name, level in levels.items() if level is None} <= {"mapping"}
    assert all(level is None for name, level in levels.items() if name.startswith("mapping"))


def test_layers_come_from_where_they_are_said_to(pair):
    first, second = pair
    mixed = mixed_generator(first, second, Mixture(1.0, 16)).state_dict()
    for name, tensor in mixed.items():
        if "running_" in name or "num_batches" in name:
            continue  # measured anew
        level = first.generator.level_of(name)
        source = second if level is not None and level >= 2 else first
        assert torch.equal(tensor, source.generator.state_dict()[name]), name


def test_weights_in_between(pair):
    first, second = pair
    for share in (0.0, 0.25, 1.0):
        mixed = mixed_generator(first, second, Mixture(share)).state_dict()
        for name, tensor in mixed.items():
            a, b = first.generator.state_dict()[name], second.generator.state_dict()[name]
            if tensor.is_floating_point() and (share in (0, 1) or "running_" not in name):
                torch.testing.assert_close(tensor, a + share * (b - a), rtol=1e-5, atol=1e-6)


def test_batch_norm_of_a_mixture_is_measured_on_its_own_pictures(tmp_path):
    first, second = make_model(tmp_path / "a", seed=1), make_model(tmp_path / "b", seed=2)
    generator = mixed_generator(first, second, Mixture(0.5))
    latents = torch.randn(256, 16, generator=torch.Generator().manual_seed(3))
    seen = []
    generator.base_norm.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        generator(latents)
    torch.testing.assert_close(generator.base_norm.running_mean, seen[0].mean((0, 2, 3)), rtol=0.3, atol=0.1)
    torch.testing.assert_close(generator.base_norm.running_var, seen[0].var((0, 2, 3)), rtol=0.5, atol=0.05)


def test_relation_tells_kin_from_strangers(pair, tmp_path):
    first, second = pair
    stranger = make_model(tmp_path / "stranger", first.card.architecture, 9)
    assert relation(first, first) == pytest.approx(1)
    assert relation(first, second) > 0.8 > RELATED
    assert abs(relation(first, stranger)) < 0.2 < RELATED


def test_a_mixture_is_a_model_with_its_sheet(pair, tmp_path, capsys):
    first, second = pair
    assert artgan("model", "mix", first.folder, second.folder, "--from", 16, "--out", tmp_path / "mixed") == 0
    assert "likely to fail" not in capsys.readouterr().out
    mixed = load_model(tmp_path / "mixed")
    assert mixed.name == "first+second-1k"
    assert mixed.card.collection["mixed_by"] == "1 of the second in layers from 16 px on"
    assert second.sha256[:12] in (tmp_path / "mixed" / "README.md").read_text()
    pictures = [next(render(model.space, [Point(3)])).astype(int) for model in (first, second, mixed)]
    assert all(np.abs(pictures[2] - other).mean() > 0.5 for other in pictures[:2])
    again = mix_models(first, second, Mixture(1.0, 16), tmp_path / "again")
    assert again.sha256 == mixed.sha256
    assert artgan("model", "mix", first.folder, second.folder, "--out", tmp_path / "mixed") == 2
    assert artgan("model", "mix", first.folder, second.folder, "--out", tmp_path / "mixed", "--force") == 0
    assert load_model(tmp_path / "mixed").card.collection["mixed_by"] == "0.5 of the second in all layers"


def test_models_that_do_not_fit_are_refused_in_one_line(tmp_path, capsys):
    first = make_model(tmp_path / "first")
    others = {
        "a stylegan2": make_model(tmp_path / "other", "stylegan2"),
        "tensors differ": make_model(tmp_path / "wider", width=16),
    }
    for said, other in others.items():
        assert artgan("model", "mix", first.folder, other.folder, "--out", tmp_path / "out") == 2
        lines = capsys.readouterr().err.strip().splitlines()
        assert len(lines) == 1
        assert said in lines[0]
    with pytest.raises(ConfigError, match="the models make 32 px"):
        mixed_generator(first, first, Mixture(1.0, 64))
    assert artgan("model", "mix", first.folder, first.folder, "--out", first.folder, "--force") == 2
    stranger = make_model(tmp_path / "stranger", seed=5, num_classes=3)
    assert artgan("model", "mix", first.folder, stranger.folder, "--out", tmp_path / "out") == 2
    assert "--from PX leaves the mapping and classes out" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert artgan("model", "mix", first.folder, stranger.folder, "--from", "8", "--out", tmp_path / "out") == 0
    assert "likely to fail: the weights of first-1k and stranger-1k" in capsys.readouterr().out


def test_a_folder_that_is_no_model_is_never_replaced(tmp_path):
    first = make_model(tmp_path / "first")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / NAME).write_text(json.dumps({}))
    assert artgan("model", "mix", first.folder, first.folder, "--out", tmp_path / "mine", "--force") == 2
    assert (tmp_path / "mine" / NAME).exists()
    shutil.rmtree(tmp_path / "mine")
