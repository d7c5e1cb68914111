"""The live picture: a real OSC client moves it, a real HTTP client sees its frames, and strangers are dropped."""

import io
import socket
import time
from contextlib import contextmanager
from dataclasses import replace
from http.client import HTTPConnection

import numpy as np
import pytest
from PIL import Image

from artgan.errors import ConfigError
from artgan.generation.point import Point
from artgan.generation.sample import render
from artgan.studio.live import MAX_WATCHERS, Live
from artgan.studio.osc import OscServer
from tests.integration.studio_server import address, studio

udp_client = pytest.importorskip("pythonosc.udp_client")


class Watcher:
    """A client of the frame stream, as a player is."""

    def __init__(self, server, path="/live.mjpg", **headers):
        self.connection = HTTPConnection(*address(server), timeout=30)
        self.connection.request("GET", path, headers=headers)
        self.answer = self.connection.getresponse()

    def frame(self) -> np.ndarray:
        assert self.answer.readline() == b"--frame\r\n"
        head = {}
        while (line := self.answer.readline()) != b"\r\n":
            name, _, value = line.decode().partition(": ")
            head[name] = value.strip()
        data = self.answer.read(int(head["Content-Length"]))
        assert self.answer.readline() == b"\r\n"
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)

    def until_like(self, expected: np.ndarray) -> float:
        """Read frames until one is the expected picture."""
        distances = []
        for _ in range(40):
            distances.append(float(np.abs(self.frame() - expected).mean()))
            if distances[-1] < 0.5:
                return distances[-1]
        raise AssertionError(distances)

    def close(self) -> int:
        """Leave, and return the status that the answer had."""
        self.answer.close()
        self.connection.close()
        return self.answer.status


@contextmanager
def live_studio(model):
    live = Live()
    osc = OscServer(0, live.order)
    client = udp_client.SimpleUDPClient("127.0.0.1", osc.port)
    try:
        with studio([model.folder], live=live) as server:
            yield server, live, client, osc
    finally:
        osc.close()
        client._sock.close()


@pytest.fixture(scope="module")
def running(trained_model):
    with live_studio(trained_model) as made:
        yield made


def picture(model, point) -> np.ndarray:
    """The picture of a point as JPEG leaves it."""
    buffer = io.BytesIO()
    Image.fromarray(next(render(model.space, [point]))).save(buffer, "JPEG", quality=90, subsampling=0)
    return np.asarray(Image.open(buffer)).astype(int)


def test_a_controller_moves_the_picture(running, trained_model):
    server, live, client, _ = running
    direction = next(iter(trained_model.space.directions))
    watcher = Watcher(server)
    assert watcher.answer.getheader("Content-Type") == "multipart/x-mixed-replace; boundary=frame"
    watcher.until_like(picture(trained_model, Point()))
    client.send_message("/artgan/seed", 12)
    watcher.until_like(picture(trained_model, Point(12)))
    client.send_message("/artgan/truncation", 0.25)
    client.send_message(f"/artgan/move/{direction}", 3.0)
    client.send_message("/artgan/class", [2, 1.0])
    wanted = Point(12, truncation=0.25, moves=((direction, 3.0),), classes=((2, 1.0),))
    watcher.until_like(picture(trained_model, wanted))
    client.send_message("/artgan/toward", [40.0, 0.5])  # most controllers send floats
    other = Point(40, truncation=0.25, moves=((direction, 3.0),), classes=((2, 1.0),))
    watcher.until_like(picture(trained_model, replace(wanted, toward=other, amount=0.5)))
    client.send_message("/artgan/reset", [])
    watcher.until_like(picture(trained_model, Point(12)))
    assert live.refused == ""
    watcher.close()


def test_frames_at_another_size(running):
    watcher = Watcher(running[0], "/live.mjpg?size=96")
    assert watcher.frame().shape == (96, 96, 3)
    watcher.close()
    for size in ("0", "-1", "5000", "x"):
        assert Watcher(running[0], f"/live.mjpg?size={size}").close() == 400


