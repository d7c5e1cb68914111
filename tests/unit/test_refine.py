"""Style transfer as laws: targets are minima, strength orders distances, neighbours never mix."""

import numpy as np
import pytest
import torch
from PIL import Image

from artgan.backbones.backbone import load_backbone
from artgan.datasets.synthetic import draw_work
from artgan.errors import ConfigError, DataError
from artgan.images import read_metadata, save_png, to_float
from artgan.refine.files import before_after_sheet, find_pictures, refine_files
from artgan.refine.losses import content_loss, gram_matrices, style_loss, total_variation
from artgan.refine.optimize import Settings, pad_by_replication, scales, stylize
from artgan.refine.pipeline import Series, refine
from artgan.refine.recipe import make_recipe

CPU = torch.device("cpu")
SETTINGS = Settings(("stage1", "stage2"), ("stage2",), 0.05, 0.5, 1.0, 8, 0.02)


def work(manner, index, side=48):
    return np.asarray(draw_work(manner, 3, index, side_px=side))


def tensor(*pictures):
    return to_float(torch.from_numpy(np.stack(pictures)))


def test_gram_matrices_equal_their_definition():
    features = torch.randn(2, 3, 4, 5)
    flat = features.reshape(2, 3, 20)
    assert torch.allclose(gram_matrices(features), torch.einsum("bip,bjp->bij", flat, flat) / 20, atol=1e-5)


def test_losses_are_zero_at_their_targets_and_one_at_nothing():
    features = {"a": torch.randn(2, 3, 6, 6)}
    grams = {"a": gram_matrices(features["a"])}
    zeros = {"a": torch.zeros(2, 3, 6, 6)}
    assert style_loss(features, grams).max() == pytest.approx(0, abs=1e-9)
    assert style_loss(zeros, grams).tolist() == pytest.approx([1, 1])
    assert content_loss(features, features, ["a"]).max() == 0
    assert content_loss(zeros, features, ["a"]).tolist() == pytest.approx([1, 1])


def test_style_does_not_see_where_things_are():
    features = torch.randn(1, 4, 6, 6)
    shuffled = features.flatten(2)[:, :, torch.randperm(36)].view(1, 4, 6, 6)
    assert style_loss({"a": shuffled}, {"a": gram_matrices(features)}).item() == pytest.approx(0, abs=1e-9)


def test_total_variation_of_a_ramp_is_its_slope_squared():
    ramp = torch.arange(8.0).view(1, 1, 1, 8).expand(1, 3, 8, 8) * 0.1
    assert total_variation(ramp).item() == pytest.approx(0.01, rel=1e-5)
    assert total_variation(torch.full((1, 3, 4, 4), 0.3)).item() == 0


def test_scales_halve_down_to_64():
    assert scales(256, 256) == [(64, 64), (128, 128), (256, 256)]
    assert scales(300, 200) == [(150, 100), (300, 200)]
    assert scales(40, 90) == [(40, 90)]


def test_optimising_brings_the_style_closer():
    backbone = load_backbone("random", ["stage1", "stage2"])
    content, style = tensor(work("circles", 1)), tensor(work("waves", 1))
    grams = {layer: gram_matrices(value) for layer, value in backbone(style).items()}
    result = stylize(content, style, backbone, Settings(**(SETTINGS.__dict__ | {"iterations": 40})), lambda _: None)
    assert style_loss(backbone(result), grams).item() < 0.5 * style_loss(backbone(content), grams).item()
    assert result.shape == content.shape
    assert result.abs().max() <= 1


def test_a_picture_is_the_same_alone_and_among_others():
    backbone = load_backbone("random", ["stage1", "stage2"])
    style = tensor(work("waves", 1))
    pictures = [work("circles", index) for index in range(3)]
    together = stylize(tensor(*pictures), style, backbone, SETTINGS, lambda _: None)
    alone = stylize(tensor(pictures[1]), style, backbone, SETTINGS, lambda _: None)
    assert torch.allclose(together[1:2], alone, atol=1e-4)


def test_a_start_from_noise_follows_its_seed_and_paints_anew():
    backbone = load_backbone("random", ["stage1", "stage2"])
    content, style = tensor(work("circles", 1), work("circles", 2)), tensor(work("waves", 1))

    def painted(seed, pictures):
        settings = Settings(**(SETTINGS.__dict__ | {"noise_seed": seed, "iterations": 2}))
        return stylize(pictures, style, backbone, settings, lambda _: None)

    first = painted(1, content)
    assert torch.allclose(painted(1, content[1:]), first[1:], atol=1e-4)
    assert (painted(2, content) - first).abs().mean() > 0.1
    assert (first - content).abs().mean() > 0.2


def test_more_strength_is_closer_to_the_style_and_further_from_the_content():
    backbone = load_backbone("random", ["stage1", "stage2"])
    content, style = tensor(work("circles", 1)), tensor(work("landscapes", 1))
    grams = {layer: gram_matrices(value) for layer, value in backbone(style).items()}
    distances = []
    for strength in (0.1, 0.4, 1.0):
        settings = Settings(**(SETTINGS.__dict__ | {"strength": strength, "iterations": 30}))
        result = stylize(content, style, backbone, settings, lambda _: None)
        distances.append((style_loss(backbone(result), grams).item(), (result - content).abs().mean().item()))
    assert distances[0][0] > distances[1][0] > distances[2][0]
    assert distances[0][1] < distances[1][1] < distances[2][1]


