"""The studio's server among friends and strangers: what it answers, what it refuses, and that it stays alive."""

import asyncio
import base64
import io
import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest
import torch
from PIL import Image

from artgan.generation.favourites import favourites_path
from artgan.generation.point import Point
from artgan.generation.sample import picture_metadata, points_of_seeds, render, save_samples
from artgan.generation.video import encode_video
from artgan.images import encode_picture
from artgan.metadata import read_metadata
from artgan.studio import refining
from artgan.studio.guard import Guard
from artgan.studio.serve import open_server
from artgan.studio.session import Session
from tests import picture_files
from tests.integration.studio_server import address, bomb, finished, png, request, status, studio

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")


@pytest.fixture(scope="module")
def server(trained_model):
    with studio([trained_model.folder]) as running:
        yield running


@pytest.fixture
def client(server):
    with httpx.Client(base_url=server.url, timeout=60) as opened:
        yield opened


def memory_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6


def test_a_seed_is_the_same_picture_everywhere(client, trained_model, tmp_path):
    points = points_of_seeds(trained_model, [5, 6], _look())
    save_samples(trained_model, tmp_path, points)
    sampled = np.asarray(Image.open(tmp_path / "seed-0005.png"))
    sent = [{"seed": 4}, points[0].as_dict(), {"seed": 9}]
    answer = client.post("/api/render", json={"model": 0, "points": sent}).json()
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(answer["pictures"][1]))))
    assert np.array_equal(shown, sampled)
    exported = client.post("/api/export", json={"model": 0, "point": points[0].as_dict(), "format": "png"}).content
    assert exported == (tmp_path / "seed-0005.png").read_bytes()
    wanted = {"model": 0, "point": points[0].as_dict(), "format": "png", "size": 128}
    (tmp_path / "large").mkdir()
    save_samples(trained_model, tmp_path / "large", points[:1], sizes_px=[128])
    assert client.post("/api/export", json=wanted).content == (tmp_path / "large" / "seed-0005.png").read_bytes()
    facts = client.get("/api/models/0").json()
    assert facts["sizes"][0] == [128, "128 px along the longer side, from 32x32 px by a Lanczos filter, which adds no detail"]
    refused = client.post("/api/export", json=wanted | {"size": 100_000})
    assert "expected one of 128, 1080, 2160" in refused.json()["error"]
    film = Image.open(io.BytesIO(encode_video(render(trained_model.space, points), "webp", 30)))
    assert np.array_equal(np.asarray(film.convert("RGB")), sampled)
    journey = {
        "kind": "film",
        "model": 0,
        "points": [point.as_dict() for point in points],
        "steps": 3,
        "fps": 30,
        "format": "webp",
    }
    number, job = finished(client, journey)
    assert job["state"] == "done", job
    frames = Image.open(io.BytesIO(client.get(f"/api/jobs/{number}/file").content))
    assert frames.n_frames == 6


def _look():
    from artgan.generation.sample import Look

    return Look()


def test_the_page_and_its_files_are_served_with_a_strict_policy(client):
    page = client.get("/")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "://" not in page.text
    for name in (
        "style.css",
        "app.js",
        "api.js",
        "controls.js",
        "explore.js",
        "journey.js",
        "refine.js",
        "watch.js",
        "icon.svg",
    ):
        answer = client.get(f"/static/{name}")
        assert answer.status_code == 200
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "http" not in answer.text.replace("http://www.w3.org/2000/svg", "")


def test_refining_and_projecting(client, trained_model, tmp_path):
    style = client.post(
        "/api/uploads", content=png(np.random.default_rng(0).integers(0, 256, (70, 90, 3), dtype=np.uint8))
    ).json()
    assert (style["width"], style["height"]) == (90, 70)
    recipe = {"style.iterations": 3, "style.backbone": "random", "style.strength": 0.5, "output.size_px": 48}
    wanted = {"kind": "refine", "model": 0, "point": {"seed": 3}, "style": style["upload"], "recipe": recipe}
    number, job = finished(client, wanted)
    assert job["state"] == "done", job
    (tmp_path / "refined.png").write_bytes(client.get(f"/api/jobs/{number}/file").content)
    metadata = read_metadata(tmp_path / "refined.png")
    assert (metadata["point"]["seed"], metadata["refine"]["recipe"]["style"]["iterations"]) == (3, 3)
    target = next(render(trained_model.space, [Point(11)]))
    upload = client.post("/api/uploads", content=png(target)).json()["upload"]
    _, job = finished(client, {"kind": "project", "model": 0, "upload": upload, "steps": 5, "per_layer": True})
    assert job["result"]["loss"] <= job["result"]["start_loss"]
    assert job["result"]["network"] == refining.usable_backbones()[0]
    again = client.post("/api/render", json={"model": 0, "points": [job["result"]["point"]]})
    assert again.status_code == 200


