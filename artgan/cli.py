"""The command line: parse, call, print. Everything heavy is imported inside the verb that needs it."""

import json
import logging
import os
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from artgan import arguments
from artgan.errors import ArtganError, ConfigError, DataError, StorageError
from artgan.progress import listener_for

EPILOG = "Global options may stand anywhere: --quiet, --debug, --offline, --weights-dir DIR (see: artgan --help)."
INTERRUPTED = 130
PALETTE_PICTURES = 500

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
weights_app = typer.Typer(no_args_is_help=True, help="Pretrained networks: where from, licence, sha256.", epilog=EPILOG)
app.add_typer(weights_app, name="weights")


@dataclass(frozen=True)
class Globals:
    """The options that every verb shares."""

    quiet: bool

    def say(self, text: str) -> None:
        """Print a line unless the user wants quiet."""
        if not self.quiet:
            print(text, flush=True)


def main(argv: Sequence[str] | None = None) -> None:
    """Run one command and exit with its code; a user's error is a line or two, not a traceback."""
    words = _globals_first(list(sys.argv[1:] if argv is None else argv))
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    try:
        app(words, prog_name="artgan")
    except ArtganError as error:
        _fail(str(error), error.exit_code, words)
    except KeyboardInterrupt:
        _fail("interrupted", INTERRUPTED, words)
    except OSError as error:
        _fail(f"{error}; is there space, and may you write there?", StorageError.exit_code, words)
    except Exception as error:
        _fail(f"unexpected {type(error).__name__}: {error}. This is a bug; --debug shows where", 1, words)


def _fail(message: str, exit_code: int, words: Sequence[str]) -> NoReturn:
    if "--debug" in words:
        traceback.print_exc()
    for line in message.splitlines():
        print(f"artgan: {line}", file=sys.stderr)
    sys.exit(exit_code)


def _globals_first(words: list[str]) -> list[str]:
    """Move the global options in front of the verb, so that people may write them where they think of them."""
    first: list[str] = []
    rest: list[str] = []
    waiting = iter(words)
    for word in waiting:
        if word == "--":
            rest += [word, *waiting]
        elif word in ("--quiet", "--debug", "--offline") or word.startswith("--weights-dir="):
            first.append(word)
        elif word == "--weights-dir":
            first += [word, *[value for value in [next(waiting, None)] if value is not None]]
        else:
            rest.append(word)
    return first + rest


@app.callback(epilog="Example: artgan demo")
def _global_options(
    context: typer.Context,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress, only results and errors.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show a traceback with an error.")] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Forbid downloads.")] = False,
    weights_dir: Annotated[Path | None, typer.Option(help="Folder with pretrained weights, looked at first.")] = None,
) -> None:
    """Train a GAN on a collection of artworks, judge it, sample it, refine what it makes."""
    context.obj = Globals(quiet)
    if offline:
        os.environ["ARTGAN_OFFLINE"] = "1"
    if weights_dir is not None:
        if not weights_dir.is_dir():
            raise ConfigError(f"--weights-dir {weights_dir}: no such folder")
        os.environ["ARTGAN_WEIGHTS"] = str(weights_dir)


