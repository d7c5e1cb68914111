"""Every reader of files that somebody else may have written, on valid files changed at random (faults 10, 14, 21, 22 and 23).

Few examples, always the same ones; `--long` takes many others. What each reader is held to stands in tests/faults/strangers.py.
"""

import hashlib
import io
import itertools
import json
import pickle
import shutil
import tarfile
import zipfile
from contextlib import suppress

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from artgan import arguments
from artgan.config import load_config
from artgan.datasets.collection import damaged_rows, open_collection, recipe_of
from artgan.datasets.labels import with_labels
from artgan.datasets.sources import find_files, list_files
from artgan.decode import decode_file
from artgan.errors import ArtganError
from artgan.generation.favourites import read_favourites
from artgan.generation.model_folder import load_model
from artgan.generation.point import point_from
from artgan.importing import unpickle
from artgan.metadata import read_credits, read_metadata, resolution_of
from artgan.object_store import fetch
from artgan.overview import is_sheet
from artgan.progress import silent
from artgan.refine.enlarging.folder import read_enlarger
from artgan.refine.feedforward import read_network
from artgan.refine.fit_state import HeldFit
from artgan.refine.recipe import Recipe, load_recipe, recipe_from_dict
from artgan.schema.strict_yaml import parse_document
from artgan.storage import seal
from artgan.training.checkpoint import load_checkpoint
from artgan.training.status import read_status
from artgan.weights import cache_dir
from tests.conftest import ROOT
from tests.faults.strangers import changed, changes, edits, mangled, odd_texts, strangers_file

pytestmark = pytest.mark.timeout(3600)  # of all examples together; each has a guard of its own
GOLDEN = ROOT / "tests" / "golden"
CHECKPOINT = GOLDEN / "runs" / "stylegan2-ada" / "checkpoints" / "images-000000000008"
CONFIG = (ROOT / "configs" / "large_256.yaml").read_bytes()
HOSTILE_YAML = ("", "&a [*a]", "!!python/object:os.system x", "a: &b [1]\nc: *b")
LOOK = (GOLDEN / "look.yaml").read_bytes()


@pytest.fixture(autouse=True, scope="module")
def how_many(request):
    before = settings.get_current_profile_name()
    settings.load_profile("long" if request.config.getoption("--long") else "quick")
    yield
    settings.load_profile(before)


@pytest.fixture
def place(tmp_path):
    """A folder for one example after the other."""

    numbers = itertools.count()

    def fresh():
        number = next(numbers)
        shutil.rmtree(tmp_path / f"example{number - 1}", ignore_errors=True)
        (tmp_path / f"example{number}").mkdir()
        return tmp_path / f"example{number}"

    return fresh


def copied(source, place):
    return shutil.copytree(source, place / "copy")


def plain(document):
    """Return JSON text of whatever was changed, as a hostile writer would have it."""
    return json.dumps(document, ensure_ascii=True)


def test_configurations_and_looks(place, monkeypatch):
    @settings()
    @given(
        st.sampled_from((CONFIG, LOOK)),
        edits,
        st.sampled_from(("", "&a [*a]", "!!python/object:os.system x", "a: &b [1]\nc: *b")),
    )
    def example(text, made, more):
        folder = place()
        (folder / "run.yaml").write_bytes(mangled(text, made) + b"\n" + more.encode())
        for read in (load_config, load_recipe, parse_document):
            with strangers_file(folder, monkeypatch):
                read(folder / "run.yaml")

    example()


def test_looks_that_travel_in_pictures(place, monkeypatch):
    look = Recipe().as_dict()

    @settings()
    @given(changes)
    def example(made):
        with strangers_file(place(), monkeypatch):
            document = changed(look, made)
            if isinstance(document, dict):
                recipe_from_dict(document, "picture.png")

    example()


