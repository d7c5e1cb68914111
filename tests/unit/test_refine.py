"""Style transfer as laws: targets are minima, strength orders distances, neighbours never mix."""

import numpy as np
import pytest
import torch

from artgan.backbones.backbone import load_backbone
from artgan.datasets.synthetic import draw_work
from artgan.errors import DataError
from artgan.images import to_float
from artgan.refine import style_card
from artgan.refine.descent import adam, lbfgs
from artgan.refine.in_memory import Series, refine
from artgan.refine.losses import statistics, total_variation
from artgan.refine.networks import without_frame
from artgan.refine.objective import Objective, Region, Weights
from artgan.refine.optimize import Settings, noise, scales, stylize
from artgan.refine.recipe import make_recipe
from artgan.refine.style_card import Cards, StyleSource, source_of_picture
from artgan.refine.stylist import Stylist
from artgan.refine.tiles import TiledObjective, spans

CPU = torch.device("cpu")
LAYERS = ("stage1", "stage2")


def work(manner, index, side=48):
    return np.asarray(draw_work(manner, 3, index, side_px=side))


def tensor(*pictures):
    return to_float(torch.from_numpy(np.stack(pictures)))


def weights(**changes):
    values = {
        "style_layers": LAYERS,
        "content_layers": ("stage2",),
        "loss": "gram",
        "content": "features",
        "content_weight": 0.05,
        "variation_weight": 0.5,
        "strength": 1.0,
    }
    return Weights(**(values | changes))


def region(backbone, style, loss="gram", mask=None):
    with torch.no_grad():
        features = backbone(style)
    return Region({layer: statistics(features[layer], loss) for layer in LAYERS}, mask)


def stylized(pictures, style, *, iterations=8, start=None, mask=None, optimizer="adam", patience=0, tile_px=0, **changes):
    backbone = load_backbone("random", LAYERS)
    look = region(backbone, style, changes.get("loss", "gram"), mask)
    settings = Settings(weights(**changes), iterations, 0.02, optimizer, patience, 2.0, tile_px)
    return stylize(pictures, lambda size: [look], backbone, settings, lambda _: None, start)


def distance(images, style, loss="gram"):
    backbone = load_backbone("random", LAYERS)
    objective = Objective(images, [region(backbone, style, loss)], backbone, weights(loss=loss))
    with torch.no_grad():
        return objective.style_part(objective.measure(backbone(images)))


def test_scales_halve_down_to_64():
    assert scales(256, 256) == [(64, 64), (128, 128), (256, 256)]
    assert scales(300, 200) == [(150, 100), (300, 200)]
    assert scales(40, 90) == [(40, 90)]
    assert scales(128, 128, 2**0.5) == [(64, 64), (91, 91), (128, 128)]


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
@pytest.mark.parametrize("loss", ["gram", "moments", "wasserstein", "sliced"])
def test_optimising_brings_the_style_closer(loss, optimizer):
    content, style = tensor(work("circles", 1)), tensor(work("waves", 1))
    result = stylized(content, style, iterations=40, loss=loss, optimizer=optimizer)
    assert distance(result, style, loss).item() < 0.6 * distance(content, style, loss).item()
    assert result.shape == content.shape
    assert result.abs().max() <= 1


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
@pytest.mark.parametrize("content_loss", ["features", "self_similarity"])
def test_a_picture_is_the_same_alone_and_among_others(content_loss, optimizer):
    style = tensor(work("waves", 1))
    pictures = [work("circles", index) for index in range(3)]
    together = stylized(tensor(*pictures), style, content=content_loss, optimizer=optimizer, patience=4)
    alone = stylized(tensor(pictures[1]), style, content=content_loss, optimizer=optimizer, patience=4)
    assert torch.allclose(together[1:2], alone, atol=1e-4)


