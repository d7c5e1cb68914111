"""The front door among strangers: names, limits, paths, and files in the workspace that nobody of ours wrote."""

import json
import signal
import socket
import time
from contextlib import contextmanager

import httpx
import pytest
import torch

from artgan.config import dump_config
from artgan.datasets.collection import open_collection
from artgan.datasets.synthetic import draw_work
from artgan.errors import CheckpointError, ConfigError, DataError
from artgan.progress import silent
from artgan.storage import only_one
from artgan.studio import drops, trainer
from artgan.studio.door import Door
from artgan.studio.session import Session
from artgan.studio.workspace import default_workspace, open_workspace
from tests.integration.studio_server import address, bomb, finished, request, status, studio
from tests.integration.test_resume import tiny

pytest.importorskip("starlette")
PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)


@pytest.fixture
def door(tmp_path):
    return Door(open_workspace(tmp_path / "work"))


@contextmanager
def visiting(door):
    with studio([], door=door) as server, httpx.Client(base_url=server.url, timeout=60) as client:
        yield server, client


def send(client, drop, name, data=PNG):
    return client.post("/api/door/files", params={"drop": drop, "name": name}, content=data)


@pytest.mark.parametrize(
    ("name", "kept_as"),
    [
        ("a.png", "a.png"),
        ("sub/b.png", "sub/b.png"),
        ("../../../evil.png", "evil.png"),
        ("/etc/passwd.png", "etc/passwd.png"),
        ("..\\..\\c:\\windows\\x.png", "c/windows/x.png"),
        ("CON.png", "_CON.png"),
        (".hidden.png", "hidden.png"),
        ("a\0b\n\u202e.png", "ab.png"),
        ("....", "picture"),
        ("a?b*<c>.png. . ", "abc.png"),
        ("1/2/3/4/5/6/7.png", "1/2/3/4/7.png"),
        ("x" * 500 + ".png", "x" * 116 + ".png"),
        ("\u00e4" * 300 + ".png", "\u00e4" * 58 + ".png"),
    ],
)
def test_what_is_dropped_stays_in_its_folder_under_a_plain_name(door, name, kept_as):
    with visiting(door) as (_, client):
        drop = client.post("/api/door/drops", json={"name": "../mine: of 1/2"}).json()["drop"]
        assert drop == "mine of 12"
        answer = send(client, drop, name)
        assert answer.json() == {"name": kept_as}
    root = door.workspace.root
    assert [path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()] == [f"pictures/{drop}/{kept_as}"]


def test_names_that_some_file_system_takes_for_one_stay_two(door):
    with visiting(door) as (_, client):
        drop = client.post("/api/door/drops", json={"name": "mine"}).json()["drop"]
        names = [send(client, drop, name).json()["name"] for name in ("a.png", "A.png", "a .png")]
        assert names == ["a.png", "A-2.png", "a-3.png"]
        assert client.post("/api/door/drops", json={"name": "MINE"}).json()["drop"] == "MINE-2"


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("page.png", b"<!doctype html><script>alert(1)</script>", "it is an HTML page"),
        ("drawing.svg", b"<svg xmlns='x'><script/></svg>", "it is an SVG drawing"),
        ("program.exe", b"MZ" + bytes(200), "not a picture"),
        ("notes.txt", b"mine", "no picture, but a caption"),
        ("Thumbs.db", b"\xd0\xcf", "a file manager's own"),
        ("empty.png", b"", "is empty"),
    ],
)
def test_what_is_no_picture_is_refused_and_leaves_nothing(door, name, data, message):
    with visiting(door) as (_, client):
        drop = client.post("/api/door/drops", json={"name": "mine"}).json()["drop"]
        answer = send(client, drop, name, data)
        assert answer.status_code == 422
        assert message in answer.json()["error"]
        assert send(client, "other", "a.png").status_code == 422
    assert [path for path in door.workspace.root.rglob("*") if path.is_file()] == []


def test_drops_are_bounded_and_a_cut_one_leaves_nothing(door, monkeypatch):
    monkeypatch.setattr(drops, "MAX_FILES", 2)
    monkeypatch.setattr(drops, "MAX_FILE_BYTES", 1000)
    with visiting(door) as (server, client):
        drop = client.post("/api/door/drops", json={"name": "mine"}).json()["drop"]
        assert send(client, drop, "long.png", PNG + bytes(1000)).status_code == 413
        head = f"POST /api/door/files?drop={drop}&name=cut.png HTTP/1.1\r\nHost: {':'.join(map(str, address(server)))}\r\n"
        with socket.create_connection(address(server), timeout=10) as connection:
            connection.sendall(head.encode() + b"Content-Length: 900\r\n\r\n" + PNG)
        deadline = time.monotonic() + 10
        while list(door.workspace.root.rglob(".partial*")) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert [path for path in door.workspace.root.rglob("*") if path.is_file()] == []
        assert "up to 2 files" in send(client, drop, "third.png").json()["error"]
        monkeypatch.setattr(drops, "KEPT_FREE_BYTES", 1 << 60)
        other = client.post("/api/door/drops", json={"name": "mine"}).json()["drop"]
        assert "would be free" in send(client, other, "a.png").json()["error"]
        assert client.get("/api/door").status_code == 200


