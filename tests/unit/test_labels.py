"""Classes and lines of sources as people really have them: wrapped folders, splits, side files, odd tables, odd archives."""

import codecs
import io
import json
import os
import stat
import struct
import tarfile
import unicodedata
import zipfile
import zlib

import pytest

from artgan.datasets import folders
from artgan.datasets.collection import read_index
from artgan.datasets.labels import with_labels
from artgan.datasets.prepare import list_for, prepare
from artgan.datasets.recipe import Recipe
from artgan.datasets.sources import Reading, list_files
from artgan.errors import ConfigError, DataError
from artgan.side_files import side_file

LOOK = Recipe(32, 32, holdout=0)


def write_folder(path, content):
    for name, data in content.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def write_zip(path, content):
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return path


def classes_of(*sources, **options):
    listing = list_for(sources, sources[0].parent / "no such folder", **options)
    return {file.name: file.label for file in listing.files if file.fate is None}


def placed(names, drawn_files):
    """Give every name a picture of its own."""
    pictures = list(drawn_files.values())
    return {name: pictures[index] for index, name in enumerate(names)}


FOLDERS = {
    "wrapped": (["w/a/1.png", "w/b/2.png"], ["a", "b"]),
    "wrapped twice": (["x/w/a/1.png", "x/w/b/2.png"], ["a", "b"]),
    "deeper folders below a class": (["a/one/1.png", "a/two/2.png", "b/3.png"], ["a", "a", "b"]),
    "one folder for all": (["only/1.png", "only/2.png"], [None, None]),
    "splits above classes": (["train/a/1.png", "train/b/2.png", "Test/a/3.png"], ["a", "b", "a"]),
    "splits, wrapped on both sides": (["d/train/img/a/1.png", "d/val/img/b/2.png"], ["a", "b"]),
    "splits without classes": (["train/1.png", "test/2.png"], [None, None]),
    "one split": (["train/a/1.png", "train/b/2.png"], ["a", "b"]),
    "a folder called test among classes": (["test/1.png", "b/2.png"], ["test", "b"]),
    "a class that holds splits": (["a/train/1.png", "b/train/2.png"], ["a", "b"]),
    "one stray": (["w/a/1.png", "w/b/2.png", "w/3.png"], ["a", "b", None]),
}


@pytest.mark.parametrize("kind", ["folder", "zip", "archive in a folder"])
@pytest.mark.parametrize("case", FOLDERS)
def test_a_class_is_the_first_folder_in_which_pictures_differ(case, kind, drawn_files, tmp_path):
    names, labels = FOLDERS[case]
    content = placed(names, drawn_files) | {"README.md": b"# a card beside them", "__MACOSX/._1.png": b"\0\5\x16\7"}
    (tmp_path / "in").mkdir()
    if kind == "folder":
        source = write_folder(tmp_path / "in", content)
    else:
        source = write_zip(tmp_path / "in" / "art.zip", content)
        source = source if kind == "zip" else tmp_path / "in"
    found = {name.removeprefix("art.zip/"): label for name, label in classes_of(source).items()}
    assert [found[name] for name in names] == labels


def test_archives_within_a_folder_are_classes_by_their_names(drawn_files, tmp_path):
    (tmp_path / "in").mkdir()
    for number, name in enumerate(("Cubism.zip", "Fauvism.ZIP")):
        write_zip(tmp_path / "in" / name, {"1.png": list(drawn_files.values())[number]})
    assert classes_of(tmp_path / "in") == {"Cubism.zip/1.png": "Cubism", "Fauvism.ZIP/1.png": "Fauvism"}
    assert set(classes_of(tmp_path / "in" / "*")) == {"Cubism.zip/1.png", "Fauvism.ZIP/1.png"}


def test_several_sources_of_one_folder_each_keep_their_classes(drawn_files, tmp_path):
    sources = [write_zip(tmp_path / f"{name}.zip", placed([f"{name}/1.png"], drawn_files)) for name in ("a", "b")]
    assert classes_of(*sources) == {"a/1.png": "a", "b/1.png": "b"}
    assert classes_of(sources[0]) == {"a/1.png": None}
    assert classes_of(sources[0], reading=Reading(outermost=True)) == {"a/1.png": "a"}