@pytest.mark.parametrize("loss", ["gram", "moments"])
def test_losses_and_descent_do_not_depend_on_the_number_of_threads(loss):
    """Products do on some processors (convolutions by oneDNN, Gram matrices by MKL): they have one thread here."""
    start, style = tensor(work("landscapes", 0, 200)), tensor(work("waves", 0, 64))
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    backbone = load_backbone("random", LAYERS)
    objective = Objective(start, [region(backbone, style, loss)], backbone, weights(loss=loss))

    def leaf(value):
        return value.detach().requires_grad_(True)

    def gradient_of(images, threads):
        torch.set_num_threads(1)
        images = leaf(images)
        features = backbone(images)
        (measured,) = objective.measure(features)
        products = [*features.values(), *(part for found in measured.values() for part in (found.mean, found.second))]
        given = {layer: leaf(value) for layer, value in features.items()}
        found = {layer: value.map(leaf) for layer, value in measured.items()}
        smooth = leaf(images)
        torch.set_num_threads(threads)
        losses = objective.style_part([found]) + objective.content_part(given) + total_variation(smooth)
        leaves = [*given.values(), *(part for value in found.values() for part in (value.mean, value.second))]
        *slopes, slope = torch.autograd.grad(losses.sum(), [*leaves, smooth], materialize_grads=True)
        torch.set_num_threads(1)
        (through,) = torch.autograd.grad(products, images, slopes)
        torch.set_num_threads(threads)  # for the descent's own sums
        return losses.detach(), through + slope

    def descended(threads):
        options = {"iterations": 4, "learning_rate": 0.02, "patience": 0, "report": lambda *_: None}
        return lbfgs(start, lambda images: gradient_of(images, threads), **options)

    try:
        results = [descended(threads) for threads in (1, 3)]
    finally:
        torch.set_num_threads(before)
    assert not torch.equal(results[0], start)
    assert torch.equal(*results)


def test_a_start_from_noise_follows_its_seed_and_paints_anew():
    content, style = tensor(work("circles", 1), work("circles", 2)), tensor(work("waves", 1))

    def painted(seed, pictures):
        return stylized(pictures, style, iterations=2, start=lambda size: noise(size, seed))

    first = painted(1, content)
    assert torch.allclose(painted(1, content[1:]), first[1:], atol=1e-4)
    assert (painted(2, content) - first).abs().mean() > 0.1
    assert (first - content).abs().mean() > 0.2


def test_strength_means_the_same_across_styles():
    """Half the strength leaves about half the way to the full look, whatever the style; and the way is monotone."""
    content, look = tensor(work("circles", 1)), {"iterations": 60, "loss": "moments", "optimizer": "lbfgs"}
    shares = []
    for manner in ("waves", "landscapes", "suprematist"):
        style = tensor(work(manner, 1))
        roots = [distance(content, style, "moments").sqrt().item()]
        for strength in (0.25, 0.5, 0.75, 1.0):
            roots.append(distance(stylized(content, style, strength=strength, **look), style, "moments").sqrt().item())
        assert roots == sorted(roots, reverse=True)
        shares.append((roots[0] - roots[2]) / (roots[0] - roots[4]))
    assert max(shares) - min(shares) < 0.1
    assert 0.45 < min(shares) < max(shares) < 0.6


def test_a_mask_keeps_the_rest_bit_for_bit_and_changes_its_inside():
    content, style = tensor(work("circles", 1)), tensor(work("waves", 1))
    mask = torch.zeros(1, 1, 48, 48)
    mask[..., :24] = 1
    result = stylized(content, style, mask=mask)
    assert torch.equal(result[..., 24:], content[..., 24:])
    assert (result[..., :24] - content[..., :24]).abs().mean() > 0.02


def test_masks_give_each_region_its_own_statistics():
    """A picture half of one style and half of another is at the minimum of the two masked style losses."""
    one, other = tensor(work("waves", 1)), tensor(work("landscapes", 1))
    backbone = load_backbone("random", ("stage1",))
    left = torch.zeros(1, 1, 48, 48)
    left[..., :24] = 1
    halves = torch.cat([one[..., :24], other[..., 24:]], -1)
    with torch.no_grad():
        found = statistics(backbone(halves)["stage1"], "gram", left)
        wanted = statistics(backbone(one)["stage1"][..., :22], "gram")
    assert torch.nn.functional.cosine_similarity(found.second.flatten(), wanted.second.flatten(), dim=0) > 0.99


