"""The verb train."""

from pathlib import Path
from typing import Annotated

import typer

from artgan import arguments
from artgan.cli.app import EPILOG, INTERRUPTED, app
from artgan.errors import ConfigError
from artgan.progress import listener_for


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
