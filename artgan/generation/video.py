"""Frames to a film: MP4, WebM and GIF through PyAV, animated WebP through Pillow alone."""

import io
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np
from PIL import Image

from artgan.errors import ConfigError

MEDIA_TYPES = {"mp4": "video/mp4", "webm": "video/webm", "gif": "image/gif", "webp": "image/webp"}
_CODECS = {"mp4": "libx264", "webm": "libvpx-vp9", "gif": "gif"}
_PIXELS = {"mp4": "yuv420p", "webm": "yuv420p", "gif": "rgb8"}
_OPTIONS = {
    "mp4": {"crf": "14", "preset": "medium", "movflags": "faststart"},
    "webm": {"crf": "20", "b": "0", "deadline": "good", "cpu-used": "4", "row-mt": "1"},
    "gif": {},
}
_GIF_MAX_FPS = 50  # most viewers slow down anything faster


def default_format() -> str:
    """Return mp4 where PyAV is installed, else webp."""
    try:
        import av  # noqa: F401
    except ImportError:
        return "webp"
    return "mp4"


def encode_video(frames: Iterable[np.ndarray], video_format: str, fps: int, note: str = "") -> bytes:
    """Return the bytes of a film.

    Args:
        frames: uint8 `[H, W, 3]`, all of one size; for mp4 and webm an odd side loses its last row or column.
        video_format: a key of `MEDIA_TYPES`. webp is lossless: its frames are the pictures, pixel by pixel; gif has 256 colors.
        fps: frames per second; gif is held to 50.
        note: written into the film's comment (webp: Exif), where the format has one.

    Raises:
        ConfigError: the format needs PyAV, which is not installed.
    """
    if video_format == "webp":
        return _webp(frames, fps, note)
    try:
        import av
    except ImportError:
        raise ConfigError(f"{video_format} needs PyAV: pip install 'artgan[video]'; --format webp works without it") from None
    buffer = io.BytesIO()
    if video_format == "gif":
        fps = min(fps, _GIF_MAX_FPS)
    with av.open(buffer, "w", format=video_format) as container:
        if note:
            container.metadata["comment"] = note
        stream: Any = None
        for pixels in frames:
            if stream is None:
                stream = _stream(container, video_format, fps, pixels.shape)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels[: stream.height, : stream.width]), "rgb24")
            for packet in stream.encode(_converted(frame, video_format)):
                container.mux(packet)
        for packet in stream.encode() if stream else ():
            container.mux(packet)
    return buffer.getvalue()


def _stream(container: Any, video_format: str, fps: int, shape: tuple[int, ...]) -> Any:
    stream = container.add_stream(_CODECS[video_format], rate=fps, options=_OPTIONS[video_format])
    even = 1 if video_format == "gif" else 2
    stream.height, stream.width = shape[0] // even * even, shape[1] // even * even
    stream.pix_fmt = _PIXELS[video_format]
    stream.codec_context.time_base = Fraction(1, fps)
    if video_format != "gif":  # tag what `_converted` does: BT.709, limited range
        stream.codec_context.colorspace = stream.codec_context.color_primaries = stream.codec_context.color_trc = 1
        stream.codec_context.color_range = 1
    return stream


def _converted(frame: Any, video_format: str) -> Any:
    if video_format == "gif":
        return frame.reformat(format="rgb8")
    from av.video.reformatter import ColorRange, Colorspace

    return frame.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG)


def _webp(frames: Iterable[np.ndarray], fps: int, note: str) -> bytes:
    images: Iterator[Image.Image] = (Image.fromarray(pixels) for pixels in frames)
    first = next(images)
    exif = Image.Exif()
    if note:
        exif[0x010E] = note
    buffer = io.BytesIO()
    first.save(
        buffer,
        "WEBP",
        save_all=True,
        append_images=images,
        duration=round(1000 / fps),
        loop=0,
        lossless=True,
        exif=exif.tobytes(),
    )
    return buffer.getvalue()


def enlarged(frames: Iterable[np.ndarray], shorter_side_px: int) -> Iterator[np.ndarray]:
    """Yield frames with a shorter side of at least so many pixels, by Lanczos resampling; larger ones stay as they are."""
    for pixels in frames:
        factor = shorter_side_px / min(pixels.shape[:2])
        if factor <= 1:
            yield pixels
            continue
        size = (round(pixels.shape[1] * factor), round(pixels.shape[0] * factor))
        yield np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))
