"""Films through a look: every frame, its time, loop, sound and opacity; flicker measured and bounded; stops cost nothing."""

import io
import json
import re
import struct
import wave
import zlib
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence

from artgan.cli import main
from artgan.datasets.synthetic import draw_work
from artgan.errors import ConfigError
from artgan.generation.soundtrack import with_sound
from artgan.generation.video import encode_video
from artgan.refine.files import WORK_FOLDER
from artgan.refine.in_memory import Series, refine
from artgan.refine.materials import Materials
from artgan.refine.recipe import make_recipe
from artgan.refine.style_card import source_of_picture
from artgan.refined_film.frames import is_moving
from artgan.refined_film.run import refine_films

CPU = torch.device("cpu")
GRADE = make_recipe(style__engine="none", color__saturation=0.5)
STYLE = {
    "style__backbone": "random",
    "style__style_layers": ["stage1"],
    "style__content_layers": ["stage1"],
}


def frames(count, side=36):
    base = np.asarray(draw_work("landscapes", 3, 1, side_px=side))
    return [np.roll(base, place, axis=1) for place in range(count)]


def saved(path, pictures, **options):
    first, *rest = [Image.fromarray(pixels) for pixels in pictures]
    first.save(path, save_all=True, append_images=rest, **options)
    return path


def refined(path, tmp_path, look=GRADE, materials=None):
    (tmp_path / "out").mkdir(exist_ok=True)
    (film,), _ = refine_films([path], tmp_path / "out", look, materials or Materials(), CPU)
    return film


@pytest.mark.parametrize(("suffix", "options"), [("gif", {"loop": 3}), ("webp", {"loop": 3, "lossless": True})])
def test_every_frame_is_refined_and_keeps_its_time(tmp_path, suffix, options):
    path = saved(tmp_path / f"a.{suffix}", frames(3), duration=[40, 120, 200], **options)
    assert is_moving(path)
    film = refined(path, tmp_path)
    assert (film.target.name, film.frames, film.from_last) == (f"a.{suffix}", 3, False)
    with Image.open(film.target) as image, Image.open(path) as source:
        assert image.n_frames == 3
        assert image.info["loop"] == source.info["loop"] == 3
        times, shown = [], []
        for frame in ImageSequence.Iterator(image):
            shown.append(np.asarray(frame.convert("RGB")))
            times.append(frame.info["duration"])
    assert times == [40, 120, 200]
    assert all(np.abs(one.astype(int) - other).mean() > 1 for one, other in zip(shown, frames(3), strict=True))
    assert film.flicker_before > 1
    assert film.flicker_after > 1


def test_transparent_frames_stay_transparent(tmp_path):
    alpha = np.zeros((36, 36), np.uint8)
    alpha[9:27] = 255
    path = saved(tmp_path / "a.webp", [np.dstack([pixels, alpha]) for pixels in frames(2)], lossless=True, exact=True)
    with Image.open(refined(path, tmp_path).target) as image:
        assert [np.array_equal(np.asarray(frame)[..., 3], alpha) for frame in ImageSequence.Iterator(image)] == [True] * 2


def test_transparent_frames_of_a_gif_stay_transparent(tmp_path):
    """What is clear in a frame is clear in the result, black stays black, and no frame shows the one before."""
    alphas = []
    for place in range(3):
        alpha = np.zeros((36, 36), np.uint8)
        alpha[4 + 8 * place : 16 + 8 * place, 4:32] = 255
        alphas.append(alpha)
    pictures = [np.dstack([pixels, alpha]) for pixels, alpha in zip(frames(3), alphas, strict=True)]
    pictures[2][24:28, 8:12, :3] = 0
    path = saved(tmp_path / "a.gif", pictures, duration=[50, 60, 70], disposal=2)
    film = refined(path, tmp_path, make_recipe(style__engine="none", color__saturation=0.1))
    assert film.lost == ()
    with Image.open(film.target) as image:
        shown = [np.asarray(frame.convert("RGBA")) for frame in ImageSequence.Iterator(image)]
    assert [np.array_equal(frame[..., 3], alpha) for frame, alpha in zip(shown, alphas, strict=True)] == [True] * 3
    assert shown[2][24:28, 8:12, :3].max() < 8


