"""Faults 4, 6 and 7: signals twice, and processes of a run that die, fail or answer no more."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from artgan.training.checkpoint import load_newest
from artgan.training.run_log import read_metrics
from tests.conftest import ROOT
from tests.integration.test_distributed import children_of
from tests.integration.test_resume import TINY
from tests.integration.test_stops import _wait_for_progress

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not os.path.isdir("/proc"), reason="finds processes in /proc")]


def options(**values):
    given = TINY | {key.replace("__", "."): value for key, value in values.items()}
    return [f"--set={key}={json.dumps(value)}" for key, value in given.items()]


def test_a_second_sigterm_ends_at_once_and_leaves_whole_checkpoints(collection_folder, tmp_path):
    """The second falls into the save that the first asked for, or comes after it: then that one's exit code stands."""
    run = tmp_path / "run"
    verb = ["train", "--collection", str(collection_folder), "--run", str(run), "--quiet"]
    sets = options(training__total_kimg=100, training__evaluate_every_kimg=100)
    process = subprocess.Popen([sys.executable, "-m", "artgan", *verb, *sets], start_new_session=True)
    _wait_for_progress(run, 0, process)
    process.send_signal(signal.SIGTERM)
    time.sleep(0.1)  # two at once would be one
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) in (-signal.SIGTERM, 130)
    assert load_newest(run / "checkpoints").info["images_seen"] >= 16


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_killed_process_of_two_is_started_again_from_the_last_checkpoint(collection_folder, tmp_path):
    run, times = tmp_path / "run", 2
    sets = options(training__total_kimg=0.6, training__evaluate_every_kimg=10, training__checkpoint_every_kimg=0.032)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", f"--max-restarts={times}"]
    words = ["-m", "--", "artgan", "train", "--collection", str(collection_folder), "--run", str(run), "--quiet", *sets]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([*torchrun, *words], start_new_session=True, env=environment, cwd=ROOT)
    reached = 0
    for kill in range(times):
        _wait_for_progress(run, reached, process)
        reached = load_newest(run / "checkpoints").info["images_seen"]
        commands = {pid: Path(f"/proc/{pid}/cmdline").read_text() for pid in children_of(process.pid)}
        workers = [pid for pid, command in commands.items() if "--run" in command]
        os.kill(workers[kill % 2], signal.SIGKILL)
    assert process.wait(timeout=600) == 0
    assert load_newest(run / "checkpoints").info["images_seen"] == 600
    seen = [line["images_seen"] for line in read_metrics(run) if line["kind"] == "train"]
    assert seen == sorted(set(seen))


FAILING = """
import os, signal, sys, time
from artgan.world import join_world

how, step = sys.argv[1], 3
with join_world() as world:
    for number in range(10):
        if world.rank == 1 and number == step:
            if how == "raises":
                raise ArithmeticError(f"rank {world.rank} failed at step {number}")
            os.kill(os.getpid(), signal.SIGSTOP)
        world.highest(number)
"""


@pytest.mark.timeout(240)
@pytest.mark.parametrize("how", ["raises", pytest.param("hangs", marks=pytest.mark.long)])
def test_a_process_that_fails_or_hangs_ends_the_others_by_name(how, tmp_path):
    (tmp_path / "program.py").write_text(FAILING)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "ARTGAN_PATIENCE_SECONDS": "10"}
    words = [*torchrun, str(tmp_path / "program.py"), how]
    started = time.monotonic()
    done = subprocess.run(words, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode != 0
    assert time.monotonic() - started < 180
    if how == "raises":
        assert "rank 1 failed at step 3" in done.stderr
    else:
        assert re.search(r"process 0 of 2 waited 10 s for the others, and one of them does not answer", done.stderr)
