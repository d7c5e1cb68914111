"""Training, stopping and going on: the same tensors as if nothing had happened."""

import json
import signal

import pytest
import torch
import yaml
from safetensors.torch import save_file
from torchvision.models import squeezenet1_1

from artgan.config import RunConfig, with_values
from artgan.datasets.collection import open_collection
from artgan.datasets.prepare import prepare
from artgan.datasets.recipe import Recipe
from artgan.datasets.sampler import Batches
from artgan.errors import ArtganError, CheckpointError, ConfigError
from artgan.evaluation import Judge
from artgan.generation.model_folder import load_model
from artgan.models import DISCRIMINATORS
from artgan.storage import seal
from artgan.training import outputs
from artgan.training.checkpoint import list_checkpoints, load_newest
from artgan.training.context import build_context
from artgan.training.loop import Outcome, train
from artgan.training.run_log import read_metrics
from artgan.training.session import open_session
from artgan.training.state import load_tensors, state_tensors
from artgan.training.steps import discriminator_step, generator_step

TINY = {
    "model.backbone": "random",
    "model.backbone_input_px": 64,
    "model.width": 8,
    "model.discriminator_width": 8,
    "model.latent_dim": 16,
    "training.batch_size": 4,
    "training.total_kimg": 0.048,
    "training.log_every_kimg": 0.008,
    "training.sample_every_kimg": 0.016,
    "training.evaluate_every_kimg": 0.024,
    "training.checkpoint_every_kimg": 0.016,
    "training.device": "cpu",
    "evaluation.features": "random",
    "evaluation.num_generated": 8,
}


def tiny(**values):
    given = TINY | {key.replace("__", "."): value for key, value in values.items()}
    if given.get("model.discriminator", "projected") != "projected":  # which alone has a backbone
        given = {key: value for key, value in given.items() if not key.startswith("model.backbone")}
    return with_values(RunConfig(), given)


def run(config, collection, folder, stop_requested=lambda session: None, **options):
    judge = Judge(config.evaluation.features, collection, torch.device("cpu"))
    session = open_session(config, collection, folder)
    outcome = train(session, judge, stop_requested=lambda: stop_requested(session), **options)
    return session.state, outcome


def stop_after(steps):
    """Ask to stop once a session has taken so many steps."""

    def stop_requested(session):
        taken = (session.state.images_seen - session.resumed_at) // session.config.training.batch_size
        return signal.SIGTERM if taken >= steps else None

    return stop_requested


def assert_same(first, second):
    assert first.keys() == second.keys()
    different = [name for name in first if not torch.equal(first[name], second[name])]
    assert not different


# Every discriminator, two of them in bfloat16 with classes as well; the other combinations are for --long.
@pytest.mark.parametrize(
    ("discriminator", "precision", "conditional"),
    [
        *((name, "float32", False) for name in DISCRIMINATORS),
        *((name, "bfloat16", True) for name in ("projected", "stylegan2")),
        *(pytest.param(name, "bfloat16", True, marks=pytest.mark.long) for name in ("fastgan", "r3gan")),
        *(pytest.param(name, "float32", True, marks=pytest.mark.long) for name in DISCRIMINATORS),
        *(pytest.param(name, "bfloat16", False, marks=pytest.mark.long) for name in DISCRIMINATORS),
    ],
)
def test_train_2n_equals_train_n_stop_train_n(collection, tmp_path, discriminator, precision, conditional):
    config = tiny(model__discriminator=discriminator, training__precision=precision, model__conditional=conditional)
    whole, outcome = run(config, collection, tmp_path / "whole")
    assert outcome is Outcome.FINISHED
    half, outcome = run(config, collection, tmp_path / "parts", stop_requested=stop_after(5))
    assert outcome is Outcome.STOPPED
    assert half.images_seen == 20  # not a multiple of any interval
    resumed, outcome = run(config, collection, tmp_path / "parts")
    assert outcome is Outcome.FINISHED
    assert resumed.images_seen == whole.images_seen == 48
    assert_same(state_tensors(whole), state_tensors(resumed))
    assert_same(
        load_newest(tmp_path / "whole" / "checkpoints").tensors, load_newest(tmp_path / "parts" / "checkpoints").tensors
    )


