"""Steps that go wrong: skipped one by one, and a way back where they do not stop."""

import json

import pytest
import torch

from artgan.evaluation import Judge
from artgan.progress import Progress
from artgan.training.checkpoint import checkpoint_name, list_checkpoints, load_newest
from artgan.training.context import build_context
from artgan.training.loop import Outcome, train
from artgan.training.passes import Passes
from artgan.training.run_log import Breakdown, read_metrics
from artgan.training.session import open_session
from artgan.training.state import state_tensors
from tests.integration.test_resume import combined, tiny

# Of every two log intervals, one has a step with R1.
RARE = {
    "model.discriminator": "r3gan", "objective.penalty_every": 4, "training.log_every_kimg": 0.016,
    "training.evaluate_every_kimg": 0.032, "training.checkpoint_every_kimg": 0.064,
}  # fmt: skip


def poison(session, steps):
    """Make the gradients of some steps not a number, as a blow-up does."""
    context_of = build_context(session)
    judge, count = type(context_of.passes).judge, [0]

    def judging(self, images, labels, auxiliary):
        logits, loss, features = judge(self, images, labels, auxiliary)
        if auxiliary:
            count[0] += 1
        return (logits * float("nan") if count[0] in steps else logits), loss, features

    return judging


def test_a_step_without_finite_gradients_is_skipped_and_counted(collection, tmp_path, monkeypatch):
    config = tiny(model__discriminator="fastgan")
    session = open_session(config, collection, tmp_path)
    monkeypatch.setattr("artgan.training.passes.Passes.judge", poison(session, {3}))
    assert train(session, Judge("random", collection, torch.device("cpu"))) is Outcome.FINISHED
    lines = [line for line in read_metrics(tmp_path) if line["kind"] == "train"]
    assert [line["skipped/discriminator"] for line in lines] == [0, 0.5, 0, 0, 0, 0]
    assert all(tensor.isfinite().all() for tensor in state_tensors(session.state).values())


def test_a_generator_that_is_not_finite_once_leaves_no_trace(collection, tmp_path):
    """Batch norm takes its running statistics on the way, before anyone knows that the step will be skipped."""
    config = tiny(model__discriminator="fastgan")
    session, calls = open_session(config, collection, tmp_path), [0]

    def blow_up(module, inputs):
        calls[0] += 1
        return inputs[0] * (float("nan") if calls[0] in (5, 10) else 1.0)  # in a step of D, and in one of G

    session.state.generator.stages[0].convs[0].norm.register_forward_pre_hook(blow_up)
    assert train(session, Judge("random", collection, torch.device("cpu"))) is Outcome.FINISHED
    lines = [line for line in read_metrics(tmp_path) if line["kind"] == "train"]
    assert [line["skipped/discriminator"] for line in lines] == [0, 0.5, 0, 0, 0, 0]
    assert [line["skipped/generator"] for line in lines] == [0, 0, 0.5, 0, 0, 0]
    assert all(tensor.isfinite().all() for tensor in load_newest(tmp_path / "checkpoints").tensors.values())
    assert session.state.generator.base_norm.num_batches_tracked == 24 - 2


def test_a_breakdown_goes_back_to_the_checkpoint_with_half_the_rate(collection, tmp_path, monkeypatch):
    config = tiny(model__discriminator="fastgan", training__checkpoint_every_kimg=0.024)
    session = open_session(config, collection, tmp_path)
    monkeypatch.setattr("artgan.training.passes.Passes.judge", poison(session, {7, 8}))  # from 24 to 32 images
    said: list[Progress] = []
    judge = Judge("random", collection, torch.device("cpu"))
    assert train(session, judge, on_progress=said.append) is Outcome.FINISHED
    told = [event.note for event in said if "training broke down" in event.note]
    assert len(told) == 1
    assert "at 32 images seen: back to 24 with 0.5 times the learning rates" in told[0]
    (line,) = [line for line in read_metrics(tmp_path) if line.get("about") == "breakdown"]
    assert (line["images_seen"], line["broken_at"], line["text"]) == (24, 32, told[0])
    assert session.state.learning_rate_factor == 0.5
    assert session.state.optimizer_generator.param_groups[0]["lr"] == pytest.approx(config_rate(session) / 2)
    seen = [line["images_seen"] for line in read_metrics(tmp_path) if line["kind"] == "train"]
    assert seen == [8, 16, 24, 32, 40, 48]
    judged = [line["images_seen"] for line in read_metrics(tmp_path) if line["kind"] == "metrics"]
    assert judged == [24, 48]  # the one at the checkpoint once
    assert load_newest(tmp_path / "checkpoints").info["learning_rate_factor"] == 0.5
    assert open_session(config, collection, tmp_path).state.learning_rate_factor == 0.5


