"""Films: frame times, colors and notes, read back from the files' own bytes."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageSequence

from artgan.datasets.synthetic import draw_work
from artgan.generation.video import encode_video

METHODS = (Image.Quantize.MEDIANCUT, Image.Quantize.MAXCOVERAGE, Image.Quantize.FASTOCTREE)


def frames(count, side=48):
    """Return a dissolve from one picture to another, with a cut in its middle."""
    first, second, third = (np.asarray(draw_work("waves", 1, index, side_px=side)).astype(float) for index in range(3))
    mixed = [first + (second - first) * place / count for place in range(count // 2)]
    return [np.rint(frame).astype(np.uint8) for frame in (*mixed, *[third] * (count - len(mixed)))]


def riff_chunks(data):
    at = 12
    while at + 8 <= len(data):
        kind, size = struct.unpack("<4sI", data[at : at + 8])
        yield kind, data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2


@pytest.mark.parametrize("fps", [24, 30, 29.97])
def test_webp_frames_last_as_long_as_the_rate_says_on_average(fps):
    wanted = frames(24)
    for place, frame in enumerate(wanted):
        frame[0, 0] = place  # equal frames would be one
    data = encode_video(wanted, "webp", fps, "a note")
    times = [int.from_bytes(chunk[12:15], "little") for kind, chunk in riff_chunks(data) if kind == b"ANMF"]
    assert len(times) == 24
    assert abs(sum(times) - 24 * 1000 / fps) <= 0.5
    assert max(times) - min(times) <= 1
    (exif,) = [chunk for kind, chunk in riff_chunks(data) if kind == b"EXIF"]
    assert exif[:2] in (b"II", b"MM")
    assert Image.open(io.BytesIO(data)).getexif()[0x010E] == "a note"


def test_gif_frames_last_as_long_as_the_rate_says_on_average():
    film = Image.open(io.BytesIO(encode_video(frames(24), "gif", 24, "a note")))
    assert film.info["comment"] == b"a note"
    times = [frame.info["duration"] for frame in ImageSequence.Iterator(film)]
    assert sum(times) == 1000
    assert film.info["loop"] == 0


def test_gif_colors_are_as_near_as_the_best_adaptive_palette_of_each_frame():
    wanted = frames(8, 64)
    film = Image.open(io.BytesIO(encode_video(wanted, "gif", 10)))
    shown = [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(film)]
    shown += [shown[-1]] * (len(wanted) - len(shown))  # the still frames at the end are one

    def error(pixels, frame):
        return np.sqrt(np.square(pixels.astype(float) - frame).mean())

    for pixels, frame in zip(shown, wanted, strict=True):
        image = Image.fromarray(frame)
        best = min(error(np.asarray(image.quantize(256, method, dither=0).convert("RGB")), frame) for method in METHODS)
        assert error(pixels, frame) <= 1.3 * best + 0.05
