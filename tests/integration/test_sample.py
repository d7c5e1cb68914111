"""The verb sample: every way of making pictures, and every wrong turn."""

import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from artgan.generation.bands import effects
from artgan.generation.paths import band_layers
from artgan.generation.point import Point
from artgan.generation.sample import Look, points_of_seeds, render
from artgan.metadata import read_metadata
from artgan.refine.encode import to_eight_bits
from artgan.refine.enlarging.apply import classical, load_enlarge
from artgan.refine.enlarging.folder import save_enlarger
from artgan.refine.enlarging.network import EnlargingNetwork
from artgan.refine.fit_state import seed_weights
from tests.integration.test_cli import artgan, refused

CPU = torch.device("cpu")


@pytest.mark.parametrize("image_format", ["png", "jpeg", "webp", "tiff"])
def test_a_picture_made_again_has_the_same_bytes(trained_model, image_format, tmp_path):
    words = ("--class", "waves=2,landscapes=1", "--move", "sefa-1=2", "--truncation", "0.7", "--centers", "4")
    first = tmp_path / "first"
    assert artgan("sample", trained_model.folder, "--out", first, "--seeds", "0-9", *words, "--format", image_format) == 0
    (made,) = first.glob("seed-0005.*")
    assert artgan("sample", trained_model.folder, "--out", tmp_path / "again", "--again", made) == 0
    assert (tmp_path / "again" / made.name).read_bytes() == made.read_bytes()


def test_a_mixing_sheet_has_a_row_for_each_seed(trained_model, tmp_path):
    words = ("--seeds", "1-2", "--mix", "5-7", "--mix-layers", "coarse", "--captions")
    assert artgan("sample", trained_model.folder, "--out", tmp_path, *words, "--quiet", "--force") == 0
    names = sorted(path.name for path in tmp_path.glob("seed-0001*"))
    assert names == ["seed-0001-coarse-0005.png", "seed-0001-coarse-0006.png", "seed-0001-coarse-0007.png", "seed-0001.png"]
    with Image.open(tmp_path / "grid.png") as sheet:
        assert sheet.size == (4 * 32, 3 * (32 + 17))  # the columns' own pictures stand above
    point = read_metadata(tmp_path / "seed-0001-coarse-0006.png")["point"]
    assert (point["seed"], point["mixed"]["seed"], point["layers"]) == (1, 6, [0, 1])


@pytest.mark.parametrize("measure", ["look", "realism", "variety", "color", "novelty", "diversity"])
def test_the_best_of_many_are_kept(trained_model, collection_folder, measure, tmp_path, capsys):
    words = ("--seeds", "0-19", "--select", "4", "--by", measure, "--collection", collection_folder, "--features", "random")
    assert artgan("sample", trained_model.folder, "--out", tmp_path, *words, "--force") == 0
    said = capsys.readouterr().out
    chosen = {int(path.stem[5:]) for path in tmp_path.glob("seed-*.png")}
    assert len(chosen) == 4
    assert all(f"seed {seed}: {measure}" in said for seed in chosen)
    assert "pictures/s" in said


def test_classes_in_turn_and_by_name(trained_model, tmp_path):
    assert artgan("sample", trained_model.folder, "--out", tmp_path, "--seeds", "0-5", "--force", "--quiet") == 0
    classes = [read_metadata(tmp_path / f"seed-000{seed}.png")["class"] for seed in range(6)]
    assert classes == [*trained_model.card.classes, trained_model.card.classes[0]]
    pictures = [np.asarray(Image.open(tmp_path / f"seed-000{seed}.png")) for seed in (0, 5)]
    assert not np.array_equal(*pictures)


