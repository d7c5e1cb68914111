"""What a model can be turned into: films, directions, projections, ONNX, a hub's repository, a card."""

import io
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from artgan.enlarging import enlarged
from artgan.generation.latents import latents_for_seeds
from artgan.generation.model_folder import load_model
from artgan.generation.point import Point, pack_styles
from artgan.generation.projection import Settings, fitted, project
from artgan.generation.sample import Look, picture_metadata, points_of_seeds, render
from artgan.generation.space import Space
from artgan.generation.video import encode_video
from artgan.images import save_png
from artgan.metadata import read_metadata
from artgan.models.fastgan_generator import Generator
from artgan.storage import seal
from tests.integration.hub_server import hub
from tests.integration.test_cli import artgan, refused


@pytest.fixture
def own_model(trained_model, tmp_path) -> Path:
    """A copy of the model folder that a test may change."""
    return Path(shutil.copytree(trained_model.folder, tmp_path / "model"))


def test_key_frames_of_a_film_are_the_pictures_of_their_seeds(trained_model, tmp_path):
    words = ("--seeds", "3,8", "--steps", "4", "--size", "32", "--class", "waves")
    assert artgan("video", trained_model.folder, "--out", tmp_path / "film.webp", *words) == 0
    assert artgan("sample", trained_model.folder, "--out", tmp_path / "s", "--seeds", "3,8", "--class", "waves") == 0
    film = Image.open(tmp_path / "film.webp")
    assert film.n_frames == 8
    for frame, seed in ((0, 3), (4, 8)):
        film.seek(frame)
        with Image.open(tmp_path / "s" / f"seed-000{seed}.png") as picture:
            assert np.array_equal(np.asarray(film.convert("RGB")), np.asarray(picture))


@pytest.mark.parametrize("video_format", ["mp4", "webm", "gif"])
def test_films_play_at_their_rate_in_their_colors(trained_model, video_format, tmp_path):
    av = pytest.importorskip("av")
    path = tmp_path / f"film.{video_format}"
    words = ("--seeds", "1-2", "--steps", "5", "--fps", "25", "--once", "--easing", "cosine")
    assert artgan("video", trained_model.folder, "--out", path, *words, "--quiet") == 0
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        assert float(stream.average_rate) == 25
    assert len(frames) == 6
    assert frames[0].shape == (256, 256, 3)
    first = next(enlarged(render(trained_model.space, [Point(1, classes=((1, 1.0),))]), 256))
    assert np.abs(frames[0].mean((0, 1)) - first.mean((0, 1))).max() < 12


def test_a_plain_color_keeps_its_value_in_a_film():
    av = pytest.importorskip("av")
    pixels = np.full((64, 65, 3), (200, 40, 90), np.uint8)
    for video_format in ("mp4", "webm"):
        with av.open(io.BytesIO(encode_video([pixels] * 3, video_format, 24, "note"))) as container:
            frame = next(container.decode(video=0)).to_ndarray(format="rgb24")
        assert frame.shape == (64, 64, 3)
        assert np.abs(frame.astype(int) - pixels[:, :64]).max() <= 3


def test_a_styled_film_is_one_series(trained_model, tmp_path):
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(tmp_path / "style.png")
    words = ("--seeds", "1-2", "--steps", "2", "--style", tmp_path / "style.png", "--backbone", "random", "--iterations", "2")
    assert artgan("video", trained_model.folder, "--out", tmp_path / "film.webp", *words, "--size", "48") == 0
    with Image.open(tmp_path / "film.webp") as film:
        assert (film.n_frames, film.size) == (4, (48, 48))


def test_directions_are_saved_and_drawn(trained_model, tmp_path):
    assert artgan("directions", trained_model.folder, "--out", tmp_path / "d", "--seeds", "4") == 0
    stored = load_file(tmp_path / "d" / "directions.safetensors")
    assert set(stored) == set(trained_model.space.directions)
    assert json.loads((tmp_path / "d" / "directions.json").read_text())["model_hash"] == trained_model.sha256
    with Image.open(tmp_path / "d" / "seed-0004.png") as sheet:
        assert sheet.size == (7 * 32, 16 * (32 + 17))
        middle = np.asarray(sheet)[:32, 3 * 32 : 4 * 32]
    assert np.array_equal(middle, next(render(trained_model.space, [Point(4)])))


