"""The verb train."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from artgan import arguments, targets
from artgan.cli.app import EPILOG, INTERRUPTED, app
from artgan.cli.terminal import hearing
from artgan.errors import ConfigError


@app.command(
    epilog=f"Example: artgan train --collection collections/paintings --run runs/first. On several GPUs: torchrun "
    f"--nproc-per-node 4 -m -- artgan train ... (scripts/launch has a file for each kind of cluster)\n\n{EPILOG}"
)
def train(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Argument(
            help="A YAML file, or the name of one in configs/; default: the run's own, or a choice that is explained."
        ),
    ] = None,
    collection: Annotated[Path | None, typer.Option(help="A prepared collection.")] = None,
    run: Annotated[Path | None, typer.Option(help="Folder of the run; training goes on where it stopped.")] = None,
    override: Annotated[list[str] | None, typer.Option("--set", help="Override one value: key=value.")] = None,
    minutes: Annotated[
        float | None,
        typer.Option(help="Stop cleanly after so much training in this session; the same line goes on, for as long again."),
    ] = None,
    init: Annotated[
        Path | None, typer.Option(help="Start from this model, run or checkpoint; from one of 1/2, 1/4, ... the size it grows.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say how much memory, time and disk it takes, then stop.")] = False,
    preview_augment: Annotated[Path | None, typer.Option(help="Write a sheet of augmented works, then stop.")] = None,
    print_schema: Annotated[bool, typer.Option("--print-schema", help="Print the JSON schema of the config.")] = False,
) -> None:
    """Train, or go on training; Ctrl-C saves and stops."""
    from artgan import config as configuration
    from artgan.schema.strict_yaml import find_document

    if print_schema:
        print(configuration.json_schema())
        return
    if collection is None or (run is None and preview_augment is None):
        missing = "--collection" if collection is None else "--run"
        raise ConfigError(f"train needs {missing}: artgan train --collection collections/paintings --run runs/first")
    if minutes is not None:
        arguments.number("--minutes", minutes, 0.001, 1e6)
    if preview_augment is not None and (preview_augment.suffix.lower() != ".png" or preview_augment.exists()):
        problem = "is there already" if preview_augment.exists() else "is no name for a sheet"
        raise ConfigError(f"--preview-augment {preview_augment} {problem}: give a new file such as augmented.png")
    if run == Path():
        raise ConfigError("--run is empty, or the folder that you are in: give a folder of its own, such as runs/first")
    own = run / "config.yaml" if run else None
    source = find_document(config) if config else own if own and own.is_file() else None
    overrides = override or []
    configuration.check_overrides(overrides)  # before anything heavy is imported; the rest of a choice comes later
    chosen = configuration.load_config(source, overrides) if source or preview_augment else None

    from artgan.datasets.collection import open_collection

    opened = open_collection(collection)
    if preview_augment is not None:
        from artgan.overview import save_sheet
        from artgan.training.preview import preview_augmentation

        targets.output_file("--preview-augment", preview_augment, (".png",))
        assert chosen is not None
        save_sheet(preview_augment, preview_augmentation(opened, chosen), "augmented works")
        print(f"open {preview_augment.resolve()}")
        return
    assert run is not None
    from artgan.training.start import Order, train_run
    from artgan.world import is_launched, starts_as_first

    at_terminal = sys.stdin.isatty() and sys.stderr.isatty() and not context.obj.quiet
    order = Order(opened, run, chosen, overrides, minutes, init, dry_run, ask=_agreed if at_terminal else None)
    with hearing(quiet=context.obj.quiet or not starts_as_first()) as listen:
        outcome = train_run(order, say=context.obj.say, on_progress=listen)
    # Under a launcher, a process that fails makes it end the others: what happened stands in status.json.
    if outcome and outcome.value == "stopped" and not is_launched():
        raise typer.Exit(INTERRUPTED)


def _agreed(question: str) -> bool:
    return typer.confirm(question, default=False, err=True)
