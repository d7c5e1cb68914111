"""What stands around training: plans, previews, warnings, the page."""

import dataclasses
import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from artgan.config import RunConfig, load_config, with_values
from artgan.datasets.collection import open_collection
from artgan.datasets.prepare import prepare
from artgan.datasets.recipe import Recipe
from artgan.errors import ConfigError, StorageError
from artgan.training import watchdog
from artgan.training.context import build_context
from artgan.training.loop import Outcome
from artgan.training.passes import Passes
from artgan.training.preflight import describe, preflight
from artgan.training.preview import preview_augmentation
from artgan.training.session import open_session
from artgan.training.state import state_tensors
from artgan.training.steps import kinds_of_steps
from tests.integration.test_cli import SET, artgan, refused
from tests.integration.test_resume import assert_same, combined, run, stop_after, tiny


def test_a_preflight_changes_nothing_and_finds_the_pieces_that_fit(collection, tmp_path, monkeypatch):
    config = combined({"training.batch_size": 12}, model__discriminator="fastgan")
    session = open_session(config, collection, tmp_path)
    before = {name: tensor.clone() for name, tensor in state_tensors(session.state).items()}
    found = preflight(session, print)
    assert_same(before, state_tensors(session.state))
    assert found.micro_batch == 12
    assert found.seconds_per_kimg > 0
    fit_at_most(4, monkeypatch)
    said = []
    found = preflight(session, said.append)
    assert found.micro_batch == 4  # 6 is no multiple of what the discriminator judges together
    assert [re.search(r"going on with (\d+)", line)[1] for line in said] == ["4"]
    assert "in 3 pieces of 4 whose gradients add up, but at once in the generator" in describe(session, found)[0]
    kimg = 6 / found.seconds_per_kimg
    assert (f", about {kimg:,.2g} of them in 0.1 minutes;" in describe(session, found, 0.1)[0]) == (
        kimg < session.config.training.total_kimg
    )


def test_a_forecast_weighs_each_kind_of_step_and_leaves_out_its_own_copy(collection, tmp_path, monkeypatch):
    """By a clock that steps move: 1 s, 10 more with R1 (every 16th step, by default), 4 more with path length (every 4th)."""
    values = {"model.generator": "stylegan2", "model.discriminator": "stylegan2", "objective.name": "nonsaturating"}
    session = open_session(tiny(**{key.replace(".", "__"): value for key, value in values.items()}), collection, tmp_path)
    clock = [0.0]

    def step_of_the_discriminator(state, context, *inputs):
        place = state.images_seen // context.batch_size
        clock[0] += 1 + 10 * (place % 16 == 0) + 4 * (place % 4 == 0)
        return {"skipped/discriminator": torch.zeros(())}

    monkeypatch.setattr("time.perf_counter", lambda: clock[0])
    monkeypatch.setattr("artgan.training.preflight.discriminator_step", step_of_the_discriminator)
    monkeypatch.setattr("resource.getrusage", lambda who: SimpleNamespace(ru_maxrss=10**6))
    monkeypatch.setattr("sys.platform", "linux")
    found = preflight(session, print)
    assert found.seconds_per_kimg == pytest.approx((1 + 10 / 16 + 4 / 4) / 4 * 1000)
    state = sum(tensor.nbytes for tensor in state_tensors(session.state).values())
    assert found.memory_gb == pytest.approx((1024 * 10**6 - state) / 1e9, abs=1e-5)  # the filters' taps are not saved


@pytest.mark.parametrize(
    ("values", "kinds"),
    [
        ({}, {0: 1}),
        ({"objective.r1_gamma": 1.0, "objective.penalty_every": 3}, {0: 1 / 3, 1: 2 / 3}),
        ({"model.discriminator": "r3gan", "objective.name": "relativistic", "objective.penalty_every": 1}, {0: 1}),
        (
            {"model.generator": "stylegan2", "objective.r1_gamma": 1.0, "objective.penalty_every": 6},
            {0: 1 / 12, 1: 8 / 12, 4: 2 / 12, 6: 1 / 12},
        ),
    ],
)
def test_kinds_of_steps_go_by_the_lazy_penalties(collection, tmp_path, values, kinds):
    found = kinds_of_steps(build_context(open_session(tiny(**values), collection, tmp_path)))
    assert found == pytest.approx(kinds)


