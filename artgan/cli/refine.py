"""The verb refine."""

from pathlib import Path
from typing import Annotated

import typer

from artgan import arguments
from artgan.cli.app import EPILOG, app
from artgan.errors import ConfigError
from artgan.progress import listener_for

PALETTE_PICTURES = 500


@app.command(epilog=f"Example: artgan refine samples/ --style starry_night.jpg --color match --out refined\n\n{EPILOG}")
def refine(
    context: typer.Context,
    inputs: Annotated[list[Path], typer.Argument(help="Pictures or folders of pictures.")],
    out: Annotated[Path, typer.Option(help="Folder for the refined pictures.")],
    style: Annotated[Path | None, typer.Option(help="Picture whose look is transferred.")] = None,
    strength: Annotated[float, typer.Option(help="Of the style: 0 changes nothing, 1 is the full look.")] = 1.0,
    engine: Annotated[str, typer.Option(help="optimize; none: color only.")] = "optimize",
    backbone: Annotated[str, typer.Option(help="vgg19, vgg16, squeezenet1_1; random needs no weights.")] = "vgg19",
    style_layers: Annotated[str, typer.Option(help="Comma-separated; default: the backbone's.")] = "",
    content_layers: Annotated[str, typer.Option(help="Comma-separated; default: the backbone's.")] = "",
    size: Annotated[int | None, typer.Option(help="Longer side of the result; default: the picture's own.")] = None,
    start: Annotated[str, typer.Option(help="content; noise: paint the picture anew.")] = "content",
    seed: Annotated[int, typer.Option(help="Of the noise.")] = 0,
    iterations: Annotated[int, typer.Option(help="Steps at each scale.")] = 100,
    content_weight: Annotated[
        float | None, typer.Option(help="Higher keeps more of the picture; default: the backbone's.")
    ] = None,
    color: Annotated[str, typer.Option(help="none; keep: the picture's own colors; match: the palette's.")] = "none",
    color_strength: Annotated[float, typer.Option(help="From 0 to 1.")] = 1.0,
    palette: Annotated[Path | None, typer.Option(help="Picture or collection for match; default: the style.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    force: Annotated[bool, typer.Option("--force", help="Write into a folder that is not empty.")] = False,
) -> None:
    """Give pictures one look: style, colors, or both.

    The style is that of a picture, the colors are the picture's own or those of a palette; a folder becomes one series.
    """
    from artgan.refine.recipe import make_recipe

    recipe = make_recipe(
        engine=engine,
        strength=strength,
        backbone=backbone,
        style_layers=arguments.names(style_layers),
        content_layers=arguments.names(content_layers),
        content_weight=content_weight,
        start=start,
        seed=seed,
        iterations=iterations,
        size_px=size,
        color=color,
        color_strength=color_strength,
    )
    if engine == "optimize" and style is None:
        raise ConfigError("refine needs --style PICTURE; for color alone add --engine none")
    if color == "match" and style is None and palette is None:
        raise ConfigError("--color match needs --palette PICTURE|COLLECTION, or --style to take the colors from")
    arguments.output_folder(out, force)
    from artgan.datasets.collection import pictures_of
    from artgan.devices import choose_device
    from artgan.refine.files import refine_files

    colors = pictures_of(palette, PALETTE_PICTURES) if palette else []
    with listener_for(quiet=context.obj.quiet) as listen:
        written = refine_files(
            inputs,
            out,
            recipe,
            style=style,
            palette=colors,
            palette_name=palette.name if palette else None,
            device=choose_device(device),
            on_progress=listen,
        )
    context.obj.say(f"{len(written)} pictures in {out}; before and after: {out / 'sheet.png'}")