def test_wrong_turns(trained_model, collection_folder, tmp_path, capsys):
    out, model = ("--out", tmp_path / "out"), trained_model.folder
    refused(capsys, 2, "expected one of png, jpeg, webp, tiff", "sample", model, *out, "--format", "gif")
    refused(capsys, 2, "--select compares with the training pictures", "sample", model, *out, "--select", "3")
    refused(capsys, 2, "give one of them", "sample", model, *out, "--mix", "1", "--again", "x.png")
    refused(capsys, 2, "expected NAME=NUMBER", "sample", model, *out, "--move", "sefa-1")
    refused(capsys, 3, "no direction 'sefa-99'", "sample", model, *out, "--move", "sefa-99=1", "--force")
    refused(capsys, 2, "the model's classes are", "sample", model, *out, "--class", "wawes", "--force")
    with_collection = ("--collection", collection_folder, "--features", "random")
    refused(capsys, 2, "from 1 to 4", "sample", model, *out, "--seeds", "0-3", "--select", "9", *with_collection, "--force")
    Image.new("RGB", (8, 8)).save(tmp_path / "foreign.png")
    refused(capsys, 3, "carries no point", "sample", model, *out, "--again", tmp_path / "foreign.png", "--force")
    shutil.copy(tmp_path / "foreign.png", tmp_path / "foreign.bmp")
    refused(capsys, 2, "give pictures of one format", "sample", model, *out, "--again", tmp_path / "foreign.bmp", "--force")


def test_pictures_of_a_size_are_the_models_own_enlarged_and_made_again(trained_model, tmp_path, capsys):
    words = ("sample", trained_model.folder, "--seeds", "3")
    assert artgan(*words, "--out", tmp_path / "own") == 0
    assert artgan(*words, "--out", tmp_path / "large", "--size", "108") == 0
    assert "108 px along the longer side, from 32x32 px by a Lanczos filter" in capsys.readouterr().out
    own, large = (Image.open(tmp_path / name / "seed-0003.png") for name in ("own", "large"))
    assert np.array_equal(np.asarray(own.resize((108, 108), Image.Resampling.LANCZOS)), np.asarray(large))
    metadata = read_metadata(tmp_path / "large" / "seed-0003.png")
    assert (metadata["size_px"], metadata["size_way"]) == (108, "lanczos")
    assert artgan("sample", trained_model.folder, "--out", tmp_path / "again", "--again", tmp_path / "large/seed-0003.png") == 0
    assert (tmp_path / "again/seed-0003.png").read_bytes() == (tmp_path / "large/seed-0003.png").read_bytes()
    refused(capsys, 2, "--size", *words, "--out", tmp_path / "none", "--size", "8")


@pytest.fixture
def enlarger(tmp_path):
    """An enlarger twice the size whose weights are drawn, not fitted: it enlarges, and not as a filter does."""
    network = EnlargingNetwork(2, 4, 1)
    seed_weights(network, 0, "tests", keep="nothing")
    score = {"psnr_db": 20.0, "patch_fd": 1.0}
    works = {"name": "none", "origin": "none", "fitted": 0, "held_out": 0}
    about = {"factor": 2, "texture": 1.0, "steps": 0, "version": "0", "judge": "none", "works": works, "fit": {"crop_px": 32}}
    (tmp_path / "net").mkdir()
    state = network.state_dict()
    fidelity = {name: value.clone() for name, value in state.items()}
    save_enlarger(tmp_path / "net", fidelity, state, about | {"scores": {"1": score, "lanczos": score}})
    return tmp_path / "net"


