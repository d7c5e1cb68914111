"""The training loop."""

import math
from collections.abc import Callable
from contextlib import suppress
from enum import Enum

import torch

from artgan.datasets.sampler import Batches
from artgan.evaluation import Judge
from artgan.progress import MINUTES, Listener, Progress, silent
from artgan.training.context import build_context
from artgan.training.ema import ema_decay, update_ema
from artgan.training.micro_batches import PiecewiseSteps
from artgan.training.outputs import Outputs
from artgan.training.run_log import BREAKDOWN, COLLECTION, Breakdown, RunLog
from artgan.training.schedules import Stopwatch, due, due_early
from artgan.training.session import Session, apply_learning_rates, roll_back
from artgan.training.sparing import Sparing
from artgan.training.status import FAILED, INTERRUPTED, TRAINING
from artgan.training.steps import discriminator_step, generator_step


class Outcome(Enum):
    """How a session of training ended; each left a checkpoint."""

    FINISHED = "finished"
    NO_BETTER = "no better"
    OUT_OF_TIME = "out of time"
    STOPPED = "stopped"


def train(
    session: Session,
    judge: Judge | None,
    *,
    minutes: float | None = None,
    stop_requested: Callable[[], int | None] = lambda: None,
    on_progress: Listener = silent,
) -> Outcome:
    """Train until the configured number of images, for `minutes` of training steps, or until asked to stop.

    The work that is due at `images_seen` comes before the step that follows it, so that the last sheet, evaluation and
    checkpoint take the same lines as every other, and a resumed run repeats nothing. An evaluation breaks off when asked to
    stop, and comes first in the next session.

    Args:
        session: an open run.
        judge: of the samples; in several processes a shared one.
        minutes: of training in this session, or None for no limit.
        stop_requested: returns the signal that asked to stop, or None; asked before every step, and while judging.
        on_progress: told at each log point.
    """
    state, config, training, world = session.state, session.config, session.config.training, session.world
    batches = Batches(session.collection, config.seed, session.device, config.augment.horizontal_flip)
    context = build_context(session)
    steps = PiecewiseSteps(state, context, lambda text: on_progress(Progress("memory", 0, None, "", text)))
    sparing = Sparing(lambda text: on_progress(Progress("disk", state.images_seen / 1000, None, "kimg", text)))
    log = RunLog(session.run, state.images_seen, world, config, sparing)
    outputs = Outputs(session, judge, log, on_progress, stop_requested, sparing)
    clock = Stopwatch(state.training_seconds)
    apply_learning_rates(session)
    began_at, returned_to = session.resumed_at, None
    try:
        log.status(TRAINING, state.images_seen, round(training.total_kimg * 1000))
        if session.trained_on != session.collection.pixel_hash:
            lineage = {"from": session.trained_on, "to": session.collection.pixel_hash, "works": len(batches.rows)}
            log.note(state.images_seen, COLLECTION, lineage)
        while True:
            outcome = _outcome(session, clock, minutes, stop_requested, outputs)
            try:
                if outcome or _is_due(session, training.log_every_kimg, outcome, began_at):
                    _log_point(session, log, clock, minutes, on_progress)
            except Breakdown as breakdown:
                _go_back(session, log, breakdown, returned_to, on_progress)
                outputs.recount()
                began_at = returned_to = state.images_seen
                continue
            with clock.paused():
                if _sheet_is_due(session, outcome, began_at):
                    outputs.sheet()
                evaluate = _is_due(session, training.evaluate_every_kimg, outcome, began_at, owed=outputs.owes_evaluation)
                if evaluate and not outputs.evaluate():
                    outcome = Outcome.STOPPED  # whoever asks for it may not wait: save at once
                if outcome or _is_due(session, training.checkpoint_every_kimg, outcome, began_at):
                    outputs.checkpoint(last=outcome is not None)
                if outcome:
                    outputs.finish(outcome.value)
                    return outcome

            position = state.images_seen + world.rank * context.local_batch
            images, labels = batches.batch(position, context.local_batch)
            log.add(steps.take(discriminator_step, images.to(state.dtype), labels))
            opponents = None
            if context.objective.paired:  # the generator meets other real images than the discriminator just did
                images, labels = batches.batch(position + len(batches.rows) // 2, context.local_batch)
                opponents = images.to(state.dtype)
            log.add(steps.take(generator_step, opponents, labels))
            decay = ema_decay(training.ema_halflife_kimg, state.images_seen + training.batch_size, training.batch_size)
            update_ema(state.ema, state.generator, decay)
            state.images_seen += training.batch_size
            state.training_seconds = clock.seconds()
    except BaseException as error:
        with suppress(Exception):  # what went wrong may be the disk
            if not outputs.finished:
                ended = FAILED if isinstance(error, Exception) else INTERRUPTED
                log.status(ended, state.images_seen, round(training.total_kimg * 1000))
        raise
    finally:
        log.close()


def _outcome(
    session: Session, clock: Stopwatch, minutes: float | None, stop_requested: Callable[[], int | None], outputs: Outputs
) -> Outcome | None:
    """Return why to end here, the same in all processes, or None to go on."""
    patience = session.config.training.patience
    reasons = {
        Outcome.FINISHED: session.state.images_seen >= round(session.config.training.total_kimg * 1000),
        Outcome.NO_BETTER: patience is not None and outputs.evaluations_since_best >= patience,
        Outcome.OUT_OF_TIME: minutes is not None and clock.session_seconds() >= minutes * 60,
        Outcome.STOPPED: stop_requested() is not None,
    }
    outcomes = list(reasons)
    chosen = next((index for index, outcome in enumerate(outcomes) if reasons[outcome]), -1)
    agreed = session.world.highest(chosen)
    return outcomes[agreed] if agreed >= 0 else None


def _is_due(session: Session, every_kimg: float, outcome: Outcome | None, began_at: int, *, owed: bool = False) -> bool:
    """Return whether an interval ends here or the run does; at the checkpoint of the last start only what is still `owed`."""
    if session.state.images_seen == began_at and not owed:
        return False
    crossed = due(every_kimg, session.state.images_seen, session.config.training.batch_size)
    return crossed or outcome is Outcome.FINISHED


def _sheet_is_due(session: Session, outcome: Outcome | None, began_at: int) -> bool:
    """Return whether a sheet is due: at the very start, then at doubling distances up to the configured one, then as set.

    One more shows where a run ended that has used its time, or got no better; one that is asked to stop does so at once.
    """
    training, seen = session.config.training, session.state.images_seen
    if seen == 0 or (outcome not in (None, Outcome.STOPPED) and seen != began_at):
        return True
    early = due_early(training.log_every_kimg, training.sample_every_kimg, seen, training.batch_size)
    return (early and seen != began_at) or _is_due(session, training.sample_every_kimg, outcome, began_at)


def _go_back(session: Session, log: RunLog, breakdown: Breakdown, returned_to: int | None, on_progress: Listener) -> None:
    """Go on from a checkpoint, and say so; raise the breakdown where there is none."""
    broken_at = session.state.images_seen
    if not roll_back(session, returned_to):
        raise breakdown
    apply_learning_rates(session)
    state = session.state
    log.rewind(state.images_seen)
    note = (
        f"{str(breakdown).partition('. ')[0]}: back to {state.images_seen:,} with {state.learning_rate_factor:g} times the "
        f"learning rates"
    )
    log.note(state.images_seen, "warning", {"about": BREAKDOWN, "text": note, "broken_at": broken_at})
    on_progress(Progress("watchdog", state.images_seen / 1000, None, "kimg", note))


def _log_point(session: Session, log: RunLog, clock: Stopwatch, minutes: float | None, on_progress: Listener) -> None:
    """Write the means since the last log point.

    Raises:
        Breakdown: training makes no finite numbers any more.
    """
    state = session.state
    total_images = round(session.config.training.total_kimg * 1000)
    spent = clock.session_seconds()
    rate = max(0, state.images_seen - session.resumed_at) / max(spent, 1e-9)
    extra = {"images_per_second": rate, "training_minutes": state.training_seconds / 60}
    if session.device.type == "cuda":
        extra["gpu_memory_gb"] = torch.cuda.max_memory_allocated(session.device) / 1e9
    scalars = log.flush(state.images_seen, extra)
    in_time = math.inf if minutes is None else state.images_seen + rate * max(0.0, minutes * 60 - spent)
    reachable = min(total_images, in_time)
    left = (reachable - state.images_seen) / rate / 60 if rate else None
    log.status(TRAINING, state.images_seen, total_images, left, round(reachable))
    if scalars:
        skipped = scalars["skipped/discriminator"] + scalars["skipped/generator"]
        losses = [scalars.get(f"loss/{name}", math.nan) for name in ("discriminator", "generator")]
        note = f"loss D {losses[0]:.2f} G {losses[1]:.2f}, {rate:.0f} images/s"
        note += f", {skipped:.0%} of steps skipped: gradients were not finite" if skipped else ""
        if minutes is not None and reachable < total_images:  # the bar counts what was asked for and ends first
            note = f"{state.images_seen / 1000:,.1f} kimg, {note}"
            on_progress(Progress("training", spent / 60, minutes, MINUTES, note))
        else:
            on_progress(Progress("training", state.images_seen / 1000, total_images / 1000, "kimg", note))
