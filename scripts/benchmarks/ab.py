"""Train several configurations for equal minutes on one collection, several seeds each, and write the table.

    ./scripts/benchmark ab --collection collections/kaokore-64 --minutes 30 --seeds 0,1 --out ab \
        fastgan-projected=configs/kaokore_cpu_64.yaml fastgan-fastgan=configs/no_weights_64.yaml \
        r3gan=configs/r3gan_256.yaml,model.width=32,training.device=cpu

A variant is NAME=CONFIG[,key=value...]. Each becomes a run `OUT/NAME-seedN` that goes on where it stopped, so the script can be
interrupted and called again; minutes count training only. All are judged alike, by the features and the number of samples
given here. The table lies in OUT/table.md, the last sheets beside each other in OUT/sheets.png.
"""

import argparse
import json
import statistics
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from artgan.config import RunConfig, load_config, with_values
from artgan.datasets.collection import Collection, open_collection
from artgan.devices import choose_device, describe_device
from artgan.evaluation import Judge, evaluate_generator
from artgan.generation.model_folder import load_model
from artgan.progress import PlainListener
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
    if result.is_file():
        return json.loads(result.read_text())
    done = _minutes_done(run)
    if done < arguments.minutes - 0.01:
        order = Order(collection, run, config, minutes=arguments.minutes - done)
        train_run(order, say=print, on_progress=PlainListener(sys.stderr))
    device = choose_device(config.training.device)
    model = load_model(run / "model" / "latest", device)
    line = evaluate_generator(Judge(arguments.features, collection, device), model.generator, arguments.num_generated)
    row = {
        "name": name, "seed": config.seed, "images": model.card.images_seen, "minutes": _minutes_done(run),
        "metrics": {key: entry["value"] for key, entry in line["metrics"].items()}, "protocol": line["protocol_hash"][:12],
    }  # fmt: skip
    result.write_text(json.dumps(row))
    return row


def _minutes_done(run: Path) -> float:
    checkpoints = sorted((run / "checkpoints").glob("images-*"))
    return json.loads((checkpoints[-1] / "state.json").read_text())["training_seconds"] / 60 if checkpoints else 0.0


def table(rows: list[dict], collection: Collection, arguments: argparse.Namespace) -> str:
    """Return the table in Markdown, a line a variant, with every seed's value."""
    metrics = list(rows[0]["metrics"])
    device = describe_device(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    lines = [
        f"{collection.name}, {collection.width}x{collection.height} px, {len(collection.train_rows)} works; "
        f"{arguments.minutes:g} minutes of training each on {device}, torch {torch.__version__}; {arguments.num_generated} "
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
    parser.add_argument("--seeds", default="0,1")
    parser.add_argument("--features", default="inception-768")
    parser.add_argument("--num-generated", type=int, default=1000)
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
