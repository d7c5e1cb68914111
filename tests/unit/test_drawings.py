"""The drawings and what is learned from them: the same everywhere, in any order, after any interruption."""

import dataclasses
import json
import math

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from artgan.backbones.drawn_net import Learner, build, fold
from artgan.drawings import pool, pretrain, views
from artgan.drawings.canvas import Canvas
from artgan.drawings.drawing import ATTRIBUTES, NUM_PARTS, SIDE_PX, draw
from artgan.drawings.hands import HANDS, finish
from artgan.drawings.lessons import contrast
from artgan.drawings.palettes import TEMPERS, mix
from artgan.drawings.scenes import SCENES
from artgan.drawings.textures import bank, generator
from artgan.errors import CheckpointError, StorageError
from artgan.weights import Located


def test_a_drawing_is_a_function_of_seed_and_number():
    late = draw(1, 7)
    draw(1, 3)
    again = draw(1, 7)
    for name in ("image", "parts", "attributes"):
        assert np.array_equal(getattr(late, name), getattr(again, name))
    assert not np.array_equal(draw(2, 7).image, late.image)
    assert not np.array_equal(draw(1, 8).image, late.image)
    assert (late.image.shape, late.image.dtype) == ((SIDE_PX, SIDE_PX, 3), np.uint8)
    assert late.parts.max() < NUM_PARTS
    assert all(value < count for value, count in zip(late.attributes, ATTRIBUTES.values(), strict=True))


@pytest.mark.parametrize("scene", SCENES)
def test_every_scene_draws_and_marks_its_parts(scene):
    canvas = Canvas(generator(0, "test", 0), bank(1), mix(generator(0, "test", 1), "earth"), SIDE_PX, 0.5, 1.0)
    SCENES[scene][0](canvas)
    assert np.asarray(canvas.image).std() > 1
    assert len(np.unique(np.asarray(canvas.parts))) >= (1 if scene in ("noise", "fractal") else 2)


@pytest.mark.parametrize("hand", HANDS)
def test_every_hand_changes_the_picture_and_never_its_parts(hand):
    canvas = Canvas(generator(0, "test", 2), bank(1), mix(generator(0, "test", 3), "bright"), SIDE_PX, 0.5, 0.0)
    SCENES["still_life"][0](canvas)
    before, parts = np.asarray(canvas.image).copy(), np.asarray(canvas.parts).copy()
    HANDS[hand][0](canvas)
    assert np.array_equal(np.asarray(canvas.image), before) == (hand == "as_drawn")
    assert np.array_equal(np.asarray(canvas.parts), parts)
    assert finish(canvas).shape == (SIDE_PX, SIDE_PX, 3)


@pytest.mark.parametrize("temper", TEMPERS)
def test_palettes_are_colors(temper):
    colors = mix(generator(0, "test", 4), temper)
    assert colors.shape == (8, 3)
    assert (colors >= 0).all()
    assert (colors <= 255).all()


@pytest.fixture
def small(monkeypatch, tmp_path):
    """A pool of four small shards."""
    monkeypatch.setattr(pool, "SHARD", 4)
    monkeypatch.setattr(pretrain, "_FIRST_DRAWINGS", 16)
    pool.fill_pool(tmp_path / "pool", 1, 14)
    return tmp_path / "pool"


def test_a_pool_keeps_what_is_there_and_draws_what_is_missing(small, monkeypatch):
    shards = sorted(small.iterdir())
    assert len(shards) == 4
    content = shards[2].read_bytes()
    shards[2].unlink()
    drawn = []
    monkeypatch.setattr(pool, "draw", lambda seed, index: drawn.append(index) or draw(seed, index))
    pool.fill_pool(small, 1, 14)
    assert drawn == [8, 9, 10, 11]
    assert shards[2].read_bytes() == content
    records = pool.Pool(small, 1).read(np.array([13, 2]))
    assert np.array_equal(records["image"][0], draw(1, 13).image)
    assert np.array_equal(records["parts"][1], draw(1, 2).parts)