@app.command(epilog=f"Example: artgan prepare paintings/ --out collections/paintings --resolution 256\n\n{EPILOG}")
def prepare(
    context: typer.Context,
    sources: Annotated[list[str], typer.Argument(help="Folders, files, patterns, zip or tar archives, lists of paths.")],
    out: Annotated[Path, typer.Option(help="The collection to make.")],
    resolution: Annotated[str, typer.Option(help="Side in pixels, or WIDTHxHEIGHT.")] = "256",
    fit: Annotated[str, typer.Option(help="crop; pad: the whole work; stretch; smart: crop where little is lost.")] = "crop",
    focus: Annotated[str, typer.Option(help="What a crop keeps: center, top, detail.")] = "center",
    trim: Annotated[bool, typer.Option("--trim", help="Cut borders of one color first.")] = False,
    matte: Annotated[str, typer.Option(help="Color under transparency and around padded works.")] = "#ffffff",
    min_size: Annotated[
        int | None, typer.Option(help="Reject a shorter side below this; default: half the resolution.")
    ] = None,
    min_aspect: Annotated[float, typer.Option(help="Reject a smaller width / height.")] = 0.0,
    max_aspect: Annotated[float, typer.Option(help="Reject a larger width / height.")] = 1000.0,
    duplicates: Annotated[str, typer.Option(help="Keep one of those that look alike, of exact ones, or keep all.")] = "alike",
    holdout: Annotated[float, typer.Option(help="Share kept out of training, for honest evaluation.")] = 0.05,
    max_reject: Annotated[float, typer.Option(help="Fail when a larger share of the files is unusable.")] = 0.5,
    labels: Annotated[str, typer.Option(help="folders: sub-folders or a label file; none: no classes.")] = "folders",
    unlabelled: Annotated[str, typer.Option(help="A file that the label file leaves out: error, drop, class.")] = "error",
    workers: Annotated[int | None, typer.Option(help="Processes; default: one per core, at most 8.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would happen, and stop.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing collection.")] = False,
) -> None:
    """Turn untidy pictures into a clean collection; the same command goes on where a killed one stopped."""
    from artgan.datasets import prepare as preparing
    from artgan.datasets.labels import MISSING_LABELS, apply_label_files
    from artgan.datasets.recipe import DUPLICATES, FITS, FOCI, Recipe
    from artgan.datasets.sources import find_files

    width, height = arguments.resolution(resolution)
    recipe = Recipe(
        height=height,
        width=width,
        fit=arguments.choice("--fit", fit, FITS),
        focus=arguments.choice("--focus", focus, FOCI),
        trim=trim,
        min_side_px=min(width, height) // 2 if min_size is None else min_size,
        min_aspect=arguments.number("--min-aspect", min_aspect, 0, 1000),
        max_aspect=arguments.number("--max-aspect", max_aspect, 0, 1000),
        matte=arguments.color("--matte", matte),
        duplicates=arguments.choice("--duplicates", duplicates, DUPLICATES),
        holdout=arguments.number("--holdout", holdout, 0, 0.9),
        max_reject=arguments.number("--max-reject", max_reject, 0, 1),
    )
    use_labels = arguments.choice("--labels", labels, ("folders", "none")) == "folders"
    arguments.choice("--unlabelled", unlabelled, MISSING_LABELS)
    if dry_run:
        files = apply_label_files(find_files(sources), unlabelled)
        expected = preparing.forecast(files, out, recipe)
        print(
            f"{expected.num_files} files, {expected.num_done} of them done by an earlier run; up to "
            f"{expected.needed_bytes / 1e6:,.0f} MB to write, {expected.free_bytes / 1e6:,.0f} MB free"
        )
        return
    processes = workers if workers is not None else min(8, os.cpu_count() or 1)
    with listener_for(quiet=context.obj.quiet) as listen:
        summary = preparing.prepare(
            sources,
            out,
            recipe,
            workers=processes,
            overwrite=force,
            use_labels=use_labels,
            unlabelled=unlabelled,
            on_progress=listen,
        )
    context.obj.say(
        f"{out}: {summary.count} pictures at {width}x{height} px ({summary.holdout} held out), "
        f"{summary.duplicates} duplicates, {summary.rejected.total()} rejected"
    )
    for reason, count in summary.rejected.most_common(5):
        context.obj.say(f"  rejected {count}: {reason}")
    context.obj.say(f"  classes: {', '.join(summary.classes) or 'none'}")
    context.obj.say(f"  look at {out / 'contact_sheet.png'}; every file and its fate: {out / 'index.jsonl'}")


@app.command(epilog=f"Example: artgan train --collection collections/paintings --run runs/first\n\n{EPILOG}")
def train(
    context: typer.Context,
    config: Annotated[Path | None, typer.Argument(help="YAML; without one, the run's own or a fitting choice.")] = None,
    collection: Annotated[Path | None, typer.Option(help="A prepared collection.")] = None,
    run: Annotated[Path | None, typer.Option(help="Folder of the run; training goes on where it stopped.")] = None,
    override: Annotated[list[str] | None, typer.Option("--set", help="Override one value: key=value.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Stop cleanly after this much training; resumable.")] = None,
    print_schema: Annotated[bool, typer.Option("--print-schema", help="Print the JSON schema of the config.")] = False,
) -> None:
    """Train, or go on training; Ctrl-C saves and stops."""
    from artgan import config as configuration

    if print_schema:
        print(configuration.json_schema())
        return
    if collection is None or run is None:
        missing = "--collection" if collection is None else "--run"
        raise ConfigError(f"train needs {missing}: artgan train --collection collections/paintings --run runs/first")
    if minutes is not None:
        arguments.number("--minutes", minutes, 0.001, 1e6)
    own = run / "config.yaml"
    source = config or (own if own.is_file() else None)
    overrides = override or []
    chosen = configuration.load_config(source, overrides)  # checked in any case, before anything heavy is imported

    from artgan.datasets.collection import open_collection

    opened = open_collection(collection)
    from artgan.training.start import train_run

    with listener_for(quiet=context.obj.quiet) as listen:
        outcome = train_run(
            opened,
            run,
            chosen if source else None,
            overrides=overrides,
            minutes=minutes,
            say=context.obj.say,
            on_progress=listen,
        )
    if outcome.value == "stopped":
        raise typer.Exit(INTERRUPTED)


