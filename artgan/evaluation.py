"""A model or a folder of pictures against a collection: features once, then every metric, as one metrics line."""

import hashlib
import json
import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from torch import Tensor
from torch.nn import functional as F

from artgan import seeding
from artgan.backbones.backbone import load_backbone
from artgan.datasets.collection import Collection
from artgan.datasets.recipe import Recipe, fit_pixels
from artgan.datasets.sources import find_files
from artgan.decode import SUFFIXES, decode_file
from artgan.devices import place
from artgan.errors import DataError
from artgan.generation.sample import generate
from artgan.images import to_float
from artgan.metrics.frechet import fit_gaussian, frechet_distance, frechet_interval
from artgan.metrics.kernel import kernel_distance, kernel_interval
from artgan.models.contract import GeneratorNetwork
from artgan.progress import Listener, Progress, silent
from artgan.weights import cache_dir

# Feature space -> backbone, layer, and the side that pictures are resized to.
_SPACES = {
    "inception-64": ("inception_fid_2015", "64", 299),
    "inception-192": ("inception_fid_2015", "192", 299),
    "inception-768": ("inception_fid_2015", "768", 299),
    "inception-2048": ("inception_fid_2015", "2048", 299),
    "random": ("random", "stage4", 128),
}
_BATCH = 25
_log = logging.getLogger(__name__)
_NUM_STANDARD_ERRORS = 1.96


def backbone_and_layer(features: str) -> tuple[str, str]:
    """Return the network and the layer of a feature space."""
    return _SPACES[features][:2]


@dataclass(frozen=True)
class Protocol:
    """Everything that a metric's value depends on, besides the pictures that are judged."""

    features: str
    network: str
    weights_sha256: str
    layer: str
    resize: str
    size_px: int
    dtype: str
    estimators: str
    reference: str
    num_reference: int
    num_generated: int
    truncation: float

    @property
    def hash(self) -> str:
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


class Judge:
    """A feature space and a collection's features in it.

    Args:
        features: a name of `artgan.config.FEATURES`.
        collection: the reference is its training split.
        device: where features are computed, always in float32 without TF32.

    Raises:
        WeightsError: the feature network's weights are not at hand or lack the layer.
    """

    def __init__(self, features: str, collection: Collection, device: torch.device) -> None:
        network, self.layer, self.size_px = _SPACES[features]
        self.features = features
        self.collection = collection
        self.device = device
        self.backbone = place(load_backbone(network, (self.layer,)), device)
        self._known: dict[str, np.ndarray] = {}

    def protocol(self, num_generated: int, truncation: float) -> Protocol:
        """Return the protocol of a comparison with this judge."""
        return Protocol(
            features=self.features,
            network=self.backbone.name,
            weights_sha256=self.backbone.weights_sha256,
            layer=self.layer,
            resize="clean: antialiased bicubic in float, clipped to 0..255",
            size_px=self.size_px,
            dtype="float32 features, float64 statistics",
            estimators="covariance N-1; exact unbiased KID, kernel (x.y/d+1)^3",
            reference=f"{self.collection.pixel_hash} train",
            num_reference=len(self.collection.train_rows),
            num_generated=num_generated,
            truncation=truncation,
        )

    def extract(self, pictures: Iterable[np.ndarray], task: str, total: int, on_progress: Listener) -> np.ndarray:
        """Return the features of uint8 `[H, W, 3]` pictures, float32 `[N, d]`."""
        rows: list[np.ndarray] = []
        batch: list[np.ndarray] = []
        for picture in pictures:
            batch.append(picture)
            if len(batch) == _BATCH:
                rows.append(self._run(batch))
                batch = []
                on_progress(Progress(task, len(rows) * _BATCH, total, "images"))
        if batch:
            rows.append(self._run(batch))
            on_progress(Progress(task, total, total, "images"))
        return np.concatenate(rows) if rows else np.empty((0, 1), np.float32)

    @torch.inference_mode()
    def _run(self, batch: list[np.ndarray]) -> np.ndarray:
        images = to_float(torch.from_numpy(np.stack(batch)).to(self.device))
        images = resize_clean(images, self.size_px)
        tf32 = torch.backends.cudnn.allow_tf32
        torch.backends.cudnn.allow_tf32 = False
        features = self.backbone(images)[self.layer].mean((2, 3))
        torch.backends.cudnn.allow_tf32 = tf32
        return features.cpu().numpy()

    def reference(self, on_progress: Listener = silent) -> np.ndarray:
        """Return the features of the training split, float32 `[N, d]`."""
        return self._cached("train", self.collection.train_rows, on_progress)

    def holdout(self, on_progress: Listener = silent) -> np.ndarray:
        """Return the features of the hold-out split, float32 `[N, d]`; it may be empty."""
        return self._cached("holdout", self.collection.holdout_rows, on_progress)

    def _cached(self, split: str, rows: np.ndarray, on_progress: Listener) -> np.ndarray:
        """Compute once per (collection, feature space, weights), also across processes."""
        if split not in self._known:
            key = hashlib.sha256(f"{self.protocol(0, 1.0).hash} {split}".encode()).hexdigest()
            path = cache_dir() / "features" / f"{key}.safetensors"
            features = _read_features(path, len(rows))
            if features is None:
                pictures = (self.collection.images[row] for row in rows)
                features = self.extract(pictures, f"judging the collection ({split})", len(rows), on_progress)
                _write_features(path, features)
            self._known[split] = features
        return self._known[split]