@pytest.mark.parametrize("per_layer", [False, True])
def test_projection_comes_closer_to_a_picture_of_the_model(trained_model, per_layer):
    target = next(render(trained_model.space, [Point(5, toward=Point(9999), amount=0.4)]))
    steps: list[np.ndarray] = []
    settings = Settings(steps=60, per_layer=per_layer, backbone="random")
    found = project(trained_model.space, target, settings, on_picture=steps.append)
    assert found.losses[-1] == min(found.losses)
    assert found.losses[-1] < 0.7 * found.losses[0]
    assert len(steps) == 60
    rows = np.unique(found.styles, axis=0)
    assert (len(rows) == 1) == (not per_layer)
    again = project(trained_model.space, target, settings)
    assert np.array_equal(found.styles, again.styles)


def test_a_target_is_cut_to_the_models_aspect():
    wide = np.zeros((50, 100, 3), np.uint8)
    wide[:, 25:75] = 200
    assert (fitted(wide, 32, 32) == 200).all()
    assert fitted(wide, 32, 64).shape == (32, 64, 3)


def test_what_projection_finds_can_be_made_again_moved_and_mixed(trained_model, tmp_path):
    Image.fromarray(next(render(trained_model.space, [Point(77)]))).save(tmp_path / "mine.png")
    out, model = tmp_path / "found", trained_model.folder
    words = ("--steps", "4", "--backbone", "random", "--video", "webp")
    assert artgan("project", model, tmp_path / "mine.png", "--out", out, *words) == 0
    assert sorted(path.name for path in out.iterdir()) == ["projection.png", "search.webp", "sheet.png"]
    assert artgan("sample", model, "--out", tmp_path / "again", "--again", out / "projection.png") == 0
    assert (tmp_path / "again" / "projection.png").read_bytes() == (out / "projection.png").read_bytes()
    from_it = ("--from", out / "projection.png")
    assert artgan("sample", model, "--out", tmp_path / "moved", *from_it, "--move", "sefa-1=3") == 0
    moved = read_metadata(tmp_path / "moved" / "projection-moved.png")["point"]
    assert moved["moves"] == [["sefa-1", 3.0]]
    assert moved["styles"]
    assert artgan("sample", model, "--out", tmp_path / "mixed", *from_it, "--mix", "1-2") == 0
    assert sum(1 for _ in (tmp_path / "mixed").glob("*coarse*")) == 2


def test_as_many_files_as_are_said(trained_model, tmp_path):
    """Pictures of one name from two folders, seeds that repeat, mixtures of several projections: none replaces another."""
    model, names = trained_model.folder, lambda folder: sorted(path.name for path in (tmp_path / folder).iterdir())
    assert artgan("sample", model, "--out", tmp_path / "twice", "--seeds", "3,3") == 0
    assert names("twice") == ["grid.png", "seed-0003-2.png", "seed-0003.png"]
    point = Point(styles=pack_styles(trained_model.space.styles([Point(1)])[0].numpy()))
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        save_png(tmp_path / folder / "projection.png", np.zeros((32, 32, 3), np.uint8), picture_metadata(trained_model, point))
    both = [word for folder in ("a", "b") for word in ("--from", tmp_path / folder / "projection.png")]
    assert artgan("sample", model, "--out", tmp_path / "from", *both) == 0
    assert names("from") == ["grid.png", "projection-2.png", "projection.png"]
    assert artgan("sample", model, "--out", tmp_path / "mixed", *both, "--mix", "5") == 0
    assert len(names("mixed")) == 5
    again = ["--again", tmp_path / "a" / "projection.png"] * 2
    assert artgan("sample", model, "--out", tmp_path / "again", *again) == 0
    assert names("again") == ["grid.png", "projection-2.png", "projection.png"]


