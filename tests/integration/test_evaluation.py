"""The judge as a whole: copies are caught, honest pictures pass, caches hold, processes agree, mutations are noticed."""

import io
import json
import logging
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open

from artgan import images as images_module
from artgan.backbones import BACKBONES
from artgan.datasets.collection import Collection, open_collection
from artgan.datasets.prepare import prepare
from artgan.datasets.recipe import Recipe
from artgan.datasets.synthetic import MANNERS, draw_work
from artgan.errors import CheckpointError, ConfigError, DataError
from artgan.evaluation.judge import Judge
from artgan.evaluation.measure import evaluate
from artgan.evaluation.reference import CROPS, Reference
from artgan.evaluation.spaces import add_spaces
from artgan.evaluation.subjects import Subject, generator_subject
from artgan.evaluation.words import describe, quick_look
from artgan.metrics import frechet as frechet_module
from artgan.metrics.estimates import NEAR_COPY
from artgan.metrics.features import Estimate
from artgan.progress import silent
from tests.conftest import ROOT
from tests.integration.test_cli import artgan, refused

CPU = torch.device("cpu")


def drawn(count: int, seed: int) -> np.ndarray:
    """Drawn works, uint8 `[N, 32, 32, 3]`."""
    works = [draw_work(list(MANNERS)[index % len(MANNERS)], seed, index, side_px=64) for index in range(count)]
    return np.stack([np.asarray(work.convert("RGB").resize((32, 32), Image.Resampling.LANCZOS)) for work in works])


@pytest.fixture(scope="module")
def gallery() -> Collection:
    """200 works for training, 60 held out: enough for C_T; made in memory."""
    pixels = drawn(260, 1)
    labels = np.arange(260) % len(MANNERS)
    return Collection(Path("gallery"), "gallery", pixels, tuple(MANNERS), labels, np.arange(200), np.arange(200, 260), "g" * 64)


@pytest.fixture(scope="module")
def judge(gallery) -> Judge:
    return Judge("random", gallery, CPU)


def subject_of(pixels: np.ndarray, labels: np.ndarray | None = None) -> Subject:
    names = [str(index) for index in range(len(pixels))]
    return Subject(lambda rows: (pixels[row] for row in rows), len(pixels), names, {"from": "test"}, labels)


def test_a_generator_that_returns_training_pictures_is_caught(gallery, judge):
    picked = np.random.default_rng(0).integers(0, 200, 100)
    verdict = evaluate(judge, subject_of(gallery.images[picked]))
    values = {name: entry["value"] for name, entry in verdict.line["metrics"].items()}
    assert values["auth_pct"] == 0
    assert values["c_t"] < -5
    assert values["near_copies"] == 1
    assert np.array_equal(verdict.matches.rows, picked)
    assert not verdict.matches.mirrored.any()
    assert any("nearer to the training pictures" in warning for warning in verdict.line["warnings"])


def test_new_pictures_and_the_hold_out_pass(gallery, judge):
    for honest in (drawn(100, 2), gallery.images[gallery.holdout_rows]):
        values = {name: entry["value"] for name, entry in evaluate(judge, subject_of(honest)).line["metrics"].items()}
        assert values["auth_pct"] > 20
        assert values["c_t"] > -3
        assert values["near_copies"] < 0.4  # drawings of one manner are alike; real paintings are less so


def test_mirrored_and_cut_copies_are_found(gallery, judge):
    mirrored = gallery.images[:60][:, :, ::-1]
    verdict = evaluate(judge, subject_of(np.ascontiguousarray(mirrored)))
    assert np.mean(verdict.matches.rows == np.arange(60)) > 0.95
    assert np.mean(verdict.matches.mirrored) > 0.8  # some drawings are their own mirror image
    assert verdict.line["metrics"]["near_copies"]["value"] > 0.95
    cut = [Image.fromarray(picture[6:, 6:]).resize((32, 32), Image.Resampling.BICUBIC) for picture in gallery.images[:60]]
    verdict = evaluate(judge, subject_of(np.stack([np.asarray(picture) for picture in cut])))
    assert np.mean(verdict.matches.rows == np.arange(60)) > 0.8
    assert verdict.matches.words(int(verdict.matches.closest[0])).endswith("bottom right")


