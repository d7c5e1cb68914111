"""Overview sheets: told from pictures by what they carry, whatever they are called and whoever has packed them again."""

import io
import struct
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image

from artgan.cli import main
from artgan.datasets.collection import read_index
from artgan.datasets.contact_sheet import write_contact_sheet
from artgan.datasets.prepare import prepare
from artgan.datasets.recipe import Recipe
from artgan.errors import StorageError
from artgan.evaluation.subjects import folder_subject
from artgan.images import save_png
from artgan.metadata import METADATA_KEY, read_metadata
from artgan.overview import encode_sheet, is_sheet, sample_sheet, sample_sheets, save_sheet
from artgan.training.disk import make_room

PIXELS = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
MARK = b'{"kind": "sheet", "of": "samples"}'


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_with(*extra: bytes, last: bool = False) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, "PNG")
    data, place = buffer.getvalue(), -12 if last else 33
    return data[:place] + b"".join(extra) + data[place:]


def test_a_sheet_is_marked_and_its_pixels_are_whole(tmp_path):
    save_sheet(tmp_path / "any name.png", PIXELS, "samples")
    assert is_sheet(tmp_path / "any name.png")
    assert is_sheet((tmp_path / "any name.png").read_bytes())
    assert read_metadata(tmp_path / "any name.png") == {"kind": "sheet", "of": "samples"}
    assert np.array_equal(np.asarray(Image.open(tmp_path / "any name.png")), PIXELS)


KEY = METADATA_KEY.encode()
KINDS = {
    "tEXt": chunk(b"tEXt", KEY + b"\0" + MARK),
    "zTXt": chunk(b"zTXt", KEY + b"\0\0" + zlib.compress(MARK)),
    "iTXt": chunk(b"iTXt", KEY + b"\0\0\0en\0\0" + MARK),
    "iTXt packed": chunk(b"iTXt", KEY + b"\0\1\0\0\0" + zlib.compress(MARK)),
}


@pytest.mark.parametrize("last", [False, True], ids=["before the pixels", "after them"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_mark_survives_tools_that_pack_a_png_again(kind, last):
    assert is_sheet(png_with(chunk(b"tEXt", b"Author\0somebody"), KINDS[kind], last=last))


def test_a_sheet_of_more_pixels_than_anything_decodes_is_told_all_the_same():
    data = bytearray(encode_sheet(PIXELS, "samples"))
    data[16:24] = struct.pack(">II", 100_000, 100_000)
    assert is_sheet(bytes(data))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x89PNG\r\n\x1a\n",
        encode_sheet(PIXELS, "samples")[:50],
        png_with(chunk(b"iTXt", KEY)),
        png_with(chunk(b"zTXt", KEY + b"\0\0not deflated")),
        png_with(chunk(b"tEXt", KEY + b'\0{"kind": "sample"}')),
        png_with(chunk(b"tEXt", KEY + b"\0[" * 9000)),
        png_with(chunk(b"tEXt", b"Comment\0" + MARK)),
        b"\xff\xd8\xff" + MARK,
    ],
)
def test_what_is_no_sheet_is_none(data):
    assert not is_sheet(data)


def test_samples_are_no_sheets_and_a_missing_file_is_none(tmp_path):
    save_png(tmp_path / "grid.png", PIXELS, {"kind": "sample", "seed": 1})
    assert not is_sheet(tmp_path / "grid.png")
    assert not is_sheet(tmp_path / "missing.png")


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "zip"])
def test_no_verb_takes_a_sheet_for_a_work(packed, drawn_files, collection, trained_model, tmp_path):
    """A folder that `sample` wrote: its pictures count, the sheet has its line; a user's own sheet.png is a work."""
    made = tmp_path / "made"
    with pytest.raises(SystemExit, match="0"):
        main(["--quiet", "sample", str(trained_model.folder), "--out", str(made), "--seeds", "0-3", "--mix", "7"])
    (made / "sheet.png").write_bytes(drawn_files["waves/0.png"])
    names = sorted(path.name for path in made.iterdir())
    assert "grid.png" in names
    source = made
    if packed:
        source = tmp_path / "made.zip"
        with zipfile.ZipFile(source, "w") as archive:
            for path in made.iterdir():
                archive.write(path, path.name)
    subject = folder_subject(collection, source, None)
    assert list(subject.names) == [name for name in names if name != "grid.png"]
    summary = prepare([source], tmp_path / "out", Recipe(32, 32, max_reject=0, duplicates="keep"))
    fates = {line["name"]: line["status"] for line in read_index(tmp_path / "out")}
    assert fates == {name: "passed over" if name == "grid.png" else "kept" for name in names}
    assert summary.passed_over.total() == 1


def test_a_contact_sheet_is_no_work(collection_folder, tmp_path):
    source = tmp_path / "in"
    source.mkdir()
    for name in ("a.png", "b.png", "c.png"):
        Image.fromarray(np.random.default_rng(ord(name[0])).integers(0, 256, (40, 40, 3), np.uint8)).save(source / name)
    (source / "contact.png").write_bytes((collection_folder / "contact_sheet.png").read_bytes())
    assert prepare([source], tmp_path / "out", Recipe(32, 32)).count == 3


def test_what_the_user_put_beside_a_runs_sheets_is_none_of_them_and_stays(tmp_path):
    for images_seen in (1000, 16, 2, 4):
        path = sample_sheet(tmp_path, images_seen)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(bytes(1000))
    for name in ("images-mine.png", "images-000000000008 copy.png", "images-000000000032.jpg"):
        (path.parent / name).write_bytes(b"mine")
    (path.parent / "images-000000000064.png").symlink_to(path)
    assert [images_seen for images_seen, _ in sample_sheets(tmp_path)] == [2, 4, 16, 1000]
    with pytest.raises(StorageError, match=r"max_disk_gb = 1e-06 leaves no room"):
        make_room(tmp_path, 1e-6, 500)
    stay = {"images-000000000002.png", "images-000000001000.png", "images-000000000064.png"}
    mine = {"images-mine.png", "images-000000000008 copy.png", "images-000000000032.jpg"}
    assert {file.name for file in path.parent.iterdir()} == stay | mine


def test_a_contact_sheet_shows_the_names_of_its_works(tmp_path):
    np.save(tmp_path / "images.npy", np.zeros((2, 8, 8, 3), np.uint8))

    def sheet(*names):
        rows = [{"row": row, "name": name, "label": None} for row, name in enumerate(names)]
        write_contact_sheet(tmp_path / "sheet.png", tmp_path / "images.npy", rows)
        return np.asarray(Image.open(tmp_path / "sheet.png"))

    named = sheet("monet/sea.jpg", "hay.jpg")
    assert named.shape[0] > named.shape[1] // 2  # a line below the two works
    assert np.array_equal(named, sheet("other/sea.jpg", "hay.jpg"))
    assert not np.array_equal(named, sheet("monet/sky.jpg", "hay.jpg"))
