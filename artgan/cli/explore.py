"""Verbs that find out what is in a model: directions, project."""

import json
from pathlib import Path
from typing import Annotated

import typer

from artgan import arguments, targets, weights
from artgan.backbones import BACKBONES, LIGHT_BACKBONES
from artgan.cli.app import EPILOG, app
from artgan.cli.signing import Sign, signature_of
from artgan.cli.sizes import Enlarger, check_size
from artgan.cli.terminal import hearing


@app.command(epilog=f"Example: artgan directions runs/first --out directions\n\n{EPILOG}")
def directions(
    context: typer.Context,
    target: Annotated[Path, typer.Argument(help="A run (its best model) or a model folder.")],
    out: Annotated[Path, typer.Option(help="Folder for the sheets and directions.safetensors.")],
    seeds: Annotated[str, typer.Option(help="One sheet for each.")] = "0-3",
    amount: Annotated[float, typer.Option(help="How far a sheet goes, in standard deviations.")] = 6.0,
    class_name: Annotated[str | None, typer.Option("--class", help="Class of a conditional model; default: its first.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    force: Annotated[bool, typer.Option("--force", help="Write into a folder that is not empty.")] = False,
) -> None:
    """Find directions along which pictures change, and draw what each does.

    sefa-N: strongest effect on the layers that read the styles; pca-N: largest spread of the styles. No training needed.
    Use one with: artgan sample ... --move sefa-1=4, or that of a class: --move sefa-1@waves=4. A name that you gave a direction
    in the studio does as well: --move snow=4
    """
    numbers = arguments.seeds(seeds)
    arguments.number("--amount", amount, 0.1, 20)
    targets.output_folder(out, force, targets.DIRECTIONS)
    from artgan.devices import choose_device
    from artgan.generation.direction_sheets import save_directions
    from artgan.generation.model_folder import load_model

    model = load_model(target, choose_device(device))
    with hearing(quiet=context.obj.quiet) as listen:
        sheets = save_directions(model, out, numbers, amount, listen, class_name)
    context.obj.say(f"directions in {out / 'directions.safetensors'}")
    context.obj.say(f"what they do: {', '.join(str(path) for path in sheets[:4])}")


@app.command(epilog=f"Example: artgan project runs/first portrait.jpg --out found\n\n{EPILOG}")
def project(
    context: typer.Context,
    target: Annotated[Path, typer.Argument(help="A run (its best model) or a model folder.")],
    picture: Annotated[Path, typer.Argument(help="The picture to find in the model.")],
    out: Annotated[Path, typer.Option(help="Folder for what is found.")],
    space: Annotated[str, typer.Option(help="w: stays true to the model; w+: closer to the picture.")] = "w+",
    class_name: Annotated[str | None, typer.Option("--class", help="Search in this class; default: in all of them.")] = None,
    steps: Annotated[int, typer.Option(help="Steps of the search.")] = 300,
    backbone: Annotated[
        str | None, typer.Option(help="squeezenet1_1, drawn (comes with artgan), vgg16, vgg19, random.")
    ] = None,
    size: Annotated[int | None, typer.Option(help="Longer side of projection.png in pixels; default: the model's.")] = None,
    enlarger: Enlarger = None,
    video: Annotated[str, typer.Option(help="Film of the search: mp4, webm, gif, webp; none.")] = "webp",
    sign: Sign = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    force: Annotated[bool, typer.Option("--force", help="Write into a folder that is not empty.")] = False,
) -> None:
    """Find the picture of a model that is most like a given one.

    The result carries its own styles: edit it with artgan sample ... --from found/projection.png --move sefa-1=4
    """
    arguments.choice("--space", space, ("w", "w+"))
    if backbone is not None:
        arguments.choice("--backbone", backbone, tuple(name for name, row in BACKBONES.items() if row.projection_layers))
    arguments.choice("--video", video, ("mp4", "webm", "gif", "webp", "none"))
    arguments.number("--steps", steps, 1, 100_000)
    check_size(size, enlarger)
    targets.output_folder(out, force, targets.PROJECTION, [picture])
    signature = signature_of(sign, [video])
    import numpy as np

    from artgan.decode import decode_file
    from artgan.devices import choose_device
    from artgan.enlarging import enlarged
    from artgan.generation.model_folder import load_model
    from artgan.generation.point import Point, pack_styles
    from artgan.generation.projection import Settings, fitted
    from artgan.generation.projection import project as search
    from artgan.generation.sample import class_label, picture_metadata, render
    from artgan.generation.video import check_format, encode_video
    from artgan.images import grid, save_png
    from artgan.overview import save_sheet
    from artgan.refine.enlarging.sizes import sizer_of
    from artgan.signing import sign_file

    if video != "none":
        check_format(video)
    model = load_model(target, choose_device(device))
    sizer = sizer_of(enlarger, model.space.device)
    wanted = decode_file(picture).pixels
    targets.check_replaceable([out / "projection.png", out / "sheet.png"])
    targets.output_file("--out", out / f"search.{video}", (f".{video}",), [picture])
    label = None if class_name is None else class_label(model, class_name)
    frames: list[np.ndarray] = []
    with hearing(quiet=context.obj.quiet) as listen:
        sees_through = backbone or weights.first_found(LIGHT_BACKBONES)
        settings = Settings(steps=steps, per_layer=space == "w+", backbone=sees_through, label=label)
        found = search(model.space, wanted, settings, listen, frames.append if video != "none" else None)
    point = Point(styles=pack_styles(found.styles), classes=found.classes)
    pixels = next(render(model.space, [point]))
    metadata = picture_metadata(model, point, size, sizer.way)
    save_png(out / "projection.png", sizer(pixels, size), metadata)
    start = next(render(model.space, [Point(found.start_seed, classes=found.classes)]))
    shown = np.stack([fitted(wanted, *pixels.shape[:2]), start, pixels])
    save_sheet(out / "sheet.png", grid(shown, columns=3), "wanted, start and found")
    if frames:
        note = {"projection": picture.name, "model": model.name, "model_hash": model.sha256}
        (out / f"search.{video}").write_bytes(encode_video(enlarged(frames, 256), video, 30, json.dumps(note)))
        if signature is not None:
            sign_file(out / f"search.{video}", video, note, signature)
    if signature is not None:
        sign_file(out / "projection.png", "png", metadata, signature)
    began = f"at the start (seed {found.start_seed}) {found.losses[0]:.4g}"
    measured = f"distance {found.losses[-1]:.4g} in {sees_through}'s layers"
    context.obj.say(f"{out / 'projection.png'}: {measured}, {began}")
    if size is not None:
        context.obj.say(sizer.told(model.space.height_px, model.space.width_px, size))