COMBINATIONS = [
    {
        "model.generator": "stylegan2", "model.discriminator": "stylegan2", "objective.name": "nonsaturating",
        "augment.name": "ada",
    },
    {"model.generator": "r3gan", "model.discriminator": "r3gan", "objective.name": "relativistic"},
    {
        "model.generator": "stylegan2", "model.discriminator": "projected", "objective.name": "hinge",
        "augment.name": "ada", "augment.pipe": "bgc", "training.precision": "bfloat16", "model.conditional": True,
        "model.backbone_rate": 0.1, "model.backbone_kimg": 0.04,
    },
    {
        "model.generator": "fastgan", "model.discriminator": "fastgan", "objective.name": "relativistic",
        "augment.name": "ada", "augment.probability": 0.3, "model.conditional": True, "training.freeze_stages": 1,
    },
    {
        "model.generator": "r3gan", "model.discriminator": "stylegan2", "objective.name": "nonsaturating",
        "augment.horizontal_flip": True, "training.micro_batch": 4, "model.conditional": True,
    },
    {"model.generator": "fastgan", "model.discriminator": "r3gan", "objective.name": "hinge", "training.micro_batch": 3},
]  # fmt: skip


def for_long(cases, *places):
    """Leave the cases at some places to --long: their parts are in the others as well, in other pairs."""
    return [pytest.param(case, marks=pytest.mark.long) if place in places else case for place, case in enumerate(cases)]


def combined(values, **more):
    shorter = {"training.batch_size": 8, "objective.penalty_every": 2, "training.total_kimg": 0.096}
    shorter |= {"training.evaluate_every_kimg": 0.048}
    return tiny(**more | shorter | values)


@pytest.mark.parametrize("values", for_long(COMBINATIONS, 5), ids=lambda values: "-".join(map(str, values.values())))
def test_every_combination_resumes_exactly(collection, tmp_path, values):
    """State of every kind: probability and signs of ADA, mean path length, penalties by interval, frozen stages, pieces."""
    config = combined(values)
    whole, _ = run(config, collection, tmp_path / "whole")
    half, outcome = run(config, collection, tmp_path / "parts", stop_requested=stop_after(5))
    assert (outcome, half.images_seen) == (Outcome.STOPPED, 40)
    resumed, _ = run(config, collection, tmp_path / "parts")
    assert resumed.images_seen == whole.images_seen == 96
    assert_same(state_tensors(whole), state_tensors(resumed))
    if values.get("objective.name") != "hinge" and values["model.generator"] == "stylegan2":
        assert whole.path_length.mean > 0
    if values.get("augment.name") == "ada" and "augment.probability" not in values:
        assert half.augment.sign_count == 1  # of four steps between two moves of the probability


# Pairs and precisions that the tests above leave out.
PAIRS = [
    {"model.generator": "stylegan2", "model.discriminator": "fastgan", "objective.name": "nonsaturating"},
    {"model.generator": "stylegan2", "model.discriminator": "r3gan", "training.precision": "bfloat16"},
    {"model.generator": "stylegan2", "model.discriminator": "stylegan2", "training.precision": "bfloat16"},
    {"model.generator": "r3gan", "model.discriminator": "projected", "training.precision": "bfloat16"},
    {"model.generator": "r3gan", "model.discriminator": "fastgan", "objective.name": "relativistic"},
]


