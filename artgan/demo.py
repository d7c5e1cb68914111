"""The whole way in a few minutes: draw a collection, prepare, train, evaluate, sample, refine, and show it on one page.

No network, no GPU and no other weights than those that come with artgan are needed: everybody sees the same.
"""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

import artgan
from artgan.config import RunConfig, with_values
from artgan.datasets.collection import Collection, open_collection
from artgan.datasets.prepare import prepare
from artgan.datasets.recipe import Recipe
from artgan.datasets.settle import Summary
from artgan.datasets.synthetic import draw_work, write_collection_sources
from artgan.devices import choose_device, describe_device
from artgan.evaluation import Judge, evaluate_generator
from artgan.generation.model_folder import load_model
from artgan.generation.sample import Look, points_of_seeds, save_samples
from artgan.metrics import in_unit, label, shown, span
from artgan.overview import sample_sheets
from artgan.progress import Listener, format_seconds
from artgan.refine.grading import sample_pixels
from artgan.refine.materials import Materials
from artgan.refine.recipe import make_recipe
from artgan.refine.run import RefineRequest, run_refine
from artgan.refine.sources import style_of_files
from artgan.report.page import curves, picture, render
from artgan.training.choose import Say
from artgan.training.loop import Outcome
from artgan.training.run_log import read_metrics
from artgan.training.start import Order, train_run

_SIDE_PX = 64
# One subject: after as many images of five subjects samples are blobs that belong to none (docs/decisions.md).
_SUBJECT, _WORKS = "landscapes", 500
_NUM_JUDGED = 500
_NUM_SAMPLES = 64
_NUM_REFINED = 6
_BACKBONE = "drawn"
# Small networks and small batches: most steps for a minute of the processor. So many images take less than 8 minutes at half
# the speed of the core that this was measured on (docs/decisions.md).
_WIDTH, _BATCH, _TRAINED_KIMG = 8, 8, 7.0


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute on one thread: so small networks gain nothing by two, which wait for each other beside busy programs."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@_one_thread()
def run_demo(out: Path, minutes: float, *, say: Say, on_progress: Listener) -> Path:
    """Run the demo and return its HTML page.

    Args:
        out: folder for everything; it exists.
        minutes: of training at most; the images that it needs are counted.
        say: shows a line.
        on_progress: told about long work.
    """
    timings: list[tuple[str, float]] = []

    @contextmanager
    def timed(name: str) -> Iterator[None]:
        say(f"== {name}")
        started = time.perf_counter()
        yield
        timings.append((name, time.perf_counter() - started))

    with timed("draw"):
        num_files = write_collection_sources(out / "sources", _WORKS, on_progress=on_progress, manners=(_SUBJECT,))
    with timed("prepare"):
        workers = min(4, os.cpu_count() or 1)
        recipe = Recipe(_SIDE_PX, _SIDE_PX)
        summary = prepare(
            [out / "sources"], out / "collection", recipe, workers=workers, overwrite=True, on_progress=on_progress
        )
        collection = open_collection(out / "collection")
    config = _config()
    with timed("train"):
        say(f"{_TRAINED_KIMG:g} thousand images are trained, in {minutes:g} minutes at most")
        outcome = train_run(Order(collection, out / "run", config, minutes=minutes), say=say, on_progress=on_progress)
    if outcome is not Outcome.FINISHED:
        say(f"{minutes:g} minutes ended before {_TRAINED_KIMG:g} thousand images were trained")
        say(f"this goes on from there: artgan train --collection {out / 'collection'} --run {out / 'run'}")
    device = choose_device("auto")
    with timed("evaluate"):
        model = load_model(out / "run" / "model" / "latest", device)
        judge = Judge("random", collection, device)
        line = evaluate_generator(judge, model.generator, _NUM_JUDGED, on_progress=on_progress)
    with timed("sample"):
        (out / "samples").mkdir(exist_ok=True)
        paths = save_samples(
            model, out / "samples", points_of_seeds(model, range(_NUM_SAMPLES), Look()), on_progress=on_progress
        )
    with timed("refine"):
        (out / "refined").mkdir(exist_ok=True)
        _refine(paths[:_NUM_REFINED], out, device, on_progress)
    page = out / "index.html"
    context = _page(out, collection, summary, num_files, config, line, timings, device)
    page.write_text(render("demo.html.j2", context), encoding="utf-8")
    return page


