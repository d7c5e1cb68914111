"""From an open run to what the steps need."""

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
    compiled = config.training.compile if compiled is None else compiled
    local_batch = config.training.batch_size // session.world.size
    return StepContext(
        config,
        OBJECTIVES.load(config.objective.name)(),
        Passes(state.generator, state.discriminator, session.device, session.precision, compiled),
        session.world,
        session.device,
        session.precision,
        micro_batch=min(config.training.micro_batch or session.micro_batch or local_batch, local_batch),
    )
