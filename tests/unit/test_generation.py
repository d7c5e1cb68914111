"""Points, the space they live in, and the ways through it."""

import base64
from dataclasses import replace

import numpy as np
import pytest
import torch

from artgan.errors import CheckpointError, ConfigError, DataError
from artgan.generation.directions import style_matrices
from artgan.generation.latents import latents_for_seeds
from artgan.generation.model_card import NO_RIGHTS, model_card
from artgan.generation.model_folder import ModelCard
from artgan.generation.paths import EASINGS, band_layers, journey, mixing_matrix
from artgan.generation.point import Point, pack_styles, point_from
from artgan.generation.sample import chunk_size, generate, point_of_picture, render
from artgan.generation.space import Space
from artgan.images import SUFFIX_OF, captioned_grid, encode_picture
from artgan.metadata import read_metadata
from artgan.metrics.manifold import fit_manifold, realism_scores
from artgan.models.fastgan_generator import Generator
from artgan.selection import farthest_first


@pytest.fixture(scope="module")
def space() -> Space:
    torch.manual_seed(0)
    sizes = {"height_px": 32, "width_px": 40, "width": 8, "latent_dim": 16, "mapping_layers": 2, "num_classes": 3}
    generator = Generator(**sizes).eval().requires_grad_(False)
    for parameter in generator.parameters():  # every branch is to matter
        parameter.add_(0.1 * torch.randn_like(parameter))
    return Space(generator, 3)


EVERYTHING = Point(
    seed=7,
    classes=((0, 1.0), (2, 3.0)),
    truncation=0.6,
    centers=4,
    moves=(("pca-1", 2.0), ("sefa-2", -1.5)),
    toward=Point(8, classes=((1, 1.0),)),
    amount=0.25,
    mixed=Point(9),
    layers=(1, 3),
    noise=5,
)


def test_a_point_survives_its_words():
    assert point_from(EVERYTHING.as_dict()) == EVERYTHING
    assert Point(3).as_dict() == {"seed": 3}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1], "a point is an object"),
        ({"sead": 1}, "unknown key 'sead'"),
        ({"seed": -1}, "point.seed: expected a whole number from 0"),
        ({"seed": True}, "point.seed"),
        ({"seed": 1.5}, "point.seed"),
        ({"truncation": float("nan")}, "point.truncation: expected a number from 0 to 2"),
        ({"truncation": 3}, "point.truncation"),
        ({"moves": [["pca-1"]]}, "point.moves: expected pairs"),
        ({"moves": "no"}, "point.moves"),
        ({"layers": [1]}, "point.layers"),
        ({"toward": {"toward": {"toward": {"seed": 1}}}}, "nested more than 2 times"),
    ],
)
def test_a_point_from_outside_is_checked(content, message):
    with pytest.raises(DataError, match=message):
        point_from(content)


@pytest.mark.parametrize(
    ("point", "message"),
    [
        (Point(1, classes=((3, 1.0),)), "this model has 3 classes"),
        (Point(1, moves=(("pca-99", 1.0),)), "no direction 'pca-99'"),
        (Point(1, mixed=Point(2), layers=(0, 9)), "this model has 4 layers"),
        (Point(styles=base64.b64encode(b"1234").decode()), "have 1 values, this model takes 4 x 16"),
        (Point(styles="***"), "cannot be read"),
    ],
)
def test_a_point_of_another_model_is_refused(space, point, message):
    with pytest.raises(DataError, match=message):
        space.styles([point])


def test_every_step_at_its_neutral_value_returns_its_input(space):
    plain = space.styles([Point(7)])
    neutral = Point(7, classes=((0, 2.0),), moves=(("pca-1", 0.0),), toward=Point(8), amount=0.0, mixed=Point(9), layers=(2, 2))
    assert torch.equal(space.styles([neutral]), plain)
    assert torch.equal(space.styles([Point(7, toward=Point(8), amount=1.0)]), space.styles([Point(8)]))
    stored = Point(styles=pack_styles(plain[0].numpy()))
    assert torch.equal(space.styles([stored]), plain)


