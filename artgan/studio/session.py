"""What a studio can do, as plain calls on one object: no HTTP here, so any other front end may stand on it.

Models, runs and uploads are named by index; no path ever comes from outside.
"""

import contextlib
import functools
import itertools
import json
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import artgan
from artgan.enlarging import enlarged
from artgan.errors import CheckpointError, DataError
from artgan.file_names import plain_name
from artgan.generation.bands import effects
from artgan.generation.direction_names import direction_names_path, name_direction, read_direction_names
from artgan.generation.model_folder import Model, find_model, load_model, run_of
from artgan.generation.paths import EASINGS, journey
from artgan.generation.point import Point, pack_styles, point_from
from artgan.generation.projection import Settings, project
from artgan.generation.sample import Look, picture_metadata, points_of_seeds, render
from artgan.generation.video import MEDIA_TYPES, default_format, encode_video
from artgan.images import SUFFIX_OF, encode_picture
from artgan.metadata import TRAINED, metadata_of
from artgan.metrics import in_unit, label
from artgan.progress import Listener, track
from artgan.refine.enlarging.sizes import LANCZOS, Sizer
from artgan.storage import MANIFEST, read_sealed_json
from artgan.studio import mixtures, refining, wall
from artgan.studio.door import Door
from artgan.studio.shelf import Shelf
from artgan.studio.uploads import Uploads, quick_png
from artgan.studio.wall import Wall
from artgan.studio.watching import Watch
from artgan.studio.workspace import Workspace, is_run

MAX_POINTS = 64
_SAVED_SIZES_PX = (1080, 2160)  # what is posted; and four times the model's own
_MAX_FRAMES = 1200
_OPEN_MODELS = 2
_BAND_SEEDS = 3


@dataclass(frozen=True)
class File:
    """Bytes for the browser to keep, and what there is to say about them."""

    data: bytes
    media_type: str
    name: str
    note: str = ""