def test_the_picture_beside_an_animation_is_no_frame_and_thirds_of_a_tick_add_up(tmp_path):
    """A PNG may show a picture of its own where it cannot move; 24 frames a second are 125 ms in three frames."""
    path = saved(tmp_path / "a.png", frames(4), default_image=True, duration=[40, 40, 40])
    data = path.read_bytes()
    for start in [found.start() for found in re.finditer(b"fcTL", data)]:
        chunk = data[start : start + 24] + struct.pack(">HH", 1, 24) + data[start + 28 : start + 30]
        data = data[:start] + chunk + struct.pack(">I", zlib.crc32(chunk)) + data[start + 34 :]
    path.write_bytes(data)
    with Image.open(refined(path, tmp_path).target) as image:
        times = [frame.load() and frame.info["duration"] for frame in ImageSequence.Iterator(image)]
    assert len(times) == 3
    assert sum(times) == 125
    (tmp_path / "out" / "a.webp").unlink()
    (tmp_path / "out" / "a.webp").mkdir()
    with pytest.raises(ConfigError, match=r"a\.webp is a folder"):
        refined(path, tmp_path)


def test_frames_that_stay_for_different_times_do_so(tmp_path):
    """A film of a varying frame rate: each frame is shown when it was, to the unit of the film's own clock."""
    av = pytest.importorskip("av")
    shown = [0, 400, 500, 1100, 1200, 2400]
    for suffix in ("mp4", "webm"):
        path = tmp_path / f"a.{suffix}"
        path.write_bytes(encode_video(frames(6), suffix, 2.5, stamps=(shown, Fraction(1, 1000))))
        with av.open(str(refined(path, tmp_path).target)) as container:
            times = [frame.pts * frame.time_base for frame in container.decode(video=0)]
        assert times == [Fraction(stamp, 1000) for stamp in shown]


def test_films_of_a_folder_are_in_the_report_with_their_flicker(tmp_path, capsys):
    """A folder with a picture, two films and a broken one: all that can be done is, and refine.json has a line for each."""
    pytest.importorskip("av")
    (tmp_path / "in").mkdir()
    Image.fromarray(frames(1)[0]).save(tmp_path / "in" / "still.png")
    moving = saved(tmp_path / "in" / "a.webp", frames(3), lossless=True)
    (tmp_path / "in" / "b.mp4").write_bytes(encode_video(frames(2, side=40), "mp4", 24))
    (tmp_path / "in" / "c.mp4").write_bytes(b"no film at all")
    out = tmp_path / "out"
    with pytest.raises(SystemExit) as stop:
        main(["refine", str(tmp_path / "in"), "--engine", "none", "--saturation", "0.5", "--size", "37", "--out", str(out)])
    assert stop.value.code == 3
    made = {path.name for path in out.iterdir()}
    assert made == {"a.webp", "b.mp4", "refine.json", "sheet.png", "still.png", WORK_FOLDER}  # kept for the one that failed
    report = json.loads((out / "refine.json").read_text())
    assert [line["file"] for line in report["pictures"]] == ["still.png"]
    assert [(line["source"], line["frames"], line["from_last"]) for line in report["films"]] == [
        ("a.webp", 3, False),
        ("b.mp4", 2, False),
    ]
    with Image.open(out / "a.webp") as image:
        results = [np.asarray(frame.convert("RGB"), np.float32) for frame in ImageSequence.Iterator(image)]
    assert report["films"][0]["flicker_after"] == pytest.approx(mean_change(results), abs=1e-3)
    assert report["films"][0]["flicker_before"] == pytest.approx(mean_change(frames(3)), rel=0.2)  # brought to 37 px
    assert list(report["failed"]) == ["c.mp4"]
    sentence = "has an odd side, whose last row or column films of this format cannot hold"
    assert report["lost"] == {sentence: ["b.mp4"]}
    told = capsys.readouterr()
    assert f"1 of 1 pictures and 2 films: the source {sentence} (b.mp4)" in told.out + told.err
    assert moving.exists()


