"""One thread does all the work of a studio: short requests at once, long jobs in turn, both in queues of fixed length."""

import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from artgan.errors import ArtganError
from artgan.progress import Listener, Progress

MAX_WAITING_RENDERS = 24
MAX_WAITING_JOBS = 4
_KEPT_JOBS = 16


class BusyError(Exception):
    """The queue is full: come back in a moment."""


class _CancelledError(Exception):
    """The user no longer wants a job."""


@dataclass
class Job:
    """A long task: what the page shows of it, and what it gave.

    Attributes:
        work: called with a progress listener; returns the result.
        state: waiting, running, done, failed or cancelled.
        progress: the last event.
        error: for the user, when failed.
        result: what `work` returned.
    """

    work: Callable[[Listener], Any]
    state: str = "waiting"
    progress: Progress | None = None
    error: str = ""
    result: Any = None
    stop: threading.Event = field(default_factory=threading.Event)

    def described(self) -> dict[str, Any]:
        """Return plain JSON values."""
        event = self.progress
        shown = {"task": event.task, "done": event.done, "total": event.total, "note": event.note} if event else None
        return {"state": self.state, "progress": shown, "error": self.error}


class Worker:
    """Runs work one after another. A long job gives way to waiting renders whenever it reports progress."""

    def __init__(self) -> None:
        self._renders: deque[tuple[Future, Callable[[], Any]]] = deque()
        self._waiting: deque[Job] = deque()
        self._jobs: OrderedDict[int, Job] = OrderedDict()
        self._numbers = 0
        self._wake = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="studio", daemon=True)
        self._thread.start()

    def render(self, work: Callable[[], Any]) -> Future:
        """Queue a short task; cancelling its future before it starts leaves it out.

        Raises:
            BusyError: too many are waiting.
        """
        future: Future = Future()
        with self._wake:
            self._renders = deque(entry for entry in self._renders if not entry[0].cancelled())
            if len(self._renders) >= MAX_WAITING_RENDERS:
                raise BusyError
            self._renders.append((future, work))
            self._wake.notify()
        return future

    def start(self, work: Callable[[Listener], Any]) -> int:
        """Queue a long job and return its number.

        Raises:
            BusyError: too many are waiting.
        """
        with self._wake:
            if len(self._waiting) >= MAX_WAITING_JOBS:
                raise BusyError
            self._numbers += 1
            self._jobs[self._numbers] = job = Job(work)
            self._waiting.append(job)
            self._forget_old()
            self._wake.notify()
            return self._numbers

    def job(self, number: int) -> Job | None:
        """Return a job by its number; old ones are forgotten."""
        return self._jobs.get(number)

    def cancel(self, number: int) -> None:
        """Stop a job at its next step, or take it out of the queue."""
        with self._wake:
            job = self._jobs[number]
            job.stop.set()
            if job in self._waiting:
                self._waiting.remove(job)
                job.state = "cancelled"

    def close(self) -> None:
        """Stop after the step that is running."""
        with self._wake:
            self._closing = True
            for job in self._jobs.values():
                job.stop.set()
            self._wake.notify()
        self._thread.join(timeout=10)

    def _forget_old(self) -> None:
        finished = [number for number, job in self._jobs.items() if job.state not in ("waiting", "running")]
        for number in finished[: max(0, len(self._jobs) - _KEPT_JOBS)]:
            del self._jobs[number]

    def _run(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._closing or self._renders or self._waiting)
                if self._closing:
                    return
                job = None if self._renders else self._waiting.popleft()
            if job is None:
                self._give_way()
            else:
                self._work(job)

    def _give_way(self) -> None:
        """Run the renders that wait."""
        while True:
            with self._wake:
                if not self._renders:
                    return
                future, work = self._renders.popleft()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(work())
            except BaseException as error:
                future.set_exception(error)

    def _work(self, job: Job) -> None:
        def listen(event: Progress) -> None:
            job.progress = event
            if job.stop.is_set():
                raise _CancelledError
            self._give_way()

        job.state = "running"
        try:
            job.result = job.work(listen)
            job.state = "done"
        except _CancelledError:
            job.state = "cancelled"
        except ArtganError as error:
            job.error, job.state = str(error), "failed"
        except Exception as error:
            job.error, job.state = f"unexpected {type(error).__name__}: {error}", "failed"
