"""A studio that really listens, in a thread of this process, and what asks it, for tests."""

import io
import socket
import threading
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import torch
from anyio import open_file  # noqa: F401  # otherwise loaded late, in the server's thread, where pytest's rewriting may fail
from PIL import Image

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


def raw(server, data: bytes, wait: float = 10) -> bytes:
    """Send bytes as they are and return what comes back."""
    with socket.create_connection(address(server), timeout=wait) as connection:
        connection.sendall(data)
        try:
            return connection.recv(65536)
        except TimeoutError:
            return b""


def request(server, line: str, **headers: str) -> bytes:
    host, port = address(server)
    given = {"Host": f"{host}:{port}", "Connection": "close"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    return raw(server, (line + " HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in given.items()) + "\r\n").encode("latin-1"))


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def finished(client, content) -> tuple[int, dict]:
    started = client.post("/api/jobs", json=content)
    assert started.status_code == 202, started.text
    number = started.json()["job"]
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        job = client.get(f"/api/jobs/{number}").json()
        if job["state"] not in ("waiting", "running"):
            return number, job
        time.sleep(0.05)
    raise AssertionError("the job did not end")


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def bomb(side: int) -> bytes:
    """Return a PNG of few bytes that decodes to side x side pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    header = side.to_bytes(4, "big") * 2 + bytes([8, 2, 0, 0, 0])
    packed = zlib.compress(bytes(1 << 20) * 64, 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