def test_splits_and_strays_are_said(drawn_files, tmp_path):
    source = write_folder(tmp_path / "in", placed(["train/a/1.png", "val/b/2.png", "val/3.png"], drawn_files))
    summary = prepare([source], tmp_path / "out", LOOK)
    assert summary.classes == ()
    assert any("the folders train, val are taken for splits" in note for note in summary.notes)
    assert any("1 of 3 pictures have no label, the first: val/3.png" in note for note in summary.notes)
    assert prepare([source], tmp_path / "two", LOOK, unlabelled="drop").classes == ("a", "b")
    assert {line["name"]: line["status"] for line in read_index(tmp_path / "two")}["val/3.png"] == "dropped"
    assert prepare([source], tmp_path / "three", LOOK, unlabelled="class").classes == ("a", "b", "unlabelled")


def test_a_class_is_one_in_any_form_of_unicode(drawn_files, tmp_path):
    forms = [unicodedata.normalize(form, "Café") for form in ("NFC", "NFD")]
    source = write_zip(tmp_path / "a.zip", placed([f"{forms[0]}/1.png", f"{forms[1]}/2.png", "b/3.png"], drawn_files))
    assert set(classes_of(source).values()) == {forms[0], "b"}


SIDE_FILES = {
    ".DS_Store": b"\0\0\0\1Bud1",
    "Thumbs.db": b"\xd0\xcf\x11\xe0",
    "desktop.ini": b"[.ShellClassInfo]",
    "a/._1.png": b"\0\5\x16\7",
    "__MACOSX/a/._1.png": b"\0\5\x16\7",
    "@eaDir/1.png/THUMB.jpg": b"\xff\xd8\xff",
    "a/1.txt": b"a painting of the sea",
    "a/1.json": b"{}",
    "a/1.xmp": b"<x/>",
    "list.csv": b"a,b",
    "README.md": b"# Works",
    "LICENSE": b"Public domain",
    ".gitattributes": b"*.png filter=lfs",
    ".git/objects/ab/cdef": b"x",
    "a/.ipynb_checkpoints/1-checkpoint.png": b"\x89PNG",
    ".cache/huggingface/download/a/1.png.metadata": b"x",
}


def test_side_files_have_a_line_and_never_count_as_rejected(drawn_files, tmp_path):
    pictures = placed(["a/1.png", "b/2.png"], drawn_files)
    summary = prepare([write_folder(tmp_path / "in", pictures | SIDE_FILES)], tmp_path / "out", Recipe(32, 32, max_reject=0))
    fates = {line["name"]: line["status"] for line in read_index(tmp_path / "out")}
    assert fates == dict.fromkeys(pictures, "kept") | dict.fromkeys(SIDE_FILES, "passed over")
    assert (summary.passed_over.total(), summary.rejected.total(), summary.classes) == (len(SIDE_FILES), 0, ("a", "b"))


@pytest.mark.parametrize(
    "name", ["_1.png", "a.b.jpg", "ini", "thumbs.png", "macosx/1.png", "no suffix", "git/1.png", "license.png"]
)
def test_pictures_are_no_side_files(name):
    assert side_file(name) is None


def test_label_files_that_nobody_asked_for_are_not_read(drawn_files, tmp_path):
    source = write_folder(tmp_path / "in", placed(["a/1.png", "b/2.png"], drawn_files) | {"metadata.csv": b"\0broken"})
    summary = prepare([source], tmp_path / "out", LOOK, use_labels=False)
    assert (summary.count, summary.classes) == (2, ())
    assert {line["name"]: line["reason"] for line in read_index(tmp_path / "out")}["metadata.csv"] == "a label file, not read"


def test_only_pictures_need_a_label(drawn_files, tmp_path):
    table = b"file_name,label\n1.png,a\n2.png,b\n"
    beside = {"metadata.csv": table, "notes.docx": b"PK", "1.txt": b"caption", "._1.png": b"\0\5\x16\7", "film.mp4": b"\0"}
    source = write_folder(tmp_path / "in", placed(["1.png", "2.png"], drawn_files) | beside)
    assert prepare([source], tmp_path / "out", LOOK).classes == ("a", "b")


NAMES = {
    "decomposed": unicodedata.normalize("NFD", "müller/1.png"),
    "backslashes": "müller\\1.png",
    "dot": "./müller/1.png",
    "both": ".\\müller\\1.png",
}


@pytest.mark.parametrize("kind", NAMES)
def test_names_of_tables_and_files_compare_in_one_form(kind, drawn_files, tmp_path):
    table = json.dumps({"file_name": NAMES[kind], "label": "a"}) + "\n" + json.dumps({"file_name": "x/2.png", "label": "b"})
    for form in ("NFC", "NFD"):
        files = placed([unicodedata.normalize(form, "müller/1.png"), "x/2.png"], drawn_files)
        source = write_zip(tmp_path / f"{form}.zip", files | {"metadata.jsonl": table.encode()})
        assert list(classes_of(source).values()) == ["a", "b"]


