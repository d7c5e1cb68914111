"""Frames to a film: MP4 and WebM through PyAV, animated WebP and GIF through Pillow alone."""

import io
import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy.spatial import cKDTree

from artgan.errors import ConfigError
from artgan.metadata import opened

MEDIA_TYPES = {"mp4": "video/mp4", "webm": "video/webm", "gif": "image/gif", "webp": "image/webp"}
_CODECS = {"mp4": "libx264", "webm": "libvpx-vp9"}
_OPTIONS = {
    "mp4": {"crf": "14", "preset": "medium", "movflags": "faststart"},
    "webm": {"crf": "20", "b": "0", "deadline": "good", "cpu-used": "4", "row-mt": "1"},
}
_NOTE_STARTS = (b'{"keys": ', b'{"time_lapse": ')  # what a film was made from
_NOTE_SPAN = 1 << 20  # of a file's head and of its end
_GIF_MAX_FPS = 50  # most viewers slow down anything faster
_GIF_TICK_MS = 10
_CLEAR = 255  # the index of what is transparent
_SAME_SCENE = 1.2  # a frame keeps the palette before it while its error is at most so many times that of its own


def default_format() -> str:
    """Return mp4 where PyAV is installed, otherwise webp."""
    try:
        import av  # noqa: F401
    except ImportError:
        return "webp"
    return "mp4"


def check_format(video_format: str) -> None:
    """Check, before any work, that films of a format can be written here.

    Raises:
        ConfigError: the format needs PyAV, which is not installed.
    """
    if video_format in _CODECS:
        try:
            import av  # noqa: F401
        except ImportError:
            raise ConfigError(f"{video_format} needs PyAV: pip install 'artgan[video]'; webp and gif work without it") from None


def encode_video(
    frames: Iterable[np.ndarray],
    video_format: str,
    fps: float,
    note: str = "",
    times_ms: Sequence[int] | None = None,
    loop: int | None = 0,
    stamps: tuple[Sequence[int], Fraction] | None = None,
) -> bytes:
    """Return the bytes of a film.

    Args:
        frames: uint8 `[H, W, 3]`, or `[H, W, 4]` with opacity for webp and gif, all of one size; for mp4 and webm an odd side
            loses its last row or column. In a gif a pixel is transparent below half opacity.
        video_format: a key of `MEDIA_TYPES`. webp is lossless: its frames are the pictures, pixel by pixel; gif has 256 colors
            in each frame.
        fps: frames per second; gif is held to 50.
        note: written into the film's comment (webp: Exif), where the format has one.
        times_ms: how long each frame stays, for webp and gif; by default evenly as `fps` says, in whole ticks that are right on
            average.
        loop: how often webp and gif play: 0 for ever, None once.
        stamps: when each frame of mp4 and webm is shown, and the seconds of one unit; by default evenly as `fps` says.

    Raises:
        ConfigError: the format needs PyAV, which is not installed.
    """
    check_format(video_format)
    if video_format == "webp":
        return _webp(frames, times_ms or EvenTimes(fps), note, loop)
    if video_format == "gif":
        return _gif(frames, times_ms or EvenTimes(min(fps, _GIF_MAX_FPS), _GIF_TICK_MS), note, loop)
    import av

    buffer = io.BytesIO()
    rate = Fraction(fps).limit_denominator(1001)
    shown, unit = stamps or (itertools.count(), 1 / rate)
    with av.open(buffer, "w", format=video_format) as container:
        if note:
            container.metadata["comment"] = note
        stream: Any = None
        for pixels, stamp in zip(frames, shown):
            if stream is None:
                stream = _stream(container, video_format, rate, unit, pixels.shape)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels[: stream.height, : stream.width]), "rgb24")
            frame = _converted(frame)
            frame.pts, frame.time_base = stamp, unit
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode() if stream else ():
            container.mux(packet)
    return buffer.getvalue()


def read_note(path: Path) -> dict[str, Any] | None:
    """Return the JSON note that `encode_video` wrote into a film, or None: its text is looked for, and no frame is decoded.

    Raises:
        OSError: the file cannot be read.
    """
    if path.suffix.lower() == ".gif":  # whose comments are in pieces
        try:
            with opened(path) as image:
                parts = [bytes(image.info.get("comment", b""))]
        except (OSError, ValueError, SyntaxError, TypeError, Image.DecompressionBombError):
            return None
    else:
        with path.open("rb") as file:
            parts = [file.read(_NOTE_SPAN)]
            file.seek(max(_NOTE_SPAN, path.stat().st_size - _NOTE_SPAN))
            parts.append(file.read(_NOTE_SPAN))
    for part in parts:
        for start in _NOTE_STARTS:
            place = part.find(start)
            if place >= 0:
                try:
                    note, _ = json.JSONDecoder().raw_decode(part[place:].decode("utf-8", "replace"))
                except (ValueError, RecursionError):
                    continue
                return note
    return None