def test_collections(place, monkeypatch):
    golden = GOLDEN / "collection"
    summary, lines = json.loads((golden / "collection.json").read_text()), (golden / "index.jsonl").read_text().splitlines()

    @settings()
    @given(st.sampled_from(("collection.json", "index.jsonl", "images.npy", "line")), changes, edits)
    def example(which, made, edited):
        folder = copied(golden, place())
        if which == "collection.json":
            (folder / which).write_text(plain(changed(summary, made)))
        elif which == "line":
            (folder / "index.jsonl").write_text("\n".join([plain(changed(json.loads(lines[0]), made)), *lines[1:]]))
        else:
            (folder / which).write_bytes(mangled((folder / which).read_bytes(), edited))
        with strangers_file(folder.parent, monkeypatch):
            collection = open_collection(folder)
            recipe_of(collection)
            damaged_rows(collection)

    example()


def test_sealed_folders(place, monkeypatch, tmp_path):
    """Models, checkpoints, networks and enlargers whose writer sealed what he changed, and some whose seal is broken."""
    network = tmp_path / "network"
    network.mkdir()
    shutil.copy(GOLDEN / "formats" / "enlarger" / "enlarger.safetensors", network / "network.safetensors")
    (network / "network.json").write_text('{"format": 1, "verdict": {}, "styles": [{"name": "a", "sha256": "b"}]}')
    seal(network)
    kinds = (
        (GOLDEN / "models" / "r3gan", "config.json", "model.safetensors", load_model),
        (CHECKPOINT, "state.json", "state.safetensors", load_checkpoint),
        (GOLDEN / "formats" / "enlarger", "enlarger.json", "enlarger.safetensors", read_enlarger),
        (network, "network.json", "network.safetensors", read_network),
    )

    @settings()
    @given(st.sampled_from(kinds), st.sampled_from(("json", "tensors", "head", "manifest")), changes, edits)
    def example(kind, which, made, edited):
        source, about, tensors, read = kind
        folder = copied(source, place())
        if which == "json":
            (folder / about).write_text(plain(changed(json.loads((folder / about).read_text()), made)))
        elif which == "tensors":
            (folder / tensors).write_bytes(mangled((folder / tensors).read_bytes(), edited))
        elif which == "head":  # where safetensors says what follows
            data = (folder / tensors).read_bytes()
            (folder / tensors).write_bytes(mangled(data[:400], edited) + data[400:])
        else:
            manifest = json.loads((folder / "manifest.json").read_text())
            (folder / "manifest.json").write_text(plain(changed(manifest, made)))
        if which != "manifest":
            seal(folder)
        with strangers_file(folder.parent, monkeypatch):
            read(folder)

    example()


def test_fits_favourites_states_and_points(place, monkeypatch):
    liked = json.loads((GOLDEN / "formats" / "favourites.json").read_text())
    status = json.loads((GOLDEN / "formats" / "run" / "status.json").read_text())
    fit = (GOLDEN / "formats" / "fit" / "fit.safetensors").read_bytes()

    @settings()
    @given(changes, edits)
    def example(made, edited):
        folder = place()
        (folder / "favourites.json").write_text(plain(changed(liked, made)))
        with strangers_file(folder, monkeypatch):
            read_favourites(folder / "favourites.json")
        with strangers_file(folder, monkeypatch):
            point_from(changed(liked["favourites"][0]["point"], made))
        (folder / "status.json").write_text(plain(changed(status, made)))
        with (
            strangers_file(folder, monkeypatch),
            suppress(ValueError, OSError),
        ):  # as it says; its callers turn them into a line
            read_status(folder)
        (folder / "fit.safetensors").write_bytes(mangled(fit, edited))
        with strangers_file(folder, monkeypatch):
            held = HeldFit(folder)
            held.word("identity")
            held.restore({"network": torch.nn.Linear(2, 1)}, {})

    example()


def test_label_tables(place, monkeypatch, drawn_files):
    tables = {
        "dataset.json": json.dumps({"labels": [[name, index % 2] for index, name in enumerate(drawn_files)]}).encode(),
        "metadata.csv": b"file_name,label\n" + b"".join(f"{name},a\n".encode() for name in drawn_files),
        "metadata.jsonl": b"".join(json.dumps({"file_name": n, "label": "b"}).encode() + b"\n" for n in drawn_files),
    }

    @settings()
    @given(st.sampled_from(sorted(tables)), edits, changes, st.booleans())
    def example(name, edited, made, as_document):
        folder = place()
        for picture in list(drawn_files)[:2]:
            (folder / picture).parent.mkdir(exist_ok=True)
            (folder / picture).write_bytes(b"")
        data = tables[name]
        if as_document and name == "dataset.json":
            data = plain(changed(json.loads(data), made)).encode()
        (folder / name).write_bytes(mangled(data, edited) if not as_document else data)
        with strangers_file(folder, monkeypatch):
            with_labels(list_files([folder]), "class")

    example()