def fit_at_most(count, monkeypatch):
    """Let memory run out where the discriminator takes more images."""
    judge = Passes.judge

    def small(self, images, labels, auxiliary):
        if len(images) > count:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return judge(self, images, labels, auxiliary)

    monkeypatch.setattr(Passes, "judge", small)


def test_a_batch_that_pieces_would_change_is_not_cut(collection, tmp_path, monkeypatch):
    """The deviation of nine images is one; that of eight and of one are others."""
    values = {"model.discriminator": "stylegan2", "objective.name": "nonsaturating", "training.batch_size": 9}
    session = open_session(combined(values), collection, tmp_path)
    fit_at_most(4, monkeypatch)
    reason = r"at 9 images at a time, all 9 in the generator .*: set training\.batch_size to a multiple of 4"
    with pytest.raises(ConfigError, match=reason):
        preflight(session, print)


def test_a_dry_run_says_what_it_takes_and_leaves_nothing(collection_folder, tmp_path, capsys):
    words = ("train", "--collection", collection_folder, "--run", tmp_path / "run", *SET, "--dry-run")
    assert artgan(*words) == 0
    out = capsys.readouterr().out
    assert re.search(r"preflight: [\d.]+ s per kimg, .* for 0\.048 kimg .*; batch 4 at once", out)
    assert re.search(r"preflight: [\d.]+ GB of memory; about [\d.e-]+ GB of disk, [\d.,]+ GB are free", out)
    assert not (tmp_path / "run").exists()


def test_a_disk_that_is_too_small_is_said_before_training(collection_folder, tmp_path, capsys, monkeypatch):
    from collections import namedtuple

    monkeypatch.setattr("shutil.disk_usage", lambda path: namedtuple("Usage", "total used free")(10, 10, 0))
    words = ("train", "--collection", collection_folder, "--run", tmp_path / "run", *SET)
    refused(capsys, 5, r"its checkpoints and models take about .* GB, and 0 GB are free", *words)
    assert not (tmp_path / "run" / "config.yaml").exists()  # whoever tries again with other values starts afresh


def test_a_run_goes_on_where_there_is_room_for_what_it_replaces(collection, tmp_path, monkeypatch):
    from collections import namedtuple

    state, _ = run(tiny(), collection, tmp_path)
    session = open_session(tiny(training__total_kimg=0.096), collection, tmp_path)
    room = sum(tensor.nbytes for tensor in state_tensors(state).values()) * 1.5  # a checkpoint and a model
    monkeypatch.setattr("shutil.disk_usage", lambda path: namedtuple("Usage", "total used free")(room, 0, room))
    preflight(session, print)
    with pytest.raises(StorageError, match=r"its checkpoints and models take about"):
        preflight(open_session(tiny(), collection, tmp_path / "new"), print)


def test_networks_that_no_memory_holds_are_one_clear_line(collection, tmp_path):
    with pytest.raises(ConfigError, match=r"out of memory while building the networks: lower model\.width"):
        open_session(tiny(model__width=1_000_000), collection, tmp_path)


