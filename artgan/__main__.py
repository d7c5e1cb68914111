"""`python -m artgan`, and the command `artgan`."""

import os
import signal
from typing import NoReturn

_INTERRUPTED = 130


def main() -> None:
    """Run one command; Ctrl-C before there is anything to end in order ends at once, without a word."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)
    from artgan.cli import main as run

    run()


def _leave(number: int, frame: object) -> NoReturn:
    os._exit(_INTERRUPTED)


if __name__ == "__main__":
    main()
