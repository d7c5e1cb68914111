"""Enlarging: classical ways by their laws, tiles without a seam, fits that resume exactly, and what cannot be is one line."""

import copy
import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio

from artgan.backbones.backbone import load_backbone
from artgan.cli import main
from artgan.datasets.prepare import prepare
from artgan.datasets.recipe import Recipe as Framing
from artgan.datasets.synthetic import draw_work
from artgan.decode import decode_whole
from artgan.errors import CheckpointError, ConfigError, DataError
from artgan.images import to_float
from artgan.metadata import read_metadata
from artgan.refine.enlarging.apply import Enlarge, classical, load_enlarge
from artgan.refine.enlarging.classical import WAYS
from artgan.refine.enlarging.crops import Crops
from artgan.refine.enlarging.fitting import FitRequest, _best_texture, _scores, fit_enlarger
from artgan.refine.enlarging.folder import ABOUT_FILE, WEIGHTS_FILE, read_enlarger
from artgan.refine.enlarging.learner import EnlargerFitting
from artgan.refine.enlarging.measure import Score, Trial, patches_of, psnr_db
from artgan.refine.enlarging.network import EnlargingNetwork, lanczos
from artgan.refine.files import refine_files
from artgan.refine.fit_state import seed_weights
from artgan.refine.materials import Materials, check_materials
from artgan.refine.recipe import make_recipe
from artgan.refined_film.run import refine_films
from artgan.storage import file_sha256, seal

CPU = torch.device("cpu")
VALUES = {
    "enlarger__crop_px": 32,
    "enlarger__batch_size": 2,
    "enlarger__width": 4,
    "enlarger__blocks": 1,
    "enlarger__fidelity_steps": 3,
    "enlarger__check_every": 2,
    "enlarger__backbone": "drawn",
}
FITS = make_recipe(**VALUES)
LANCZOS = make_recipe(style__engine="none", enlarge__factor=2, enlarge__way="lanczos")


def work(index, side=40):
    return np.asarray(draw_work("landscapes", 3, index, side_px=side))


@pytest.fixture(scope="module")
def works(tmp_path_factory):
    folder = tmp_path_factory.mktemp("works")
    for index in range(6):
        draw_work("circles", 1, index, side_px=48).save(folder / f"{index}.png")
    return folder


@pytest.fixture(scope="module")
def enlarger(works, tmp_path_factory):
    folder = tmp_path_factory.mktemp("enlargers") / "drawn"
    fit(works, folder, 6)
    return folder


def fit(works, folder, steps, recipe=FITS, said=None, **more):
    request = FitRequest([works], folder, recipe, CPU, 2, minutes=5.0, max_steps=steps, **more)
    fit_enlarger(request, say=(said if said is not None else []).append)


def trained(factor):
    """A network all of whose weights matter."""
    network = EnlargingNetwork(factor, 6, 2)
    seed_weights(network, 0, "tests", keep="nothing")
    return network.requires_grad_(False)


@pytest.mark.parametrize("factor", [2, 4])
def test_lanczos_is_that_of_pillow_where_no_border_is_near(factor):
    gray = np.random.default_rng(0).random((20, 17), np.float32)
    theirs = Image.fromarray(gray).resize((17 * factor, 20 * factor), Image.Resampling.LANCZOS)
    ours = lanczos(torch.from_numpy(gray)[None, None], factor)[0, 0].numpy()
    inside = slice(3 * factor, -3 * factor)
    assert np.abs(ours - np.asarray(theirs))[inside, inside].max() < 1e-6
    flat = lanczos(torch.full((1, 3, 5, 4), 0.25), factor)
    assert torch.allclose(flat, torch.full((1, 3, 5 * factor, 4 * factor), 0.25))
    images = torch.rand(1, 3, 9, 8)
    assert torch.equal(EnlargingNetwork(factor, 4, 1)(images, torch.rand(1, 4, 9, 8)), lanczos(images, factor))


def test_edge_averages_to_the_small_picture_without_halos():
    images = to_float(torch.from_numpy(work(0)[None].copy()))
    lowest, highest = -torch.max_pool2d(-images, 3, 1), torch.max_pool2d(images, 3, 1)
    errors = {}
    for name in ("lanczos", "edge"):
        large = WAYS[name].enlarge(images, 4)
        errors[name] = (torch.nn.functional.avg_pool2d(large, 4) - images).abs().mean()
    assert errors["edge"] < 0.6 * errors["lanczos"]
    inner = large[:, :, 4:-4, 4:-4]
    bounds = [bound.repeat_interleave(4, 2).repeat_interleave(4, 3) for bound in (lowest, highest)]
    assert bool(((inner >= bounds[0]) & (inner <= bounds[1])).all())


