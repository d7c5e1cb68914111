"""A configuration for whoever gives none: by size, number of works, classes, device and the weights at hand, with reasons."""

from collections.abc import Callable, Sequence

import numpy as np
import torch

from artgan import weights
from artgan.backbones import DEFAULT_FEATURES
from artgan.backbones.backbone import load_backbone
from artgan.config import RunConfig, load_config, with_values
from artgan.datasets.collection import Collection
from artgan.devices import choose_device, describe_device
from artgan.errors import WeightsError
from artgan.evaluation import backbone_and_layer
from artgan.models import BATCH_MULTIPLES
from artgan.progress import Listener

Say = Callable[[str], None]
_FEATURES_BY_PREFERENCE = (DEFAULT_FEATURES, "random")
_FEW_WORKS = 200
_WORKS_PER_CLASS = 200
# On a GPU: images per step, up to this shorter side.
_GPU_BATCHES = ((256, 64), (512, 32), (4096, 16))


def choose_config(collection: Collection, overrides: Sequence[str], say: Say, on_progress: Listener) -> RunConfig:
    """Choose a configuration and say why.

    Args:
        collection: what to train on.
        overrides: `key=value` texts that win over the choice.
        say: shows one line.
        on_progress: told about a download of weights.
    """
    base = load_config(None, overrides)
    device = choose_device(base.training.device)
    works, size = len(collection.train_rows), f"{collection.width}x{collection.height} px"
    say(f"no config given; chosen for {works:,} works at {size} on {describe_device(device)}:")
    given = {override.partition("=")[0].strip() for override in overrides}
    values: dict[str, object] = {}
    if "model.discriminator" not in given:
        values |= {"model.discriminator": _discriminator(base, say, on_progress)}
    discriminator = str(values.get("model.discriminator", base.model.discriminator))
    values |= _size_of_training(collection, device, base.model.generator, discriminator, say)
    if "model.conditional" not in given:
        values |= {"model.conditional": _is_conditional(collection, say)}
    if "evaluation.features" not in given:
        values |= {"evaluation.features": _features(say)}
    if works < _FEW_WORKS:
        say(f"- with fewer than {_FEW_WORKS} works a model tends to copy them: look at the nearest pictures in report.html")
    if given:
        say(f"- as given: {', '.join(overrides)}")
    return with_values(base, {key: value for key, value in values.items() if key not in given})


def _size_of_training(
    collection: Collection, device: torch.device, generator: str, discriminator: str, say: Say
) -> dict[str, object]:
    """Return width, batch and length."""
    works, side = len(collection.train_rows), min(collection.height, collection.width)
    wanted = 16 if device.type != "cuda" else next(batch for limit, batch in _GPU_BATCHES if side <= limit)
    multiple = BATCH_MULTIPLES[discriminator]
    batch = max(1, min(wanted, works // multiple * multiple or works))
    values: dict[str, object] = {"training.batch_size": batch}
    if device.type == "cuda":
        values |= {"model.width": 64 if side <= 512 else 48, "training.ema_halflife_kimg": 20.0, "training.total_kimg": 2000.0}
        say(f"- {generator} generator of width {values['model.width']}; batch {batch}; 2,000 kimg")
    else:
        values |= {"model.width": 16}
        # The fastgan discriminator's width costs as the generator's does; heads on features cost little.
        values |= {"model.discriminator_width": 16} if discriminator == "fastgan" else {}
        say(f"- {generator} generator of width 16: what a CPU can train; batch {batch}")
    return values


def _discriminator(base: RunConfig, say: Say, on_progress: Listener) -> str:
    """Return `projected` when its backbone's weights are at hand or can be fetched, else `fastgan`."""
    name = base.model.backbone
    if not weights.has_weights(name):
        say(f"- projected discriminator on the backbone {name}")
        return "projected"
    found = weights.find(name)
    if found is None and not weights.is_offline():
        source = weights.source_of(name)
        say(f"fetching {name} ({source.megabytes:.0f} MB, {source.license}) from {source.url}")
        try:
            found = weights.fetch(name, on_progress)
        except WeightsError as error:
            say(str(error))
    if found is None:
        say(f"- fastgan discriminator: it needs no weights; those of projected, {name}, are not at hand")
        return "fastgan"
    say(f"- projected discriminator on {found}: the one measured on paintings (docs/results.md)")
    return "projected"


def _is_conditional(collection: Collection, say: Say) -> bool:
    """Return whether every class has enough works to be learned apart."""
    if len(collection.classes) < 2:
        return False
    fewest = int(np.bincount(collection.labels[collection.train_rows], minlength=len(collection.classes)).min())
    if fewest < _WORKS_PER_CLASS:
        say(
            f"- not by class: the smallest of {len(collection.classes)} has {fewest} works, {_WORKS_PER_CLASS} are asked "
            f"for; --set model.conditional=true does it anyway"
        )
        return False
    say(f"- by class: each of {len(collection.classes)} has at least {fewest} works")
    return True


def _features(say: Say) -> str:
    """Return the best feature space whose weights are at hand."""
    for features in _FEATURES_BY_PREFERENCE:
        name, layer = backbone_and_layer(features)
        try:
            load_backbone(name, [layer])
        except WeightsError:
            continue
        break
    say(f"- judged by {features} features" + (", the only ones without weights" if features == "random" else ""))
    return features
