"""Training that is killed, interrupted or left alone by its terminal, and a full disk: nothing is lost, and it is said."""

import errno
import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest
from safetensors.torch import load_file

from artgan.errors import StorageError
from artgan.generation.model_folder import load_model
from artgan.training.checkpoint import list_checkpoints, load_newest
from artgan.training.run_log import read_metrics
from tests.integration.test_resume import TINY, assert_same, run, tiny


@pytest.mark.slow
@pytest.mark.parametrize("kills", [2, pytest.param(20, marks=pytest.mark.long)])
def test_sigkill_at_random_moments_never_loses_the_run(kills, collection_folder, tmp_path):
    """Kill the command line's trainer again and again; the same command always goes on, and ends where a calm run ends."""
    options = [f"--set={key}={json.dumps(value)}" for key, value in (TINY | {"training.checkpoint_every_kimg": 0.024}).items()]
    total = 0.096 + 0.096 * kills
    options += [f"--set=training.{name}_kimg={total}" for name in ("total", "evaluate_every", "sample_every")]

    def command(folder):
        verb = ["train", "--collection", str(collection_folder), "--run", str(folder), "--quiet"]
        return [sys.executable, "-m", "artgan", *verb, *options]

    moments, reached = random.Random(0), 0
    for _ in range(kills):
        process = subprocess.Popen(command(tmp_path / "killed"), start_new_session=True)
        try:
            _wait_for_progress(tmp_path / "killed", reached, process)
            time.sleep(moments.uniform(0, 0.7))
        finally:
            process.kill()
            process.wait()
        newest = load_newest(tmp_path / "killed" / "checkpoints")
        assert newest.info["images_seen"] > reached
        reached = newest.info["images_seen"]
    subprocess.run(command(tmp_path / "killed"), check=True)
    subprocess.run(command(tmp_path / "calm"), check=True)
    assert_same(
        load_newest(tmp_path / "killed" / "checkpoints").tensors, load_newest(tmp_path / "calm" / "checkpoints").tensors
    )
    seen = [line["images_seen"] for line in read_metrics(tmp_path / "killed") if line["kind"] == "train"]
    assert seen == sorted(set(seen))


def _wait_for_progress(folder, reached, process):
    """Wait until the process has saved a checkpoint of its own."""
    for _ in range(3000):  # generous: other work may have the processor
        checkpoints = list_checkpoints(folder / "checkpoints") if (folder / "checkpoints").is_dir() else []
        if checkpoints and int(checkpoints[-1].name.removeprefix("images-")) > reached:
            return
        assert process.poll() is None, "the trainer ended before it was killed"
        time.sleep(0.1)
    raise AssertionError("the trainer made no progress in five minutes")


@pytest.mark.slow
@pytest.mark.parametrize("asked", [signal.SIGINT, signal.SIGHUP])
def test_ctrl_c_and_a_closed_terminal_save_and_exit_130(asked, collection_folder, tmp_path):
    options = [f"--set={key}={json.dumps(value)}" for key, value in TINY.items()] + ["--set=training.total_kimg=0.72"]
    verb = ["train", "--collection", str(collection_folder), "--run", str(tmp_path / "run"), "--quiet"]
    process = subprocess.Popen(
        [sys.executable, "-m", "artgan", *verb, *options],
        start_new_session=True,
        preexec_fn=lambda: signal.signal(asked, signal.SIG_DFL),  # under nohup SIGHUP is ignored, and rightly stays so
    )
    _wait_for_progress(tmp_path / "run", 0, process)
    os.kill(process.pid, asked)
    assert process.wait(timeout=60) == 130
    status = json.loads((tmp_path / "run" / "status.json").read_text())
    assert status["state"] == "stopped"
    assert load_newest(tmp_path / "run" / "checkpoints").info["images_seen"] == status["images_seen"]
    assert load_file(tmp_path / "run" / "model" / "latest" / "model.safetensors")


def test_a_damaged_best_model_is_replaced_and_a_failure_stands_in_the_status(collection, tmp_path, monkeypatch):
    run(tiny(), collection, tmp_path)
    weights = tmp_path / "model" / "best" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-9])
    said = []
    run(tiny(training__total_kimg=0.096), collection, tmp_path, on_progress=said.append)
    assert any("the present model takes its place" in event.note for event in said)
    load_model(tmp_path / "model" / "best")

    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("artgan.generation.model_folder.save_file", full)
    with pytest.raises(StorageError, match=r"cannot save the model .*: .*No space left"):
        run(tiny(training__total_kimg=0.144), collection, tmp_path)
    assert json.loads((tmp_path / "status.json").read_text())["state"] == "failed"
    load_model(tmp_path / "model" / "latest")


@pytest.mark.slow
def test_training_outlives_its_viewer(collection_folder, tmp_path):
    """`artgan train ... 2>&1 | head -1`: the reader leaves after a line, training goes on to its end."""
    options = [f"--set={key}={json.dumps(value)}" for key, value in TINY.items()] + ["--set=training.total_kimg=0.048"]
    verb = ["train", "--collection", str(collection_folder), "--run", str(tmp_path / "run")]
    process = subprocess.Popen(
        [sys.executable, "-m", "artgan", *verb, *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=120) == 0
    assert json.loads((tmp_path / "run" / "status.json").read_text())["state"] == "finished"
