"""The verb import-stylegan."""

from pathlib import Path
from typing import Annotated

import typer

from artgan import arguments
from artgan.cli.app import EPILOG, app


@app.command(
    "import-stylegan", epilog=f"Example: artgan import-stylegan network-snapshot.pkl --out models/snapshot\n\n{EPILOG}"
)
def import_stylegan(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="A .pkl of StyleGAN2-ADA, or of StyleGAN3's configuration stylegan2.")],
    out: Annotated[Path, typer.Option(help="The model folder to make.")],
    force: Annotated[bool, typer.Option("--force", help="Write into a folder that is not empty.")] = False,
) -> None:
    """Make a model folder of a StyleGAN2 generator; nothing in the file is executed."""
    arguments.output_folder(out, force)
    from artgan.importing.stylegan2 import import_pkl

    for line in import_pkl(file, out):
        context.obj.say(line)
    print(f"model: {out}")