def in_zip(files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def in_tar(files, mode="w"):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def read_all(folder, source):
    """List a source and read what it lists, as `prepare` does."""
    for file in find_files([source])[:20]:
        if file.fate is None:
            with suppress(OSError, ArtganError):  # which becomes the file's line in the index
                file.read()


def test_archives(place, monkeypatch, drawn_files):
    few = dict(list(drawn_files.items())[:2])
    archives = {
        "art.zip": in_zip(few),
        "art.tar": in_tar(few),
        "art.tar.gz": in_tar(few, "w:gz"),
        "art.tar.xz": in_tar(few, "w:xz"),
    }

    @settings()
    @given(st.sampled_from(sorted(archives)), edits, st.booleans(), odd_texts)
    def example(name, edited, renamed, entry):
        folder = place()
        data = archives[name]
        if renamed and name == "art.zip":
            data = in_zip({entry.encode("utf-8", "replace").decode() or "x": b"x"})
        (folder / name).write_bytes(data if renamed else mangled(data, edited))
        with strangers_file(folder, monkeypatch):
            read_all(folder, folder / name)

    example()


def test_parquet(place, monkeypatch, drawn_files):
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    buffer = io.BytesIO()
    rows = [{"bytes": data, "path": name} for name, data in list(drawn_files.items())[:3]]
    parquet.write_table(arrow.table({"image": rows, "label": ["a", "b", "a"]}), buffer)

    @settings()
    @given(edits)
    def example(edited):
        folder = place()
        (folder / "train.parquet").write_bytes(mangled(buffer.getvalue(), edited))
        with strangers_file(folder, monkeypatch):
            read_all(folder, folder)

    example()


def test_manifests_of_results(place, monkeypatch):
    store = pytest.importorskip("fsspec").filesystem("memory")
    sha256 = hashlib.sha256(b"pixels").hexdigest()
    entry = {"key": f"{sha256[:32]}/a.png", "sha256": sha256, "bytes": 6}
    manifest = {"format": 1, "artgan": "1.0", "files": {"a.png": entry, "circles/a.png": entry}}
    store.pipe_file(f"/stranger/{entry['key']}", b"pixels")

    @settings()
    @given(changes, edits, st.booleans())
    def example(made, edited, as_document):
        folder = place()
        text = plain(changed(manifest, made)).encode() if as_document else mangled(plain(manifest).encode(), edited)
        store.pipe_file("/stranger/manifest.json", text)
        with strangers_file(folder, monkeypatch):
            fetch("memory://stranger", folder / "cache", silent)

    example()
    store.rm("/stranger", recursive=True)


def pictures():
    pixels = Image.fromarray(np.arange(24 * 20 * 3, dtype=np.uint8).reshape(24, 20, 3))
    found = {
        name: (GOLDEN / "pictures" / name).read_bytes() for name in ("sample.png", "sample.jpg", "sample.webp", "sample.tif")
    }
    for kind in ("GIF", "BMP", "PPM", "TGA", "JPEG2000", "ICO"):
        buffer = io.BytesIO()
        pixels.save(buffer, kind)
        found[f"plain.{kind.lower()}"] = buffer.getvalue()
    return found


def test_pictures_and_what_they_carry(place, monkeypatch):
    files = pictures()

    @settings()
    @given(st.sampled_from(sorted(files)), edits)
    def example(name, edited):
        folder = place()
        path = folder / name
        path.write_bytes(mangled(files[name], edited))
        for read in (decode_file, read_metadata, read_credits, resolution_of, is_sheet):
            with strangers_file(folder, monkeypatch):
                read(path)

    example()


def test_style_cards_that_somebody_damaged_are_made_again(place, monkeypatch, tmp_path):
    from artgan.backbones.backbone import load_backbone
    from artgan.refine.style_card import Cards, source_of_picture

    monkeypatch.setenv("ARTGAN_CACHE", str(tmp_path / "cache"))
    source = source_of_picture("style", np.asarray(Image.open(GOLDEN / "pictures" / "sample.png").convert("RGB")))
    backbone = load_backbone("random", ("stage1",))

    def card():
        return Cards(source, backbone, ("stage1",), "gram", "").card(32)

    expected = card()
    (kept,) = (cache_dir() / "style_cards").glob("*.safetensors")
    data = kept.read_bytes()

    @settings()
    @given(edits)
    def example(edited):
        kept.write_bytes(mangled(data, edited))
        with strangers_file(tmp_path, monkeypatch):
            found = card()
            assert found["stage1"].mean.shape == expected["stage1"].mean.shape

    example()


def test_pickles(place, monkeypatch):
    """In this process: in a reader of its own, whatever is raised is one line for the user."""
    plain_pickle = pickle.dumps({"G_ema": None, "D": [1, "x", {"a": (1.5, b"z")}], "training_set_kwargs": {"path": "x"}}, 4)
    files = (
        plain_pickle,
        pickle.dumps({"G_ema": torch.zeros(3)}),
        b"cos\nsystem\n(S'touch outside'\ntR.",
        b"\x80\x04\x95" + b"\xff" * 8,
    )

    @settings()
    @given(st.sampled_from(files), edits)
    def example(data, edited):
        folder = place()
        (folder / "file.pkl").write_bytes(mangled(data, edited))
        with strangers_file(folder, monkeypatch), suppress(Exception):
            unpickle.main(folder / "file.pkl", folder)

    example()


def test_numbers_of_the_command_line(place, monkeypatch):
    readers = (
        arguments.seeds,
        arguments.resolution,
        arguments.names,
        arguments.shard,
        lambda text: arguments.color("--matte", text),
        lambda text: arguments.fraction("--size", text),
        lambda text: arguments.named_number("--move", text),
        lambda text: arguments.class_shares(text, ("circles", "waves")),
    )

    @settings()
    @given(odd_texts | st.text(alphabet="0123456789-,.:x#=eE/ ", max_size=24) | st.text(max_size=30))
    def example(text):
        for read in readers:
            with strangers_file(place(), monkeypatch):
                read(text)

    example()


def test_requests_and_uploads_to_the_studio(place, monkeypatch, trained_model):
    """The application itself, without its server: the guard before it is tested in tests/integration/test_studio_http.py."""
    testclient = pytest.importorskip("starlette.testclient")
    from artgan.studio.app import build_app
    from artgan.studio.session import Session

    point = {"seed": 3, "truncation": 0.7, "moves": [["pca-1", 1.0]], "classes": [[1, 1.0]]}
    bodies = {
        "/api/render": {"model": 0, "points": [point]},
        "/api/export": {"model": 0, "point": point, "format": "png"},
        "/api/jobs": {"kind": "nothing", "model": 0, "keys": [point, point]},
    }
    with testclient.TestClient(build_app(Session([trained_model.folder], torch.device("cpu")))) as client:
        picture = (GOLDEN / "pictures" / "sample.png").read_bytes()

        @settings()
        @given(st.sampled_from(sorted(bodies)), changes, edits, odd_texts)
        def example(path, made, edited, text):
            with strangers_file(place(), monkeypatch):
                answers = [
                    client.post(path, content=plain(changed(bodies[path], made)), headers={"content-type": "application/json"}),
                    client.post("/api/uploads", content=mangled(picture, edited)),
                    client.get(f"/api/jobs/{hash(text) % 10**9}/file"),
                    client.get("/api/runs/7", params={"sheet": text.encode("utf-8", "replace").decode()}),
                ]
            assert all(answer.status_code < 500 or answer.status_code == 503 for answer in answers), [a.text for a in answers]
            assert all(len(answer.content) < 1 << 20 for answer in answers)

        example()
