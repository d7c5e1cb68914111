"""The whole way as functions: paths, pictures, plain values and names in, documented objects out.

Each is called as `artgan.NAME`. Pictures come as `PIL.Image`, and may be given as that, as uint8 arrays `[H, W, 3]`, as paths.
"""

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from artgan import arguments
from artgan.backbones import DEFAULT_FEATURES, check_features
from artgan.config import RunConfig, load_config
from artgan.datasets import collection as collections
from artgan.datasets import prepare as preparing
from artgan.datasets import recipe as framing
from artgan.datasets.collection import Collection
from artgan.decode import decode_file
from artgan.errors import ConfigError, DataError
from artgan.metrics import groups
from artgan.progress import Listener, silent
from artgan.schema.strict_yaml import shipped_documents

if TYPE_CHECKING:
    from artgan.generation.model_folder import Model
    from artgan.refine.materials import Materials
    from artgan.refine.recipe import Recipe
    from artgan.refine.style_card import StyleSource

Picture = Image.Image | np.ndarray | str | os.PathLike[str]
NUM_JUDGED = 2000  # samples of a model, unless asked otherwise


@dataclass(frozen=True)
class Run:
    """A run folder after a session of training.

    Attributes:
        folder: has `report.html`, `samples/`, `metrics.jsonl`, `checkpoints/` and `model/`.
        outcome: how the session ended: `finished`, `no better`, `out of time` or `stopped`. The same call goes on from there.
        images_seen: real images shown to the discriminator, over all sessions of the run.
    """

    folder: Path
    outcome: str
    images_seen: int

    @property
    def model(self) -> "Model":
        """The best model so far, loaded on a CPU."""
        return load_model(self.folder, device="cpu")


@dataclass(frozen=True)
class Evaluation:
    """What was measured; `print` shows it as `artgan evaluate` does.

    Attributes:
        line: the metrics line: protocol, values with intervals, floors, warnings, as JSON has it.
    """

    line: Mapping[str, Any]

    @property
    def values(self) -> dict[str, float]:
        """The value of each metric by name, such as `fd` and `kid`; `artgan.evaluation.words` says what each means."""
        return {name: entry["value"] for name, entry in self.line["metrics"].items()}

    @property
    def verdict(self) -> str:
        """How the pictures stand and what to do next, in a sentence or two with the numbers that they rest on."""
        from artgan.evaluation.verdict import standing_of_line

        return str(standing_of_line(self.line))

    def __str__(self) -> str:
        from artgan.evaluation import describe

        return "\n".join(describe(self.line))


def prepare(
    sources: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    resolution: int | tuple[int, int] = 256,
    fit: str = "crop",
    focus: str = "center",
    tiles: int = 1,
    trim: bool = False,
    duplicates: str = "alike",
    holdout: float = 0.05,
    use_labels: bool = True,
    workers: int = 1,
    overwrite: bool = False,
    on_progress: Listener = silent,
) -> Collection:
    """Make a collection of every usable picture of the sources, and open it.

    Args:
        sources: a folder, file, pattern, archive, list, table or URL, or several of them.
        out: the collection's folder.
        resolution: side in pixels, or (width, height).
        fit: `crop`, `pad`, `stretch` or `smart`.
        focus: what a crop keeps: `center`, `top` or `detail`.
        tiles: cut a large work into up to this many crops along its longer side.
        trim: cut borders of one color first.
        duplicates: keep one of those that look `alike`, of `exact` ones, or `keep` all.
        holdout: share that stays out of training, from 0 to 0.9.
        use_labels: take classes from sub-folders and label files.
        workers: processes; a script that asks for more than one needs `if __name__ == "__main__":` around its own code.
        overwrite: replace a collection that is there.
        on_progress: told after each file.

    Raises:
        ConfigError: a value is out of range.
        DataError: nothing usable, or `out` exists.
        StorageError: no space, or not writable.
    """
    several = [sources] if isinstance(sources, str | os.PathLike) else list(sources)
    text = str(resolution) if isinstance(resolution, int) else "x".join(str(side) for side in resolution)
    width, height = arguments.resolution(text)
    recipe = framing.Recipe(
        height=height,
        width=width,
        fit=arguments.choice("fit", fit, framing.FITS),
        focus=arguments.choice("focus", focus, framing.FOCI),
        tiles=int(arguments.number("tiles", tiles, 1, 64)),
        trim=trim,
        min_side_px=min(width, height) // 2,
        duplicates=arguments.choice("duplicates", duplicates, framing.DUPLICATES),
        holdout=arguments.number("holdout", holdout, 0, 0.9),
    )
    paths = [os.fspath(source) for source in several]
    preparing.prepare(
        paths, Path(out), recipe, workers=workers, overwrite=overwrite, use_labels=use_labels, on_progress=on_progress
    )
    return open_collection(out)


