"""Typed progress events and the three listeners that show them: a terminal bar, plain lines, JSON lines.

Work reports with `Progress` and knows no listener; the command line chooses one.
"""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TextIO, TypeVar

Item = TypeVar("Item")
_PLAIN_LINE_EVERY_SECONDS = 5.0
_QUIET_BEFORE_SECONDS = 2.0
# The first steps of a task are the slowest: told from them, the time left is many times too long.
_TELLS_AFTER_SECONDS, _TELLS_AFTER_SHARE = 60.0, 0.02


MINUTES = "min"


@dataclass(frozen=True)
class Progress:
    """How far one task is.

    Attributes:
        task: what is being done, in a few words; a new task is a new name.
        done, total: counts in `unit`; `total` is None when it is not known.
        unit: what is counted, such as "images" or "B"; of `MINUTES` no rate is said.
        note: a few words on the current state, such as a loss.
    """

    task: str
    done: float
    total: float | None = None
    unit: str = ""
    note: str = ""


Listener = Callable[[Progress], None]


def silent(event: Progress) -> None:
    """Listen to nothing."""


def track(items: Iterable[Item], task: str, total: int, unit: str, on_progress: Listener) -> Iterator[Item]:
    """Yield the items and report after each."""
    for done, item in enumerate(items, start=1):
        yield item
        on_progress(Progress(task, done, total, unit))


class PlainListener:
    """Writes a line every few seconds: for logs and pipes."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.task = ""
        self.started = self.last = self.first_done = 0.0

    def __call__(self, event: Progress) -> None:
        now = time.monotonic()
        if event.task != self.task:
            self.task, self.started, self.last, self.first_done = event.task, now, now, event.done
        finished = event.total is not None and event.done >= event.total
        due = now - self.last >= _PLAIN_LINE_EVERY_SECONDS or (event.total is None and bool(event.note))
        if due or (finished and now - self.started >= _QUIET_BEFORE_SECONDS):
            self.last = now
            print(describe(event, now - self.started, self.first_done), file=self.stream, flush=True)


def describe(event: Progress, elapsed_seconds: float, first_done: float = 0.0) -> str:
    """Return one line with counts, rate and, once it can be told, time left.

    The rate is that since `first_done`, where a resumed task began.
    """
    done = event.done - first_done
    rate = done / elapsed_seconds if elapsed_seconds > 0 else 0.0
    line = f"{event.task}: {counts(event)}"
    if rate > 0 and event.unit != MINUTES:
        line += f", {format_rate(rate)} {event.unit}/s"
    tells = event.total and (elapsed_seconds >= _TELLS_AFTER_SECONDS or done >= _TELLS_AFTER_SHARE * event.total)
    if event.total and rate > 0 and tells:
        line += f", {format_seconds(max(0, event.total - event.done) / rate)} left"
    return line + (f", {event.note}" if event.note else "")


def counts(event: Progress) -> str:
    """Return how far an event is: `214/403 files`."""
    digits = 0 if float(event.done).is_integer() and float(event.total or 0).is_integer() else 1
    total = f"/{event.total:,.{digits}f}" if event.total else ""
    return f"{event.done:,.{digits}f}{total} {event.unit}"


def format_rate(rate: float) -> str:
    """Return a rate with three significant digits: `1,235`, `12.3`, `0.0491`."""
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.3g}"


def format_seconds(seconds: float) -> str:
    """Return a duration as people read it: `45 s`, `3 min 20 s`, `2 h 05 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


@contextmanager
def terminal_listener(stream: TextIO | None = None) -> Iterator[Listener]:
    """Yield a listener that draws one bar per task, gone when the block ends."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[count]}"),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[note]}"),
    )
    with Bars(*columns, console=Console(file=stream or sys.stderr), transient=True) as bars:
        tasks: dict[str, tuple] = {}

        def listen(event: Progress) -> None:
            if event.task not in tasks:
                task_id = bars.add_task(event.task, total=event.total, count="", note="")
                tasks[event.task] = (task_id, time.monotonic(), event.done)
            task_id, started, first_done = tasks[event.task]
            if event.done < first_done:  # the task has begun again
                started, first_done = time.monotonic(), event.done
                tasks[event.task] = (task_id, started, first_done)
                bars.reset(task_id)
            rate = (event.done - first_done) / max(time.monotonic() - started, 1e-9)
            shown = f"{counts(event)} ({format_rate(rate)}/s)" if rate and event.unit != MINUTES else counts(event)
            bars.update(task_id, completed=event.done, total=event.total, count=shown, note=event.note)

        yield listen


@contextmanager
def listener_for(*, quiet: bool = False) -> Iterator[Listener]:
    """Yield the listener that suits the user: none, a terminal bar, or plain lines when not a terminal."""
    if quiet:
        yield silent
    elif sys.stderr.isatty():
        with terminal_listener() as listen:
            yield listen
    else:
        yield PlainListener(sys.stderr)