def test_an_input_and_a_picture_of_the_users_are_never_replaced(trained_model, tmp_path, capsys):
    model = trained_model.folder
    assert artgan("sample", model, "--out", tmp_path / "s", "--seeds", "3") == 0
    held = (tmp_path / "s" / "seed-0003.png").read_bytes()
    refused(
        capsys,
        2,
        "is an input and is never replaced",
        "sample",
        model,
        "--out",
        tmp_path / "s",
        "--force",
        *("--again", tmp_path / "s" / "seed-0003.png"),
    )
    Image.new("RGB", (4, 4)).save(tmp_path / "s" / "grid.png")
    mine = (tmp_path / "s" / "grid.png").read_bytes()
    refused(capsys, 2, "grid.png is a file that artgan did not make", "sample", model, "--out", tmp_path / "s", "--force")
    assert (tmp_path / "s" / "grid.png").read_bytes() == mine
    assert (tmp_path / "s" / "seed-0003.png").read_bytes() == held
    assert not (tmp_path / "s" / "seed-0000.png").exists()


def test_a_large_model_is_searched_for_a_start_in_sight_and_among_fewer(trained_model):
    """At 1024 px progress is told after eight pictures of 64, where there was silence for those of 256."""
    large = Generator(height_px=1024, width_px=1024, width=1, latent_dim=4, mapping_layers=1, num_classes=0)

    def told(space, size):
        heard = []

        def listen(event):
            heard.append((event.task, event.done, event.total))
            raise StopIteration

        with pytest.raises(StopIteration):
            project(space, np.zeros((size, size, 3), np.uint8), Settings(backbone="random"), listen)
        return heard

    assert told(Space(large.eval().requires_grad_(False)), 1024) == [("looking for a start", 8, 64)]
    assert told(trained_model.space, 32) == [("looking for a start", 8, 260)]  # 52 of each of five classes


def test_a_projection_starts_in_the_best_class_or_in_the_one_asked_for(trained_model, tmp_path):
    """A picture of class 3 is found at its own seed and class; its truncation and directions are then those of the class."""
    target, heard = next(render(trained_model.space, [Point(7, classes=((3, 1.0),))])), []
    settings = Settings(steps=1, backbone="random")
    found = project(trained_model.space, target, settings, heard.append)
    assert (found.start_seed, found.classes) == (7, ((3, 1.0),))
    assert heard[0].task == "looking for a start"
    other = project(trained_model.space, target, replace(settings, label=1))
    assert other.classes == ((1, 1.0),)
    Image.fromarray(target).save(tmp_path / "mine.png")
    words = ("--steps", "1", "--backbone", "random", "--video", "none", "--class", trained_model.card.classes[2])
    words += ("--size", "64", "--enlarger", "edge")
    assert artgan("project", trained_model.folder, tmp_path / "mine.png", "--out", tmp_path / "found", *words) == 0
    metadata = read_metadata(tmp_path / "found" / "projection.png")
    assert metadata["point"]["classes"] == [[2, 1.0]]
    assert (metadata["size_px"], metadata["size_way"]) == (64, "edge")


def test_directions_of_a_class_are_those_of_its_own_styles(trained_model, tmp_path):
    name = trained_model.card.classes[2]
    words = ("--out", tmp_path / "d", "--seeds", "1", "--class", name)
    assert artgan("directions", trained_model.folder, *words) == 0
    assert json.loads((tmp_path / "d" / "directions.json").read_text())["class"] == name
    space = trained_model.space
    ours, first = space.directions_of(2)["pca-1"].step, space.directions["pca-1"].step
    assert not torch.equal(ours, first)
    moved = points_of_seeds(trained_model, [4], Look(moves=(("pca-1@2", 2.0),), classes=((name, 1.0),)))
    plain = space.styles([replace(moved[0], moves=())])
    assert torch.allclose(space.styles(moved), plain + 2.0 * ours)


def test_directions_of_weights_that_are_not_finite_are_refused(trained_model, own_model, tmp_path, capsys):
    state = load_file(own_model / "model.safetensors")
    for name, tensor in state.items():
        if name.startswith("mapping") and tensor.is_floating_point():
            tensor.fill_(float("nan"))
    save_file(state, own_model / "model.safetensors")
    seal(own_model)
    refused(capsys, 4, "not finite", "directions", own_model, "--out", tmp_path / "d")
    assert not list((tmp_path / "d").glob("*.safetensors"))


