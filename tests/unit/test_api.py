"""The public functions take what people have and say in one line what is wrong."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import artgan
import artgan.refine.recipe  # which puts the room in the place of the function
from artgan.config import RunConfig
from artgan.errors import CheckpointError, ConfigError, DataError

PLAIN = {"style.engine": "none", "color.mode": "match"}


def test_the_old_import_paths_keep_working():
    from artgan.config import load_config
    from artgan.datasets.collection import open_collection
    from artgan.datasets.prepare import prepare
    from artgan.generation.model_folder import load_model
    from artgan.generation.sample import generate
    from artgan.training.loop import train

    assert artgan.load_config is load_config
    assert all(callable(name) for name in (open_collection, prepare, load_model, generate, train, artgan.refine))


def test_importing_is_free():
    program = "import sys, artgan; assert not {'torch', 'numpy', 'PIL'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_pictures_come_in_any_kind_and_stay_themselves_without_a_step(tmp_path):
    pixels = np.arange(40 * 48 * 3, dtype=np.uint8).reshape(40, 48, 3)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    kinds = [pixels, Image.fromarray(pixels), tmp_path / "a.png", str(tmp_path / "a.png")]
    results = artgan.refine(kinds, settings={"style.engine": "none"})
    assert all(np.array_equal(np.asarray(result), pixels) for result in results)
    assert np.array_equal(np.asarray(artgan.refine(pixels, settings={"style.engine": "none"})[0]), pixels)


@pytest.mark.parametrize("how", ["colors", "picture", "style"])
def test_a_palette_comes_as_colors_as_a_picture_or_from_the_style(how):
    generator = np.random.default_rng(0)
    picture = generator.integers(0, 255, (48, 48, 3), dtype=np.uint8)
    red = np.zeros((32, 32, 3), np.uint8) + np.array([200, 30, 30], np.uint8)
    red[::2] = [150, 60, 20]
    given = {"colors": {"palette": "#c81e1e,#963c14"}, "picture": {"palette": red}, "style": {"style": red}}[how]
    (result,) = artgan.refine(picture, settings=PLAIN, **given)
    mean = np.asarray(result).reshape(-1, 3).mean(0)
    assert mean == pytest.approx(red.reshape(-1, 3).mean(0), abs=12)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: artgan.refine(np.zeros((40, 40), np.uint8)), DataError, r"uint8 \[H, W, 3\], got uint8 \[40, 40\]"),
        (lambda: artgan.refine("nowhere.png"), DataError, "nowhere.png"),
        (lambda: artgan.refine([], look="quick_gpu"), ConfigError, "quick_gpu"),
        (lambda: artgan.refine(np.zeros((40, 40, 3), np.uint8), settings={"style.strenght": 1}), ConfigError, "strenght"),
        (lambda: artgan.refine(np.zeros((40, 40, 3), np.uint8)), ConfigError, "style"),
        (lambda: artgan.prepare("nowhere", "out", resolution=4), ConfigError, "expected a side from 8"),
        (lambda: artgan.prepare("nowhere", "out", fit="corp"), ConfigError, "did you mean 'crop'"),
        (lambda: artgan.prepare("nowhere", "out"), DataError, "nowhere"),
        (lambda: artgan.open_collection("nowhere"), DataError, "nowhere does not exist"),
        (lambda: artgan.load_model("nowhere"), CheckpointError, "nowhere: no such folder"),
    ],
)
def test_what_is_wrong_is_said(call, error, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=words):
        call()


def test_a_model_refuses_what_it_cannot_make(trained_model):
    with pytest.raises(ConfigError, match="seed -1: expected a number from 0"):
        artgan.generate(trained_model, [3, -1])
    with pytest.raises(ConfigError, match="clouds"):
        artgan.generate(trained_model, 3, class_name="clouds")
    by_class = artgan.generate(trained_model.folder, 3, class_name=trained_model.card.classes[1])[0]
    assert by_class.tobytes() != artgan.generate(trained_model, 3, class_name=trained_model.card.classes[0])[0].tobytes()


def test_evaluating_checks_before_it_measures(trained_model, collection, tmp_path):
    with pytest.raises(ConfigError, match="did you mean 'distances'"):
        artgan.evaluate(trained_model, collection, metrics=["distance"])
    with pytest.raises(DataError, match="no such run, model or folder"):
        artgan.evaluate(tmp_path / "nowhere", collection)


def test_settings_go_with_a_configuration_by_name(collection_folder, tmp_path):
    with pytest.raises(ConfigError, match="put them into it"):
        artgan.train(collection_folder, tmp_path / "run", RunConfig(), settings={"seed": 1})
    with pytest.raises(ConfigError, match="batch_size"):
        artgan.train(collection_folder, tmp_path / "run", "no_weights_64", settings={"training.batch_size": "many"})
    assert not (tmp_path / "run").exists()