def test_the_studio_says_what_style_looks_through(tmp_path, monkeypatch):
    monkeypatch.setenv("ARTGAN_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("ARTGAN_CACHE", str(tmp_path / "cache"))
    assert "looks through drawn, which comes with artgan: squeezenet1_1" in refining.sees_through()
    (tmp_path / "squeezenet1_1.safetensors").write_bytes(b"not read yet")
    assert refining.sees_through() == "style looks through squeezenet1_1"


def test_what_is_kept_is_asked_for_and_changed(client, trained_model):
    favourites_path(trained_model.folder).unlink(missing_ok=True)
    kept = client.post("/api/models/0/kept", json={"do": "keep", "points": [{"seed": 4}]}).json()["kept"]
    assert client.get("/api/models/0/kept").json()["kept"] == kept
    refused = client.post("/api/models/0/kept", json={"do": "drop", "ids": ["../x"]})
    assert (refused.status_code, "no longer kept" in refused.json()["error"]) == (422, True)
    assert client.post("/api/models/9/kept", json={"do": "keep", "points": [{"seed": 4}]}).status_code == 422
    _, job = finished(client, {"kind": "export-kept", "model": 0, "ids": "all"})
    assert job["error"].startswith("ids: expected a list")


def test_a_job_can_be_stopped_and_renders_go_before_it(client):
    keys = [{"seed": seed} for seed in range(5)]
    film = {"kind": "film", "model": 0, "points": keys, "steps": 200, "fps": 30, "format": "webp"}
    first, second = (client.post("/api/jobs", json=film).json()["job"] for _ in range(2))
    assert client.post("/api/render", json={"model": 0, "points": [{"seed": 1}]}).status_code == 200
    assert client.get(f"/api/jobs/{first}").json()["state"] == "running"
    assert client.delete(f"/api/jobs/{second}").json()["state"] == "cancelled"
    client.delete(f"/api/jobs/{first}")
    deadline = time.monotonic() + 20
    while client.get(f"/api/jobs/{first}").json()["state"] == "running" and time.monotonic() < deadline:
        time.sleep(0.05)
    assert client.get(f"/api/jobs/{first}").json()["state"] == "cancelled"
    assert client.get(f"/api/jobs/{first}/file").status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/..%2fapp.py",
        "/static/%2Fetc%2Fpasswd",
        "/../../../../etc/passwd",
        "//etc/passwd",
        "/static/app.js%00.png",
        "/static/\\\\host\\share",
        "/api/models/../../etc",
        "/api/models/-1",
        "/api/models/99999999999999999999",
        "/api/runs/0/sheets/..%2f..%2fetc",
        "/api/runs/7",
        "/api/uploads/77",
        "/api/jobs/77",
    ],
)
def test_no_path_leads_out(server, path):
    answer = request(server, f"GET {path}")
    assert status(answer) in (400, 404, 422)
    assert b"root:" not in answer
    assert b"build_app" not in answer


def test_strangers_are_turned_away(server):
    _, port = address(server)
    own = f"127.0.0.1:{port}"
    assert status(request(server, "GET /api/studio", Host="evil.example")) == 400
    assert status(request(server, "GET /api/studio", Host=f"evil.example:{port}")) == 400
    assert status(request(server, "GET /api/studio", Host=f"127.0.0.1:{port + 1}")) == 400
    assert status(request(server, "GET /api/studio", Origin="http://evil.example")) == 403
    assert status(request(server, "GET /api/studio", Origin="null")) == 403
    assert status(request(server, "POST /api/render", Origin="http://evil.example", Content_Length="0")) == 403
    assert status(request(server, "GET /api/studio", Sec_Fetch_Site="cross-site")) == 403
    assert status(request(server, "GET /api/studio", Host=f"localhost:{port}")) == 200
    assert status(request(server, "GET /api/studio", Origin=f"http://{own}")) == 200