def test_what_a_film_cannot_have_is_refused_before_the_work(tmp_path, capsys):
    path = saved(tmp_path / "a.gif", frames(2))
    words = ["refine", str(path), "--engine", "none", "--color", "match", "--palette", "#803010,#204080"]
    for more, text in (
        (["--shard", "1/2"], "--shard divides pictures, and there are films among the inputs"),
        (["--cube", str(tmp_path / "a.cube")], "is of a series of pictures, and the inputs are films"),
    ):
        with pytest.raises(SystemExit) as stop:
            main([*words, *more, "--out", str(tmp_path / "out")])
        assert stop.value.code == 2
        assert text in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def mean_change(pictures):
    changes = [np.abs(one.astype(np.float32) - other).mean() for one, other in pairwise(pictures)]
    return float(np.mean(changes))


def test_a_still_picture_is_no_film(tmp_path):
    Image.fromarray(frames(1)[0]).save(tmp_path / "a.gif")
    (tmp_path / "b.png").write_text("no picture")
    assert [is_moving(tmp_path / name) for name in ("a.gif", "b.png")] == [False, False]
    assert is_moving(tmp_path / "c.mp4")


def test_sound_rate_and_length_of_a_film_are_kept(tmp_path):
    av = pytest.importorskip("av")
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as sound:
        sound.setparams((1, 2, 48_000, 0, "NONE", ""))
        sound.writeframes((3000 * np.sin(np.arange(24_000) / 10)).astype("<i2").tobytes())
    (tmp_path / "a.wav").write_bytes(buffer.getvalue())
    (tmp_path / "a.mp4").write_bytes(with_sound(encode_video(frames(12), "mp4", 24), "mp4", tmp_path / "a.wav", 0.5)[0])
    film = refined(tmp_path / "a.mp4", tmp_path)
    with av.open(str(film.target)) as container:
        assert len(container.streams.audio) == 1
        assert float(container.streams.video[0].average_rate) == 24
        assert sum(1 for _ in container.decode(video=0)) == film.frames == 12


def test_frames_start_from_the_last_ones_result_where_that_flickers_less(tmp_path, monkeypatch):
    """With ten steps a chain of results flickers less from its third frame on; with three it flickers more and is not taken."""
    pictures, style = frames(5), np.asarray(draw_work("waves", 1, 1, side_px=36))
    look = make_recipe(**STYLE | {"style__iterations": 10})
    path = saved(tmp_path / "a.webp", pictures, lossless=True)
    materials = Materials([source_of_picture("style", style)], [1.0])
    film = refined(path, tmp_path, look, materials)
    alone = refine(Series(pictures, [path.stem] * 5, style, []), look, CPU)
    assert film.flicker_before == pytest.approx(mean_change(pictures), abs=1e-3)
    assert film.from_last
    assert film.flicker_after < 0.9 * mean_change(alone)
    again = film.target.read_bytes()
    calls = []
    monkeypatch.setattr("artgan.refine.stylist.Stylist.__call__", lambda *words, **options: calls.append(1))
    assert refined(path, tmp_path, look, materials).target.read_bytes() == again  # all of it was kept
    assert calls == []
    monkeypatch.undo()
    assert not refined(path, tmp_path, make_recipe(**STYLE | {"style__iterations": 3}), materials).from_last
    assert WORK_FOLDER in {item.name for item in (tmp_path / "out").iterdir()}
