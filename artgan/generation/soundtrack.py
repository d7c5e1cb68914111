"""Sound into a film: beside its pictures, which are copied as they are, and heard when it is in its source."""

import io
from collections.abc import Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from artgan.generation.sound import require_av

MUX_FORMATS = {"mp4": ("aac", 48_000), "webm": ("libopus", 48_000)}
_GAP_SECONDS = 0.05  # within sound, whose time stamps are rounded; what is longer is silence


def with_sound(film: bytes, video_format: str, path: Path, seconds: float, since: float | None = None) -> tuple[bytes, bool]:
    """Return a film with the sound of a file, and whether that was read to its end; what is damaged ends it.

    Args:
        film: MP4 or WebM without sound.
        video_format: a key of `MUX_FORMATS`.
        path: of the sound, which may be another film's.
        seconds: of sound to take.
        since: when, by the clock of the file, the first picture is shown; None: when its sound begins.
    """
    av = require_av("--audio")
    codec, rate = MUX_FORMATS[video_format]
    buffer, at, whole = io.BytesIO(), 0, True
    with av.open(io.BytesIO(film)) as pictures, av.open(buffer, "w", format=video_format) as out:
        out.metadata.update(pictures.metadata)
        video = out.add_stream_from_template(pictures.streams.video[0])
        audio = out.add_stream(codec, rate=rate, layout="stereo")
        for packet in pictures.demux(video=0):
            if packet.dts is not None:
                packet.stream = video
                out.mux(packet)
        heard = _samples(av, path, seconds, rate, since)
        while True:
            try:
                samples = next(heard, None)
            except (OSError, ValueError):  # PyAV's errors are kinds of these
                samples, whole = None, False
            if samples is None and at > 0:
                break
            samples = np.zeros((2, rate // 100), np.float32) if samples is None else samples  # a track is never empty
            frame = av.AudioFrame.from_ndarray(samples, "fltp", "stereo")
            frame.sample_rate, frame.pts, frame.time_base = rate, at, Fraction(1, rate)
            out.mux(audio.encode(frame))
            at += samples.shape[1]
        out.mux(audio.encode(None))
    return buffer.getvalue(), whole


def _samples(av: Any, path: Path, seconds: float, rate: int, since: float | None) -> Iterator[np.ndarray]:
    """Yield the sound in two channels from a time on, float32 `[2, samples]` in [-1, 1], with silence where there is none."""
    limit = round(seconds * rate)
    at: int | None = None  # in samples of the film; below 0 before it begins
    with av.open(str(path)) as sound:
        resampler = av.AudioResampler(format="fltp", layout="stereo", rate=rate)
        for frame in chain(sound.decode(sound.streams.audio[0]), [None]):  # None asks for what the resampler still holds
            if frame is not None:
                since = frame.time or 0.0 if since is None else since
                place = (at or 0) if frame.time is None else round((frame.time - since) * rate)
                gap, at = (0, min(place, 0)) if at is None else (_GAP_SECONDS * rate, at)
                if place - at > gap:
                    for start in range(at, min(place, limit), rate):
                        yield np.zeros((2, min(start + rate, place, limit) - start), np.float32)
                    at = place
                frame.pts = None  # the resampler would fill gaps in its own way
            for piece in resampler.resample(frame):
                at = at or 0
                samples = np.nan_to_num(piece.to_ndarray(), posinf=0, neginf=0).clip(-1, 1)
                kept = np.ascontiguousarray(samples[:, max(-at, 0) : max(limit - at, 0)])
                at += samples.shape[1]
                if kept.shape[1]:
                    yield kept
            if at is not None and at >= limit:
                return