def config_rate(session):
    return session.config.training.generator_lr


def test_a_breakdown_after_the_return_goes_back_further(collection, tmp_path, monkeypatch):
    """The newest checkpoint may have been ruined before it was written."""
    config = tiny(model__discriminator="fastgan", training__checkpoint_every_kimg=0.016, training__keep_checkpoints=3)
    session = open_session(config, collection, tmp_path)
    # From 32 to 40 images, and again when it comes from 32; from 16, the third time, there is nothing wrong.
    monkeypatch.setattr("artgan.training.passes.Passes.judge", poison(session, {9, 10, 11, 12}))
    said: list[Progress] = []
    judge = Judge("random", collection, torch.device("cpu"))
    assert train(session, judge, on_progress=said.append) is Outcome.FINISHED
    told = [event.note for event in said if "training broke down" in event.note]
    assert [note.partition(": back to ")[2].partition(" ")[0] for note in told] == ["32", "16"]
    assert session.state.learning_rate_factor == 0.25
    folder = tmp_path / "checkpoints"
    assert [path.name[-2:] for path in list_checkpoints(folder)] == ["16", "32", "48"]
    assert (folder / f"ruined-{checkpoint_name(32)}").is_dir()
    noted = [(line["images_seen"], line["broken_at"]) for line in read_metrics(tmp_path) if line.get("about") == "breakdown"]
    assert noted == [(32, 40), (16, 40)]
    judged = [line["images_seen"] for line in read_metrics(tmp_path) if line["kind"] == "metrics"]
    assert judged == [24, 48]


def test_what_no_return_mends_keeps_its_checkpoints(collection, tmp_path, monkeypatch):
    config = tiny(model__discriminator="fastgan", training__checkpoint_every_kimg=0.008, training__keep_checkpoints=9)
    session = open_session(config, collection, tmp_path)
    monkeypatch.setattr("artgan.training.passes.Passes.judge", poison(session, set(range(9, 99))))
    with pytest.raises(Breakdown):
        train(session, Judge("random", collection, torch.device("cpu")))
    whole = [*list_checkpoints(tmp_path / "checkpoints"), *(tmp_path / "checkpoints").glob("ruined-*")]
    assert sorted(path.name[-2:] for path in whole) == ["08", "16", "24", "32"]
    assert json.loads((tmp_path / "status.json").read_text())["state"] == "failed"


def test_one_penalty_that_is_not_finite_is_one_skipped_step(collection, tmp_path, monkeypatch):
    """No other step of its log interval has that penalty."""
    slopes, count = Passes.slopes, [0]

    def once(self, images, labels):
        count[0] += 1
        return slopes(self, images, labels) * (float("nan") if count[0] == 2 else 1.0)

    monkeypatch.setattr(Passes, "slopes", once)
    config = combined(RARE)
    session = open_session(config, collection, tmp_path)
    assert train(session, Judge("random", collection, torch.device("cpu"))) is Outcome.FINISHED
    assert session.state.learning_rate_factor == 1
    lines = [line for line in read_metrics(tmp_path) if line["kind"] == "train"]
    assert ["penalty/r1" in line for line in lines] == [True, False, False, False, True, False]
    assert [line["skipped/discriminator"] for line in lines] == [0, 0, 0.5, 0, 0, 0]


def test_penalties_that_are_never_finite_are_a_breakdown(collection, tmp_path, monkeypatch):
    monkeypatch.setattr(Passes, "slopes", lambda self, images, labels: images.sum((1, 2, 3)) * float("nan"))
    config = combined(RARE)
    session = open_session(config, collection, tmp_path)
    with pytest.raises(Breakdown, match=r"penalty/r1 is not finite"):
        train(session, Judge("random", collection, torch.device("cpu")))


def test_a_last_step_that_goes_wrong_does_not_keep_a_run_from_ending(collection, tmp_path, monkeypatch):
    config = tiny(model__discriminator="fastgan", training__total_kimg=0.028)  # seven steps, the last after a log point
    session = open_session(config, collection, tmp_path)
    monkeypatch.setattr("artgan.training.passes.Passes.judge", poison(session, {7}))
    assert train(session, Judge("random", collection, torch.device("cpu"))) is Outcome.FINISHED
    assert load_newest(tmp_path / "checkpoints").info["images_seen"] == 28
