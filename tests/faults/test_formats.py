"""Fault 13: kept files of every format open, and what a newer artgan wrote is refused with both formats named.

Collections, models, checkpoints, looks and pictures of commit 4e9eb49 are opened by tests/integration/test_kept_samples.py.
"""

import json
import re
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

import artgan
from artgan.cli import main
from artgan.datasets.collection import open_collection
from artgan.errors import ArtganError
from artgan.generation.favourites import read_favourites
from artgan.generation.model_folder import load_model
from artgan.refine.enlarging.folder import read_enlarger
from artgan.refine.feedforward import ABOUT_FILE, FORMAT_VERSION, StyleNetwork, read_network
from artgan.refine.fit_state import STATE_FILE, HeldFit
from artgan.refine.recipe import load_recipe
from artgan.storage import MANIFEST, seal
from artgan.training.checkpoint import load_checkpoint
from artgan.training.status import read_status
from tests.conftest import ROOT

GOLDEN = ROOT / "tests" / "golden"
KEPT = GOLDEN / "formats"
CHECKPOINT = GOLDEN / "runs" / "stylegan2-ada" / "checkpoints" / "images-000000000008"


def test_kept_files_of_this_version_open():
    enlarger = read_enlarger(KEPT / "enlarger")
    assert (enlarger.factor, enlarger.best_texture) == (2, 0.5)
    assert float(enlarger.network().first.bias[0]) == pytest.approx(-0.1 * 2 * 0.75)
    held = HeldFit(KEPT / "fit")
    assert (held.word("identity"), held.number("step")) == ("drawn", 7)
    held.restore({"network": torch.nn.Linear(2, 1)}, {})
    (liked,) = read_favourites(KEPT / "favourites.json")
    assert (liked.point.seed, liked.point.truncation, liked.model) == (5, 0.7, "drawn-0k")
    assert {"state": "finished", "images_seen": 48}.items() <= read_status(KEPT / "run").items()


def test_a_file_of_before_a_kind_had_formats_is_of_the_first(tmp_path):
    shutil.copytree(KEPT / "enlarger", tmp_path / "enlarger")
    about = json.loads((tmp_path / "enlarger" / "enlarger.json").read_text())
    del about["format"]
    (tmp_path / "enlarger" / "enlarger.json").write_text(json.dumps(about))
    seal(tmp_path / "enlarger")
    assert read_enlarger(tmp_path / "enlarger").factor == 2


@pytest.fixture
def network(tmp_path):
    """A fitted style network's folder."""
    folder = tmp_path / "network"
    folder.mkdir()
    save_file(StyleNetwork(1).state_dict(), folder / "network.safetensors")
    (folder / ABOUT_FILE).write_text(json.dumps({"format": FORMAT_VERSION}))
    seal(folder)
    return folder


def newer(path):
    """Say in a JSON file that it is of the next format but one."""
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"format": 3, "artgan": "9.9"}))
    if (path.parent / MANIFEST).exists():
        seal(path.parent)


@pytest.mark.parametrize(
    ("source", "file", "read"),
    [
        (GOLDEN / "collection", "collection.json", open_collection),
        (GOLDEN / "models" / "r3gan", "config.json", load_model),
        (CHECKPOINT, "state.json", load_checkpoint),
        (KEPT / "enlarger", "enlarger.json", read_enlarger),
        (KEPT / "run", "status.json", read_status),
        (KEPT, "favourites.json", lambda folder: read_favourites(folder / "favourites.json")),
    ],
    ids=["collection", "model", "checkpoint", "enlarger", "status", "favourites"],
)
def test_what_a_newer_artgan_wrote_is_refused(source, file, read, tmp_path):
    place = tmp_path / "copy"
    shutil.copytree(source, place)
    read(place)
    newer(place / file)
    with pytest.raises(ArtganError, match=rf"has format 3, written by artgan 9\.9, this artgan reads 1.*{artgan.__version__}"):
        read(place)


def test_newer_fits_networks_and_looks_are_refused_as_well(network, tmp_path):
    assert isinstance(read_network(network)[0], StyleNetwork)
    newer(network / ABOUT_FILE)
    with pytest.raises(ArtganError, match="has format 3, written by artgan 9"):
        read_network(network)
    save_file(load_file(KEPT / "fit" / STATE_FILE) | {"format": torch.tensor(3)}, tmp_path / STATE_FILE)
    with pytest.raises(ArtganError, match="has format 3, this artgan reads 1"):
        HeldFit(tmp_path)
    (tmp_path / "look.yaml").write_text("version: 2\n")
    with pytest.raises(ArtganError, match=r"version.*expected 1, got 2|version.*2.*1"):
        load_recipe(tmp_path / "look.yaml")


def test_a_newer_status_is_one_line(tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(GOLDEN / "runs" / "stylegan2-ada", run)
    newer(run / "status.json")
    with pytest.raises(SystemExit) as end:
        main(["info", str(run)])
    assert end.value.code == 3
    assert re.search(r"status.json has format 3, written by artgan 9\.9, this artgan reads 1", capsys.readouterr().err)
