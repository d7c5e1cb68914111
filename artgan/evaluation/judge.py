"""The judge: a feature space, a collection, and one pass that turns pictures into features."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import pad

from artgan.backbones import DEFAULT_FEATURES, FEATURE_SPACES, check_features
from artgan.backbones.backbone import Backbone, load_backbone
from artgan.config import RunConfig, load_config
from artgan.datasets.collection import Collection, open_collection
from artgan.devices import Pieces, place
from artgan.errors import ConfigError
from artgan.evaluation.protocol import FeatureProtocol, Protocol, digest, with_reference
from artgan.evaluation.resize import resize
from artgan.images import to_float
from artgan.metrics.features import FeatureBank
from artgan.models import DISCRIMINATORS
from artgan.progress import Listener, Progress
from artgan.workers.tasks import ALONE, Lost, Workers, over_workers
from artgan.world import World

BATCH = 32  # whole chunks of `artgan.generation.sample`
_CPU_PIECE = 8  # the feature maps of so few pictures stay in the cache
_DEFAULT_SIDE_PX = 224
# What of a picture a row holds, in this order: its features; those at `Judge.glance_px`, and of its mirror image there.
FULL, GLANCE, MIRRORED_GLANCE = "full", "glance", "mirrored glance"
_GLANCE_SHARE = 7 / 16  # of the side: a fifth of the work, and nearly the same neighbors (docs/decisions.md)

_FEWEST_SHARED = 16 * BATCH  # fewer are judged sooner than processes have started


class Portable:
    """Pictures that another process can make: a dataclass of plain values, called as `Pictures` are."""


# Gives the pictures of some indices, uint8 `[H, W, 3]`, in their order: of seeds, of files, of rows.
Pictures = Callable[[Sequence[int]], Iterator[np.ndarray]]


def backbone_and_layer(features: str) -> tuple[str, str]:
    """Return the network and the layer of a feature space: a name of the table, `timm/NAME`, or `NETWORK:LAYER`."""
    check_features(features)
    if features in FEATURE_SPACES:
        return FEATURE_SPACES[features][:2]
    if features.startswith("timm/"):
        return features, "pool"
    network, _, layer = features.partition(":")
    return network, layer


def check_independent(features: str, config: RunConfig) -> None:
    """Refuse a judge that sees through the network that a run trains against: it would praise what deceives that network.

    An untrained network is let through: where no weights are available there is no other.

    Args:
        features: the judge's space.
        config: of the run that is judged.

    Raises:
        ConfigError: they are of one network; the message names a judge that is not.
    """
    network, _ = backbone_and_layer(features)
    if network != "random" and DISCRIMINATORS.row(config.model.discriminator).backbone and network == config.model.backbone:
        raise ConfigError(
            f"'{features}' cannot judge this run, whose discriminator sees pictures through {network} as well: it would praise "
            f"what deceives that network; take {DEFAULT_FEATURES}, or 'random', which needs no weights"
        )


def check_independent_of(features: str, target: Path) -> None:
    """Refuse the same for a run, or a model folder within one, by the configuration that lies there.

    Args:
        features: the judge's space.
        target: a run, a model folder or a folder of pictures; what has no run around it is let through.

    Raises:
        ConfigError: as `check_independent`; or the run's configuration cannot be read.
    """
    for folder in (target, target.resolve().parent.parent):
        if (folder / "config.yaml").is_file():
            check_independent(features, load_config(folder / "config.yaml"))


class Judge:
    """A feature space and the collection to compare with.

    Args:
        features: a feature space; see `backbone_and_layer`.
        collection: the reference is its training split.
        device: where features are computed, always in float32 without TF32.
        resize_mode: a name of `artgan.evaluation.resize.RESIZES`. `legacy-torch` also takes pytorch-fid's normalisation,
            x / 127.5 - 1, for the Inception network.
        world: the processes that judge together, by default this one alone. All of them must judge the same things in the
            same order.
        workers: processes on a CPU, or a cluster, that share long extractions of `Portable` pictures; with one process alone.

    Raises:
        ConfigError: unknown features, or not the same in all processes.
        WeightsError: the feature network's weights are not available or lack the layer.
    """

    def __init__(
        self,
        features: str,
        collection: Collection,
        device: torch.device,
        *,
        resize_mode: str = "clean",
        world: World | None = None,
        workers: Workers = ALONE,
    ) -> None:
        network, self.layer = backbone_and_layer(features)
        self.features = features
        self.collection = collection
        self.device = device
        self.resize_mode = resize_mode
        self.world = world or World()
        self.workers = workers
        self.backbone: Backbone = place(load_backbone(network, (self.layer,)), device)
        if resize_mode == "legacy-torch" and network == "inception_fid_2015":
            self.backbone.mean.fill_(0.5)
            self.backbone.std.fill_(0.5)
        self._pieces = Pieces("judging", BATCH if device.type == "cuda" else _CPU_PIECE)
        self.size_px = FEATURE_SPACES[features][2] if features in FEATURE_SPACES else self.backbone.side_px or _DEFAULT_SIDE_PX

        # For a look at very many pictures: networks of one size alone have no cheaper one.
        self.glance_px = round(self.size_px * _GLANCE_SHARE) if self.backbone.takes_any_size else self.size_px
        if not self.world.all_same(digest(asdict(self.feature_protocol)), device):
            raise ConfigError(f"'{features}': some processes judge by other features or weights; give all of them the same")

    @property
    def glance_work(self) -> float:
        """What a glance costs beside a full look."""
        return (self.glance_px / self.size_px) ** 2

    @property
    def feature_protocol(self) -> FeatureProtocol:
        """How this judge makes features."""
        mean, std = ([round(255 * value, 4) for value in values.flatten().tolist()] for values in self._normalization())
        return FeatureProtocol(
            features=self.features,
            network=self.backbone.name,
            weights_sha256=self.backbone.weights_sha256,
            layer=self.layer,
            resize=self.resize_mode,
            size_px=self.size_px,
            normalization=f"(x - {_short(mean)}) / {_short(std)}, x in 0..255",
        )

    def _normalization(self) -> tuple[torch.Tensor, torch.Tensor]:
        return self.backbone.mean.cpu(), self.backbone.std.cpu()

    def protocol(self, num_generated: int, prepared: str = "") -> Protocol:
        """Return the protocol of a comparison with this judge."""
        reference = f"{self.collection.pixel_hash} train"
        return with_reference(self.feature_protocol, reference, len(self.collection.train_rows), num_generated, prepared)

    def extract(
        self,
        pictures: Pictures,
        count: int,
        task: str,
        on_progress: Listener,
        *,
        takes: Sequence[str] = (FULL,),
        first: tuple[int, Callable[[np.ndarray], None]] | None = None,
    ) -> FeatureBank:
        """Return the features of pictures 0..count-1, in order.

        Args:
            pictures: see `Pictures`.
            count: how many there are.
            task: the words for it in progress events.
            on_progress: told after each round of batches.
            takes: what a row holds, of `FULL`, `GLANCE` and `MIRRORED_GLANCE`, float32 `[d]` each.
            first: how many pictures' rows, `[n, d]`, are handed to the function as soon as they are there.
        """
        bank = FeatureBank()
        for rows in self._batches(pictures, count, takes):
            known = len(bank)
            bank.append(rows)
            if first is not None and known < first[0] <= len(bank):
                first[1](bank[: first[0]])
            on_progress(Progress(task, len(bank), count, "images"))
        return bank

    def _batches(self, pictures: Pictures, count: int, takes: Sequence[str]) -> Iterator[np.ndarray]:
        """Yield the rows of each batch, `[n, d]`, in order."""
        shared = self.workers.are_elsewhere and self.world.size == 1 and isinstance(pictures, Portable)
        if shared and count >= _FEWEST_SHARED:
            yield from self._batches_elsewhere(pictures, count, takes)
            return
        for start in range(0, count, BATCH * self.world.size):
            mine = range(start + BATCH * self.world.rank, min(start + BATCH * (self.world.rank + 1), count))
            rows = self._run(list(pictures(mine)) if mine else [], takes)
            yield torch.cat(self.world.gather(rows))[: count - start].cpu().numpy()

    def _batches_elsewhere(self, pictures: Pictures, count: int, takes: Sequence[str]) -> Iterator[np.ndarray]:
        judging = (self.features, self.collection.folder, str(self.device), self.resize_mode)
        tasks = [range(start, min(start + BATCH, count)) for start in range(0, count, BATCH)]
        make = partial(_judge_elsewhere, judging, pictures, takes)
        sees, threads = [self.collection.folder], torch.get_num_threads()
        for _, rows in over_workers(make, tasks, self.workers, in_order=True, threads=threads, sees=sees):
            if isinstance(rows, Lost):
                raise ConfigError("a process that judges was ended, most likely for want of memory: give fewer --jobs")
            yield rows

    def rows_of(self, pictures: Pictures, takes: Sequence[str], places: range) -> np.ndarray:
        """Return the rows of one batch, `[n, d]`."""
        return self._run(list(pictures(places)), takes)[: len(places)].cpu().numpy()

    @torch.inference_mode()
    def _run(self, batch: list[np.ndarray], takes: Sequence[str]) -> torch.Tensor:
        """Return float32 `[BATCH, d]`, its end zeros; pieces are filled up: kernels may round differently for other sizes."""
        height, width = batch[0].shape[:2] if batch else (self.collection.height, self.collection.width)
        size = self._pieces.size or BATCH
        padded = np.zeros((max(1, -(-len(batch) // size)) * size, height, width, 3), np.uint8)
        for index, picture in enumerate(batch):
            padded[index] = picture
        plain = to_float(torch.from_numpy(padded).to(self.device))
        with _full_precision():
            rows = self._pieces(lambda part: torch.cat([self._features(plain[part], take) for take in takes], 1), len(padded))
        return pad(rows[: len(batch)], (0, 0, 0, BATCH - len(batch)))

    def _features(self, images: torch.Tensor, take: str) -> torch.Tensor:
        images = images.flip(3) if take == MIRRORED_GLANCE else images
        resized = resize(images, self.size_px if take == FULL else self.glance_px, self.resize_mode)
        return self.backbone(resized)[self.layer].mean((2, 3))


def _judge_elsewhere(
    judging: tuple[str, Path, str, str], pictures: Pictures, takes: Sequence[str]
) -> Callable[[range], np.ndarray]:
    features, collection, device, resize_mode = judging
    judge = Judge(features, open_collection(collection), torch.device(device), resize_mode=resize_mode)
    return partial(judge.rows_of, pictures, takes)


@contextmanager
def _full_precision() -> Iterator[None]:
    """Keep TF32, which has ten bits of mantissa and is PyTorch's default for convolutions, out of a block."""
    convolutions, products = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = convolutions, products


def _short(values: list[float]) -> str:
    return f"{values[0]:g}" if len(set(values)) == 1 else "(" + ", ".join(f"{value:g}" for value in values) + ")"
