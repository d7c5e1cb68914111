"""What `artgan train` takes without a config: one of the shipped ones, to the number, and it says which."""

import dataclasses

import numpy as np
import pytest
import torch

from artgan.config import RunConfig, load_config, with_values
from artgan.errors import ConfigError, WeightsError
from artgan.progress import silent
from artgan.schema.strict_yaml import shipped_documents
from artgan.training import choose
from tests.integration.test_resume import squeezenet_weights


@pytest.fixture
def works(collection, monkeypatch, tmp_path):
    """Make a collection look like one of another size and number, on another device, with the default backbone available."""
    squeezenet_weights(tmp_path / "weights", 0)
    monkeypatch.setenv("ARTGAN_WEIGHTS", str(tmp_path / "weights"))

    def make(device, count, width, height):
        monkeypatch.setattr(choose, "choose_device", lambda name: torch.device(device))
        monkeypatch.setattr(choose, "describe_device", str)
        images = np.broadcast_to(np.zeros(1, np.uint8), (count, height, width, 3))
        return dataclasses.replace(collection, train_rows=np.arange(count), images=images, classes=())

    return make


def chosen(collection, *overrides):
    said: list[str] = []
    return choose.choose_config(collection, overrides, said.append), " ".join(said)


def settled(config=None, *, named=False, ask=None):
    """Return the backbone that a new run gets, what was said and what was fetched."""
    said: list[str] = []
    config = choose.choose_backbone(config or RunConfig(), named, said.append, ask, silent)
    return config.model.backbone, " ".join(said)


@pytest.fixture
def fetched(monkeypatch, tmp_path, no_weights):
    """A machine that could fetch, and the names that it was told to."""
    names: list[str] = []

    def fetch(name, on_progress):
        names.append(name)
        (tmp_path / f"{name}.safetensors").write_bytes(b"")
        monkeypatch.setenv("ARTGAN_WEIGHTS", str(tmp_path))

    monkeypatch.setattr(choose.fetching, "fetch", fetch)
    monkeypatch.setenv("ARTGAN_OFFLINE", "0")
    monkeypatch.setenv("ARTGAN_CACHE", str(tmp_path / "cache"))
    return names


def test_without_squeezenet_a_run_looks_through_what_ships_and_nothing_is_fetched(fetched):
    backbone, said = settled()
    assert (backbone, fetched) == ("drawn", [])
    assert "looks through drawn, which comes with artgan" in said
    assert "squeezenet1_1 (5 MB;" in said
    assert "artgan weights fetch squeezenet1_1" in said


def test_squeezenet_is_fetched_when_a_person_says_yes(fetched):
    questions: list[str] = []
    assert settled(ask=lambda question: bool(questions.append(question)))[0] == "drawn"
    assert fetched == []
    assert questions[0].endswith("Fetch it now?")
    assert settled(ask=lambda question: True)[0] == "squeezenet1_1"
    assert fetched == ["squeezenet1_1"]


def test_nobody_is_asked_offline_or_where_it_is_there_already(fetched, monkeypatch, tmp_path):
    def ask(question):
        raise AssertionError(question)

    monkeypatch.setenv("ARTGAN_OFFLINE", "1")
    assert settled(ask=ask)[0] == "drawn"
    monkeypatch.setenv("ARTGAN_OFFLINE", "0")
    squeezenet_weights(tmp_path / "own", 0)
    monkeypatch.setenv("ARTGAN_WEIGHTS", str(tmp_path / "own"))
    assert settled(ask=ask)[0] == "squeezenet1_1"


def test_squeezenet_is_fetched_when_it_is_named_for_the_run_and_never_replaced(fetched):
    config = with_values(RunConfig(), {"model.backbone": "squeezenet1_1"})
    assert settled(config)[0] == "squeezenet1_1"
    assert fetched == []
    assert settled(config, named=True)[0] == "squeezenet1_1"
    assert fetched == ["squeezenet1_1"]