@pytest.mark.parametrize("values", PAIRS, ids=lambda values: "-".join(map(str, values.values())))
def test_every_pair_goes_on_from_its_tensors(collection, tmp_path, values):
    """The steps alone, which are all that differs between pairs."""

    def go_on(session, count):
        state, context = session.state, build_context(session)
        batches = Batches(collection, 0, session.device, horizontal_flip=False)
        for _ in range(count):
            images, labels = batches.batch(state.images_seen, 8)
            discriminator_step(state, context, images, labels)
            generator_step(state, context, images if context.objective.paired else None, labels)
            state.images_seen += 8

    whole, resumed = (open_session(combined(values), collection, tmp_path / name) for name in ("whole", "resumed"))
    go_on(whole, 3)
    load_tensors(resumed.state, {name: tensor.clone() for name, tensor in state_tensors(whole.state).items()}, "memory")
    resumed.state.images_seen = 24
    for session in (whole, resumed):
        go_on(session, 2)
    assert_same(state_tensors(whole.state), state_tensors(resumed.state))


def test_training_changes_every_trained_tensor(collection, tmp_path):
    config = tiny(model__discriminator="projected")
    before = {
        name: value.clone() for name, value in state_tensors(open_session(config, collection, tmp_path / "a").state).items()
    }
    after, _ = run(config, collection, tmp_path / "b")
    parameters = {f"generator.{name}" for name, _ in after.generator.named_parameters()}
    parameters |= {f"discriminator.{name}" for name, _ in after.discriminator.named_parameters()}
    parameters |= {name.replace("generator.", "ema.", 1) for name in parameters if name.startswith("generator.")}
    unchanged = [name for name in parameters if torch.equal(before[name], state_tensors(after)[name])]
    assert not unchanged


def test_a_run_leaves_what_it_promises(collection, tmp_path):
    folder = tmp_path / "run"
    run(tiny(), collection, folder)
    lines = read_metrics(folder)
    assert [line["images_seen"] for line in lines if line["kind"] == "train"] == [8, 16, 24, 32, 40, 48]
    assert [line["images_seen"] for line in lines if line["kind"] == "metrics"] == [24, 48]
    sheets = sorted(path.name for path in (folder / "samples").iterdir())
    assert sheets == [f"images-{seen:012d}.png" for seen in (0, 8, 16, 32, 48)]
    assert [path.name for path in list_checkpoints(folder / "checkpoints")] == ["images-000000000032", "images-000000000048"]
    assert json.loads((folder / "status.json").read_text())["state"] == "finished"
    assert yaml.safe_load((folder / "config.yaml").read_text())["training"]["precision"] in ("float32", "bfloat16")
    assert any(path.name.startswith("events.") for path in folder.iterdir())
    for name in ("best", "latest"):
        model = load_model(folder / "model" / name)
        assert model.card.collection["pixel_hash"] == collection.pixel_hash
        assert "artgan sample" in (folder / "model" / name / "README.md").read_text()


def test_the_best_model_has_the_lowest_upper_end_of_its_kid_interval(collection, tmp_path, monkeypatch):
    intervals = iter([(0.5, 0.4, 0.6), (0.3, 0.2, 0.4), (0.2, -0.1, 0.5), (0.31, 0.25, 0.37), (0.5, 0.4, 0.6)])
    evaluate = outputs.evaluate_generator

    def judged(*arguments, **options):
        line = evaluate(*arguments, **options)
        line["metrics"]["kid"] = dict(zip(("value", "low", "high"), next(intervals), strict=True))
        return line

    monkeypatch.setattr(outputs, "evaluate_generator", judged)
    run(tiny(training__total_kimg=0.12), collection, tmp_path)
    best = load_model(tmp_path / "model" / "best").card
    assert best.images_seen == 96
    assert best.metrics["metrics"]["kid"]["value"] == 0.31


def test_too_few_pictures_for_an_interval_are_ordered_by_their_value():
    assert outputs.kid_bound({"metrics": {"kid": {"value": 0.3, "low": None, "high": None}}}) == 0.3