def _config() -> RunConfig:
    """Return the demo's configuration: small networks, and the backbone that comes with artgan."""
    return with_values(
        RunConfig(),
        {
            "model.discriminator": "projected",
            "model.backbone": _BACKBONE,
            "model.backbone_input_px": _SIDE_PX,  # larger would see more, for fewer images in the same minutes
            "model.width": _WIDTH,
            # Against small networks in small batches a discriminator wins at once, unless its slopes are held (decisions.md).
            "objective.name": "relativistic",
            "objective.penalty_every": 4,
            "training.batch_size": _BATCH,
            "training.total_kimg": _TRAINED_KIMG,
            "training.sample_every_kimg": 2.0,
            "training.evaluate_every_kimg": 4.0,
            "training.checkpoint_every_kimg": 2.0,
            "evaluation.features": "random",
            "evaluation.num_generated": 300,
        },
    )


def _refine(paths: Sequence[Path], out: Path, device: torch.device, on_progress: Listener) -> None:
    """Give some samples the look of one more picture of waves, which no training picture is."""
    style = draw_work("waves", 7, 3)
    style.save(out / "style.png")
    look = make_recipe(
        style__backbone=_BACKBONE, style__iterations=40, color__mode="match", color__strength=0.6, output__size_px=192
    )
    source = style_of_files(out / "style.png")
    materials = Materials([source], [1.0], palette=sample_pixels(np.asarray(style)))
    run_refine(RefineRequest(paths, out / "refined", look, materials, device), on_progress=on_progress)


def _page(
    out: Path,
    collection: Collection,
    summary: Summary,
    num_files: int,
    config: RunConfig,
    line: dict[str, Any],
    timings: list[tuple[str, float]],
    device: torch.device,
) -> dict[str, Any]:
    lines = read_metrics(out / "run")
    train_lines = [entry for entry in lines if entry["kind"] == "train"]
    judged = [entry for entry in lines if entry["kind"] == "metrics"]
    last = train_lines[-1]
    return {
        "version": artgan.__version__,
        "torch_version": torch.__version__,
        "device": describe_device(device),
        "total_time": format_seconds(sum(seconds for _, seconds in timings)),
        "num_files": num_files,
        "subject": _SUBJECT,
        "count": summary.count,
        "side": collection.width,
        "holdout": summary.holdout,
        "duplicates": summary.duplicates,
        "rejected": summary.rejected.total(),
        "contact_sheet": picture(out / "collection" / "contact_sheet.png"),
        "training_note": (
            f"A {config.model.generator} generator against a {config.model.discriminator} discriminator on {_BACKBONE}, a "
            f"network that comes with artgan and has seen nothing but pictures drawn by code: "
            f"{last['images_seen'] / 1000:.1f} of {_TRAINED_KIMG:g} thousand images in {last['training_minutes']:.1f} minutes."
        ),
        "sheets": _sheets(out / "run"),
        "loss_chart": _loss_chart(train_lines),
        "evaluation_note": (
            f"{line['num_generated']} samples against the {line['protocol']['num_reference']} training pictures, in the "
            f"features of an untrained network: it needs no weights, and its numbers compare only with themselves."
        ),
        "metrics": [_metric_row(name, entry, line["floor"].get(name)) for name, entry in line["metrics"].items()],
        "warnings": line["warnings"],
        "metric_chart": _metric_chart(judged),
        "samples": picture(out / "samples" / "grid.png"),
        "style_picture": picture(out / "style.png"),
        "refine_sheet": picture(out / "refined" / "sheet.png"),
        "timings": [(name, format_seconds(seconds)) for name, seconds in timings],
    }


def _sheets(run: Path) -> list[dict[str, Any]]:
    """Return an early, a middle and the last sheet of samples."""
    sheets = sample_sheets(run)
    shown = [sheets[place] for place in sorted({0, len(sheets) // 2, len(sheets) - 1})] if sheets else []
    return [{"src": picture(path), "kimg": f"{images_seen / 1000:.0f}"} for images_seen, path in shown]


def _loss_chart(lines: list[dict[str, Any]]) -> str:
    kimg = [line["images_seen"] / 1000 for line in lines]
    names = {"logits of real": "logits/real", "logits of generated": "logits/fake"}
    return curves({title: (kimg, [line[key] for line in lines]) for title, key in names.items()}, "kimg", "mean logit")


def _metric_chart(lines: list[dict[str, Any]]) -> str | None:
    if len(lines) < 2:
        return None
    kimg = [line["images_seen"] / 1000 for line in lines]
    low, value, high = ([in_unit("kid", line["metrics"]["kid"][key]) for line in lines] for key in ("low", "value", "high"))
    return curves({"kid": (kimg, value)}, "kimg", f"{label('kid')}, random features", {"kid": (low, high)})


def _metric_row(name: str, entry: dict[str, Any], floor: dict[str, Any] | None) -> dict[str, str]:
    real = f"{shown(name, floor['value'])}: {floor['of']}" if floor else ""
    return {"name": label(name), "value": shown(name, entry["value"]), "interval": span(name, entry), "real": real}
