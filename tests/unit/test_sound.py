"""Films to sound: onsets where they were put, a film that jumps with them, the sound in it, and broken input in one line."""

import io
import json
import wave
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from artgan.errors import DataError
from artgan.generation.drive import Drive, curve_text, drive_of_sound, driven_way, read_curve
from artgan.generation.paths import journey
from artgan.generation.point import Point
from artgan.generation.sound import RATE, analyse, read_sound
from tests.integration.test_cli import artgan

av = pytest.importorskip("av")
BEATS = (0.5, 1.1, 1.5, 2.3)  # seconds
FPS = 20


def beats(hertz: float, seconds: float = 3.0, rate: int = 44_100) -> np.ndarray:
    """Short tones at `BEATS`, over a hum that is 50 dB lower."""
    time = np.arange(int(seconds * rate)) / rate
    sound = 0.002 * np.sin(2 * np.pi * 500 * time)
    for beat in BEATS:
        after = time - beat
        sound += np.where(after >= 0, 0.6 * np.exp(-np.maximum(after, 0) / 0.06) * np.sin(2 * np.pi * hertz * after), 0)
    return sound


def write_wav(path: Path, sound: np.ndarray, rate: int = 44_100) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((sound * 32767).astype("<i2").tobytes())
    return path


def write_mp3(path: Path, sound: np.ndarray, rate: int = 44_100) -> Path:
    with av.open(str(path), "w", format="mp3") as container:
        stream = container.add_stream("libmp3lame", rate=rate, layout="mono")
        frame = av.AudioFrame.from_ndarray(sound.astype(np.float32)[None], format="fltp", layout="mono")
        frame.sample_rate = rate
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("write", [write_wav, write_mp3])
@pytest.mark.parametrize(("band", "hertz"), [("low", 90), ("mid", 800), ("high", 5000)])
def test_onsets_lie_where_the_notes_begin(tmp_path, write, band, hertz):
    samples = read_sound(write(tmp_path / "beats", beats(hertz)))
    curves = analyse(samples, FPS)
    late = 0.05 if write is write_mp3 else 0.02  # an MP3 begins with the encoder's delay
    assert samples.size / RATE == pytest.approx(3.0, abs=0.1)
    np.testing.assert_allclose(curves.onsets[band], BEATS, atol=late)
    frames = [round(beat * FPS) for beat in BEATS]
    assert all(curves.levels[band][frame] > 0.7 for frame in frames)
    assert curves.levels[band][round(2.1 * FPS)] < 0.4
    assert all(
        curve.min() >= 0 and curve.max() <= 1 for curve in (curves.loudness, *curves.levels.values(), *curves.pulses.values())
    )


def test_loudness_does_not_depend_on_the_gain():
    quiet, loud = (analyse(gain * beats(300, rate=RATE).astype(np.float32), FPS) for gain in (0.1, 1.0))
    np.testing.assert_allclose(quiet.loudness, loud.loudness, atol=1e-6)


def test_a_way_at_even_speed_is_the_journey():
    keys = [Point(seed) for seed in range(3)]
    for loop in (True, False):
        plain = journey(keys, 4, easing="cosine", loop=loop)
        driven = driven_way(keys, Drive(np.ones(len(plain))), 4, easing="cosine", loop=loop)
        assert [(p.seed, p.toward and p.toward.seed) for p in driven[:-1]] == [
            (p.seed, p.toward and p.toward.seed) for p in plain[:-1]
        ]
        np.testing.assert_allclose([p.amount for p in driven[:-1]], [p.amount for p in plain[:-1]], atol=1e-12)
    assert (driven[-1].toward or driven[-1]).seed == 2


def test_quiet_is_typical_and_slow_and_beats_push_on():
    curves = analyse(beats(90, rate=RATE).astype(np.float32), FPS)
    drive = drive_of_sound(curves, 0.9, [("pca-1", 2.0)], 1.0)
    beat, rest = round(BEATS[0] * FPS), round(2.15 * FPS)
    assert drive.truncation[beat] > drive.truncation[rest]
    assert drive.speed[beat] > 2 > 1 > drive.speed[rest] > 0
    assert drive.moves["pca-1"][beat] > 1.5 > drive.moves["pca-1"][rest]
    still = drive_of_sound(curves, 0.9, [], 0.0)
    assert set(still.truncation) == {0.9}
    assert set(still.speed) == {1.0}


def test_a_curve_is_read_as_it_was_written(tmp_path):
    drive = drive_of_sound(analyse(beats(90, rate=RATE).astype(np.float32), FPS), 0.9, [("pca-1", 2.0)], 0.5)
    path = tmp_path / "drive.csv"
    path.write_text(curve_text(drive, FPS))
    again = read_curve(path, FPS, len(drive.speed), str)
    for one, other in (
        (drive.speed, again.speed),
        (drive.truncation, again.truncation),
        (drive.moves["pca-1"], again.moves["pca-1"]),
    ):
        np.testing.assert_allclose(one, other, atol=1e-4)
    path.write_text("\ufefftime;pca-1\n0;0,5\n1;1,5\n")  # as spreadsheets of many countries write it
    np.testing.assert_allclose(read_curve(path, 4, None, str).moves["pca-1"], [0.5, 0.75, 1, 1.25, 1.5])