def open_collection(folder: str | os.PathLike[str]) -> Collection:
    """Open a prepared collection: `images` uint8 `[N, H, W, 3]`, classes, labels, and the rows of both splits.

    Raises:
        DataError: the folder is missing, no collection, or damaged.
    """
    return collections.open_collection(Path(folder))


def train(
    collection: Collection | str | os.PathLike[str],
    run: str | os.PathLike[str],
    config: RunConfig | str | os.PathLike[str] | None = None,
    *,
    settings: Mapping[str, Any] | None = None,
    minutes: float | None = None,
    init: str | os.PathLike[str] | None = None,
    say: Callable[[str], None] = lambda text: None,
    on_progress: Listener = silent,
) -> Run:
    """Train a new run, or go on with one that is there; Ctrl-C saves and stops.

    Args:
        collection: what to train on, open or its folder.
        run: the run's folder.
        config: a YAML file, the name of one of `configs/` such as `kaokore_cpu_64`, or what `load_config` returned. Without one
            the run's own, or for a new run a fitting choice that `say` explains.
        settings: values that win over the configuration, by dotted key: `{"training.batch_size": 8}`.
        minutes: of training in this session; without a number training goes on to `training.total_kimg`.
        init: a model or run that a new run starts from.
        say: shows one line of what is chosen, planned and reached; `print` for example.
        on_progress: told at each log point.

    Raises:
        ConfigError: wrong values, or a run that another process trains.
        DataError: no usable collection.
        CheckpointError: the run's newest checkpoint is damaged, or of other pictures or values.
        StorageError: no space, or not writable; what was saved stays.
    """
    from artgan.training.start import Order, train_run

    folder = Path(run)
    overrides = [f"{key}={json.dumps(value)}" for key, value in (settings or {}).items()]
    own = folder / "config.yaml"
    chosen = _config(config if config is not None or not own.is_file() else own, overrides)
    if minutes is not None:
        arguments.number("minutes", minutes, 0.001, 1e6)
    order = Order(_opened(collection), folder, chosen, overrides, minutes, Path(init) if init is not None else None)
    outcome = train_run(order, say=say, on_progress=on_progress)
    assert outcome is not None  # only a dry run has none
    return Run(folder, outcome.value, int(json.loads((folder / "status.json").read_text(encoding="utf-8"))["images_seen"]))


def load_model(path: str | os.PathLike[str], *, device: str = "auto") -> "Model":
    """Load a model folder, or the best model of a run.

    Args:
        path: of the model or the run.
        device: `auto`, `cpu`, `cuda` or `cuda:1`.

    Raises:
        CheckpointError: missing, damaged, or not fitting its own description.
    """
    from artgan.devices import choose_device
    from artgan.generation import model_folder

    return model_folder.load_model(Path(path), choose_device(device))