@app.command(epilog=f"Example: artgan evaluate runs/first --collection collections/paintings --json metrics.json\n\n{EPILOG}")
def evaluate(
    context: typer.Context,
    target: Annotated[Path, typer.Argument(help="A run (its best model), a model folder, or a folder of pictures.")],
    collection: Annotated[Path, typer.Option(help="The collection to compare with: its training split.")],
    features: Annotated[str, typer.Option(help="inception-2048, -768, -192, -64; random needs no weights.")] = "inception-2048",
    num_generated: Annotated[int | None, typer.Option(help="Pictures to judge; default: 2000, or all of a folder.")] = None,
    truncation: Annotated[float, typer.Option(help="1 is the model's whole variety.")] = 1.0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the metrics line to this file.")] = None,
) -> None:
    """Measure how close pictures are to the collection: Fréchet distance and KID, with intervals and a floor."""
    from artgan.config import FEATURES

    arguments.choice("--features", features, FEATURES)
    arguments.number("--truncation", truncation, 0, 2)
    if num_generated is not None:
        arguments.number("--num-generated", num_generated, 2, 1_000_000)
    if not target.exists():
        raise DataError(f"{target}: no such run, model or folder of pictures")
    from artgan.datasets.collection import open_collection

    opened = open_collection(collection)
    from artgan import evaluation
    from artgan.devices import choose_device
    from artgan.generation.model_folder import is_model_or_run, load_model

    chosen = choose_device(device)
    model = load_model(target, chosen) if is_model_or_run(target) else None
    judge = evaluation.Judge(features, opened, chosen)
    with listener_for(quiet=context.obj.quiet) as listen:
        if model:
            line = evaluation.evaluate_generator(
                judge, model.generator, num_generated or 2000, truncation=truncation, on_progress=listen
            )
        else:
            line = evaluation.evaluate_folder(judge, target, num_generated, on_progress=listen)
    if json_file is not None:
        arguments.write_text(json_file, json.dumps(line, indent=2) + "\n")
    for text in evaluation.describe(line):
        print(text)