def test_a_loss_that_is_not_a_number_goes_back_to_the_last_good_average():
    start = torch.zeros(2, 3, 8, 8)
    calls = []

    def gradient_of(images):
        calls.append(images)
        gradient = torch.ones_like(images)
        losses = images.flatten(1).sum(1)
        if len(calls) > 5:
            gradient[0], losses[0] = torch.nan, torch.nan
        return losses, gradient

    options = {"learning_rate": 0.01, "patience": 0, "report": lambda *_: None}
    broken = adam(start, gradient_of, iterations=20, **options)
    assert broken.isfinite().all()
    calls.clear()
    good = adam(start[:1], gradient_of, iterations=5, **options)
    assert torch.allclose(broken[:1], good)
    assert broken[1].mean() < good.mean() - 0.05
    calls.clear()
    assert lbfgs(start, gradient_of, iterations=20, **options).isfinite().all()


@pytest.mark.parametrize("descent", [adam, lbfgs])
def test_descents_find_the_minimum_of_a_quadratic(descent):
    target = torch.linspace(-0.9, 0.9, 2 * 3 * 16).view(2, 3, 4, 4)
    scale = torch.linspace(1, 30, 16).view(1, 1, 4, 4)

    def gradient_of(images):
        return (scale * (images - target).square()).flatten(1).sum(1) / 2, scale * (images - target)

    found = descent(
        torch.zeros_like(target), gradient_of, iterations=300, learning_rate=0.01, patience=0, report=lambda *_: None
    )
    assert torch.allclose(found, target, atol=5e-3)


@pytest.mark.parametrize("descent", [adam, lbfgs])
def test_patience_stops_a_picture_that_gains_nothing(descent):
    steps = []

    def gradient_of(images):
        steps.append(1)
        return images.flatten(1).sum(1) * 0 + 1, torch.zeros_like(images)

    descent(torch.zeros(2, 3, 4, 4), gradient_of, iterations=500, learning_rate=0.01, patience=10, report=lambda *_: None)
    assert len(steps) == (20 if descent is adam else 21)


@pytest.mark.parametrize("descent", [adam, lbfgs])
def test_patience_lets_a_picture_that_gains_go_on(descent):
    target = torch.linspace(-0.9, 0.9, 48).view(1, 3, 4, 4)
    scale = torch.logspace(0, 2, 16).view(1, 1, 4, 4)

    def gradient_of(images):
        return (scale * (images - target).square()).flatten(1).sum(1) / 2, scale * (images - target)

    options = {"iterations": 400, "learning_rate": 0.01, "report": lambda *_: None}
    found = descent(torch.zeros_like(target), gradient_of, patience=10, **options)
    assert gradient_of(found)[0] < 0.01 * gradient_of(torch.zeros_like(target))[0]


@pytest.mark.parametrize("size", [(256, 200), (130, 301)])
@pytest.mark.parametrize("loss", ["gram", "moments", "wasserstein"])
def test_tiles_give_the_gradient_of_the_whole_picture(loss, size):
    check_tiles("random", ("stage1", "stage2", "stage3"), loss, size)


def test_tiles_give_the_gradient_of_the_whole_picture_on_what_ships():
    check_tiles("drawn", ("relu1_1", "relu2_1", "relu3_2"), "gram", (130, 301))


def check_tiles(name, layers, loss, size):
    backbone = without_frame(load_backbone(name, layers)).double()
    rng = torch.Generator().manual_seed(0)
    draw = lambda: torch.rand(2, 3, *size, generator=rng, dtype=torch.float64) * 2 - 1  # noqa: E731
    content, images, style = draw(), draw(), draw()[:1] * 0.5
    with torch.no_grad():
        features = backbone(style)
    mask = torch.rand(1, 1, *size, generator=rng, dtype=torch.float64)
    for of_mask in (None, mask):
        look = Region({layer: statistics(features[layer], loss) for layer in layers}, of_mask)
        parts = weights(style_layers=layers, content_layers=layers[1:], loss=loss, strength=0.7)
        whole = Objective(content, [look], backbone, parts).gradient(images)
        tiled = TiledObjective(content, [look], backbone, parts, 64).gradient(images)
        assert torch.allclose(whole[0], tiled[0], rtol=1e-9)
        assert (whole[1] - tiled[1]).abs().max() < 1e-9 * whole[1].abs().max()


