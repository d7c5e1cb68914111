"""Sources: folders, patterns, lists, archives that may be hostile, and label files."""

import io
import json
import tarfile
import zipfile

import pytest

from artgan.datasets import archives
from artgan.datasets.collection import open_collection, read_index
from artgan.datasets.labels import apply_label_files
from artgan.datasets.prepare import prepare
from artgan.datasets.recipe import Recipe
from artgan.datasets.sources import find_files
from artgan.errors import DataError

LOOK = Recipe(32, 32, holdout=0.1)


def write_zip(path, content):
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return path


def write_tar(path, content, mode="w"):
    with tarfile.open(path, mode) as archive:
        for name, data in content.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def write_folder(path, content):
    for name, data in content.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def test_folder_zip_and_tar_make_the_same_collection(tmp_path, drawn_files):
    sources = [
        write_folder(tmp_path / "folder", drawn_files),
        write_zip(tmp_path / "art.zip", drawn_files),
        write_tar(tmp_path / "art.tar", drawn_files),
        write_tar(tmp_path / "art.tar.gz", {f"./{name}": data for name, data in drawn_files.items()}, "w:gz"),
    ]
    hashes = set()
    for number, source in enumerate(sources):
        out = tmp_path / f"out{number}"
        prepare([source], out, LOOK, workers=1 + number % 2)
        hashes.add(open_collection(out).pixel_hash)
        assert open_collection(out).classes == ("circles", "waves")
        assert [line["name"] for line in read_index(out)] == sorted(drawn_files)
    assert len(hashes) == 1


def test_patterns_and_lists_of_paths(tmp_path, drawn_files):
    folder = write_folder(tmp_path / "folder", drawn_files)
    assert [file.name for file in find_files([f"{folder}/waves/*.png"])] == [f"{index}.png" for index in range(6)]
    assert [file.name for file in find_files([f"{folder}/**/0.png"])] == ["circles/0.png", "waves/0.png"]
    (tmp_path / "some.txt").write_text("# two of them\nfolder/waves/1.png\n\nfolder/circles/2.png\n")
    listed = find_files([tmp_path / "some.txt"])
    assert [(file.path, file.label) for file in listed] == [
        (folder / "waves/1.png", "waves"),
        (folder / "circles/2.png", "circles"),
    ]
    (tmp_path / "some.txt").write_text("folder/waves/99.png\n")
    with pytest.raises(DataError, match=r"names 1 file\(s\) that do not exist, the first: .*99.png"):
        find_files([tmp_path / "some.txt"])
    with pytest.raises(DataError, match="no such file or folder matches"):
        find_files([f"{folder}/*.tif"])


