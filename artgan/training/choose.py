"""A configuration for runs without one: from `configs/`, by size, number of works, classes, device and available weights."""

from collections.abc import Callable, Sequence

import numpy as np
import torch

from artgan import fetching, weights
from artgan.backbones import DEFAULT_FEATURES, LIGHT_BACKBONES
from artgan.backbones.backbone import load_backbone
from artgan.config import RunConfig, load_config, with_values
from artgan.datasets.collection import Collection
from artgan.devices import choose_device, describe_device
from artgan.errors import WeightsError
from artgan.evaluation import backbone_and_layer
from artgan.models import DISCRIMINATORS
from artgan.progress import Listener
from artgan.schema.strict_yaml import shipped_documents

Say = Callable[[str], None]
Ask = Callable[[str], bool]
# What SqueezeNet's weights brought, beside those that come with artgan (docs/results.md).
_GAIN = "painted heads at 64 px came to FD-768 0.83 in nine minutes of one core (through drawn 0.90) and to 0.41 in an hour"
_FEATURES_BY_PREFERENCE = (DEFAULT_FEATURES, "random")
_MANY_WORKS = 10_000
_WORKS_PER_CLASS = 200
_CPU_MAX_PX = 128
# On a GPU: what suits pictures of up to so many pixels; their batches shrink as pictures grow.
_BY_PIXELS = ((256 * 256, "small_256"), (512 * 512, "small_512"))
_LARGEST, _MANY, _MANY_MAX_PX = "small_1024", "large_256", 256
_ASKED_FIRST = {"model.discriminator", "model.backbone", "training.device"}
# Whoever gives one of these has a recipe in mind.
_RECIPE_KEYS = {"model.generator", "model.discriminator", "model.backbone", "objective.name", "augment.name"}


def choose_config(collection: Collection, overrides: Sequence[str], say: Say) -> RunConfig:
    """Choose a configuration and say why; the backbone stays open (`choose_backbone`).

    Args:
        collection: what to train on.
        overrides: `key=value` texts that win over the choice.
        say: shows one line.
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
        name = _name(collection, device, asked.model.discriminator, say)
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


def choose_backbone(config: RunConfig, named: bool, say: Say, ask: Ask | None, on_progress: Listener) -> RunConfig:
    """Settle the backbone of a new run, where its discriminator has one; only what is named or agreed to is fetched.

    Args:
        config: may leave the backbone open.
        named: whether the user named it for this run, so that missing weights are to be fetched.
        say: shows one line.
        ask: puts a question to the person at the terminal, if there is one.
        on_progress: told about a download of weights.
    """
    if not DISCRIMINATORS.row(config.model.discriminator).backbone:
        return config
    name = config.model.backbone
    if name is not None:
        if named and weights.has_weights(name) and weights.find(name) is None and not weights.is_offline():
            _fetch(name, say, on_progress)
        say(f"- the discriminator looks through {name}, as given")
        return config
    best, shipped = LIGHT_BACKBONES
    if weights.find(best) is None and ask and not weights.is_offline() and ask(f"{_what_it_brings(best)} Fetch it now?"):
        _fetch(best, say, on_progress)
    found = weights.first_found(LIGHT_BACKBONES)
    if found == shipped:
        say(f"- the discriminator looks through {shipped}, which comes with artgan")
        say(f"- {_what_it_brings(best)} Get it with: artgan weights fetch {best}")
    else:
        say(f"- the discriminator looks through {weights.find(found)}, the one that was measured best (docs/results.md)")
    return with_values(config, {"model.backbone": found})


def _what_it_brings(name: str) -> str:
    source = weights.source_of(name)
    return f"{name} ({source.megabytes:.0f} MB; {source.license}) is not on this machine; on it {_GAIN}."


def _fetch(name: str, say: Say, on_progress: Listener) -> None:
    """Fetch weights; where that fails, say why and go on: what they are needed for says so once more."""
    source = weights.source_of(name)
    size = f"{source.megabytes:.0f} MB, " if source.megabytes else ""
    say(f"fetching {name} ({size}{source.license}) from {source.url}")
    try:
        fetching.fetch(name, on_progress)
    except WeightsError as error:
        say(str(error))


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
    """Return the best feature space whose weights are available."""
    for features in _FEATURES_BY_PREFERENCE:
        name, layer = backbone_and_layer(features)
        try:
            load_backbone(name, [layer])
        except WeightsError:
            continue
        break
    untrained = " of an untrained network, which need no weights and which no discriminator trains on"
    say(f"- judged by {features} features{untrained if features == 'random' else ''}")
    return features