def test_what_cannot_be_made_is_said_and_the_picture_stays(running, trained_model):
    server, live, client, _ = running
    client.send_message("/artgan/reset", [])
    client.send_message("/artgan/seed", 5)
    watcher = Watcher(server)
    watcher.until_like(picture(trained_model, Point(5)))
    for path, values, said in (
        ("/artgan/move/no-such", 1.0, "no direction 'no-such'"),
        ("/artgan/class", [77, 1.0], "point.classes"),
        ("/artgan/model", 9, "model"),
        ("/artgan/seed", -3, "point.seed"),
        ("/artgan/truncation", 1e30, "point.truncation"),
        ("/artgan/truncation", float("nan"), "expected a number"),
        ("/artgan/truncation", "loud", "expected a number"),
        ("/artgan/toward", [3], "place 2"),
        ("/artgan/../../etc/passwd", 1, "no such order"),
        ("/elsewhere", 1, "no such order"),
    ):
        client.send_message(path, values)
        deadline = time.monotonic() + 20
        while said not in live.refused and time.monotonic() < deadline:
            watcher.frame()
        assert said in live.refused, path
        watcher.until_like(picture(trained_model, Point(5)))
    watcher.close()


def test_hostile_datagrams_are_dropped(running, trained_model, caplog):
    server, _, client, osc = running
    client.send_message("/artgan/reset", [])
    client.send_message("/artgan/seed", 6)
    before = osc.dropped
    late = b"#bundle\0" + b"\xff" * 8 + (20).to_bytes(4, "big") + b"/artgan/seed\0\0\0\0,i\0\0" + (7).to_bytes(4, "big")
    random = np.random.default_rng(0)
    unknown = b"/artgan/seed\0\0\0\0," + b"\x1b[2J" * 1500 + b"\0\0\0\0"  # types that there are not, as text for a terminal
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for data in (b"", b"\0" * 20, b"/artgan/seed", b"#bundle\0" * 500, b"/" + b"a" * 8300, b"/artgan/seed\0\0\0\0,i\0\0"):
            sender.sendto(data, ("127.0.0.1", osc.port))
        sender.sendto(unknown, ("127.0.0.1", osc.port))
        for _ in range(200):
            sender.sendto(random.bytes(int(random.integers(1, 200))), ("127.0.0.1", osc.port))
        sender.sendto(late[:16] + (24).to_bytes(4, "big") + late[20:], ("127.0.0.1", osc.port))
    client.send_message("/artgan/seed", 8)
    watcher = Watcher(server)
    watcher.until_like(picture(trained_model, Point(8)))  # and no time stamp is waited for
    watcher.close()
    assert osc.dropped > before
    assert osc._thread.is_alive()
    assert not [record for record in caplog.records if "pythonosc" in record.pathname]


def test_a_flood_leaves_the_newest(running, trained_model):
    server, _, client, _ = running
    client.send_message("/artgan/reset", [])
    watcher = Watcher(server)
    for seed in range(3000):
        client.send_message("/artgan/seed", seed % 50)
    time.sleep(0.2)
    client.send_message("/artgan/seed", 21)
    watcher.until_like(picture(trained_model, Point(21)))
    watcher.close()


def test_the_page_shows_its_picture_too_and_watchers_are_bounded(running, trained_model):
    server = running[0]
    connection = HTTPConnection(*address(server), timeout=30)
    connection.request("POST", "/api/live", '{"model": 0, "point": {"seed": 30}}', {"Content-Type": "application/json"})
    assert connection.getresponse().read() == b'{"refused":""}'
    connection.close()
    watchers = [Watcher(server) for _ in range(MAX_WATCHERS)]
    watchers[0].until_like(picture(trained_model, Point(30)))
    for watcher in watchers[1:]:
        watcher.frame()
    refused = Watcher(server)
    assert refused.answer.status == 503
    for watcher in [*watchers, refused]:
        watcher.close()
    for _ in range(200):
        again = Watcher(server)
        if again.answer.status == 200:
            break
        again.close()
        time.sleep(0.1)
    assert again.frame().shape == (32, 32, 3)
    again.close()
    assert Watcher(server, **{"Sec-Fetch-Site": "cross-site"}).close() == 403


def test_without_the_flags_there_is_no_stream(trained_model):
    with studio([trained_model.folder]) as server:
        assert Watcher(server).close() == 404
        assert Watcher(server, "/live").close() == 404


def test_a_taken_port_is_one_line():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(ConfigError, match=r"--osc \d+: cannot be listened on"):
            OscServer(taken.getsockname()[1], lambda address, values: None)