def planted(works: np.ndarray, seed: int) -> np.ndarray:
    """Copies, whole or cut, mirrored or not, saved again, lighter or darker."""
    rng, copies = np.random.default_rng(seed), []
    parts, flips = rng.integers(0, 1 + len(CROPS), len(works)), rng.integers(0, 2, len(works))
    for work, part, flip in zip(works, parts, flips, strict=True):
        box = [(0.0, 0.0, 1.0, 1.0), *CROPS.values()][part]
        cut = Image.fromarray(work).resize((32, 32), Image.Resampling.BICUBIC, [32 * side for side in box])
        buffer = io.BytesIO()
        cut.save(buffer, "JPEG", quality=int(rng.integers(80, 96)))
        pixels = np.asarray(Image.open(buffer)).astype(float) * rng.uniform(0.96, 1.04)
        copies.append(pixels[:, :: -1 if flip else 1].clip(0, 255).astype(np.uint8))
    return np.stack(copies)


def test_candidates_find_the_copies_that_the_whole_search_finds(own_cache):
    works = drawn(34, 1)
    few = Collection(Path("few"), "few", works, (), np.zeros(34, int), np.arange(30), np.arange(30, 34), "f" * 64)
    judge = Judge("random:stage2", few, CPU)
    sources = np.random.default_rng(1).permutation(30)[:20]
    copies = planted(works[sources], 1)
    pixels = np.concatenate([copies, drawn(5, 7)])
    verdict, reference = evaluate(judge, subject_of(pixels), ["copying"]), Reference(judge)
    searched = len(reference_crops(own_cache))
    wholes = [reference.train, *(reference.crops([(part, row) for row in range(30)]) for part in range(1, 1 + len(CROPS)))]
    both = [
        judge.extract(lambda rows, flip=flip: (pixels[row][:, ::flip] for row in rows), 25, "", silent)[:] for flip in (1, -1)
    ]
    near = np.sqrt(reference.known.manifold.nearest)
    ratios = np.array([[np.linalg.norm(ours[:, None] - view, axis=2) / near for ours in both] for view in wholes])
    found = ratios.min((0, 1, 3)) < NEAR_COPY  # by a search through everything: parts, mirror images, pictures, works
    assert found.sum() >= 8
    assert np.array_equal(verdict.matches.ratios < NEAR_COPY, found)
    right = ratios.min((0, 1))[:20].argmin(1) == sources
    assert np.array_equal(verdict.matches.rows[:20][found[:20] & right], sources[found[:20] & right])
    assert searched < len(CROPS) * 30 * 0.6  # though four in five of these pictures are copies
    again = evaluate(judge, subject_of(pixels), ["copying"])  # with what the first search left in the cache
    assert np.array_equal(again.matches.ratios, verdict.matches.ratios)


def reference_crops(cache: Path) -> np.ndarray:
    """The parts of training pictures whose features a search has left in the cache."""
    (keys,) = [file.get_tensor("keys") for path in cache.iterdir() for file in [safe_open(path, "np")] if "keys" in file.keys()]  # noqa: SIM118
    return keys


def test_a_quick_look_comes_first_and_all_of_it_is_one_task(gallery, judge, monkeypatch):
    monkeypatch.setattr("artgan.evaluation.measure.QUICK", 40)
    pixels, looks, events = drawn(70, 3), [], []
    wanted = evaluate(judge, subject_of(pixels[:40]), ["distances"]).line["metrics"]["kid"]["value"]
    evaluate(judge, subject_of(pixels), on_progress=events.append, on_quick_look=lambda line, left: looks.append((line, left)))
    ((line, left),) = looks
    assert line["num_generated"] == 40
    assert line["metrics"]["kid"]["value"] == pytest.approx(wanted, rel=1e-5)
    assert left > 0
    assert {event.task for event in events} == {"evaluating"}
    assert all(event.done <= event.total for event in events)
    assert events[-1].done == events[-1].total
    assert "quick look at 40 pictures: KID x 1000 is" in quick_look(line)
    evaluate(judge, subject_of(pixels[:40]), ["distances"], on_quick_look=lambda *_: looks.append(1))
    assert len(looks) == 1  # nothing to look at before all of it


def test_a_value_does_not_depend_on_batches_or_order(gallery, judge, monkeypatch):
    pixels = drawn(50, 3)
    wanted = evaluate(judge, subject_of(pixels)).line["metrics"]
    shuffled = evaluate(judge, subject_of(pixels[np.random.default_rng(0).permutation(50)])).line["metrics"]
    monkeypatch.setattr("artgan.evaluation.judge.BATCH", 7)
    rebatched = evaluate(Judge("random", gallery, CPU), subject_of(pixels)).line["metrics"]
    for name, entry in wanted.items():
        assert shuffled[name]["value"] == pytest.approx(entry["value"], rel=1e-6, abs=1e-9), name
        assert rebatched[name]["value"] == pytest.approx(entry["value"], rel=1e-4, abs=1e-7), name