TABLE = "file_name,label\n1.png,Malmö\n2.png,Århus\n"
ENCODED = {
    "utf-8": TABLE.encode(),
    "utf-8 with a mark": codecs.BOM_UTF8 + TABLE.encode(),
    "utf-16 with a mark": TABLE.encode("utf-16"),
    "utf-16-be with a mark": codecs.BOM_UTF16_BE + TABLE.encode("utf-16-be"),
    "utf-16 without": TABLE.encode("utf-16-le"),
    "utf-16-be without": TABLE.encode("utf-16-be"),
    "utf-32": TABLE.encode("utf-32"),
    "cp1252": TABLE.encode("cp1252"),
    "semicolons": TABLE.replace(",", ";").encode(),
    "spaces and quotes": b'"file_name", "label"\n"1.png", "Malm\xc3\xb6 "\n 2.png , \xc3\x85rhus\n',
    "line ends of old Macs": TABLE.replace("\n", "\r").encode(),
    "Excel's first line, capitals": b"sep=;\r\n" + TABLE.title().replace(".Png", ".png").replace(",", ";").encode(),
    "tabs and CRLF": TABLE.replace(",", "\t").replace("\n", "\r\n").encode(),
}


@pytest.mark.parametrize("kind", ENCODED)
def test_a_table_is_read_in_the_encodings_that_programs_write(kind, drawn_files, tmp_path):
    source = write_folder(tmp_path / "in", placed(["1.png", "2.png"], drawn_files) | {"metadata.csv": ENCODED[kind]})
    listing = list_for([source], tmp_path / "out")
    assert [file.label for file in listing.files if file.fate is None] == ["Malmö", "Århus"]
    assert any("was read as Windows-1252" in note for note in listing.notes) == (kind == "cp1252")


@pytest.mark.parametrize("data", [b"\x81\x8d" * 5000, b"x" * 200_000, ("a,é\n" * 999).encode("cp1252")])
def test_a_table_that_cannot_be_read_is_refused_in_a_few_words(data, drawn_files, tmp_path):
    source = write_folder(tmp_path / "in", placed(["1.png"], drawn_files) | {"labels.csv": data})
    with pytest.raises(DataError, match="cannot be read as a table of labels") as refused:
        with_labels(list_files([source]))
    assert len(str(refused.value).replace(str(tmp_path), "")) < 300


def test_a_dataset_json_is_json_wherever_it_lies(drawn_files, tmp_path):
    table = json.dumps({"labels": [["00000/1.png", 0], ["00000/2.png", 10]]}).encode()
    content = placed(["set/00000/1.png", "set/00000/2.png"], drawn_files) | {"set/dataset.json": table}
    assert list(classes_of(write_zip(tmp_path / "set.zip", content)).values()) == ["00", "10"]
    content["set/dataset.json"] = json.dumps({"labels": {"00000/1.png": 3, "00000/2.png": None}}).encode()
    assert list(classes_of(write_zip(tmp_path / "half.zip", content), unlabelled="drop").values()) == ["3"]
    content["set/dataset.json"] = b"[1, 2]"
    with pytest.raises(DataError, match=r"expected \{.labels.: "):
        classes_of(write_zip(tmp_path / "list.zip", content))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_list_of_paths_may_have_a_mark_or_be_utf_16(encoding, drawn_files, tmp_path):
    write_folder(tmp_path / "in", placed(["ä/1.png", "b/2.png"], drawn_files))
    (tmp_path / "list.txt").write_text("in/ä/1.png\nin/b/2.png\n", encoding=encoding)
    assert classes_of(tmp_path / "list.txt") == {"ä/1.png": "ä", "b/2.png": "b"}


def test_a_list_of_paths_may_be_of_another_system(drawn_files, tmp_path):
    write_folder(tmp_path / "in", placed([unicodedata.normalize("NFD", "ä/1.png"), "b/2.png"], drawn_files))
    (tmp_path / "list.txt").write_text("in\\ä\\1.png\r\n.\\in\\b\\2.png\r\n", encoding="utf-8")
    assert set(classes_of(tmp_path / "list.txt").values()) == {"ä", "b"}


def test_a_table_of_captions_gives_no_labels_and_says_so(drawn_files, tmp_path):
    captions = "\n".join(
        json.dumps({"file_name": name, "text": "the\u2028sea"}, ensure_ascii=False) for name in ("1.png", "2.png")
    )
    content = placed(["a/1.png", "b/2.png"], drawn_files) | {"metadata.jsonl": captions.encode()}
    source = write_folder(tmp_path / "in", content)
    assert set(classes_of(source).values()) == {"a", "b"}
    notes = list_for([source], tmp_path / "out").notes
    assert [note.split(" has ")[1] for note in notes] == ["no labels (label, class, style), and none are taken from it"]


