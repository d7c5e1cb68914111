"""The fitted network: identity at first, closer to the style after, resumable, used only when it is good enough."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from artgan.datasets.synthetic import draw_work
from artgan.errors import CheckpointError, ConfigError, DataError
from artgan.refine.feedforward import StyleNetwork, describe_network, halvings_for, load_network, read_network
from artgan.refine.files import refine_files
from artgan.refine.fitting import fit_network, read_pictures, scaled
from artgan.refine.forecast import forecast
from artgan.refine.materials import Materials, check_materials
from artgan.refine.networks import Replicate
from artgan.refine.recipe import make_recipe
from artgan.refine.sources import style_of_files
from artgan.storage import seal

CPU = torch.device("cpu")
LOOK = make_recipe(
    style__backbone="random",
    style__style_layers=["stage1", "stage2"],
    style__content_layers=["stage2"],
    style__iterations=3,
    output__size_px=32,
)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    for index in range(8):
        draw_work("circles", 1, index, side_px=40).save(folder / f"{index}.png")
    return folder


@pytest.fixture(scope="module")
def materials(tmp_path_factory):
    path = tmp_path_factory.mktemp("style") / "style.png"
    draw_work("waves", 1, 0, side_px=40).save(path)
    return Materials([style_of_files(path)], [1.0])


def fit(folder, pictures, materials, steps, look=LOOK, listen=lambda _: None):
    return fit_network([pictures], folder, look, materials, CPU, 5.0, listen, max_steps=steps)


def test_an_untrained_network_is_the_identity_at_any_size():
    images = torch.rand(2, 3, 37, 50) * 2 - 1
    assert all(torch.equal(StyleNetwork(halvings)(images), images) for halvings in (1, 2, 3))


def test_a_picture_is_the_same_alone_and_in_a_batch():
    network, images = StyleNetwork(2), torch.rand(2, 3, 36, 50) * 2 - 1
    torch.nn.init.normal_(network.last[1].weight, std=0.1, generator=torch.Generator().manual_seed(0))
    alone = torch.cat([network(images[:1]), network(images[1:])])
    assert (alone - images).abs().max() > 0.05
    assert torch.allclose(network(images), alone, atol=1e-5)


def test_small_pictures_get_a_network_that_does_not_see_them_whole():
    assert [halvings_for(side) for side in (32, 64, 127, 128, 256, 1024)] == [1, 1, 1, 2, 3, 3]


def test_fitting_comes_closer_and_resumes_exactly(pictures, materials, tmp_path):
    events = []
    said = fit(tmp_path / "whole", pictures, materials, 120, listen=events.append)
    assert said.startswith("fitted on 4 pictures; on 4 held-out pictures after 120 steps")
    assert len([event for event in events if event.task == "fitting"]) == 13
    verdict = json.loads((tmp_path / "whole" / "network.json").read_text())["verdict"]
    assert verdict["style"] < 0.8 * verdict["style_before"]
    fit(tmp_path / "halves", pictures, materials, 5)
    fit(tmp_path / "halves", pictures, materials, 120)
    whole, _ = read_network(tmp_path / "whole")
    halves, _ = read_network(tmp_path / "halves")
    for key, value in whole.state_dict().items():
        assert torch.equal(value, halves.state_dict()[key]), key
    with pytest.raises(ConfigError, match="holds the fit of another look"):
        fit(tmp_path / "whole", pictures, materials, 12, LOOK.model_copy(update={"seed": 1}))


def test_a_fit_begins_from_another_network(pictures, materials, tmp_path):
    fit(tmp_path / "first", pictures, materials, 30)
    onward = Materials(materials.styles, materials.weights, network=tmp_path / "first")
    fit(tmp_path / "second", pictures, onward, 0)
    first, second = (read_network(tmp_path / name)[0].state_dict() for name in ("first", "second"))
    assert all(torch.equal(value, second[key]) for key, value in first.items())
    fit(tmp_path / "second", pictures, onward, 2)  # the same command goes on,
    fit(tmp_path / "second", pictures, materials, 4)  # and the first network is needed no more
    fit(tmp_path / "whole", pictures, onward, 4)
    second, whole = (read_network(tmp_path / name)[0].state_dict() for name in ("second", "whole"))
    assert all(torch.equal(value, whole[key]) for key, value in second.items())
    with pytest.raises(ConfigError, match="began from another network"):
        fit(tmp_path / "second", pictures, Materials(materials.styles, materials.weights, network=tmp_path / "whole"), 5)
    large = LOOK.model_copy(update={"output": LOOK.output.model_copy(update={"size_px": 128})})
    with pytest.raises(ConfigError, match="made for larger or smaller pictures than 128 px"):
        fit(tmp_path / "third", pictures, onward, 1, large)
    nowhere = Materials(materials.styles, materials.weights, network=tmp_path)
    with pytest.raises(CheckpointError, match="no fitted network"):
        fit(tmp_path / "third", pictures, nowhere, 1)


def test_a_network_is_used_only_when_its_verdict_is_good(pictures, materials, tmp_path):
    fit(tmp_path / "net", pictures, materials, 1)
    about = json.loads((tmp_path / "net" / "network.json").read_text())

    def judged(style, content_optimized=0.1):
        about["verdict"] |= {"style_before": 1.0, "style": style, "style_optimized": 0.1, "content": 0.1}
        about["verdict"] |= {"content_optimized": content_optimized}
        (tmp_path / "net" / "network.json").write_text(json.dumps(about))
        seal(tmp_path / "net")

    judged(0.29)  # 0.71 of 0.9 is 79 % of the way
    with pytest.raises(CheckpointError, match=r"79% of the way .*80% needed.*not good enough\. Fit it longer"):
        load_network(tmp_path / "net", 1.0, CPU)
    judged(0.1, content_optimized=0.06)
    with pytest.raises(CheckpointError, match="not good enough"):
        load_network(tmp_path / "net", 1.0, CPU)
    judged(0.27)
    assert load_network(tmp_path / "net", 1.0, CPU)([np.zeros((40, 40, 3), np.uint8)])[0].shape == (40, 40, 3)
    look = make_recipe(style__engine="feedforward", style__strength=0.5)
    (tmp_path / "out").mkdir()
    result = refine_files([pictures], tmp_path / "out", look, Materials(network=tmp_path / "net"), device=CPU)
    assert len(result.written) == 8
    (tmp_path / "net" / "network.safetensors").write_bytes(b"junk")
    with pytest.raises(CheckpointError, match="is damaged"):
        load_network(tmp_path / "net", 1.0, CPU)


def test_a_network_paints_no_other_style_than_its_own(pictures, materials, tmp_path):
    fit(tmp_path / "net", pictures, materials, 1)
    about = json.loads((tmp_path / "net" / "network.json").read_text())
    about["verdict"] |= {"style": 0.0, "content": 0.0}
    (tmp_path / "net" / "network.json").write_text(json.dumps(about))
    seal(tmp_path / "net")
    assert "fitted to style.png at 32 px; on 4 held-out" in describe_network(tmp_path / "net")
    draw_work("circles", 2, 0, side_px=40).save(tmp_path / "other.png")
    other = Materials([style_of_files(tmp_path / "other.png")], [1.0], network=tmp_path / "net")
    look = make_recipe(style__engine="feedforward", style__backbone="random", output__size_px=32)
    with pytest.raises(ConfigError, match=r"was fitted to style\.png; leave --style out"):
        check_materials(look, other)
    own = Materials(materials.styles, [1.0], network=tmp_path / "net")
    check_materials(look, own)
    ahead = [forecast([pictures], recipe, own, CPU, 1, (1, 1)) for recipe in (make_recipe(style__engine="none"), look)]
    assert ahead[0].seconds < ahead[1].seconds


def test_a_network_of_another_shape_is_refused(pictures, materials, tmp_path):
    fit(tmp_path / "net", pictures, materials, 1)
    weights = tmp_path / "net" / "network.safetensors"
    save_file(load_file(weights) | {f"down.{level}.x": torch.zeros(1) for level in range(99)}, weights)
    seal(tmp_path / "net")
    with pytest.raises(CheckpointError, match="no style network of this version"):
        read_network(tmp_path / "net")


def test_what_is_no_network_or_too_few_pictures(tmp_path, pictures, materials):
    with pytest.raises(CheckpointError, match="no fitted network"):
        read_network(tmp_path)
    (tmp_path / "monet").mkdir()
    with pytest.raises(DataError, match="folders are not searched, name those of its 1 that are meant"):
        fit_network([pictures, tmp_path], tmp_path / "net", LOOK, materials, CPU, 1.0)  # not the other input's pictures alone
    Image.new("RGB", (40, 40)).save(tmp_path / "a.png")
    with pytest.raises(DataError, match="needs 8 pictures or more, got 1"):
        fit(tmp_path / "net", tmp_path, materials, 1)


def test_a_damaged_state_of_a_fit_is_named(pictures, materials, tmp_path):
    fit(tmp_path / "net", pictures, materials, 1)
    state = tmp_path / "net" / "fit.safetensors"
    save_file({key: value for key, value in load_file(state).items() if not key.startswith("average.")}, state)
    with pytest.raises(ConfigError, match=r"fit\.safetensors cannot be read .* delete it to fit from the beginning"):
        fit(tmp_path / "net", pictures, materials, 2)


def test_without_a_size_crops_are_as_large_as_the_pictures(pictures):
    read, side = read_pictures(sorted(pictures.glob("*.png")), None)
    assert side == 40
    assert {picture.shape for picture in read} == {(40, 40, 3)}
    read, side = read_pictures(sorted(pictures.glob("*.png")), 32)
    assert side == 32
    assert min(min(picture.shape[:2]) for picture in read) >= 32


def test_pictures_of_a_fit_shrink_only_for_a_size_and_never_below_the_crops():
    wide = draw_work("circles", 1, 0, side_px=200).crop((0, 0, 200, 90))
    for shrink, shape in ((True, (33, 73, 3)), (False, (90, 200, 3))):
        assert scaled(np.asarray(wide), 32, shrink).shape == shape
    assert min(scaled(np.asarray(wide), 128, False).shape[:2]) >= 128


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (4, 4), (0, 2), (3, 0)])
def test_padding_and_its_gradient_are_those_of_autograd(rows, columns):
    images = torch.rand(2, 3, 6, 5, dtype=torch.float64, requires_grad=True)
    slope = torch.rand(2, 3, 6 + 2 * rows, 5 + 2 * columns, dtype=torch.float64)
    expected = torch.nn.functional.pad(images, (columns, columns, rows, rows), mode="replicate")
    found = Replicate(rows, columns)(images)
    assert torch.equal(found, expected)
    gradients = [torch.autograd.grad(padded, images, slope)[0] for padded in (found, expected)]
    assert torch.allclose(*gradients, rtol=1e-12)
