"""The verb model page."""

from pathlib import Path
from typing import Annotated

import typer

from artgan import arguments, targets
from artgan.cli.app import EPILOG
from artgan.cli.model import model_app
from artgan.cli.terminal import hearing


@model_app.command(
    "page", epilog=f"Example: artgan model page runs/first --out page --title Tides --artist 'A. Painter'\n\n{EPILOG}"
)
def page(
    context: typer.Context,
    target: Annotated[Path, typer.Argument(help="A run (its best model) or a model folder.")],
    out: Annotated[Path, typer.Option(help="Folder for the page.")],
    title: Annotated[str, typer.Option(help="Default: the model's name.")] = "",
    artist: Annotated[str, typer.Option(help="Whom to credit, on the page and in saved pictures.")] = "",
    license_name: Annotated[str, typer.Option("--license", help="Licence of the pictures, such as 'CC BY 4.0'.")] = "",
    seed: Annotated[int, typer.Option(help="That the page opens with.")] = 0,
    truncation: Annotated[float, typer.Option(help="That the page opens with.")] = 1.0,
    liked: Annotated[bool, typer.Option("--liked", help="Open with the run's favourites.")] = False,
    favourites: Annotated[Path | None, typer.Option(help="Another file of favourites, for --liked.")] = None,
    webgpu: Annotated[bool, typer.Option("--webgpu", help="Use the GPU where the browser can; a larger folder.")] = False,
    precision: Annotated[str, typer.Option(help="Precision of the weights in the files: fp16 or fp32.")] = "fp16",
    runtime: Annotated[
        Path | None, typer.Option(help="Folder of ONNX Runtime Web; default: node_modules here or above.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write into a folder that is not empty.")] = False,
) -> None:
    """Make a folder that shows the model in any browser, with no server and no network.

    Open index.html, or put the folder on any web host. It runs on ONNX Runtime Web, an npm package.
    """
    arguments.choice("--precision", precision, ("fp16", "fp32"))
    arguments.number("--seed", seed, 0, arguments.MAX_SEED)
    arguments.number("--truncation", truncation, 0, 1.5)
    from artgan.modelpage.runtime import load_runtime

    engine = "webgpu" if webgpu else "wasm"
    loaded = load_runtime(runtime, engine)
    targets.output_folder(out, force, targets.PAGE, [target])
    from artgan.generation.favourites import favourites_path, liked_points
    from artgan.generation.model_folder import load_model
    from artgan.modelpage.build import Look, write_page

    model = load_model(target)
    points = tuple(liked_points(model, favourites or favourites_path(target))) if liked or favourites else ()
    look = Look(title, artist, license_name, seed, truncation, points, precision, engine)
    with hearing(quiet=context.obj.quiet) as listen:
        made = write_page(model, loaded, out, look, listen)
    context.obj.say(
        f"{out / 'index.html'}: {made.total / 1e6:.1f} MB, the largest file {made.largest / 1e6:.1f} MB, "
        f"within {made.difference:.2g} of 255 of artgan sample on average"
    )
