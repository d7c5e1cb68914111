"""Tasks over processes: the same function in this process or in several, results as they come."""

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

import torch

from artgan.errors import ConfigError
from artgan.processes import interrupts_stay_here, leave_with_parent

Task = TypeVar("Task")
Result = TypeVar("Result")

_work: Callable[[Any], Any] | None = None


def over_processes(
    make: Callable[[], Callable[[Task], Result]], tasks: Sequence[Task], jobs: int
) -> Iterator[tuple[int, Result]]:
    """Yield (index, result) of each task, in the order in which they finish.

    Args:
        make: called once in each process; returns the function of a task; a module's function or a method of a plain dataclass.
        tasks: what to do.
        jobs: number of processes; 1 stays in this one. Processes share the threads of this one evenly.
    """
    if jobs <= 1 or len(tasks) <= 1:
        work = make()
        for index, task in enumerate(tasks):
            yield index, work(task)
        return
    jobs = min(jobs, len(tasks))
    context = multiprocessing.get_context("spawn")  # forking a process that has threads can hang
    threads = max(1, torch.get_num_threads() // jobs)
    pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=_begin, initargs=(make, threads))
    try:
        with interrupts_stay_here():
            pending = {pool.submit(_do, task): index for index, task in enumerate(tasks)}
        while pending:
            finished, _ = wait(pending, return_when=FIRST_COMPLETED)
            for future in finished:
                yield pending.pop(future), future.result()
    except BrokenProcessPool as error:
        raise ConfigError(
            f"a process of --jobs {jobs} was ended from outside, most likely for want of memory: give fewer --jobs or a "
            f"smaller --size; the same command goes on with what is done"
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _begin(make: Callable[[], Callable[[Any], Any]], threads: int) -> None:
    global _work
    leave_with_parent()
    torch.set_num_threads(threads)
    _work = make()


def _do(task: Any) -> Any:
    assert _work is not None
    return _work(task)
