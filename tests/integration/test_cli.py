"""The command line as a user meets it: the whole way, and what its options do."""

import json
import os
import re

import numpy as np
import pytest
from PIL import Image

from artgan.cli import main
from artgan.datasets.synthetic import draw_work
from artgan.metadata import read_metadata
from artgan.metrics import groups, rows_of
from tests.integration.test_resume import TINY

SET = [f"--set={key}={json.dumps(value)}" for key, value in TINY.items()]


def artgan(*words) -> int:
    """Run the command line in this process and return its exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "environ", os.environ.copy())  # --weights-dir and --offline hold for one command
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
    code = ended.value.code
    return 0 if code is None else int(code)


def refused(capsys, code, pattern, *words):
    """Assert an exit code and one clear error on stderr, without a traceback."""
    assert artgan(*words) == code
    error = capsys.readouterr().err
    assert "Traceback" not in error
    assert re.search(pattern, error.replace("\n", " ")), error
    lines = [line for line in error.splitlines() if line.startswith("artgan: ")]
    assert 1 <= len(lines) <= 3


def test_the_whole_way(sources, style, tmp_path, capsys):
    collection, run = tmp_path / "collection", tmp_path / "run"
    assert artgan("prepare", sources, "--out", collection, "--resolution", "32", "--workers", "2") == 0
    assert "40 pictures at 32x32 px (2 held out), 1 duplicates, 1 rejected" in capsys.readouterr().out
    assert artgan("train", "--collection", collection, "--run", run, *SET) == 0
    assert "finished at 0.0 kimg" in capsys.readouterr().out
    metrics, page = tmp_path / "metrics.json", tmp_path / "page.html"
    judged = ("evaluate", run, "--collection", collection, "--features", "random", "--num-generated", "12")
    assert artgan(*judged, "--json", metrics, "--report", page) == 0
    html = page.read_text(encoding="utf-8")
    assert html.count("<img") == 12 + 12 + 12  # best, worst, pairs
    assert "seed 11" in html
    line = json.loads(metrics.read_text())
    assert set(line["metrics"]) == set(rows_of(groups(), "random")) - {"c_t", "variance_fine"}  # too few pictures for these
    assert line["metrics"]["kid"]["low"] <= line["metrics"]["kid"]["value"] <= line["metrics"]["kid"]["high"]
    assert line["protocol"]["num_generated"] == line["num_generated"] == 12
    assert len(line["protocol_hash"]) == 64
    assert line["floor"]["kid"]["of"] == "hold-out against training split (2 and 38)"
    assert artgan("sample", run, "--out", tmp_path / "samples", "--seeds", "3,5-7", "--truncation", "0.7") == 0
    names = sorted(path.name for path in (tmp_path / "samples").iterdir())
    assert names == ["grid.png", "seed-0003.png", "seed-0005.png", "seed-0006.png", "seed-0007.png"]
    look = ("--style", style, "--backbone", "random", "--iterations", "3", "--color", "match")
    assert artgan("refine", tmp_path / "samples", "--out", tmp_path / "refined", *look) == 0
    assert sorted(path.name for path in (tmp_path / "refined").iterdir()) == sorted(
        ["refine.json", "sheet.png", *(name for name in names if name != "grid.png")]
    )
    metadata = read_metadata(tmp_path / "refined" / "seed-0005.png")
    assert (metadata["seed"], metadata["truncation"]) == (5, 0.7)
    assert metadata["refine"]["styles"][0]["name"] == "style.png"
    capsys.readouterr()
    for path, kind in ((collection, "collection"), (run, "run"), (run / "model" / "best", "model"), (style, "picture")):
        assert artgan("info", path, "--json") == 0
        assert json.loads(capsys.readouterr().out)["kind"] == kind


def test_evaluating_a_folder_of_the_collections_own_pictures_gives_about_zero(collection, tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for row in collection.train_rows:
        Image.fromarray(collection.images[row]).save(folder / f"{row:03d}.png")
    metrics = tmp_path / "metrics.json"
    assert artgan("evaluate", folder, "--collection", collection.folder, "--features", "random", "--json", metrics) == 0
    values = json.loads(metrics.read_text())["metrics"]
    assert abs(values["fd"]["value"]) < 1e-6
    assert values["kid"]["value"] < 0


def test_the_second_evaluation_reads_the_reference_from_the_cache(trained, collection_folder, monkeypatch):
    words = ("evaluate", trained, "--collection", collection_folder, "--features", "random", "--num-generated", "4")
    assert artgan(*words) == 0
    from artgan.evaluation import Judge

    tasks = []
    extract = Judge.extract

    def watched(self, pictures, count, task, on_progress, **options):
        tasks.append(task)
        return extract(self, pictures, count, task, on_progress, **options)

    monkeypatch.setattr(Judge, "extract", watched)
    assert artgan(*words) == 0
    assert tasks == ["judging", "looking for mirrored copies"]  # of the four pictures: the reference is not read again


@pytest.mark.parametrize("alone", ["7", "0", "12"])
def test_a_seed_is_the_same_picture_in_any_batch(trained, tmp_path, alone):
    assert artgan("sample", trained, "--out", tmp_path / "many", "--seeds", "0-19", "--quiet") == 0
    assert artgan("sample", trained, "--out", tmp_path / "one", "--seeds", alone, "--quiet") == 0
    name = f"seed-{int(alone):04d}.png"
    assert (tmp_path / "many" / name).read_bytes() == (tmp_path / "one" / name).read_bytes()
    with Image.open(tmp_path / "one" / name) as image:
        assert f"Seed: {alone}" in image.info["parameters"]


def test_truncation_zero_gives_one_picture_for_all_seeds(trained, tmp_path):
    assert artgan("sample", trained, "--out", tmp_path, "--seeds", "1-3", "--truncation", "0", "--force", "--quiet") == 0
    pictures = [np.asarray(Image.open(tmp_path / f"seed-000{seed}.png")) for seed in (1, 2, 3)]
    assert np.array_equal(pictures[0], pictures[1])
    assert np.array_equal(pictures[1], pictures[2])


def test_strength_zero_returns_the_pixels_exactly(style, tmp_path):
    draw_work("circles", 1, 1, side_px=72).resize((72, 53)).save(tmp_path / "picture.png")
    words = ("refine", tmp_path / "picture.png", "--style", style, "--backbone", "random", "--strength", "0")
    assert artgan(*words, "--out", tmp_path / "out", "--quiet") == 0
    assert np.array_equal(
        np.asarray(Image.open(tmp_path / "out" / "picture.png")), np.asarray(Image.open(tmp_path / "picture.png"))
    )


def test_a_photograph_is_marked_as_composite(style, tmp_path):
    draw_work("circles", 1, 1, side_px=40).save(tmp_path / "photo.jpg")
    words = ("refine", tmp_path / "photo.jpg", "--engine", "none", "--color", "match", "--palette", style)
    assert artgan(*words, "--out", tmp_path / "out", "--quiet") == 0
    with Image.open(tmp_path / "out" / "photo.png") as image:
        assert "compositeWithTrainedAlgorithmicMedia" in image.info["XML:com.adobe.xmp"]


def test_colors_can_be_matched_to_a_collection(collection_folder, tmp_path):
    draw_work("circles", 1, 1, side_px=40).save(tmp_path / "a.png")
    words = ("refine", tmp_path / "a.png", "--engine", "none", "--color", "match", "--palette", collection_folder)
    assert artgan(*words, "--out", tmp_path / "out", "--quiet") == 0


def test_training_twice_goes_on_without_a_config(own_run, collection_folder, capsys):
    assert artgan("train", "--collection", collection_folder, "--run", own_run, "--set", "training.total_kimg=0.056") == 0
    out = capsys.readouterr().out
    assert "going on at 0.0 kimg of 0.056" in out
    assert json.loads((own_run / "status.json").read_text())["images_seen"] == 56


def test_without_a_config_one_is_chosen_and_said(collection_folder, tmp_path, capsys, no_weights):
    words = ("train", "--collection", collection_folder, "--run", tmp_path / "run", "--minutes", "0.001")
    assert artgan(*words, "--set", "model.width=8", "--set", "model.discriminator_width=8") == 0
    out = capsys.readouterr().out
    assert "no config given; chosen for 36 works at 32x32 px on CPU" in out
    assert "- not by class: the smallest of 5 has 6 works" in out
    assert "preflight: " in out
    assert "projected discriminator" in out
    assert "drawn" in out
    assert "judged by random features" in out


def test_global_options_may_stand_anywhere(collection_folder, tmp_path, capsys):
    for words in (("--quiet", "info", collection_folder), ("info", collection_folder, "--quiet")):
        assert artgan(*words) == 0
    refused(
        capsys, 2, "--weights-dir .*nowhere: no such folder", "info", collection_folder, "--weights-dir", tmp_path / "nowhere"
    )


def test_debug_shows_the_traceback(tmp_path, capsys):
    assert artgan("info", tmp_path / "missing", "--debug") == 3
    assert "Traceback" in capsys.readouterr().err


def test_the_schema_is_printed(capsys):
    assert artgan("train", "--print-schema") == 0
    assert json.loads(capsys.readouterr().out)["title"] == "RunConfig"