def test_a_hostile_archive_loses_single_members_by_name(tmp_path, drawn_files):
    bomb = b"\0" * (64 << 20)
    path = tmp_path / "art.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in drawn_files.items():
            archive.writestr(name, data)
        archive.writestr("../../escape.png", drawn_files["waves/0.png"])
        archive.writestr("/absolute.png", drawn_files["waves/0.png"])
        archive.writestr("waves/bomb.png", bomb)
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo("circles/3.png")
        data[info.header_offset + 30 + len(info.filename) + info.compress_size // 2] ^= 0xFF
    path.write_bytes(data)
    prepare([path], tmp_path / "out", LOOK)
    reasons = {line["name"]: line["reason"] for line in read_index(tmp_path / "out") if line["status"] == "rejected"}
    assert set(reasons) == {"../../escape.png", "/absolute.png", "waves/bomb.png", "circles/3.png"}
    assert "leads out of the archive" in reasons["../../escape.png"]
    assert "unpacks to more than" in reasons["waves/bomb.png"]
    assert "damaged" in reasons["circles/3.png"]
    assert not (tmp_path.parent / "escape.png").exists()


def test_an_encrypted_member_and_a_broken_archive_are_named(tmp_path, drawn_files):
    path = write_zip(tmp_path / "art.zip", {"a.png": drawn_files["waves/0.png"]})
    data = bytearray(path.read_bytes())
    data[data.find(b"PK\x01\x02") + 8] |= 1  # the flag of encryption, in the directory
    path.write_bytes(data)
    with pytest.raises(DataError, match="encrypted in the archive"):
        archives.read_member(path, "a.png")
    (tmp_path / "broken.zip").write_bytes(b"PK junk")
    with pytest.raises(DataError, match=r"broken\.zip is not a readable archive"):
        find_files([tmp_path / "broken.zip"])
    (tmp_path / "broken.tar").write_bytes(b"junk" * 300)
    with pytest.raises(DataError, match=r"broken\.tar is not a readable archive"):
        find_files([tmp_path / "broken.tar"])


@pytest.mark.parametrize("kind", ["bz2", "xz"])  # whose blocks have checksums; that of gzip stands at its end
def test_a_compressed_tar_with_a_flipped_byte_is_named(kind, tmp_path, drawn_files):
    path = tmp_path / f"art.tar.{kind}"
    with tarfile.open(path, f"w:{kind}") as archive:
        for name, data in drawn_files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(DataError, match=rf"art\.tar\.{kind} is not a readable archive|damaged in the archive"):
        assert all(file.read() for file in find_files([path]))


def test_a_tar_link_out_of_the_archive_is_no_file(tmp_path, drawn_files):
    path = tmp_path / "art.tar"
    with tarfile.open(path, "w") as archive:
        link = tarfile.TarInfo("link.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        archive.addfile(link)
        info = tarfile.TarInfo("a.png")
        info.size = len(drawn_files["waves/0.png"])
        archive.addfile(info, io.BytesIO(drawn_files["waves/0.png"]))
    assert [file.name for file in find_files([path])] == ["a.png"]


TABLES = {
    "dataset.json": lambda names: json.dumps({"labels": [[name, index % 2] for index, name in enumerate(names)]}),
    "metadata.csv": lambda names: "file_name,label\n" + "".join(f"{name},{index % 2}\n" for index, name in enumerate(names)),
    "metadata.jsonl": lambda names: "\n".join(
        json.dumps({"file_name": name, "label": index % 2}) for index, name in enumerate(names)
    ),
}


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_label_files_win_over_folders(tmp_path, drawn_files, table, kind):
    content = drawn_files | {table: TABLES[table](sorted(drawn_files)).encode()}
    source = write_folder(tmp_path / "in", content) if kind == "folder" else write_zip(tmp_path / "in.zip", content)
    prepare([source], tmp_path / "out", LOOK)
    lines = read_index(tmp_path / "out")
    assert {line["name"]: line["label"] for line in lines if line["name"] != table} == {
        name: str(index % 2) for index, name in enumerate(sorted(drawn_files))
    }
    assert [line["status"] for line in lines if line["name"] == table] == ["passed over"]
    assert open_collection(tmp_path / "out").classes == ("0", "1")


def test_a_missing_label_is_an_error_that_names_the_file_unless_told_otherwise(tmp_path, drawn_files):
    named = sorted(drawn_files)[1:]
    content = drawn_files | {"metadata.csv": TABLES["metadata.csv"](named).encode()}
    files = find_files([write_folder(tmp_path / "in", content)])
    with pytest.raises(DataError, match=r"has no label for 1 file\(s\), the first: circles/0.png"):
        apply_label_files(files, "error")
    assert {file.name for file in apply_label_files(files, "drop") if file.dropped} == {"circles/0.png"}
    assert {file.label for file in apply_label_files(files, "class")} == {"0", "1", "unlabelled"}


@pytest.mark.parametrize(
    ("name", "text"),
    [("dataset.json", "{"), ("dataset.json", "[1]"), ("metadata.csv", "a,b\n1,2\n"), ("metadata.jsonl", "{]\n")],
)
def test_a_bad_label_file_is_named(tmp_path, drawn_files, name, text):
    files = find_files([write_folder(tmp_path / "in", drawn_files | {name: text.encode()})])
    with pytest.raises(DataError, match=f"{name} cannot be read as a table of labels"):
        apply_label_files(files, "error")


def test_each_split_of_an_image_folder_may_have_a_table_of_its_own(tmp_path, drawn_files):
    content = {}
    for split in ("train", "test"):
        content |= {f"{split}/{name}": data for name, data in drawn_files.items()}
        content[f"{split}/metadata.csv"] = ("file_name,label\n" + "".join(f"{name},{split}\n" for name in drawn_files)).encode()
    content["loose.png"] = next(iter(drawn_files.values()))
    files = apply_label_files(find_files([write_folder(tmp_path / "in", content)]), "error")
    assert {(file.name.split("/")[0], file.label) for file in files} == {
        ("train", "train"),
        ("test", "test"),
        ("loose.png", None),
    }
