"""The verb evaluate."""

import json
from pathlib import Path
from typing import Annotated

import typer

from artgan import arguments
from artgan.cli.app import EPILOG, app
from artgan.errors import DataError
from artgan.progress import listener_for


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