def test_the_door_has_the_studios_guard(door):
    with visiting(door) as (server, _):
        for path in ("/api/door/drops", "/api/door/files?drop=a&name=b", "/api/door/train", "/api/door/runs/0/stop"):
            assert status(request(server, f"POST {path}", Origin="http://evil.example", Content_Length="0")) == 403
            assert status(request(server, f"POST {path}", Host="evil.example", Content_Length="0")) == 400
        for path in ("collections/0", "collections/-1", "collections/0/works/..%2f", "x"):
            assert status(request(server, f"GET /api/door/{path}")) in (404, 422)
    assert not door.workspace.root.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "choose pictures first"),
        ({"path": "paintings"}, "type the whole path"),
        ({"path": "/nowhere/at/all"}, "no such folder"),
        ({"path": "{tmp}/mine.txt"}, "is a file"),
        ({"path": "{tmp}"}, "holds the workspace"),
        ({"path": "{tmp}/work"}, "holds the workspace"),
        ({"path": "/" + "a" * 5000}, "choose pictures first"),
        ({"drop": 7}, "drop: there is none"),
        ({"drop": "../.."}, "drop: there is none"),
        ({"path": "{tmp}/some", "resolution": "4096"}, "up to 1024 px"),
        ({"path": "{tmp}/some", "resolution": "x"}, "expected a side"),
        ({"path": "{tmp}/some", "fit": "best"}, "fit best"),
    ],
)
def test_sources_that_cannot_be_are_named(door, tmp_path, content, message):
    (tmp_path / "work").mkdir()
    (tmp_path / "some").mkdir()
    (tmp_path / "mine.txt").write_text("mine")
    asked = {key: value.format(tmp=tmp_path) if isinstance(value, str) else value for key, value in content.items()}
    with pytest.raises((DataError, ConfigError), match=message):
        door.prepare(asked, silent)


def test_paths_are_taken_on_this_machine_alone(tmp_path):
    door = Door(open_workspace(tmp_path / "work"), alone=False)
    with pytest.raises(ConfigError, match="on this machine alone"):
        door.prepare({"path": str(tmp_path)}, silent)
    assert door.describe()["paths"] is False


