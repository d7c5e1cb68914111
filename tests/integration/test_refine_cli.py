"""`artgan refine` from the command line: recipes travel, odd inputs have defined behavior."""

import json

import numpy as np
import pytest
from PIL import Image

from artgan.cli import main
from artgan.datasets.synthetic import draw_work
from artgan.images import save_png
from artgan.metadata import read_metadata
from artgan.refine.recipe import load_recipe, shipped_looks
from artgan.storage import seal
from tests.conftest import ROOT

QUICK = ("--backbone", "random", "--style-layers", "stage1,stage2", "--content-layers", "stage2", "--iterations", "2")


def artgan(*words):
    with pytest.raises(SystemExit) as caught:
        main([str(word) for word in words])
    return caught.value.code or 0


def refused(capsys, code, text, *words):
    assert artgan(*words) == code
    error = capsys.readouterr().err
    assert text in error.replace("\nartgan: ", " "), error
    assert "Traceback" not in error


@pytest.fixture
def picture(tmp_path):
    draw_work("circles", 1, 1, side_px=48).save(tmp_path / "picture.png")
    return tmp_path / "picture.png"


@pytest.fixture
def style(tmp_path):
    draw_work("waves", 1, 1, side_px=48).save(tmp_path / "style.png")
    return tmp_path / "style.png"


def test_a_recipe_travels_in_the_picture_and_gives_the_same_bytes(picture, style, tmp_path, capsys):
    (tmp_path / "look.yaml").write_text("seed: 5\nstyle:\n  loss: moments\n  start: noise\ncolor:\n  mode: match\n")
    first = (
        "refine",
        picture,
        "--style",
        style,
        "--recipe",
        tmp_path / "look.yaml",
        *QUICK,
        "--out",
        tmp_path / "a",
        "--quiet",
    )
    assert artgan(*first) == 0
    assert read_metadata(tmp_path / "a" / "picture.png")["refine"]["recipe"]["seed"] == 5
    again = ("refine", picture, "--style", style, "--recipe-from", tmp_path / "a" / "picture.png", "--out", tmp_path / "b")
    assert artgan(*again, "--quiet") == 0
    assert (tmp_path / "a" / "picture.png").read_bytes() == (tmp_path / "b" / "picture.png").read_bytes()
    assert artgan(*again[:-1], tmp_path / "c", "--seed", "6", "--quiet") == 0
    assert read_metadata(tmp_path / "c" / "picture.png")["refine"]["recipe"]["seed"] == 6
    capsys.readouterr()
    assert artgan(*again[:-1], tmp_path / "d", "--set", "style.patience=7") == 0
    assert "picture.png was made with --style style.png (weight 1.0)" in capsys.readouterr().out
    assert read_metadata(tmp_path / "d" / "picture.png")["refine"]["recipe"]["style"]["patience"] == 7
    save_png(tmp_path / "odd.png", np.zeros((8, 8, 3), np.uint8), {"refine": {"recipe": {}, "styles": 3, "masks": {}}})
    assert artgan("refine", picture, "--recipe-from", tmp_path / "odd.png", "--engine", "none", "--out", tmp_path / "e") == 0


def test_a_look_that_comes_with_artgan_is_taken_by_name(picture, tmp_path):
    words = ("refine", picture, "--recipe", "finish", "--engine", "none", "--out", tmp_path / "out", "--quiet")
    assert artgan(*words) == 0
    carried = read_metadata(tmp_path / "out" / "picture.png")["refine"]["recipe"]
    assert carried["description"] == load_recipe(shipped_looks()["finish"]).description


def test_a_collection_is_a_style_and_so_are_its_nearest_works(picture, collection_folder, tmp_path, capsys):
    words = ("refine", picture, "--style", collection_folder, *QUICK, "--color", "match")
    assert artgan(*words, "--out", tmp_path / "all") == 0
    assert "style distance" in capsys.readouterr().out
    assert artgan(*words, "--nearest", "2", "--out", tmp_path / "near", "--quiet") == 0
    pixels = [np.asarray(Image.open(tmp_path / name / "picture.png")) for name in ("all", "near")]
    assert not np.array_equal(*pixels)


