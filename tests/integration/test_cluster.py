"""Work on a real Dask cluster: the bytes of one process, a killed worker, a scheduler that goes away, and what is refused."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest
import torch

from artgan.datasets import prepare as preparing
from artgan.datasets.prepare import prepare
from artgan.datasets.recipe import Recipe
from artgan.datasets.sources import SourceFile, find_files
from artgan.errors import ConfigError
from artgan.evaluation.judge import FULL, GLANCE, MIRRORED_GLANCE, Judge
from artgan.evaluation.reference import Reference, _mirrored
from artgan.evaluation.subjects import generator_subject
from artgan.generation.sample import Look, points_of_seeds, save_samples
from artgan.progress import silent
from artgan.workers.address import announcement, scheduler_address
from artgan.workers.tasks import ALONE, Workers, over_workers
from tests.conftest import ROOT

pytest.importorskip("distributed", reason="needs the cluster extra")

LOOK = Recipe(32, 32, holdout=0.1)
# A cluster of two processes on 127.0.0.1, each with its nanny; it ends with its standard input.
CLUSTER = """
    import sys
    from distributed import LocalCluster
    if __name__ == "__main__":
        options = dict(dashboard_address=None, host="127.0.0.1", silence_logs=50)
        with LocalCluster(n_workers=2, threads_per_worker=1, **options) as cluster:
            print(cluster.scheduler_address, flush=True)
            sys.stdin.read()
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Yield the process of a cluster and the address of its scheduler."""
    program = tmp_path_factory.mktemp("cluster") / "cluster.py"
    program.write_text(textwrap.dedent(CLUSTER))
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    words = [sys.executable, str(program)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    with subprocess.Popen(words, cwd=program.parent, env=environment, **pipes) as process:
        yield process, process.stdout.readline().strip()
        process.stdin.close()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


class KillsOnce(SourceFile):
    """A file whose first reading kills its worker, as want of memory can, and whose second one is as any other."""

    def read(self):
        mark = self.path.parent.parent / "killed"
        try:
            mark.touch(exist_ok=False)
        except FileExistsError:
            return super().read()
        return os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_worker_costs_only_its_tasks(cluster, sources, tmp_path):
    _, address = cluster
    copies = tmp_path / "in"
    copies.mkdir()
    for file in find_files([sources])[:12]:
        (copies / file.path.name).write_bytes(file.path.read_bytes())
    files = find_files([copies])
    wanted = [entries for _, entries in over_workers(lambda: lambda file: preparing._prepare_file(file, LOOK, 10**8), files)]
    deadly = [*files[:5], KillsOnce(files[5].path, files[5].name, None), *files[6:]]
    found = list(preparing._prepare_files(deadly, LOOK, Workers(cluster=address), 10**8, [copies]))
    assert (tmp_path / "killed").exists()
    assert [line for entries in found for line, _ in entries] == [line for entries in wanted for line, _ in entries]


def test_a_cluster_gives_the_bytes_of_one_process(cluster, sources, tmp_path, monkeypatch):
    _, address = cluster
    file = tmp_path / "scheduler.json"
    file.write_text(json.dumps({"address": address}))
    monkeypatch.chdir(sources.parent)
    alone = prepare([sources.name], tmp_path / "a", LOOK)
    shared = prepare([sources.name], tmp_path / "b", LOOK, workers=Workers(cluster=str(file)))
    assert alone.count == shared.count
    for name in ("index.jsonl", "images.npy", "collection.json", "contact_sheet.png"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


def test_samples_are_the_same_from_a_cluster(cluster, trained_model, tmp_path):
    """Also torch works in one thread on each side: networks may round differently for other numbers of threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    points = points_of_seeds(trained_model, range(17), Look())
    try:
        for name, workers in {"here": ALONE, "cluster": Workers(cluster=cluster[1])}.items():
            (tmp_path / name).mkdir()
            save_samples(trained_model, tmp_path / name, points, workers=workers)
    finally:
        torch.set_num_threads(threads)
    for file in (tmp_path / "here").iterdir():
        assert (tmp_path / "cluster" / file.name).read_bytes() == file.read_bytes(), file.name


def test_features_are_the_same_from_a_cluster(cluster, trained_model, collection, monkeypatch):
    monkeypatch.setattr("artgan.evaluation.judge._FEWEST_SHARED", 1)
    subject = generator_subject(collection, trained_model.generator, 70, folder=trained_model.folder)
    rows = []
    for workers in (ALONE, Workers(cluster=cluster[1])):
        judge = Judge("random", collection, torch.device("cpu"), workers=workers)
        rows.append(judge.extract(subject.pictures, subject.count, "judging", silent, takes=(FULL, GLANCE, MIRRORED_GLANCE))[:])
        train = Reference(judge)._extract(collection.train_rows, "train", _mirrored)
        rows[-1] = np.concatenate([rows[-1][:, : train.shape[1]], train])
    np.testing.assert_array_equal(*rows)


def failing(task):
    raise ConfigError(f"task {task} is not to be done")


def failure():
    return failing


def test_a_tasks_error_is_the_callers(cluster, tmp_path):
    workers = Workers(cluster=cluster[1])
    with pytest.raises(ConfigError, match="task 0 is not to be done"):
        list(over_workers(failure, [0], workers))
    with pytest.raises(ConfigError, match=r"does not see .*gone: sources and results"):
        list(over_workers(failure, [0], workers, sees=[tmp_path / "gone"]))


@pytest.mark.parametrize("address", ["tcp://10.0.0.7:8786", "tcp://somewhere.example:8786", "tcp://[::]:8786"])
def test_tasks_never_travel_in_the_clear(address, tmp_path):
    with pytest.raises(ConfigError, match="TLS"):
        scheduler_address(address)
    (tmp_path / "scheduler.json").write_text(json.dumps({"address": address}))
    with pytest.raises(ConfigError, match="TLS"):
        announcement(str(tmp_path / "scheduler.json"))


@pytest.mark.parametrize("content", ["", "[]", '{"id": 1}', "\0", '{"address": 3}'])
def test_a_file_that_is_no_schedulers_is_named(content, tmp_path):
    (tmp_path / "scheduler.json").write_text(content)
    with pytest.raises(ConfigError, match=r"scheduler\.json"):
        scheduler_address(str(tmp_path / "scheduler.json"))


def test_nobody_answers(monkeypatch):
    monkeypatch.setattr("artgan.workers.cluster._CONNECT_SECONDS", 0.5)
    with pytest.raises(ConfigError, match="no scheduler answers there"):
        list(over_workers(failure, [0], Workers(cluster="tcp://127.0.0.1:9")))


class Slow(SourceFile):
    """A file that says that it is being read, and takes long."""

    def read(self):
        (self.path.parent / "begun").touch()
        signal.pause()


def test_a_lost_scheduler_is_one_line(cluster, sources, tmp_path):  # the last one of this file: it ends the cluster
    process, address = cluster
    (tmp_path / "a.png").write_bytes(find_files([sources])[0].path.read_bytes())

    def end():
        for _ in range(300):
            if (tmp_path / "begun").exists():
                break
            threading.Event().wait(0.1)
        process.kill()

    ending = threading.Thread(target=end)
    ending.start()
    with pytest.raises(ConfigError, match=r"connection to the scheduler was lost; what is done is kept, and the same command"):
        list(preparing._prepare_files([Slow(tmp_path / "a.png", "a.png", None)], LOOK, Workers(cluster=address), 10**8, []))
    ending.join()