def test_a_fetch_that_fails_ends_on_what_ships(fetched, monkeypatch):
    def fails(name, on_progress):
        raise WeightsError("cannot fetch squeezenet1_1: no route")

    monkeypatch.setattr(choose.fetching, "fetch", fails)
    backbone, said = settled(ask=lambda question: True)
    assert backbone == "drawn"
    assert "cannot fetch squeezenet1_1: no route" in said


def test_other_discriminators_have_none(fetched):
    config = with_values(RunConfig(), {"model.discriminator": "fastgan"})
    assert settled(config) == (None, "")


@pytest.mark.parametrize(
    ("device", "count", "width", "height", "name", "same_numbers"),
    [
        ("cpu", 2280, 64, 64, "kaokore_cpu_64", "kaokore_cpu_64"),
        ("cpu", 20_000, 128, 128, "kaokore_cpu_64", "kaokore_cpu_64"),
        ("cuda", 500, 128, 128, "small_256", "small_256"),
        ("cuda", 9_999, 256, 256, "small_256", "small_256"),
        ("cuda", 500, 320, 256, "small_512", "rectangle_320x256"),
        ("cuda", 500, 512, 512, "small_512", "small_512"),
        ("cuda", 20_000, 1024, 1024, "small_1024", "small_1024"),
        ("cuda", 10_000, 256, 256, "large_256", "large_256"),
    ],
)
def test_the_choice_is_a_shipped_config(works, device, count, width, height, name, same_numbers):
    config, said = chosen(works(device, count, width, height))
    shipped = load_config(shipped_documents()[same_numbers])
    settled = {"training.device": "auto", "evaluation.features": config.evaluation.features}
    assert config == with_values(shipped, settled)
    assert f"configs/{name}.yaml: {shipped.model.generator} generator of width {shipped.model.width}" in said
    assert "is for a GPU" not in said


def test_a_size_that_is_for_a_gpu_is_told_on_a_cpu(works):
    config, said = chosen(works("cpu", 2280, 256, 256))
    assert "256x256 px is for a GPU" in said
    assert "--resolution 64" in said
    assert config.model.width == 16


def test_what_is_given_wins_over_the_choice(works):
    config, said = chosen(works("cuda", 20_000, 256, 256), "model.discriminator=fastgan", "training.total_kimg=7")
    assert (config.model.generator, config.model.discriminator, config.training.total_kimg) == ("fastgan", "fastgan", 7)
    assert "configs/small_256.yaml" in said
    assert chosen(works("cpu", 2280, 64, 64), "model.discriminator=fastgan")[0].model.discriminator_width == 16
    assert chosen(works("cpu", 2280, 64, 64), "model.backbone=vgg19")[0].model.discriminator == "projected"
    with pytest.raises(ConfigError, match=r"needs the stylegan2 generator"):
        chosen(works("cpu", 2280, 64, 64), "objective.path_length_weight=2")


def test_what_is_given_is_held_against_the_choice_and_not_against_bare_defaults(works):
    """Sixteen images are the default's batch, and five thousand its distance of sheets."""
    given = ("training.micro_batch=32", "training.log_every_kimg=10")
    config, _ = chosen(works("cuda", 2280, 256, 256), *given)
    assert (config.training.batch_size, config.training.micro_batch) == (64, 32)
    with pytest.raises(ConfigError, match=r"training\.micro_batch = 32 is larger than training\.batch_size = 16"):
        chosen(works("cpu", 2280, 64, 64), "training.micro_batch=32")


def test_a_recipe_is_not_held_against_the_defaults_in_part(works):
    given = ("objective.name=relativistic", "augment.name=ada", "augment.probability=0.3", "model.discriminator=fastgan")
    assert chosen(works("cpu", 2280, 64, 64), *given)[0].augment.probability == 0.3


def test_a_small_collection_fits_into_a_batch(works):
    config, _ = chosen(works("cuda", 37, 256, 256))
    assert config.training.batch_size == 37
