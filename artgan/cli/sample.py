"""The verb sample."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from artgan import arguments, targets
from artgan.backbones import DEFAULT_FEATURES
from artgan.cli.app import EPILOG, app, say_unheeded
from artgan.cli.signing import Sign, signature_of
from artgan.cli.sizes import Enlarger, check_size
from artgan.cli.terminal import hearing
from artgan.cli.workers import CLUSTER_HELP, JOBS_HELP, chosen_workers
from artgan.errors import ConfigError
from artgan.progress import Listener, format_rate

if TYPE_CHECKING:
    import torch

    from artgan.generation.model_folder import Model
    from artgan.generation.point import Point
    from artgan.generation.sample import Look
    from artgan.refine.enlarging.sizes import Sizer

FORMATS = ("png", "jpeg", "webp", "tiff")
MEASURES = ("look", "realism", "variety", "color", "novelty", "diversity")
MIX_BANDS = ("coarse", "middle", "fine")


@app.command(epilog=f"Example: artgan sample runs/first --out samples --seeds 0-63 --truncation 0.8\n\n{EPILOG}")
def sample(
    context: typer.Context,
    target: Annotated[Path, typer.Argument(help="A run (its best model) or a model folder.")],
    out: Annotated[Path, typer.Option(help="Folder for the pictures.")],
    seeds: Annotated[str, typer.Option(help="Such as 0-63 or 3,5,8-12.")] = "0-15",
    truncation: Annotated[float, typer.Option(help="1: whole variety; lower: closer to the typical.")] = 1.0,
    centers: Annotated[int, typer.Option(help="Truncate to the nearest of so many typical pictures; 0: to the mean.")] = 0,
    classes: Annotated[str, typer.Option("--class", help="NAME, or a mix such as waves=2,landscapes=1.")] = "",
    move: Annotated[
        list[str] | None,
        typer.Option(help="Along a direction, such as sefa-1=2 (artgan directions), or snow=2 as you called it in the studio."),
    ] = None,
    mix: Annotated[str, typer.Option(help="Seeds whose styles every seed takes: a mixing sheet.")] = "",
    mix_layers: Annotated[str, typer.Option(help="coarse, middle, fine: what is taken from --mix.")] = "coarse",
    noise: Annotated[int | None, typer.Option(help="Seed of the noise, for generators that have noise.")] = None,
    size: Annotated[int | None, typer.Option(help="Longer side of the pictures in pixels, such as 1080.")] = None,
    enlarger: Enlarger = None,
    select: Annotated[int | None, typer.Option(help="Keep so many of the seeds; needs --collection.")] = None,
    by: Annotated[
        str, typer.Option(help="look: as the collection is, in all its range; realism, variety, color, novelty.")
    ] = "look",
    collection: Annotated[Path | None, typer.Option(help="The training collection, for --select.")] = None,
    features: Annotated[str, typer.Option(help="Feature space of --select; random needs no weights.")] = DEFAULT_FEATURES,
    image_format: Annotated[str, typer.Option("--format", help="png, jpeg, webp, tiff.")] = "png",
    captions: Annotated[bool, typer.Option("--captions", help="Write the seed under each picture of the grid.")] = False,
    columns: Annotated[int | None, typer.Option(help="Columns of the grid.")] = None,
    again: Annotated[list[Path] | None, typer.Option(help="Make these pictures again, from what they carry.")] = None,
    start: Annotated[list[Path] | None, typer.Option("--from", help="Pictures to start from, in place of seeds.")] = None,
    liked: Annotated[bool, typer.Option("--liked", help="The run's favourites, in place of seeds.")] = False,
    favourites: Annotated[Path | None, typer.Option(help="Another file of favourites, in place of seeds.")] = None,
    sign: Sign = None,
    jobs: Annotated[int, typer.Option(help=JOBS_HELP)] = 1,
    cluster: Annotated[str | None, typer.Option(help=CLUSTER_HELP)] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    force: Annotated[bool, typer.Option("--force", help="Write into a folder that is not empty.")] = False,
) -> None:
    """Make pictures, one for each seed, and a grid of them.

    Every picture carries what makes it again. --select keeps the best of many, --mix shows what coarse and fine styles do.
    """
    numbers = arguments.seeds(seeds)
    others = arguments.seeds(mix) if mix else []
    arguments.choice("--format", image_format, FORMATS)
    arguments.choice("--by", by, MEASURES)
    arguments.choice("--mix-layers", mix_layers, MIX_BANDS)
    check_size(size, None if again else enlarger)
    if columns is not None:
        arguments.number("--columns", columns, 1, 1000)
    if select is not None and collection is None:
        raise ConfigError("--select compares with the training pictures: add --collection COLLECTION")
    if sum([bool(mix), select is not None, bool(again)]) > 1 or (start and (select is not None or again)):
        raise ConfigError("--mix, --select, --again and --from with the last two do not go together: give one of them")
    if (liked or favourites) and (again or start or select is not None):
        raise ConfigError("--liked takes the favourites as they are: leave out --again, --from and --select")
    _say_unheeded(context, bool(again), bool(start or liked or favourites), bool(mix), select is not None)
    settings: dict[str, Any] = {
        "truncation": arguments.number("--truncation", truncation, 0, 2),
        "centers": int(arguments.number("--centers", centers, 0, 64)),
        "noise": None if noise is None else int(arguments.number("--noise", noise, 0, arguments.MAX_SEED)),
    }
    moves = [arguments.named_number("--move", text) for text in move or ()]
    targets.output_folder(out, force, targets.SAMPLES, [*(again or ()), *(start or ())])
    signature = signature_of(sign)
    from artgan.devices import choose_device
    from artgan.generation.direction_names import moves_of
    from artgan.generation.favourites import favourites_path
    from artgan.generation.model_folder import load_model
    from artgan.generation.sample import Look, picture_metadata, points_of_seeds, save_samples
    from artgan.refine.enlarging.sizes import sizer_of

    chosen = choose_device(device)
    workers = chosen_workers(context.obj, jobs if chosen.type == "cpu" else 1, cluster)
    model = load_model(target, chosen)
    sizer = sizer_of(enlarger, model.space.device)
    look = Look(**settings, moves=moves_of(model, moves), classes=arguments.class_shares(classes, model.card.classes))
    points, names = points_of_seeds(model, numbers, look), None
    options: dict[str, Any] = {"columns": columns, "captions": captions}
    sizes: list[int | None] = []
    started = time.monotonic()
    with hearing(quiet=context.obj.quiet) as listen:
        if again:
            image_format = _common_format(again)
            points, names = _again(model, again)
            sizes = [_size_of(path) for path in again]
            if size is None:
                sizer = _sizer_of_pictures(again, enlarger, sizer, model.space.device)
        if start:
            points, names = _started(model, start, look)
        if liked or favourites:
            points, names = _liked(model, favourites or favourites_path(target), look)
        if others:
            given = points_of_seeds(model, others, look)
            _say_what_mixing_does(context, model, points, given, mix_layers)
            points, names = _mixed(model, points, names, given, mix_layers)
            options |= {"columns": len(others) + 1, "heads": given}
        elif select is not None:
            assert collection is not None
            points = _selected(context, model, points, select, by, collection, features, listen)
        sizes = [size] * len(points) if size is not None or not sizes else sizes
        options |= {"names": names, "sizes_px": sizes, "sizer": sizer, "workers": workers, "on_progress": listen}
        paths = save_samples(model, out, points, image_format=image_format, **options)
        if signature is not None:
            from artgan.progress import track
            from artgan.signing import sign_file

            for path, point, px in track(list(zip(paths, points, sizes)), "signing", len(points), "pictures", listen):
                sign_file(path, image_format, picture_metadata(model, point, px, sizer.way), signature)
    rate = format_rate(len(points) / (time.monotonic() - started))
    context.obj.say(f"{len(points)} pictures and grid.png in {out}, from {model.folder} ({rate} pictures/s)")
    if size is not None:
        context.obj.say(sizer.told(model.space.height_px, model.space.width_px, size))


def _say_unheeded(context: typer.Context, again: bool, given: bool, mix: bool, select: bool) -> None:
    """Say what was given and changes nothing; a mixing sheet's columns take all of it but the seeds."""
    look = ("truncation", "centers", "noise", "classes")
    if again:
        say_unheeded(context, "--again makes pictures as they were", "seeds", *look, "move", "image_format")
    elif given:
        say_unheeded(context, "--from and --liked take pictures as they are", "seeds", *(() if mix else look))
    if not mix:
        say_unheeded(context, "there is no --mix", "mix_layers")
    if not select:
        say_unheeded(context, "there is no --select", "by", "collection", "features")


