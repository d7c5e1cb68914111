"""One bar over all that an evaluation does: pictures judged of those that will be, over its stages."""

import time
from collections.abc import Mapping

from artgan.progress import Listener, Progress

TASK = "evaluating"


class Tally:
    """A listener that turns the stages of an evaluation into one task.

    Args:
        listen: told about the whole.
        foreseen: pictures of each stage that is expected, by its words; a stage's own total replaces what was foreseen.
    """

    def __init__(self, listen: Listener, foreseen: Mapping[str, float]) -> None:
        self._listen = listen
        self._totals = dict(foreseen)
        self._done: dict[str, float] = {}
        self._began = time.monotonic()

    def __call__(self, event: Progress) -> None:
        """Hear of a stage."""
        if event.done < self._done.get(event.task, 0):  # begun again, with other pictures
            past = f"{event.task} {len(self._done)}"
            self._done[past] = self._totals[past] = self._done[event.task]
        self._done[event.task] = event.done
        self._totals[event.task] = event.total or event.done
        self._tell(event.task)

    def foresee(self, stage: str, pictures: float) -> None:
        """Expect a stage."""
        self._totals[stage] = pictures

    def finish(self) -> None:
        """End; stages that were foreseen and had nothing to do are left out."""
        self._totals = dict(self._done)
        self._tell("")

    def seconds_left(self) -> float:
        """Return how long the rest will take at the rate so far."""
        done, total = sum(self._done.values()), sum(self._totals.values())
        return (time.monotonic() - self._began) * (total - done) / max(1.0, done)

    def _tell(self, stage: str) -> None:
        done, total = sum(self._done.values()), sum(self._totals.values())
        whole = round(total)  # a glance at a picture counts as a part of one
        self._listen(Progress(TASK, min(round(done), whole), whole, "pictures", stage if done < total else ""))