def test_a_list_of_paths_may_hold_names_that_are_no_text(drawn_files, tmp_path):
    name = os.fsencode(tmp_path) + b"/\xe9.png"
    with open(name, "wb") as file:
        file.write(drawn_files["waves/0.png"])
    (tmp_path / "list.txt").write_bytes(b"\xe9.png\n")
    assert [file.read() for file in list_files([tmp_path / "list.txt"]).files] == [drawn_files["waves/0.png"]]


def zip_with_raw_names(path, content, extra=None):
    """Write a zip whose names are bytes that nothing explains, as older tools do."""
    stand_ins = {f"{index:04d}" + "~" * (len(raw) - 4): raw for index, raw in enumerate(content)}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in zip(stand_ins, content.values(), strict=True):
            info = zipfile.ZipInfo(name)
            info.extra = extra(stand_ins[name]) if extra else b""
            archive.writestr(info, data)
    data = path.read_bytes()
    for name, raw in stand_ins.items():
        data = data.replace(name.encode(), raw)
    path.write_bytes(data)
    return path


def test_names_of_zips_that_are_not_utf_8_are_said_and_can_be_named(drawn_files, tmp_path):
    names = ["写楽/1.png", "広重/2.png"]
    raw = {name.encode("cp932"): data for name, data in placed(names, drawn_files).items()}
    source = zip_with_raw_names(tmp_path / "a.zip", raw)
    listing = list_files([source])
    assert any("2 names are not UTF-8" in note and "--zip-encoding" in note for note in listing.notes)
    listing = list_files([source], Reading(zip_encoding="cp932"))
    assert sorted(file.name for file in listing.files) == sorted(names)
    assert listing.notes == []
    assert sorted(file.read() for file in listing.files) == sorted(raw.values())
    with pytest.raises(ConfigError, match="--zip-encoding nonsense"):
        list_files([source], Reading(zip_encoding="nonsense"))


def test_names_of_zips_that_are_utf_8_without_saying_so_are_read(drawn_files, tmp_path):
    names = ["żółć/1.png", "東京/2.png"]
    raw = {name.encode(): data for name, data in placed(names, drawn_files).items()}
    listing = list_files([zip_with_raw_names(tmp_path / "a.zip", raw)])
    assert (sorted(file.name for file in listing.files), listing.notes) == (sorted(names), [])
    beside = {name.encode("cp866", "replace"): data for name, data in placed(["Ёж/1.png", "Яр/2.png"], drawn_files).items()}

    def extra(raw_name):  # Info-ZIP's Unicode path: version, checksum of the plain name, the name in UTF-8
        value = b"\1" + struct.pack("<I", zlib.crc32(raw_name)) + raw_name.decode("cp866").encode()
        return struct.pack("<HH", 0x7075, len(value)) + value

    listing = list_files([zip_with_raw_names(tmp_path / "b.zip", beside, extra)])
    assert (sorted(file.name for file in listing.files), listing.notes) == (["Ёж/1.png", "Яр/2.png"], [])


def test_backslashes_in_a_zip_separate_and_lead_nowhere(drawn_files, tmp_path):
    names = [r"Monet\1.png", r"Degas\2.png", r"..\..\3.png", r"C:\4.png"]
    source = tmp_path / "a.zip"
    with zipfile.ZipFile(source, "w") as archive:
        for name, data in placed(names, drawn_files).items():
            info = zipfile.ZipInfo("x")
            info.filename = name
            archive.writestr(info, data)
    summary = prepare([source], tmp_path / "out", LOOK)
    lines = {line["name"]: line for line in read_index(tmp_path / "out")}
    assert {name: line["status"] for name, line in lines.items()} == {
        "Monet/1.png": "kept",
        "Degas/2.png": "kept",
        "../../3.png": "rejected",
        "C:/4.png": "rejected",
    }
    assert summary.rejected == {"its name leads out of the archive": 2}