def _again(model: "Model", paths: list[Path]) -> tuple[list["Point"], list[str]]:
    from artgan.generation.sample import point_of_picture
    from artgan.metadata import read_metadata

    points = [point_of_picture(model, read_metadata(path), str(path)) for path in paths]
    return points, [path.stem for path in paths]


def _size_of(path: Path) -> int | None:
    """Return the size that a picture was brought to when it was made, if it was."""
    from artgan.metadata import read_metadata

    size = (read_metadata(path) or {}).get("size_px")
    return size if isinstance(size, int) and arguments.SIZES_PX[0] <= size <= arguments.SIZES_PX[1] else None


def _sizer_of_pictures(paths: list[Path], enlarger: str | None, named: "Sizer", device: "torch.device") -> "Sizer":
    """Return what brought pictures to their sizes when they were made.

    Raises:
        ConfigError: they were enlarged in different ways, or by an enlarger that was not named.
    """
    from artgan.metadata import read_metadata
    from artgan.refine.enlarging.sizes import sizer_of

    ways = {str((read_metadata(path) or {}).get("size_way")): path for path in paths if _size_of(path) is not None}
    if len(ways) > 1:
        raise ConfigError(f"--again: brought to their sizes in different ways ({', '.join(ways)}): give those of one way")
    for way, path in ways.items():
        if enlarger is None and not way.startswith("enlarger:"):
            return sizer_of(way, device)
        if way != named.way:
            name = "FOLDER" if way.startswith("enlarger:") else way
            raise ConfigError(
                f"--again {path}: was brought to its size by {way[:21]}; give that with --enlarger {name}, or another --size"
            )
    return named


