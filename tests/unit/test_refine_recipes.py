"""Recipes: what ships loads, what is wrong is refused with its place."""

import json

import pytest
import typer
import yaml

import artgan.cli.refine  # noqa: F401 - adds its verb
from artgan.cli.app import app
from artgan.errors import ConfigError
from artgan.refine.recipe import Recipe, Section, _flag, load_recipe, make_recipe, recipe_from_dict
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
    assert f"{path}:4: style.loss = 'grm': expected one of moments, gram, wasserstein, sliced" in message
    assert f"{path}:5: unknown key 'colors' (did you mean 'color'?)" in message
    assert f"{path}:7: color.strength = 2: expected a number from 0 to 1" in message


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"style__engine": "magic"}, "--engine magic: expected one of optimize, feedforward, none"),
        ({"color__mode": "macth"}, r"--color macth \(did you mean 'match'\?\)"),
        ({"style__strength": float("nan")}, "--strength nan: expected a number from 0 to 1"),
        ({"color__strength": -1.0}, "--color-strength -1.0: expected a number from 0 to 1"),
        ({"style__content_weight": float("inf")}, "--content-weight inf: expected a number of 0 or more"),
        ({"style__iterations": 0}, "--iterations 0: expected a number from 1"),
        ({"output__size_px": 8}, "--size 8: expected a number from 32"),
        ({"style__backbone": "inception_fid_2015"}, "has no style layers"),
        ({"style__backbone": "vgg20"}, "unknown backbone 'vgg20'"),
        ({"style__tile_px": 64}, "tile_px 64: expected 0 or 128 and more"),
        ({"style__tile_px": 256, "style__loss": "sliced"}, "tile_px needs the loss gram, moments or wasserstein"),
        ({"version": 2}, "version"),
        ({"seed": -1}, "--seed -1: expected"),
    ],
)
def test_wrong_looks_are_refused(values, message):
    with pytest.raises(ConfigError, match=message):
        make_recipe(**values)


def test_errors_name_flags_that_there_are():
    """A value is given by a flag of the command or by --set; an error calls it what was typed."""
    offered = {name for option in typer.main.get_command(app).commands["refine"].params for name in option.opts}
    sections = {name: type(value) for name, value in Recipe() if isinstance(value, Section)}
    keys = [f"{name}.{leaf}" for name, section in sections.items() for leaf in section.model_fields]
    assert len(keys) > 30
    assert [key for key in keys if _flag(key) not in {*offered, f"--set {key}"}] == []
