"""The verb model mix."""

from pathlib import Path
from typing import Annotated

import typer

from artgan import arguments, targets
from artgan.cli.app import EPILOG
from artgan.cli.model import model_app
from artgan.errors import ConfigError


@model_app.command("mix", epilog=f"Example: artgan model mix runs/faces runs/flowers --from 32 --out models/mixed\n\n{EPILOG}")
def mix(
    context: typer.Context,
    first: Annotated[Path, typer.Argument(help="A run or a model folder; gives the coarse layers, and the classes.")],
    second: Annotated[Path, typer.Argument(help="Another, of the same architecture and size.")],
    out: Annotated[Path, typer.Option(help="The model folder to make.")],
    from_px: Annotated[int | None, typer.Option("--from", help="Take layers of the second from so many pixels on.")] = None,
    share: Annotated[
        float | None, typer.Option(help="Share of the second model, 0 to 1; default: 1 with --from, otherwise 0.5.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a model folder that is there.")] = False,
) -> None:
    """Mix two models: coarse layers of one and fine ones of the other, or weights in between.

    It works between models that were trained on from one another or from a common one (train --init). samples.png in the new
    folder has the same seeds of both and of the mixture.
    """
    if from_px is not None:
        arguments.number("--from", from_px, 1, 4096)
    if share is None:
        share = 0.5 if from_px is None else 1.0
    arguments.number("--share", share, 0, 1)
    if out.exists() and (not force or not (out / "config.json").is_file()):
        way = "it is no model folder" if force else "or add --force to replace a model folder"
        raise ConfigError(f"--out {out}: exists; choose another, {way}")
    if out.exists():
        targets.check_apart(out, [first, second])
        targets.check_former(out, targets.MODEL)
    from artgan.generation.mixing import Mixture, mix_models, warning
    from artgan.generation.model_folder import load_model

    ours, theirs = load_model(first), load_model(second)
    if out.resolve() in (ours.folder.resolve(), theirs.folder.resolve()):
        raise ConfigError(f"--out {out}: is one of the models; choose another folder")
    made = mix_models(ours, theirs, Mixture(share, from_px), out)
    said = warning(ours, theirs)
    if said:
        context.obj.say(said)
    context.obj.say(f"{made.name} in {out}; look at {out / 'samples.png'}")
    print(f"model: {out}")
