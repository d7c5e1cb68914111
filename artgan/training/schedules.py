"""When things are due: pure functions of images seen, so that a resumed run does what an undisturbed one does; and a watch."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


def due(every_kimg: float, images_seen: int, batch_size: int) -> bool:
    """Return whether the last batch crossed a multiple of the interval; never before the first batch."""
    every = round(every_kimg * 1000)
    return images_seen > 0 and images_seen // every != (images_seen - batch_size) // every


def due_early(first_kimg: float, until_kimg: float, images_seen: int, batch_size: int) -> bool:
    """Return whether the last batch crossed one of the doubling marks first, 2 first, 4 first, ... below `until_kimg`."""
    mark = round(first_kimg * 1000)
    while mark < round(until_kimg * 1000):
        if images_seen - batch_size < mark <= images_seen:
            return True
        mark *= 2
    return False


class Stopwatch:
    """Counts seconds of training, without pauses.

    Args:
        seconds_before: of the run's earlier sessions.
    """

    def __init__(self, seconds_before: float) -> None:
        self.seconds_before = seconds_before
        self.started_at = time.perf_counter()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave out what happens inside."""
        began = time.perf_counter()
        yield
        self.started_at += time.perf_counter() - began

    def session_seconds(self) -> float:
        """Return the seconds of this session."""
        return time.perf_counter() - self.started_at

    def seconds(self) -> float:
        """Return the seconds of all sessions."""
        return self.seconds_before + self.session_seconds()