class Session:
    """A studio over some models and runs.

    Args:
        targets: runs and model folders.
        device: where pictures are made.
        door: the front door, whose runs are shown as well; None has none.
        sizer: what brings saved pictures to a size.

    Raises:
        CheckpointError: none of the targets holds a model or is a run, and there is no door.
    """

    def __init__(self, targets: Sequence[Path], device: torch.device, door: Door | None = None, sizer: Sizer = LANCZOS) -> None:
        self.device = device
        self.sizer = sizer
        self.door = door
        self.shelf = Shelf()
        self.wall = Wall()
        self._bands: dict[str, list[dict[str, Any]]] = {}
        self.folders: list[Path] = []
        self.watches: list[Watch] = []
        for target in targets:
            if is_run(target):
                self.watches.append(Watch(target))
            else:
                self.folders.append(find_model(target))
        self._look_for_models()
        if not self.folders and not self.watches and door is None:
            raise CheckpointError("the studio needs a run or a model folder: artgan studio runs/first")
        self._open: OrderedDict[tuple[int, int], Model] = OrderedDict()
        self.uploads = Uploads()

    def warm_up(self) -> None:
        """Open the first model and make one picture, so that the first visitor waits for neither."""
        if not self.folders:
            return
        try:
            self.model_facts(0)
            self.pictures(0, [{"seed": 0}])
        except CheckpointError:
            if self.door is None:
                raise  # of a whole workspace, one damaged model keeps nobody out: the page says what is wrong with it

    def _look_for_models(self) -> None:
        """Add runs that have begun, and models that runs have made by now, behind those that are known: an index stays."""
        if self.door is not None:
            runs = [self.door.workspace.runs / name for name in reversed(self.door.workspace.run_names())]
            self.watches += [Watch(run) for run in runs if run not in [watch.run for watch in self.watches]]
            mixtures = [self.door.workspace.models / name for name in self.door.workspace.model_names()]
            self.folders += [folder for folder in mixtures if folder not in self.folders]
        for watch in self.watches:
            found = [watch.run / "model" / name for name in ("best", "latest")]
            new = [folder for folder in found if folder not in self.folders and (folder / "config.json").is_file()]
            self.folders += new

    @functools.cached_property
    def _refining(self) -> dict[str, Any]:
        """What the page shows of refining: read once, as a page asks often whether there is a new model."""
        return {"refine": refining.controls(), "looks": refining.looks(), "sees_through": refining.sees_through()}

    def describe(self) -> dict[str, Any]:
        """Return what a page needs to draw itself."""
        self._look_for_models()
        return {
            "version": artgan.__version__,
            "models": [self._described(folder) for folder in self.folders],
            "runs": [watch.name for watch in self.watches],
            "door": self.door is not None,
            **self._refining,
            "formats": list(SUFFIX_OF),
            "video_formats": list(MEDIA_TYPES) if default_format() == "mp4" else ["webp"],
            "easings": list(EASINGS),
        }

    @staticmethod
    def _described(folder: Path) -> str:
        run = run_of(folder)
        return f"{run.name}, {folder.name}" if run else folder.resolve().name

    def model_facts(self, index: int) -> dict[str, Any]:
        """Return what controls a model has."""
        model = self.model(index)
        card = model.card
        metrics = (card.metrics or {}).get("metrics", {})
        return {
            "name": model.name,
            "sha256": model.sha256,
            "width": model.space.width_px,
            "height": model.space.height_px,
            "layers": model.generator.num_styles,
            "classes": list(card.classes),
            "architecture": card.architecture,
            "images_seen": card.images_seen,
            "collection": {key: card.collection.get(key) for key in ("name", "count")},
            "sizes": [[px, self.sizer.told(model.space.height_px, model.space.width_px, px)] for px in _saved_sizes(model)],
            "metrics": {label(name): in_unit(name, entry["value"]) for name, entry in metrics.items()},
            "directions": self._directions(model),
        }

    @staticmethod
    def _directions(model: Model) -> list[dict[str, Any]]:
        """Return `name` and `share` of each direction, `title` where somebody named it, and `named_at` another model."""
        titles, found = {}, []
        with contextlib.suppress(DataError):  # a damaged file keeps nobody out of the model: naming says what is wrong with it
            titles = read_direction_names(direction_names_path(model))
        for name, direction in model.space.directions.items():
            title = titles.get(name)
            about = {} if title is None else {"title": title.name}
            elsewhere = {} if title is None or title.model_hash == model.sha256 else {"named_at": title.model}
            found.append({"name": name, "share": direction.share} | about | elsewhere)
        return found

    def name_direction(self, index: Any, request: dict[str, Any]) -> dict[str, Any]:
        """Name a direction (`direction`, `name`) and return `directions`."""
        model = self.model(index)
        name_direction(model, request.get("direction"), request.get("name"))
        return {"directions": self._directions(model)}

    def place_of(self, model_hash: str) -> int | None:
        """Return the index of the model with a hash, or None where it is not one of those here."""
        for index, folder in enumerate(self.folders):
            with contextlib.suppress(CheckpointError, KeyError, TypeError):  # a damaged folder is not the one
                if read_sealed_json(folder / MANIFEST)["model.safetensors"]["sha256"] == model_hash:
                    return index
        return None

    def recipe(self, data: bytes) -> dict[str, Any]:
        """Return what a picture says of what made it: `recipe`, None where it is of another origin."""
        return {"recipe": metadata_of(data)}

    def model(self, index: Any) -> Model:
        """Return a model, read again when its folder has been replaced.

        Raises:
            DataError: there is no such model.
            CheckpointError: it is damaged.
        """
        folder = self.folders[_index("model", index, len(self.folders))]
        try:
            stamp = (folder / "manifest.json").stat().st_mtime_ns
        except OSError as error:
            raise CheckpointError(f"model {self._described(folder)} is gone: {error.strerror}") from error
        key = (int(index), stamp)
        if key not in self._open:
            self._open[key] = load_model(folder, self.device)
            while len(self._open) > _OPEN_MODELS:
                self._open.popitem(last=False)
        self._open.move_to_end(key)
        return self._open[key]

    def pictures(self, index: Any, contents: Any, is_wanted: Callable[[], bool] = lambda: True) -> list[bytes]:
        """Return a PNG without metadata for each point, quick to look at; fewer where they are no longer wanted."""
        model, points = self.model(index), _points(contents, MAX_POINTS)
        return [quick_png(pixels) for pixels in itertools.takewhile(lambda _: is_wanted(), render(model.space, points))]

    def pixels(self, index: int, point: Point) -> np.ndarray:
        """Return the picture of a point, uint8 `[H, W, 3]`."""
        return next(render(self.model(index).space, [point]))

    def export(self, index: Any, content: Any, image_format: Any, size_px: Any = None) -> File:
        """Return one picture with what makes it again: the bytes that `artgan sample` writes."""
        if image_format not in SUFFIX_OF:
            raise DataError(f"format: expected one of {', '.join(SUFFIX_OF)}")
        model, point = self.model(index), point_from(content)
        if size_px is not None and size_px not in _saved_sizes(model):
            raise DataError(f"size: expected one of {', '.join(map(str, _saved_sizes(model)))}; artgan sample --size makes any")
        pixels = self.sizer(next(render(model.space, [point])), size_px)
        data = encode_picture(pixels, image_format, picture_metadata(model, point, size_px, self.sizer.way))
        size = "" if size_px is None else f"-{size_px}"
        return self._made(model, File(data, f"image/{image_format}", f"{_stem(point)}{size}{SUFFIX_OF[image_format]}"))

    def refine(self, request: dict[str, Any], listen: Listener) -> File:
        """Return a point's picture, refined; what was done goes into its metadata.

        Args:
            request: `model`, `point`, `recipe`, and `style` (an upload) where the recipe needs one.
            listen: told about progress.
        """
        model, point = self.model(request.get("model")), point_from(request.get("point"))
        recipe = refining.recipe_from(request.get("recipe"))
        style = None if request.get("style") is None else self.uploads.pixels(request["style"])
        picture = next(render(model.space, [point]))
        (pixels,) = refining.refined([picture], style, recipe, listen)
        metadata = picture_metadata(model, point) | {"refine": {"recipe": recipe.as_dict()}}
        data = encode_picture(pixels, "png", metadata, TRAINED)
        return self._made(model, File(data, "image/png", f"{_stem(point)}-refined.png"))

    def film(self, request: dict[str, Any], listen: Listener) -> File:
        """Return a film along the kept points.

        Args:
            request: `model`, `points`, `steps` frames a way, `fps`, `easing`, `loop`, `format`.
            listen: told about each frame.
        """
        model, keys = self.model(request.get("model")), _points(request.get("points"), MAX_POINTS)
        steps, fps = _index("steps", request.get("steps"), 241), _index("fps", request.get("fps"), 61)
        easing, video_format = request.get("easing", "smooth"), request.get("format", default_format())
        if easing not in EASINGS or video_format not in MEDIA_TYPES or fps < 1:
            raise DataError("film: unknown easing or format, or no frames per second")
        loop = bool(request.get("loop", True))
        way = journey(keys, steps, easing=easing, loop=loop)
        if len(way) > _MAX_FRAMES:
            raise DataError(f"film: {len(way)} frames; the studio makes up to {_MAX_FRAMES}, the command line any number")
        frames = track(render(model.space, way), "filming", len(way), "frames", listen)
        note = {"keys": [key.as_dict() for key in keys], "steps": steps, "easing": easing, "loop": loop}
        note |= {"model": model.name, "model_hash": model.sha256, "version": artgan.__version__}
        data = encode_video(enlarged(frames, 256), video_format, fps, json.dumps(note))
        return self._made(model, File(data, MEDIA_TYPES[video_format], f"journey.{video_format}"))

    def _made(self, model: Model, file: File) -> File:
        """Put a result on the wall and return it; where the disk does not take it, it says so."""
        folder = wall.made_folder(model.folder, self._workspace)
        return replace(file, note=self.wall.put(folder, file.name, file.data))

    def wall_roots(self) -> list[wall.Root]:
        """Return where the wall looks now."""
        return wall.roots_of(list(self.folders), [watch.run for watch in self.watches], self._workspace)

    @property
    def _workspace(self) -> Workspace | None:
        return None if self.door is None else self.door.workspace

    def bands(self, index: Any) -> list[dict[str, Any]]:
        """Return what mixing each band of a model's styles does: `band`, `seen` and a sentence; nothing without layers."""
        model = self.model(index)
        if model.generator.num_styles < 2:
            return []
        if model.sha256 not in self._bands:
            points = points_of_seeds(model, range(2 * _BAND_SEEDS), Look())
            found = effects(model.space, points[:_BAND_SEEDS], points[_BAND_SEEDS:])
            self._bands = {model.sha256: [{"band": one.band, "seen": one.is_seen, "says": str(one)} for one in found]}
        return self._bands[model.sha256]

    def mix(self, request: dict[str, Any], listen: Listener) -> dict[str, Any]:
        """Mix two models and return the index of the mixture, where it is, and what there is to say; see `mixtures.mix`."""
        pair = self.model(request.get("first")), self.model(request.get("second"))
        folder, said = mixtures.mix(*pair, request, mixtures.mixtures_of(self.door), listen)
        self.folders.append(folder)
        return {"model": self.folders.index(folder), "folder": str(folder), "warning": said}

    def kept_archive(self, request: dict[str, Any], listen: Listener) -> File:
        """Return kept pictures as a zip; see `Shelf.archive`."""
        model = self.model(request.get("model"))
        return File(
            self.shelf.archive(model, request, listen), "application/zip", f"{plain_name(model.name, 'model')}-kept.zip"
        )

    def project(self, request: dict[str, Any], listen: Listener) -> dict[str, Any]:
        """Return the point whose picture is most like an upload, and how far it is in a network's layers.

        Args:
            request: `model`, `upload`, `per_layer` (W+ instead of W), `steps`.
            listen: told about progress.
        """
        model, target = self.model(request.get("model")), self.uploads.pixels(request.get("upload"))
        steps = max(1, _index("steps", request.get("steps", 200), 1001))
        settings = Settings(
            steps=steps, per_layer=bool(request.get("per_layer", True)), backbone=refining.usable_backbones()[0]
        )
        found = project(model.space, target, settings, listen)
        point = Point(styles=pack_styles(found.styles), classes=found.classes)
        distances = {"loss": found.losses[-1], "start_loss": found.losses[0], "network": settings.backbone}
        return {"point": point.as_dict()} | distances


def _saved_sizes(model: Model) -> list[int]:
    return sorted({4 * max(model.space.height_px, model.space.width_px), *_SAVED_SIZES_PX})


def _stem(point: Point) -> str:
    return "projection" if point.styles else f"seed-{point.seed:04d}"


def _points(contents: Any, limit: int) -> list[Point]:
    if not isinstance(contents, list) or not 1 <= len(contents) <= limit:
        raise DataError(f"points: expected a list of 1 to {limit}")
    return [point_from(content) for content in contents]


def _index(name: str, value: Any, end: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < end:
        raise DataError(f"{name}: expected a whole number from 0 to {end - 1}, got {str(value)[:40]}")
    return value