def _started(model: "Model", paths: list[Path], look: "Look") -> tuple[list["Point"], list[str]]:
    """Return the points of pictures, with the moves that were asked for in place of their own."""
    from dataclasses import replace

    points, names = _again(model, paths)
    points = [replace(point, moves=look.moves or point.moves) for point in points]
    return points, [f"{name}-moved" if look.moves else name for name in names]


def _liked(model: "Model", path: Path, look: "Look") -> tuple[list["Point"], list[str]]:
    """Return the favourites, with the moves that were asked for in place of their own."""
    from dataclasses import replace

    from artgan.generation.favourites import liked_points

    points = [replace(point, moves=look.moves or point.moves) for point in liked_points(model, path)]
    stems = ["projection" if point.styles else f"seed-{point.seed:04d}" for point in points]
    return points, [f"liked-{place:03d}-{stem}" for place, stem in enumerate(stems, start=1)]


def _common_format(paths: list[Path]) -> str:
    from artgan.images import SUFFIX_OF

    found = {path.suffix.lower() for path in paths}
    formats = [name for name, suffix in SUFFIX_OF.items() if suffix in found]
    if len(found) != 1 or not formats:
        raise ConfigError(
            f"--again: give pictures of one format, {', '.join(SUFFIX_OF.values())}; got {', '.join(sorted(found))}"
        )
    return formats[0]


def _say_what_mixing_does(
    context: typer.Context, model: "Model", rows: list["Point"], columns: list["Point"], band: str
) -> None:
    """Say what the band does where it is not what one expects, and what works instead."""
    from artgan.generation.bands import effects

    found = {effect.band: effect for effect in effects(model.space, rows, columns)}
    if found[band].is_seen:
        return
    context.obj.say(f"note: {found[band]}.")
    seen = [name for name, effect in found.items() if effect.is_seen]
    if seen:
        context.obj.say(f"  What mixes here: --mix-layers {' or '.join(seen)}.")
        return
    pair = f"{rows[0].seed},{columns[0].seed}"
    context.obj.say(
        f"  No band of this model mixes. Between two pictures: artgan video {model.folder} --seeds {pair} --once --out "
        f"between.webp; parts of the look: artgan directions {model.folder} --out directions"
    )


def _mixed(
    model: "Model", rows: list["Point"], stems: list[str] | None, columns: list["Point"], band: str
) -> tuple[list["Point"], list[str]]:
    """Return the sheet row by row: the picture itself, then what it becomes with each column's styles."""
    from artgan.generation.paths import band_layers, mixing_matrix
    from artgan.generation.sample import stem_of

    layers = band_layers(band, model.generator.num_styles)
    points: list[Point] = []
    names: list[str] = []
    stems = stems or [stem_of(row) for row in rows]
    for row, stem, mixed in zip(rows, stems, mixing_matrix(rows, columns, layers), strict=True):
        points += [row, *mixed]
        names += [stem, *[f"{stem}-{band}-{column.seed:04d}" for column in columns]]
    return points, names


def _selected(
    context: typer.Context,
    model: "Model",
    points: list["Point"],
    count: int,
    by: str,
    collection: Path,
    features: str,
    listen: Listener,
) -> list["Point"]:
    from artgan.backbones import check_features
    from artgan.datasets.collection import open_collection
    from artgan.evaluation import Judge
    from artgan.selection import MEASURES as meanings
    from artgan.selection import select

    check_features(features)
    arguments.number("--select", count, 1, len(points))
    judge = Judge(features, open_collection(collection), model.space.device)
    chosen = select(model.space, points, count, by, judge, listen)
    context.obj.say(f"the best first; {by} is {meanings[by]}")
    for point, score in chosen:
        context.obj.say(f"seed {point.seed}: {by} {score:.4g}")
    return [point for point, _ in chosen]