def test_replication_continues_the_picture_at_its_border():
    """With zero padding the border of a constant picture shows in VGG's first features; with replication it does not."""
    backbone = load_backbone("random", ["stage1"])
    convolution = backbone.stages["stage1"][0]
    convolution.padding_mode = "zeros"
    backbone.stages["stage1"] = convolution
    images = torch.full((1, 3, 8, 8), 0.5)
    framed = backbone(images)["stage1"]
    assert framed.std((2, 3)).max() > 0.1
    assert pad_by_replication(backbone)(images)["stage1"].std((2, 3)).max() < 1e-5


def test_pictures_of_several_sizes_make_one_series():
    pictures = [work("circles", 0, 48), work("circles", 1, 40), work("circles", 2, 40)]
    series = Series(pictures, ["a", "b", "c"], work("waves", 0), [work("landscapes", 0)])
    look = make_recipe(backbone="random", style_layers=("stage1",), content_layers=("stage1",), iterations=2, color="match")
    results = refine(series, look, CPU)
    assert [result.shape for result in results] == [picture.shape for picture in pictures]
    assert all(result.dtype == np.uint8 for result in results)


def test_size_scales_the_longer_side():
    series = Series([np.zeros((30, 60, 3), np.uint8)], ["a"], None, [])
    assert refine(series, make_recipe(engine="none", size_px=120), CPU)[0].shape == (60, 120, 3)


def test_one_map_for_the_series_keeps_differences_between_pictures():
    dark, bright = np.full((40, 40, 3), 60, np.uint8), np.full((40, 40, 3), 190, np.uint8)
    series = Series([dark, bright], ["a", "b"], None, [work("landscapes", 0)])
    results = refine(series, make_recipe(engine="none", color="match"), CPU)
    assert results[1].mean() > results[0].mean() + 20


def test_files_keep_their_metadata_and_carry_the_recipe(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    save_png(tmp_path / "in" / "seed-0001.png", work("circles", 0), {"kind": "sample", "seed": 1})
    Image.fromarray(work("circles", 1)).save(tmp_path / "in" / "grid.png")
    Image.fromarray(work("waves", 0)).save(tmp_path / "style.png")
    look = make_recipe(backbone="random", style_layers=("stage1",), content_layers=("stage1",), iterations=1)
    written = refine_files([tmp_path / "in"], tmp_path / "out", look, style=tmp_path / "style.png", device=CPU)
    assert [path.name for path in written] == ["seed-0001.png"]
    metadata = read_metadata(written[0])
    assert metadata["seed"] == 1
    assert metadata["refine"]["style_layers"] == ["stage1"]
    assert len(metadata["refine"]["style_sha256"]) == 64
    assert (tmp_path / "out" / "sheet.png").is_file()


def test_equal_names_from_two_folders_do_not_overwrite_each_other(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        Image.fromarray(work("circles", 0)).save(tmp_path / folder / "same.png")
    (tmp_path / "out").mkdir()
    written = refine_files(
        [tmp_path / "a", tmp_path / "b"], tmp_path / "out", make_recipe(engine="none"), style=None, device=CPU
    )
    assert [path.name for path in written] == ["same.png", "same-2.png"]


def test_an_unreadable_picture_stops_before_anything_is_written(tmp_path):
    (tmp_path / "out").mkdir()
    Image.fromarray(work("circles", 0)).save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_text("bad")
    with pytest.raises(DataError, match=r"bad\.png: not a picture"):
        refine_files(
            [tmp_path / "good.png", tmp_path / "bad.png"], tmp_path / "out", make_recipe(engine="none"), style=None, device=CPU
        )
    assert list((tmp_path / "out").iterdir()) == []


def test_no_pictures_is_an_error(tmp_path):
    with pytest.raises(DataError, match="no pictures in"):
        find_pictures([tmp_path])


def test_the_sheet_shows_before_above_after():
    sheet = before_after_sheet([np.zeros((10, 20, 3), np.uint8)] * 2, [np.full((10, 20, 3), 255, np.uint8)] * 2)
    assert sheet.shape == (384, 384, 3)
    assert sheet[96, 96].max() == 0
    assert sheet[288, 96].min() == 255


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"engine": "magic"}, "--engine magic: expected one of optimize, none"),
        ({"color": "macth"}, r"--color macth \(did you mean 'match'\?\)"),
        ({"strength": float("nan")}, "--strength nan: expected a number from 0 to 1"),
        ({"color_strength": -1}, "--color-strength -1: expected"),
        ({"content_weight": float("inf")}, "--content-weight inf: expected a number of 0 or more"),
        ({"iterations": 0}, "--iterations 0: expected 1 or more"),
        ({"size_px": 8}, "--size 8: expected 32 or more"),
        ({"backbone": "inception_fid_2015"}, "has no style layers"),
    ],
)
def test_wrong_looks_are_refused(values, message):
    with pytest.raises(ConfigError, match=message):
        make_recipe(**values)