def test_whatever_cannot_be_followed_or_read_has_a_line(drawn_files, tmp_path, monkeypatch):
    folder = write_folder(tmp_path / "in", placed(["1.png", "2.png", "closed/3.png"], drawn_files))
    write_folder(tmp_path / "elsewhere", placed(["4.png"], drawn_files))
    (folder / "dead.png").symlink_to(tmp_path / "gone.png")
    (folder / "linked").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(folder / "pipe.png")
    scandir = os.scandir

    def refusing(path):  # this may run as root, whom no mode keeps out
        if not isinstance(path, int) and os.path.basename(os.fspath(path)) == "closed":
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scandir(path)

    monkeypatch.setattr(folders.os, "scandir", refusing)
    (folder / "broken.zip").write_bytes(b"PK\3\4 and no more")
    (folder / "old.rar").write_bytes(b"Rar!\x1a\7")
    write_zip(folder / "outer.zip", {"inner.zip": b"PK", "5.png": drawn_files["waves/5.png"]})
    prepare([folder], tmp_path / "out", Recipe(32, 32, max_reject=1))
    fates = {line["name"]: (line["status"], line["reason"]) for line in read_index(tmp_path / "out")}
    expected = {
        "1.png": ("kept", ""),
        "2.png": ("kept", ""),
        "outer.zip/5.png": ("kept", ""),
        "outer.zip/inner.zip": ("rejected", "unpack it"),
        "closed": ("rejected", "a folder that cannot be read: Permission denied"),
        "dead.png": ("rejected", "leads nowhere"),
        "linked": ("passed over", "a link to a folder"),
        "pipe.png": ("passed over", "neither a file nor a folder"),
        "broken.zip": ("rejected", "is not a readable archive"),
        "old.rar": ("rejected", "RAR"),
    }
    assert set(fates) == set(expected)
    for name, (status, words) in expected.items():
        assert fates[name][0] == status
        assert words in (fates[name][1] or ""), name


def test_links_in_archives_have_a_line_each(drawn_files, tmp_path):
    path = tmp_path / "art.tar"
    with tarfile.open(path, "w") as archive:
        for index in (0, 1):
            info = tarfile.TarInfo(f"{index}.png")
            info.size = len(drawn_files[f"waves/{index}.png"])
            archive.addfile(info, io.BytesIO(drawn_files[f"waves/{index}.png"]))
        for name, kind in (("soft.png", tarfile.SYMTYPE), ("hard.png", tarfile.LNKTYPE)):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = kind, "0.png"
            archive.addfile(link)
    prepare([path], tmp_path / "out", Recipe(32, 32, max_reject=0))
    fates = {line["name"]: line["status"] for line in read_index(tmp_path / "out")}
    assert fates == {"0.png": "kept", "1.png": "kept", "soft.png": "passed over", "hard.png": "passed over"}
    info = zipfile.ZipInfo("link.png")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "art.zip", "w") as archive:
        archive.writestr(info, "0.png")
    assert list_files([tmp_path / "art.zip"]).files[0].fate.status == "passed over"


def test_the_result_is_no_part_of_its_source(drawn_files, tmp_path):
    """A collection within its source is left out, with all that a killed or failed run leaves beside it."""
    source = write_folder(tmp_path / "in", placed(["a/1.png", "b/2.png"], drawn_files))
    first = prepare([source], source / "out", LOOK)
    for name in (".out.building/images.npy", ".out.lock", ".replaced-out/contact_sheet.png", "out.rejected.jsonl"):
        write_folder(source, {name: b"left over"})
    files = list_for([source], source / "out").files
    assert [file.name for file in files] == ["a/1.png", "b/2.png"]
    assert first.count == 2
    assert "out/images.npy" in [file.name for file in list_for([source], tmp_path / "elsewhere").files]


def write_table(path, columns, features=None):
    pyarrow = pytest.importorskip("pyarrow", reason="needs the extra 'cloud'")
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra 'cloud'")
    table = pyarrow.table(columns)
    if features:
        content = {"info": {"features": {name: {"_type": kind} for name, kind in features.items()}}}
        table = table.replace_schema_metadata({b"huggingface": json.dumps(content).encode()})
    parquet.write_table(table, path)
    return path


def test_a_table_says_which_column_is_the_picture(drawn_files, tmp_path):
    pictures = list(drawn_files.values())[:2]
    columns = {"thumbnail": [b"small", b"small"], "image": [{"bytes": data, "path": "x.png"} for data in pictures]}
    called = write_table(tmp_path / "called.parquet", columns, {"thumbnail": "Value", "image": "Image"})
    assert [file.read() for file in list_files([called]).files] == pictures
    silent = write_table(tmp_path / "silent.parquet", columns)
    with pytest.raises(DataError, match="several columns may hold the pictures: thumbnail, image; say which: --picture-column"):
        list_files([silent])
    assert [file.read() for file in list_files([silent], Reading(picture_column="image")).files] == pictures
    with pytest.raises(DataError, match="no column 'photo' with pictures; those with bytes are thumbnail, image"):
        list_files([silent], Reading(picture_column="photo"))
