"""Runs over files: nothing is lost, nothing depends on order, processes or stops."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image

from artgan.cli import main
from artgan.datasets.synthetic import draw_work
from artgan.errors import ConfigError, DataError, StorageError
from artgan.file_names import distinct_names
from artgan.images import save_png
from artgan.metadata import read_metadata
from artgan.overview import save_sheet
from artgan.refine import encode
from artgan.refine.files import WORK_FOLDER, forget_run, refine_files
from artgan.refine.forecast import forecast
from artgan.refine.grading import sample_pixels
from artgan.refine.materials import Materials
from artgan.refine.plan import SHEET, plan
from artgan.refine.recipe import make_recipe
from artgan.refine.report import before_after_sheet, summary, write_report
from artgan.refine.sequence import batches_of
from artgan.refine.sources import find_pictures, mask_for, style_of_files
from artgan.workers.tasks import Workers
from tests.conftest import ROOT

CPU = torch.device("cpu")
QUICK = {
    "style__backbone": "random",
    "style__style_layers": ["stage1", "stage2"],
    "style__content_layers": ["stage2"],
    "style__iterations": 2,
}


def work(manner, index, side=40):
    return np.asarray(draw_work(manner, 3, index, side_px=side))


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for index in range(5):
        save_png(
            folder / f"seed-{index:04d}.png", work("circles", index, 40 + 8 * (index % 2)), {"kind": "sample", "seed": index}
        )
    return folder


@pytest.fixture
def materials(tmp_path):
    Image.fromarray(work("waves", 0)).save(tmp_path / "style.png")
    return Materials([style_of_files(tmp_path / "style.png")], [1.0], palette=sample_pixels(work("waves", 0)))


def run(inputs, out, materials, recipe=None, **options):
    out.mkdir(exist_ok=True)
    recipe = recipe or make_recipe(**QUICK, color__mode="match", color__per_picture=0.5)
    return refine_files(inputs, out, recipe, materials, device=CPU, **options)


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.png"))}


def test_files_keep_their_metadata_and_carry_the_recipe(pictures, materials, tmp_path):
    save_sheet(pictures / "grid.png", work("circles", 1), "samples")
    result = run([pictures], tmp_path / "out", materials)
    assert [path.name for path in result.written.values()] == [f"seed-{index:04d}.png" for index in range(5)]
    with pytest.raises(DataError, match=r"grid\.png: an overview sheet"):
        find_pictures([pictures / "grid.png"])
    Image.fromarray(work("circles", 1)).save(pictures / "grid.png")
    assert pictures / "grid.png" in find_pictures([pictures]), "a picture of the user's own that is called so"
    metadata = read_metadata(tmp_path / "out" / "seed-0001.png")
    assert metadata["seed"] == 1
    assert metadata["refine"]["recipe"]["style"]["style_layers"] == ["stage1", "stage2"]
    assert len(metadata["refine"]["styles"][0]["sha256"]) == 64
    forget_run(tmp_path / "out")
    assert not (tmp_path / "out" / WORK_FOLDER).exists()
    with Image.open(tmp_path / "out" / "seed-0001.png") as image:
        assert "/trainedAlgorithmicMedia" in image.info["XML:com.adobe.xmp"]
        assert image.info["icc_profile"] == encode.srgb_profile()


def test_order_processes_and_shards_change_nothing(pictures, materials, tmp_path):
    run([pictures], tmp_path / "one", materials)
    run(sorted(pictures.iterdir(), reverse=True), tmp_path / "turned", materials)
    run([pictures], tmp_path / "two", materials, workers=Workers(2))
    first = run([pictures], tmp_path / "shards", materials, shard=(1, 3))
    assert first.waiting == 3
    assert not first.written
    assert run([pictures], tmp_path / "shards", materials, shard=(3, 3)).waiting == 2
    last = run([pictures], tmp_path / "shards", materials, shard=(2, 3))
    assert (last.waiting, len(last.written)) == (0, 5)
    wanted = contents(tmp_path / "one")
    assert len(wanted) == 5
    assert contents(tmp_path / "turned") == wanted
    assert contents(tmp_path / "two") == wanted
    assert contents(tmp_path / "shards") == wanted


def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(pictures, materials, tmp_path):
    words = ["refine", pictures, "--style", tmp_path / "style.png", "--backbone", "random", "--iterations", "12"]
    words += ["--color", "match", "--size", "96", "--jobs", "2", "--quiet", "--out"]

    def start(out):
        command = [sys.executable, "-m", "artgan", *map(str, words), str(out)]
        return subprocess.Popen(command, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"})

    assert start(tmp_path / "whole").wait() == 0
    process = start(tmp_path / "killed")
    work_folder = tmp_path / "killed" / WORK_FOLDER
    for _ in range(3000):
        if len(list(work_folder.glob("*.npz"))) >= 2 or process.poll() is not None:
            break
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = {path.name: path.stat().st_mtime_ns for path in work_folder.glob("*.npz")}
    assert len(kept) >= 2
    assert not contents(tmp_path / "killed") or len(kept) == 5
    assert start(tmp_path / "killed").wait() == 0
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")
    assert not work_folder.exists()


def test_what_is_already_styled_is_not_styled_again(pictures, materials, tmp_path):
    run([pictures], tmp_path / "out", materials, shard=(1, 2))
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / WORK_FOLDER).glob("*.npz")}
    assert run([pictures], tmp_path / "out", materials, shard=(1, 2)).waiting == 2
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_bad_pictures_are_listed_and_the_rest_is_done(pictures, materials, tmp_path):
    (pictures / "bad.png").write_text("bad")
    (pictures / "cut.png").write_bytes((pictures / "seed-0000.png").read_bytes()[:900])
    Image.new("RGB", (5, 60)).save(pictures / "thin.png")
    result = run([pictures], tmp_path / "out", materials)
    assert {path.name for path in result.failed} == {"bad.png", "cut.png", "thin.png"}
    assert "not a picture of a known format" in result.failed[pictures / "bad.png"]
    assert "damaged or truncated" in result.failed[pictures / "cut.png"]
    assert "5x60 px: style needs" in result.failed[pictures / "thin.png"]
    assert len(result.written) == 5


def test_shards_do_not_wait_for_pictures_that_another_could_not_style(pictures, materials, tmp_path):
    for index, name in enumerate(("a.jpg", "b.jpg")):  # sorted first: one for each shard; their headers are whole
        Image.fromarray(work("waves", index, 64)).save(pictures / name)
        (pictures / name).write_bytes((pictures / name).read_bytes()[:-400])
    assert run([pictures], tmp_path / "out", materials, shard=(1, 2)).waiting == 3
    last = run([pictures], tmp_path / "out", materials, shard=(2, 2))
    assert (last.waiting, len(last.written)) == (0, 5)
    assert {path.name: "truncated" in reason for path, reason in last.failed.items()} == {"a.jpg": True, "b.jpg": True}


def test_a_photograph_refined_twice_is_still_no_picture_of_a_model(materials, tmp_path):
    Image.fromarray(work("circles", 0)).save(tmp_path / "photo.png")
    run([tmp_path / "photo.png"], tmp_path / "once", materials)
    run([tmp_path / "once" / "photo.png"], tmp_path / "twice", materials, make_recipe(**QUICK, style__strength=0.5))
    with Image.open(tmp_path / "twice" / "photo.png") as image:
        assert "/compositeWithTrainedAlgorithmicMedia" in image.info["XML:com.adobe.xmp"]
    held = read_metadata(tmp_path / "twice" / "photo.png")["refine"]
    assert held["recipe"]["style"]["strength"] == 0.5
    assert held["before"]["recipe"]["style"]["strength"] == 1.0


@pytest.mark.parametrize("file_format", ["png", "png16", "tiff16"])
def test_a_photograph_keeps_its_author(tmp_path, file_format):
    exif = Image.Exif()
    exif[ExifTags.Base.Artist], exif[ExifTags.Base.Copyright] = "Ada <A> & co", "(c) 1843\x01\0"
    Image.fromarray(work("circles", 0)).save(tmp_path / "photo.jpg", exif=exif)
    look = make_recipe(style__engine="none", output__format=file_format)
    (written,) = run([tmp_path / "photo.jpg"], tmp_path / "out", Materials(), look).written.values()
    with Image.open(written) as image:
        packet = image.info.get("XML:com.adobe.xmp") or image.info["xmp"].decode()
    found = {element.tag.partition("}")[2]: "".join(element.itertext()) for element in ElementTree.fromstring(packet).iter()}
    assert (found["creator"], found["rights"]) == ("Ada <A> & co", "(c) 1843")
    if file_format == "png":
        run([written], tmp_path / "again", Materials(), look)
        assert read_metadata(tmp_path / "again" / written.name)["artist"] == "Ada <A> & co"


def test_a_run_that_goes_on_with_another_palette_has_one_palette(pictures, materials, tmp_path, monkeypatch):
    def stop(path, *words, **options):
        if (tmp_path / "out" / "seed-0001.png").exists():
            raise StorageError("stop")
        fits(path, *words, **options)

    fits = encode.save_png
    monkeypatch.setattr(encode, "save_png", stop)
    red, blue = (
        replace(materials, palette=sample_pixels(np.full((4, 4, 3), color, np.uint8)), palette_name="palette.png")
        for color in ((200, 20, 20), (20, 20, 200))
    )
    with pytest.raises(StorageError):
        run([pictures], tmp_path / "out", red)
    monkeypatch.setattr(encode, "save_png", fits)
    run([pictures], tmp_path / "out", blue)
    run([pictures], tmp_path / "whole", blue)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_originals_are_never_overwritten(pictures, materials, tmp_path):
    before = contents(pictures)
    with pytest.raises(ConfigError, match="the originals are never overwritten"):
        run([pictures / "seed-0001.png"], pictures, materials)
    assert contents(pictures) == before


def test_nothing_but_bad_pictures_is_an_error(tmp_path, materials):
    (tmp_path / "bad.png").write_text("bad")
    with pytest.raises(DataError, match=r"bad\.png: not a picture"):
        run([tmp_path / "bad.png"], tmp_path / "out", materials)


def test_equal_names_from_two_folders_do_not_overwrite_each_other(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        Image.fromarray(work("circles", 0)).save(tmp_path / folder / "same.png")
    look = make_recipe(style__engine="none")
    result = run([tmp_path / "b", tmp_path / "a"], tmp_path / "out", Materials(), look)
    assert [(source.parent.name, path.name) for source, path in result.written.items()] == [
        ("a", "same.png"),
        ("b", "same-2.png"),
    ]
    assert distinct_names(["sheet"], ".png", [SHEET]) == ["sheet-2.png"]


def test_a_full_disk_keeps_what_is_finished(pictures, materials, tmp_path, monkeypatch):
    """The third file does not fit; when there is space again, the same command goes on."""
    fits = encode.save_png
    written = []

    def full(path, *words, **options):
        if len(written) == 2:
            raise StorageError(f"cannot write {path}: No space left on device")
        written.append(path)
        fits(path, *words, **options)

    monkeypatch.setattr(encode, "save_png", full)
    with pytest.raises(StorageError, match="No space left"):
        run([pictures], tmp_path / "out", materials)
    kept = contents(tmp_path / "out")
    assert len(kept) == 2
    monkeypatch.setattr(encode, "save_png", fits)
    run([pictures], tmp_path / "out", materials)
    run([pictures], tmp_path / "whole", materials)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    assert kept.items() <= contents(tmp_path / "out").items()


@pytest.mark.parametrize("engine", ["none", "optimize"])
def test_strength_zero_everywhere_returns_the_pixels_exactly(pictures, materials, tmp_path, engine):
    nothing = make_recipe(**QUICK | {"style__engine": engine, "style__strength": 0.0}, color__mode="match", color__strength=0.0)
    run([pictures], tmp_path / "out", materials, nothing)
    for path in pictures.iterdir():
        assert np.array_equal(np.asarray(Image.open(path)), np.asarray(Image.open(tmp_path / "out" / path.name)))


def test_masks_belong_to_pictures_by_name(pictures, materials, tmp_path):
    masks = tmp_path / "masks"
    masks.mkdir()
    for path in list(pictures.iterdir())[:4]:
        half = np.zeros(np.asarray(Image.open(path)).shape[:2], np.uint8)
        half[:20] = 255
        Image.fromarray(half).save(masks / path.name)
    look = make_recipe(**QUICK)
    masked = Materials(materials.styles, [1.0], masks=[masks])
    result = run([pictures], tmp_path / "out", masked, look)
    assert [reason.partition(": ")[2].split(" in ")[0] for reason in result.failed.values()] == ["no mask of that name"]
    for source, path in result.written.items():
        before, after = np.asarray(Image.open(source)), np.asarray(Image.open(path))
        assert np.array_equal(before[21:], after[21:])
        assert not np.array_equal(before[:19], after[:19])
    assert mask_for(masks / next(iter(result.written)).name, pictures / "x.png", (80, 60)).shape == (80, 60)


@pytest.mark.parametrize(
    ("recipe", "materials", "message"),
    [
        ({}, Materials(), "refine needs --style PICTURE"),
        ({"style__engine": "feedforward"}, Materials(), "--engine feedforward needs --network"),
        ({"style__engine": "none", "color__mode": "match"}, Materials(), "--color match needs --palette"),
        ({}, Materials([1, 2], [1.0, 2.0], masks=[Path("a"), Path("b")]), "--style-weights with a mask for each style"),
    ],
)
def test_a_recipe_without_its_materials_is_refused(pictures, tmp_path, recipe, materials, message):
    with pytest.raises(ConfigError, match=message):
        run([pictures], tmp_path / "out", materials, make_recipe(**QUICK | recipe))


def test_failures_of_one_name_have_a_line_each(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.png").write_text("bad")
    draw_work("waves", 1, 1, side_px=16).save(tmp_path / "good.png")
    words = [str(tmp_path / name) for name in ("a", "b", "good.png")]
    with pytest.raises(SystemExit) as stop:
        main(["refine", *words, "--engine", "none", "--out", str(tmp_path / "out"), "--quiet"])
    assert stop.value.code == 3
    report = json.loads((tmp_path / "out" / "refine.json").read_text())
    assert list(report["failed"]) == [str(tmp_path / "a" / "x.png"), str(tmp_path / "b" / "x.png")]


def test_the_report_measures_every_picture(pictures, materials, tmp_path):
    look = make_recipe(**QUICK | {"style__iterations": 30}, color__mode="match")
    result = run([pictures], tmp_path / "out", materials, look)
    report = write_report(tmp_path / "out", result, look, materials, CPU, 1.0)
    assert report == json.loads((tmp_path / "out" / "refine.json").read_text())
    assert len(report["pictures"]) == 5
    assert report["means"]["style_after"] < report["means"]["style_before"]
    assert report["means"]["palette_after"] < report["means"]["palette_before"]
    assert len(report["worst"]) == 5
    assert "style distance" in summary(report)
    assert (tmp_path / "out" / "sheet.png").is_file()


def test_the_forecast_knows_pictures_sizes_and_shares(pictures, materials):
    ahead = forecast([pictures], make_recipe(**QUICK), materials, CPU, 1, (1, 1))
    half = forecast([pictures], make_recipe(**QUICK), materials, CPU, 1, (2, 2))
    assert (ahead.pictures, ahead.sizes, half.pictures) == (5, 2, 2)
    assert 0 < half.seconds < ahead.seconds
    assert "5 pictures of 2 sizes on CPU" in str(ahead)


def test_no_pictures_is_an_error(tmp_path):
    with pytest.raises(DataError, match="no pictures in"):
        find_pictures([tmp_path])


def test_the_sheet_shows_before_above_after():
    sheet = before_after_sheet([np.zeros((10, 20, 3), np.uint8)] * 2, [np.full((10, 20, 3), 255, np.uint8)] * 2)
    assert sheet.shape == (384, 384, 3)
    assert sheet[96, 96].max() == 0
    assert sheet[288, 96].min() == 255


def test_a_gpu_takes_as_many_pictures_of_one_size_as_fit_a_batch_and_a_cpu_one(pictures, materials, monkeypatch):
    items, _ = plan([pictures], make_recipe(**QUICK), materials)
    assert [len(batch) for batch in batches_of(items, CPU)] == [1] * 5
    on_gpu = batches_of(items, torch.device("cuda"))
    assert sorted(item.name for batch in on_gpu for item in batch) == sorted(item.name for item in items)
    assert len(on_gpu) == len({item.size for item in items})
    monkeypatch.setattr("artgan.refine.sequence._BATCH_PIXELS_ON_GPU", 2 * max(item.size[0] * item.size[1] for item in items))
    few = batches_of(items, torch.device("cuda"))
    assert max(len(batch) for batch in few) == 2 < max(len(batch) for batch in on_gpu)
