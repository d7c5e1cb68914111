"""Nothing that is not ours is lost: where results may go, with and without --force, through links and other spellings."""

import json
import os
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from artgan import targets
from artgan.cli import main
from artgan.datasets.collection import open_collection
from artgan.datasets.export import export
from artgan.datasets.prepare import prepare
from artgan.datasets.recipe import Recipe
from artgan.errors import ArtganError, ConfigError
from artgan.overview import save_sheet

LOOK = Recipe(16, 16, holdout=0)


@pytest.fixture
def art(drawn_files, tmp_path):
    """A folder of pictures in two folders, with everything in it that prepare could delete."""
    folder = tmp_path / "home" / "art"
    for name, data in drawn_files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def snapshot(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def run(*words):
    with pytest.raises(SystemExit) as ended:
        main(["--quiet", *map(str, words)])
    return ended.value.code or 0


def linked(art, tmp_path):
    (tmp_path / "link").symlink_to(art)
    return tmp_path / "link"


def holder(art, tmp_path):
    (tmp_path / "link").symlink_to(art.parent)
    return tmp_path / "link"


TARGETS = {
    "the source": lambda art, _: art,
    "the source with dots": lambda art, _: art / "waves" / "..",
    "a link to the source": linked,
    "above the source": lambda art, _: art.parent,
    "a link above the source": holder,
    "within the source": lambda art, _: art / "waves",
}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("verb", ["prepare", "refine", "sample"])
def test_force_never_replaces_originals(verb, target, art, trained_model, tmp_path):
    out = TARGETS[target](art, tmp_path)
    before = snapshot(tmp_path)
    commands = {
        "prepare": ("prepare", art, "--out", out, "--resolution", "16", "--workers", "1", "--force"),
        "refine": ("refine", art / "waves", art / "circles", "--out", out, "--engine", "none", "--force"),
        "sample": ("sample", trained_model.folder, "--again", art / "waves" / "0.png", "--out", out, "--force"),
    }
    assert run(*commands[verb]) == 2
    assert snapshot(tmp_path) == before


def test_a_pattern_a_list_and_a_link_lead_to_originals_too(art, tmp_path):
    before = snapshot(art)
    (tmp_path / "list.txt").write_text(f"{art}/waves/0.png\n{art}/waves/1.png\n")
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "a.png").symlink_to(art / "waves" / "0.png")
    former = art.parent  # so like a former result that nothing but its contents speaks against it
    (former / "collection.json").write_text(json.dumps({"pixel_hash": "0"}))
    for source in (art / "waves" / "*.png", tmp_path / "list.txt", tmp_path / "links"):
        with pytest.raises(ConfigError, match=r"holds|is no part of"):
            prepare([source], former, LOOK, overwrite=True)
        with pytest.raises(ConfigError, match="holds"):
            targets.check_apart(former, [art / "waves" / "0.png"])
    assert snapshot(art) == before


@pytest.mark.parametrize("style", ["--style", "--palette", "--mask"])
def test_refine_never_writes_over_a_style_a_palette_or_a_mask(style, art, drawn_files, tmp_path):
    (tmp_path / "in.png").write_bytes(drawn_files["waves/0.png"])
    before = snapshot(tmp_path)
    for given, out in ((art / "waves", art / "waves"), (art / "waves" / "1.png", art / "waves"), (art / "waves", art)):
        assert run("refine", tmp_path / "in.png", style, given, "--out", out, "--engine", "none", "--force") == 2
    assert snapshot(tmp_path) == before


FOREIGN = {
    "pictures": {"a.png": b"picture"},
    "pictures and a file called as ours": {"collection.json": b"my notes", "images.npy": b"", "a.png": b"picture"},
    "a former result with something added": {"collection.json": b"{}", "notes.txt": b"mine", "export.json": b"{}"},
    "a folder of folders": {"a/b/c.jpg": b"picture"},
}


@pytest.mark.parametrize("foreign", FOREIGN)
@pytest.mark.parametrize("verb", ["prepare", "export", "sample", "directions", "demo", "refine", "import"])
def test_force_replaces_only_what_the_same_verb_made(verb, foreign, art, collection_folder, trained_model, tmp_path):
    out = tmp_path / "theirs"
    for name, data in FOREIGN[foreign].items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_bytes(data)
    before = snapshot(out)
    commands = {
        "prepare": ("prepare", art, "--resolution", "16", "--workers", "1"),
        "export": ("export", collection_folder),
        "sample": ("sample", trained_model.folder, "--seeds", "0"),
        "directions": ("directions", trained_model.folder, "--seeds", "0"),
        "demo": ("demo", "--minutes", "1"),
        "refine": ("refine", art / "waves", "--engine", "none"),
        "import": ("model", "import", art / "waves" / "0.png"),
    }
    assert run(*commands[verb], "--out", out, "--force") == 2
    assert snapshot(out) == before


