"""Style cards: the style statistics of a picture or of a whole collection at one size, computed once and kept.

A card is a safetensors file in the cache, named by a hash of everything that its numbers depend on: the pictures, the
backbone and its weights, layers, pooling, loss and size.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor

from artgan.backbones.backbone import Backbone
from artgan.images import to_float
from artgan.progress import Listener, silent, track
from artgan.refine.losses import Statistics, mixture, statistics
from artgan.refine.optimize import resize
from artgan.refine.steps.step import MIN_SIDE_PX
from artgan.refine.tiles import tiled_statistics
from artgan.storage import building
from artgan.weights import cache_dir

_log = logging.getLogger(__name__)
_VERSION = 2  # 2: pictures are continued beyond their borders
_DESCRIBED_AT_PX = 96
_SPREAD = 16
_HELD_WORKS = 64  # cards of single works, which neighbouring pictures often share

Card = dict[str, Statistics]


@dataclass(frozen=True)
class StyleSource:
    """Pictures that share one style.

    Attributes:
        name: for people.
        sha256: identity of the pictures.
        count: how many there are.
        picture: index -> uint8 `[h, w, 3]`.
    """

    name: str
    sha256: str
    count: int
    picture: Callable[[int], np.ndarray]


def source_of_picture(name: str, pixels: np.ndarray) -> StyleSource:
    """Return a style that is one picture, uint8 `[h, w, 3]`."""
    digest = hashlib.sha256(repr(pixels.shape).encode() + np.ascontiguousarray(pixels).tobytes()).hexdigest()
    return StyleSource(name, digest, 1, lambda _: pixels)


def spread_works(source: StyleSource) -> list[np.ndarray]:
    """Return the pictures of a style, uint8 `[h, w, 3]`; of a collection 16 that are evenly spread."""
    places = np.unique(np.linspace(0, source.count - 1, min(source.count, _SPREAD)).round().astype(int))
    return [source.picture(int(place)) for place in places]


class Cards:
    """The cards of one style source on one backbone.

    Args:
        source: the pictures.
        backbone: as style transfer uses it.
        layers: style layers.
        loss: which statistics are needed.
        variant: what else changes the backbone's features, such as its pooling.
        tile_px: measure larger pictures in tiles of this side; 0: whole.
    """

    def __init__(
        self, source: StyleSource, backbone: Backbone, layers: Sequence[str], loss: str, variant: str, tile_px: int = 0
    ) -> None:
        self.source = source
        self.backbone = backbone
        self.layers = tuple(layers)
        self.loss = loss
        self.variant = variant
        self.tile_px = tile_px
        self._held: dict[int, Card] = {}
        self._work = lru_cache(_HELD_WORKS)(self._measured)
        self._descriptors: Tensor | None = None

    def card(self, long_side_px: int, on_progress: Listener = silent) -> Card:
        """Return the statistics of all pictures, each reduced to a long side; batch size 1."""
        if long_side_px not in self._held:
            path = _path(self._key(long_side_px, "all"))
            card = _read(path, self.layers)
            if card is None:
                card = self._mean(long_side_px, range(self.source.count), self._measured, on_progress)
                _write(path, card)
            self._held[long_side_px] = card
        return self._placed(self._held[long_side_px])

    def nearest_card(self, content: Tensor, count: int, long_side_px: int) -> Card:
        """Return, for each picture `[B, 3, H, W]`, the statistics of the works nearest to it; batch size B.

        Near means a small distance of layer means at 96 px, each feature in units of its deviation over the works.
        """
        works = self._described()
        center, spread = works.mean(0), works.std(0, correction=0).clamp_min(1e-6)
        wanted = self._describe(content)
        distances = torch.cdist((wanted - center) / spread, (works - center) / spread)
        chosen = distances.topk(min(count, len(works)), largest=False).indices.tolist()
        cards = [self._placed(self._mean(long_side_px, sorted(indices), self._work, silent)) for indices in chosen]
        return {
            layer: Statistics(
                torch.cat([card[layer].mean for card in cards]),
                torch.cat([card[layer].second for card in cards]),
                _joined([card[layer].quantiles for card in cards]),
            )
            for layer in self.layers
        }

    def _placed(self, card: Card) -> Card:
        device = self.backbone.mean.device
        return {layer: values.map(lambda tensor: tensor.to(device)) for layer, values in card.items()}

    def _key(self, long_side_px: int, what: str) -> str:
        parts = {
            "version": _VERSION,
            "pictures": self.source.sha256,
            "what": what,
            "backbone": [self.backbone.name, self.backbone.weights_sha256, self.variant],
            "device": self.backbone.mean.device.type,  # they round differently, and bytes are to be equal
            "layers": self.layers,
            "quantiles": self.loss == "sliced",
            "long_side_px": long_side_px,
            "tile_px": self.tile_px,
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def _mean(
        self, long_side_px: int, indices: Sequence[int], measure: Callable[[int, int], Card], on_progress: Listener
    ) -> Card:
        """Stream over pictures: every picture counts the same, whatever its size."""
        sums: Card = {}
        for done, index in enumerate(
            track(indices, f"measuring the style at {long_side_px} px", len(indices), "works", on_progress)
        ):
            measured = measure(index, long_side_px)
            sums = {layer: mixture([sums[layer], measured[layer]], [done, 1]) for layer in self.layers} if sums else measured
        return sums

    @torch.no_grad()
    def _measured(self, index: int, long_side_px: int) -> Card:
        """Return the statistics of one picture."""
        images = reduced_picture(self.source.picture(index), long_side_px, self.backbone.mean.device)
        if self.tile_px and max(images.shape[-2:]) > self.tile_px:
            found = tiled_statistics(images, self.backbone, self.layers, self.tile_px)
        else:
            features = self.backbone(images)
            found = {layer: statistics(features[layer], self.loss) for layer in self.layers}
        return {layer: values.map(Tensor.cpu) for layer, values in found.items()}

    def _described(self) -> Tensor:
        if self._descriptors is None:
            path = _path(self._key(_DESCRIBED_AT_PX, "descriptors"))
            held = _read_tensors(path)
            if held is None:
                device = self.backbone.mean.device
                works = (self.source.picture(index) for index in range(self.source.count))
                rows = [self._describe(reduced_picture(pixels, _DESCRIBED_AT_PX, device)) for pixels in works]
                held = {"descriptors": torch.cat(rows)}
                _write_tensors(path, held)
            self._descriptors = held["descriptors"]
        return self._descriptors

    @torch.no_grad()
    def _describe(self, images: Tensor) -> Tensor:
        features = self.backbone(reduced(images, _DESCRIBED_AT_PX))
        return torch.cat([features[layer].float().mean((2, 3)) for layer in self.layers], 1).cpu()


def reduced(images: Tensor, long_side_px: int) -> Tensor:
    """Reduce pictures to a long side; they are never enlarged, but no side is shorter than 32 px."""
    height, width = images.shape[-2:]
    factor = min(1.0, long_side_px / max(height, width))
    size = (max(MIN_SIDE_PX, round(height * factor)), max(MIN_SIDE_PX, round(width * factor)))
    return resize(images, size).clamp(-1, 1)


def reduced_picture(pixels: np.ndarray, long_side_px: int, device: torch.device) -> Tensor:
    """Return a picture, uint8 `[h, w, 3]`, reduced to a long side: `[1, 3, H, W]` in [-1, 1]."""
    return reduced(to_float(torch.from_numpy(np.array(coarsely_reduced(pixels, long_side_px))[None]).to(device)), long_side_px)


def coarsely_reduced(pixels: np.ndarray, long_side_px: int) -> np.ndarray:
    """Reduce a picture by a whole factor, to four times the side or more: as floats a huge scan would fill the memory."""
    height, width = pixels.shape[:2]
    factor = min(max(height, width) // (4 * long_side_px), min(height, width) // MIN_SIDE_PX)
    if factor < 2:
        return pixels
    bands = (pixels[top : top + 64 * factor] for top in range(0, height, 64 * factor))  # whole, Pillow's copy is as large again
    return np.concatenate([np.asarray(Image.fromarray(band).reduce(factor)) for band in bands])


def _joined(parts: Iterable[Tensor | None]) -> Tensor | None:
    held = [part for part in parts if part is not None]
    return torch.cat(held) if held else None


def _path(key: str) -> Path:
    return cache_dir() / "style_cards" / f"{key}.safetensors"


def _read(path: Path, layers: Sequence[str]) -> Card | None:
    tensors = _read_tensors(path)
    if tensors is None or any(f"{layer}.mean" not in tensors or f"{layer}.second" not in tensors for layer in layers):
        return None
    return {
        layer: Statistics(tensors[f"{layer}.mean"], tensors[f"{layer}.second"], tensors.get(f"{layer}.quantiles"))
        for layer in layers
    }


def _write(path: Path, card: Card) -> None:
    tensors: dict[str, Tensor] = {}
    for layer, values in card.items():
        named = {"mean": values.mean, "second": values.second, "quantiles": values.quantiles}
        tensors |= {f"{layer}.{name}": tensor.contiguous() for name, tensor in named.items() if tensor is not None}
    _write_tensors(path, tensors)


def _read_tensors(path: Path) -> dict[str, Tensor] | None:
    if not path.is_file():
        return None
    try:
        return load_file(path)
    except Exception as error:  # whatever a damaged file makes the reader raise
        _log.warning("style card %s cannot be read (%s); computing it again", path, error)
        return None


def _write_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with building(path, by_many=True) as partial:
            save_file(tensors, partial)
    except Exception as error:  # a full disk or a read-only cache: the card is then computed again next time
        _log.warning("cannot keep a style card in %s (%s); the next run computes it again", path.parent, error)