@pytest.mark.parametrize("kind", ["1x1", "gray", "transparent", "cmyk", "long"])
def test_odd_style_pictures_work(picture, tmp_path, kind):
    drawn = draw_work("waves", 1, 1, side_px=48)
    images = {
        "1x1": lambda: Image.new("RGB", (1, 1), (200, 30, 60)),
        "gray": lambda: drawn.convert("L"),
        "transparent": lambda: Image.merge("RGBA", (*drawn.split(), Image.new("L", drawn.size, 90))),
        "cmyk": lambda: drawn.convert("CMYK"),
        "long": lambda: drawn.resize((10_000, 20)),
    }
    path = tmp_path / f"style.{'jpg' if kind == 'cmyk' else 'png'}"
    images[kind]().save(path)
    assert artgan("refine", picture, "--style", path, *QUICK, "--color", "match", "--out", tmp_path / "out", "--quiet") == 0
    assert np.asarray(Image.open(tmp_path / "out" / "picture.png")).shape == (48, 48, 3)


@pytest.mark.parametrize("size", [(33, 47), (400, 33)])
def test_odd_sizes_and_extreme_aspects_work(style, tmp_path, size):
    draw_work("circles", 1, 1, side_px=64).resize(size).save(tmp_path / "odd.png")
    assert artgan("refine", tmp_path / "odd.png", "--style", style, *QUICK, "--out", tmp_path / "out", "--quiet") == 0
    assert np.asarray(Image.open(tmp_path / "out" / "odd.png")).shape == (size[1], size[0], 3)


def test_failures_are_listed_and_the_rest_is_done(picture, style, tmp_path, capsys):
    (tmp_path / "bad.png").write_text("bad")
    words = ("refine", picture, tmp_path / "bad.png", "--style", style, *QUICK, "--out", tmp_path / "out")
    refused(capsys, 3, "1 of the inputs failed, the rest is done: " + str(tmp_path / "bad.png") + ": ", *words)
    assert (tmp_path / "out" / "picture.png").is_file()


def test_a_dry_run_forecasts_and_writes_nothing(picture, style, tmp_path, capsys):
    assert artgan("refine", picture, "--style", style, *QUICK, "--out", tmp_path / "out", "--dry-run") == 0
    assert "1 picture on CPU" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()


def test_a_color_map_is_exported_and_colors_are_a_palette(picture, tmp_path):
    words = ("refine", picture, "--engine", "none", "--color", "match", "--palette", "#1b2a49,#d8c9a3")
    assert artgan(*words, "--cube", tmp_path / "look.cube", "--out", tmp_path / "out", "--quiet") == 0
    assert len((tmp_path / "look.cube").read_text().splitlines()) == 2 + 33**3


def test_wrong_words_are_one_clear_line(picture, style, tmp_path, capsys):
    base = ("refine", picture, "--out", tmp_path / "out")
    refused(capsys, 2, "give --recipe or --recipe-from, not both", *base, "--recipe", "a.yaml", "--recipe-from", picture)
    refused(capsys, 3, "carries no recipe of artgan refine", *base, "--recipe-from", style)
    refused(
        capsys,
        2,
        "a.yaml: no such file; by name there are those of artgan: bold_strokes, ",
        *base,
        "--recipe",
        "a.yaml",
    )
    refused(capsys, 2, "painter: no such file (did you mean 'painterly'?)", *base, "--recipe", "painter")
    refused(capsys, 2, "--shard 3/2: expected i/n", *base, "--style", style, "--shard", "3/2")
    refused(capsys, 2, "--jobs -1: expected", *base, "--style", style, "--jobs", "-1", *QUICK)
    refused(capsys, 2, "--style-weights 1,2: expected 1 numbers", *base, "--style", style, "--style-weights", "1,2")
    refused(capsys, 2, "--nearest needs a collection", *base, "--style", style, "--nearest", "2", *QUICK)
    refused(capsys, 3, "--palette #12: expected", *base, "--engine", "none", "--color", "match", "--palette", "#12")
    refused(capsys, 2, "refine needs --out FOLDER", "refine", picture, "--style", style, *QUICK)
    for inputs in (tmp_path, picture):
        refused(
            capsys, 2, "the originals are never overwritten", "refine", inputs, "--out", tmp_path, "--force", "--engine", "none"
        )
    refused(capsys, 2, "this look has no color map", *base, "--engine", "none", "--cube", tmp_path / "map.cube")
    refused(capsys, 2, "--set style.patience=-1: expected", *base, "--engine", "none", "--set", "style.patience=-1")
    refused(capsys, 2, "--set patience: expected key=value", *base, "--engine", "none", "--set", "patience")
    refused(capsys, 2, "--style-loss grams (did you mean 'gram'?)", *base, "--engine", "none", "--style-loss", "grams")
    refused(capsys, 2, "--mask needs --style-loss", *base, "--style", style, "--mask", style, "--style-loss", "sliced", *QUICK)
    network = ("--engine", "feedforward", "--network", tmp_path / "none")
    refused(capsys, 4, "no fitted network", *base, *network)