def only_pca(name):
    if name not in ("pca-1", "pca-2"):
        raise DataError(f"no direction '{name}'")
    return name


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected a first line with 'time'"),
        ("time,pca-11\n0,1\n1,2\n", "unknown column 'pca-11'"),
        ("truncation,speed\n0,1\n1,1\n", "expected a first line with 'time'"),
        ("time,speed\n0,1\n1,fast\n", "line 3: expected 2 numbers, got 1, fast"),
        ("time,speed\n0,1\n1,nan\n", "line 3: expected 2 numbers"),
        ("time,speed\n1,1\n0,1\n", "goes upwards"),
        ("time,speed\n0,1\n1,-3\n", "speed goes from -3"),
        ("time,speed\n0,1\n1e9,1\n", "frames; a film has up to"),
    ],
)
def test_what_is_no_curve_is_one_line(tmp_path, text, said):
    path = tmp_path / "drive.csv"
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        read_curve(path, FPS, None, only_pca)
    assert said in str(caught.value)


def test_a_film_moves_with_the_notes_and_sounds_like_them(trained_model, tmp_path):
    song, film, curve = write_wav(tmp_path / "song.wav", beats(90)), tmp_path / "film.mp4", tmp_path / "drive.csv"
    first = next(iter(trained_model.space.directions))
    arguments = ["--audio", song, "--move", f"{first}=4", "--react", "0", "--steps", "600", "--fps", FPS, "--size", "64"]
    assert artgan("video", trained_model.folder, "--out", film, *arguments, "--save-curve", curve) == 0
    with av.open(str(film)) as container:
        assert json.loads(container.metadata["comment"])["sound"] == "song.wav"
        frames = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]).astype(float)
    assert len(frames) == 3 * FPS
    changes = np.abs(np.diff(frames, axis=0)).mean((1, 2, 3))
    strongest = np.sort(np.argsort(changes)[-len(BEATS) :] + 1) / FPS
    np.testing.assert_allclose(strongest, BEATS, atol=1.01 / FPS)
    heard = analyse(read_sound(film), FPS)
    np.testing.assert_allclose(heard.onsets["low"], BEATS, atol=0.06)
    assert curve.read_text().startswith(f"time,speed,truncation,{first}\n")
    webm = tmp_path / "film.webm"
    assert (
        artgan("video", trained_model.folder, "--out", webm, "--audio", song, "--curve", curve, "--fps", "5", "--size", "32")
        == 0
    )
    np.testing.assert_allclose(analyse(read_sound(webm), FPS).onsets["low"], BEATS, atol=0.06)


@pytest.mark.parametrize(
    "table",
    [
        "time\ttruncation\n0\t1\n0,5\t0,5\n",
        "sep=;\r\nTime;Truncation\r\n0;1\r\n0,5;0,5\r\n",
        "time,truncation\r0,1\r0.5,0.5\r",
        "time,truncation\n0,1\n0.5,0.5\n".encode("utf-16"),
    ],
)
def test_curves_are_read_as_office_programs_save_them(tmp_path, table):
    (tmp_path / "a.csv").write_bytes(table if isinstance(table, bytes) else table.encode())
    np.testing.assert_allclose(read_curve(tmp_path / "a.csv", 4, None, str).truncation, [1, 0.75, 0.5])


def test_a_cell_without_end_is_one_line(tmp_path):
    (tmp_path / "a.csv").write_text("time,speed\n0," + "1" * 200_000)
    with pytest.raises(DataError, match="cannot be read as a table"):
        read_curve(tmp_path / "a.csv", 4, None, str)


def test_a_move_that_no_curve_drives_stays(trained_model, tmp_path):
    name, *_ = trained_model.space.directions
    (tmp_path / "a.csv").write_text("time,speed\n0,1\n0.1,1\n")
    films = []
    for words in ([], ["--move", f"{name}=6"]):
        out = tmp_path / f"{len(films)}.webp"
        words = ["--curve", tmp_path / "a.csv", "--fps", "10", "--size", "32", "--seeds", "0,1", *words, "--quiet"]
        assert artgan("video", trained_model.folder, "--out", out, *words) == 0
        with Image.open(out) as film:
            films.append(np.asarray(film.convert("RGB"), np.float32))
    assert np.abs(films[0] - films[1]).mean() > 1


def test_broken_and_silent_sound_is_one_line(trained_model, tmp_path, capsys):
    silent = write_wav(tmp_path / "silent.wav", np.zeros(44_100))
    broken, text, cut = tmp_path / "broken.mp3", tmp_path / "song.wav", tmp_path / "cut.wav"
    broken.write_bytes(b"ID3" + bytes(range(256)) * 8)
    text.write_text("this is no sound")
    cut.write_bytes(write_wav(tmp_path / "whole.wav", beats(90)).read_bytes()[:100])
    out = tmp_path / "film.mp4"
    for path, said in ((silent, "is silent"), (broken, "broken.mp3"), (text, "cannot be read as sound"), (cut, "cut.wav")):
        assert artgan("video", trained_model.folder, "--out", out, "--audio", path) == 3
        lines = capsys.readouterr().err.strip().splitlines()
        assert len(lines) == 1
        assert said in lines[0]
    assert artgan("video", trained_model.folder, "--out", out, "--audio", tmp_path / "none.wav") == 3
    assert artgan("video", trained_model.folder, "--out", tmp_path / "film.gif", "--audio", text) == 2
    assert "a gif has no sound" in capsys.readouterr().err
    assert not out.exists()


def test_a_film_without_pictures_to_take_sound_from(tmp_path):
    image = tmp_path / "picture.png"
    buffer = io.BytesIO()
    from PIL import Image

    Image.new("RGB", (8, 8)).save(buffer, "PNG")
    image.write_bytes(buffer.getvalue())
    with pytest.raises(DataError, match="holds no sound"):
        read_sound(image)