@pytest.mark.filterwarnings("ignore")
def test_exported_generators_give_the_same_pictures(trained_model, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    assert artgan("model", "export", trained_model.folder, "--out", tmp_path / "m.onnx", "--quiet") == 0
    assert artgan("model", "export", trained_model.folder, "--out", tmp_path / "m.pt2", "--quiet") == 0
    latents, labels = latents_for_seeds(range(5), 16), torch.arange(5)
    session = onnxruntime.InferenceSession(str(tmp_path / "m.onnx"), providers=["CPUExecutionProvider"])
    given = {"latents": latents.numpy(), "truncation": np.array(1.0, np.float32), "labels": labels.numpy()}
    (images,) = session.run(None, given)
    with torch.no_grad():
        expected = trained_model.generator(latents, labels).numpy()
        program = torch.export.load(tmp_path / "m.pt2").module()(latents, torch.tensor(1.0), labels).numpy()
    np.testing.assert_allclose(images, expected, atol=1e-4)
    np.testing.assert_allclose(program, expected, atol=1e-4)


def test_a_model_goes_to_a_hub_and_comes_back_the_same(trained_model, tmp_path, monkeypatch, capsys):
    pytest.importorskip("huggingface_hub")
    monkeypatch.delenv("ARTGAN_OFFLINE", raising=False)
    with hub() as (address, repositories):
        monkeypatch.setenv("HF_ENDPOINT", address)
        monkeypatch.setenv("HF_TOKEN", "hf_test")
        assert artgan("model", "push", trained_model.folder, "artist/drawn") == 0
        assert set(repositories["artist/drawn"]) == {path.name for path in trained_model.folder.iterdir()}
        assert artgan("model", "pull", "artist/drawn", "--out", tmp_path / "pulled") == 0
        pulled = load_model(tmp_path / "pulled")
        assert pulled.sha256 == trained_model.sha256
        assert sorted(path.name for path in (tmp_path / "pulled").iterdir()) == sorted(repositories["artist/drawn"])
        capsys.readouterr()
        repositories["artist/drawn"]["model.safetensors"] = b"x" * 100
        refused(capsys, 4, "is damaged", "model", "pull", "artist/drawn", "--out", tmp_path / "damaged")
        assert not (tmp_path / "damaged").exists()
        refused(capsys, 4, "cannot be had from the hub", "model", "pull", "artist/other", "--out", tmp_path / "none")


def test_the_card_says_what_the_model_knows_and_the_folder_stays_whole(own_model):
    words = ("--rights", "public domain, drawn by code", "--license", "cc0-1.0", "--title", "Drawn works")
    assert artgan("model", "card", own_model, *words) == 0
    text = (own_model / "README.md").read_text()
    assert 'license: "cc0-1.0"' in text
    assert "# Drawn works" in text
    assert "Rights: public domain, drawn by code" in text
    assert "Classes: circles" in text
    assert load_model(own_model).sha256


def test_wrong_turns(trained_model, tmp_path, capsys):
    model = trained_model.folder
    refused(capsys, 2, "expected one of mp4, webm, gif, webp", "video", model, "--out", tmp_path / "film.avi")
    refused(capsys, 2, "a way needs two or more keys", "video", model, "--out", tmp_path / "film.webp", "--seeds", "3")
    refused(capsys, 2, "expected a number from 1 to 60", "video", model, "--out", tmp_path / "film.webp", "--fps", "0")
    refused(capsys, 2, "ends in .onnx or .pt2", "model", "export", model, "--out", tmp_path / "m.pb")
    refused(capsys, 2, "expected OWNER/NAME", "model", "push", model, "../x")
    refused(capsys, 2, "--offline", "model", "pull", "artist/drawn", "--out", tmp_path / "x")
    refused(capsys, 3, "not a picture|cannot be read", "project", model, tmp_path / "no.png", "--out", tmp_path / "p")
    (tmp_path / "notes.txt").write_text("mine")
    refused(capsys, 3, "no such run or model folder", "studio", model.parent / "missing")
    refused(capsys, 3, "no such run or model folder", "studio", model, tmp_path / "missing")
    refused(capsys, 3, "is a file", "studio", tmp_path / "notes.txt")
    refused(capsys, 2, "no workspace .* start artgan studio alone", "studio", tmp_path)
    refused(capsys, 2, "cannot listen on", "studio", model, "--listen", "203.0.113.7")
