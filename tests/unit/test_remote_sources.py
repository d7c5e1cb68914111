"""Sources behind URLs and in tables: real stores of fsspec, a real web server on this machine, real Parquet files."""

import functools
import http.server
import json
import threading
from pathlib import Path

import pytest

fsspec = pytest.importorskip("fsspec", reason="needs the extra 'cloud'")
pytest.importorskip("aiohttp", reason="needs the extra 'cloud'")
pyarrow = pytest.importorskip("pyarrow", reason="needs the extra 'cloud'")
parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra 'cloud'")

from artgan.datasets import remote  # noqa: E402
from artgan.datasets.collection import open_collection, read_index  # noqa: E402
from artgan.datasets.fates import PASSED_OVER  # noqa: E402
from artgan.datasets.labels import apply_label_files  # noqa: E402
from artgan.datasets.prepare import prepare  # noqa: E402
from artgan.datasets.recipe import Recipe  # noqa: E402
from artgan.datasets.rights import stated_rights  # noqa: E402
from artgan.datasets.sources import find_files  # noqa: E402
from artgan.errors import DataError, StorageError  # noqa: E402

LOOK = Recipe(32, 32, holdout=0.1)
STYLES = ["Ukiyo_e", "Fauvism"]


@pytest.fixture(scope="module")
def folder(drawn_files, tmp_path_factory):
    path = tmp_path_factory.mktemp("local") / "art"
    for name, data in drawn_files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


@pytest.fixture(scope="module")
def pixel_hash(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("prepared") / "out"
    prepare([folder], out, LOOK)
    return open_collection(out).pixel_hash


@pytest.fixture
def memory(drawn_files):
    system = fsspec.filesystem("memory")
    for name, data in drawn_files.items():
        system.pipe_file(f"/art/{name}", data)
    yield "memory://art"
    system.rm("/art", recursive=True)


@pytest.fixture
def online(monkeypatch):
    monkeypatch.delenv("ARTGAN_OFFLINE", raising=False)


@pytest.fixture(scope="module")
def web(folder):
    handler = functools.partial(_Quiet, directory=str(folder.parent))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/art/"
    server.shutdown()
    thread.join()
    server.server_close()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *values):
        pass


def test_a_store_gives_the_same_collection_as_a_folder(memory, pixel_hash, tmp_path):
    prepare([memory], tmp_path / "out", LOOK)
    assert open_collection(tmp_path / "out").pixel_hash == pixel_hash
    assert read_index(tmp_path / "out")[0]["source"] == "memory:///art/circles/0.png"


def test_a_web_folder_gives_the_same_collection_with_any_workers(online, web, pixel_hash, tmp_path):
    for workers in (1, 2):
        prepare([web], tmp_path / f"out{workers}", LOOK, workers=workers)
        assert open_collection(tmp_path / f"out{workers}").pixel_hash == pixel_hash


def test_a_pattern_and_a_single_file_behind_a_url(memory):
    assert [file.name for file in find_files([f"{memory}/circles/*.png"])] == [f"{index}.png" for index in range(6)]
    assert [file.name for file in find_files([f"{memory}/**/1.png"])] == ["circles/1.png", "waves/1.png"]
    assert [file.name for file in find_files([f"{memory}/waves/3.png"])] == ["3.png"]


def test_label_files_are_read_behind_a_url_too(memory):
    rows = "".join(json.dumps({"file_name": file.name, "label": "all"}) + "\n" for file in find_files([memory]))
    fsspec.filesystem("memory").pipe_file("/art/metadata.jsonl", rows.encode())
    assert {file.label for file in apply_label_files(find_files([memory]), "error")} == {"all"}


def test_a_file_that_vanishes_or_is_too_large_is_rejected_with_a_reason(memory, tmp_path, monkeypatch):
    files = find_files([memory])
    fsspec.filesystem("memory").rm("/art/waves/3.png")
    with pytest.raises(DataError, match="cannot be read: FileNotFoundError"):
        files[9].read()
    monkeypatch.setattr(remote, "MAX_FILE_BYTES", 100)
    with pytest.raises(DataError, match="larger than"):
        files[0].read()


@pytest.mark.parametrize("url", ["memory://nothing/here", "nosuch://place", "http://127.0.0.1:9/closed/"])
def test_a_url_that_leads_nowhere_is_named(online, url):
    with pytest.raises(DataError, match=r"source (memory|nosuch|http)://"):
        find_files([url])


def test_offline_forbids_the_network_but_not_what_is_here(web, memory, monkeypatch):
    monkeypatch.setenv("ARTGAN_OFFLINE", "1")
    assert len(find_files([memory])) == 12
    with pytest.raises(StorageError, match="--offline forbids"):
        find_files([web])


CARD = "---\nlicense: unknown\ntask_categories: [image-classification]\n---\n# Art\n"