def test_listening_beyond_this_machine_asks_for_a_token(trained_model):
    with studio([trained_model.folder], listen="127.0.0.1") as running, httpx.Client(timeout=30) as visitor:
        base, token = running.url.split("?token=")
        assert len(token) >= 32
        assert visitor.get(base).status_code == 401
        assert visitor.get(base + "api/studio?token=wrong").status_code == 401
        assert visitor.get(base + "api/studio", headers={"Cookie": "artgan_studio=wrong"}).status_code == 401
        first = visitor.get(running.url)
        assert (first.status_code, first.headers["location"]) == (303, "/")
        cookie = first.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert visitor.get(base + "api/studio").status_code == 200


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", 400),
        (b"[1]", 400),
        (b"[" * 100_000, 400),
        (b'{"model": 0, "points": []}', 422),
        (b'{"model": 9, "points": [{"seed": 1}]}', 422),
        (b'{"model": "../x", "points": [{"seed": 1}]}', 422),
        (b'{"model": true, "points": [{"seed": 1}]}', 422),
        (b'{"model": 0, "points": [{"seed": NaN}]}', 422),
        (b'{"model": 0, "points": [{"seed": 1, "path": "/etc"}]}', 422),
        (b'{"model": 0, "points": ' + json.dumps([{"seed": 1}] * 65).encode() + b"}", 422),
        (b'{"model": 0, "points": [{"styles": "AAAA"}]}', 422),
    ],
)
def test_bad_requests_are_named(client, content, code):
    answer = client.post("/api/render", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == code
    assert answer.json()["error"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', "not a picture"),
        (b"<!doctype html><script>alert(1)</script>", "not a picture"),
        (b"GIF89a" + bytes(20), "damaged"),
        (b"", "empty"),
        (b"\0\0\0\x18ftypisom" + bytes(40), "artgan refine takes films"),
        (bomb(20_000), "megapixels"),
        (bomb(200_000), "megapixels"),
    ],
    ids=["svg", "html", "cut", "empty", "film", "bomb", "large-bomb"],
)
def test_uploads_are_pictures_or_refused(client, data, message):
    before = memory_mb()
    answer = client.post("/api/uploads", content=data)
    assert answer.status_code == 422
    assert message in answer.json()["error"]
    assert memory_mb() - before < 200


def test_an_upload_says_what_the_copy_lacks(client):
    """Frames, opacity, depth and size: one sentence a kind, and none for a picture that is kept whole."""
    images = [Image.new("RGBA", (1200, 30), (200, 30, 30, clear)) for clear in (90, 120)]
    buffer = io.BytesIO()
    images[0].save(buffer, "WEBP", save_all=True, append_images=images[1:], lossless=True)
    assert client.post("/api/uploads", content=buffer.getvalue()).json()["lost"] == [
        "has several pictures, of which one is used",
        "is transparent in part, which counts as white",
        "is used at 1024 x 26 pixels",
    ]
    deep = io.BytesIO()
    Image.fromarray(np.linspace(0, 65535, 1600).astype(np.uint16).reshape(40, 40)).save(deep, "PNG")
    assert client.post("/api/uploads", content=deep.getvalue()).json()["lost"] == [
        "has more than 8 bits a channel, of which 8 are used"
    ]
    for whole in (png(np.zeros((30, 40, 3), np.uint8)), picture_files.psd(np.zeros((3, 30, 40), np.uint8), 3)):
        assert client.post("/api/uploads", content=whole).json()["lost"] == []


def test_an_upload_comes_back_encoded_anew(client):
    pixels = np.random.default_rng(1).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    data = encode_picture(pixels, "png", {"kind": "secret"}) + b"<script>trailing</script>"
    number = client.post("/api/uploads", content=data).json()["upload"]
    back = client.get(f"/api/uploads/{number}").content
    assert b"secret" not in back
    assert b"script" not in back
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(back))), pixels)
    for _ in range(12):
        client.post("/api/uploads", content=data)
    assert client.get(f"/api/uploads/{number}").status_code == 422