@app.command(epilog=f"Example: artgan sample runs/first --out samples --seeds 0-63 --truncation 0.8\n\n{EPILOG}")
def sample(
    context: typer.Context,
    target: Annotated[Path, typer.Argument(help="A run (its best model) or a model folder.")],
    out: Annotated[Path, typer.Option(help="Folder for the pictures.")],
    seeds: Annotated[str, typer.Option(help="Such as 0-63 or 3,5,8-12.")] = "0-15",
    truncation: Annotated[float, typer.Option(help="1: whole variety; lower: closer to the typical.")] = 1.0,
    class_name: Annotated[str | None, typer.Option("--class", help="Class of a conditional model.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    force: Annotated[bool, typer.Option("--force", help="Write into a folder that is not empty.")] = False,
) -> None:
    """Make pictures, one for each seed, and a grid of them."""
    numbers = arguments.seeds(seeds)
    arguments.number("--truncation", truncation, 0, 2)
    arguments.output_folder(out, force)
    from artgan.devices import choose_device
    from artgan.generation.model_folder import load_model
    from artgan.generation.sample import save_samples

    model = load_model(target, choose_device(device))
    with listener_for(quiet=context.obj.quiet) as listen:
        save_samples(model, out, numbers, truncation, class_name, listen)
    context.obj.say(f"{len(numbers)} pictures and grid.png in {out}, from {model.folder}")


@app.command(epilog=f"Example: artgan refine samples/ --style starry_night.jpg --color match --out refined\n\n{EPILOG}")
def refine(
    context: typer.Context,
    inputs: Annotated[list[Path], typer.Argument(help="Pictures or folders of pictures.")],
    out: Annotated[Path, typer.Option(help="Folder for the refined pictures.")],
    style: Annotated[Path | None, typer.Option(help="Picture whose look is transferred.")] = None,
    strength: Annotated[float, typer.Option(help="Of the style: 0 changes nothing, 1 is the full look.")] = 1.0,
    engine: Annotated[str, typer.Option(help="optimize; none: color only.")] = "optimize",
    backbone: Annotated[str, typer.Option(help="vgg19, vgg16, squeezenet1_1; random needs no weights.")] = "vgg19",
    style_layers: Annotated[str, typer.Option(help="Comma-separated; default: the backbone's.")] = "",
    content_layers: Annotated[str, typer.Option(help="Comma-separated; default: the backbone's.")] = "",
    size: Annotated[int | None, typer.Option(help="Longer side of the result; default: the picture's own.")] = None,
    start: Annotated[str, typer.Option(help="content; noise: paint the picture anew.")] = "content",
    seed: Annotated[int, typer.Option(help="Of the noise.")] = 0,
    iterations: Annotated[int, typer.Option(help="Steps at each scale.")] = 100,
    content_weight: Annotated[float, typer.Option(help="Higher keeps more of the picture.")] = 0.05,
    color: Annotated[str, typer.Option(help="none; keep: the picture's own colors; match: the palette's.")] = "none",
    color_strength: Annotated[float, typer.Option(help="From 0 to 1.")] = 1.0,
    palette: Annotated[Path | None, typer.Option(help="Picture or collection for match; default: the style.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    force: Annotated[bool, typer.Option("--force", help="Write into a folder that is not empty.")] = False,
) -> None:
    """Give pictures the style of a picture, the colors of a palette, or both: one look for a whole series."""
    from artgan.refine.recipe import make_recipe

    recipe = make_recipe(
        engine=engine,
        strength=strength,
        backbone=backbone,
        style_layers=arguments.names(style_layers),
        content_layers=arguments.names(content_layers),
        content_weight=content_weight,
        start=start,
        seed=seed,
        iterations=iterations,
        size_px=size,
        color=color,
        color_strength=color_strength,
    )
    if engine == "optimize" and style is None:
        raise ConfigError("refine needs --style PICTURE; for color alone add --engine none")
    if color == "match" and style is None and palette is None:
        raise ConfigError("--color match needs --palette PICTURE|COLLECTION, or --style to take the colors from")
    arguments.output_folder(out, force)
    from artgan.datasets.collection import pictures_of
    from artgan.devices import choose_device
    from artgan.refine.files import refine_files

    colors = pictures_of(palette, PALETTE_PICTURES) if palette else []
    with listener_for(quiet=context.obj.quiet) as listen:
        written = refine_files(
            inputs,
            out,
            recipe,
            style=style,
            palette=colors,
            palette_name=palette.name if palette else None,
            device=choose_device(device),
            on_progress=listen,
        )
    context.obj.say(f"{len(written)} pictures in {out}; before and after: {out / 'sheet.png'}")


@app.command(epilog=f"Example: artgan demo --out demo\n\n{EPILOG}")
def demo(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="Folder for everything that the demo makes.")] = Path("demo"),
    minutes: Annotated[float, typer.Option(help="Of training.")] = 4.0,
    force: Annotated[bool, typer.Option("--force", help="Write into a folder that is not empty.")] = False,
) -> None:
    """Draw a small collection, then prepare, train, evaluate, sample and refine it; ends with one HTML page."""
    arguments.number("--minutes", minutes, 0.05, 600)
    arguments.output_folder(out, force)
    from artgan.demo import run_demo

    with listener_for(quiet=context.obj.quiet) as listen:
        page = run_demo(out, minutes, say=context.obj.say, on_progress=listen)
    print(f"open {page.resolve()}")


@app.command(epilog=f"Example: artgan info samples/seed-0003.png\n\n{EPILOG}")
def info(
    path: Annotated[Path, typer.Argument(help="A picture, a model, a collection, or a run.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what a picture, a model, a collection or a run is."""
    from artgan.describe import describe

    content = describe(path)
    if as_json:
        print(json.dumps(content, indent=2))
        return
    for key, value in content.items():
        print(f"{key}: {json.dumps(value) if isinstance(value, (dict, list)) else value}")


@weights_app.command("list", epilog=f"Example: artgan weights list\n\n{EPILOG}")
def list_weights() -> None:
    """Show every pretrained network: who needs it, its licence, where it is or comes from."""
    from artgan import weights

    for name, entry in weights.WEIGHTS.items():
        found = weights.find(name)
        print(f"{name}  {entry.megabytes:.0f} MB  for {entry.used_by}")
        print(f"  licence: {entry.license}\n  source: {entry.url}\n  sha256: {entry.sha256}")
        print(f"  here: {found}" if found else f"  not here; get it with: artgan weights fetch {name}")


@weights_app.command("fetch", epilog=f"Example: artgan weights fetch squeezenet1_1\n\n{EPILOG}")
def fetch_weights(
    context: typer.Context, names: Annotated[list[str], typer.Argument(help="Names from `artgan weights list`.")]
) -> None:
    """Download networks, verify their sha256, keep the layers that are needed."""
    from artgan import weights

    for name in names:
        with listener_for(quiet=context.obj.quiet) as listen:
            print(f"{name}: {weights.fetch(name, listen)}")


@weights_app.command("verify", epilog=f"Example: artgan weights verify\n\n{EPILOG}")
def verify_weights(
    names: Annotated[list[str] | None, typer.Argument(help="By default all that are at hand.")] = None,
) -> None:
    """Check the networks at hand, tensor by tensor."""
    from artgan import weights

    for name in names or [name for name in weights.WEIGHTS if weights.find(name)]:
        print(weights.verify(name))
