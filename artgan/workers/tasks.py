"""Tasks over workers: this process, several of this machine, or a Dask cluster. A result does not depend on which it was."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

from artgan.errors import ConfigError
from artgan.workers.processes import Processes

Task = TypeVar("Task")
Result = TypeVar("Result")
Make = Callable[[], Callable[[Task], Result]]

_PATIENCE_SECONDS = 60
_MAX_LOST_IN_VAIN = 8


@dataclass(frozen=True)
class Workers:
    """Who does the work; by default this process alone.

    Attributes:
        jobs: processes of this machine.
        cluster: address or scheduler file of a Dask cluster (`artgan.workers.address`), which then takes their place.
    """

    jobs: int = 1
    cluster: str | None = None

    @property
    def are_elsewhere(self) -> bool:
        """Whether tasks leave this process."""
        return self.cluster is not None or self.jobs > 1

    def for_tasks(self, count: int) -> "Workers":
        """Return no more processes than tasks: one task alone stays here."""
        return replace(self, jobs=max(1, min(self.jobs, count)))


ALONE = Workers()


@dataclass(frozen=True)
class Lost:
    """In place of a result: the task's process was ended, and again when the task had one of this machine to itself."""


class Crew(Protocol):
    """Processes that take tasks.

    Attributes:
        ahead: tasks are begun up to so many places after the oldest one that is unfinished.
        ended: what a future raises when its process was ended.
        end_together: whether all tasks in flight end with one process.
    """

    ahead: int
    ended: ClassVar[type[Exception]]
    end_together: ClassVar[bool]

    def submit(self, task: Any) -> Future[Any]:
        """Begin a task; may raise `ended`."""

    def outcome(self, future: Future[Any]) -> Any:
        """Return a finished task's result, or raise its error; may raise `ended`."""

    def check(self) -> None:
        """Raise an error where nobody is left to work; called when nothing has finished for a while."""

    def mend(self) -> int:
        """Replace what ended; return how many of the unfinished tasks, the oldest first, may have been its cause."""

    def close(self) -> None:
        """Let go of all that has not begun."""


def over_workers(
    make: Make[Task, Result],
    tasks: Sequence[Task],
    workers: Workers = ALONE,
    *,
    in_order: bool = False,
    threads: int | None = None,
    sees: Sequence[Path] = (),
) -> Iterator[tuple[int, Result | Lost]]:
    """Yield (index, result) of each task, with a bounded number in flight.

    A process that is ended costs only the tasks that it had: these are done again.

    Args:
        make: called once in each process; returns the function of a task. It and the tasks can travel: a module's function, a
            method of a plain dataclass, a `partial` of such.
        tasks: what to do.
        workers: who does it.
        in_order: in the order of the tasks; otherwise as they finish.
        threads: of torch in this process, shared evenly among processes; a process of a cluster has one. None: without torch.
        sees: files and folders that every machine of a cluster must see.

    Raises:
        ConfigError: the cluster cannot be reached, is not safe to send tasks to, has other versions, or was lost.
    """
    if not workers.are_elsewhere:
        work = make()
        for index, task in enumerate(tasks):
            yield index, work(task)
        return
    if tasks:
        if threads is not None:
            threads = 1 if workers.cluster is not None else max(1, threads // workers.jobs)
        outcomes = _outcomes(_crew_of(make, workers, threads, sees), tasks, lambda: Processes(make, 1, threads))
        yield from _ordered(outcomes) if in_order else outcomes


def _crew_of(make: Make[Any, Any], workers: Workers, threads: int | None, sees: Sequence[Path]) -> Crew:
    if workers.cluster is None:
        return Processes(make, workers.jobs, threads)
    try:
        from artgan.workers.cluster import Cluster
    except ImportError as error:
        raise ConfigError(f"--cluster needs more packages: pip install 'artgan[cluster]' ({error})") from error
    return Cluster(workers.cluster, make, sees, threads)


def _outcomes(crew: Crew, tasks: Sequence[Any], single: Callable[[], Crew]) -> Iterator[tuple[int, Any]]:
    """Yield results as they come; a task that may have ended its process gets one to itself."""
    waiting = deque(range(len(tasks)))
    flying: dict[Future[Any], int] = {}
    finished_any, lost_in_vain = False, 0
    try:
        while waiting or flying:
            broken = not _begin_more(crew, tasks, waiting, flying)
            ended: list[int] = []
            finished, _ = wait(flying, _PATIENCE_SECONDS, FIRST_COMPLETED)
            if not finished and not broken:
                crew.check()
            while finished:
                for future in finished:
                    index = flying.pop(future)
                    try:
                        result = crew.outcome(future)
                    except crew.ended:
                        ended.append(index)
                        continue
                    finished_any = True
                    yield index, result
                finished = wait(flying).done if (ended or broken) and crew.end_together else set()
            if not ended and not broken:
                continue
            count, ended = crew.mend(), sorted(ended)
            waiting.extendleft(reversed(ended[count:]))
            for index in ended[:count]:
                result = _alone(tasks[index], single())
                lost_in_vain += isinstance(result, Lost) and not finished_any
                if lost_in_vain == _MAX_LOST_IN_VAIN:
                    raise ConfigError(
                        "processes are ended from outside before they have done anything, most likely for want of memory: "
                        "give fewer processes or smaller pictures; the same command goes on with what is done "
                        '(a script of your own must make its calls under `if __name__ == "__main__":`; each process reads it)'
                    )
                finished_any |= not isinstance(result, Lost)
                yield index, result
    finally:
        crew.close()


def _begin_more(crew: Crew, tasks: Sequence[Any], waiting: deque[int], flying: dict[Future[Any], int]) -> bool:
    """Begin tasks as far as the crew looks ahead; return whether it could."""
    oldest = min(flying.values(), default=waiting[0] if waiting else 0)
    while waiting and waiting[0] < oldest + crew.ahead:
        try:
            flying[crew.submit(tasks[waiting[0]])] = waiting[0]
        except crew.ended:
            return False
        waiting.popleft()
    return True


def _alone(task: Any, single: Crew) -> Any:
    """Try one task in a process of its own, to learn whether it was this task that others ended with."""
    try:
        return single.outcome(single.submit(task))
    except single.ended:
        return Lost()
    finally:
        single.close()


def _ordered(outcomes: Iterator[tuple[int, Any]]) -> Iterator[tuple[int, Any]]:
    early: dict[int, Any] = {}
    following = 0
    for index, result in outcomes:
        early[index] = result
        while following in early:
            yield following, early.pop(following)
            following += 1