def test_classes_are_judged_one_by_one(gallery, judge):
    labels = np.concatenate([np.zeros(30, int), np.full(3, 1), np.full(1, 2)])
    line = evaluate(judge, subject_of(gallery.images[:34], labels), ["distances"]).line
    first, three, one, none, *_ = line["classes"].values()
    assert first["num_generated"] == 30
    assert np.isfinite(first["metrics"]["kid"]["value"])
    assert np.isfinite(three["metrics"]["kid"]["value"])
    assert "fd" not in first["metrics"]  # fewer pictures than features
    assert (one["metrics"], none["metrics"]) == ({}, {})
    assert "fewer than 2" in one["note"]


def test_fewer_than_two_pictures_or_broken_weights_are_refused(judge, trained):
    with pytest.raises(DataError, match="at least 2 images, got 1"):
        evaluate(judge, subject_of(drawn(1, 0)))
    from artgan.generation.model_folder import load_model

    generator = load_model(trained, CPU).generator
    next(generator.parameters()).data[0] = float("nan")
    with pytest.raises(CheckpointError, match="holds NaN or infinity"):
        generator_subject(judge.collection, generator, 4)


def prepared(folder: Path, out: Path) -> Collection:
    prepare([folder], out, Recipe(32, 32, duplicates="keep", holdout=0.2), overwrite=True)
    return open_collection(out)


def test_one_changed_pixel_changes_the_key(tmp_path):
    for index, pixels in enumerate(drawn(12, 4)):
        (tmp_path / "in").mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / "in" / f"{index:02d}.png")
    keys = {Reference(Judge("random", prepared(tmp_path / "in", tmp_path / "out"), CPU)).key("features")}
    keys.add(Reference(Judge("random", prepared(tmp_path / "in", tmp_path / "again"), CPU)).key("features"))
    assert len(keys) == 1
    changed = np.asarray(Image.open(tmp_path / "in" / "00.png")).copy()
    changed[0, 0, 0] ^= 1
    Image.fromarray(changed).save(tmp_path / "in" / "00.png")
    collection = prepared(tmp_path / "in", tmp_path / "out")
    keys.add(Reference(Judge("random", collection, CPU)).key("features"))
    keys.add(Reference(Judge("random", collection, CPU, resize_mode="legacy-tf")).key("features"))
    keys.add(Reference(Judge("random:stage3", collection, CPU)).key("features"))
    assert len(keys) == 4