def test_a_gigabyte_is_refused_before_it_is_read(server, client):
    before = memory_mb()
    assert status(request(server, "POST /api/uploads", Content_Length=str(10**9))) == 413
    assert status(request(server, "POST /api/render", Content_Length=str(10**9), Content_Type="application/json")) == 413
    host, port = address(server)
    head = f"POST /api/uploads HTTP/1.1\r\nHost: {host}:{port}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    piece = b"100000\r\n" + bytes(1 << 20) + b"\r\n"
    with socket.create_connection((host, port), timeout=20) as connection:
        connection.sendall(head)
        try:
            for _ in range(1000):
                connection.sendall(piece)
        except OSError:
            pass  # the server hung up, as it should
        else:
            pytest.fail("a gigabyte was taken")
    assert memory_mb() - before < 300
    assert client.get("/api/studio").status_code == 200


def test_ranges_and_headers_in_floods_are_harmless(server, client):
    ranges = "bytes=" + ",".join(f"{n}-{n}" for n in range(1000))
    answer = request(server, "GET /static/app.js", Range=ranges)
    assert status(answer) == 200
    assert b"multipart" not in answer[:1000].lower()
    assert status(request(server, "GET /", **{f"X{n}": "a" * 1000 for n in range(100)})) in (200, 400, 431)
    assert client.get("/api/studio").status_code == 200


def test_fifty_renders_at_once_are_served_or_asked_to_wait(client, server):
    points = [{"seed": seed} for seed in range(64)]

    def ask(_: int) -> tuple[int, str | None]:
        answer = httpx.post(server.url + "api/render", json={"model": 0, "points": points}, timeout=60)
        return answer.status_code, answer.headers.get("retry-after")

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(ask, range(50)))
    codes = {code for code, _ in answers}
    assert codes <= {200, 503}
    assert sum(code == 200 for code, _ in answers) >= 20
    assert all(retry == "1" for code, retry in answers if code == 503)
    assert client.post("/api/render", json={"model": 0, "points": points[:1]}).status_code == 200


def test_a_browser_that_leaves_takes_its_work_with_it(server, client):
    host, port = address(server)
    body = json.dumps({"model": 0, "points": [{"seed": seed} for seed in range(64)]}).encode()
    head = f"POST /api/render HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n"
    head += f"Content-Length: {len(body)}\r\n\r\n"
    for _ in range(15):
        with socket.create_connection((host, port)) as connection:
            connection.sendall(head.encode() + body)
    assert client.post("/api/render", json={"model": 0, "points": [{"seed": 1}]}).status_code == 200
    assert threading.active_count() < 40


def test_a_model_that_is_replaced_is_read_again(trained_model, tmp_path):
    import shutil

    from artgan.generation.model_folder import load_model, save_model

    folder = tmp_path / "model"
    shutil.copytree(trained_model.folder, folder)
    with studio([folder]) as running, httpx.Client(base_url=running.url, timeout=30) as visitor:
        first = visitor.get("/api/models/0").json()["sha256"]
        changed = load_model(folder)
        for parameter in changed.generator.parameters():
            parameter.add_(0.01)
        save_model(folder, changed.generator, changed.card, np.zeros((8, 8, 3), np.uint8))
        second = visitor.get("/api/models/0").json()["sha256"]
        assert first != second
        shutil.rmtree(folder)
        gone = visitor.get("/api/models/0")
        assert gone.status_code == 422
        assert "is gone" in gone.json()["error"]
    assert picture_metadata(changed, Point(1))["model_hash"] == first


@pytest.mark.parametrize(
    ("allowed", "host"), [("localhost:9000", "localhost:9000"), ("art.example", "art.example"), ("A.b", "a.b:81")]
)
def test_a_studio_behind_a_tunnel_goes_by_the_name_that_was_allowed(allowed, host):
    def asked(name, allowed):
        sent = []

        async def send(message):
            sent.append(message)

        async def app(scope, receive, send):
            await send({"type": "http.response.start", "status": 200, "headers": []})

        scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": [(b"host", name.encode())]}
        asyncio.run(Guard(app, port=7860, allowed=allowed)(scope, None, send))
        return sent[0]["status"], sent[-1].get("body", b"").decode()

    assert asked(host, [allowed])[0] == 200
    status, text = asked(host, [])
    assert status == 400
    assert f"--allow-host {host}" in text
    assert asked("evil.example", [allowed])[0] == 400


def test_a_studio_that_others_may_reach_has_a_token(trained_model):
    session = Session([trained_model.folder], torch.device("cpu"))
    for allowed, has_token in (((), False), (("localhost:9000",), False), (("art.example",), True)):
        server = open_server(session, 0, allowed=allowed)
        server.opened.close()
        assert ("token=" in server.url) is has_token
