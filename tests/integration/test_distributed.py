"""One process and two: the same numbers; a signal saves once and leaves no process behind."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from artgan.config import dump_config, with_values
from artgan.training.checkpoint import list_checkpoints, load_newest
from tests.conftest import ROOT
from tests.integration.test_resume import COMBINATIONS, TINY, combined, for_long

# Every objective, augmentation and architecture, and diffaugment under the default networks.
CASES = [
    *(values | {"training.precision": "float64", "training.micro_batch": None} for values in COMBINATIONS),
    {"model.generator": "fastgan", "model.discriminator": "projected", "objective.name": "nonsaturating"},
    {"model.generator": "stylegan2", "objective.name": "nonsaturating", "training.batch_size": 2},  # path length of one image
]
TOLERANCE = 1e-12  # of the largest value of a tensor, or of 1: Adam turns rounding in the smallest gradients into steps
# Runs every configuration of a folder, each into a run of its own, in one launch: starting torch takes longer than training.
PROGRAM = """
import sys
from pathlib import Path
import torch
from artgan.config import load_config
from artgan.datasets.collection import open_collection
from artgan.evaluation import Judge
from artgan.world import join_world
from artgan.training.loop import train
from artgan.training.session import open_session

folder, out, collection = map(Path, sys.argv[1:])
with join_world() as world:
    opened = open_collection(collection)
    judge = Judge("random", opened, torch.device("cpu"), world=world)
    for path in sorted(folder.glob("*.yaml")):
        train(open_session(load_config(path), opened, out / path.stem, world), judge)
tasks = Path("/proc/self/task")  # of Linux
threads = [task.joinpath("comm").read_text() for task in tasks.iterdir()] if tasks.is_dir() else []
assert not any("gloo" in name for name in threads), threads  # they may abort the process at its end
"""


def launch(processes, *words):
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.Popen([*torchrun, *words], start_new_session=True, env=environment, cwd=ROOT)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("cases", for_long([CASES[:4] + CASES[6:], CASES[4:6]], 1), ids=["each part", "more pairs"])
def test_two_processes_equal_one(collection_folder, tmp_path, cases):
    (tmp_path / "configs").mkdir()
    exact = {"training.precision": "float64", "training.total_kimg": 0.032}
    exact |= {f"training.{name}_every_kimg": 0.032 for name in ("sample", "evaluate", "checkpoint")}
    for index, values in enumerate(cases):
        config = with_values(combined(values), exact)
        (tmp_path / "configs" / f"{index}.yaml").write_text(dump_config(config))
    (tmp_path / "program.py").write_text(PROGRAM)
    for processes in (1, 2):
        words = [str(tmp_path / "program.py"), str(tmp_path / "configs"), str(tmp_path / f"runs{processes}"), collection_folder]
        assert launch(processes, *map(str, words)).wait(timeout=280) == 0
    for index, values in enumerate(cases):
        one, two = (load_newest(tmp_path / f"runs{n}" / str(index) / "checkpoints").tensors for n in (1, 2))
        assert one.keys() == two.keys()
        for name, tensor in one.items():
            error = (tensor.double() - two[name].double()).abs().max()
            assert error <= TOLERANCE * max(1.0, tensor.abs().max()), (values, name, error)
        lines = [
            [json.loads(line) for line in (tmp_path / f"runs{n}" / str(index) / "metrics.jsonl").read_text().splitlines()]
            for n in (1, 2)
        ]
        assert [line["images_seen"] for line in lines[0]] == [line["images_seen"] for line in lines[1]]
        for first, second in zip(*lines, strict=True):
            for key in set(first) & {"loss/generator", "loss/discriminator", "logits/real", "augment/probability"}:
                assert first[key] == pytest.approx(second[key], rel=1e-9, abs=1e-12), (values, key)
            for metric in first.get("metrics", {}):  # judged in shares, of weights that rounding to float32 may part
                assert first["metrics"][metric]["value"] == pytest.approx(second["metrics"][metric]["value"], rel=1e-4), metric
        assert any("metrics" in line for line in lines[0])
        sheets = [next((tmp_path / f"runs{n}" / str(index)).glob("samples/*32*.png")) for n in (1, 2)]
        one, two = (np.asarray(Image.open(sheet)).astype(int) for sheet in sheets)
        assert np.abs(one - two).max() <= 1, values


DISAGREEING = """
import sys
from pathlib import Path
from artgan.config import load_config
from artgan.datasets.collection import open_collection
from artgan.errors import ConfigError
from artgan.world import join_world
from artgan.training.session import open_session

config, out, collection = map(Path, sys.argv[1:])
with join_world() as world:
    try:
        open_session(load_config(config, [f"seed={world.rank}"]), open_collection(collection), out, world)
    except ConfigError as error:
        (out / str(world.rank)).write_text(str(error))
"""


@pytest.mark.slow
def test_processes_that_would_not_do_the_same_are_refused(collection_folder, tmp_path):
    (tmp_path / "config.yaml").write_text(dump_config(combined(CASES[-2])))
    (tmp_path / "program.py").write_text(DISAGREEING)
    words = [str(tmp_path / "program.py"), str(tmp_path / "config.yaml"), str(tmp_path), str(collection_folder)]
    assert launch(2, *words).wait(timeout=120) == 0
    for rank in "01":
        assert "the processes of this run do not agree: this one has 0 images seen" in (tmp_path / rank).read_text()


def children_of(process_id):
    """Return the ids of all processes below one, from /proc."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            parent = int(Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if parent == process_id:
            found += [int(entry), *children_of(int(entry))]
    return found


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(not os.path.isdir("/proc"), reason="looks for orphans in /proc")
@pytest.mark.parametrize("judging", [False, True])
def test_a_signal_to_the_launcher_saves_once_and_leaves_no_process(collection_folder, tmp_path, judging):
    """In the middle of training, and of an evaluation that would take minutes: torchrun kills what is left after 30 s."""
    options = [f"--set={key}={json.dumps(value)}" for key, value in TINY.items()]
    options += [
        "--set=training.total_kimg=50",
        "--set=training.checkpoint_every_kimg=40",
        f"--set=training.evaluate_every_kimg={0.008 if judging else 40}",
        f"--set=evaluation.num_generated={10**5 if judging else 8}",
    ]
    run = tmp_path / "run"
    process = launch(2, "-m", "--", "artgan", "train", "--collection", str(collection_folder), "--run", str(run), *options)
    for _ in range(2400):
        if (run / "metrics.jsonl").is_file() and '"train"' in (run / "metrics.jsonl").read_text():
            break
        assert process.poll() is None
        time.sleep(0.1)
    workers = children_of(process.pid)
    assert len(workers) >= 2
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=25 if judging else 120)
    status = json.loads((run / "status.json").read_text())
    assert status["state"] == "stopped"
    saved = list_checkpoints(run / "checkpoints")
    assert len(saved) == 1
    assert load_newest(run / "checkpoints").info["images_seen"] == status["images_seen"] > 0
    assert status["images_seen"] == 8 or not judging
    time.sleep(0.5)
    assert not [worker for worker in workers if os.path.exists(f"/proc/{worker}")]


@pytest.mark.parametrize("size", ["2"])
def test_an_incomplete_environment_is_one_clear_line(monkeypatch, size):
    from artgan.errors import ConfigError
    from artgan.world import join_world

    for name in ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WORLD_SIZE", size)
    missing = pytest.raises(ConfigError, match=r"WORLD_SIZE = 2, but RANK, LOCAL_RANK, .* not set: start .* with torchrun")
    with missing, join_world():
        pass