def test_a_huge_style_looks_like_itself_reduced():
    small = work("landscapes", 1, 64)
    huge = np.repeat(np.repeat(small, 20, axis=0), 20, axis=1)
    assert np.array_equal(style_card.coarsely_reduced(huge, 16), small)
    assert style_card.coarsely_reduced(small, 16) is small
    assert style_card.coarsely_reduced(np.zeros((10_000, 70, 3), np.uint8), 64).shape == (5000, 35, 3)


def test_a_style_over_memory_is_measured_in_tiles():
    backbone = load_backbone("random", LAYERS)
    picture = work("landscapes", 1, 160)
    source = StyleSource("style", "3" * 64, 1, lambda _: picture)
    whole, tiled = (Cards(source, backbone, LAYERS, "moments", "", tile_px).card(160) for tile_px in (0, 64))
    for layer in LAYERS:
        for name in ("mean", "second"):
            assert torch.allclose(getattr(whole[layer], name), getattr(tiled[layer], name), rtol=1e-4, atol=1e-6)


def test_spans_count_every_pixel_once():
    for length in (64, 65, 100, 301, 7):
        cores = [range(span.core_start, span.core_stop) for span in spans(length, 32, 10, 4)]
        assert [pixel for core in cores for pixel in core] == list(range(length))


def test_cards_stream_and_are_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("ARTGAN_CACHE", str(tmp_path))
    works = [work("waves", index) for index in range(3)]
    backbone = load_backbone("random", LAYERS)
    source = StyleSource("works", "0" * 64, 3, works.__getitem__)
    card = Cards(source, backbone, LAYERS, "gram", "").card(48)
    features = [backbone(tensor(picture))["stage2"] for picture in works]
    together = torch.stack([statistics(feature, "gram").second for feature in features]).mean(0)
    assert torch.allclose(card["stage2"].second, together, rtol=1e-4, atol=1e-6)
    forgotten = StyleSource("works", "0" * 64, 3, lambda _: pytest.fail("the card was computed again"))
    again = Cards(forgotten, backbone, LAYERS, "gram", "").card(48)
    assert torch.equal(again["stage2"].second, card["stage2"].second)
    kept = next((tmp_path / "style_cards").iterdir())
    kept.write_bytes(b"junk")
    assert torch.allclose(Cards(source, backbone, LAYERS, "gram", "").card(48)["stage2"].second, card["stage2"].second)


def test_the_nearest_work_to_a_work_is_itself():
    works = [work(manner, 0) for manner in ("waves", "circles", "landscapes", "suprematist")]
    backbone = load_backbone("random", LAYERS)
    cards = Cards(StyleSource("works", "1" * 64, 4, works.__getitem__), backbone, LAYERS, "gram", "")
    nearest = cards.nearest_card(tensor(works[2], works[0]), 1, 48)
    for row, index in enumerate((2, 0)):
        wanted = statistics(backbone(tensor(works[index]))["stage1"], "gram").second[0]
        assert torch.allclose(nearest["stage1"].second[row], wanted, rtol=1e-4)


def test_the_nearest_works_are_measured_when_they_are_needed_and_not_all_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("ARTGAN_CACHE", str(tmp_path))
    monkeypatch.setattr(style_card, "_HELD_WORKS", 2)
    works = [work(manner, index) for manner in ("waves", "circles", "landscapes") for index in range(2)]
    backbone = load_backbone("random", LAYERS)
    cards = Cards(StyleSource("works", "2" * 64, 6, works.__getitem__), backbone, LAYERS, "gram", "")
    found = cards.nearest_card(tensor(*works), 6, 48)  # all of them: the card of the whole
    assert torch.allclose(found["stage2"].second[3:4], cards.card(48)["stage2"].second, rtol=1e-4, atol=1e-6)
    cards.nearest_card(tensor(*works), 3, 48)
    assert len(list((tmp_path / "style_cards").iterdir())) == 2  # the whole, and the descriptors
    assert cards._work.cache_info().currsize == 2


