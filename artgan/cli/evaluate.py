"""The verb evaluate."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from artgan import arguments, targets
from artgan.backbones import DEFAULT_FEATURES
from artgan.cli.app import EPILOG, app
from artgan.cli.terminal import hearing
from artgan.cli.workers import CLUSTER_HELP, JOBS_HELP, chosen_workers
from artgan.errors import ConfigError, DataError
from artgan.metrics import groups

_RESIZES = ("clean", "legacy-torch", "legacy-tf")
_FEATURES_HELP = (
    "inception-2048 (FID), -768, -192, -64; dinov2-s14, -b14, -l14; timm/NAME; NETWORK:LAYER; random needs no weights. "
    f"Default: {DEFAULT_FEATURES}."
)


@app.command(epilog=f"Example: artgan evaluate runs/first --collection collections/paintings --json metrics.json\n\n{EPILOG}")
def evaluate(
    context: typer.Context,
    target: Annotated[
        Path | None, typer.Argument(help="A run (its best model), a model folder, or a folder of pictures.")
    ] = None,
    collection: Annotated[Path | None, typer.Option(help="The collection to compare with: its training split.")] = None,
    features: Annotated[str, typer.Option(help=_FEATURES_HELP, show_default=False)] = DEFAULT_FEATURES,
    metrics: Annotated[str, typer.Option(help=f"Which: {', '.join(groups())}.")] = ",".join(groups()),
    also: Annotated[str, typer.Option(help="Other feature spaces to compare distances in: drawn,random.")] = "",
    num_generated: Annotated[int | None, typer.Option(help="Pictures to judge; default: 2000, or all of a folder.")] = None,
    fit: Annotated[
        str, typer.Option(help="Of a folder's pictures: as the collection's; crop: the middle, on white.")
    ] = "collection",
    truncation: Annotated[float, typer.Option(help="1 is the model's whole variety.")] = 1.0,
    resize: Annotated[str, typer.Option(help="clean, or as older tools do: legacy-torch, legacy-tf.")] = "clean",
    jobs: Annotated[int, typer.Option(help=JOBS_HELP)] = 1,
    cluster: Annotated[str | None, typer.Option(help=CLUSTER_HELP)] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the metrics line to this file.")] = None,
    report: Annotated[Path | None, typer.Option(help="Write an HTML page with pictures to this file.")] = None,
    compare: Annotated[
        tuple[Path, Path] | None, typer.Option(help="Two files written with --json: say which is better, and measure nothing.")
    ] = None,
) -> None:
    """Measure how close pictures are to a collection, and whether they copy it.

    Fréchet distance, exact KID, MIND, precision, recall, density, coverage, and the search for copies; with intervals and
    the values that real pictures reach. torchrun shares the work among processes.
    """
    if compare is not None:
        _compare(*compare)
        return
    if target is None or collection is None:
        raise ConfigError("evaluate needs a run, a model or a folder of pictures, and --collection; or --compare A.json B.json")
    from artgan.backbones import check_features

    asked = _asked(metrics)
    spaces = arguments.names(also)
    for space in (features, *spaces):
        check_features(space)
    if spaces and "distances" not in asked:
        raise ConfigError("--also compares distances: expected them in --metrics")
    arguments.choice("--resize", resize, _RESIZES)
    arguments.choice("--fit", fit, ("collection", "crop"))
    arguments.number("--truncation", truncation, 0, 2)
    if num_generated is not None:
        arguments.number("--num-generated", num_generated, 2, 1_000_000)
    if not target.exists():
        raise DataError(f"{target}: no such run, model or folder of pictures")
    for option, path, suffix in (("--json", json_file, ".json"), ("--report", report, ".html")):
        if path is not None:
            targets.output_file(option, path, (suffix,))
    from artgan.api.judging import NUM_JUDGED
    from artgan.datasets.collection import open_collection

    opened = open_collection(collection)
    from artgan.devices import choose_device
    from artgan.evaluation import Judge, check_independent_of, describe
    from artgan.evaluation.measure import evaluate as judge_pictures
    from artgan.evaluation.spaces import add_spaces
    from artgan.evaluation.subjects import folder_subject, generator_subject
    from artgan.generation.model_folder import is_model_or_run, load_model
    from artgan.world import join_world

    check_independent_of(features, target)
    with join_world() as world, hearing(quiet=context.obj.quiet or not world.is_first) as listen:
        chosen = choose_device(device, world.local_rank)
        workers = chosen_workers(context.obj, jobs if chosen.type == "cpu" else 1, cluster)
        if workers.are_elsewhere and world.size > 1:
            raise ConfigError("several processes of torchrun share the work already: leave out --jobs and --cluster")
        if is_model_or_run(target):
            model = load_model(target, chosen)
            count = num_generated or NUM_JUDGED
            conditional = bool(model.card.classes)
            subject = generator_subject(opened, model.generator, count, truncation, conditional, model.folder)
        else:
            subject = folder_subject(opened, target, num_generated, as_collection=fit == "collection")
        judge = Judge(features, opened, chosen, resize_mode=resize, world=world, workers=workers)
        say = _say_quick_look if world.is_first else _say_nothing  # all processes look, as they share what it takes
        quick = None if context.obj.quiet else say
        verdict = judge_pictures(judge, subject, asked, on_progress=listen, on_quick_look=quick)
        if spaces:
            add_spaces(verdict.line, subject, opened, spaces, judge, world=world, on_progress=listen)
    if not world.is_first:
        return
    if json_file is not None:
        arguments.write_text(json_file, json.dumps(verdict.line, indent=2) + "\n")
    if report is not None:
        from artgan.evaluation.showcase import showcase
        from artgan.evaluation.verdict import standing_of_line
        from artgan.report.evaluation import evaluation_page
        from artgan.training.run_log import read_metrics

        shown = showcase(verdict, subject, opened)
        page = evaluation_page(
            target.resolve().name,
            verdict.line,
            standing=str(standing_of_line(verdict.line)),
            best=shown.best,
            worst=shown.worst,
            pairs=shown.pairs,
            history=read_metrics(target),
        )
        arguments.write_text(report, page)
    for text in describe(verdict.line):
        print(text)
    if report is not None:
        print(f"open {report.resolve()}")


def _say_quick_look(line: dict[str, Any], seconds_left: float) -> None:
    from artgan.evaluation.words import quick_look
    from artgan.progress import format_seconds

    print(f"{quick_look(line)}. All of it takes about {format_seconds(seconds_left)} more", flush=True)


def _say_nothing(line: dict[str, Any], seconds_left: float) -> None:
    """Let the first process do the talking."""


def _asked(text: str) -> tuple[str, ...]:
    asked = arguments.names(text)
    for name in asked:
        arguments.choice("--metrics", name, groups())
    if not asked:
        raise ConfigError(f"--metrics: expected some of {', '.join(groups())}")
    return asked


def _compare(first: Path, second: Path) -> None:
    from artgan.evaluation.compare import compare, describe_comparison, read_line

    for text in describe_comparison(compare(read_line(first), read_line(second), (str(first), str(second)))):
        print(text)
