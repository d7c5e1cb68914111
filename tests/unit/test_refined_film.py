"""Films through a look: every frame, its time, loop, sound and opacity; flicker measured and bounded; stops cost nothing."""

import io
import wave

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence

from artgan import refined_film
from artgan.datasets.synthetic import draw_work
from artgan.generation.sound import with_sound
from artgan.generation.video import encode_video
from artgan.refine.materials import Materials
from artgan.refine.recipe import make_recipe
from artgan.refine.style_card import source_of_picture
from artgan.refined_film import is_moving, refine_films

CPU = torch.device("cpu")
GRADE = make_recipe(style__engine="none", color__saturation=0.5)
STYLE = make_recipe(
    style__backbone="random",
    style__style_layers=["stage1"],
    style__content_layers=["stage1"],
    style__iterations=3,
)


def frames(count, side=36):
    base = np.asarray(draw_work("landscapes", 3, 1, side_px=side))
    return [np.roll(base, place, axis=1) for place in range(count)]


def saved(path, pictures, **options):
    first, *rest = [Image.fromarray(pixels) for pixels in pictures]
    first.save(path, save_all=True, append_images=rest, **options)
    return path


def refined(path, tmp_path, look=GRADE, materials=None):
    (tmp_path / "out").mkdir(exist_ok=True)
    (film,) = refine_films([path], tmp_path / "out", look, materials or Materials(), CPU)
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
    (tmp_path / "a.mp4").write_bytes(with_sound(encode_video(frames(12), "mp4", 24), "mp4", tmp_path / "a.wav", 0.5))
    film = refined(tmp_path / "a.mp4", tmp_path)
    with av.open(str(film.target)) as container:
        assert len(container.streams.audio) == 1
        assert float(container.streams.video[0].average_rate) == 24
        assert sum(1 for _ in container.decode(video=0)) == film.frames == 12


def test_frames_start_from_the_last_ones_result_where_that_flickers_less(tmp_path, monkeypatch):
    """Three steps from each frame itself leave most of its motion; from the last one's result there is less of it."""
    path = saved(tmp_path / "a.webp", frames(3), lossless=True)
    materials = Materials([source_of_picture("style", np.asarray(draw_work("waves", 1, 1, side_px=36)))], [1.0])
    film = refined(path, tmp_path, STYLE, materials)
    assert film.from_last
    again = film.target.read_bytes()
    calls = []
    monkeypatch.setattr("artgan.refine.stylist.Stylist.__call__", lambda *words, **options: calls.append(1))
    assert refined(path, tmp_path, STYLE, materials).target.read_bytes() == again  # all of it was kept
    assert calls == []
    assert refined_film.WORK_FOLDER in {item.name for item in (tmp_path / "out").iterdir()}
