"""A configuration for whoever gives none: one of `configs/`, by size, number of works, classes, device and weights at hand."""

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
from artgan.models import DISCRIMINATORS
from artgan.progress import Listener
from artgan.strict_yaml import shipped_documents

Say = Callable[[str], None]
_FEATURES_BY_PREFERENCE = (DEFAULT_FEATURES, "random")
_FEW_WORKS = 200
_MANY_WORKS = 10_000
_WORKS_PER_CLASS = 200
_CPU_MAX_PX = 128
# On a GPU: what suits pictures of up to so many pixels; their batches shrink as pictures grow.
_BY_PIXELS = ((256 * 256, "small_256"), (512 * 512, "small_512"))
_LARGEST, _MANY, _MANY_MAX_PX = "small_1024", "large_256", 256
_ASKED_FIRST = {"model.discriminator", "model.backbone", "training.device"}
# Whoever gives one of these has a recipe in mind.
_RECIPE_KEYS = {"model.generator", "model.discriminator", "model.backbone", "objective.name", "augment.name"}


def choose_config(collection: Collection, overrides: Sequence[str], say: Say, on_progress: Listener) -> RunConfig:
    """Choose a configuration and say why.

    Args:
        collection: what to train on.
        overrides: `key=value` texts that win over the choice.
        say: shows one line.
        on_progress: told about a download of weights.
    """
    # What the choice goes by; the rest belongs with values that are not known yet.
    asked = load_config(None, [override for override in overrides if override.partition("=")[0].strip() in _ASKED_FIRST])
    device = choose_device(asked.training.device)
    works, size = len(collection.train_rows), f"{collection.width}x{collection.height} px"
    say(f"no config given; chosen for {works:,} works at {size} on {describe_device(device)}:")
    given = {override.partition("=")[0].strip() for override in overrides}
    values: dict[str, object] = {"training.device": asked.training.device}
    many = device.type == "cuda" and works >= _MANY_WORKS and min(collection.height, collection.width) <= _MANY_MAX_PX
    if many and not given & _RECIPE_KEYS:
        name = _MANY
        say(f"- from {_MANY_WORKS:,} works on: StyleGAN2's recipe, which needs no pretrained weights for training")
    else:
        discriminator = asked.model.discriminator
        if "model.discriminator" not in given:
            discriminator = _discriminator(asked, given, say, on_progress)
            values |= {"model.discriminator": discriminator}
        name = _name(collection, device, discriminator, say)
    config = load_config(shipped_documents()[name], overrides)
    config = with_values(config, {key: value for key, value in values.items() if key not in given})
    values = {"training.batch_size": _batch(config, works)}
    model, training = config.model, config.training
    say(
        f"- configs/{name}.yaml: {model.generator} generator of width {model.width}, batch {values['training.batch_size']}, "
        f"{training.total_kimg:,g} kimg"
    )
    if "model.conditional" not in given:
        values |= {"model.conditional": _is_conditional(collection, say)}
    if "evaluation.features" not in given:
        values |= {"evaluation.features": _features(say)}
    if works < _FEW_WORKS:
        say(f"- with fewer than {_FEW_WORKS} works a model tends to copy them: look at the nearest pictures in report.html")
    if given:
        say(f"- as given: {', '.join(overrides)}")
    return with_values(config, {key: value for key, value in values.items() if key not in given})


def _name(collection: Collection, device: torch.device, discriminator: str, say: Say) -> str:
    """Return which of the configurations for small collections fits."""
    if device.type == "cuda":
        pixels = collection.height * collection.width
        return next((name for limit, name in _BY_PIXELS if pixels <= limit), _LARGEST)
    if min(collection.height, collection.width) > _CPU_MAX_PX:
        say(
            f"- {collection.width}x{collection.height} px is for a GPU: what a CPU can train was measured at 64 px "
            f"(docs/results.md). Prepare the works with --resolution 64 to try it here"
        )
    # A discriminator's width costs as the generator's does; heads on features cost little.
    return "kaokore_cpu_64" if DISCRIMINATORS.row(discriminator).backbone else "no_weights_64"


def _batch(config: RunConfig, works: int) -> int:
    """Return the configuration's batch, or as much of the collection as goes into one."""
    multiple = DISCRIMINATORS.row(config.model.discriminator).batch_multiple
    return max(1, min(config.training.batch_size, works // multiple * multiple or works))


def _discriminator(asked: RunConfig, given: set[str], say: Say, on_progress: Listener) -> str:
    """Return `projected` when its backbone's weights are at hand, can be fetched or are asked for by name, else `fastgan`."""
    name = asked.model.backbone
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
    if found is None and "model.backbone" in given:
        return "projected"  # and how to get the weights is said where they are missing
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
