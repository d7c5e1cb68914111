"""What a terminal does to a program: it closes, it cannot show a character, it sends Ctrl-C. None of that loses work."""

import errno
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TextIO

from artgan.progress import Listener, Progress, counts, listener_for

_READER_IS_GONE = (errno.EPIPE, errno.EIO, errno.EBADF, errno.ESHUTDOWN, errno.ECONNRESET)
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Interrupted(BaseException):
    """Ctrl-C. Not a KeyboardInterrupt: the parser of the command line would turn that into words of its own."""


class EnduringStream:
    """A text stream that work outlives: it drops what nobody can read any more, and escapes what cannot be shown.

    Attributes:
        lost: why it could not take everything, such as a log on a full disk; None where it could, or where nobody reads it.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._is_gone = False
        self.lost: OSError | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write a text; where its reader is gone, do nothing from then on."""
        return self._try(lambda: self._written(text)) or len(text)

    def flush(self) -> None:
        """Flush, where somebody still reads."""
        self._try(self._stream.flush)

    def _written(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except UnicodeEncodeError:
            encoding = self._stream.encoding or "ascii"
            return self._stream.write(text.encode(encoding, "backslashreplace").decode(encoding))

    def _try(self, work: Callable[[], Any]) -> Any:
        if self._is_gone:
            return None
        try:
            return work()
        except OSError as error:
            if error.errno in _NO_SPACE:
                self.lost = error
            elif error.errno in _READER_IS_GONE:
                self.forget()
            else:
                raise
        except ValueError as error:
            if "closed" not in str(error):
                raise
            self._is_gone = True
        return None

    def forget(self) -> None:
        """Send the rest to nowhere: the interpreter flushes what is left at its end, and would fail once more."""
        self._is_gone = True
        try:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
        except (OSError, ValueError):
            return


@contextmanager
def enduring_streams() -> Iterator[EnduringStream]:
    """Put streams that work outlives in the place of stdout and stderr; yield that of stdout."""
    before = sys.stdout, sys.stderr
    with open(os.devnull, "w", encoding="utf-8") as nowhere:  # in place of one that was closed before artgan began
        shown, errors = (EnduringStream(stream or nowhere) for stream in before)
        sys.stdout, sys.stderr = shown, errors
        try:
            yield shown
        finally:
            for stream in (shown, errors):
                if stream.lost is not None:
                    stream.forget()
            sys.stdout, sys.stderr = before


_swallowed = threading.Event()
_asked = threading.Event()


@contextmanager
def noted_interrupts() -> Iterator[Callable[[], bool]]:
    """Raise `Interrupted` on Ctrl-C, and yield a function that says whether there was one.

    Libraries that are interrupted while they are imported, or within compiled code, report errors of many kinds: those do not
    tell whether the user asked to stop. Some report nothing and go on: compiled code that asks whether an attribute exists
    drops every exception. Therefore the listeners of `hearing` raise it once more.
    """
    received: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        received.append(number)
        _swallowed.set()
        _asked.set()
        raise Interrupted

    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN or threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    signal.signal(signal.SIGINT, note)
    try:
        yield lambda: bool(received)
    finally:
        signal.signal(signal.SIGINT, before)
        _swallowed.clear()
        _asked.clear()


@contextmanager
def hearing(*, quiet: bool, if_stopped: str = "") -> Iterator[Listener]:
    """Yield the listener of a verb; it raises `Interrupted` where a library swallowed the one that Ctrl-C raised.

    Args:
        quiet: tell nothing.
        if_stopped: what stands after Ctrl-C and how to go on; said with how far the verb was.
    """
    newest: list[Progress] = []
    try:
        with listener_for(quiet=quiet) as listen:

            def hear(event: Progress) -> None:
                if _swallowed.is_set():
                    _swallowed.clear()  # once: what cleans up afterwards may report as well
                    raise Interrupted
                newest[:] = [event]
                listen(event)

            yield hear
    except BaseException:
        if if_stopped and _asked.is_set() and not quiet:
            far = f" at {counts(newest[0])} ({newest[0].task})" if newest else ""
            print(f"stopped{far}: {if_stopped}", file=sys.stderr, flush=True)
        raise
