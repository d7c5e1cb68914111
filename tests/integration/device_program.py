"""The whole way on a pretend accelerator, in a process of its own: COLLECTION PICTURE FOLDER."""

import sys
from pathlib import Path

import torch

from artgan import devices
from tests.pretend_device import NOTES, pretend_device

torch.inference_mode = torch.no_grad  # tensors with a wrapper have no inference form; taken before the verbs are imported


def choose_device(name: str, local_rank: int = 0) -> torch.device:
    return torch.device("pretend", 0)


devices.choose_device = choose_device

from artgan.config import dump_config  # noqa: E402
from artgan.datasets.collection import open_collection  # noqa: E402
from artgan.datasets.sampler import Batches  # noqa: E402
from artgan.training.context import build_context  # noqa: E402
from artgan.training.ema import update_ema  # noqa: E402
from artgan.training.micro_batches import PiecewiseSteps  # noqa: E402
from artgan.training.session import open_session  # noqa: E402
from artgan.training.steps import discriminator_step, generator_step  # noqa: E402
from tests.integration.test_cli import artgan  # noqa: E402
from tests.integration.test_resume import COMBINATIONS, combined, tiny  # noqa: E402


def steps_wait_for_nothing(collection: Path, out: Path) -> None:
    """No step reads a value back, and what goes up is page-locked first (`devices.send`)."""
    for index, values in enumerate(({}, *COMBINATIONS[:4])):  # the rest are other pairs of the same parts
        session = open_session(combined(values), open_collection(collection), out / str(index))
        state, context = session.state, build_context(session)
        batches = Batches(session.collection, 0, session.device, horizontal_flip=True)
        steps = PiecewiseSteps(state, context, print)
        NOTES.clear()
        for _ in range(2):  # penalties fall on the first
            images, labels = batches.batch(state.images_seen, 8)
            steps.take(discriminator_step, images, labels)
            steps.take(generator_step, images if context.objective.paired else None, labels)
            update_ema(state.ema, state.generator, 0.99)
            state.images_seen += 8
        assert all(parameter.device.type == "pretend" for parameter in state.generator.parameters())
        assert not NOTES.waits, (values, NOTES.waits)
        assert set(NOTES.uploads) == {"devices.py:send"}, (values, NOTES.uploads)


def verbs_go_through(collection: Path, picture: Path, out: Path) -> None:
    """Train, go on, evaluate, sample, film, project, find directions, refine: a batch at once, as on a GPU."""
    (out / "run.yaml").write_text(dump_config(tiny(training__total_kimg=0.024)))
    run = str(out / "run")
    train = ["train", str(out / "run.yaml"), "--collection", str(collection), "--run", run]
    untrained = ["--style", str(picture), "--backbone", "random", "--size", "64"]
    for words in (
        [*train, "--set", "training.total_kimg=0.016"],
        train,
        ["evaluate", run, "--collection", str(collection), "--features", "random", "--num-generated", "8"],
        ["sample", run, "--out", str(out / "samples"), "--seeds", "0-2", "--truncation", "0.7"],
        ["video", run, "--seeds", "1,2", "--steps", "2", "--out", str(out / "walk.gif")],
        ["project", run, str(picture), "--out", str(out / "projected"), "--steps", "2", "--backbone", "random"],
        ["directions", run, "--out", str(out / "directions")],
        ["refine", str(out / "samples"), *untrained, "--set", "style.iterations=3", "--out", str(out / "refined")],
        ["refine", str(out / "samples"), *untrained, "--style-loss", "sliced", "--set", "style.optimizer=adam",
         "--set", "style.iterations=2", "--color", "match", "--out", str(out / "sliced")],
    ):  # fmt: skip
        NOTES.clear()
        assert artgan(*words) == 0, words
        if words[0] == "refine":
            assert NOTES.uploads["refine/canvas.py:image_tensor"] == 1, NOTES.uploads  # three pictures


if __name__ == "__main__":
    folders = [Path(word) for word in sys.argv[1:]]
    with pretend_device():
        steps_wait_for_nothing(folders[0], folders[2] / "steps")
        verbs_go_through(*folders)
