"""Before and around the loop: choose what is not configured, try a few steps, say what will happen, train, say how it ended."""

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from artgan.config import RunConfig
from artgan.datasets.advice import about_mirroring, about_works
from artgan.datasets.collection import Collection
from artgan.devices import choose_device, describe_device
from artgan.errors import ArtganError, ConfigError
from artgan.evaluation import Judge, check_independent
from artgan.overview import sample_sheets
from artgan.progress import Listener, format_seconds, silent
from artgan.training.checkpoint import list_checkpoints
from artgan.training.choose import Ask, Say, choose_backbone, choose_config
from artgan.training.loop import Outcome, train
from artgan.training.outputs import PAGE_FILE, standing
from artgan.training.preflight import Preflight, describe, preflight
from artgan.training.session import CHECKPOINTS, Session, only_trainer, open_session, stop_on_signals
from artgan.training.transfer import check_frozen, start_from
from artgan.world import World, join_world

INIT_FILE = "init.json"
_SIGNALS_UNDER_A_LAUNCHER = 3


@dataclass(frozen=True)
class Order:
    """What a user asks of a run.

    Attributes:
        collection: what to train on.
        run: the run folder.
        config: what was configured, or None to choose by collection, device and available weights.
        overrides: `key=value` texts that win over the choice; a given `config` has them already.
        minutes: of training in this session, or None for no limit.
        init: a model or run that a new run starts from, or None.
        dry: stop after the preflight, and leave nothing behind.
        ask: puts a question to the person at the terminal, or None where there is none.
    """

    collection: Collection
    run: Path
    config: RunConfig | None = None
    overrides: Sequence[str] = ()
    minutes: float | None = None
    init: Path | None = None
    dry: bool = False
    ask: Ask | None = None


def train_run(order: Order, *, say: Say, on_progress: Listener) -> Outcome | None:
    """Start or go on with a run and train it, alone or as one of several processes.

    Args:
        order: what to do.
        say: shows one line to the user; only the first process speaks.
        on_progress: told at each log point, in the first process.

    Returns:
        How it ended; None for a dry run.
    """
    with join_world() as world:
        if not world.is_first:
            say, on_progress = _say_nothing, silent
        patience = 1 if world.size == 1 else _SIGNALS_UNDER_A_LAUNCHER
        with _alone(order, world), stop_on_signals(patience) as stop_requested:
            session, judge, _ = _open(order, world, say, on_progress)
            if order.dry:
                say("dry run: nothing was trained, and nothing written")
                return None
            outcome = train(session, judge, minutes=order.minutes, stop_requested=stop_requested, on_progress=on_progress)
        spent = format_seconds(session.state.training_seconds)
        sheets = [path for _, path in sample_sheets(order.run)]
        say(f"{outcome.value} at {session.state.images_seen / 1000:,.1f} kimg after {spent} of training; run: {order.run}")
        if outcome not in (Outcome.FINISHED, Outcome.NO_BETTER):
            say("the same command goes on from here")
        if world.is_first:
            say(str(standing(order.run, session.state.images_seen)))
        for path in (*sheets[-1:], order.run / PAGE_FILE):
            say(f"look at {path}")
        return outcome


def try_run(order: Order, *, say: Say) -> Preflight:
    """Return what a run would take, by a few steps on this machine, in one process; nothing is written.

    Args:
        order: what to do.
        say: shows one line to the user.
    """
    _, _, found = _open(replace(order, dry=True), World(), say, silent)
    return found


@contextmanager
def _alone(order: Order, world: World) -> Iterator[None]:
    """Hold the run's lock in the first process; where it cannot be had, the others end without a word of their own."""
    with ExitStack() as stack:
        refusal = None
        if world.is_first and not order.dry:
            try:
                stack.enter_context(only_trainer(order.run))
            except ArtganError as error:
                refusal = error
        if world.highest(int(refusal is not None)):
            raise refusal or SystemExit(ConfigError.exit_code)
        yield