def _stream(container: Any, video_format: str, rate: Fraction, unit: Fraction, shape: tuple[int, ...]) -> Any:
    stream = container.add_stream(_CODECS[video_format], rate=rate, options=_OPTIONS[video_format])
    stream.height, stream.width = shape[0] // 2 * 2, shape[1] // 2 * 2
    stream.pix_fmt = "yuv420p"
    stream.codec_context.time_base = unit
    # Tag what `_converted` does: BT.709, limited range.
    stream.codec_context.colorspace = stream.codec_context.color_primaries = stream.codec_context.color_trc = 1
    stream.codec_context.color_range = 1
    return stream


def _converted(frame: Any) -> Any:
    from av.video.reformatter import ColorRange, Colorspace

    return frame.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG)


class EvenTimes(list[int]):
    """How long each frame stays, in milliseconds, at an even rate: whole ticks whose sum is never more than half a tick off.

    24 frames a second are 42, 41, 42, ... ms, so that a film is as long as its sound. It is a list by name, which Pillow asks
    for, and has no end.
    """

    def __init__(self, fps: float, tick_ms: int = 1) -> None:
        super().__init__()
        self.fps, self.tick_ms = Fraction(fps).limit_denominator(1001), tick_ms

    def __getitem__(self, index: Any) -> Any:
        ticks = Fraction(1000) / (self.fps * self.tick_ms)
        return (round(ticks * (index + 1)) - round(ticks * index)) * self.tick_ms


def _webp(frames: Iterable[np.ndarray], times_ms: Sequence[int], note: str, loop: int | None) -> bytes:
    images: Iterator[Image.Image] = (Image.fromarray(pixels) for pixels in frames)
    first = next(images)
    exif = Image.Exif()
    if note:
        exif[0x010E] = note
    buffer = io.BytesIO()
    packed = exif.tobytes().removeprefix(b"Exif\0\0")  # which belongs to JPEG
    options: dict[str, Any] = {"duration": times_ms, "loop": 1 if loop is None else loop, "lossless": True, "exif": packed}
    first.save(buffer, "WEBP", save_all=True, append_images=images, **options)
    return buffer.getvalue()


def _gif(frames: Iterable[np.ndarray], times_ms: Sequence[int], note: str, loop: int | None) -> bytes:
    images = _indexed(frames)
    first = next(images)
    buffer = io.BytesIO()
    options: dict[str, Any] = {"comment": note.encode()} if note else {}
    options |= {} if loop is None else {"loop": loop}
    if "transparency" in first.info:
        options["disposal"] = 2  # so that what is clear in a frame does not show the one before
    first.save(buffer, "GIF", save_all=True, append_images=images, duration=times_ms, optimize=False, **options)
    return buffer.getvalue()


def _indexed(frames: Iterable[np.ndarray]) -> Iterator[Image.Image]:
    """Yield frames in 256 colors of their own, or in those of the frame before where they fit nearly as well."""
    palette = np.zeros((0, 3), np.uint8)
    for frame in frames:
        seen = frame[..., 3] >= 128 if frame.shape[2] == 4 else np.ones(frame.shape[:2], bool)
        colors = frame[seen][:, :3]
        indices = np.full(seen.shape, _CLEAR, np.uint8)
        if len(colors):
            own = _palette_of(colors, 256 if frame.shape[2] == 3 else _CLEAR)
            found, error = _nearest(colors, own)
            if len(palette):
                kept, kept_error = _nearest(colors, palette)
                if kept_error <= _SAME_SCENE**2 * error:
                    own, found = palette, kept
            palette, indices[seen] = own, found
        image = Image.fromarray(indices, "P")
        image.putpalette(palette.tobytes())
        if frame.shape[2] == 4:
            image.info["transparency"] = _CLEAR
        yield image


def _palette_of(colors: np.ndarray, count: int) -> np.ndarray:
    """Return up to so many colors for those of a frame, uint8 `[n, 3]`: median cut, then k-means from there."""
    image = Image.fromarray(colors[None])
    quantized = image.quantize(count, Image.Quantize.MEDIANCUT, kmeans=1, dither=Image.Dither.NONE)
    return np.array(quantized.getpalette(), np.uint8).reshape(-1, 3)


def _nearest(colors: np.ndarray, palette: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the index of each color's nearest, uint8 `[n]`, and the mean squared distance.

    Exact: Pillow's own way to a given palette looks colors up in cells of four levels, which doubles the error.
    """
    distances, indices = cKDTree(palette.astype(np.float32)).query(colors.astype(np.float32))
    return indices.astype(np.uint8), float(np.mean(distances**2))
