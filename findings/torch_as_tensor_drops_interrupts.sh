#!/bin/sh
# torch.as_tensor drops a KeyboardInterrupt that comes while it asks an object which protocols it has.
#
# Seen with: torch 2.15.0 and numpy 2.4.6, Python 3.11, Linux x86_64.
# Expected:  Ctrl-C while a lazy sequence answers `__getattr__` ends the call with KeyboardInterrupt, as in numpy.asarray.
# Seen:      torch asks by a call of C that takes every exception for "no such attribute": the interrupt is gone, the tensor comes
#            back whole, and the program works on. Signal handlers that raise an exception of their own lose that as well.
# Way out:   a handler that also notes the signal, and a loop that looks at the note.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/python" -m pip install --quiet --disable-pip-version-check torch==2.15.0 numpy==2.4.6
"$dir/venv/bin/python" -W ignore - <<'PYTHON'
import os
import signal

import numpy
import torch

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background ignores it


class Numbers:
    """A sequence of three numbers; Ctrl-C comes while it is asked for one attribute."""

    def __init__(self, interrupted_at: str) -> None:
        self.interrupted_at, self.interrupts = interrupted_at, 0

    def __len__(self) -> int:
        return 3

    def __getitem__(self, place: int) -> float:
        if place > 2:
            raise IndexError(place)
        return float(place)

    def __getattr__(self, name: str) -> object:
        if name == self.interrupted_at:
            self.interrupts += 1
            os.kill(os.getpid(), signal.SIGINT)
        raise AttributeError(name)


def outcome(convert, attribute: str) -> tuple[int, str]:
    """How many interrupts were sent, and what the caller got."""
    numbers = Numbers(attribute)
    try:
        got = str(convert(numbers).tolist())
    except KeyboardInterrupt:
        got = "KeyboardInterrupt"
    return numbers.interrupts, got


seen = {"torch": outcome(torch.as_tensor, "__dlpack__"), "numpy": outcome(numpy.asarray, "__array_interface__")}
print(f"torch {torch.__version__}, numpy {numpy.__version__}: (interrupts sent, result) {seen}")
assert seen == {"torch": (1, "[0.0, 1.0, 2.0]"), "numpy": (1, "KeyboardInterrupt")}, "what happens to the interrupt has changed"
PYTHON