@pytest.mark.parametrize("name", ["ada", "diffaugment"])
def test_the_preview_shows_works_as_they_are_and_changed(collection, tmp_path, name):
    sheet = preview_augmentation(collection, with_values(RunConfig(), {"augment.name": name}))
    cells = sheet[: sheet.shape[0] // 8 * 8, :].shape
    assert cells[1] >= 8 * 32
    rows = collection.train_rows[np.linspace(0, len(collection.train_rows) - 1, 8).astype(np.int64)]
    windows = np.lib.stride_tricks.sliding_window_view(sheet, (32, 32, 3))[:40:, :40, 0]
    assert (windows == collection.images[rows[0]]).all((2, 3, 4)).any()


def test_the_preview_needs_no_run(collection_folder, tmp_path, capsys):
    assert artgan("train", "--collection", collection_folder, "--preview-augment", tmp_path / "new" / "sheet.png") == 0
    assert picture_of(tmp_path / "new" / "sheet.png").shape[1] >= 8 * 32


def test_a_preview_takes_the_place_of_no_file(collection_folder, tmp_path, capsys):
    """A config given in its place, most easily."""
    (tmp_path / "my.yaml").write_text("seed: 1\n")
    words = ("train", "--collection", collection_folder, "--preview-augment")
    refused(capsys, 2, r"my\.yaml is there already: give a new file such as augmented\.png", *words, tmp_path / "my.yaml")
    refused(capsys, 2, r"sheet is no name for a sheet: give a new file", *words, tmp_path / "sheet")
    assert (tmp_path / "my.yaml").read_text() == "seed: 1\n"


def picture_of(path):
    with Image.open(path) as image:
        return np.asarray(image)


def test_diversity_is_the_mean_distance():
    pictures = np.zeros((3, 16, 16, 3), np.uint8)
    pictures[1] = 255
    assert watchdog.diversity(pictures) == pytest.approx((1 + 0 + 1) / 3)


def test_a_collapsed_generator_and_a_rising_metric_are_called_so(collection):
    one = np.repeat(collection.images[:1], 16, 0)
    assert watchdog.relative_diversity(one, collection) == 0
    assert watchdog.relative_diversity(collection.images[collection.train_rows[:16]], collection) == pytest.approx(1, abs=0.4)
    history = [(10_000, 0.5), (20_000, 0.1), (30_000, 0.2), (40_000, 0.3), (50_000, 0.4)]
    found = watchdog.warnings(0.1, 0.9, history)
    assert set(found) == {"collapse", "overfitting", "metric"}
    assert "KID has been worse than at 20.0 kimg for 3 evaluations" in found["metric"]
    assert watchdog.warnings(0.9, 0.2, history[:3]) == {}
    assert watchdog.warnings(0.02, None, [(64, 0.5)]) == {}  # nothing is learned yet
    assert watchdog.evaluations_since_best([3, 1, 2, 2]) == 2


def test_overfitting_is_the_papers_ratio(sources, tmp_path):
    """A discriminator that knows its training pictures, and takes all else for generated, is at 1; one that does not, at 0."""
    prepare([sources], tmp_path / "c", Recipe(32, 32, holdout=0.3))
    collection = open_collection(tmp_path / "c")
    known = {collection.images[row].tobytes() for row in collection.train_rows}
    real = known | {collection.images[row].tobytes() for row in collection.holdout_rows}

    class ByHeart(torch.nn.Module):
        def __init__(self, pictures):
            super().__init__()
            self.weight, self.pictures = torch.nn.Parameter(torch.zeros(1)), pictures

        def forward(self, images, labels):
            assert len(images) == len(labels) <= 8  # not all at once: training may have had to take pieces
            pixels = ((images + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
            return torch.tensor([[1.0 if np.ascontiguousarray(x).tobytes() in self.pictures else -1.0] for x in pixels])

    fake = np.random.default_rng(0).integers(0, 256, (16, 32, 32, 3), dtype=np.uint8)
    assert watchdog.overfitting(ByHeart(known), collection, fake, False) == pytest.approx(1)
    assert watchdog.overfitting(ByHeart(real), collection, fake, False) == pytest.approx(0)


def test_patience_ends_a_run_that_gets_no_better(collection, tmp_path, monkeypatch):
    config = tiny(training__patience=2, training__evaluate_every_kimg=0.008, training__total_kimg=0.4)
    values = iter([0.5, 0.3, 0.4, 0.6, 0.2, 0.1])
    from artgan.training import outputs

    evaluate = outputs.evaluate_generator

    def judged(*arguments, **options):
        line = evaluate(*arguments, **options)
        line["metrics"]["kid"] = {"value": next(values), "low": None, "high": None}
        return line

    monkeypatch.setattr(outputs, "evaluate_generator", judged)
    state, outcome = run(config, collection, tmp_path)
    assert outcome is Outcome.NO_BETTER
    assert state.images_seen == 36  # the evaluation at 32 images was the second without a better one
    assert run(config, collection, tmp_path)[1] is Outcome.NO_BETTER  # the history is the run's, not the session's


def test_the_runs_page_has_curves_sheets_and_nearest_pictures(collection, tmp_path):
    run(combined({"model.generator": "stylegan2", "model.discriminator": "stylegan2", "augment.name": "ada",
                  "objective.name": "nonsaturating"}), collection, tmp_path)  # fmt: skip
    page = (tmp_path / "report.html").read_text()
    for words in ("Samples over time", "Nearest training pictures", "gradient penalty", "path length", "augmentation"):
        assert words in page
    assert "r1_gamma" in page
    assert page.count("data:image/png;base64,") >= 4
    assert not re.findall(r"<(?:img|script|link)[^>]+(?:src|href)=\"(?!data:)", page)
    assert picture_of(tmp_path / "nearest.png").shape[1] >= 8 * 32


def test_what_does_not_go_together_is_refused_with_the_reason():
    def reason(**values):
        with pytest.raises(ConfigError) as caught:
            with_values(RunConfig(), {key.replace("__", "."): value for key, value in values.items()})
        return str(caught.value)

    assert "couples the images of a batch" in reason(objective__path_length_weight=2)
    assert "has no styles by layer" in reason(objective__path_length_weight=2, model__generator="r3gan")
    assert "has one style for all" in reason(model__style_mixing=0.5, model__generator="r3gan")
    assert "set augment.probability, for example 0.3" in reason(augment__name="ada", objective__name="relativistic")
    assert "nothing else holds the slopes" in reason(model__discriminator="r3gan", objective__r1_gamma=0)
    assert "has no stages to freeze" in reason(training__freeze_stages=2)
    assert "is larger than training.batch_size" in reason(training__micro_batch=32)
    assert "must be multiples of 4" in reason(model__discriminator="stylegan2", training__micro_batch=6)
    assert "model.backbone = random has no effect: the fastgan discriminator has none" in reason(
        model__discriminator="fastgan", model__backbone="random"
    )
    assert "augment.probability = 0.3 has no effect: diffaugment reads policies" in reason(augment__probability=0.3)
    assert "augment.policies = ('cutout',) has no effect: ada reads pipe, probability, max_probability" in reason(
        augment__name="ada", augment__policies=["cutout"]
    )
    assert "model.mapping_layers = 8 has no effect" in reason(model__generator="r3gan", model__mapping_layers=8)
    assert "objective.r1_gamma = -1" in reason(objective__r1_gamma=-1)
    both = reason(model__discriminator="r3gan", objective__r1_gamma=0, training__micro_batch=32)
    assert "nothing else holds" in both
    assert "is larger" in both


def test_what_is_left_open_is_filled_in_and_written(collection, tmp_path):
    run(combined({"model.discriminator": "r3gan"}), collection, tmp_path, stop_requested=stop_after(1))
    written = load_config(tmp_path / "config.yaml")
    assert written.objective.r1_gamma == pytest.approx(0.0002 * 32 * 32 / 8)
    assert (written.objective.r2_gamma, written.training.discriminator_lr) == (0, 2e-4)
    assert written.model.style_mixing == 0


def test_one_picture_or_a_missing_class_is_refused(collection, tmp_path):
    alone = dataclasses.replace(collection, train_rows=collection.train_rows[:1])
    with pytest.raises(ConfigError, match=r"has 1 picture\(s\), training needs 2"):
        open_session(tiny(training__batch_size=1), alone, tmp_path / "run")
    kept = collection.train_rows[collection.labels[collection.train_rows] != 2]
    without = dataclasses.replace(collection, train_rows=kept)
    with pytest.raises(ConfigError, match=rf"no training picture of class {collection.classes[2]}"):
        open_session(tiny(model__conditional=True), without, tmp_path / "run")
    open_session(tiny(), without, tmp_path / "run")