def resize_clean(images: Tensor, size_px: int) -> Tensor:
    """Resize float images in [-1, 1] to a square with antialiased bicubic filtering, without rounding, clipped to the range.

    It is Pillow's filter in float (Parmar et al. 2022, 2104.11222), which aliased resizing departs from by whole FID points.
    """
    if images.shape[-2:] != (size_px, size_px):
        images = F.interpolate(images, (size_px, size_px), mode="bicubic", antialias=True, align_corners=False)
    return images.clamp(-1, 1)


def evaluate_generator(
    judge: Judge, generator: GeneratorNetwork, num_generated: int, *, truncation: float = 1.0, on_progress: Listener = silent
) -> dict[str, Any]:
    """Judge the pictures of seeds 0..num_generated-1 and return the metrics line.

    A conditional generator draws classes in the proportions of the training split.
    """
    labels = _labels_like(judge.collection, num_generated)
    pictures = generate(generator, range(num_generated), labels, truncation)
    return _judge_pictures(judge, pictures, num_generated, truncation, on_progress)


def evaluate_folder(judge: Judge, folder: Path, num_generated: int | None, *, on_progress: Listener = silent) -> dict[str, Any]:
    """Judge the pictures below a folder, made alike in the way of `prepare`, and return the metrics line.

    Raises:
        DataError: fewer pictures than `num_generated`, or a file that is not a readable picture.
    """
    files = [path for file in find_files([folder]) if (path := Path(file.path)).suffix.lower() in SUFFIXES]
    count = len(files) if num_generated is None else num_generated
    if len(files) < max(count, 2):
        raise DataError(
            f"{folder} holds {len(files)} pictures, {max(count, 2)} are needed: give a fuller folder or a smaller "
            f"--num-generated"
        )
    recipe = Recipe(judge.collection.height, judge.collection.width)
    pictures = (fit_pixels(decode_file(path).pixels, recipe) for path in files[:count])
    return _judge_pictures(judge, pictures, count, 1.0, on_progress)


