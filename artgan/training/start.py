"""Before and around the loop: choose what is not configured, say what will happen, train, say how it ended."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from artgan import weights
from artgan.backbones.backbone import load_backbone
from artgan.config import RunConfig, load_config, with_values
from artgan.datasets.collection import Collection
from artgan.devices import choose_device, describe_device
from artgan.errors import WeightsError
from artgan.evaluation import Judge, backbone_and_layer
from artgan.progress import Listener, format_seconds
from artgan.training.loop import Outcome, train
from artgan.training.session import Session, only_trainer, open_session, stop_on_signals

Say = Callable[[str], None]
_FEATURES_BY_PREFERENCE = ("inception-2048", "inception-768", "random")


def train_run(
    collection: Collection,
    run: Path,
    config: RunConfig | None,
    *,
    overrides: Sequence[str],
    minutes: float | None,
    say: Say,
    on_progress: Listener,
) -> Outcome:
    """Start or go on with a run and train it.

    Args:
        collection: what to train on.
        run: the run folder.
        config: what was configured, or None to choose by collection, device and the weights at hand.
        overrides: `key=value` texts that win over the choice; a given `config` has them already.
        minutes: of training in this session, or None for no limit.
        say: shows one line to the user.
        on_progress: told at each log point.
    """
    with only_trainer(run), stop_on_signals() as stop_requested:
        if config is None:
            config = choose_config(collection, overrides, say, on_progress)
        judge = Judge(config.evaluation.features, collection, choose_device(config.training.device))
        session = open_session(config, collection, run)
        _say_preflight(session, judge, say)
        outcome = train(session, judge, minutes=minutes, stop_requested=stop_requested, on_progress=on_progress)
        spent = format_seconds(session.state.training_seconds)
        say(f"{outcome.value} at {session.state.images_seen / 1000:,.1f} kimg after {spent} of training; run: {run}")
        if outcome is not Outcome.FINISHED:
            say("the same command goes on from here")
        return outcome


def choose_config(collection: Collection, overrides: Sequence[str], say: Say, on_progress: Listener) -> RunConfig:
    """Choose a configuration by resolution, number of works, device and weights at hand, and say why."""
    base = load_config(None, overrides)
    device = choose_device(base.training.device)
    side = max(collection.height, collection.width)
    values: dict[str, object] = {}
    if device.type == "cuda":
        values |= {"model.width": 64 if side <= 512 else 48, "training.batch_size": min(64, len(collection.train_rows))}
        values |= {"training.ema_halflife_kimg": 20.0, "training.total_kimg": 2000.0}
    else:
        values |= {"model.width": 16, "training.batch_size": min(base.training.batch_size, len(collection.train_rows))}
    say(f"no config given: fastgan generator for {len(collection.train_rows)} works at {side} px on {describe_device(device)}")
    discriminator = _choose_discriminator(base, say, on_progress)
    values |= {"model.discriminator": discriminator}
    if device.type != "cuda" and discriminator == "fastgan":
        values |= {"model.discriminator_width": 16}  # its width costs as the generator's does; heads on features cost little
    values |= {"evaluation.features": _choose_features(say)}
    given = {override.partition("=")[0].strip() for override in overrides}
    return with_values(base, {key: value for key, value in values.items() if key not in given})


def _choose_discriminator(base: RunConfig, say: Say, on_progress: Listener) -> str:
    """Return `projected` when its backbone's weights are at hand or can be fetched, else `fastgan`."""
    name = base.model.backbone
    if name not in weights.WEIGHTS:
        return "projected"
    found = weights.find(name)
    if found is None and not weights.is_offline():
        source = weights.WEIGHTS[name]
        say(f"fetching {name} ({source.megabytes:.0f} MB, {source.license}) from {source.url}")
        try:
            found = weights.fetch(name, on_progress)
        except WeightsError as error:
            say(str(error))
    if found is None:
        say(f"discriminator fastgan: it needs no weights, and learns slower than projected, which needs {name}")
        return "fastgan"
    say(f"discriminator projected, on {found}")
    return "projected"


def _choose_features(say: Say) -> str:
    """Return the best feature space whose weights are at hand."""
    for features in _FEATURES_BY_PREFERENCE:
        name, layer = backbone_and_layer(features)
        try:
            load_backbone(name, [layer])
        except WeightsError:
            continue
        break
    say(f"judged by {features} features" + (", the only ones without weights" if features == "random" else ""))
    return features


def _say_preflight(session: Session, judge: Judge, say: Say) -> None:
    config, state = session.config, session.state
    sizes = [sum(p.numel() for p in network.parameters()) / 1e6 for network in (state.generator, state.discriminator)]
    rows = len(session.collection.train_rows)
    say(
        f"{session.collection.name}: {rows} works at {session.collection.width}x{session.collection.height} px; "
        f"{config.model.generator} generator ({sizes[0]:.1f} M parameters), {config.model.discriminator} discriminator "
        f"({sizes[1]:.1f} M trained), {config.objective.name}, batch {config.training.batch_size}"
    )
    say(
        f"{describe_device(session.device)}, {config.training.precision}, torch {torch.__version__}, judged by {judge.features}"
    )
    if session.resumed_at:
        say(f"going on at {session.resumed_at / 1000:,.1f} kimg of {config.training.total_kimg:,g}")
