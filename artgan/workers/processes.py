"""Worker processes of this machine, which end with the process they work for, and leave Ctrl-C to it."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import wait
from typing import Any, ClassVar

_AHEAD_PER_PROCESS = 16
_make: Callable[[], Callable[[Any], Any]] | None = None
_work: Callable[[Any], Any] | None = None


class Processes:
    """Processes that take tasks; see `artgan.workers.tasks.Crew`.

    Args:
        make: called once in each process; returns the function of a task.
        jobs: how many processes.
        threads: of torch in each, or None to leave torch alone.
    """

    ended: ClassVar[type[Exception]] = BrokenProcessPool
    end_together: ClassVar[bool] = True

    def __init__(self, make: Callable[[], Callable[[Any], Any]], jobs: int, threads: int | None) -> None:
        self.ahead = jobs * _AHEAD_PER_PROCESS
        self._jobs, self._order = jobs, (make, threads)
        self._pool = self._started()

    def _started(self) -> ProcessPoolExecutor:
        context = multiprocessing.get_context("spawn")  # a fork of a process with threads can hang
        return ProcessPoolExecutor(self._jobs, mp_context=context, initializer=_begin, initargs=self._order)

    def submit(self, task: Any) -> Future[Any]:
        with interrupts_stay_here():  # the first task starts the processes
            return self._pool.submit(_do, task)

    def outcome(self, future: Future[Any]) -> Any:
        return future.result()

    def check(self) -> None:
        """Nothing to do: the pool itself notices when a process ends."""

    def mend(self) -> int:
        self._pool.shutdown()
        self._pool = self._started()
        return self._jobs  # tasks are taken in their order

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)


def _begin(make: Callable[[], Callable[[Any], Any]], threads: int | None) -> None:
    global _make
    leave_with_parent()
    if threads is not None:
        import torch

        torch.set_num_threads(threads)
    _make = make


def _do(task: Any) -> Any:
    global _work
    if _work is None:  # made here and not at the start of the process, so that its errors are a task's and have their words
        assert _make is not None
        _work = _make()
    return _work(task)


@contextmanager
def interrupts_stay_here() -> Iterator[None]:
    """Keep Ctrl-C from processes that start in the block: a terminal sends it to all, and each would tell its own story.

    They inherit what is blocked; this process takes what came in between at the end of the block.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def leave_with_parent() -> None:
    """End this process when its parent is killed, which stops no worker by itself: nobody would collect the results."""
    threading.Thread(target=_watch, daemon=True).start()


def _watch() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
