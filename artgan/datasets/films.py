"""Films as sources of pictures: every Nth frame, by PyAV, each as a PNG like any other file.

A frame is named by its time stamp, so that any process finds it by a seek to the key frame before it. Neighbours that look
alike are left to what finds look-alikes among all files.
"""

import io
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from artgan.errors import ConfigError, DataError

SUFFIXES = (".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".wmv", ".ogv", ".mts", ".m2ts")
NOT_READ = "a film: --every 12 takes every 12th frame of it"
_MAX_PIXELS = 64 << 20
_HDR_TRANSFERS = {16: "PQ", 18: "HLG"}  # ITU-T H.273, table 3
_HD_HEIGHT = 720  # where a film does not say its matrix, players take BT.709 from here on
_RGB, _BT709, _UNSPECIFIED, _SMPTE170M = 0, 1, 2, 6
# ITU-T H.273, table 4: matrices from YCbCr to RGB, by the code of the coefficients in libswscale.
_MATRICES = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9}


def is_film(name: str) -> bool:
    """Return whether a file is a film, by its name."""
    return PurePosixPath(name).suffix.lower() in SUFFIXES


def film_of(where: str) -> str | None:
    """Return the film that a frame is from, by where the index says that it is: `film.mp4!1024`; None for all else."""
    place, mark, stamp = where.rpartition("!")
    return place if mark and stamp.removeprefix("-").isdecimal() and is_film(place) else None


def frames_of(path: Path, every: int) -> list[tuple[str, int]]:
    """Return `(name, time stamp)` of the first frame and every Nth after it, without decoding any.

    Raises:
        ConfigError: PyAV is not installed.
        DataError: the film is damaged, has no pictures, or pictures that are not read.
    """
    with _opened(path) as container:
        try:
            stream = container.streams.video[0]
            _check(path, stream)
            stamps = sorted(packet.pts for packet in container.demux(stream) if packet.pts is not None)
        except (OSError, ValueError) as error:
            raise DataError(f"{path} cannot be read as a film ({_reason(error)})") from error
    if not stamps:
        raise DataError(f"{path} holds no pictures that can be found by their time")
    return [(f"frame-{place:06d}", stamp) for place, stamp in enumerate(stamps)][::every]


def _check(path: Path, stream: Any) -> None:
    context = stream.codec_context
    if context.width * context.height > _MAX_PIXELS:
        raise DataError(
            f"{path}: {context.width} x {context.height} pixels a frame; at most {_MAX_PIXELS / 1e6:.0f} megapixels"
        )
    shown = context.width * context.height * float(stream.sample_aspect_ratio or 1)
    if shown > _MAX_PIXELS:
        raise DataError(
            f"{path}: its pixels are so wide that a frame has {shown / 1e6:,.0f} megapixels; at most {_MAX_PIXELS / 1e6:.0f}"
        )
    kind = _HDR_TRANSFERS.get(int(context.color_trc or 0))
    if kind is not None:
        raise DataError(f"{path} is an HDR film ({kind}), whose colors would come out wrong: convert it to SDR first")
    _matrix_of(int(context.colorspace), context.height, str(path))


def _opened(path: Path) -> Any:
    try:
        import av
    except ImportError:
        raise ConfigError("a film needs PyAV: pip install 'artgan[video]'") from None
    try:
        container = av.open(str(path))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as a film ({_reason(error)})") from error
    if not container.streams.video:
        container.close()
        raise DataError(f"{path} holds no pictures, only sound or text")
    return container


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)[:200]


class _Reader:
    """A film that is open at a place: what lies ahead and near is decoded to, the rest is sought."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.container = _opened(path)
        self.stream = self.container.streams.video[0]
        self.stream.thread_type = "NONE"  # one thread: there are processes enough
        self.ahead: Iterator[Any] = iter(())
        self.last: int | None = None
        self.near = int(2 / self.stream.time_base)  # two seconds

    def frame(self, stamp: int) -> Any:
        """Return the frame of a time stamp."""
        if self.last is None or not 0 < stamp - self.last <= self.near:
            self.container.seek(stamp, stream=self.stream, backward=True)
            self.ahead = self.container.decode(self.stream)
        for frame in self.ahead:
            if frame.pts is None:
                continue
            self.last = frame.pts
            if frame.pts >= stamp:
                return frame
        self.last = None
        raise DataError("this frame of the film is damaged")


@lru_cache(maxsize=2)
def _reader(path: Path, version: int) -> _Reader:
    return _Reader(path)


def read_frame(path: Path, stamp: int) -> bytes:
    """Return a frame as the bytes of a PNG: upright, with square pixels, in full range; it says where its colors are not sRGB.

    Raises:
        DataError: it is damaged.
    """
    reader = _reader(path, path.stat().st_mtime_ns)
    try:
        frame = reader.frame(stamp)
        pixels = _rgb(frame)
    except (OSError, ValueError) as error:
        reader.last = None
        raise DataError(f"this frame of the film is damaged ({_reason(error)})") from error
    image, chunks = Image.fromarray(pixels), PngInfo()
    aspect = reader.stream.sample_aspect_ratio
    if aspect and aspect != 1:
        image = image.resize((max(1, round(image.width * float(aspect))), image.height), Image.Resampling.LANCZOS)
    turns = round(getattr(frame, "rotation", 0) / 90) % 4  # counterclockwise, as a player shows it
    primaries, transfer = int(frame.color_primaries), int(frame.color_trc)
    if not {primaries, transfer} <= {_BT709, _UNSPECIFIED}:
        chunks.add(b"cICP", bytes([primaries, transfer, 0, 1]))  # PNG, third edition, 11.3.2.6: RGB, full range
    buffer = io.BytesIO()
    Image.fromarray(np.rot90(np.asarray(image), turns)).save(buffer, "PNG", compress_level=1, pnginfo=chunks)
    return buffer.getvalue()


def _rgb(frame: Any) -> np.ndarray:
    """Return uint8 `[H, W, 3]` in full range, by the matrix that the film states, or that players assume."""
    from av.video.reformatter import ColorRange, Interpolation

    way = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
    matrix = _matrix_of(int(frame.colorspace), frame.height, "its film")
    return frame.reformat(
        format="rgb24", src_colorspace=matrix, interpolation=way, dst_color_range=ColorRange.JPEG, threads=1
    ).to_ndarray()


def _matrix_of(stated: int, height: int, name: str) -> int:
    """Return libswscale's code of the matrix that a film states or, where it states none, players assume.

    Raises:
        DataError: the film states a matrix that is not read, such as that of YCgCo.
    """
    code = stated
    if code in (_RGB, _UNSPECIFIED):  # frames that are RGB have none
        code = _BT709 if height >= _HD_HEIGHT else _SMPTE170M
    if code not in _MATRICES:
        raise DataError(f"{name} has the color matrix {code} of ITU-T H.273, which is not read: convert it to BT.709 first")
    return _MATRICES[code]
