"""Files as people have them: odd names, odd containers, odd shapes; every one of them gets a line."""

import io
import os

import numpy as np
import pytest
from PIL import Image

from artgan.datasets.collection import open_collection, read_index
from artgan.datasets.prepare import prepare
from artgan.datasets.recipe import FITS, Recipe
from artgan.datasets.synthetic import draw_work


def encoded(image: Image.Image, file_format: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=file_format, **options)
    return buffer.getvalue()


def work(index: int) -> Image.Image:
    return draw_work("circles", 7, index)


@pytest.mark.parametrize(
    "name", ["żółć 東京 🎨.PNG", "with space .jpg", "UPPER.JPEG", "no suffix", "a" * 200 + ".png", "-flag.png"]
)
def test_any_name_is_carried_as_it_is(name, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / name).write_bytes(encoded(work(0), "PNG"))
    (folder / "other.webp").write_bytes(encoded(work(1), "WEBP"))
    prepare([folder], tmp_path / "out", Recipe(32, 32))
    assert sorted(line["name"] for line in read_index(tmp_path / "out")) == sorted([name, "other.webp"])
    assert len(open_collection(tmp_path / "out").images) == 2


@pytest.mark.skipif(os.name == "nt", reason="such names exist on POSIX only")
def test_a_name_that_is_no_text_is_carried_too(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    os.mkdir(os.fsencode(folder) + b"/\xe9t\xe9")
    os.mkdir(os.fsencode(folder) + b"/\xe9")
    for index, name in enumerate((b"\xe9/two\nlines.png", b"\xe9t\xe9/caf\xe9.png")):
        with open(os.fsencode(folder) + b"/" + name, "wb") as file:
            file.write(encoded(work(index), "PNG"))
    assert prepare([folder], tmp_path / "out", Recipe(32, 32)).classes == (r"\xe9", r"\xe9t\xe9")
    assert [line["name"] for line in read_index(tmp_path / "out")] == ["\\xe9/two\nlines.png", r"\xe9t\xe9/caf\xe9.png"]
    assert len(open_collection(tmp_path / "out").images) == 2


ANIMATIONS = {
    "gif": ("GIF", {}),
    "webp": ("WEBP", {"lossless": True}),
    "apng": ("PNG", {}),
    "mpo": ("MPO", {"quality": 95}),
    "tiff": ("TIFF", {}),
}


@pytest.mark.parametrize("kind", ANIMATIONS)
def test_the_first_of_several_frames_is_taken_and_noted(kind, tmp_path):
    file_format, options = ANIMATIONS[kind]
    folder = tmp_path / "in"
    folder.mkdir()
    frames = [work(index) for index in range(3)]
    data = encoded(frames[0], file_format, save_all=True, append_images=frames[1:], **options)
    (folder / f"moving.{kind}").write_bytes(data)
    (folder / "still.png").write_bytes(encoded(work(9), "PNG"))
    prepare([folder], tmp_path / "out", Recipe(64, 64))
    line = next(line for line in read_index(tmp_path / "out") if line["name"].startswith("moving"))
    assert line["status"] == "kept"
    assert "first of 3 frames" in line["notes"]
    images = open_collection(tmp_path / "out").images.astype(int)
    difference = [np.abs(images[line["row"]] - np.asarray(frame.resize((64, 64), 1)).astype(int)).mean() for frame in frames]
    assert difference[0] == min(difference)
    assert difference[0] < 12


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("size", [(1, 4000), (4000, 1), (1, 1)])
def test_strips_and_single_pixels(fit, size, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    Image.new("RGB", size, (200, 10, 10)).save(folder / "strip.png")
    for index in range(2):
        work(index).save(folder / f"{index}.png")
    prepare([folder], tmp_path / "kept", Recipe(32, 48, fit=fit))
    assert {line["status"] for line in read_index(tmp_path / "kept")} == {"kept"}
    prepare([folder], tmp_path / "small", Recipe(32, 48, fit=fit, min_side_px=16))
    reasons = {line["name"]: line["reason"] for line in read_index(tmp_path / "small")}
    assert reasons["strip.png"] == "too small: the short side is under 16 px"


def test_tiles_of_one_work_stay_together_and_are_no_twins_of_each_other(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for index in range(12):
        work(index).save(folder / f"{index:02}.png")
    Image.new("RGB", (256, 256), "teal").save(folder / "plain.png")  # its tiles have equal pixels
    work(3).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(folder / "mirrored.png")
    summary = prepare([folder], tmp_path / "out", Recipe(64, 64, tiles=2, holdout=0.3))
    lines = read_index(tmp_path / "out")
    assert summary.count == 13 * 4
    assert summary.duplicates == 1
    assert [line["row"] for line in lines if line["status"] == "kept"] == list(range(52))
    splits = {}
    for line in lines:
        splits.setdefault(line["group"], set()).add(line.get("split"))
    assert all(len(found - {None}) == 1 for found in splits.values())
    assert summary.holdout == 16  # of 52, the most that whole works reach within 30 %
    pixels = np.asarray(work(0))
    images = open_collection(tmp_path / "out").images
    rows = [line for line in lines if line["name"] == "00.png"]
    assert [line["tile"] for line in rows] == [[0, 4], [1, 4], [2, 4], [3, 4]]
    whole = np.concatenate([np.concatenate(list(images[[r["row"] for r in rows[k : k + 2]]]), 1) for k in (0, 2)]).astype(int)
    assert np.abs(whole - np.asarray(Image.fromarray(pixels).resize((128, 128), 1)).astype(int)).mean() < 1
