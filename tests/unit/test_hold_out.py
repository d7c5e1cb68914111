"""The hold-out never tears apart what belongs together: films, stills from them, tiles, look-alikes."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from artgan.datasets.drop import drop
from artgan.datasets.hold_out import split
from artgan.generation.video import encode_video
from tests.integration.test_cli import artgan

RESOLUTION = ("--resolution", 32, "--workers", 1)


def line(source: str, group: str | None = None, status: str = "kept"):
    """A line of the index as far as the hold-out reads it."""
    digest = f"{hash_of(source):016x}"
    return {"source": source, "status": status, "pixels_sha256": digest} | ({"group": group} if group else {})


def hash_of(text: str) -> int:
    return int(np.random.default_rng(list(text.encode())).integers(1 << 62))


def sides(lines, key):
    found = {}
    for each in lines:
        if each["status"] == "kept":
            found.setdefault(key(each), set()).add(each["split"])
    return found


def film_name(each):
    return each["source"].rpartition("!")[0] or each["source"]


@pytest.mark.parametrize("share", [0.05, 0.3, 0.9])
def test_films_stand_on_one_side_and_works_and_films_give_their_share_each(share):
    lines = [line(f"/films/{film}.mkv!{512 * place}") for film in range(20) for place in range(10)]
    lines += [line(f"/stills/{place}.png") for place in range(100)]
    assert split(lines, share) == []
    assert all(len(found) == 1 for found in sides(lines, film_name).values())
    held = [each["source"] for each in lines if each["split"] == "holdout"]
    assert sum(".mkv" in source for source in held) == 200 * share // 10 * 10
    assert sum(".png" in source for source in held) == 100 * share


def test_no_order_changes_the_hold_out():
    lines = [line(f"/films/{film}.mp4!{place}") for film in range(8) for place in range(film + 1)]
    split(lines, 0.3)
    expected = {each["source"]: each["split"] for each in lines}
    assert set(expected.values()) == {"train", "holdout"}
    split(lines[::-1], 0.3)
    assert {each["source"]: each["split"] for each in lines} == expected


def test_a_still_is_on_the_side_of_its_film_even_where_it_stands_in_for_the_frame():
    """The still was kept, the frame like it was not; the others of its film are what training would see of it."""
    films = [line(f"/films/{film}.mp4!{place}") for film in range(6) for place in range(1, 11)]
    stills = [line(f"/stills/{film}.png", group=f"/films/{film}.mp4!0") for film in range(6)]
    frames = [line(f"/films/{film}.mp4!0", group=f"/films/{film}.mp4!0", status="duplicate") for film in range(6)]
    lines = [*films, *stills, *frames]
    split(lines, 0.5)
    found = sides(lines, lambda each: film_name(each).rsplit("/", 1)[1].split(".")[0])
    assert all(len(one) == 1 for one in found.values())
    assert set.union(*found.values()) == {"train", "holdout"}
    assert all("split" not in each for each in frames)


def test_what_cannot_be_held_out_is_said_with_the_way_out():
    alone = [line(f"a.mp4!{place}") for place in range(50)]
    (said,) = split(alone, 0.2)
    assert said.startswith("none of the 50 frames is held out: they are of one film")
    assert {each["split"] for each in alone} == {"train"}
    several = [line(f"{name}.mp4!{place}") for name, count in (("a", 50), ("b", 33), ("c", 17)) for place in range(count)]
    (said,) = split(several, 0.05)
    assert said.endswith("the smallest of 3 films has 17 of 100 frames; --holdout 0.17 holds a film out")
    assert split(several, 0.17) == []
    assert {each["source"][0] for each in several if each["split"] == "holdout"} == {"c"}
    assert split(alone, 0) == []


def test_names_that_only_look_like_frames_are_works():
    lines = [line(f"/a/scan.zip!plates/{place}.png") for place in range(20)]
    lines += [line(f"/a/table.parquet!{place}") for place in range(20)]
    assert split(lines, 0.25) == []
    assert sum(each["split"] == "holdout" for each in lines) == 10


def blocks(seed: int) -> np.ndarray:
    """A picture, uint8 `[48, 48, 3]`, unlike that of any other seed."""
    return np.kron(np.random.default_rng(seed).integers(0, 256, (6, 6, 3)), np.ones((8, 8, 1))).astype(np.uint8)


def gif(*seeds: int) -> bytes:
    buffer = io.BytesIO()
    first, *others = [Image.fromarray(blocks(seed)) for seed in seeds]
    first.save(buffer, "GIF", save_all=True, append_images=others, duration=100)
    return buffer.getvalue()


@pytest.fixture
def mixed(tmp_path):
    """Four films that all fade from black, an animated picture, stills, and one still that is a frame of the first film."""
    pytest.importorskip("av")
    folder = tmp_path / "sources"
    folder.mkdir()
    for film in range(4):
        frames = [np.zeros((48, 48, 3), np.uint8), *(blocks(100 * film + place // 2) for place in range(2, 16))]
        (folder / f"film{film}.mp4").write_bytes(encode_video(frames, "mp4", 25))
    (folder / "moving.gif").write_bytes(gif(900, 901, 902))
    Image.fromarray(np.kron(blocks(3), np.ones((2, 2, 1), np.uint8))).save(folder / "poster.png")
    for still in range(8):
        Image.fromarray(blocks(500 + still)).save(folder / f"still{still}.png")
    return folder


def index(folder):
    return [json.loads(text) for text in (folder / "index.jsonl").read_text().splitlines()]


def test_real_films_with_stills_prepared_resumed_and_dropped_from(mixed, tmp_path, capsys, monkeypatch):
    from artgan.datasets import prepare as preparing

    command = ["prepare", mixed, "--every", 2, "--holdout", 0.3, *RESOLUTION, "--out"]
    assert artgan(*command, tmp_path / "whole") == 0
    lines = index(tmp_path / "whole")
    kept = [each for each in lines if each["status"] == "kept"]
    of_film = {name: each for name, each in sides(lines, film_name).items() if name.endswith(".mp4")}
    assert len(of_film) == 4
    assert sorted(map(len, of_film.values())) == [1, 1, 1, 1]
    assert sorted(next(iter(each)) for each in of_film.values()) == ["holdout", "train", "train", "train"]  # black joins none
    (poster,) = (each for each in kept if each["name"] == "poster.png")
    assert {poster["split"]} == of_film[str(mixed / "film0.mp4")]
    assert sum(each["name"] == "moving.gif" for each in lines) == 1  # its first frame
    assert sum(each["split"] == "holdout" for each in kept if each["name"][:5] in ("still", "movin")) == 3

    original, seen = preparing._prepare_file, []

    def stopped(file, **look):
        seen.append(file)
        if len(seen) == 14:
            raise KeyboardInterrupt
        return original(file, **look)

    monkeypatch.setattr(preparing, "_prepare_file", stopped)
    assert artgan(*command, tmp_path / "resumed") == 130
    monkeypatch.setattr(preparing, "_prepare_file", original)
    assert artgan(*command, tmp_path / "resumed") == 0
    assert (tmp_path / "resumed" / "index.jsonl").read_bytes() == (tmp_path / "whole" / "index.jsonl").read_bytes()

    drop(tmp_path / "whole", ["poster.png", "film1.mp4-*"])
    before = {each["name"]: each["split"] for each in kept}
    assert all(each["split"] == before[each["name"]] for each in index(tmp_path / "whole") if each["status"] == "kept")
    capsys.readouterr()
    assert artgan("prepare", mixed / "film2.mp4", "--every", 2, "--tiles", 2, *RESOLUTION, "--out", tmp_path / "one") == 0
    assert "(0 held out)" in (said := capsys.readouterr().out)
    assert "frames is held out: they are of one film" in said