def generate(
    model: "Model | str | os.PathLike[str]",
    seeds: int | Iterable[int],
    *,
    truncation: float = 1.0,
    class_name: str | None = None,
) -> list[Image.Image]:
    """Return the picture of each seed; a seed always gives the same picture of a model, alone and among others.

    Args:
        model: loaded, or the folder of a model or run.
        seeds: one or several, from 0 to 2^32 - 1.
        truncation: 1 keeps the model's whole variety, 0 gives its mean picture.
        class_name: of a conditional model; without one, seed k has class k modulo their number.

    Raises:
        ConfigError: a seed or truncation out of range, or a class that the model has not.
    """
    from artgan.generation.sample import Look, points_of_seeds, render

    opened = load_model(model) if isinstance(model, str | os.PathLike) else model
    numbers = [int(arguments.number("seed", seed, 0, arguments.MAX_SEED)) for seed in _several(seeds)]
    arguments.number("truncation", truncation, 0, 2)
    look = Look(truncation, classes=() if class_name is None else ((class_name, 1.0),))
    return [Image.fromarray(pixels) for pixels in render(opened.space, points_of_seeds(opened, numbers, look))]


def evaluate(
    target: "Model | str | os.PathLike[str]",
    collection: Collection | str | os.PathLike[str],
    *,
    features: str = DEFAULT_FEATURES,
    metrics: Sequence[str] = groups(),
    also: Sequence[str] = (),
    num_generated: int | None = None,
    truncation: float = 1.0,
    device: str = "auto",
    on_progress: Listener = silent,
) -> Evaluation:
    """Measure how close pictures are to a collection's training split, and whether they copy it.

    Args:
        target: a model, or the folder of a model, a run or pictures.
        collection: to compare with, open or its folder.
        features: the judge's space, such as `inception-768`, `inception-2048`, `dinov2-b14`; `random` needs no weights.
        metrics: groups of metrics, such as `distances` and `copying`; by default all.
        also: other feature spaces to compare distances in.
        num_generated: pictures to judge; by default 2000 of a model, all of a folder.
        truncation: of a model's samples.
        device: `auto`, `cpu`, `cuda` or `cuda:1`.
        on_progress: told about long work.

    Raises:
        ConfigError: no such features or metric, a value out of range, or features that the run was trained against.
        DataError: no such folder, or fewer than two pictures.
        WeightsError: the judge's weights are not available.
    """
    from artgan.devices import choose_device
    from artgan.evaluation import Judge, check_independent_of, measure
    from artgan.evaluation.spaces import add_spaces
    from artgan.generation.model_folder import Model, is_model_or_run

    check_features(features)
    for name in metrics:
        arguments.choice("metrics", name, groups())
    arguments.number("truncation", truncation, 0, 2)
    if num_generated is not None:
        arguments.number("num_generated", num_generated, 2, 1_000_000)
    opened, place = _opened(collection), choose_device(device)
    if not isinstance(target, Model) and not Path(target).exists():
        raise DataError(f"{target}: no such run, model or folder of pictures")
    if isinstance(target, Model) or is_model_or_run(Path(target)):
        model = target if isinstance(target, Model) else load_model(target, device=device)
        check_independent_of(features, model.folder)
        count, conditional = num_generated or NUM_JUDGED, bool(model.card.classes)
        subject = measure.generator_subject(opened, model.generator, count, truncation, conditional=conditional)
        place = model.space.device
    else:
        subject = measure.folder_subject(opened, Path(target), num_generated)
    judge = Judge(features, opened, place)
    verdict = measure.evaluate(judge, subject, metrics, on_progress=on_progress)
    if also:
        add_spaces(verdict.line, subject, opened, also, judge, on_progress=on_progress)
    return Evaluation(verdict.line)


