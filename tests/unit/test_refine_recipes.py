"""Recipes: what ships loads, what is wrong is refused with its place."""

import json

import pytest
import yaml

from artgan.cli import main
from artgan.errors import ConfigError
from artgan.refine.recipe import Recipe, load_recipe, make_recipe, overrides_of, recipe_from_dict
from tests.conftest import ROOT

RECIPES = sorted((ROOT / "configs" / "refine").glob("*.yaml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_that_ships_loads_and_says_what_it_is(path):
    recipe = load_recipe(path)
    assert len(recipe.description) > 20
    assert path.read_text().startswith("# artgan refine ")
    assert f"--recipe configs/refine/{path.name}" in path.read_text().splitlines()[0]
    assert recipe != Recipe()


def test_a_dozen_recipes_ship_and_differ():
    assert len(RECIPES) >= 12
    assert len({json.dumps(load_recipe(path).as_dict() | {"description": ""}) for path in RECIPES}) == len(RECIPES)


def test_a_recipe_survives_yaml_and_json(tmp_path):
    recipe = make_recipe(style__strength=0.3, color__mode="match", output__size_px=512, seed=7)
    (tmp_path / "look.yaml").write_text(yaml.safe_dump(recipe.as_dict()))
    assert load_recipe(tmp_path / "look.yaml") == recipe
    assert recipe_from_dict(recipe.as_dict(), "picture.png") == recipe
    assert recipe.as_dict()["version"] == 1


def test_flags_override_the_file(tmp_path):
    (tmp_path / "look.yaml").write_text("style:\n  strength: 0.3\n  loss: moments\n")
    recipe = load_recipe(tmp_path / "look.yaml", {"style.strength": 0.9, "seed": 4})
    assert (recipe.style.strength, recipe.style.loss, recipe.seed) == (0.9, "moments", 4)


def test_backbones_bring_their_layers_and_content_weight():
    squeeze, vgg = make_recipe(style__backbone="squeezenet1_1"), make_recipe()
    assert squeeze.style.style_layers == ("relu1", "fire2", "fire3", "fire4", "fire5")
    assert squeeze.style.content_weight > vgg.style.content_weight == 0.01
    assert make_recipe(style__content_weight=0.5).style.content_weight == 0.5


def test_all_mistakes_of_a_file_in_one_message_with_their_lines(tmp_path):
    path = tmp_path / "look.yaml"
    path.write_text("version: 1\nstyle:\n  strenght: 1\n  loss: grm\ncolors: 3\ncolor:\n  strength: 2\n")
    with pytest.raises(ConfigError) as caught:
        load_recipe(path)
    message = str(caught.value)
    assert f"{path}:3: unknown key 'style.strenght' (did you mean 'strength'?)" in message
    assert f"{path}:4: style.loss = 'grm' (did you mean 'gram'?): expected one of moments, gram, wasserstein, sliced" in message
    assert f"{path}:5: unknown key 'colors' (did you mean 'color'?)" in message
    assert f"{path}:7: color.strength = 2: expected a number from 0 to 1" in message


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"style__engine": "magic"}, "style.engine = 'magic': expected one of optimize, feedforward, none"),
        ({"color__mode": "macth"}, r"color.mode = 'macth' \(did you mean 'match'\?\)"),
        ({"style__strength": float("nan")}, "style.strength = nan: expected a number from 0 to 1"),
        ({"color__strength": -1.0}, "color.strength = -1.0: expected a number from 0 to 1"),
        ({"style__content_weight": float("inf")}, "style.content_weight = inf: expected a number of 0 or more"),
        ({"style__iterations": 0}, "style.iterations = 0: expected a whole number from 1 to"),
        ({"output__size_px": 8}, "output.size_px = 8: expected a whole number from 32"),
        ({"style__backbone": "inception_fid_2015"}, "has no style layers"),
        ({"style__backbone": "vgg20"}, "unknown backbone 'vgg20'"),
        ({"style__tile_px": 64}, "tile_px 64: expected 0 or 128 and more"),
        ({"style__tile_px": 256, "style__loss": "sliced"}, "tile_px needs the loss gram, moments or wasserstein"),
        ({"version": 2}, "version = 2: expected 1"),
        ({"seed": -1}, "seed = -1: expected a whole number from 0 to"),
    ],
)
def test_wrong_looks_are_refused(values, message):
    with pytest.raises(ConfigError, match=message):
        make_recipe(**values)


def test_each_flag_gives_its_key_and_errors_call_it_as_it_was_typed(capsys):
    numbers = (
        "seed strength content-weight style-scale nearest iterations color-strength white-balance unsharp boost grain canvas"
    )
    numbers += " contrast saturation vibrance size texture enlarge"
    choices = "engine style-loss content-loss optimizer pooling start color color-method format profile"
    typed = [f"--{name} -9" for name in numbers.split()] + [f"--{name} zzz" for name in choices.split()]
    typed += ["--set style.patience=wide", "--set detail.unsharp_radius_px=wide"]
    with pytest.raises(SystemExit) as ended:
        main(["refine", "none.png", "--out", "none", *" ".join(typed).split()])
    assert ended.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert sorted(line.removeprefix("artgan: ").partition(": expected")[0] for line in lines) == sorted(typed)


def test_a_wrong_set_of_a_look_is_told_as_typed_with_the_nearest_key():
    with pytest.raises(ConfigError) as caught:
        load_recipe(None, *overrides_of(["style.lss=gram", "color.mode=macth"]))
    assert caught.value.args[0].splitlines() == [
        "--set style.lss=gram: unknown key 'style.lss' (did you mean 'loss'?)",
        "--set color.mode=macth (did you mean 'match'?): expected one of none, keep, match",
    ]