def write_hub_layout(root, drawn_files, labels):
    """Write a data set as hubs lay it out: a card, and tables with pictures, names and coded labels."""
    (root / "data").mkdir(parents=True)
    (root / "README.md").write_text(CARD)
    features = {"image": {"_type": "Image"}, "style": {"names": STYLES, "_type": "ClassLabel"}, "artist": {"_type": "Value"}}
    metadata = {b"huggingface": json.dumps({"info": {"features": features}}).encode()}
    items = list(drawn_files.items())
    for shard in range(2):
        part = items[shard::2]
        columns = {
            "image": [{"bytes": data, "path": name.replace("/", "-")} for name, data in part],
            "artist": [f"artist {index % 3}" for index in range(len(part))],
            "style": labels[shard::2],
        }
        table = pyarrow.table(columns).replace_schema_metadata(metadata)
        parquet.write_table(table, root / "data" / f"train-{shard:05}-of-00002.parquet", row_group_size=4)
    return root


def test_a_data_set_as_hubs_lay_it_out(drawn_files, tmp_path):
    root = write_hub_layout(tmp_path / "wikiart", drawn_files, [0] * 6 + [1] * 6)
    for workers in (1, 2):
        summary = prepare([root], tmp_path / f"out{workers}", LOOK, workers=workers)
        assert summary.count == 12
        assert summary.classes == ("Fauvism", "Ukiyo_e")
        assert summary.rejected == {}
        assert "license 'unknown'" in summary.rights[0]
    collections = [open_collection(tmp_path / f"out{workers}") for workers in (1, 2)]
    assert collections[0].pixel_hash == collections[1].pixel_hash
    assert collections[0].rights == summary.rights
    index = read_index(tmp_path / "out1")
    assert [Path(line["name"]).name for line in index if line["status"] == PASSED_OVER] == ["README.md"]
    lines = [line for line in index if line["status"] == "kept"]
    for line in lines:
        manner, index = line["name"].removesuffix(".png").rpartition("/")[2].split("-")[1:]
        assert line["label"] == STYLES[manner == "waves"]
        assert line["bytes"] == len(drawn_files[f"{manner}/{index}.png"])


def test_another_column_of_a_table_and_a_store_give_labels_too(drawn_files, tmp_path):
    root = write_hub_layout(tmp_path / "art", drawn_files, [0] * 12)
    store = fsspec.filesystem("memory")
    store.put(str(root), "/hub", recursive=True)
    files = apply_label_files(find_files(["memory://hub/data"], "artist"), "error", "artist")
    assert {file.label for file in files} == {"artist 0", "artist 1", "artist 2"}
    assert sorted(file.read() for file in files) == sorted(drawn_files.values())
    store.rm("/hub", recursive=True)


def test_a_row_without_a_label_is_an_error_unless_told_otherwise(drawn_files, tmp_path):
    root = write_hub_layout(tmp_path / "art", drawn_files, [None, *[1] * 11])
    files = find_files([root / "data"])
    with pytest.raises(DataError, match=r"column 'style' of .*has no label for 1 file"):
        apply_label_files(files, "error")
    assert sum(file.dropped is not None for file in apply_label_files(files, "drop")) == 1
    summary = prepare([root / "data"], tmp_path / "out", LOOK, unlabelled="drop")
    assert (summary.count, summary.dropped) == (11, 1)
    assert [line["reason"] for line in read_index(tmp_path / "out") if line["status"] == "dropped"] == ["has no label"]


def test_a_table_without_pictures_or_a_broken_one_is_named(tmp_path):
    parquet.write_table(pyarrow.table({"text": ["a"]}), tmp_path / "words.parquet")
    with pytest.raises(DataError, match=r"words\.parquet: no column with pictures; its columns are text"):
        find_files([tmp_path / "words.parquet"])
    (tmp_path / "words.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(DataError, match="is not a readable Parquet table"):
        find_files([tmp_path / "words.parquet"])


@pytest.mark.parametrize(
    ("card", "wanted"),
    [
        (CARD, "license 'unknown'"),
        ("---\nlicense: [cc0-1.0, mit]\n---\n", "license 'cc0-1.0, mit'"),
        ("---\nlicense: other\nlicense_name: museum-terms\n---\n", "license 'museum-terms'"),
        ("---\n- a\n", "states no license"),
        ("---\n{[\n---\n", "states no license"),
        ("# Only words", "states no license"),
    ],
)
def test_what_a_card_says_about_rights_is_told(tmp_path, card, wanted):
    (tmp_path / "README.md").write_text(card)
    assert wanted in stated_rights([tmp_path])[0]


def test_a_folder_without_a_card_says_nothing(tmp_path):
    assert stated_rights([tmp_path, tmp_path / "missing", "*.png"]) == []
