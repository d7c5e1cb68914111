"""The verb studio."""

import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from artgan import arguments
from artgan.cli.app import EPILOG, app
from artgan.errors import ConfigError, DataError

if TYPE_CHECKING:
    from artgan.studio.workspace import Workspace

DEFAULT_PORT = 7860


@app.command(epilog=f"Example: artgan studio runs/first\n\n{EPILOG}")
def studio(
    context: typer.Context,
    targets: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Runs and model folders; or one folder to work in; default: this one where it has runs, otherwise ~/artgan."
        ),
    ] = None,
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = DEFAULT_PORT,
    listen: Annotated[str | None, typer.Option(help="Address to listen on beyond this machine; makes a token.")] = None,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="What a tunnel calls the studio, such as localhost:9000; may repeat.")
    ] = None,
    stream: Annotated[bool, typer.Option("--stream", help="Show the live picture as MJPEG at /live.mjpg and /live.")] = False,
    osc: Annotated[
        int | None, typer.Option(help="UDP port for controllers (OSC), on this machine alone; has a --stream.")
    ] = None,
    enlarger: Annotated[
        str | None, typer.Option(help="What Save enlarges with: a fitted enlarger's folder, lanczos (default) or edge.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    open_browser: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in the browser.")] = False,
) -> None:
    """Drop pictures, train, watch, explore, in the browser, on this machine only; or open runs and models that are there.

    Without runs or models it works in one folder, which it names, and trains there in the background.
    Nothing leaves this machine and the page loads nothing from elsewhere. --osc takes /artgan/seed 12, /artgan/truncation 0.7,
    /artgan/centers 8, /artgan/noise 3, /artgan/class LABEL WEIGHT, /artgan/move/pca-1 1.5, /artgan/toward SEED AMOUNT,
    /artgan/model 1 and /artgan/reset.
    """
    arguments.number("--port", port, 0, 65535)
    if osc is not None:
        arguments.number("--osc", osc, 0, 65535)
    workspace, found = _places(targets)
    try:
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError:
        raise ConfigError("the studio needs two small libraries: pip install 'artgan[studio]'") from None
    from artgan.devices import choose_device
    from artgan.refine.enlarging.sizes import sizer_of
    from artgan.studio.door import Door
    from artgan.studio.live import Live
    from artgan.studio.serve import is_alone, open_server
    from artgan.studio.session import Session

    door = Door(workspace, alone=is_alone(listen, allow_host or ())) if workspace else None
    held = choose_device(device)
    session = Session(found, held, door, sizer_of(enlarger, held))
    session.warm_up()
    live = Live() if stream or osc is not None else None
    server = open_server(session, port, listen, allow_host or (), live)
    print(f"studio: {server.url}  (Ctrl-C ends it)", flush=True)
    if workspace is not None:
        context.obj.say(f"workspace: {workspace.root}; nothing else is written, and nothing read but what you drop or type")
    if live is not None:
        place, _, token = server.url.partition("?")
        print(f"stream: {place}live.mjpg{token and '?' + token}  (a full page: {place}live)", flush=True)
    if live is not None and osc is not None:
        from artgan.studio.osc import OscServer

        print(f"osc: UDP port {OscServer(osc, live.order).port} of this machine", flush=True)
    if listen is not None:
        context.obj.say("whoever has this address can use the studio; traffic is not encrypted: use it in a network you trust")
    if open_browser:
        webbrowser.open(server.url)
    server.run()
    for name in door.training() if door else ():
        context.obj.say(f"{name} goes on training; artgan studio finds it again")


def _places(targets: list[Path] | None) -> "tuple[Workspace | None, list[Path]]":
    """Return the folder to work in, if the studio has one, and the runs and models that it opens besides."""
    from artgan.generation.model_folder import is_model_or_run
    from artgan.studio.workspace import default_workspace, open_workspace

    if not targets:
        return default_workspace(), []
    first = targets[0]
    beside_runs = not first.exists() and first.parent.is_dir() and any(map(is_model_or_run, first.parent.iterdir()))
    if len(targets) == 1 and not is_model_or_run(first) and not beside_runs:
        return open_workspace(first), []
    for target in targets:
        if not target.is_dir():
            raise DataError(f"{target}: no such run or model folder")
    return None, targets