def _open(order: Order, world: World, say: Say, on_progress: Listener) -> tuple[Session, Judge, Preflight]:
    """Settle the configuration, open the run, put in what it starts from, and try a few steps."""
    config = order.config or choose_config(order.collection, order.overrides, say)
    if not list_checkpoints(order.run / CHECKPOINTS):
        named = any(text.partition("=")[0].strip() == "model.backbone" for text in order.overrides)
        ask = order.ask if world.size == 1 and not order.dry else None
        config = choose_backbone(config, named, say, ask, on_progress)
    device = choose_device(config.training.device, world.local_rank)
    judge = Judge(config.evaluation.features, order.collection, device, world=world)
    session = open_session(config, order.collection, order.run, world)
    check_independent(session.config.evaluation.features, session.config)  # whose backbone may be the run's own
    _say_plan(session, judge, say)
    if order.init and session.resumed_at:
        say("--init is left out: the run goes on from its own checkpoint")
    transfers = start_from(session, order.init) if order.init and not session.resumed_at else []
    if not session.resumed_at:
        check_frozen(session, transfers)
    for transfer in transfers:
        say(f"--init {order.init}: {transfer}")
    found = preflight(session, say)
    for line in describe(session, found, order.minutes):
        say(line)
    if transfers and world.is_first and not order.dry:
        content = {"format": 1, "source": str(order.init), **{x.network: x.as_dict() for x in transfers}}
        (order.run / INIT_FILE).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return replace(session, micro_batch=found.micro_batch), judge, found


def _say_plan(session: Session, judge: Judge, say: Say) -> None:
    config, state = session.config, session.state
    sizes = [sum(p.numel() for p in network.parameters()) / 1e6 for network in (state.generator, state.discriminator)]
    rows = len(session.collection.train_rows)
    say(
        f"{session.collection.name}: {rows} works at {session.collection.width}x{session.collection.height} px; "
        f"{config.model.generator} generator ({sizes[0]:.1f} M parameters), {config.model.discriminator} discriminator "
        f"({sizes[1]:.1f} M trained), {config.augment.name}, batch {config.training.batch_size}"
    )
    objective = config.objective
    every = "" if objective.penalty_every == 1 else f" every {objective.penalty_every} steps"
    weights = {"r1_gamma": objective.r1_gamma, "r2_gamma": objective.r2_gamma}
    penalties = [f"{title} {value:.3g}{every}" for title, value in weights.items() if value]
    penalties += [f"{name} at {share:g} of its gradient" for name, share in (objective.terms or {}).items()]
    penalties += [f"path_length_weight {objective.path_length_weight:.3g}"] if objective.path_length_weight else []
    say(
        f"{objective.name} objective"
        + (f", {', '.join(penalties)}" if penalties else ", no penalties")
        + f"; learning rates {config.training.generator_lr:g} and {config.training.discriminator_lr:g}"
        + (f", times {state.learning_rate_factor:g} since training broke down" if state.learning_rate_factor < 1 else "")
    )
    advice = about_works(rows) + ([] if config.augment.horizontal_flip else about_mirroring(rows))
    for text in advice if not session.resumed_at else ():
        say(str(text))
    device = describe_device(session.device)
    say(f"{device}, {config.training.precision}, torch {torch.__version__}, judged by {judge.features}")
    if session.trained_on != session.collection.pixel_hash:
        say(
            f"works were left out of {session.collection.name} since {session.resumed_at / 1000:,.1f} kimg "
            f"({session.trained_on[:12]}, now {session.collection.pixel_hash[:12]}): metrics.jsonl and the model cards say so"
        )
    if session.resumed_at:
        say(f"going on at {session.resumed_at / 1000:,.1f} kimg of {config.training.total_kimg:,g}")


def _say_nothing(text: str) -> None:
    """Let the first process do the talking."""
