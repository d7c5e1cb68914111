"""Sound to curves: how loud it is, how much of it lies in each band, and where notes begin.

Onsets are peaks of the spectral flux, the summed growth of the log spectrum (Bello et al. 2005, "A tutorial on onset detection
in music signals", section III.A). Everything is computed from the whole sound: equal files give equal curves.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from artgan.errors import ConfigError, DataError

RATE = 22_050  # samples per second of the analysis
MAX_SECONDS = 3600
BANDS = {"low": (20.0, 200.0), "mid": (200.0, 2000.0), "high": (2000.0, 10_000.0)}  # Hz
_WINDOW = 1024  # samples
_HOP = 220  # samples: 10 ms
_SILENT = 1e-4  # of full scale: -80 dB
_DYNAMICS_DB = 40.0
_RELEASE_SECONDS = 0.25
_PEAK_REACH = 5  # hops on each side that an onset must exceed
_PEAK_SHARE = 0.12  # of the strongest flux in its band


@dataclass(frozen=True)
class Curves:
    """What a sound does over the frames of a film, each float64 `[frames]` in [0, 1].

    Attributes:
        loudness: of the whole, from 40 dB below its loudest to that; falls slowly.
        levels: band -> the same for the band.
        pulses: band -> 1 (or less, for a soft note) where a note begins, then decaying.
        onsets: band -> seconds at which notes begin.
    """

    loudness: np.ndarray
    levels: dict[str, np.ndarray]
    pulses: dict[str, np.ndarray]
    onsets: dict[str, np.ndarray]


def require_av(what: str) -> Any:
    """Return PyAV.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import av
    except ImportError:
        raise ConfigError(f"{what} needs PyAV: pip install 'artgan[video]'") from None
    return av


def read_sound(path: Path) -> np.ndarray:
    """Decode a sound, or the sound of a film, to one channel, float32 `[samples]` at `RATE`.

    Of several channels it is what they have in common or, where that is more, what they differ by: channels of opposite sign
    are no silence.

    Raises:
        ConfigError: PyAV is not installed.
        DataError: it is missing, damaged, silent, too long, or holds no sound.
    """
    av = require_av("--audio")
    pieces, total = [], 0
    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                raise DataError(f"{path}: holds no sound")
            layout = "mono" if container.streams.audio[0].layout.nb_channels == 1 else "stereo"
            resampler = av.AudioResampler(format="fltp", layout=layout, rate=RATE)
            for frame in container.decode(container.streams.audio[0]):
                for piece in resampler.resample(frame):
                    pieces.append(piece.to_ndarray())
                    total += piece.samples
                if total > MAX_SECONDS * RATE:
                    raise DataError(f"{path}: is longer than {MAX_SECONDS // 60} minutes; cut it")
            pieces += [piece.to_ndarray() for piece in resampler.resample(None)]
    except (OSError, ValueError) as error:  # PyAV's errors are kinds of these
        raise DataError(f"{path}: cannot be read as sound ({getattr(error, 'strerror', None) or error})") from error
    samples = _one_channel(np.concatenate(pieces or [np.zeros((1, 0), np.float32)], axis=1))
    if samples.size < _WINDOW:
        raise DataError(f"{path}: {samples.size / RATE:.2f} s of sound; a film needs more")
    if np.abs(samples).max() < _SILENT:
        raise DataError(f"{path}: is silent: nothing in it could move a film; --curve drives one without sound")
    return samples


def _one_channel(channels: np.ndarray) -> np.ndarray:
    """Return float32 `[samples]` of `[1 or 2, samples]`."""
    finite = np.nan_to_num(channels, posinf=0, neginf=0)
    common, difference = finite.mean(0), (finite[0] - finite[-1]) / 2
    return common if np.square(common).sum() >= np.square(difference).sum() else difference


def analyse(samples: np.ndarray, fps: int) -> Curves:
    """Return the curves of a sound at so many frames per second; there are `round(seconds * fps)` frames."""
    frames = max(1, round(samples.size / RATE * fps))
    times = np.arange(frames) / fps
    spectrum = _spectrum(samples)  # [hops, bins]
    hertz = np.fft.rfftfreq(_WINDOW, 1 / RATE)
    hops = np.arange(len(spectrum)) * _HOP / RATE
    levels, pulses, onsets = {}, {}, {}
    for name, (low, high) in BANDS.items():
        inside = spectrum[:, (hertz >= low) & (hertz < high)]
        levels[name] = _level(np.interp(times, hops, np.sqrt((inside**2).sum(1))), fps)
        onsets[name], strengths = _onsets(inside)
        pulses[name] = _pulses(times, onsets[name], strengths)
    return Curves(_level(np.interp(times, hops, np.sqrt((spectrum**2).sum(1))), fps), levels, pulses, onsets)


def _spectrum(samples: np.ndarray) -> np.ndarray:
    """Return magnitudes, float64 `[hops, _WINDOW // 2 + 1]`; hop k is centered on sample k * _HOP."""
    padded = np.pad(samples, _WINDOW // 2)
    windows = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::_HOP]
    hann = np.hanning(_WINDOW)
    parts = [np.abs(np.fft.rfft(windows[start : start + 4096] * hann)) for start in range(0, len(windows), 4096)]
    return np.concatenate(parts) * (2 / hann.sum())


def _level(magnitude: np.ndarray, fps: int) -> np.ndarray:
    """Return decibels below the loudest as [0, 1]; rises at once, falls within a quarter of a second."""
    loudest = max(float(magnitude.max()), _SILENT)
    decibels = 20 * np.log10(np.maximum(magnitude, 1e-12) / loudest)
    wanted = np.clip(1 + decibels / _DYNAMICS_DB, 0, 1)
    keep = float(np.exp(-1 / (fps * _RELEASE_SECONDS)))
    level, now = np.empty_like(wanted), 0.0
    for place, value in enumerate(wanted):
        now = max(float(value), now * keep + float(value) * (1 - keep))
        level[place] = now
    return level


def _onsets(magnitude: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the seconds at which notes begin, and how strong each is, in (0, 1]."""
    scaled = np.log1p(1000 * magnitude)
    flux = np.maximum(np.diff(scaled, axis=0, prepend=scaled[:1]), 0).sum(1)
    strongest = float(flux.max()) if flux.size else 0.0
    if strongest <= 0:
        return np.zeros(0), np.zeros(0)
    padded = np.pad(flux, _PEAK_REACH)
    around = np.lib.stride_tricks.sliding_window_view(padded, 2 * _PEAK_REACH + 1)
    peaks = (flux >= around.max(1)) & (flux > 1.5 * around.mean(1)) & (flux > _PEAK_SHARE * strongest)
    places = np.flatnonzero(peaks)
    places = places[np.diff(places, prepend=-_PEAK_REACH) >= _PEAK_REACH]
    return places * _HOP / RATE, flux[places] / strongest


def _pulses(times: np.ndarray, onsets: np.ndarray, strengths: np.ndarray) -> np.ndarray:
    curve = np.zeros(len(times))
    half_frame = (times[1] - times[0]) / 2 if len(times) > 1 else 0.0
    for onset, strength in zip(onsets, strengths):
        after = times - onset + half_frame
        curve = np.maximum(curve, np.where(after >= 0, strength * np.exp(-np.maximum(after, 0) / _RELEASE_SECONDS), 0))
    return curve
