"""Verbs around them: demo, info, doctor, weights."""

import json
from pathlib import Path
from typing import Annotated

import typer

from artgan import arguments, targets
from artgan.cli.app import EPILOG, app
from artgan.cli.terminal import hearing

weights_app = typer.Typer(no_args_is_help=True, help="Pretrained networks: where from, licence, sha256.", epilog=EPILOG)
app.add_typer(weights_app, name="weights")


@app.command(epilog=f"Example: artgan demo --out demo\n\n{EPILOG}")
def demo(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="Folder for everything that the demo makes.")] = Path("demo"),
    minutes: Annotated[float, typer.Option(help="Minutes of training, at most.")] = 8.0,
    force: Annotated[bool, typer.Option("--force", help="Write into a folder that is not empty.")] = False,
) -> None:
    """Go the whole way on a collection drawn by code.

    Draws, prepares, trains, evaluates, samples and refines; ends with one HTML page. Needs no network, GPU or weights.
    """
    arguments.number("--minutes", minutes, 0.05, 600)
    targets.output_folder(out, force, targets.DEMO)
    from artgan.demo import run_demo

    with hearing(quiet=context.obj.quiet) as listen:
        page = run_demo(out, minutes, say=context.obj.say, on_progress=listen)
    print(f"open {page.resolve()}")


@app.command(epilog=f"Example: artgan info samples/seed-0003.png\n\n{EPILOG}")
def info(
    path: Annotated[Path, typer.Argument(help="A picture, a model, a collection, or a run.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    report: Annotated[Path | None, typer.Option(help="Write an HTML page about a collection to this file.")] = None,
) -> None:
    """Say what a picture, a model, a collection or a run is."""
    if report is not None:
        targets.output_file("--report", report, (".html",), [path])
        from artgan.datasets.collection import open_collection
        from artgan.report.collection import collection_page

        arguments.write_text(report, collection_page(open_collection(path)))
        print(f"open {report.resolve()}")
        return
    from artgan.describe import describe

    content = describe(path)
    if as_json:
        print(json.dumps(content, indent=2))
        return
    for key, value in content.items():
        print(f"{key}: {json.dumps(value) if isinstance(value, (dict, list)) else value}")


@app.command(epilog=f"Example: artgan doctor\n\n{EPILOG}")
def doctor() -> None:
    """Say what this machine has and lacks: versions, device, disk, weights, and what is missing for which verb."""
    from artgan.doctor import diagnose

    for line in diagnose(Path()):
        print(line)


@weights_app.command("list", epilog=f"Example: artgan weights list\n\n{EPILOG}")
def list_weights() -> None:
    """Show every pretrained network: who needs it, its licence, where it is or comes from."""
    from artgan import weights

    for name, entry in weights.WEIGHTS.items():
        found = weights.find(name)
        print(f"{name}  {entry.megabytes:.0f} MB  for {entry.used_by}")
        print(f"  licence: {entry.license}\n  source: {entry.url or 'ships with artgan'}\n  sha256: {entry.sha256}")
        print(f"  here: {found}" if found else f"  not here; get it with: artgan weights fetch {name}")
    print("timm/NAME  any model of timm, such as timm/vit_small_patch14_dinov2.lvd142m; its licence is its publisher's")


@weights_app.command("fetch", epilog=f"Example: artgan weights fetch squeezenet1_1\n\n{EPILOG}")
def fetch_weights(
    context: typer.Context, names: Annotated[list[str], typer.Argument(help="Names from `artgan weights list`.")]
) -> None:
    """Download networks, verify their sha256, keep the layers that are needed."""
    from artgan import fetching

    for name in names:
        with hearing(quiet=context.obj.quiet) as listen:
            print(f"{name}: {fetching.fetch(name, listen)}")


@weights_app.command("verify", epilog=f"Example: artgan weights verify\n\n{EPILOG}")
def verify_weights(
    names: Annotated[list[str] | None, typer.Argument(help="Default: all on this machine.")] = None,
) -> None:
    """Check the networks on this machine, tensor by tensor."""
    from artgan import weights

    for name in names or [name for name in weights.WEIGHTS if weights.find(name)]:
        print(weights.verify(name))