def test_several_styles_mix_by_weight_into_the_mixture():
    one, other = work("waves", 0), work("landscapes", 0)
    look = make_recipe(style__backbone="random", style__style_layers=["stage1"], style__content_layers=["stage1"])
    stylist = Stylist(look.style, [source_of_picture("a", one), source_of_picture("b", other)], [3.0, 1.0], CPU)
    (mixed,) = stylist._regions(tensor(one), (48, 48), [])
    parts = [statistics(stylist.backbone(tensor(picture))["stage1"], "gram").second for picture in (one, other)]
    assert torch.allclose(mixed.style["stage1"].second, 0.75 * parts[0] + 0.25 * parts[1], rtol=1e-4, atol=1e-6)


def test_pictures_of_several_sizes_make_one_series():
    pictures = [work("circles", 0, 48), work("circles", 1, 40), work("circles", 2, 40)]
    series = Series(pictures, ["a", "b", "c"], work("waves", 0), [work("landscapes", 0)])
    look = make_recipe(
        style__backbone="random",
        style__style_layers=["stage1"],
        style__content_layers=["stage1"],
        style__iterations=2,
        color__mode="match",
    )
    results = refine(series, look, CPU)
    assert [result.shape for result in results] == [picture.shape for picture in pictures]
    assert all(result.dtype == np.uint8 for result in results)


def test_white_balance_takes_the_cast_of_the_colors_that_are_kept():
    """The content is gray and keeps its colors: the red of the style must not be balanced away from them."""
    gray = np.repeat(work("circles", 0)[:, :, :1], 3, axis=2)
    red = (work("waves", 0) * (1.0, 0.3, 0.2)).astype(np.uint8)
    look = make_recipe(
        style__backbone="random",
        style__style_layers=["stage1"],
        style__content_layers=["stage1"],
        style__iterations=6,
        color__mode="keep",
        color__white_balance=1.0,
    )
    (result,) = refine(Series([gray], ["a"], red, []), look, CPU)
    assert not np.array_equal(result, gray)
    assert np.abs(result.astype(int) - result.mean(2, keepdims=True)).max() <= 3


def test_size_scales_the_longer_side():
    series = Series([np.zeros((30, 60, 3), np.uint8)], ["a"], None, [])
    assert refine(series, make_recipe(style__engine="none", output__size_px=120), CPU)[0].shape == (60, 120, 3)


def test_one_map_for_the_series_keeps_differences_between_pictures():
    dark, bright = np.full((40, 40, 3), 60, np.uint8), np.full((40, 40, 3), 190, np.uint8)
    series = Series([dark, bright], ["a", "b"], None, [work("landscapes", 0)])
    shared = refine(series, make_recipe(style__engine="none", color__mode="match"), CPU)
    assert shared[1].mean() > shared[0].mean() + 20
    own = refine(series, make_recipe(style__engine="none", color__mode="match", color__per_picture=1.0), CPU)
    half = refine(series, make_recipe(style__engine="none", color__mode="match", color__per_picture=0.5), CPU)
    assert abs(own[1].mean() - own[0].mean()) < 5
    gaps = [abs(results[1].mean() - results[0].mean()) for results in (own, half, shared)]
    assert gaps == sorted(gaps)


def test_a_picture_too_small_for_style_is_refused():
    series = Series([np.zeros((5, 50, 3), np.uint8)], ["tiny"], work("waves", 0), [])
    with pytest.raises(DataError, match="tiny is 50x5 px: style needs a short side of at least 32 px"):
        refine(series, make_recipe(style__backbone="random"), CPU)
