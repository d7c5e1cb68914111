"""The verb video."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from artgan import arguments, targets, weights
from artgan.backbones import STYLE_BACKBONES
from artgan.cli.app import EPILOG, app, say_unheeded
from artgan.cli.signing import Sign, signature_of
from artgan.cli.terminal import hearing
from artgan.errors import ConfigError
from artgan.progress import Listener
from artgan.storage import write_whole

if TYPE_CHECKING:
    import numpy as np

    from artgan.generation.drive import Drive
    from artgan.signing import Signature

FORMATS = ("mp4", "webm", "gif", "webp")
ORDERS = ("kept", "near")
EASINGS = ("linear", "smooth", "cosine")


@app.command(epilog=f"Example: artgan video runs/first --out film.mp4 --seeds 3,8,21 --truncation 0.8\n\n{EPILOG}")
def video(
    context: typer.Context,
    target: Annotated[Path, typer.Argument(help="A run (its best model) or a model folder.")],
    out: Annotated[Path, typer.Option(help="X.mp4, X.webm; X.gif or X.webp (lossless), which need no PyAV.")],
    seeds: Annotated[str, typer.Option(help="The pictures that the film passes, in order.")] = "0-5",
    steps: Annotated[int, typer.Option(help="Frames from a picture to the next.")] = 60,
    fps: Annotated[int, typer.Option(help="Frames per second.")] = 30,
    easing: Annotated[str, typer.Option(help="linear; smooth, cosine: rest at each picture for a moment.")] = "smooth",
    loop: Annotated[bool, typer.Option("--loop/--once", help="Return to the first picture without a jump, or end.")] = True,
    truncation: Annotated[float, typer.Option(help="1: whole variety; lower: closer to the typical.")] = 1.0,
    centers: Annotated[int, typer.Option(help="Truncate to the nearest of so many typical pictures; 0: to the mean.")] = 0,
    classes: Annotated[str, typer.Option("--class", help="NAME, or a mix such as waves=2,landscapes=1.")] = "",
    move: Annotated[
        list[str] | None, typer.Option(help="Along a direction, such as sefa-1=2, or snow=2 as you called it.")
    ] = None,
    liked: Annotated[bool, typer.Option("--liked", help="Pass the run's favourites, in place of seeds.")] = False,
    favourites: Annotated[Path | None, typer.Option(help="Pass those of another file, in place of seeds.")] = None,
    time_lapse: Annotated[
        bool, typer.Option("--time-lapse", help="The run's sheets of samples, from the first to the last, in place of seeds.")
    ] = False,
    order: Annotated[str, typer.Option(help="kept: as they come; near: always on to the nearest, a calmer film.")] = "kept",
    audio: Annotated[Path | None, typer.Option(help="Sound that drives the film and is heard in it: WAV, MP3, ...")] = None,
    react: Annotated[float, typer.Option(help="How much truncation and speed follow the sound, from 0 to 1.")] = 0.7,
    curve: Annotated[Path | None, typer.Option(help="CSV that drives the film: time, truncation, speed, directions.")] = None,
    save_curve: Annotated[
        Path | None, typer.Option(help="Write what the sound drives, to change it and give it to --curve.")
    ] = None,
    size: Annotated[int | None, typer.Option(help="Shorter side in pixels; default: at least 256.")] = None,
    style: Annotated[Path | None, typer.Option(help="Refine every frame in the style of this picture, as one series.")] = None,
    strength: Annotated[float, typer.Option(help="Strength of the style, from 0 to 1.")] = 0.7,
    backbone: Annotated[str | None, typer.Option(help="Feature network of the style, as in refine.")] = None,
    iterations: Annotated[int, typer.Option(help="Steps of the style at each scale.")] = 60,
    sign: Sign = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
) -> None:
    """Make a film on the way from seed to seed; as a loop by default.

    With --audio the film is as long as the sound: loudness drives truncation and speed, low notes push on, and each --move
    follows a band, low, middle and high in turn.
    """
    keys = arguments.seeds(seeds)
    video_format = arguments.choice("--out suffix", out.suffix.lstrip(".").lower(), FORMATS)
    arguments.choice("--easing", easing, EASINGS)
    arguments.choice("--order", order, ORDERS)
    arguments.number("--fps", fps, 1, 60)
    arguments.number("--steps", steps, 1, 10_000)
    arguments.number("--truncation", truncation, 0, 2)
    if size is not None:
        arguments.number("--size", size, 16, 4096)
    arguments.number("--react", react, 0, 1)
    if audio is not None and video_format not in ("mp4", "webm"):
        raise ConfigError(f"--audio: a {video_format} has no sound; --out with .mp4 or .webm has")
    if save_curve is not None and audio is None:
        raise ConfigError("--save-curve writes what a sound drives: add --audio SOUND")
    for option, path in (("--out", out), ("--save-curve", save_curve)):
        if path is not None and path.exists() and not force:
            raise ConfigError(f"{option} {path}: exists; choose another, or add --force to replace it")
    inputs = [path for path in (style, audio, curve) if path is not None]
    targets.output_file("--out", out, (out.suffix.lower(),), inputs)
    if save_curve is not None:
        targets.output_file("--save-curve", save_curve, (".csv", ".tsv", ".txt"), inputs)
    if time_lapse and (liked or favourites or audio or curve or style):
        raise ConfigError(
            "--time-lapse shows a run's sheets as they are: leave out --liked, --favourites, --audio, --curve, --style"
        )
    _say_unheeded(context, time_lapse, bool(liked or favourites), audio is not None, curve is not None, style is not None)
    signature = signature_of(sign, [video_format])
    if time_lapse:
        _time_lapse(context, target, out, video_format, fps, signature)
        return
    called = [arguments.named_number("--move", text) for text in move or ()]
    recipe = None
    if style is not None:
        from artgan.refine.recipe import load_recipe, without_best_backbone

        found = backbone or weights.first_found(STYLE_BACKBONES)
        if backbone is None and found != STYLE_BACKBONES[0]:
            context.obj.say(without_best_backbone(found))
        flags = {"strength": strength, "backbone": found, "iterations": iterations}
        # Noise that differs from frame to frame flickers: no dither.
        values = {f"style.{name}": value for name, value in flags.items()} | {"color.mode": "match", "output.dither": False}
        recipe = load_recipe(None, values, {f"style.{name}": f"--{name} {value}" for name, value in flags.items()})
    import json

    import artgan
    from artgan.devices import choose_device
    from artgan.enlarging import enlarged
    from artgan.generation.direction_names import direction_called, moves_of
    from artgan.generation.drive import driven_way
    from artgan.generation.favourites import favourites_path, liked_points, nearest_order
    from artgan.generation.model_folder import load_model
    from artgan.generation.paths import journey
    from artgan.generation.sample import Look, points_of_seeds, render
    from artgan.generation.video import check_format, encode_video
    from artgan.progress import track

    check_format(video_format)
    chosen = choose_device(device)
    model = load_model(target, chosen)
    moves = moves_of(model, called)
    driven = _drive(audio, curve, fps, moves, truncation, react, partial(direction_called, model))
    if save_curve is not None and driven is not None:
        from artgan.generation.drive import curve_text

        arguments.write_text(save_curve, curve_text(driven, fps))
    moves = tuple(pair for pair in moves if driven is None or pair[0] not in driven.moves)
    shares = arguments.class_shares(classes, model.card.classes)
    look = Look(truncation, int(arguments.number("--centers", centers, 0, 64)), moves, None, shares)
    points = points_of_seeds(model, keys, look)
    if liked or favourites:
        points = liked_points(model, favourites or favourites_path(target))
    if order == "near":
        points = nearest_order(model, points)
    if driven is None:
        way = journey(points, steps, easing=easing, loop=loop)
    else:
        way = driven_way(points, driven, steps, easing=easing, loop=loop)
    note = {"keys": [point.as_dict() for point in points], "steps": steps, "easing": easing, "loop": loop}
    note |= {"model": model.name, "model_hash": model.sha256, "version": artgan.__version__}
    if audio is not None:
        note["sound"] = audio.name
    with hearing(quiet=context.obj.quiet) as listen:
        frames = enlarged(track(render(model.space, way), "rendering", len(way), "frames", listen), size or 256)
        if recipe is not None and style is not None:
            frames = iter(_styled(list(frames), style, recipe, str(chosen), listen))
        data = encode_video(frames, video_format, fps, json.dumps(note))
    if audio is not None:
        from artgan.generation.soundtrack import with_sound

        data, _ = with_sound(data, video_format, audio, len(way) / fps)  # which has been read in whole
    if signature is not None:
        from artgan.signing import signed

        data = signed(data, video_format, out.name, note, signature)
    write_whole(out, data)
    context.obj.say(f"{out}: {len(way)} frames, {len(way) / fps:.1f} s, {len(data) / 1e6:.1f} MB")


def _say_unheeded(context: typer.Context, time_lapse: bool, liked: bool, audio: bool, curve: bool, style: bool) -> None:
    """Say what was given and changes nothing."""
    look, way = ("seeds", "centers", "classes", "truncation", "move"), ("steps", "easing", "loop", "order", "size")
    if time_lapse:
        say_unheeded(context, "--time-lapse shows a run's sheets as they are", *look, *way)
    elif liked:
        moved = audio and not curve  # by the sound, which drives both
        say_unheeded(context, "--liked takes the favourites as they are", *(look[:3] if moved else look))
    if not audio or curve:
        say_unheeded(context, "no sound drives the film" if not audio else "--curve drives the film", "react")
    if not style:
        say_unheeded(context, "there is no --style", "strength", "backbone", "iterations")


def _time_lapse(
    context: typer.Context, run: Path, out: Path, video_format: str, fps: int, signature: "Signature | None"
) -> None:
    import json

    import artgan
    from artgan.generation.video import encode_video
    from artgan.report.time_lapse import sheets_of, time_lapse

    sheets = sheets_of(run)
    note = {"time_lapse": run.resolve().name, "sheets": len(sheets), "version": artgan.__version__}
    with hearing(quiet=context.obj.quiet) as listen:
        data = encode_video(time_lapse(sheets, fps, listen), video_format, fps, json.dumps(note))
    if signature is not None:
        from artgan.signing import signed

        data = signed(data, video_format, out.name, note, signature)
    write_whole(out, data)
    context.obj.say(f"{out}: {len(sheets)} sheets of {run}, {len(data) / 1e6:.1f} MB")


def _drive(
    audio: Path | None,
    curve: Path | None,
    fps: int,
    moves: tuple[tuple[str, float], ...],
    truncation: float,
    react: float,
    direction_called: Callable[[str], str],
) -> "Drive | None":
    """Return what drives the film; a table wins over the sound, which then gives the length."""
    if audio is None and curve is None:
        return None
    from artgan.generation.drive import drive_of_sound, read_curve
    from artgan.generation.sound import analyse, read_sound

    curves = analyse(read_sound(audio), fps) if audio is not None else None
    if curve is not None:
        return read_curve(curve, fps, None if curves is None else len(curves.loudness), direction_called)
    assert curves is not None
    return drive_of_sound(curves, truncation, moves, react)


def _styled(frames: "list[np.ndarray]", style: Path, recipe: object, device: str, listen: Listener) -> "list[np.ndarray]":
    """Return the frames refined as one series: one color map for all, so that nothing flickers."""
    import torch

    from artgan.decode import decode_file
    from artgan.refine.in_memory import Series, refine
    from artgan.refine.recipe import Recipe

    assert isinstance(recipe, Recipe)
    pixels = decode_file(style).pixels
    names = [f"frame {place}" for place in range(len(frames))]
    return refine(Series(frames, names, pixels, [pixels]), recipe, torch.device(device), listen)
