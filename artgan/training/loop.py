"""The training loop."""

import time
from collections.abc import Callable
from enum import Enum

import numpy as np
import torch

from artgan.augment import AUGMENTATIONS
from artgan.datasets.sampler import Batches
from artgan.evaluation import Judge, evaluate_generator
from artgan.generation.model_folder import ModelCard, load_model, save_model
from artgan.generation.sample import generate
from artgan.images import grid
from artgan.objectives import OBJECTIVES
from artgan.progress import Listener, Progress, silent
from artgan.tables import resolve
from artgan.training.checkpoint import save_checkpoint
from artgan.training.ema import ema_decay, update_ema
from artgan.training.run_log import RunLog
from artgan.training.schedules import due
from artgan.training.session import CHECKPOINTS, Session, checkpoint_info
from artgan.training.state import generator_arguments, state_tensors
from artgan.training.steps import StepContext, discriminator_step, generator_step

_SHEET_SEEDS = 64


class Outcome(Enum):
    """How a session of training ended; each left a checkpoint."""

    FINISHED = "finished"
    OUT_OF_TIME = "out of time"
    STOPPED = "stopped"


def train(
    session: Session,
    judge: Judge,
    *,
    minutes: float | None = None,
    stop_requested: Callable[[], int | None] = lambda: None,
    on_progress: Listener = silent,
) -> Outcome:
    """Train until the configured number of images, for `minutes` of training steps, or until asked to stop.

    The work that is due at `images_seen` comes before the step that follows it, so that the last sheet, evaluation and
    checkpoint take the same lines as every other, and a resumed run repeats nothing.
    """
    state, config, training = session.state, session.config, session.config.training
    batches = Batches(session.collection, config.seed, session.device, config.augment.horizontal_flip)
    context = StepContext(
        objective=resolve(OBJECTIVES, config.objective.name, "objective")(),
        augment=resolve(AUGMENTATIONS, config.augment.name, "augmentation")(config.augment.policies),
        seed=config.seed,
        batch_size=training.batch_size,
        device=session.device,
        precision=session.precision,
    )
    log = RunLog(session.run, state.images_seen)
    total_images = round(training.total_kimg * 1000)
    started_at = state.training_seconds
    clock = time.perf_counter()
    try:
        while True:
            outcome = _outcome(session, total_images, minutes, started_at, stop_requested)
            if outcome or _is_due(session, training.log_every_kimg, outcome):
                _log_point(session, log, total_images, started_at, minutes, on_progress)
            paused_at = time.perf_counter()
            if _is_due(session, training.sample_every_kimg, outcome):
                log.sheet(state.images_seen, sample_sheet(session))
            if _is_due(session, training.evaluate_every_kimg, outcome):
                _evaluate(session, judge, log, on_progress)
            if outcome or _is_due(session, training.checkpoint_every_kimg, outcome):
                _checkpoint(session)
            if outcome:
                log.status(outcome.value, state.images_seen, total_images)
                return outcome
            clock += time.perf_counter() - paused_at

            images, labels = batches.batch(state.images_seen, training.batch_size)
            log.add(discriminator_step(state, context, images, labels))
            log.add(generator_step(state, context, labels))
            log.count_step()
            decay = ema_decay(training.ema_halflife_kimg, state.images_seen + training.batch_size, training.batch_size)
            update_ema(state.ema, state.generator, decay)
            state.images_seen += training.batch_size
            now = time.perf_counter()
            state.training_seconds += now - clock
            clock = now
    finally:
        log.close()


def _outcome(
    session: Session, total_images: int, minutes: float | None, started_at: float, stop_requested: Callable[[], int | None]
) -> Outcome | None:
    if session.state.images_seen >= total_images:
        return Outcome.FINISHED
    if stop_requested() is not None:
        return Outcome.STOPPED
    if minutes is not None and session.state.training_seconds - started_at >= minutes * 60:
        return Outcome.OUT_OF_TIME
    return None


def _is_due(session: Session, every_kimg: float, outcome: Outcome | None) -> bool:
    """Return whether an interval ends here or the run does; never where this session began, whose work is done."""
    if session.state.images_seen == session.resumed_at:
        return False
    crossed = due(every_kimg, session.state.images_seen, session.config.training.batch_size)
    return crossed or outcome is Outcome.FINISHED


def _log_point(
    session: Session, log: RunLog, total_images: int, started_at: float, minutes: float | None, on_progress: Listener
) -> None:
    state = session.state
    spent = state.training_seconds - started_at
    rate = (state.images_seen - session.resumed_at) / max(spent, 1e-9)
    extra = {"images_per_second": rate, "training_minutes": state.training_seconds / 60}
    if session.device.type == "cuda":
        extra["gpu_memory_gb"] = torch.cuda.max_memory_allocated(session.device) / 1e9
    scalars = log.flush(state.images_seen, extra)
    log.status("training", state.images_seen, total_images)
    if scalars:
        note = f"loss D {scalars['loss/discriminator']:.2f} G {scalars['loss/generator']:.2f}, {rate:.0f} images/s"
        reachable = total_images if minutes is None else state.images_seen + rate * max(0.0, minutes * 60 - spent)
        on_progress(Progress("training", state.images_seen / 1000, min(total_images, reachable) / 1000, "kimg", note))


def sample_sheet(session: Session) -> np.ndarray:
    """Return a grid of the averaged generator's first 64 seeds, uint8 `[H, W, 3]`; classes take turns."""
    num_classes = generator_arguments(session.config, session.collection)["num_classes"]
    labels = [seed % num_classes if num_classes else 0 for seed in range(_SHEET_SEEDS)]
    return grid(np.stack(list(generate(session.state.ema, range(_SHEET_SEEDS), labels))))


def _evaluate(session: Session, judge: Judge, log: RunLog, on_progress: Listener) -> None:
    """Judge the averaged generator and keep it as the best model when its KID is the lowest so far."""
    line = evaluate_generator(judge, session.state.ema, session.config.evaluation.num_generated, on_progress=on_progress)
    log.metrics(session.state.images_seen, line, session.state.training_seconds / 60)
    best = session.run / "model" / "best"
    previous = load_model(best).card.metrics if (best / "config.json").is_file() else None
    comparable = previous if previous and previous["protocol_hash"] == line["protocol_hash"] else None
    if comparable is None or line["metrics"]["kid"]["value"] < comparable["metrics"]["kid"]["value"]:
        _save_model(session, "best", line)
    note = ", ".join(f"{name} {entry['value']:.4g}" for name, entry in line["metrics"].items())
    on_progress(Progress("evaluated", session.state.images_seen / 1000, None, "kimg", f"{note} ({judge.features})"))


def _checkpoint(session: Session) -> None:
    keep = session.config.training.keep_checkpoints
    save_checkpoint(session.run / CHECKPOINTS, state_tensors(session.state), checkpoint_info(session), keep)
    _save_model(session, "latest", None)


def _save_model(session: Session, name: str, metrics: dict | None) -> None:
    collection = session.collection
    card = ModelCard(
        architecture=session.config.model.generator,
        arguments=generator_arguments(session.config, collection),
        classes=collection.classes if session.config.model.conditional else (),
        images_seen=session.state.images_seen,
        collection={"name": collection.name, "pixel_hash": collection.pixel_hash, "count": len(collection.train_rows)},
        metrics=metrics,
    )
    save_model(session.run / "model" / name, session.state.ema, card, sample_sheet(session))
