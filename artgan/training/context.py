"""From a configuration to what the steps need."""

from artgan.objectives import OBJECTIVES
from artgan.training.passes import Passes
from artgan.training.session import Session
from artgan.training.state import TrainState
from artgan.training.steps import StepContext


def build_context(session: Session, state: TrainState | None = None, *, compiled: bool | None = None) -> StepContext:
    """Return the context of a session's steps, on its own state or on another one that was built alike.

    Args:
        session: an open run.
        state: what the steps will work on; by default the session's.
        compiled: whether passes are compiled; by default as configured.
    """
    config, state = session.config, state or session.state
    objective, training = config.objective, config.training
    assert objective.r1_gamma is not None
    assert objective.r2_gamma is not None
    assert objective.penalty_every is not None
    assert objective.path_length_weight is not None
    assert config.model.style_mixing is not None
    local_batch = training.batch_size // session.world.size
    return StepContext(
        objective=OBJECTIVES.load(objective.name)(),
        passes=Passes(
            state.generator,
            state.discriminator,
            session.device,
            session.precision,
            training.compile if compiled is None else compiled,
        ),
        world=session.world,
        seed=config.seed,
        batch_size=training.batch_size,
        micro_batch=min(training.micro_batch or session.micro_batch or local_batch, local_batch),
        device=session.device,
        precision=session.precision,
        r1_gamma=objective.r1_gamma,
        r2_gamma=objective.r2_gamma,
        penalty_every=objective.penalty_every,
        path_length_weight=objective.path_length_weight,
        style_mixing=config.model.style_mixing,
    )
