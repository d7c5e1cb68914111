"""Slow clients: heads and bodies that come letter by letter, answers that nobody takes; the studio stays open to others."""

import socket
import time

import httpx
import numpy as np
import pytest

from artgan.studio import connections, intake
from tests.integration.studio_server import address, png, studio

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")


@pytest.fixture
def hasty(trained_model, monkeypatch):
    """A studio with little patience."""
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.6)
    monkeypatch.setattr(connections, "STALLED_SECONDS", 0.6)
    monkeypatch.setattr(intake, "SILENCE_SECONDS", 0.6)
    with studio([trained_model.folder]) as running:
        yield running


def until_closed(connection) -> bytes:
    """Return all that comes before the other side ends the connection."""
    connection.settimeout(20)
    found = b""
    try:
        while part := connection.recv(1 << 16):
            found += part
    except ConnectionResetError:
        pass
    return found


def letters_taken(connection) -> int:
    """Return how many letters of an endless line can be sent, one in a twentieth of a second."""
    for count in range(400):
        try:
            connection.sendall(b"G")
        except OSError:
            return count
        time.sleep(0.05)
    return 400


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET /api/studio HTTP/1.1\r\nX-Slow: "], ids=["nothing", "line", "header"])
def test_a_head_that_does_not_come_ends_the_connection(hasty, sent):
    with socket.create_connection(address(hasty), timeout=10) as connection:
        connection.sendall(sent)
        assert until_closed(connection) == b""


def test_a_head_that_comes_letter_by_letter_ends_it_too_also_after_an_answer(hasty):
    host, port = address(hasty)
    for before in (b"", f"GET /static/icon.svg HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode()):
        with socket.create_connection((host, port), timeout=10) as connection:
            connection.sendall(before)
            assert letters_taken(connection) < 150


@pytest.mark.parametrize("path", ["/api/uploads", "/api/render"])
def test_a_body_that_does_not_come_is_answered_and_ended(hasty, path):
    host, port = address(hasty)
    head = f"POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
    with socket.create_connection((host, port), timeout=10) as connection:
        connection.sendall(head.encode() + b"{")
        answer = until_closed(connection)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"too slowly" in answer


def test_an_answer_that_nobody_takes_ends(hasty):
    host, port = address(hasty)
    noise = np.random.default_rng(0).integers(0, 256, (1024, 1024, 3), dtype=np.uint8)
    number = httpx.post(f"http://{host}:{port}/api/uploads", content=png(noise), timeout=60).json()["upload"]
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect((host, port))
        for _ in range(4):  # more than the buffers of a system hold
            connection.sendall(f"GET /api/uploads/{number} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
        time.sleep(3)
        assert len(until_closed(connection)) < 4 * noise.size


def test_a_hundred_connections_that_ask_nothing_keep_nobody_out(hasty):
    idle = [socket.create_connection(address(hasty), timeout=10) for _ in range(100)]
    deadline, answer = time.monotonic() + 20, 0
    while answer != 200 and time.monotonic() < deadline:
        try:
            answer = httpx.get(f"http://{':'.join(map(str, address(hasty)))}/api/studio", timeout=10).status_code
        except httpx.HTTPError:
            answer = 0
    assert answer == 200
    for connection in idle:
        connection.close()


def test_bodies_together_hold_no_more_than_so_much(hasty, monkeypatch):
    monkeypatch.setattr(intake, "MAX_HELD_BYTES", 3 << 20)
    monkeypatch.setattr(intake, "SILENCE_SECONDS", 5.0)
    host, port = address(hasty)
    head = f"POST /api/uploads HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: {4 << 20}\r\n\r\n".encode()
    with socket.create_connection((host, port), timeout=10) as first:
        first.sendall(head + bytes(2 << 20))
        time.sleep(0.5)
        answer = httpx.post(f"http://{host}:{port}/api/uploads", content=bytes(2 << 20), timeout=10)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:  # what was held is free again
        if httpx.post(f"http://{host}:{port}/api/uploads", content=bytes(2 << 20), timeout=10).status_code == 422:
            return
        time.sleep(0.1)
    raise AssertionError("still held")
