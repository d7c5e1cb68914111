"""The verb sample."""

from pathlib import Path
from typing import Annotated

import typer

from artgan import arguments
from artgan.cli.app import EPILOG, app
from artgan.progress import listener_for


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