def test_styles_follow_their_definition(space):
    mapped = [space.generator.mapping(latents_for_seeds([7], 16), torch.tensor([label]))[0] for label in (0, 2)]
    mean = [space.cloud(label).mean(0) for label in (0, 2)]
    mixed = space.styles([Point(7, classes=((0, 1.0), (2, 3.0)), truncation=0.6)])[0]
    expected = 0.25 * (mean[0] + 0.6 * (mapped[0] - mean[0])) + 0.75 * (mean[1] + 0.6 * (mapped[1] - mean[1]))
    torch.testing.assert_close(mixed, expected.expand(4, -1))
    layers = space.styles([Point(7, mixed=Point(9), layers=(1, 3))])[0]
    assert torch.equal(layers[[0, 3]], space.styles([Point(7)])[0, [0, 3]])
    assert torch.equal(layers[1:3], space.styles([Point(9)])[0, 1:3])


def test_truncation_to_zero_gives_the_nearest_center(space):
    centers = space.centers(0, 4)
    styles = space.styles([Point(7)])[0, 0]
    nearest = centers[(centers - styles).norm(dim=1).argmin()]
    torch.testing.assert_close(space.styles([Point(7, truncation=0.0, centers=4)])[0, 0], nearest)
    cloud = space.cloud(0)
    spread = (torch.cdist(cloud, centers).min(1).values ** 2).mean()
    assert spread < ((cloud - cloud.mean(0)) ** 2).sum(1).mean()


def test_a_point_is_the_same_picture_in_any_company(space):
    points = [Point(seed) for seed in range(11)] + [EVERYTHING]
    together = list(render(space, points))
    alone = [next(render(space, [point])) for point in reversed(points)]
    assert all(np.array_equal(a, b) for a, b in zip(together, reversed(alone), strict=True))
    seeds = list(generate(space, range(11)))
    assert all(np.array_equal(a, b) for a, b in zip(seeds, together[:11], strict=True))
    assert chunk_size(space) == 8


class Noisy(Generator):
    """A generator whose noise inputs add a constant for each key."""

    def synthesis(self, styles, noise=None):
        images = super().synthesis(styles)
        return images if noise is None else (images + 0.1 * (noise % 7)[:, None, None, None]).clamp(-1, 1)


def test_noise_keys_reach_the_generator_and_no_neighbor():
    sizes = {"height_px": 32, "width_px": 32, "width": 8, "latent_dim": 16, "mapping_layers": 2, "num_classes": 0}
    noisy = Space(Noisy(**sizes).eval().requires_grad_(False))
    points = [Point(1), Point(1, noise=3), Point(1), Point(2, noise=5), Point(1, noise=3)]
    pictures = list(render(noisy, points))
    assert np.array_equal(pictures[0], pictures[2])
    assert np.array_equal(pictures[1], pictures[4])
    assert not np.array_equal(pictures[0], pictures[1])
    assert all(np.array_equal(next(render(noisy, [point])), picture) for point, picture in zip(points, pictures, strict=True))


def test_principal_components_are_those_of_the_cloud(space):
    cloud = space.cloud(0).double().numpy()
    singular = np.linalg.svd(cloud - cloud.mean(0), compute_uv=False)
    deviations = singular / np.sqrt(len(cloud) - 1)
    steps = [space.directions[f"pca-{place}"].step.norm().item() for place in (1, 2, 3)]
    np.testing.assert_allclose(steps, deviations[:3], rtol=1e-4)
    share = space.directions["pca-1"].share
    np.testing.assert_allclose(share, deviations[0] ** 2 / (deviations**2).sum(), rtol=1e-4)


def test_the_layers_that_read_the_style_are_found(space):
    generator = space.generator
    expected = [generator.base.weight] + [conv.scale.weight for stage in generator.stages for conv in stage.convs]
    found = style_matrices(generator)
    assert len(found) == len(expected)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("easing", EASINGS)
def test_easing_runs_from_0_to_1_without_turning_back(easing):
    values = [EASINGS[easing](step / 20) for step in range(21)]
    assert values[0] == 0
    assert values[-1] == pytest.approx(1)
    assert values == sorted(values)


