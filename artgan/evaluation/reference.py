"""What is known about a collection before anything is judged, computed once for a collection and a feature space.

Parts, each a safetensors file in the cache, each made when it is first asked for: `features` (of both splits, with
mean and covariance factor and KID's self-term), `manifold` (balls), a `floor` for each metric, and, for the search for
copies, `glances` at works and at their parts, and `crops`: those that some search has asked for, which grow with each. A
file's name is the hash of everything it depends on, the collection's pixels first: no cache can be stale. It is written
beside its place and renamed.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from artgan.datasets.collection import Collection, open_collection
from artgan.evaluation.judge import FULL, GLANCE, MIRRORED_GLANCE, Judge, Portable
from artgan.evaluation.protocol import digest
from artgan.metrics import METRICS
from artgan.metrics.frechet import Gaussian
from artgan.metrics.manifold import Manifold, fit_manifold
from artgan.metrics.sides import Known, Sides
from artgan.progress import Listener, Progress, silent
from artgan.storage import building
from artgan.weights import cache_dir

_VERSION = 3
_FEWEST = 2  # pictures on a side of a floor
# Parts of a picture that a copy could show enlarged: left, top, right, bottom as shares of its sides.
CROPS = {
    "top left": (0.0, 0.0, 0.8, 0.8),
    "top right": (0.2, 0.0, 1.0, 0.8),
    "bottom left": (0.0, 0.2, 0.8, 1.0),
    "bottom right": (0.2, 0.2, 1.0, 1.0),
    "middle": (0.1, 0.1, 0.9, 0.9),
}
COPIES = "looking for copies"
_log = logging.getLogger(__name__)
Arrays = dict[str, np.ndarray]
Facts = dict[str, Any]
View = Callable[[np.ndarray], np.ndarray]


@dataclass
class _Works(Portable):
    """Rows of a collection, seen whole, mirrored or in part; in another process it is opened again."""

    collection: Collection
    rows: np.ndarray
    view: View

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"collection": self.collection.folder}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state | {"collection": open_collection(state["collection"])})

    def __call__(self, places: Sequence[int]) -> Iterator[np.ndarray]:
        return (self.view(self.collection.images[self.rows[place]]) for place in places)


def _mirrored(image: np.ndarray) -> np.ndarray:
    return image[:, ::-1]


class Reference:
    """A collection's training split and hold-out in a judge's feature space.

    Args:
        judge: the feature space and the collection.
        on_progress: told about long work.
    """

    def __init__(self, judge: Judge, on_progress: Listener = silent) -> None:
        self.judge = judge
        self.on_progress = on_progress

    @property
    def train(self) -> np.ndarray:
        """Features of the training split, float32 `[N, d]`."""
        return self._features[0]["train"]

    @property
    def holdout(self) -> np.ndarray:
        """Features of the hold-out, float32 `[M, d]`; M may be 0."""
        return self._features[0]["holdout"]

    @cached_property
    def known(self) -> Known:
        """The training split as metrics take it, with what is kept of it in the cache."""
        return _Cached(self)

    def floor_of(self, name: str) -> Facts | None:
        """Return what real pictures reach against real ones in a metric, `{"value", "of"}`; None where none or too few are.

        What grows as sets shrink takes the two largest equal sets, the halves of the training split; what does not takes the
        hold-out, which no model has seen.
        """
        sides = {"halves": self._halves, "holdout": self._unseen, None: None}[METRICS.row(name).floor]
        if sides is None or len(sides.generated) < _FEWEST or len(sides.train.features) < _FEWEST:
            return None
        facts = self._part(f"floor {name}", partial(self._make_floor, name, sides))[1]
        return facts or None

    @cached_property
    def _halves(self) -> Sides:
        return Sides(self.train[::2], Known(self.train[1::2]), is_floor=True)

    @cached_property
    def _unseen(self) -> Sides:
        def ratios() -> np.ndarray:
            from artgan.evaluation.copying import Judged, find_matches

            rows = self.judge.collection.holdout_rows
            glances = self._extract(rows, _glancing("unseen"), takes=(GLANCE, MIRRORED_GLANCE))

            def mirrored(places: Sequence[int]) -> np.ndarray:
                return self._extract(rows[list(places)], _stage("unseen works, mirrored"), _mirrored)

            return find_matches(Judged(self.holdout, glances, mirrored), self).ratios

        return Sides(self.holdout, self.known, ratios=ratios, is_floor=True)

    @cached_property
    def glances(self) -> tuple[np.ndarray, np.ndarray]:
        """Features at the judge's `glance_px` of each training picture and of its `CROPS`, float32 `[1 + crops, N, d]`.

        With them the squared distance there from each whole picture to its nearest other, float64 `[N]`.
        """
        arrays = self._part("glances", self._make_glances)[0]
        return arrays["train"], arrays["nearest"]

    def crops(self, wanted: Sequence[tuple[int, int]]) -> np.ndarray:
        """Return features of parts of training pictures, float32 `[n, d]`; those that were asked for before are kept.

        Args:
            wanted: (1 + the place in `CROPS`, the row in the training split), ascending.
        """
        path = self._path("crops")
        known = _read(path)
        keys, features = np.empty((0, 2), np.int64), np.empty((0, self.train.shape[1]), np.float32)
        world = self.judge.world
        if known is not None:
            keys, features = known[0]["keys"], known[0]["features"]
        if not world.all_same(hashlib.sha256(keys.tobytes()).hexdigest(), self.judge.device):
            keys, features = keys[:0], features[:0]  # machines with caches of their own: all compute the same
        have = {(int(part), int(row)): place for place, (part, row) in enumerate(keys)}
        missing = [pair for pair in wanted if pair not in have]
        if missing:
            parts = sorted({part for part, _ in missing})  # which is the order of what is missing
            made = [self._make_crops(part, [row for other, row in missing if other == part]) for part in parts]
            have |= {pair: len(keys) + place for place, pair in enumerate(missing)}
            keys, features = np.concatenate([keys, np.array(missing, np.int64)]), np.concatenate([features, *made])
            if world.is_first_of_machine:
                _write(path, {"keys": keys, "features": features}, {})
        return features[[have[pair] for pair in wanted]]

    def _make_crops(self, part: int, rows: Sequence[int]) -> np.ndarray:
        """Return features of one part of some training pictures: parts differ by a pixel, and a batch has one size."""
        view = list(_VIEWS.values())[part]
        return self._extract(self.judge.collection.train_rows[list(rows)], COPIES, view)

    def unknown_pictures(self, copying: bool) -> dict[str, float]:
        """Return how many pictures of the collection are yet to be judged, by stage; a glance is a part of one."""
        collection = self.judge.collection
        unknown: dict[str, float] = {}
        if not self._path("features").is_file():
            unknown |= {_stage("train"): len(collection.train_rows), _stage("holdout"): len(collection.holdout_rows)}
        if copying and not self._path("glances").is_file():
            work = len(collection.train_rows) * self.judge.glance_work
            unknown |= {_glancing(part): work for part in _VIEWS}
        return unknown

    @cached_property
    def _features(self) -> tuple[Arrays, Facts]:
        return self._part("features", self._make_features)

    @cached_property
    def _manifold(self) -> Arrays:
        return self._part("manifold", self._make_manifold)[0]

    def key(self, part: str) -> str:
        """Return the cache key of a part."""
        content = {
            "version": _VERSION,
            "part": part,
            "boxes": CROPS if part in ("crops", "glances") else None,
            "collection": self.judge.collection.pixel_hash,
        }
        size = {"glance_px": self.judge.glance_px} if part == "glances" else {}
        return digest(content | size | asdict(self.judge.feature_protocol))

    def _path(self, part: str) -> Path:
        return cache_dir() / "features" / f"{self.key(part)}.safetensors"

    def _part(self, name: str, make: Callable[[], tuple[Arrays, Facts]]) -> tuple[Arrays, Facts]:
        path = self._path(name)
        known = _read(path)
        if self.judge.world.all_agree(known is not None, self.judge.device) and known is not None:
            return known
        arrays, facts = make()
        if known is None and self.judge.world.is_first_of_machine:  # each machine may have a cache of its own
            _write(path, arrays, facts)
        return arrays, facts

    def _extract(self, rows: np.ndarray, task: str, view: View = np.asarray, takes: Sequence[str] = (FULL,)) -> np.ndarray:
        pictures = _Works(self.judge.collection, rows, view)
        work = 1.0 if FULL in takes else len(takes) * self.judge.glance_work

        def heard(event: Progress) -> None:
            self.on_progress(replace(event, done=event.done * work, total=(event.total or 0) * work))

        return self.judge.extract(pictures, len(rows), task, heard, takes=takes)[:]

    def _make_features(self) -> tuple[Arrays, Facts]:
        collection = self.judge.collection
        train = self._extract(collection.train_rows, _stage("train"))
        holdout = self._extract(collection.holdout_rows, _stage("holdout"))
        known = Known(train)
        arrays = {"train": train, "holdout": holdout, "mean": known.gaussian.mean, "factor": known.gaussian.factor}
        return arrays, {"trace": known.gaussian.trace, "kernel_self": known.kernel_self}

    def _make_manifold(self) -> tuple[Arrays, Facts]:
        balls = fit_manifold(self.train)
        return {"nearest": balls.nearest, "radii": balls.radii}, {}

    def _make_floor(self, name: str, sides: Sides) -> tuple[Arrays, Facts]:
        estimate = METRICS.load(name)(sides)
        what = "halves of the training split" if sides is self._halves else "hold-out against training split"
        of = f"{what} ({len(sides.generated)} and {len(sides.train.features)})"
        return {}, {} if estimate is None else {"value": estimate.value, "of": of}

    def _make_glances(self) -> tuple[Arrays, Facts]:
        rows = self.judge.collection.train_rows
        glances = np.stack([self._extract(rows, _glancing(part), view, (GLANCE,)) for part, view in _VIEWS.items()])
        return {"train": glances, "nearest": fit_manifold(glances[0]).nearest}, {}


def _stage(what: str) -> str:
    return f"judging the collection ({what})"


def _glancing(part: str) -> str:
    return f"glancing at the collection ({part})"


def _crop(image: np.ndarray, box: Sequence[float]) -> np.ndarray:
    height, width = image.shape[:2]
    left, top, right, bottom = (round(share * side) for share, side in zip(box, (width, height, width, height), strict=True))
    return image[top:bottom, left:right]


_VIEWS: dict[str, View] = {"whole": np.asarray, **{part: partial(_crop, box=box) for part, box in CROPS.items()}}


class _Cached(Known):
    """The training split, from the parts of a reference."""

    def __init__(self, reference: Reference) -> None:
        super().__init__(reference.train)
        self._reference = reference

    @cached_property
    def gaussian(self) -> Gaussian:
        arrays, facts = self._reference._features
        return Gaussian(arrays["mean"], arrays["factor"], facts["trace"], len(self.features))

    @cached_property
    def kernel_self(self) -> float:
        return self._reference._features[1]["kernel_self"]

    @cached_property
    def manifold(self) -> Manifold:
        balls = self._reference._manifold
        return Manifold(self.features, balls["nearest"], balls["radii"])


def _read(path: Path) -> tuple[Arrays, Facts] | None:
    if not path.is_file():
        return None
    try:
        with safe_open(path, "np") as file:
            facts = json.loads((file.metadata() or {})["facts"])
            return {name: file.get_tensor(name) for name in file.keys()}, facts  # noqa: SIM118 - not a dict
    except (OSError, KeyError, ValueError, SafetensorError) as error:
        _log.warning("cached features %s cannot be read (%s); computing them again", path, error)
        return None


def _write(path: Path, arrays: Arrays, facts: Mapping[str, Any]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        with building(path, by_many=True) as partial:
            save_file(contiguous, partial, metadata={"facts": json.dumps(facts)})
    except (OSError, SafetensorError) as error:
        _log.warning("cannot cache features in %s (%s); the next evaluation computes them again", path.parent, error)