def test_hostile_pictures_are_rejected_by_name_and_the_rest_is_prepared(door, tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    for index in range(5):
        draw_work("waves", 0, index, side_px=40).save(mine / f"{index}.png")
    (mine / "bomb.png").write_bytes(bomb(20_000))
    (mine / "cut.png").write_bytes((mine / "0.png").read_bytes()[:300])
    with visiting(door) as (_, client):
        _, job = finished(client, {"kind": "prepare", "path": str(mine), "resolution": "32", "trim": True})
        assert job["result"]["collection"] == 0, job
        facts = client.get("/api/door/collections/0").json()
        assert (facts["count"], facts["width"]) == (5, 32)
        assert sorted(line["count"] for line in facts["left"] if line["status"] == "rejected") == [1, 1]
        works = client.get("/api/door/collections/0/works/3").json()["works"]
        assert [work["row"] for work in works] == [3, 4]
        chosen = {"kind": "leave-out", "collection": 0, "rows": [0, 4], "hash": facts["hash"]}
        assert "expected a list" in finished(client, chosen | {"rows": [True]})[1]["error"]
        assert "has no work in row 9" in finished(client, chosen | {"rows": [9]})[1]["error"]
        assert finished(client, chosen)[1]["result"] == {"left_out": 2, "count": 3}
        assert "has changed meanwhile" in finished(client, chosen)[1]["error"]
    stayed = open_collection(door.workspace.collections / "mine")
    assert len(stayed.images) == 3
    assert stayed.earlier == (facts["hash"],)
    assert sorted(path.name for path in mine.iterdir()) == ["0.png", "1.png", "2.png", "3.png", "4.png", "bomb.png", "cut.png"]


def test_a_run_that_another_process_trains_is_known_and_can_be_asked_to_stop(door, collection_folder):
    door.workspace.collections.mkdir(parents=True)
    (door.workspace.collections / "drawn").symlink_to(collection_folder)
    run = door.workspace.runs / "first"
    run.mkdir(parents=True)
    (run / "order.json").write_text(json.dumps({"collection": "drawn", "minutes": 5, "mirror": False}))
    with visiting(door) as (_, client):
        assert [run["name"] for run in client.get("/api/door").json()["runs"]] == ["first"]
        assert "not being trained" in client.post("/api/door/runs/0/stop").json()["error"]
        with only_one(run / ".trainer.lock", ConfigError("busy")):
            (known,) = client.get("/api/door").json()["runs"]
            assert (known["state"], known["busy"]) == ("starting", True)
            for asked in ({"collection": 0, "minutes": 5}, {"run": 0, "minutes": 5}):
                assert "is being trained: wait" in client.post("/api/door/train", json=asked).json()["error"]
            assert client.post("/api/door/runs/0/stop").status_code == 202
            assert client.get("/api/door").json()["runs"][0]["state"] == "saving"
        for minutes in (0, -1, True, "5", 1e9):
            answer = client.post("/api/door/train", json={"collection": 0, "minutes": minutes})
            assert "minutes: expected a number" in answer.json()["error"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("order.json", '{"collection": "../../x", "minutes": 5, "mirror": false}'),
        ("order.json", '{"collection": "x", "minutes": 1e99, "mirror": false}'),
        ("order.json", "[" * 100_000),
        ("order.json", "[1]"),
        ("status.json", '{"updated": "then", "images_seen": [3]}'),
        ("status.json", '{"state": [1], "updated": 1e999}'),
        ("train.log", "\0\xff" * 100_000),
    ],
)
def test_a_run_folder_of_strangers_is_shown_and_believed_nothing(door, name, content):
    run = door.workspace.runs / "theirs"
    run.mkdir(parents=True)
    (run / "order.json").write_text('{"collection": "x", "minutes": 5, "mirror": false}')
    (run / name).write_text(content, encoding="latin-1")
    (shown,) = door.describe()["runs"]
    assert (shown["order"] is None) == (name == "order.json")
    assert shown["busy"] is False
    with pytest.raises((DataError, ConfigError)):
        door.train({"run": 0, "minutes": 5})


def test_a_training_of_a_studio_in_the_background_of_a_script_can_be_stopped(door, collection_folder):
    """Such a studio ignores SIGINT, and what it starts inherits that."""
    door.workspace.collections.mkdir(parents=True)
    (door.workspace.collections / "drawn").symlink_to(collection_folder)
    run = door.workspace.runs / "first"
    run.mkdir(parents=True)
    (run / "config.yaml").write_text(dump_config(tiny(training__total_kimg=1000.0)))
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        child = trainer.start(run, trainer.TrainingOrder("drawn", 5.0))
    finally:
        signal.signal(signal.SIGINT, before)
    try:
        deadline = time.monotonic() + 120
        while door.describe()["runs"][0]["state"] != "training" and time.monotonic() < deadline:
            time.sleep(0.1)
        door.stop(0)
        assert child.wait(60) == 0
    finally:
        child.kill()
    assert door.describe()["runs"][0]["state"] == "stopped"
    assert any(line.startswith("stopped at") for line in door.describe()["runs"][0]["log"])


def test_a_training_that_cannot_begin_says_why_where_the_studio_finds_it(door, tmp_path):
    run = door.workspace.runs / "first"
    child = trainer.start(run, trainer.TrainingOrder("gone", 5.0))
    assert child.wait(60) == DataError.exit_code
    (shown,) = door.describe()["runs"]
    assert (shown["state"], shown["busy"]) == ("failed", False)
    assert "collections/gone does not exist" in shown["log"][-1]


def test_a_damaged_model_of_a_workspace_keeps_nobody_out(door):
    run = door.workspace.runs / "broken"
    (run / "model" / "best").mkdir(parents=True)
    (run / "config.yaml").touch()
    (run / "model" / "best" / "config.json").write_text("{")
    Session([], torch.device("cpu"), door).warm_up()
    with pytest.raises(CheckpointError):
        Session([run], torch.device("cpu")).warm_up()


def test_where_a_studio_works(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "me"))
    (tmp_path / "here" / "runs" / "first").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    assert default_workspace().root == tmp_path / "me" / "artgan"
    (tmp_path / "here" / "runs" / "first" / "config.yaml").touch()
    assert default_workspace().root == tmp_path / "here"
    (tmp_path / "mine.txt").touch()
    with pytest.raises(ConfigError, match="no workspace"):
        open_workspace(tmp_path)