def test_a_loop_passes_its_keys_and_has_no_jump(space):
    keys = [Point(1), Point(2), Point(3)]
    points = journey(keys, 10, loop=True)
    assert len(points) == 30
    assert [points[0], points[10], points[20]] == keys
    styles = space.styles([*points, points[0]])[:, 0]
    steps = (styles[1:] - styles[:-1]).norm(dim=1)
    assert steps.max() < 1.6 * (styles[10] - styles[0]).norm() / 10 * 1.3
    open_way = journey(keys, 10, loop=False)
    assert (len(open_way), open_way[-1]) == (21, keys[-1])
    with pytest.raises(ConfigError, match="two or more keys"):
        journey([Point(1)], 10)


def test_bands_share_out_all_layers():
    for num_styles in (2, 4, 5, 14, 18):
        layers = [layer for band in ("coarse", "middle", "fine") for layer in range(*band_layers(band, num_styles))]
        assert layers == list(range(num_styles))
    with pytest.raises(ConfigError, match="nothing to mix"):
        band_layers("fine", 1)
    matrix = mixing_matrix([Point(1), Point(2)], [Point(3)], (0, 2))
    assert matrix[1][0] == replace(Point(2), mixed=Point(3), layers=(0, 2))


@pytest.mark.parametrize("image_format", SUFFIX_OF)
def test_every_format_carries_what_makes_the_picture(image_format, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    metadata = {"kind": "sample", "seed": 3, "class": "Vermeer é", "model_hash": "abc", "point": EVERYTHING.as_dict()}
    data = encode_picture(pixels, image_format, metadata)
    assert data == encode_picture(pixels, image_format, metadata)
    assert b"trainedAlgorithmicMedia" in data
    path = tmp_path / f"picture{SUFFIX_OF[image_format]}"
    path.write_bytes(data)
    assert read_metadata(path) == metadata
    from artgan.decode import decode

    difference = np.abs(decode(data).pixels.astype(int) - pixels)
    assert difference.max() == 0 if image_format != "jpeg" else difference.mean() < 10


def test_captions_stand_under_the_pictures():
    images = np.zeros((3, 40, 64, 3), np.uint8)
    sheet = captioned_grid(images, ["3", "a caption that is far too long for its place", ""], columns=3)
    assert sheet.shape == (57, 192, 3)
    assert (sheet[:40] == 0).all()
    assert (sheet[40:, :128] < 128).any()
    assert (sheet[40:, 128:] == 255).all()


def test_a_picture_of_another_model_is_named(trained_model):
    with pytest.raises(DataError, match="carries no point"):
        point_of_picture(trained_model, {"seed": 1}, "x.png")
    with pytest.raises(CheckpointError, match="was made by model other"):
        point_of_picture(trained_model, {"point": {"seed": 1}, "model": "other", "model_hash": "0" * 64}, "x.png")


def test_realism_is_that_of_its_definition():
    rng = np.random.default_rng(0)
    reference, features = rng.normal(size=(60, 5)), np.concatenate([rng.normal(size=(20, 5)), rng.normal(size=(5, 5)) + 20])
    scores = realism_scores(features, fit_manifold(reference))
    between = np.linalg.norm(reference[:, None] - reference[None], axis=2)
    radii = np.sort(between, axis=1)[:, 5]
    for row, value in zip(features, scores, strict=True):
        ratios = [r / np.linalg.norm(row - real) for r, real in zip(radii, reference, strict=True) if r <= np.median(radii)]
        assert value == pytest.approx(max(ratios))
    assert scores[20:].max() < scores[:20].min()
    assert (realism_scores(reference, fit_manifold(reference))[radii <= np.median(radii)] > 1e6).all()


def test_farthest_first_spreads():
    line = np.array([[0.0], [1.0], [2.0], [9.0], [10.0]])
    chosen, gaps = farthest_first(line, 3, first=0)
    assert chosen == [0, 4, 2]
    assert gaps == [10.0, 10.0, 2.0]


def test_a_card_passes_on_what_the_sources_state_about_rights():
    known = {"name": "x", "pixel_hash": "0", "count": 3, "rights": ["hub/x: license 'cc0-1.0', says its card"]}
    card = ModelCard("fastgan", {}, (), 0, known)
    assert "Rights: hub/x: license 'cc0-1.0'" in model_card(card)
    assert "Rights: CC BY" in model_card(card, rights="CC BY")
    assert NO_RIGHTS in model_card(ModelCard("fastgan", {}, (), 0, known | {"rights": []}))
