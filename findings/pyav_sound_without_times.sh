#!/bin/sh
# PyAV encodes sound whose frames have no `pts`, and the film's sound is then late by the encoder's delay.
#
# Seen with: PyAV 18.1.0, NumPy 2.4.6, Linux x86_64.
# Expected:  frames of sound in order, from the first sample on, are heard when they were made, with `pts` or without.
# Seen:      no error, no warning. A click at 0.5 s is decoded 21.3 ms late from MP4 (AAC) and 6.5 ms late from WebM (Opus). With
#            `pts` counted in samples from 0 the file says how much to skip, and the click is in time within a millisecond.
# Way out:   `frame.pts = samples before it; frame.time_base = 1 / rate` on every frame.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/python" -m pip install --quiet --disable-pip-version-check av==18.1.0 numpy==2.4.6
"$dir/venv/bin/python" - <<'PYTHON'
import io
from fractions import Fraction

import av
import numpy as np

RATE, PIECE, CLICK = 48_000, 480, 24_000


def late_ms(codec: str, container: str, numbered: bool) -> float:
    samples = np.zeros((2, RATE), np.float32)
    samples[:, CLICK : CLICK + 48] = 0.8
    file = io.BytesIO()
    with av.open(file, "w", format=container) as out:
        stream = out.add_stream(codec, rate=RATE, layout="stereo")
        for start in range(0, RATE, PIECE):
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[:, start : start + PIECE]), "fltp", "stereo")
            frame.sample_rate = RATE
            if numbered:
                frame.pts, frame.time_base = start, Fraction(1, RATE)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    file.seek(0)
    with av.open(file) as sound:
        for frame in sound.decode(audio=0):
            loud = np.abs(frame.to_ndarray()).max(0) > 0.3
            if loud.any():
                return 1000 * (frame.time + (int(loud.argmax()) - CLICK) / RATE)
    raise AssertionError("the click is gone")


for codec, container, delay in (("aac", "mp4", 15), ("libopus", "webm", 4)):
    without, numbered = late_ms(codec, container, False), late_ms(codec, container, True)
    print(f"PyAV {av.__version__}, {codec} in {container}: {without:.1f} ms late without pts, {numbered:.1f} ms with them")
    assert without > delay, "frames without pts are no longer late"
    assert abs(numbered) < 1, "frames with pts are no longer in time"
PYTHON
