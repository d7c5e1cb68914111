"""Results behind URLs, in real stores of fsspec: whole or as before, each file under a key of its own, the manifest last."""

import json
import shutil

import pytest

from artgan.cli import main
from artgan.datasets.collection import open_collection
from artgan.errors import DataError
from artgan.object_store import fetch
from artgan.progress import silent
from tests.integration.test_cli import refused

fsspec = pytest.importorskip("fsspec", reason="needs the cloud extra")
memory = pytest.importorskip("fsspec.implementations.memory")

URL = "memory://museum/drawn"


class Failing(memory.MemoryFileSystem):
    """A store that takes no more files while `left` is 0, as at the end of a quota or of a network."""

    protocol = "failing"
    left = 0

    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol(path.replace("failing://", "memory://"))

    def put_file(self, *words, **options):
        if not Failing.left:
            raise TimeoutError("the store does not answer")
        Failing.left -= 1
        super().put_file(*words, **options)


@pytest.fixture
def store():
    system = fsspec.filesystem("memory")
    yield system
    system.rm("/museum", recursive=True) if system.exists("/museum") else None


def prepared(sources, *words):
    main(["prepare", str(sources), "--resolution", "32", "--quiet", *words])


def keys(system):
    return {path.removeprefix("/museum/drawn/"): facts for path, facts in system.find("/museum/drawn", detail=True).items()}


def test_a_collection_is_made_delivered_and_read_again(sources, collection, store, tmp_path, capsys):
    prepared(sources, "--out", URL, "--holdout", "0.1")
    found = keys(store)
    manifest = json.loads(store.cat_file("/museum/drawn/manifest.json"))
    assert manifest["files"].keys() == {"collection.json", "contact_sheet.png", "images.npy", "index.jsonl"}
    assert {entry["key"] for entry in manifest["files"].values()} | {"manifest.json"} == found.keys()
    assert max(found, key=lambda key: found[key]["created"]) == "manifest.json"
    assert open_collection(fetch(URL, tmp_path, silent)).pixel_hash == collection.pixel_hash
    refused(capsys, 2, r"memory://museum/drawn: results were delivered there", *("prepare", sources, "--out", URL, "--quiet"))
    small = ("model.discriminator=fastgan", "model.width=2", "model.discriminator_width=2", "training.batch_size=2")
    words = [f"--set={setting}" for setting in (*small, "evaluation.features=random", "training.device=cpu")]
    with pytest.raises(SystemExit, match="0"):
        main(["train", f"--collection={URL}", "--run", str(tmp_path / "run"), "--dry-run", *words])
    assert "nothing was trained" in capsys.readouterr().out


def test_a_new_result_takes_the_place_of_an_earlier_one_at_once(sources, store, tmp_path):
    prepared(sources, "--out", URL)
    before = keys(store)
    prepared(sources, f"--out={URL}", "--force", "--fit", "pad")
    assert before.keys() < keys(store).keys()  # who still reads by the earlier manifest finds all that it names
    names = {entry["key"] for entry in json.loads(store.cat_file("/museum/drawn/manifest.json"))["files"].values()}
    assert not names <= before.keys()


def test_what_does_not_arrive_is_delivered_by_the_same_command(sources, store, tmp_path, capsys, monkeypatch):
    fsspec.register_implementation("failing", Failing, clobber=True)
    url, art = URL.replace("memory", "failing"), tmp_path / "art"
    shutil.copytree(sources, art)
    monkeypatch.setattr("artgan.object_store._HERE", ("failing",))
    Failing.left = 2
    words = ("prepare", art, "--resolution", "32", "--quiet", "--out", url)
    refused(capsys, 5, r"the store refuses \(TimeoutError.*kept in .*the same command delivers it", *words)
    assert len(keys(store)) == 2  # and no manifest
    with pytest.raises(DataError, match="no result of artgan"):
        fetch(url, tmp_path, silent)
    waits = r"another command made for the same place and could not deliver: repeat that command"
    refused(capsys, 2, waits, *words, "--fit", "pad")  # whose result would take the place of what waits
    shutil.rmtree(art)  # nothing is made a second time
    Failing.left = 2
    main(list(map(str, words)))
    assert open_collection(fetch(url, tmp_path, silent)).height == 32
    assert Failing.left == 0  # nothing is sent a second time


@pytest.mark.parametrize("words", [("--out", "failing://museum/drawn"), ("--collection=failing://museum/drawn",)])
def test_offline_asks_no_store(capsys, monkeypatch, words):
    monkeypatch.setenv("ARTGAN_OFFLINE", "0")  # put back afterwards, since the flag sets it
    fsspec.register_implementation("failing", Failing, clobber=True)
    monkeypatch.setattr(Failing, "exists", lambda *_: pytest.fail("a store was asked"))
    monkeypatch.setattr(Failing, "open", lambda *_, **__: pytest.fail("a store was asked"))
    refused(capsys, 5, "failing://museum/drawn: --offline forbids to reach it", "--offline", "prepare", "art", *words)


def test_samples_go_to_a_folder_behind_a_url(trained_model, tmp_path):
    main(["sample", str(trained_model.folder), "--out", f"file://{tmp_path}/museum/four", "--seeds", "0-3", "--quiet"])
    here = fetch(f"file://{tmp_path}/museum/four", tmp_path / "cache", silent)
    assert len(list(here.glob("seed*.png"))) == 4
    assert (here / "grid.png").is_file()


def spoiled(manifest, **values):
    name, entry = next(iter(manifest["files"].items()))
    return manifest | {"files": {values.pop("name", name): entry | values}}


@pytest.mark.parametrize(
    "change",
    [
        lambda manifest: spoiled(manifest, name="../outside"),
        lambda manifest: spoiled(manifest, name="/outside"),
        lambda manifest: spoiled(manifest, name="C:\\outside"),
        lambda manifest: spoiled(manifest, key="../../secret"),
        lambda manifest: spoiled(manifest, sha256="x"),
        lambda manifest: manifest | {"files": ["a"]},
        lambda manifest: manifest | {"files": {"a": 1}},
        lambda manifest: manifest | {"format": 9},
        lambda manifest: [],
    ],
)
def test_a_strangers_manifest_leads_nowhere(store, tmp_path, change):
    key = "0" * 32
    good = {"format": 1, "artgan": "1", "files": {"a": {"key": f"{key}/a", "sha256": "0" * 64, "bytes": 1}}}
    store.pipe_file("/museum/drawn/manifest.json", json.dumps(change(good)).encode())
    with pytest.raises(DataError, match=r"no manifest of a result, or is damaged|has format 9"):
        fetch(URL, tmp_path / "cache", silent)
    assert list(tmp_path.rglob("*")) == []


def test_a_file_that_changed_in_the_store_is_named(store, tmp_path):
    entry = {"key": f"{'0' * 32}/a", "sha256": "0" * 64, "bytes": 1}
    store.pipe_file("/museum/drawn/manifest.json", json.dumps({"format": 1, "files": {"a": entry}}).encode())
    store.pipe_file(f"/museum/drawn/{entry['key']}", b"x")
    with pytest.raises(DataError, match="is not the file that"):
        fetch(URL, tmp_path / "cache", silent)
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