@pytest.mark.parametrize("factor", [2, 4])
@pytest.mark.parametrize("way", ["network", *WAYS])
def test_tiles_meet_without_a_seam(way, factor):
    pixels = np.random.default_rng(1).random((37, 70, 3), np.float32)
    network = trained(factor)
    tiled = classical(way, factor, CPU, 16) if way in WAYS else Enlarge(network, factor, network.radius, 16, CPU)
    whole = Enlarge(tiled.enlarge, factor, tiled.radius, 4096, CPU)(pixels)
    assert whole.shape == (37 * factor, 70 * factor, 3)
    assert np.abs(tiled(pixels) - whole).max() < 1e-5
    seamed = Enlarge(tiled.enlarge, factor, tiled.radius // 2, 16, CPU)(pixels)
    assert np.abs(seamed - whole).max() > 1e-4


def test_a_tile_over_memory_is_cut_and_one_that_cannot_be_is_one_line():
    held = classical("lanczos", 2, CPU, 64)

    def scarce(limit):
        def enlarge(images, noise):
            if images.shape[2] > limit:
                raise MemoryError
            return held.enlarge(images, noise)

        return Enlarge(enlarge, 2, held.radius, 64, CPU)

    pixels = work(0, 60)
    assert np.abs(scarce(40)(pixels) - held(pixels)).max() < 1e-6
    with pytest.raises(DataError, match=r"a.png: not enough memory to enlarge 60x60 px 2 times, in tiles of 16 px"):
        scarce(8)(pixels, "a.png")


def test_decibels_are_those_of_scikit_image_and_patches_lie_side_by_side():
    first, second = work(0) / np.float32(255), work(1) / np.float32(255)
    theirs = peak_signal_noise_ratio(first, second, data_range=1.0)
    assert psnr_db(torch.from_numpy(2 * first - 1), torch.from_numpy(2 * second - 1)) == pytest.approx(theirs, abs=1e-4)
    numbers = torch.arange(2 * 5 * 6).view(2, 1, 5, 6)
    cut = patches_of(numbers, 2)
    assert cut.shape == (12, 1, 2, 2)
    assert torch.equal(cut[1], numbers[0, :, :2, 2:4])
    assert torch.equal(cut[6], numbers[1, :, :2, :2])


def test_networks_see_enlargements_at_twice_their_size_and_windows_move():
    values = FITS.enlarger.model_copy(update={"crop_px": 64})
    works, sides = [work(index, 96) for index in range(3)], []
    fitting = EnlargerFitting(Crops(works, [], 2, 64, 64, values, 0), 2, values, 0, CPU)
    images = torch.arange(64 * 64.0).view(1, 1, 64, 64)
    windows = []
    for fitting.reached.step in range(8):
        windows.append(fitting._window(images))
        assert torch.equal(windows[-1], fitting._window(images))  # of what was made and of the work alike
        assert windows[-1].shape[-2:] == (32, 32)
    assert len({window.min().item() for window in windows}) > 4
    fitting.discriminator.backbone.register_forward_pre_hook(lambda _, given: sides.append(given[0].shape[-1]))
    fitting.step()
    judge = load_backbone("drawn", ("relu2_1",))
    judge.register_forward_pre_hook(lambda _, given: sides.append(given[0].shape[-1]))
    Trial(works, 2, 64, 32, judge, CPU)
    assert set(sides) == {64}


def test_a_fit_goes_on_exactly_and_keeps_both_ends(works, enlarger, tmp_path, trained_model):
    fit(works, tmp_path / "halves", 2)  # within fidelity,
    fit(works, tmp_path / "halves", 5)  # within texture, between two judgements
    fit(works, tmp_path / "halves", 6)
    assert file_sha256(tmp_path / "halves" / WEIGHTS_FILE) == file_sha256(enlarger / WEIGHTS_FILE)
    held = read_enlarger(enlarger)
    scores = held.about["scores"]
    assert set(scores) >= {"lanczos", "0", "0.25", "0.5", "0.75", "1"}
    near = {name: x["patch_fd"] for name, x in scores.items() if x["psnr_db"] >= scores["lanczos"]["psnr_db"] - 0.5}
    assert near[f"{held.best_texture:g}"] == min(x for name, x in near.items() if name != "lanczos")
    assert (held.about["works"]["fitted"], held.about["works"]["held_out"], held.about["steps"]) == (5, 1, 6)
    assert any(not torch.equal(value, held.texture[name]) for name, value in held.fidelity.items())
    for texture, end in ((0.0, held.fidelity), (1.0, held.texture)):
        assert all(torch.equal(value, end[name]) for name, value in held.network(texture).state_dict().items())
    with pytest.raises(ConfigError, match="holds the fit of an enlarger to other works or with other values"):
        fit(works, tmp_path / "halves", 7, make_recipe(**VALUES, seed=1))


def test_the_default_texture_is_where_the_decibels_that_may_be_lost_end():
    """Of a loss of t^4 dB and patches that only get nearer: at 0.5^(1/4), within 1/128, where Lanczos is the first end."""
    network = EnlargingNetwork(2, 4, 1)
    fitting = SimpleNamespace(network=network, fidelity=network, texture=copy.deepcopy(network), device="cpu")
    fitting.values = SimpleNamespace(width=4, blocks=1)
    torch.nn.init.ones_(fitting.texture.last.bias)  # shifts every pixel by 0.1 t

    class ClosedForm:
        def score(self, enlarge):
            texture = 10 * float(enlarge(torch.zeros(1, 3, 4, 4)).mean())
            return Score(25 - texture**4, 100 - 50 * texture)

    for lanczos_db, expected in ((25.0, 0.5**0.25), (24.0, 1.0), (26.0, 0.0)):
        lanczos_score = Score(lanczos_db, 100.0)
        scores = _scores(fitting, ClosedForm(), lanczos_db - 0.5, lambda _: None)
        found = _best_texture(scores | {"lanczos": lanczos_score})
        assert expected - 1 / 128 <= found <= expected


def test_a_model_s_own_samples_are_enlarged_as_well(works, enlarger, tmp_path):
    samples = [work(index, 24) for index in range(3)]
    fit(works, tmp_path / "own", 6, make_recipe(**VALUES, enlarger__own_outputs=0.5), samples=samples, samples_sha256="abc")
    own, alone = read_enlarger(tmp_path / "own"), read_enlarger(enlarger)
    assert own.about["samples_sha256"] == "abc"
    assert all(torch.equal(value, own.fidelity[name]) for name, value in alone.fidelity.items())  # they join with texture
    assert any(not torch.equal(value, own.texture[name]) for name, value in alone.texture.items())


def test_fidelity_comes_nearer_than_lanczos(works, tmp_path):
    values = VALUES | {"enlarger__fidelity_steps": 150, "enlarger__width": 8, "enlarger__jpeg": 0.0, "enlarger__blurred": 0.0}
    fit(works, tmp_path / "near", 150, make_recipe(**values, enlarger__learning_rate=0.01))
    scores = read_enlarger(tmp_path / "near").about["scores"]
    assert scores["0"]["psnr_db"] > scores["lanczos"]["psnr_db"] + 0.2


def test_originals_are_found_by_their_bytes_and_the_train_split_alone_is_learnt(tmp_path):
    (tmp_path / "sources").mkdir()
    for index in range(8):
        draw_work("waves", 1, index, side_px=64).save(tmp_path / "sources" / f"{index}.png")
    prepare([tmp_path / "sources"], tmp_path / "collection", Framing(32, 32, holdout=0.25))
    (tmp_path / "sources").rename(tmp_path / "moved")
    Image.fromarray(work(0, 64)).save(tmp_path / "moved" / "new.png")
    said: list[str] = []
    fit(tmp_path / "collection", tmp_path / "a", 1, said=said, sources=[tmp_path / "moved"])
    assert said[0].startswith("6 works to learn from, 2 held out; crops of 32 px through drawn")
    Image.open(tmp_path / "moved" / "1.png").transpose(Image.Transpose.ROTATE_90).save(tmp_path / "moved" / "1.png")
    said.clear()
    fit(tmp_path / "collection", tmp_path / "b", 1, said=said, sources=[tmp_path / "moved"])
    assert said[0].startswith("1 of 8 originals are not in")
    (tmp_path / "other").mkdir()
    Image.fromarray(work(0, 64)).save(tmp_path / "other" / "new.png")
    with pytest.raises(DataError, match=r"holds no original of .* changed since artgan prepare"):
        fit(tmp_path / "collection", tmp_path / "c", 1, sources=[tmp_path / "other"])
    said.clear()
    fit(tmp_path / "collection", tmp_path / "d", 1, said=said)
    assert said[0].startswith("without --sources the enlarger learns from the collection's own pictures of 32x32 px")
    with pytest.raises(ConfigError, match="--sources goes with a collection"):
        fit(tmp_path / "moved", tmp_path / "e", 1, sources=[tmp_path / "moved"])


def test_works_that_cannot_be_used_are_one_line_each(works, tmp_path):
    (tmp_path / "one").mkdir()
    draw_work("circles", 1, 0, side_px=48).save(tmp_path / "one" / "0.png")
    with pytest.raises(DataError, match="needs two works or more, one to learn from and one to be judged on; got 1"):
        fit(tmp_path / "one", tmp_path / "a", 1)
    large = make_recipe(**VALUES | {"enlarger__crop_px": 64})
    with pytest.raises(
        DataError, match=r"all works are smaller than a crop of 64 px \(the largest has a shorter side of 48 px\)"
    ):
        fit(works, tmp_path / "b", 1, large)
    assert not (tmp_path / "b").exists()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    with pytest.raises(ConfigError, match="the folder is not empty"):
        fit(works, tmp_path / "full", 1)
    with pytest.raises(ConfigError, match=r"is no enlarger that artgan made"):
        fit(works, tmp_path / "full", 1, force=True)
    said: list[str] = []
    fit(works, tmp_path / "dry", 1, dry_run=True, said=said, samples=[work(0, 8)])
    assert said[0].startswith("the model's samples are smaller than 16 px, which a crop of 32 px is reduced to")
    assert not (tmp_path / "dry").exists()


def test_a_damaged_or_a_wrong_enlarger_is_one_line(enlarger, works, tmp_path):
    four = make_recipe(style__engine="none", enlarge__factor=4)
    with pytest.raises(ConfigError, match=r"needs --enlarger FOLDER, made by: .*--enlarger lanczos or edge"):
        check_materials(four, Materials())
    with pytest.raises(ConfigError, match="--texture is of a fitted enlarger: edge adds none"):
        check_materials(
            make_recipe(style__engine="none", enlarge__factor=2, enlarge__way="edge", enlarge__texture=0.5), Materials()
        )
    with pytest.raises(ConfigError, match=r"enlarges 2 times, --enlarge asks for 4: give --enlarge 2"):
        check_materials(four, Materials(enlarger=enlarger))
    with pytest.raises(CheckpointError, match=r"no enlarger; make one with"):
        load_enlarge(works, CPU)
    fit(works, tmp_path / "hurt", 1)
    about = json.loads((tmp_path / "hurt" / ABOUT_FILE).read_text())
    (tmp_path / "hurt" / ABOUT_FILE).write_text(json.dumps(about | {"factor": 10**9}))
    seal(tmp_path / "hurt")
    with pytest.raises(CheckpointError, match=r"no enlarger of this version: factor 1000000000"):
        load_enlarge(tmp_path / "hurt", CPU)
    (tmp_path / "hurt" / WEIGHTS_FILE).write_bytes(b"junk")
    with pytest.raises(CheckpointError, match="is damaged"):
        load_enlarge(tmp_path / "hurt", CPU)


def test_files_grow_with_their_opacity_and_their_bits(enlarger, tmp_path):
    (tmp_path / "in").mkdir()
    rgba = np.dstack([work(0), np.full((40, 40), 128, np.uint8)])[:30]
    Image.fromarray(rgba).save(tmp_path / "in" / "a.png")
    Image.fromarray(work(1)).save(tmp_path / "in" / "b.png")
    (tmp_path / "out").mkdir()
    look = make_recipe(style__engine="none", enlarge__factor=2, enlarge__texture=1.0, output__format="png16")
    result = refine_files([tmp_path / "in"], tmp_path / "out", look, Materials(enlarger=enlarger), device=CPU)
    assert not result.failed
    held = decode_whole(tmp_path / "out" / "a.png")
    assert (held.pixels.shape, held.pixels.dtype) == ((60, 80, 3), np.uint16)
    assert held.alpha is not None
    assert (held.alpha == 128 * 257).all()
    assert len(np.unique(held.pixels)) > 256
    expected = load_enlarge(enlarger, CPU, 1.0)(work(0)[:30])
    assert np.abs(held.pixels / 65535 - expected).max() < 1e-4
    said = read_metadata(tmp_path / "out" / "b.png")["refine"]
    assert said["enlarger_sha256"] == file_sha256(enlarger / WEIGHTS_FILE)
    assert said["recipe"]["enlarge"]["factor"] == 2
    with pytest.raises(DataError, match=r"large.png: would be 40000x40000 px, over the limit of 178,956,970 pixels"):
        LANCZOS.enlarge.check_size((20_000, 20_000), "large.png")


def test_the_command_line_fits_and_enlarges_and_says_by_what(works, tmp_path, capsys):
    def artgan(*words):
        with pytest.raises(SystemExit) as caught:
            main(["refine", *map(str, words), "--quiet"])
        return caught.value.code or 0, capsys.readouterr().err

    values = [word for key, value in VALUES.items() for word in ("--set", f"{key.replace('__', '.')}={value}")]
    fitted = artgan(works, "--fit-enlarger", "--enlarge", 2, "--out", tmp_path / "net", "--fit-minutes", 0.001, *values)
    assert fitted == (0, "")
    assert artgan(works / "0.png", "--enlarge", 2, "--enlarger", tmp_path / "net", "--out", tmp_path / "out") == (0, "")
    with Image.open(tmp_path / "out" / "0.png") as image:
        assert image.size == (96, 96)
    for words, text in (
        (("--enlarge", 3, "--enlarger", "edge"), "--enlarge 3: expected one of 1, 2, 4"),
        (("--engine", "none", "--enlarger", "edge"), "--enlarger goes with --enlarge 2 or 4"),
        (("--fit-enlarger", "--style", works / "0.png"), "--fit-enlarger learns from works alone"),
        (("--sources", works), "--sources goes with --fit-enlarger"),
        (("--fit-enlarger", "--fit-minutes", -1), "--fit-minutes -1: expected a number from 0.001"),
    ):
        code, error = artgan(works, *words, "--out", tmp_path / "no")
        assert (code, error.count("\n")) == (2, 1)
        assert text in error


def test_finished_pictures_stay_when_an_input_is_broken(works, tmp_path, capsys):
    """A picture that breaks off in the middle: the others are done and stay; when it is whole, it alone is made."""
    (tmp_path / "in").mkdir()
    for name in ("a", "b", "c"):
        (tmp_path / "in" / f"{name}.png").write_bytes((works / "0.png").read_bytes())
    Image.fromarray(work(1)).save(tmp_path / "in" / "c.png")
    whole = (works / "1.png").read_bytes()
    (tmp_path / "in" / "b.png").write_bytes(whole[: len(whole) // 2])
    words = ["refine", str(tmp_path / "in"), "--enlarge", "2", "--enlarger", "edge", "--out", str(tmp_path / "out")]

    def artgan():
        with pytest.raises(SystemExit) as caught:
            main([*words, "--quiet"])
        return caught.value.code or 0, capsys.readouterr().err

    code, error = artgan()
    assert code == 3
    assert "1 of the inputs failed, the rest is done" in error
    assert "b.png: damaged or truncated" in error
    made = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in (tmp_path / "out").glob("?.png")}
    assert sorted(made) == ["a.png", "c.png"]
    (tmp_path / "in" / "b.png").write_bytes(whole)
    assert artgan() == (0, "")
    now = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in (tmp_path / "out").glob("?.png")}
    assert {name: now[name] for name in made} == made
    with Image.open(tmp_path / "out" / "b.png") as image:
        assert image.size == (96, 96)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "b.png", "c.png", "refine.json", "sheet.png"]


def test_frames_of_a_film_grow_as_well(tmp_path):
    first, second = Image.fromarray(work(0)), Image.fromarray(work(1))
    first.save(tmp_path / "a.gif", save_all=True, append_images=[second], duration=50)
    (tmp_path / "out").mkdir()
    (film,), _ = refine_films([tmp_path / "a.gif"], tmp_path / "out", LANCZOS, Materials(), CPU)
    with Image.open(film.target) as image:
        assert (image.size, image.n_frames) == ((80, 80), 2)