def test_lines_beyond_the_checkpoint_are_dropped_on_resume(collection, tmp_path):
    run(tiny(), collection, tmp_path, stop_requested=stop_after(4))
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"images_seen": 40, "kind": "train"}\n{"images_seen": 4')
    run(tiny(), collection, tmp_path)
    seen = [line["images_seen"] for line in read_metrics(tmp_path) if line["kind"] == "train"]
    assert seen == sorted(set(seen))
    assert seen[-1] == 48


def test_a_time_limit_stops_cleanly_and_goes_on(collection, tmp_path):
    state, outcome = run(tiny(training__total_kimg=1000), collection, tmp_path, minutes=0.01)
    assert outcome is Outcome.OUT_OF_TIME
    assert 0 < state.images_seen < 1_000_000
    status = json.loads((tmp_path / "status.json").read_text())
    expected = {"state": "out of time", "images_seen": state.images_seen, "total_images": 1_000_000}
    assert {key: status[key] for key in expected} == expected
    assert (tmp_path / "samples" / f"images-{state.images_seen:012d}.png").is_file()  # what it came to
    again, _ = run(tiny(training__total_kimg=1000), collection, tmp_path, minutes=0.01)
    assert again.images_seen > state.images_seen


def test_a_stop_in_the_middle_of_an_evaluation_saves_at_once_and_the_next_session_makes_it(collection, tmp_path):
    config = tiny(evaluation__num_generated=48)  # two batches of the judge
    whole, _ = run(config, collection, tmp_path / "whole")
    asked = []
    half, outcome = run(
        config,
        collection,
        tmp_path / "parts",
        stop_requested=lambda session: signal.SIGTERM if asked else None,
        on_progress=lambda event: asked.append(event) if event.note == "judging" else None,
    )
    assert (outcome, half.images_seen, len(asked)) == (Outcome.STOPPED, 24, 1)
    assert load_newest(tmp_path / "parts" / "checkpoints").info["images_seen"] == 24
    resumed, _ = run(config, collection, tmp_path / "parts")
    assert_same(state_tensors(whole), state_tensors(resumed))
    judged = [
        [line["images_seen"] for line in read_metrics(tmp_path / name) if line["kind"] == "metrics"]
        for name in ("whole", "parts")
    ]
    assert judged == [[24, 48], [24, 48]]


def test_what_is_not_finite_stops_training_by_name(collection, tmp_path):
    config = tiny()
    session = open_session(config, collection, tmp_path)
    with torch.no_grad():
        session.state.generator.base_norm.bias.fill_(float("nan"))
    judge = Judge("random", collection, torch.device("cpu"))
    with pytest.raises(ArtganError, match=r"training broke down: .*loss/generator.* is not finite at 8 images seen"):
        train(session, judge)
    assert load_newest(tmp_path / "checkpoints") is None


def test_another_collection_or_size_is_refused(collection, sources, tmp_path):
    run(tiny(), collection, tmp_path / "run", stop_requested=stop_after(2))
    prepare([sources], tmp_path / "larger", Recipe(64, 64))
    with pytest.raises(CheckpointError, match=r"was trained at 32x32 px, the collection .*larger has 64x64 px"):
        open_session(tiny(), open_collection(tmp_path / "larger"), tmp_path / "run")
    prepare([sources / "waves"], tmp_path / "other", Recipe(32, 32))
    with pytest.raises(CheckpointError, match="was trained on other pictures"):
        open_session(tiny(), open_collection(tmp_path / "other"), tmp_path / "run")


def test_other_values_are_refused_and_named_but_lengths_may_change(collection, tmp_path):
    run(tiny(), collection, tmp_path, stop_requested=stop_after(2))
    with pytest.raises(
        CheckpointError, match=r"training\.batch_size was 4, is 8.*seed was 0, is 1|seed was 0, is 1.*batch_size"
    ):
        open_session(tiny(training__batch_size=8, seed=1), collection, tmp_path)
    state, _ = run(tiny(training__total_kimg=0.056), collection, tmp_path)
    assert state.images_seen == 56


def squeezenet_weights(folder, seed):
    """Write untrained weights of SqueezeNet, as if they were pretrained ones."""
    folder.mkdir()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        save_file(squeezenet1_1(weights=None).state_dict(), folder / "squeezenet1_1.safetensors")


def test_other_weights_of_the_backbone_are_refused(collection, tmp_path, monkeypatch):
    for seed in (0, 1):
        squeezenet_weights(tmp_path / f"weights{seed}", seed)
    config = tiny(model__backbone="squeezenet1_1")
    monkeypatch.setenv("ARTGAN_WEIGHTS", str(tmp_path / "weights0"))
    run(config, collection, tmp_path / "run", stop_requested=stop_after(2))
    monkeypatch.setenv("ARTGAN_WEIGHTS", str(tmp_path / "weights1"))
    with pytest.raises(CheckpointError, match=r"with other weights of squeezenet1_1 \(sha256 \w{12}, now \w{12}\): name the"):
        open_session(config, collection, tmp_path / "run")
    newest = load_newest(tmp_path / "run" / "checkpoints").folder
    info = json.loads((newest / "state.json").read_text())
    del info["weights_sha256"]  # as checkpoints were before
    (newest / "state.json").write_text(json.dumps(info))
    seal(newest)
    assert open_session(config, collection, tmp_path / "run").resumed_at == 8


def test_a_run_keeps_its_backbone_when_others_come_to_the_machine(collection, tmp_path, monkeypatch, no_weights):
    monkeypatch.setenv("ARTGAN_CACHE", str(tmp_path / "cache"))
    open_ = tiny(model__backbone=None)
    run(open_, collection, tmp_path / "run", stop_requested=stop_after(2))
    assert load_newest(tmp_path / "run" / "checkpoints").info["config"]["model"]["backbone"] == "drawn"
    squeezenet_weights(tmp_path / "weights", 0)
    monkeypatch.setenv("ARTGAN_WEIGHTS", str(tmp_path / "weights"))
    assert open_session(open_, collection, tmp_path / "run").config.model.backbone == "drawn"
    assert open_session(open_, collection, tmp_path / "another").config.model.backbone == "squeezenet1_1"
    with pytest.raises(CheckpointError, match=r"model.backbone was drawn, is squeezenet1_1"):
        open_session(tiny(model__backbone="squeezenet1_1"), collection, tmp_path / "run")


def test_a_run_keeps_the_input_that_was_its_backbones_default(collection, tmp_path):
    former, open_ = (tiny(model__backbone="drawn", model__backbone_input_px=side) for side in (64, None))
    run(former, collection, tmp_path / "run", stop_requested=stop_after(1))
    assert open_session(open_, collection, tmp_path / "run").config.model.backbone_input_px == 64
    assert open_session(open_, collection, tmp_path / "another").config.model.backbone_input_px == 128


def test_what_former_versions_wrote_for_every_discriminator_is_no_error(collection, tmp_path):
    """They named squeezenet1_1 beside discriminators that have no backbone, too."""
    former = with_values(tiny(model__discriminator="fastgan"), {"model.backbone": "squeezenet1_1"})
    run(former, collection, tmp_path / "run", stop_requested=stop_after(1))
    assert open_session(tiny(model__discriminator="fastgan"), collection, tmp_path / "run").resumed_at


def test_a_batch_larger_than_the_collection_is_refused(collection, tmp_path):
    with pytest.raises(ConfigError, match=r"batch_size = 100 is larger than the training split .*36 pictures"):
        open_session(tiny(training__batch_size=100), collection, tmp_path)


def test_conditioning_needs_classes(sources, tmp_path):
    prepare([sources], tmp_path / "plain", Recipe(32, 32), use_labels=False)
    with pytest.raises(ConfigError, match="has no classes"):
        open_session(tiny(model__conditional=True), open_collection(tmp_path / "plain"), tmp_path / "run")
