"""A studio that really listens, in a thread of this process, for tests."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import torch
from anyio import open_file  # noqa: F401  # otherwise loaded late, in the server's thread, where pytest's rewriting may fail

from artgan.studio.door import Door
from artgan.studio.live import Live
from artgan.studio.serve import Server, open_server
from artgan.studio.session import Session


@contextmanager
def studio(
    targets: Sequence[Path], listen: str | None = None, live: Live | None = None, door: Door | None = None
) -> Iterator[Server]:
    """Yield a running server on a free port."""
    server = open_server(Session(targets, torch.device("cpu"), door), 0, listen, live=live)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.server.started and time.monotonic() < deadline:
        time.sleep(0.02)
    try:
        yield server
    finally:
        server.server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()


def address(server: Server) -> tuple[str, int]:
    """Return host and port."""
    parts = urlsplit(server.url)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port