def test_a_pool_that_cannot_be_written_is_one_clear_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write drawings to"):
        pool.fill_pool(tmp_path / "file" / "pool", 1, 1)


def test_labels_move_with_the_pixels(monkeypatch):
    """A picture that shows its own parts as gray levels: wherever a view is flat, its labels say the level that it shows."""
    monkeypatch.setattr(views, "_lit", lambda random, images: images)
    records = np.zeros(16, pool.RECORD)
    records["parts"] = np.add.outer(np.arange(24) // 6, 4 * (np.arange(24) // 6))
    records["image"] = records["parts"].repeat(4, 1).repeat(4, 2)[..., None] * 10
    seen = views.look(generator(0, "test", 5), records)
    shown = seen.images[:, 0].reshape(16, 12, 4, 12, 4) * 255 / 10
    flat = (shown.amax((2, 4)) - shown.amin((2, 4))) < 1e-3
    assert flat.float().mean() > 0.3
    assert (shown.mean((2, 4))[flat].round() == seen.parts[flat]).all()


def test_contrast_in_closed_form():
    """Partners alike and all others orthogonal: log(1 + (2N - 2) exp(-1/t))."""
    vectors = torch.eye(5)
    assert contrast(vectors, vectors, 0.5).item() == pytest.approx(math.log(1 + 8 * math.exp(-2)), rel=1e-5)
    assert contrast(vectors, vectors.roll(1, 0), 0.5).item() == pytest.approx(2 + math.log(1 + 8 * math.exp(-2)), rel=1e-5)


def test_the_folded_network_does_what_the_learner_does(tmp_path):
    torch.manual_seed(0)
    learner = Learner().eval()
    for module in learner.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            for tensor in (module.weight, module.running_var):
                tensor.data.uniform_(0.5, 2)
            for tensor in (module.bias, module.running_mean):
                tensor.data.normal_()
    path = tmp_path / "drawn.safetensors"
    save_file({key: tensor.contiguous() for key, tensor in fold(learner.state_dict()).items()}, path)
    images = torch.rand(2, 3, 32, 48)
    with torch.no_grad():
        expected = learner(images)
    found = build("drawn", list(expected), Located(path, "0" * 64))(images * 2 - 1)
    for name, features in found.items():
        assert features.shape == expected[name].shape
        assert torch.allclose(features, expected[name], atol=0.01 * expected[name].abs().max().item()), name


def test_training_goes_on_exactly_where_it_stopped(small, tmp_path):
    recipe = pretrain.Recipe(steps=4, drawings=16, batch=4, groups=2)
    learned = {}
    for name, stops in (("whole", (4,)), ("halves", (2, 4))):
        for stop in stops:
            count = iter(range(stop + 1))
            reached = pretrain.pretrain(
                pool.Pool(small, 1), tmp_path / name, recipe, device=torch.device("cpu"), log_every=1,
                should_stop=lambda count=count, stop=stop, name=name: next(count) >= (stop if name == "whole" else 2),
                say=lambda line: None,
            )  # fmt: skip
        assert reached == 4
        learned[name] = (tmp_path / name / pretrain.WEIGHTS_FILE).read_bytes()
    assert learned["whole"] == learned["halves"]
    steps = [json.loads(line)["step"] for line in (tmp_path / "halves" / "log.jsonl").read_text().splitlines()]
    assert steps == [1, 2, 3, 4]


def test_another_recipe_does_not_go_on(small, tmp_path):
    recipe = pretrain.Recipe(steps=1, drawings=16, batch=4)
    arguments = {"device": torch.device("cpu"), "say": lambda line: None}
    pretrain.pretrain(pool.Pool(small, 1), tmp_path / "run", recipe, **arguments)
    with pytest.raises(CheckpointError, match=r"was made with seed = 0, not 1"):
        pretrain.pretrain(pool.Pool(small, 1), tmp_path / "run", dataclasses.replace(recipe, seed=1), **arguments)
