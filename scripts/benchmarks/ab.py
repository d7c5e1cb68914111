"""Train several configurations for equal minutes on one collection, several seeds each, and write the table.

    ./scripts/benchmark ab --collection collections/kaokore-64 --minutes 30 --seeds 0,1 --out ab \
        fastgan-projected=configs/kaokore_cpu_64.yaml fastgan-fastgan=configs/no_weights_64.yaml \
        r3gan=configs/r3gan_256.yaml,model.width=32,training.device=cpu

A variant is NAME=CONFIG[,key=value...]. Each becomes a run `OUT/NAME-seedN` that goes on where it stopped, so the script can be
interrupted, called again, and called with more minutes; minutes count training only. `--cpu-minutes` in place of `--minutes`
counts what the process used of the processor, start and sheets included: equal work on a machine that does other things
besides. All are judged alike, by the features and the number of samples given here. The table lies in OUT/table.md, the last
sheets side by side in OUT/sheets.png.
"""

import argparse
import json
import os
import signal
import statistics
import sys
import threading
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from artgan.config import RunConfig, load_config, with_values
from artgan.datasets.collection import Collection, open_collection
from artgan.devices import choose_device, describe_device
from artgan.evaluation import Judge, evaluate_generator
from artgan.generation.model_folder import load_model
from artgan.metrics import groups
from artgan.progress import PlainListener
from artgan.training.loop import Outcome
from artgan.training.start import Order, train_run


def variant(text: str, seed: int, features: str, count: int) -> tuple[str, RunConfig]:
    """Parse `NAME=CONFIG[,key=value...]`."""
    name, _, rest = text.partition("=")
    path, *overrides = rest.split(",")
    config = load_config(Path(path), overrides)
    fixed = {"seed": seed, "evaluation.features": features, "evaluation.num_generated": count}
    never = {"training.total_kimg": 1e4, "training.evaluate_every_kimg": 1e4}  # minutes end it, and it is judged once
    return name, with_values(config, fixed | never)


def measure(name: str, config: RunConfig, collection: Collection, out: Path, arguments: argparse.Namespace) -> dict:
    """Train what is left of a run's minutes, judge its newest model, and return a row of the table."""
    run = out / f"{name}-seed{config.seed}"
    result = run / "ab.json"
    asked = [arguments.minutes, arguments.cpu_minutes, arguments.features, arguments.num_generated, arguments.metrics]
    if result.is_file() and (row := json.loads(result.read_text())).get("asked") == asked:
        return row
    if arguments.cpu_minutes:
        _train_cpu_minutes(Order(collection, run, config), arguments.cpu_minutes)
    elif (left := arguments.minutes - _minutes_done(run)) > 0.01:
        _train(Order(collection, run, config, minutes=left))
    device = choose_device(config.training.device)
    model = load_model(run / "model" / "latest", device)
    judge = Judge(arguments.features, collection, device)
    line = evaluate_generator(judge, model.generator, arguments.num_generated, metrics=arguments.metrics.split(","))
    row = {
        "name": name, "seed": config.seed, "images": model.card.images_seen, "minutes": _minutes_done(run),
        "metrics": {key: entry["value"] for key, entry in line["metrics"].items()}, "protocol": line["protocol_hash"][:12],
        "asked": asked,
    }  # fmt: skip
    result.write_text(json.dumps(row))
    return row


def _train(order: Order) -> None:
    outcome = train_run(order, say=print, on_progress=PlainListener(sys.stderr))
    if outcome is Outcome.STOPPED:
        sys.exit("interrupted; the same command goes on from here")


def _train_cpu_minutes(order: Order, minutes: float) -> None:
    """Train until all sessions of a run together have used so many minutes of the processor."""
    ledger, begin = order.run / "cpu_seconds.json", time.process_time()
    before = json.loads(ledger.read_text()) if ledger.is_file() else 0.0
    left, used_up, over = minutes * 60 - before, threading.Event(), threading.Event()
    if left < 1:
        return

    def watch() -> None:
        while not over.wait(1.0):
            if time.process_time() - begin >= left:
                used_up.set()
                os.kill(os.getpid(), signal.SIGTERM)  # training ends its step and saves
                return

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        outcome = train_run(order, say=print, on_progress=PlainListener(sys.stderr))
    finally:
        over.set()
        watcher.join()
        ledger.write_text(json.dumps(before + time.process_time() - begin))
    if outcome is Outcome.STOPPED and not used_up.is_set():
        sys.exit("interrupted; the same command goes on from here")


def _minutes_done(run: Path) -> float:
    checkpoints = sorted((run / "checkpoints").glob("images-*"))
    return json.loads((checkpoints[-1] / "state.json").read_text())["training_seconds"] / 60 if checkpoints else 0.0


def table(rows: list[dict], collection: Collection, arguments: argparse.Namespace) -> str:
    """Return the table in Markdown, a line a variant, with every seed's value."""
    metrics = list(rows[0]["metrics"])
    device = describe_device(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    length = f"{arguments.cpu_minutes:g} CPU minutes" if arguments.cpu_minutes else f"{arguments.minutes:g} minutes of training"
    lines = [
        f"{collection.name}, {collection.width}x{collection.height} px, {len(collection.train_rows)} works; "
        f"{length} each on {device}, torch {torch.__version__}; {arguments.num_generated} "
        f"samples, {arguments.features}, protocol {rows[0]['protocol']}",
        "",
        "| variant | images seen | " + " | ".join(metrics) + " | seeds |",
        "|---|---:|" + "---|" * (len(metrics) + 1),
    ]
    for name in dict.fromkeys(row["name"] for row in rows):
        of_name = [row for row in rows if row["name"] == name]
        cells = []
        for metric in metrics:
            values = [row["metrics"][metric] for row in of_name]
            each = f" ({', '.join(f'{value:.4g}' for value in values)})" if len(values) > 1 else ""
            cells.append(f"{statistics.mean(values):.4g}{each}")
        images = statistics.mean(row["images"] for row in of_name)
        lines.append(f"| {name} | {images:,.0f} | " + " | ".join(cells) + f" | {len(of_name)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("variants", nargs="+", metavar="NAME=CONFIG[,key=value...]")
    parser.add_argument("--collection", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--cpu-minutes", type=float, help="in place of --minutes")
    parser.add_argument("--seeds", default="0,1")
    parser.add_argument("--features", default="inception-768")
    parser.add_argument("--num-generated", type=int, default=1000)
    parser.add_argument("--metrics", default=",".join(groups()))
    arguments = parser.parse_args()
    collection = open_collection(arguments.collection)
    arguments.out.mkdir(parents=True, exist_ok=True)
    plans = [
        variant(text, int(seed), arguments.features, arguments.num_generated)
        for seed in arguments.seeds.split(",")
        for text in arguments.variants
    ]
    rows = []
    for name, config in plans:
        rows.append(measure(name, config, collection, arguments.out, arguments))
        (arguments.out / "table.md").write_text(table(rows, collection, arguments))
    sheets = [arguments.out / f"{name}-seed{config.seed}" / "model" / "latest" / "samples.png" for name, config in plans]
    pictures = [np.asarray(Image.open(path)) for path in sheets]
    Image.fromarray(np.concatenate(pictures, 1)).save(arguments.out / "sheets.png")
    print((arguments.out / "table.md").read_text())


if __name__ == "__main__":
    main()
