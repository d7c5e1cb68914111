"""Two hosts, one cut off and back: network namespaces with a cable between them, a process of a run in each."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress

import pytest

from artgan.training.checkpoint import load_newest
from artgan.training.run_log import read_metrics
from tests.conftest import ROOT
from tests.integration.test_distributed import children_of
from tests.integration.test_resume import assert_same

ADDRESSES = ("10.77.0.1", "10.77.0.2")
PORT = 29517
PATIENCE_SECONDS = 60  # beyond what starting takes where much else runs
EVERY, TOTAL = 40, 600  # images
SETTINGS = {
    "model.generator": "r3gan",
    "model.discriminator": "r3gan",
    "objective.name": "relativistic",
    "model.width": 2,
    "model.discriminator_width": 2,
    "model.latent_dim": 4,
    "training.batch_size": 4,
    "training.total_kimg": TOTAL / 1000,
    "training.log_every_kimg": 0.004,
    "training.sample_every_kimg": 10,
    "training.evaluate_every_kimg": 10,
    "training.checkpoint_every_kimg": EVERY / 1000,
    "training.device": "cpu",
    "training.precision": "float32",
    "evaluation.features": "random",
    "evaluation.num_generated": 8,
}


def ip(*words):
    return subprocess.run(["ip", *words], capture_output=True, text=True, check=False)


@pytest.fixture
def hosts():
    """Make two hosts and the cable between them; yield what runs a command in one, and what pulls the cable."""
    mark = os.getpid()
    names, ends = [f"artgan-{mark}-{side}" for side in "ab"], [f"ag{mark}{side}"[-15:] for side in "ab"]
    try:
        for name in names:
            if (made := ip("netns", "add", name)).returncode:
                pytest.skip(f"no network namespaces here: {made.stderr.strip()}")
        made = ip("link", "add", ends[0], "netns", names[0], "type", "veth", "peer", "name", ends[1], "netns", names[1])
        assert made.returncode == 0, made.stderr
        for name, end, address in zip(names, ends, ADDRESSES, strict=True):
            assert ip("-n", name, "addr", "add", f"{address}/24", "dev", end).returncode == 0
            assert all(ip("-n", name, "link", "set", link, "up").returncode == 0 for link in ("lo", end))

        def start(host, *words):
            environment = os.environ | {
                "OMP_NUM_THREADS": "1",
                "PYTHONPATH": str(ROOT),
                "GLOO_SOCKET_IFNAME": ends[host],
                "ARTGAN_PATIENCE_SECONDS": str(PATIENCE_SECONDS),
            }
            inside = ["ip", "netns", "exec", names[host], sys.executable, *words]
            return subprocess.Popen(inside, env=environment, cwd=ROOT, text=True, stderr=subprocess.PIPE)

        @contextmanager
        def cut_off():
            assert ip("-n", names[1], "link", "set", ends[1], "down").returncode == 0
            yield
            assert ip("-n", names[1], "link", "set", ends[1], "up").returncode == 0

        yield start, cut_off
    finally:
        for name in names:
            ip("netns", "del", name)


def train(start, collection, run, total=TOTAL):
    """Start a run on both hosts."""
    settings = SETTINGS | {"training.total_kimg": total / 1000}
    sets = [f"--set={key}={json.dumps(value)}" for key, value in settings.items()]
    verb = ["-m", "--", "artgan", "train", "--collection", str(collection), "--run", str(run), "--quiet", *sets]
    torchrun = ["-m", "torch.distributed.run", "--nnodes=2", "--nproc-per-node=1", f"--master-addr={ADDRESSES[0]}"]
    return [start(host, *torchrun, f"--master-port={PORT}", f"--node-rank={host}", *verb) for host in (0, 1)]


def wait_for(run, images, processes):
    """Wait until a run has lines up to so many images."""
    while not any(line["images_seen"] >= images for line in read_metrics(run)):
        assert all(process.poll() is None for process in processes), [process.communicate()[1] for process in processes]
        time.sleep(0.05)


def ended(processes):
    try:
        return [(process.communicate(timeout=900)[1], process.returncode) for process in processes]
    finally:
        for child in [child for process in processes for child in (*children_of(process.pid), process.pid)]:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_a_host_that_is_cut_off_and_back_goes_on_or_ends_in_words(hosts, collection_folder, tmp_path):
    """Cut off for a moment, the run waits and is the run that nobody cut; for longer, both end and the same command goes on."""
    start, cut_off = hosts
    calm, run = tmp_path / "calm", tmp_path / "run"
    assert [code for _, code in ended(train(start, collection_folder, calm))] == [0, 0]

    processes = train(start, collection_folder, run)
    wait_for(run, 2 * EVERY, processes)
    with cut_off():
        time.sleep(1)  # what was on its way has arrived
        reached = read_metrics(run)[-1]["images_seen"]
        time.sleep(2)
        assert read_metrics(run)[-1]["images_seen"] == reached < TOTAL // 2  # nobody trains alone
    wait_for(run, reached + EVERY, processes)
    with cut_off():
        told = ended(processes)
    assert all(code for _, code in told), told
    assert any("waited" in words or "connection" in words.lower() for words, _ in told), told
    kept, seen = load_newest(run / "checkpoints").info["images_seen"], read_metrics(run)[-1]["images_seen"]
    assert 0 <= seen - kept < EVERY + 4
    assert kept >= reached

    assert [code for _, code in ended(train(start, collection_folder, run))] == [0, 0]
    assert_same(load_newest(run / "checkpoints").tensors, load_newest(calm / "checkpoints").tensors)
    lines = [line["images_seen"] for line in read_metrics(run) if line["kind"] == "train"]
    assert lines == list(range(4, TOTAL + 1, 4))
