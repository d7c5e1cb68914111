"""Verbs about model folders: push, pull, export, card, import."""

from pathlib import Path
from typing import Annotated

import typer

from artgan import targets
from artgan.cli.app import EPILOG, app
from artgan.errors import ConfigError

model_app = typer.Typer(
    no_args_is_help=True, help="Share, convert and import models: hub, ONNX, model card, StyleGAN2.", epilog=EPILOG
)
app.add_typer(model_app, name="model")


@model_app.command("push", epilog=f"Example: artgan model push runs/first studio/kaokore-64\n\n{EPILOG}")
def push(
    context: typer.Context,
    target: Annotated[Path, typer.Argument(help="A run (its best model) or a model folder.")],
    repository: Annotated[str, typer.Argument(help="OWNER/NAME on the hub.")],
    public: Annotated[bool, typer.Option("--public", help="Let everyone see a new repository.")] = False,
) -> None:
    """Upload a model to the hub. Write its card first: artgan model card."""
    from artgan.generation import hub
    from artgan.generation.model_folder import load_model

    print(hub.push(load_model(target), repository, private=not public))


@model_app.command("pull", epilog=f"Example: artgan model pull studio/kaokore-64 --out models/kaokore\n\n{EPILOG}")
def pull(
    context: typer.Context,
    repository: Annotated[str, typer.Argument(help="OWNER/NAME on the hub.")],
    out: Annotated[Path, typer.Option(help="The model folder to make.")],
    revision: Annotated[str | None, typer.Option(help="Commit, tag or branch; a commit never changes.")] = None,
) -> None:
    """Download a model from the hub, and verify it."""
    from artgan.generation import hub

    model = hub.pull(repository, out, revision=revision)
    context.obj.say(f"{model.name} in {out}; sample it: artgan sample {out} --out samples")


@model_app.command("export", epilog=f"Example: artgan model export runs/first --out first.onnx\n\n{EPILOG}")
def export(
    context: typer.Context,
    target: Annotated[Path, typer.Argument(help="A run (its best model) or a model folder.")],
    out: Annotated[Path, typer.Option(help="X.onnx, or X.pt2 for torch.export.")],
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
) -> None:
    """Write the generator for other programs, checked against PyTorch."""
    if out.suffix not in (".onnx", ".pt2"):
        raise ConfigError(f"--out {out}: expected a name that ends in .onnx or .pt2")
    if out.exists() and not force:
        raise ConfigError(f"--out {out}: exists; choose another, or add --force to replace it")
    targets.output_file("--out", out, (out.suffix,))
    from artgan.generation.export import export_model
    from artgan.generation.model_folder import load_model

    difference = export_model(load_model(target), out)
    context.obj.say(f"{out}: {out.stat().st_size / 1e6:.1f} MB, within {difference:.1g} of PyTorch")


@model_app.command("card", epilog=f"Example: artgan model card runs/first --rights 'CC BY 4.0, Kitamoto'\n\n{EPILOG}")
def card(
    context: typer.Context,
    target: Annotated[Path, typer.Argument(help="A run (its best model) or a model folder.")],
    rights: Annotated[str, typer.Option(help="What the owners of the training pictures allow.")] = "",
    license_name: Annotated[
        str, typer.Option("--license", help="Licence of the model, as hubs name it, such as cc-by-4.0.")
    ] = "",
    title: Annotated[str, typer.Option(help="Default: the collection's name.")] = "",
) -> None:
    """Write the model card again from the model's own facts; its pictures stay as they are."""
    from artgan.generation.model_card import rewrite_card
    from artgan.generation.model_folder import load_model

    path = rewrite_card(load_model(target), rights=rights, license_name=license_name, title=title)
    context.obj.say(f"{path}: look it over before you share it")


@model_app.command("import", epilog=f"Example: artgan model import network-snapshot.pkl --out models/snapshot\n\n{EPILOG}")
def import_(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="A .pkl of StyleGAN2-ADA, or of StyleGAN3's configuration stylegan2.")],
    out: Annotated[Path, typer.Option(help="The model folder to make.")],
    force: Annotated[bool, typer.Option("--force", help="Write into a folder that is not empty.")] = False,
) -> None:
    """Make a model folder of a StyleGAN2 generator; nothing in the file is executed."""
    targets.output_folder(out, force, targets.MODEL, [file])
    from artgan.importing.stylegan2 import import_pkl

    for line in import_pkl(file, out):
        context.obj.say(line)
    print(f"model: {out}")
