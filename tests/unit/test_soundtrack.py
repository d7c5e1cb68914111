"""Sound into a film: heard when it is in its source, and what is damaged ends it without ending the work."""

import io
from fractions import Fraction

import numpy as np
import pytest

from artgan.generation.sound import read_sound
from artgan.generation.soundtrack import with_sound
from artgan.generation.video import encode_video
from artgan.refined_film.frames import losses_of
from tests.unit.test_refined_film import GRADE, refined

av = pytest.importorskip("av")
RATE = 48_000


def film(seconds: float, fps: int = 20) -> bytes:
    frames = [np.full((16, 16, 3), 40 + place, np.uint8) for place in range(round(seconds * fps))]
    return encode_video(frames, "mp4", fps)


def sound_file(path, channels: np.ndarray, first: int = 0):
    """Write float32 `[channels, samples]`, the first of which is heard at sample `first` of the clock."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_f32le", rate=RATE, layout="stereo" if len(channels) == 2 else "mono")
        packed = np.ascontiguousarray(channels.T.reshape(1, -1), np.float32)
        frame = av.AudioFrame.from_ndarray(packed, "flt", stream.layout.name)
        frame.sample_rate, frame.pts, frame.time_base = RATE, first, Fraction(1, RATE)
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    return path


def tone(seconds: float) -> np.ndarray:
    return 0.5 * np.sin(np.arange(round(seconds * RATE)) * (2 * np.pi * 1000 / RATE))


def heard_from(data: bytes) -> float:
    """Return the seconds at which a film begins to be loud, by an own look at its samples."""
    with av.open(io.BytesIO(data)) as container:
        for frame in container.decode(audio=0):
            loud = np.flatnonzero(np.abs(frame.to_ndarray()[0]) > 0.1)
            if loud.size:
                return float(frame.time + loud[0] / RATE)
    raise AssertionError("nothing is heard")


@pytest.mark.parametrize(("since", "expected"), [(None, 0.2), (0.0, 0.5), (0.25, 0.25), (0.6, 0.0), (-0.1, 0.6)])
def test_sound_is_heard_when_it_is_in_its_source(tmp_path, since, expected):
    """The file's sound begins at 0.3 s with 0.2 s of silence; the first picture is shown at `since`."""
    sound = sound_file(tmp_path / "a.mka", np.concatenate([np.zeros(RATE // 5), tone(0.5)])[None], first=3 * RATE // 10)
    data, whole = with_sound(film(1.0), "mp4", sound, 1.0, since)
    assert whole
    assert heard_from(data) == pytest.approx(expected, abs=0.004)


def test_a_refined_film_keeps_its_sound_where_it_is(tmp_path):
    """Pictures from 5 s on, sound from 5.3 s on: the result begins at 0 and is heard from 0.3 s on."""
    sound = sound_file(tmp_path / "a.mka", tone(0.4)[None], first=round(5.3 * RATE))
    data, _ = with_sound(film(1.0), "mp4", sound, 1.0, 5.0)
    (tmp_path / "source.mp4").write_bytes(data)
    made = refined(tmp_path / "source.mp4", tmp_path, GRADE)
    assert made.lost == ()
    assert heard_from(made.target.read_bytes()) == pytest.approx(0.3, abs=0.004)


def test_channels_of_opposite_sign_are_no_silence_and_what_is_no_number_is_none(tmp_path):
    samples = tone(0.5)
    broken = samples.copy()
    broken[[100, 200]] = np.nan, np.inf
    whole = read_sound(sound_file(tmp_path / "a.wav", samples[None]))
    opposite = read_sound(sound_file(tmp_path / "b.wav", np.stack([samples, -samples])))
    np.testing.assert_allclose(opposite, whole, atol=1e-4)
    path = sound_file(tmp_path / "c.wav", broken[None])
    assert np.abs(read_sound(path)).max() < 1
    data, _ = with_sound(film(0.5), "mp4", path, 0.5)
    assert heard_from(data) == pytest.approx(0, abs=0.004)


def test_sound_that_breaks_off_ends_there(tmp_path):
    """A film whose last third was cut off: its pictures and its sound are kept as far as they go, and that is said."""
    data, _ = with_sound(film(3.0), "mp4", sound_file(tmp_path / "a.mka", np.stack([tone(3.0)] * 2)), 3.0)
    path, fast = tmp_path / "cut.mp4", tmp_path / "fast.mp4"
    with av.open(io.BytesIO(data)) as source, av.open(str(fast), "w", options={"movflags": "faststart"}) as target:
        streams = {stream: target.add_stream_from_template(stream) for stream in source.streams}
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream]
                target.mux(packet)
    path.write_bytes(fast.read_bytes()[: fast.stat().st_size * 2 // 3])
    made = refined(path, tmp_path)
    assert 0 < made.frames < 60
    assert made.lost == (
        "breaks off: frames that it speaks of are not in it",
        "has damaged sound, of which what comes before was kept",
    )
    assert heard_from(made.target.read_bytes()) == pytest.approx(0, abs=0.004)


def test_what_a_film_loses_is_said(tmp_path):
    path = tmp_path / "clear.mov"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("png", rate=10)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "rgba"
        for packet in [*stream.encode(av.VideoFrame.from_ndarray(np.zeros((16, 16, 4), np.uint8), "rgba")), *stream.encode()]:
            container.mux(packet)
    assert losses_of(path, (16, 16), 1) == ("has transparency, which films of this format cannot hold",)
