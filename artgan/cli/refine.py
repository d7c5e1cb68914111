"""The verb refine."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.models import OptionInfo

from artgan import arguments, targets, weights
from artgan.backbones import LIGHT, LIGHT_BACKBONES, STYLE_BACKBONES
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


class _Gives(OptionInfo):
    """An option, and the value of the recipe that it gives."""

    key: str


def gives(key: str, help: str, *names: str) -> Any:
    """Return an option that gives a value of the recipe; lists there are names with commas here."""
    option = _Gives(default=None, param_decls=names, help=help)
    option.key = key
    return option


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
    strength: Number = gives("style.strength", "Strength of the style: 0 changes nothing, 1 is the full look."),
    engine: Text = gives("style.engine", "optimize; feedforward: a fitted network; none: color and detail."),
    backbone: Text = gives("style.backbone", "vgg19 (default), vgg16, squeezenet1_1; drawn comes with artgan."),
    style_layers: Text = gives("style.style_layers", "Comma-separated; default: the backbone's."),
    content_layers: Text = gives("style.content_layers", "Comma-separated; default: the backbone's."),
    style_loss: Text = gives("style.loss", "moments (default), gram, wasserstein or sliced."),
    content_loss: Text = gives("style.content", "features (default) or self_similarity."),
    content_weight: Number = gives("style.content_weight", "Higher keeps more of the picture."),
    style_scale: Number = gives("style.style_scale", "Size of the strokes; 1 is the style at the picture's size."),
    nearest: Whole = gives("style.nearest", "With a collection as style: only the works nearest to each picture."),
    optimizer: Text = gives("style.optimizer", "lbfgs (default) or adam."),
    iterations: Whole = gives("style.iterations", "Steps at each scale; default: 40."),
    pooling: Text = gives("style.pooling", "max (default) or average."),
    start: Text = gives("style.start", "content (default); style; noise: paint the picture anew."),
    tile: Whole = gives("style.tile_px", "Work in tiles of so many pixels, for pictures over memory."),
    size: Whole = gives("output.size_px", "Longer side of the result, before --enlarge; default: the picture's own."),
    color: Text = gives("color.mode", "none (default); keep: the picture's own colors; match: the palette's."),
    color_method: Text = gives("color.method", "mkl (default), reinhard, sliced; histogram: lightness alone."),
    color_strength: Number = gives("color.strength", "From 0 to 1."),
    palette: Annotated[str, typer.Option(help="Picture, collection or #colors for match; default: the style.")] = "",
    per_picture: Number = gives("color.per_picture", "0: one color map for the series; 1: one for each picture."),
    white_balance: Number = gives("color.white_balance", "From 0 to 1."),
    contrast: Number = gives("color.contrast", "From 0 to 1."),
    saturation: Number = gives("color.saturation", "From -1 to 1."),
    vibrance: Number = gives("color.vibrance", "From -1 to 1: for muted colors most."),
    unsharp: Number = gives("detail.unsharp", "Sharper edges, from 0 to 1."),
    boost: Number = gives("detail.boost", "Stronger texture, from 0 to 1."),
    grain: Number = gives("detail.grain", "Film grain, from 0 to 1."),
    canvas: Number = gives("detail.canvas", "Canvas weave, from 0 to 1."),
    file_format: Text = gives("output.format", "png (default), png16 or tiff16.", "--format"),
    profile: Text = gives("output.profile", "srgb (default), or source: the picture's own color profile."),
    cube: Annotated[Path | None, typer.Option(help="Also write the series' color map as a .cube table.")] = None,
    fit: Annotated[
        Path | None, typer.Option(help="Fit a network on these pictures or a model's samples, into this folder.")
    ] = None,
    fit_minutes: Annotated[float, typer.Option(help="How long to fit a network or an enlarger; a stopped fit goes on.")] = 20.0,
    enlarge: Whole = gives("enlarge.factor", "Enlarge 2 or 4 times, after all else; with --fit-enlarger, what to fit for."),
    enlarger: Annotated[
        Text, typer.Option(help="What enlarges: a fitted enlarger's folder; or lanczos or edge, which add no texture.")
    ] = None,
    texture: Number = gives(
        "enlarge.texture", "Of the enlarger: 0 is nearest to the picture, 1 has the works' texture; default: its own."
    ),
    fit_enlarger: Annotated[
        bool, typer.Option("--fit-enlarger", help="Fit an enlarger to these works (a collection, pictures), into --out.")
    ] = False,
    sources: Annotated[
        list[Path] | None, typer.Option(help="With --fit-enlarger: where the collection's originals are; may repeat.")
    ] = None,
    network: Annotated[
        Path | None, typer.Option(help="A fitted network, for the engine feedforward; with --fit, one to begin from.")
    ] = None,
    seed: Whole = gives("seed", "Seed of all noise; default: 0."),
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
    flags = _flags(context)
    arguments.number("--fit-minutes", fit_minutes, 0.001, 1e6)
    if enlarger is not None:
        flags["--enlarger"] = ("enlarge.way", enlarger if enlarger in CLASSICAL_WAYS else "network")
    if sign and (fit is not None or fit_enlarger):
        raise ConfigError("--sign signs pictures and films; --fit and --fit-enlarger make networks: sign what these make")
    folder = None if enlarger is None or enlarger in CLASSICAL_WAYS else Path(enlarger)
    about_style = style or recipe or recipe_from or any(key.startswith("style.") for key, _ in flags.values())
    if enlarge is not None and not about_style:
        flags["--engine"] = ("style.engine", "none")
    if fit_enlarger:
        if out is None:
            raise ConfigError("--fit-enlarger needs --out FOLDER, where the enlarger goes")
        if style or palette or mask or network or enlarger or fit:
            raise ConfigError(
                "--fit-enlarger learns from works alone: leave out --style, --palette, --mask, --fit and networks"
            )
        given = {flag: flags[flag] for flag in ("--seed", "--enlarge") if flag in flags} | {
            "--engine": ("style.engine", "none")
        }
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
    if out is None and not dry_run:
        raise ConfigError("refine needs --out FOLDER")
    if sign is not None and cluster is not None:
        raise ConfigError("--sign keeps its key on this machine, and --cluster would send it to others: leave one of them out")
    workers = chosen_workers(context.obj, jobs, cluster)
    _run(context.obj, inputs, out, look, materials, share, workers, device, cube, sign, dry_run, force)


def _flags(context: typer.Context) -> dict[str, tuple[str, Any]]:
    """Return the options that were given and give a value of the recipe: flag -> (the recipe's key, the value)."""
    flag_of = {option.name: option.opts[0] for option in context.command.params}
    given = {}
    for name, parameter in inspect.signature(refine).parameters.items():
        if not isinstance(parameter.default, _Gives):
            continue
        key, value = parameter.default.key, context.params[name]
        if key.endswith("_layers"):
            value = list(arguments.names(value or "")) or None
        if value is not None:
            given[flag_of[name]] = (key, value)
    return given


def _look(
    recipe: Path | None,
    recipe_from: Path | None,
    settings: list[str],
    flags: dict[str, tuple[str, Any]],
    say: Callable[[str], None],
) -> "Recipe":
    """Return the look that was asked for; `flags` are those that were given, each with the recipe's key and the value."""
    from artgan.refine.recipe import (
        find_look,
        load_recipe,
        named_backbone,
        overrides_of,
        recipe_from_dict,
        without_best_backbone,
    )

    values, typed = overrides_of(settings)
    for flag, (key, value) in flags.items():
        shown = ",".join(value) if isinstance(value, list) else f"{value:g}" if isinstance(value, float) else value
        values[key], typed[key] = value, f"{flag} {shown}"
    if recipe_from is None:
        path, found = None if recipe is None else find_look(recipe), weights.first_found(STYLE_BACKBONES)
        look = load_recipe(path, values, typed, backbone=found)
        asked, chosen = named_backbone(path, values), look.style.backbone
        best = LIGHT_BACKBONES[0] if asked == LIGHT else STYLE_BACKBONES[0]
        if look.style.engine == "optimize" and chosen not in (asked, best):
            say(without_best_backbone(chosen, best))
        return look
    if recipe is not None:
        raise ConfigError("give --recipe or --recipe-from, not both")
    data = _carried(recipe_from).get("recipe")
    if not isinstance(data, dict):
        raise DataError(f"{recipe_from}: carries no recipe of artgan refine")
    return recipe_from_dict(data, str(recipe_from), values, typed)


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
    out: Path | None,
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
    if dry_run or out is None:
        return
    if cube is not None:
        targets.output_file("--cube", cube, (".cube",), inputs)
    going_on = (out / WORK_FOLDER).is_dir()
    targets.output_folder(out, force, targets.REFINED, inputs, going_on=going_on)
    stands = f"what is finished is in {out}, and the same command goes on from there"
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
