"""A training run is killed again and again (SIGKILL) and goes on: what is lost each time, and that nothing else is.

./scripts/benchmark soak [--kills 100] [--json FILE]

Drawn works at 32 px, a checkpoint every five steps. Each session is a process of its own, forked from one that has imported
torch, and is killed after a random time from its start: while it opens the run, in the middle of a step, of a checkpoint, of an
evaluation. At the end the run's tensors are compared, bit for bit, with those of a run that nobody killed.
"""

import argparse
import json
import os
import random
import signal
import statistics
import sys
import tempfile
import time
import traceback
from pathlib import Path

import torch

from artgan.config import RunConfig, with_values
from artgan.datasets.collection import open_collection
from artgan.datasets.prepare import prepare
from artgan.datasets.recipe import Recipe
from artgan.datasets.synthetic import write_collection_sources
from artgan.evaluation import Judge
from artgan.training.checkpoint import list_checkpoints, load_newest
from artgan.training.loop import train
from artgan.training.run_log import read_metrics
from artgan.training.session import only_trainer, open_session

BATCH, STEPS_A_CHECKPOINT = 4, 5
MOST_STEPS = 12  # of a session before its kill
MOST_SECONDS = 0.3  # from such a step to the kill: it falls anywhere in the next steps, or in a save
AT_THE_START = 0.1  # share of the kills that wait for no step
VALUES = {
    "model.generator": "r3gan",
    "model.discriminator": "r3gan",
    "objective.name": "relativistic",
    "model.width": 2,
    "model.discriminator_width": 2,
    "model.latent_dim": 4,
    "training.batch_size": BATCH,
    "training.log_every_kimg": BATCH / 1000,
    "training.sample_every_kimg": 10 * BATCH * STEPS_A_CHECKPOINT / 1000,
    "training.evaluate_every_kimg": 3 * BATCH * STEPS_A_CHECKPOINT / 1000,
    "training.checkpoint_every_kimg": BATCH * STEPS_A_CHECKPOINT / 1000,
    "training.device": "cpu",
    "training.precision": "float32",
    "evaluation.features": "random",
    "evaluation.num_generated": 8,
}


def start(collection: Path, run: Path, images: int) -> int:
    """Train a run to a number of images in a process of its own; return its id."""
    child = os.fork()
    if child:
        return child
    try:
        config = with_values(RunConfig(), VALUES | {"training.total_kimg": images / 1000})
        opened = open_collection(collection)
        with only_trainer(run):
            train(open_session(config, opened, run), Judge("random", opened, torch.device("cpu")))
    except BaseException:  # a fork must never return into what its parent is doing
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def seen(run: Path) -> int:
    """Return how many images the run's lines say were trained on."""
    lines = read_metrics(run)
    return lines[-1]["images_seen"] if lines else 0


def saved(run: Path) -> int:
    """Return how many images the newest checkpoint was trained on, verified as resuming does."""
    newest = load_newest(run / "checkpoints") if (run / "checkpoints").is_dir() else None
    return newest.info["images_seen"] if newest else 0


def kill_once(collection: Path, run: Path, moments: random.Random) -> dict[str, float]:
    """Start a session, kill it after a random time, and return what stands."""
    before = saved(run)
    child = start(collection, run, 10**9)
    goal = before + (0 if moments.random() < AT_THE_START else moments.randint(1, MOST_STEPS) * BATCH)
    deadline = time.monotonic() + 120
    while seen(run) < goal and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(moments.uniform(0, MOST_SECONDS))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    reached, stands = seen(run), saved(run)
    assert stands >= before, "a checkpoint was lost"
    left = [path.name for path in (run / "checkpoints").iterdir()] if (run / "checkpoints").is_dir() else []
    return {
        "reached": max(reached, stands),
        "stands": stands,
        "lost": max(0, reached - stands),
        "in_a_save": any(name.startswith(".") for name in left),
    }


def soak(folder: Path, kills: int, seed: int = 0) -> list[dict[str, float]]:
    """Kill a run so often, and return what each kill cost.

    Raises:
        AssertionError: something was lost that a checkpoint held.
    """
    write_collection_sources(folder / "sources", works_per_class=8)
    prepare([folder / "sources"], folder / "drawn", Recipe(32, 32, holdout=0.1))
    moments, found = random.Random(seed), []
    for number in range(kills):
        found.append(kill_once(folder / "drawn", folder / "killed", moments))
        print(f"kill {number + 1}: {found[-1]}", file=sys.stderr, flush=True)
    return found


def compare(folder: Path) -> None:
    """Let the run end, and compare it with one that is left alone.

    Raises:
        AssertionError: a line is missing or stands twice, a tensor differs, or something of a killed save is left.
    """
    end = (saved(folder / "killed") // (BATCH * STEPS_A_CHECKPOINT) + 1) * BATCH * STEPS_A_CHECKPOINT
    for run in ("killed", "calm"):
        _, status = os.waitpid(start(folder / "drawn", folder / run, end), 0)
        assert status == 0, f"the {run} run failed"
    killed, calm = (load_newest(folder / run / "checkpoints").tensors for run in ("killed", "calm"))
    assert killed.keys() == calm.keys()
    assert [name for name in killed if not torch.equal(killed[name], calm[name])] == []
    lines = [line["images_seen"] for line in read_metrics(folder / "killed") if line["kind"] == "train"]
    assert lines == list(range(BATCH, end + 1, BATCH)), "a log line is missing or stands twice"
    assert not [path for path in (folder / "killed" / "checkpoints").iterdir() if path not in list_checkpoints(path.parent)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    words = parser.parse_args()
    torch.set_num_threads(1)  # a pool of threads does not survive a fork
    with tempfile.TemporaryDirectory() as folder:
        found = soak(Path(folder), words.kills, words.seed)
        compare(Path(folder))
    lost = [kill["lost"] for kill in found]
    summary = {
        "kills": len(found),
        "resumed": len(found),
        "in_a_save": sum(kill["in_a_save"] for kill in found),
        "images_between_checkpoints": BATCH * STEPS_A_CHECKPOINT,
        "images_lost_mean": round(statistics.mean(lost), 1),
        "images_lost_most": max(lost),
        "images_at_the_end": found[-1]["stands"],
    }
    print(
        f"{summary['kills']} kills, each followed by a session that went on from the newest checkpoint; "
        f"{summary['in_a_save']} fell into a save. Lost per kill: {summary['images_lost_mean']} images on average, "
        f"{summary['images_lost_most']} at most, with a checkpoint every {BATCH * STEPS_A_CHECKPOINT}. The end is that of a "
        f"run which nobody killed, bit for bit, and no log line is missing or stands twice"
    )
    if words.json:
        words.json.write_text("".join(json.dumps(line) + "\n" for line in [*found, summary]), encoding="utf-8")


if __name__ == "__main__":
    main()