def test_an_enlarger_that_is_named_makes_the_size_and_is_made_again(trained_model, enlarger, tmp_path, capsys):
    """32 px to 100: twice, as the way says, and the rest by the filter; what was made says by what."""
    words = ("sample", trained_model.folder, "--seeds", "3")
    assert artgan(*words, "--out", tmp_path / "own") == 0
    own = np.asarray(Image.open(tmp_path / "own" / "seed-0003.png"))
    for way, enlarge in (("edge", classical("edge", 2, CPU)), (enlarger, load_enlarge(enlarger, CPU))):
        folder = tmp_path / f"large-{getattr(way, 'name', way)}"
        assert artgan(*words, "--size", "100", "--enlarger", way, "--out", folder) == 0
        assert "times in a row" in capsys.readouterr().out
        wanted = to_eight_bits(enlarge(enlarge(own)), dither=False)
        wanted = np.asarray(Image.fromarray(wanted).resize((100, 100), Image.Resampling.LANCZOS))
        made = folder / "seed-0003.png"
        assert np.array_equal(np.asarray(Image.open(made)), wanted)
        assert read_metadata(made)["size_way"].split(":")[0] == ("edge" if way == "edge" else "enlarger")
        again = ("sample", trained_model.folder, "--out", folder / "again", "--again", made)
        assert artgan(*again, *(() if way == "edge" else ("--enlarger", way))) == 0
        assert (folder / "again" / "seed-0003.png").read_bytes() == made.read_bytes()
    refused(capsys, 2, "brought to its size by enlarger:", *again, "--force")
    refused(capsys, 2, "--enlarger goes with --size", *words, "--out", tmp_path / "none", "--enlarger", "edge")
    refused(capsys, 4, "no enlarger", *words, "--out", tmp_path / "none", "--size", "100", "--enlarger", tmp_path / "own")


def test_a_band_that_does_nothing_is_said_with_what_works(trained_model, tmp_path, capsys):
    said = {}
    for effect in effects(trained_model.space, [Point(1)], [Point(5)]):
        words = ("--seeds", "1", "--mix", "5", "--mix-layers", effect.band, "--out", tmp_path / effect.band)
        assert artgan("sample", trained_model.folder, *words) == 0
        said[effect.band] = capsys.readouterr().out
        assert ("note: " in said[effect.band]) is not effect.is_seen
    with_itself = ("--seeds", "5", "--mix", "5", "--out", tmp_path / "itself")
    assert artgan("sample", trained_model.folder, *with_itself) == 0
    said = capsys.readouterr().out
    assert "coarse styles change these pictures by 0.0 of 255, which nobody sees" in said
    assert f"artgan video {trained_model.folder} --seeds 5,5 --once" in said
    rows = np.asarray(Image.open(tmp_path / "fine" / "grid.png"))
    assert (rows[:32, :32] == 255).all()
    head = next(render(trained_model.space, points_of_seeds(trained_model, [5], Look())))
    assert np.array_equal(rows[:32, 32:], head)


def test_effects_are_differences_of_pictures(trained_model):
    row, column = Point(1), Point(5)
    for effect in effects(trained_model.space, [row], [column]):
        layers = band_layers(effect.band, trained_model.generator.num_styles)
        points = [row, column, replace(row, mixed=column, layers=layers)]
        kept, given, mixed = (picture.astype(float) for picture in render(trained_model.space, points))
        assert effect.changes == pytest.approx(np.abs(mixed - kept).mean(), abs=1e-3)
        assert effect.leaves == pytest.approx(np.abs(mixed - given).mean(), abs=1e-3)


def test_a_film_that_needs_a_missing_library_is_refused_before_the_work(trained_model, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "av", None)
    words = ("video", trained_model.folder, "--seeds", "0,1", "--steps", "2", "--out")
    refused(capsys, 2, "mp4 needs PyAV: pip install 'artgan.video.'; webp and gif work without it", *words, tmp_path / "a.mp4")
    assert not list(tmp_path.iterdir())
    assert artgan(*words, tmp_path / "a.gif") == 0


def test_options_that_change_nothing_are_said(trained_model, tmp_path, capsys):
    made = tmp_path / "made" / "seed-0003.png"
    assert artgan("sample", trained_model.folder, "--out", made.parent, "--seeds", "3", "--truncation", "0.7") == 0
    assert "note:" not in capsys.readouterr().out
    words = ["--again", made, "--truncation", "0.5", "--format", "jpeg", "--by", "color"]
    assert artgan("sample", trained_model.folder, "--out", tmp_path / "again", *words) == 0
    said = capsys.readouterr().out
    assert "note: --again makes pictures as they were: --truncation, --format changes nothing" in said
    assert "note: there is no --select: --by changes nothing" in said
    assert (tmp_path / "again" / made.name).read_bytes() == made.read_bytes()