def test_former_results_are_replaced(art, collection, trained_model, tmp_path):
    for _ in range(2):
        assert run("prepare", art, "--out", tmp_path / "c", "--resolution", "16", "--workers", "1", "--force") == 0
        (tmp_path / "c" / ".DS_Store").write_bytes(b"Finder was here")
        assert run("export", tmp_path / "c", "--out", tmp_path / "e", "--force") == 0
        assert run("export", tmp_path / "c", "--out", tmp_path / "e.zip", "--force") == 0
        assert run("sample", trained_model.folder, "--out", tmp_path / "s", "--seeds", "0-1", "--force") == 0
        assert run("refine", tmp_path / "s", "--out", tmp_path / "r", "--engine", "none", "--force") == 0
    assert len(open_collection(tmp_path / "c").images) == 12


def test_a_collection_within_its_source_is_made_anew(art):
    """The one target within a source that --force takes: a former collection, which is no part of the source."""
    before = snapshot(art)
    for _ in range(2):
        assert run("prepare", art, "--out", art / "prepared", "--resolution", "16", "--workers", "1", "--force") == 0
    assert {path: data for path, data in snapshot(art).items() if "prepared" not in path.parts} == before
    assert len(open_collection(art / "prepared").images) == 12


@pytest.mark.parametrize("place", ["", "inner", "inner/deeper", "x.zip"])
def test_an_export_never_touches_the_collection_it_is_from(own_collection, place):
    before = snapshot(own_collection)
    with pytest.raises(ArtganError, match=r"--out .*(is|lies within)|exists already"):
        export(open_collection(own_collection), own_collection / place, overwrite=bool(place))
    with pytest.raises(ConfigError, match=r"--out .*(is|holds|lies within)"):
        export(open_collection(own_collection), own_collection / place, overwrite=True)
    with pytest.raises(ConfigError, match="holds"):
        export(open_collection(own_collection), own_collection.parent, overwrite=True)
    assert snapshot(own_collection) == before


def test_a_file_never_replaces_a_folder_nor_a_folder_a_file(collection, art, tmp_path):
    shutil.copytree(art, tmp_path / "art.zip")
    (tmp_path / "file").write_text("mine")
    for out, words in ((tmp_path / "art.zip", "is a folder"), (tmp_path / "file", "is a file")):
        with pytest.raises(ConfigError, match=words):
            export(collection, out, overwrite=True)
    assert snapshot(tmp_path / "art.zip")
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("member", ["00000/img00000000.png", "painting.png", None])
def test_a_zip_of_somebody_elses_is_never_replaced(member, collection, tmp_path):
    """Whatever its members are called: the training tools of others name them so too."""
    archive = tmp_path / "art.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        if member:
            opened.writestr(member, b"picture")
    if member is None:
        archive.write_bytes(b"PK\3\4 and no more")
    before = archive.read_bytes()
    with pytest.raises(ConfigError, match="is no exported collection that artgan made"):
        export(collection, archive, overwrite=True)
    assert archive.read_bytes() == before


def test_samples_that_were_stopped_before_their_sheet_may_be_made_again(trained_model, tmp_path):
    assert run("sample", trained_model.folder, "--out", tmp_path / "s", "--seeds", "0-2", "--format", "jpeg") == 0
    os.remove(tmp_path / "s" / "grid.png")
    assert run("sample", trained_model.folder, "--out", tmp_path / "s", "--seeds", "0-2", "--force") == 0
    (tmp_path / "t").mkdir()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "t" / "grid.png")
    with pytest.raises(ConfigError, match="is no folder of samples"):
        targets.check_former(tmp_path / "t", targets.SAMPLES)
    save_sheet(tmp_path / "t" / "grid.png", np.zeros((8, 8, 3), np.uint8), "samples")
    targets.check_former(tmp_path / "t", targets.SAMPLES)


def test_what_a_sign_is_worth(tmp_path):
    for text, kind in (("[1]", targets.DIRECTIONS), ("{", targets.DIRECTIONS), ("no facts", targets.PAGE)):
        (tmp_path / kind.sign).parent.mkdir(exist_ok=True)
        (tmp_path / kind.sign).write_text(text)
        with pytest.raises(ConfigError, match="that artgan made"):
            targets.check_former(tmp_path, kind)
    (tmp_path / targets.DIRECTIONS.sign).write_text(json.dumps({"model_hash": "x"}))
    targets.check_former(tmp_path, targets.DIRECTIONS)


KINDS = [kind for kind in vars(targets).values() if isinstance(kind, targets.Kind)]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.sign.endswith(".json")], ids=lambda kind: kind.name)
def test_another_programs_file_of_the_same_name_is_no_sign(kind, tmp_path):
    (tmp_path / kind.sign).parent.mkdir(exist_ok=True)
    (tmp_path / kind.sign).write_text(json.dumps({"name": "an app", "version": 2}))
    with pytest.raises(ConfigError, match="that artgan made"):
        targets.check_former(tmp_path, kind)
    (tmp_path / kind.sign).write_text(json.dumps({kind.key: 1}))
    targets.check_former(tmp_path, replace(kind, whole=None))


def test_an_empty_out_is_not_the_folder_that_one_is_in(tmp_path, monkeypatch):
    """`--out "$OUT"` with OUT unset; --force there is no advice to give."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match="--out is empty, or the folder that you are in, which holds files: give a folder"):
        targets.output_folder(Path(""), False, targets.SAMPLES)
