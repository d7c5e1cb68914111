"""Verbs for models: train, evaluate, sample, refine."""

import json
from pathlib import Path
from typing import Annotated

import typer

from artgan import arguments
from artgan.cli.app import EPILOG, INTERRUPTED, app
from artgan.errors import ConfigError, DataError
from artgan.progress import listener_for

PALETTE_PICTURES = 500


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
    """Measure how close pictures are to a collection.

    Fréchet distance and exact KID, with intervals and the floor that real pictures reach.
    """
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
    content_weight: Annotated[
        float | None, typer.Option(help="Higher keeps more of the picture; default: the backbone's.")
    ] = None,
    color: Annotated[str, typer.Option(help="none; keep: the picture's own colors; match: the palette's.")] = "none",
    color_strength: Annotated[float, typer.Option(help="From 0 to 1.")] = 1.0,
    palette: Annotated[Path | None, typer.Option(help="Picture or collection for match; default: the style.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    force: Annotated[bool, typer.Option("--force", help="Write into a folder that is not empty.")] = False,
) -> None:
    """Give pictures one look: style, colors, or both.

    The style is that of a picture, the colors are the picture's own or those of a palette; a folder becomes one series.
    """
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
