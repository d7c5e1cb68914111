"""What strangers' files are made of for tests: valid ones, changed at random; and what a reader may do with them.

A reader returns, or raises the project's own error; it writes nowhere but where it is told, starts no program and reaches no
other machine; it takes no more than 512 MB beyond what the process has.
"""

import copy
import faulthandler
import os
import resource
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from artgan.errors import ArtganError

QUICK, LONG = 12, 400
LONGEST_ERROR = 20_000
GUARD_SECONDS = 120.0  # generous: what hangs ends the process, with a traceback
MEMORY_BYTES = 512 << 20
settings.register_profile(
    "quick", max_examples=QUICK, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)
settings.register_profile(
    "long", max_examples=LONG, deadline=None, database=None, print_blob=True, suppress_health_check=list(HealthCheck)
)

odd_texts = st.sampled_from(
    [
        "",
        ".",
        "..",
        "../../outside",
        "/outside",
        "C:\\outside",
        "a\0b",
        "\ud800",
        "x" * 5000,
        "1e999",
        "nan",
        "<script>",
        "${x}",
    ]
)
odd_numbers = st.sampled_from([0, -1, 1, 2**31, 2**63, 10**30, -(10**30), 1e308, float("nan"), float("inf"), 0.5, True])
leaves = st.none() | odd_numbers | odd_texts | st.text(max_size=12)
values = leaves | st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3), max_leaves=6
)
# Where in a document (a number for each level), what happens there, and the new value or name.
changes = st.lists(
    st.tuples(st.lists(st.integers(0, 50), max_size=6), st.sampled_from(("set", "drop", "add")), values, odd_texts),
    min_size=1,
    max_size=3,
)
# Where in a file (a share of its length), what happens there, and the bytes for it.
edits = st.lists(
    st.tuples(
        st.floats(0, 1), st.sampled_from(("flip", "cut", "drop", "insert", "repeat", "zero")), st.binary(min_size=1, max_size=9)
    ),
    min_size=1,
    max_size=5,
)


def changed(document, made):
    """Return a copy of a JSON document with a few changes."""
    document = copy.deepcopy(document)
    for way, kind, value, name in made:
        place = document
        for step in way:
            below = list(place.values()) if isinstance(place, dict) else place if isinstance(place, list) else []
            below = [item for item in below if isinstance(item, dict | list) and item]
            if not below:
                break
            place = below[step % len(below)]
        keys = list(place) if isinstance(place, dict) else list(range(len(place))) if isinstance(place, list) else []
        if not keys:
            continue
        key = keys[sum(way) % len(keys)]
        if kind == "set":
            place[key] = copy.deepcopy(value)  # the same list twice could hold itself
        elif kind == "drop":
            del place[key]
        elif isinstance(place, dict):
            place[name] = copy.deepcopy(value)
        else:
            place.append(value)
    return document


def mangled(data, made):
    """Return bytes with a few edits."""
    for share, kind, more in made:
        at = int(share * len(data))
        length = 1 + more[0] * 8
        if kind == "flip":
            data = (
                data[:at] + bytes(a ^ b for a, b in zip(data[at : at + len(more)], more, strict=False)) + data[at + len(more) :]
            )
        elif kind == "cut":
            data = data[:at]
        elif kind == "drop":
            data = data[:at] + data[at + length :]
        elif kind == "insert":
            data = data[:at] + more + data[at:]
        elif kind == "repeat":
            data = data[:at] + data[at : at + length] * 3 + data[at + length :]
        else:
            data = data[:at] + b"\0" * len(data[at : at + length]) + data[at + length :]
    return data


class _Watch:
    """Hears of every file that this process opens to write, and of every program that it starts, while it is armed."""

    def __init__(self):
        self.allowed = None
        self.found = []
        sys.addaudithook(self)

    def __call__(self, event, arguments):
        if self.allowed is None:
            return
        if event == "open":
            path, _, flags = arguments
            if not isinstance(path, str | bytes | os.PathLike) or not flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                return
        elif event in ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink", "os.link", "shutil.rmtree"):
            path = arguments[0]
        elif event in ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "socket.connect"):
            self.found.append((event, str(arguments[:1])[:200]))
            return
        else:
            return
        place = Path(os.path.abspath(os.fsdecode(path)))
        if not any(place.is_relative_to(root) for root in self.allowed):
            self.found.append((event, str(place)))


_watch = _Watch()


@contextmanager
def strangers_file(place, monkeypatch):
    """Run a reader on something hostile: own errors are an answer, and everything else is a failure.

    Args:
        place: the one folder that may be written to.
        monkeypatch: turns temporary files into it.
    """
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    said = "returned"
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if sys.platform == "linux" else None
    if pages:
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY_BYTES, hard))
    faulthandler.dump_traceback_later(GUARD_SECONDS, exit=True)
    _watch.allowed, _watch.found = (
        [place, *(Path(os.environ[name]) for name in ("ARTGAN_CACHE", "ARTGAN_DATA")), Path("/dev")],
        [],
    )
    try:
        yield
    except ArtganError as error:
        said = str(error)
    finally:
        found, _watch.allowed = _watch.found, None
        faulthandler.cancel_dump_traceback_later()
        if pages:
            resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    assert 0 < len(said) < LONGEST_ERROR, "an error is a line or two, what was typed aside"
    assert found == []