def test_a_shipped_recipe_runs(picture, style, tmp_path):
    recipe = ROOT / "configs" / "refine" / "own_colors.yaml"
    assert artgan("refine", picture, "--style", style, "--recipe", recipe, *QUICK, "--out", tmp_path / "out", "--quiet") == 0


def test_a_network_is_fitted_to_a_models_own_samples(trained_model, style, tmp_path, capsys):
    look = ("--style", style, *QUICK, "--size", "32", "--fit", tmp_path / "net", "--fit-minutes", "0.01")
    assert artgan("refine", trained_model.folder, *look) == 0
    assert "held-out pictures" in capsys.readouterr().out
    made = {path: path.stat().st_mtime_ns for path in (tmp_path / "net").glob("samples-*/seed-*.png")}
    assert len(made) == 256
    assert artgan("refine", trained_model.folder, *look) == 0
    assert made == {path: path.stat().st_mtime_ns for path in made}


def test_a_fitted_network_is_measured_by_what_it_was_fitted_with(picture, style, trained_model, tmp_path, monkeypatch, capsys):
    """Nobody has to name the feature network again, nor to have the default one."""
    net = tmp_path / "net"
    look = ("--style", style, *QUICK, "--size", "32", "--fit", net, "--fit-minutes", "0.01")
    assert artgan("refine", trained_model.folder, *look, "--quiet") == 0
    about = json.loads((net / "network.json").read_text())
    about["verdict"] |= {"style": about["verdict"]["style_optimized"], "content": 0.0}  # so short a fit is not good enough
    (net / "network.json").write_text(json.dumps(about))
    seal(net)
    monkeypatch.setenv("ARTGAN_WEIGHTS", str(tmp_path / "none"))
    use = ("refine", picture, "--style", style, "--engine", "feedforward", "--network", net, "--size", "32")
    assert artgan(*use, "--out", tmp_path / "out", "--quiet") == 0
    carried = read_metadata(tmp_path / "out" / "picture.png")["refine"]["recipe"]["style"]
    assert (carried["backbone"], carried["style_layers"]) == ("random", ["stage1", "stage2"])
    assert carried["content_weight"] == about["recipe"]["style"]["content_weight"] != load_recipe(None, {}).style.content_weight
    assert artgan(*use, "--style-layers", "stage1", *QUICK[:2], "--content-layers", "stage2", "--out", tmp_path / "own") == 0
    carried = read_metadata(tmp_path / "own" / "picture.png")["refine"]["recipe"]["style"]
    assert carried["style_layers"] == ["stage1"]
    about.pop("recipe")
    (net / "network.json").write_text(json.dumps(about))
    seal(net)
    refused(capsys, 4, "does not say what it was fitted with", *use, "--out", tmp_path / "again")


def test_the_quick_look_takes_the_network_that_ships_where_squeezenet_is_absent_and_says_so(
    picture, style, tmp_path, no_weights, capsys
):
    quick = ("refine", picture, "--style", style, "--recipe", "quick_cpu", "--iterations", "1", "--size", "32")
    assert artgan(*quick, "--out", tmp_path / "quick") == 0
    said = capsys.readouterr().out.replace("\n", " ")
    assert "style looks through drawn, which comes with artgan: squeezenet1_1" in said
    assert "artgan weights fetch squeezenet1_1" in said
    carried = read_metadata(tmp_path / "quick" / "picture.png")["refine"]["recipe"]["style"]
    assert (carried["backbone"], carried["style_layers"][0]) == ("drawn", "relu1_1")
    refused(capsys, 4, "no weights for squeezenet1_1", *quick, "--backbone", "squeezenet1_1", "--out", tmp_path / "named")


def test_the_quick_look_takes_squeezenet_where_it_is(tmp_path, monkeypatch):
    (tmp_path / "squeezenet1_1.safetensors").write_bytes(b"not read yet")
    monkeypatch.setenv("ARTGAN_WEIGHTS", str(tmp_path))
    assert load_recipe(shipped_looks()["quick_cpu"]).style.backbone == "squeezenet1_1"