@pytest.fixture
def own_cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("ARTGAN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "features"


def test_a_half_written_or_foreign_cache_is_made_again(collection, own_cache, caplog):
    judge = Judge("random:stage2", collection, CPU)
    wanted = Reference(judge).train.copy()
    (path,) = own_cache.iterdir()
    whole = path.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", b"x" * 100):
        path.write_bytes(damaged)
        with caplog.at_level(logging.WARNING):
            assert np.array_equal(Reference(judge).train, wanted)
        assert "cannot be read" in caplog.text
        assert path.read_bytes() == whole
        caplog.clear()


def test_a_cache_that_cannot_be_written_costs_time_only(collection, own_cache, caplog):
    own_cache.parent.write_text("a file where the folder should be")
    with caplog.at_level(logging.WARNING):
        assert len(Reference(Judge("random:stage2", collection, CPU)).train) == 36
    assert "cannot cache features" in caplog.text


@pytest.mark.slow
def test_two_processes_give_the_values_of_one(trained, collection_folder, tmp_path):
    """Same JSON, to the last digit."""
    words = ["evaluate", trained, "--collection", collection_folder, "--features", "random", "--num-generated", "53", "--quiet"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    running = []
    for rank, size, name in ((0, 1, "one"), (0, 2, "two"), (1, 2, "other")):
        places = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        environment = os.environ | {key: str(value) for key, value in places.items()}
        environment["ARTGAN_CACHE"] = str(tmp_path / f"cache-{name}")  # nobody finds what another computed
        command = [sys.executable, "-m", "artgan", *map(str, words), "--json", str(tmp_path / f"{name}.json")]
        running.append(subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.DEVNULL))
    assert [process.wait(timeout=200) for process in running] == [0, 0, 0]
    assert not (tmp_path / "other.json").exists()
    assert json.loads((tmp_path / "one.json").read_text()) == json.loads((tmp_path / "two.json").read_text())


def test_unlike_protocols_are_never_compared(trained, collection_folder, tmp_path, capsys):
    base = ("evaluate", trained, "--collection", collection_folder, "--features", "random", "--quiet")
    for name, *more in (
        ("a", "--truncation", "0.3"),
        ("b",),
        ("c", "--resize", "legacy-torch"),
        ("d", "--num-generated", "23"),
    ):
        count = () if "--num-generated" in more else ("--num-generated", "24")
        assert artgan(*base, *count, *more, "--json", tmp_path / f"{name}.json") == 0
    a, b, c, d = (tmp_path / f"{name}.json" for name in "abcd")
    capsys.readouterr()
    assert artgan("evaluate", "--compare", a, b) == 0
    rows = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert set(rows) == set(json.loads(a.read_text())["metrics"])
    assert "is better" in rows["fd"] or "cannot be told apart" in rows["fd"]
    refused(capsys, 2, "unlike protocols .* resize: legacy-torch, clean", "evaluate", "--compare", c, b)
    refused(capsys, 2, "unlike protocols .* num_generated: 24, 23", "evaluate", "--compare", b, d)
    tampered = json.loads(c.read_text())
    tampered["protocol"]["resize"] = "clean"
    c.write_text(json.dumps(tampered))
    refused(capsys, 3, "its protocol was changed after it was written", "evaluate", "--compare", c, b)
    b.write_text("[]")
    refused(capsys, 3, "is not a metrics line", "evaluate", "--compare", a, b)
    refused(capsys, 3, "cannot be read", "evaluate", "--compare", a, tmp_path / "none.json")
    refused(capsys, 2, "needs a run, a model or a folder of pictures, and --collection", "evaluate", trained)


def test_mixed_sizes_gray_and_transparent_pictures_are_judged(collection, tmp_path):
    modes = ["RGB", "L", "RGBA", "LA", "P", "1", "CMYK"]
    for index, mode in enumerate(modes):
        work = draw_work("waves", 5, index, side_px=64).convert("RGB").resize((40 + 9 * index, 60 - 3 * index))
        work.convert(mode).save(tmp_path / (f"{index}.tif" if mode == "CMYK" else f"{index}.png"))
    out = tmp_path / "line.json"
    words = ("evaluate", tmp_path, "--collection", collection.folder, "--features", "random", "--json", out)
    assert artgan(*words) == 0
    assert json.loads(out.read_text())["num_generated"] == len(modes)


def test_metrics_need_no_scipy():
    """Everything from features to numbers, with SciPy made impossible to import."""
    program = """
import sys
sys.modules["scipy"] = None
import numpy as np
from artgan.metrics.frechet import fit_gaussian, frechet, frechet_distance
from artgan.metrics.kernel import kernel_distance
from artgan.metrics.manifold import fit_manifold, manifold_scores
from artgan.metrics.memorization import authenticity, copying_score, nearest_rows
from artgan.metrics.sliced import monge_distance
x, y = np.random.default_rng(0).normal(size=(2, 80, 12))
frechet(x, fit_gaussian(y)), frechet_distance(fit_gaussian(x), fit_gaussian(y))
kernel_distance(x, y), monge_distance(x, y), manifold_scores(x, fit_manifold(y))
authenticity(nearest_rows(x, y), fit_manifold(y)), copying_score(x, y[:40], y[40:])
import artgan.evaluation, artgan.evaluation.measure, artgan.evaluation.compare
assert not [name for name in sys.modules if name.startswith("scipy.")]
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)


def check_frechet_of_five_points() -> None:
    """Against itself scaled by 2 about its mean: d^2 = tr S, with S over N - 1."""
    x = np.arange(10.0).reshape(5, 2) ** 1.5
    y = x.mean(0) + 2 * (x - x.mean(0))
    wanted = np.trace(np.cov(x, rowvar=False))
    assert frechet_module.frechet_distance(frechet_module.fit_gaussian(x), frechet_module.fit_gaussian(y)) == pytest.approx(
        wanted
    )


def test_a_covariance_over_n_is_noticed(monkeypatch):
    """Mutation: N in place of N - 1."""
    check_frechet_of_five_points()
    fit = frechet_module.fit_gaussian

    def over_n(features):
        right = fit(features)
        share = (right.count - 1) / right.count
        return frechet_module.Gaussian(right.mean, right.factor * share**0.5, right.trace * share, right.count)

    monkeypatch.setattr(frechet_module, "fit_gaussian", over_n)
    with pytest.raises(AssertionError):
        check_frechet_of_five_points()


def check_bytes_are_rounded() -> None:
    values = torch.arange(256) / 127.5 - 1
    shifted = (values + 0.4 / 127.5).view(1, 1, 1, 256).expand(1, 3, 1, 256)
    assert torch.equal(images_module.to_uint8(shifted)[0, 0, :, 0], torch.arange(256, dtype=torch.uint8))
    shifted = (values - 0.4 / 127.5).view(1, 1, 1, 256).expand(1, 3, 1, 256)
    assert torch.equal(images_module.to_uint8(shifted)[0, 0, :, 0], torch.arange(256, dtype=torch.uint8))


def test_bytes_that_are_truncated_are_noticed(monkeypatch):
    """Mutation: `(x * 127.5 + 127.5).byte()`, which darkens generated pictures by half a level."""
    check_bytes_are_rounded()
    monkeypatch.setattr(images_module, "to_uint8", lambda x: ((x + 1) * 127.5).clamp(0, 255).byte().permute(0, 2, 3, 1))
    with pytest.raises(AssertionError):
        check_bytes_are_rounded()


def test_an_estimate_without_interval_is_null_in_json():
    from artgan.evaluation.measure import entry

    assert entry(Estimate(1.0)) == {"value": 1.0, "low": None, "high": None}


def test_a_space_that_a_run_trains_against_is_refused_as_its_judge(tmp_path):
    from artgan.config import RunConfig, dump_config, with_values
    from artgan.evaluation import check_independent, check_independent_of

    run = tmp_path / "run"
    model = run / "model" / "best"
    model.mkdir(parents=True)
    through_squeezenet = with_values(RunConfig(), {"model.backbone": "squeezenet1_1"})
    (run / "config.yaml").write_text(dump_config(through_squeezenet))
    for target in (run, model):
        with pytest.raises(ConfigError, match=r"'squeezenet1_1:fire9' cannot judge this run.*take inception-768"):
            check_independent_of("squeezenet1_1:fire9", target)
        check_independent_of("inception-768", target)
    check_independent_of("squeezenet1_1:fire9", tmp_path)  # no run: anybody's pictures
    own = with_values(RunConfig(), {"model.discriminator": "fastgan"})
    check_independent("squeezenet1_1:fire9", own)
    untrained = with_values(RunConfig(), {"model.backbone": "random"})
    check_independent("random", untrained)


def test_a_run_that_goes_on_is_refused_its_own_network_as_judge(collection_folder, tmp_path, capsys):
    words = ("train", "--collection", collection_folder, "--run", tmp_path / "run", "--minutes", "0.001", "--quiet")
    small = ("--set=model.width=8", "--set=model.discriminator_width=8", "--set=training.batch_size=4")
    judged = ("--set=evaluation.features=random", "--set=evaluation.num_generated=8")
    assert artgan(*words, *small, *judged, "--set=model.backbone=drawn") == 0
    layer = BACKBONES.row("drawn").taps[-1]
    refused(capsys, 2, "cannot judge this run", *words, *small, f"--set=evaluation.features=drawn:{layer}")


def test_the_same_pictures_in_other_spaces_are_what_a_judge_of_each_says(gallery, judge):
    subject = subject_of(drawn(40, 3))
    found = evaluate(judge, subject, ("distances",)).line
    add_spaces(found, subject, gallery, ["drawn", "random"], judge)
    assert list(found["spaces"]) == ["random", "drawn"]
    alone = evaluate(Judge("drawn", gallery, CPU), subject, ("distances",)).line
    for space, whole in (("random", found), ("drawn", alone)):
        for name in ("fd", "mind"):
            assert found["spaces"][space][name] == whole["metrics"][name]["value"] / whole["floor"][name]["value"]
    assert sum("  in drawn: fd " in text for text in describe(found)) == 1


def test_other_spaces_need_the_distances_and_a_name(collection_folder, capsys):
    words = ("evaluate", collection_folder, "--collection", collection_folder)
    refused(capsys, 2, "--also compares distances: expected", *words, "--metrics", "manifold", "--also", "drawn")
    refused(capsys, 2, "unknown features 'drown'", *words, "--also", "drown")
