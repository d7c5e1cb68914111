"""The verb refine."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from artgan import arguments, targets, weights
from artgan.backbones import STYLE_BACKBONES
from artgan.cli.app import EPILOG, app
from artgan.cli.fits import fit_a_network, fit_an_enlarger
from artgan.cli.signing import Sign, signature_of
from artgan.cli.terminal import hearing
from artgan.cli.workers import CLUSTER_HELP, JOBS_HELP, chosen_workers
from artgan.errors import ConfigError, DataError
from artgan.refine.steps.enlarge import CLASSICAL_WAYS

if TYPE_CHECKING:
    from artgan.refine.files import Result
    from artgan.refine.materials import Materials
    from artgan.refine.recipe import Recipe
    from artgan.workers.tasks import Workers

_EXAMPLE = "Example: artgan refine samples/ --style starry_night.jpg --color match --out refined"
_LISTED_FAILURES = 8
_AGAIN = "once they can be read, the same command makes them alone, from what is kept in .unfinished"

Text = str | None
Number = float | None
Whole = int | None


@app.command(epilog=f"{_EXAMPLE}\n\n{EPILOG}")
def refine(
    context: typer.Context,
    inputs: Annotated[list[Path], typer.Argument(help="Pictures, folders of pictures; for fits also a run or model.")],
    out: Annotated[Path | None, typer.Option(help="Folder for the refined pictures.")] = None,
    style: Annotated[list[Path] | None, typer.Option(help="Picture, folder or collection to look like; may repeat.")] = None,
    style_weights: Annotated[str, typer.Option(help="How much each style counts, such as 2,1.")] = "",
    mask: Annotated[
        list[Path] | None, typer.Option(help="Where the style goes (white): a picture, or a folder of them.")
    ] = None,
    recipe: Annotated[
        Path | None, typer.Option(help="A look: a YAML file, or the name of one in configs/refine, such as painterly.")
    ] = None,
    recipe_from: Annotated[Path | None, typer.Option(help="A refined picture: take the look that it carries.")] = None,
    strength: Annotated[Number, typer.Option(help="Strength of the style: 0 changes nothing, 1 is the full look.")] = None,
    engine: Annotated[Text, typer.Option(help="optimize; feedforward: a fitted network; none: color and detail.")] = None,
    backbone: Annotated[Text, typer.Option(help="vgg19 (default), vgg16, squeezenet1_1; drawn comes with artgan.")] = None,
    style_layers: Annotated[str, typer.Option(help="Comma-separated; default: the backbone's.")] = "",
    content_layers: Annotated[str, typer.Option(help="Comma-separated; default: the backbone's.")] = "",
    style_loss: Annotated[Text, typer.Option(help="moments (default), gram, wasserstein or sliced.")] = None,
    content_loss: Annotated[Text, typer.Option(help="features (default) or self_similarity.")] = None,
    content_weight: Annotated[Number, typer.Option(help="Higher keeps more of the picture.")] = None,
    style_scale: Annotated[Number, typer.Option(help="Size of the strokes; 1 is the style at the picture's size.")] = None,
    nearest: Annotated[Whole, typer.Option(help="With a collection as style: only the works nearest to each picture.")] = None,
    optimizer: Annotated[Text, typer.Option(help="lbfgs (default) or adam.")] = None,
    iterations: Annotated[Whole, typer.Option(help="Steps at each scale; default: 40.")] = None,
    pooling: Annotated[Text, typer.Option(help="max (default) or average.")] = None,
    start: Annotated[Text, typer.Option(help="content (default); style; noise: paint the picture anew.")] = None,
    tile: Annotated[Whole, typer.Option(help="Work in tiles of so many pixels, for pictures over memory.")] = None,
    size: Annotated[
        Whole, typer.Option(help="Longer side of the result, before --enlarge; default: the picture's own.")
    ] = None,
    color: Annotated[Text, typer.Option(help="none (default); keep: the picture's own colors; match: the palette's.")] = None,
    color_method: Annotated[Text, typer.Option(help="mkl (default), reinhard, sliced; histogram: lightness alone.")] = None,
    color_strength: Annotated[Number, typer.Option(help="From 0 to 1.")] = None,
    palette: Annotated[str, typer.Option(help="Picture, collection or #colors for match; default: the style.")] = "",
    per_picture: Annotated[Number, typer.Option(help="0: one color map for the series; 1: one for each picture.")] = None,
    white_balance: Annotated[Number, typer.Option(help="From 0 to 1.")] = None,
    contrast: Annotated[Number, typer.Option(help="From 0 to 1.")] = None,
    saturation: Annotated[Number, typer.Option(help="From -1 to 1.")] = None,
    vibrance: Annotated[Number, typer.Option(help="From -1 to 1: for muted colors most.")] = None,
    unsharp: Annotated[Number, typer.Option(help="Sharper edges, from 0 to 1.")] = None,
    boost: Annotated[Number, typer.Option(help="Stronger texture, from 0 to 1.")] = None,
    grain: Annotated[Number, typer.Option(help="Film grain, from 0 to 1.")] = None,
    canvas: Annotated[Number, typer.Option(help="Canvas weave, from 0 to 1.")] = None,
    file_format: Annotated[Text, typer.Option("--format", help="png (default), png16 or tiff16.")] = None,
    profile: Annotated[Text, typer.Option(help="srgb (default), or source: the picture's own color profile.")] = None,
    cube: Annotated[Path | None, typer.Option(help="Also write the series' color map as a .cube table.")] = None,
    fit: Annotated[
        Path | None, typer.Option(help="Fit a network on these pictures or a model's samples, into this folder.")
    ] = None,
    fit_minutes: Annotated[float, typer.Option(help="How long to fit a network or an enlarger; a stopped fit goes on.")] = 20.0,
    enlarge: Annotated[
        Whole, typer.Option(help="Enlarge 2 or 4 times, after all else; with --fit-enlarger, what to fit for.")
    ] = None,
    enlarger: Annotated[
        Text, typer.Option(help="What enlarges: a fitted enlarger's folder; or lanczos or edge, which add no texture.")
    ] = None,
    texture: Annotated[
        Number, typer.Option(help="Of the enlarger: 0 is nearest to the picture, 1 has the works' texture; default: its own.")
    ] = None,
    fit_enlarger: Annotated[
        bool, typer.Option("--fit-enlarger", help="Fit an enlarger to these works (a collection, pictures), into --out.")
    ] = False,
    sources: Annotated[
        list[Path] | None, typer.Option(help="With --fit-enlarger: where the collection's originals are; may repeat.")
    ] = None,
    network: Annotated[
        Path | None, typer.Option(help="A fitted network, for the engine feedforward; with --fit, one to begin from.")
    ] = None,
    seed: Annotated[Whole, typer.Option(help="Seed of all noise; default: 0.")] = None,
    override: Annotated[list[str] | None, typer.Option("--set", help="Any other value of the recipe: key=value.")] = None,
    sign: Sign = None,
    jobs: Annotated[int, typer.Option(help=JOBS_HELP)] = 1,
    cluster: Annotated[str | None, typer.Option(help=CLUSTER_HELP)] = None,
    shard: Annotated[str, typer.Option(help="i/n: this machine's share of a folder that all see.")] = "1/1",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would take, and stop.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Write into a folder that is not empty.")] = False,
) -> None:
    """Give pictures one look: style, colors, detail, size.

    The style is that of a picture or of a whole collection, the colors are the picture's own or those of a palette; a folder
    becomes one series. A stopped run goes on where it was. Flags override the recipe.
    """
    flags: dict[str, tuple[str, Any]] = {
        "--seed": ("seed", seed),
        "--engine": ("style.engine", engine),
        "--strength": ("style.strength", strength),
        "--backbone": ("style.backbone", backbone),
        "--style-layers": ("style.style_layers", list(arguments.names(style_layers)) or None),
        "--content-layers": ("style.content_layers", list(arguments.names(content_layers)) or None),
        "--style-loss": ("style.loss", style_loss),
        "--content-loss": ("style.content", content_loss),
        "--content-weight": ("style.content_weight", content_weight),
        "--style-scale": ("style.style_scale", style_scale),
        "--nearest": ("style.nearest", nearest),
        "--optimizer": ("style.optimizer", optimizer),
        "--iterations": ("style.iterations", iterations),
        "--pooling": ("style.pooling", pooling),
        "--start": ("style.start", start),
        "--tile": ("style.tile_px", tile),
        "--color": ("color.mode", color),
        "--color-method": ("color.method", color_method),
        "--color-strength": ("color.strength", color_strength),
        "--per-picture": ("color.per_picture", per_picture),
        "--white-balance": ("color.white_balance", white_balance),
        "--contrast": ("color.contrast", contrast),
        "--saturation": ("color.saturation", saturation),
        "--vibrance": ("color.vibrance", vibrance),
        "--unsharp": ("detail.unsharp", unsharp),
        "--boost": ("detail.boost", boost),
        "--grain": ("detail.grain", grain),
        "--canvas": ("detail.canvas", canvas),
        "--enlarge": ("enlarge.factor", enlarge),
        "--enlarger": ("enlarge.way", None if enlarger is None else enlarger if enlarger in CLASSICAL_WAYS else "network"),
        "--texture": ("enlarge.texture", texture),
        "--size": ("output.size_px", size),
        "--format": ("output.format", file_format),
        "--profile": ("output.profile", profile),
    }
    if sign and (fit is not None or fit_enlarger):
        raise ConfigError("--sign signs pictures and films; --fit and --fit-enlarger make networks: sign what these make")
    folder = None if enlarger is None or enlarger in CLASSICAL_WAYS else Path(enlarger)
    if enlarge is not None and style is None and recipe is None and recipe_from is None:
        wants_style = any(value is not None for key, value in flags.values() if key.startswith("style."))
        flags["--engine"] = ("style.engine", engine if wants_style else "none")
    if fit_enlarger:
        if out is None:
            raise ConfigError("--fit-enlarger needs --out FOLDER, where the enlarger goes")
        if style or palette or mask or network or enlarger or fit:
            raise ConfigError(
                "--fit-enlarger learns from works alone: leave out --style, --palette, --mask, --fit and networks"
            )
        given = {flag: flags[flag] for flag in ("--seed", "--enlarge")} | {"--engine": ("style.engine", "none")}
        look = _look(recipe, recipe_from, override or [], given, context.obj.say)
        fit_an_enlarger(context.obj, inputs, sources or [], out, look, device, fit_minutes, dry_run=dry_run, force=force)
        return
    if sources:
        raise ConfigError("--sources goes with --fit-enlarger")
    if out is not None:
        others = [path for path in (network, folder) if path]
        others += [Path(palette)] if palette and not palette.startswith("#") else []
        targets.check_apart(out, [*inputs, *(style or ()), *(mask or ()), *others])
    look = _look(recipe, recipe_from, override or [], flags, context.obj.say)
    if enlarger is not None and not look.enlarge.acts:
        raise ConfigError("--enlarger goes with --enlarge 2 or 4")
    own_features = backbone or style_layers or content_layers
    if look.style.engine == "feedforward" and network is not None and fit is None and not own_features:
        from artgan.refine.feedforward import measured_alike

        look = measured_alike(look, network)
    share = arguments.shard(shard)
    materials = _materials(look, style or [], style_weights, mask or [], palette, network, folder)
    if recipe_from is not None:
        context.obj.say(_made_with(recipe_from))
    if fit is not None:
        fit_a_network(context.obj, inputs, fit, look, materials, device, fit_minutes)
        return
    if out is None:
        raise ConfigError("refine needs --out FOLDER")
    if sign is not None and cluster is not None:
        raise ConfigError("--sign keeps its key on this machine, and --cluster would send it to others: leave one of them out")
    workers = chosen_workers(context.obj, jobs, cluster)
    _run(context.obj, inputs, out, look, materials, share, workers, device, cube, sign, dry_run, force)


def _look(
    recipe: Path | None,
    recipe_from: Path | None,
    settings: list[str],
    flags: dict[str, tuple[str, Any]],
    say: Callable[[str], None],
) -> "Recipe":
    """Return the look that was asked for; `flags` are those that there are, each with the key that it gives and its value."""
    from artgan.refine.recipe import load_recipe, overrides_of, recipe_from_dict, shipped_looks

    values, typed = overrides_of(settings)
    for flag, (key, value) in flags.items():
        if value is not None:
            shown = ",".join(value) if isinstance(value, list) else f"{value:g}" if isinstance(value, float) else value
            values[key], typed[key] = value, f"{flag} {shown}"
    if recipe_from is None:
        named = shipped_looks().get(str(recipe)) if recipe and not recipe.exists() else None
        path, found = named or recipe, weights.first_found(STYLE_BACKBONES)
        look = load_recipe(path, values, typed, backbone=found)
        if look.style.engine == "optimize" and look.style.backbone != load_recipe(path, values).style.backbone:
            say(without_best_backbone(found))
        return look
    if recipe is not None:
        raise ConfigError("give --recipe or --recipe-from, not both")
    data = _carried(recipe_from).get("recipe")
    if not isinstance(data, dict):
        raise DataError(f"{recipe_from}: carries no recipe of artgan refine")
    return recipe_from_dict(data, str(recipe_from), values, typed)


def without_best_backbone(found: str) -> str:
    """Say that style looks through another network than the best one, and how to get that."""
    best = STYLE_BACKBONES[0]
    return f"style looks through {found}: {best}, the best for style, is not on this machine (artgan weights fetch {best})"


def _carried(picture: Path) -> dict[str, Any]:
    from artgan.metadata import read_metadata

    metadata = read_metadata(picture) if picture.is_file() else None
    held = metadata.get("refine") if metadata else None
    return held if isinstance(held, dict) else {}


def _materials(
    look: "Recipe", styles: list[Path], weights: str, masks: list[Path], palette: str, *fitted: Path | None
) -> "Materials":
    from artgan.refine.materials import gather_materials

    shares = [arguments.fraction("--style-weights", text) for text in arguments.names(weights)] or [1.0] * len(styles)
    if len(shares) != len(styles) or (shares and sum(shares) <= 0):
        raise ConfigError(f"--style-weights {weights}: expected {len(styles)} numbers above 0, one for each --style")
    return gather_materials(look, styles, shares, masks, palette, *fitted)


def _run(
    options: Any,
    inputs: list[Path],
    out: Path,
    look: "Recipe",
    materials: "Materials",
    share: tuple[int, int],
    workers: "Workers",
    device_name: str,
    cube: Path | None,
    sign: tuple[Path, Path] | None,
    dry_run: bool,
    force: bool,
) -> None:
    from artgan.devices import choose_device
    from artgan.refine.enlarging.folder import describe_enlarger
    from artgan.refine.feedforward import describe_network
    from artgan.refine.files import WORK_FOLDER
    from artgan.refine.forecast import forecast
    from artgan.refine.run import RefineRequest, run_refine
    from artgan.refined_film.frames import divided, format_of
    from artgan.refined_film.run import refine_films, told

    device = choose_device(device_name)
    if cube is not None and not look.color.is_mapped:
        raise ConfigError(f"--cube {cube}: this look has no color map for the series; --color match makes one")
    if look.style.engine == "feedforward" and materials.network is not None:
        options.say(describe_network(materials.network))
    if look.enlarge.acts and look.enlarge.way == "network" and materials.enlarger is not None:
        options.say(describe_enlarger(materials.enlarger))
    stills, moving = divided(inputs)
    if moving and share != (1, 1):
        raise ConfigError("--shard divides pictures, and there are films among the inputs: refine those without it")
    if cube is not None and not stills:
        raise ConfigError(f"--cube {cube}: is of a series of pictures, and the inputs are films")
    signature = signature_of(sign, [format_of(path) for path in moving])
    if stills:
        options.say(forecast(stills, look, materials, device, workers.jobs, share))
    if moving:
        options.say(f"{len(moving)} films, frame by frame: {', '.join(path.name for path in moving)}")
    if dry_run:
        return
    if cube is not None:
        targets.output_file("--cube", cube, (".cube",), inputs)
    going_on = (out / WORK_FOLDER).is_dir()
    targets.output_folder(out, force, targets.REFINED, inputs, going_on=going_on)
    stands = f"finished pictures are in {out}, and the same command goes on from there"
    with hearing(quiet=options.quiet, if_stopped=stands) as listen:
        films, failed = refine_films(moving, out, look, materials, device, signature, listen)
        for film in films:
            options.say(film)
        if failed and not (stills or films):
            raise DataError("\n".join(f"{path.name}: {reason}" for path, reason in failed.items()))
        request = RefineRequest(stills, out, look, materials, device, workers, share, cube, told(films, failed), signature)
        result = run_refine(request, say=options.say, on_progress=listen)
    _report_failures(result)


def _made_with(picture: Path) -> str:
    """Return what a picture was made with beside its recipe, which travels alone: styles, masks, palette."""
    held = _carried(picture)
    found = {key: held[key] for key in ("styles", "masks") if isinstance(held.get(key), list)}  # a stranger may have written it
    named = [style for style in found.get("styles", []) if isinstance(style, dict)]
    styles = [f"--style {style.get('name')} (weight {style.get('weight')})" for style in named]
    masks = [f"--mask {name}" for name in found.get("masks", [])]
    palette = [f"--palette {held['palette']}"] if "palette" in held else []
    return f"{picture} was made with {', '.join([*styles, *masks, *palette]) or 'its recipe alone'}"


def _report_failures(result: "Result") -> None:
    if result.failed:
        shown = [f"{path}: {reason}" for path, reason in list(result.failed.items())[:_LISTED_FAILURES]]
        raise DataError("\n".join([f"{len(result.failed)} of the inputs failed, the rest is done:", *shown, _AGAIN]))