def refine(
    pictures: Picture | Iterable[Picture],
    *,
    style: Picture | None = None,
    palette: Picture | None = None,
    look: str | os.PathLike[str] | None = None,
    settings: Mapping[str, Any] | None = None,
    device: str = "auto",
    on_progress: Listener = silent,
) -> list[Image.Image]:
    """Give pictures one look: style, colors, detail; in memory, as one series whose color map is fitted to all of them.

    Args:
        pictures: one or several, of any sizes.
        style: what to look like: a picture; or the path of one, of a folder of them, or of a collection.
        palette: whose colors `match` takes, likewise, or colors such as `#1b2a49,#d8c9a3`; the style's by default.
        look: a recipe's YAML file, or the name of one of `configs/refine/` such as `quick_cpu` or `soft_touch`.
        settings: values that win over the look, by dotted key: `{"style.strength": 0.5, "output.size_px": 1024}`. Where neither
            names a `style.backbone`, it is the first of vgg19, squeezenet1_1 and drawn whose weights are on this machine.
        device: `auto`, `cpu`, `cuda` or `cuda:1`.
        on_progress: told about every few steps.

    Raises:
        ConfigError: no such look, a wrong value, or a look that needs a style or palette where none is given.
        DataError: a picture cannot be read, or is too small for style.
        WeightsError: the named backbone's weights are not on this machine; those of `{"style.backbone": "drawn"}` always are.
    """
    from artgan import weights
    from artgan.backbones import STYLE_BACKBONES
    from artgan.devices import choose_device
    from artgan.refine.recipe import load_recipe, shipped_looks
    from artgan.refine.run import refine_pictures

    named = None if look is None else shipped_looks().get(os.fspath(look)) or Path(look)
    recipe = load_recipe(named, settings, backbone=weights.first_found(STYLE_BACKBONES))
    several = [_pixels(picture) for picture in _several(pictures)]
    names = [f"picture {index}" for index in range(len(several))]
    results = refine_pictures(several, names, recipe, _materials(recipe, style, palette), choose_device(device), on_progress)
    return [Image.fromarray(pixels) for pixels in results]


def _materials(recipe: "Recipe", style: Picture | None, palette: Picture | None) -> "Materials":
    """Return what a look is applied with, each from a path or from a picture in memory."""
    from artgan.refine.grading import parse_palette, sample_pixels
    from artgan.refine.materials import Materials, check_materials, colors_of

    styles = [] if style is None else [_source(style)]
    colors = None
    if recipe.color.mode == "match" and isinstance(palette, str) and palette.startswith("#"):
        colors = sample_pixels(parse_palette(palette))
    elif recipe.color.mode == "match" and (palette is not None or styles):
        colors = colors_of(styles if palette is None else [_source(palette)])
    materials = Materials(styles, [1.0] * len(styles), palette=colors)
    check_materials(recipe, materials)
    return materials


def _source(picture: Picture) -> "StyleSource":
    from artgan.refine.materials import style_source
    from artgan.refine.style_card import source_of_picture

    if isinstance(picture, str | os.PathLike):
        return style_source(Path(picture))
    return source_of_picture("picture", _pixels(picture))


def _config(config: RunConfig | str | os.PathLike[str] | None, overrides: Sequence[str]) -> RunConfig | None:
    if config is None:
        return None
    if isinstance(config, RunConfig):
        if overrides:
            raise ConfigError("settings go with the name or file of a configuration: this one is open, so put them into it")
        return config
    shipped = shipped_documents().get(os.fspath(config))
    return load_config(shipped or Path(config), overrides)


def _opened(collection: Collection | str | os.PathLike[str]) -> Collection:
    return collection if isinstance(collection, Collection) else open_collection(collection)


def _several(value: Any) -> Iterable[Any]:
    """Return the items of a value that may be one of them."""
    return [value] if isinstance(value, int | np.integer | np.ndarray | str | os.PathLike | Image.Image) else value


def _pixels(picture: Picture) -> np.ndarray:
    """Return uint8 `[H, W, 3]`.

    Raises:
        DataError: an array of another kind or shape, or a file that cannot be read.
    """
    if isinstance(picture, str | os.PathLike):
        return decode_file(Path(picture)).pixels
    pixels = np.asarray(picture.convert("RGB") if isinstance(picture, Image.Image) else picture)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise DataError(f"a picture as an array is uint8 [H, W, 3], got {pixels.dtype} {list(pixels.shape)}")
    return pixels