def _judge_pictures(
    judge: Judge, pictures: Iterable[np.ndarray], count: int, truncation: float, on_progress: Listener
) -> dict[str, Any]:
    reference = judge.reference(on_progress)
    holdout = judge.holdout(on_progress)
    features = judge.extract(pictures, "judging", count, on_progress)
    protocol = judge.protocol(count, truncation)
    frechet_name = "fid" if judge.features == "inception-2048" else "fd"
    gaussian = fit_gaussian(reference)
    frechet = frechet_distance(fit_gaussian(features), gaussian)
    kernel = kernel_distance(features, reference)
    return {
        "protocol": asdict(protocol),
        "protocol_hash": protocol.hash,
        "num_generated": count,
        "metrics": {
            frechet_name: _entry(frechet, frechet_interval(features, gaussian, _NUM_STANDARD_ERRORS)),
            "kid": _entry(kernel, kernel_interval(features, reference, _NUM_STANDARD_ERRORS)),
        },
        "floor": _floor(frechet_name, reference, holdout),
        "warnings": _warnings(frechet_name, count, features.shape[1]),
    }


def _entry(value: float, interval: tuple[float, float]) -> dict[str, float | None]:
    low, high = (None if np.isnan(bound) else bound for bound in interval)
    return {"value": value, "low": low, "high": high}


def _floor(frechet_name: str, reference: np.ndarray, holdout: np.ndarray) -> dict[str, Any]:
    """Return what real pictures reach against real pictures, each with what was compared.

    The Fréchet distance grows as sets shrink, so its floor takes the two largest equal sets: the halves of the training
    split. KID does not, so its floor takes the hold-out, which no model has seen.
    """
    floor: dict[str, Any] = {}
    first, second = reference[::2], reference[1::2]
    if len(second) >= 2:
        value = frechet_distance(fit_gaussian(first), fit_gaussian(second))
        floor[frechet_name] = {"value": value, "of": f"halves of the training split ({len(first)} and {len(second)})"}
    if len(holdout) >= 2:
        value = kernel_distance(holdout, reference)
        floor["kid"] = {"value": value, "of": f"hold-out against training split ({len(holdout)} and {len(reference)})"}
    return floor


def _warnings(frechet_name: str, count: int, dim: int) -> list[str]:
    if count >= 2 * dim:
        return []
    return [
        f"{frechet_name} of {count} pictures in {dim} dimensions is biased upwards: compare at equal counts only, and trust kid"
    ]


def describe(line: Mapping[str, Any]) -> list[str]:
    """Return a metrics line as lines of text for people."""
    texts = []
    for name, entry in line["metrics"].items():
        interval = "" if entry["low"] is None else f"  [{entry['low']:.5g}, {entry['high']:.5g}]"
        floor = line["floor"].get(name)
        real = f"  real against real {floor['value']:.5g}: {floor['of']}" if floor else ""
        texts.append(f"{name:4} {entry['value']:.5g}{interval}{real}")
    protocol = line["protocol"]
    texts.append(
        f"{line['num_generated']} pictures against {protocol['num_reference']}, {protocol['features']} features, "
        f"protocol {line['protocol_hash'][:12]}"
    )
    return texts + [f"note: {warning}" for warning in line["warnings"]]


def _labels_like(collection: Collection, count: int) -> list[int]:
    labels = collection.labels[collection.train_rows]
    draws = seeding.uniform(0, "evaluation/labels", 0, count, 1)[:, 0]
    return [int(label) for label in labels[(draws * len(labels)).astype(np.int64)]]


def _read_features(path: Path, count: int) -> np.ndarray | None:
    if not path.is_file():
        return None
    try:
        features = load_file(path)["features"]
    except (OSError, KeyError, ValueError, SafetensorError) as error:
        _log.warning("cached features %s cannot be read (%s); computing them again", path, error)
        return None
    return features if len(features) == count else None


def _write_features(path: Path, features: np.ndarray) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.name}.{os.getpid()}")
        save_file({"features": features}, partial)
        os.replace(partial, path)
    except (OSError, SafetensorError) as error:
        _log.warning("cannot cache features in %s (%s); the next evaluation computes them again", path.parent, error)
