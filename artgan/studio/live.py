"""The live picture of a studio: one point, set by controllers or by the page, and shown as a stream of frames.

A controller says what changes; frames are made of the newest point alone, so however fast it speaks, at most one waits.
"""

import io
import math
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from PIL import Image

from artgan.errors import ArtganError, DataError
from artgan.generation.point import Point, point_from

MAX_FPS = 30
MAX_WATCHERS = 4
MAX_SIDE_PX = 1024
BOUNDARY = "frame"
MEDIA_TYPE = f"multipart/x-mixed-replace; boundary={BOUNDARY}"
_MAX_MOVES = 64
_STILL_SECONDS = 1.0  # a picture that stays is sent again, so that a player that joined has one
_QUALITY = 90


@dataclass(frozen=True)
class Shown:
    """What is to be seen: a model by its index, a point, and a number that grows with every change."""

    model: int
    point: Point
    change: int


class Live:
    """The live picture; controllers change it from any thread.

    Attributes:
        refused: why the last order was not followed, for people; empty when it was.
        ended: whether the studio is closing, so that streams end.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shown = self._good = Shown(0, Point(), 0)
        self.refused = ""
        self.ended: Callable[[], bool] = lambda: False

    @property
    def shown(self) -> Shown:
        return self._shown

    def show(self, model: Any, content: Any) -> None:
        """Show a point that the page sends.

        Raises:
            DataError: it is none.
        """
        if isinstance(model, bool) or not isinstance(model, int) or model < 0:
            raise DataError(f"model: expected a whole number from 0 on, got {str(model)[:40]}")
        self._set(model, point_from(content))

    def order(self, address: str, values: Sequence[Any]) -> None:
        """Follow one order of a controller; what cannot be followed is kept in `refused`, and nothing changes.

        Orders are `/artgan/seed 12`, `/artgan/truncation 0.7`, `/artgan/centers 8`, `/artgan/noise 3`, `/artgan/class 2 0.5`
        (a label and its weight), `/artgan/move/pca-1 1.5`, `/artgan/toward 40 0.25` (a seed and how far), `/artgan/model 1` and
        `/artgan/reset`. Numbers may come as floats, as most controllers send them.
        """
        try:
            self._follow(address, values)
            self.refused = ""
        except DataError as error:
            self.refused = f"{address[:60]}: {error}"

    def _follow(self, address: str, values: Sequence[Any]) -> None:
        root, _, rest = address.removeprefix("/").partition("/")
        name, _, part = rest.partition("/")
        if root != "artgan" or len(address) > 100:
            raise DataError("no such order; see artgan studio --help")
        with self._lock:
            model, content = self._shown.model, self._shown.point.as_dict()
        if name == "model":
            model = _whole(values, 0)
        elif name == "reset":
            content = {"seed": content.get("seed", 0)}
        elif name in ("seed", "centers", "noise"):
            content[name] = _whole(values, 0)
        elif name == "truncation":
            content["truncation"] = _number(values, 0)
        elif name == "toward":
            own = {key: value for key, value in content.items() if key not in ("toward", "amount")}
            content |= {"toward": own | {"seed": _whole(values, 0)}, "amount": _number(values, 1)}
        elif name == "class":
            content["classes"] = _replaced(content.get("classes", []), _whole(values, 0), _number(values, 1))
        elif name == "move" and part:
            content["moves"] = _replaced(content.get("moves", []), part, _number(values, 0))
        else:
            raise DataError("no such order; see artgan studio --help")
        self._set(model, point_from(content))

    def _set(self, model: int, point: Point) -> None:
        with self._lock:
            self._shown = Shown(model, point, self._shown.change + 1)

    def failed(self, shown: Shown, error: ArtganError) -> None:
        """Go back to the last picture that could be made, unless something newer is wanted by now."""
        with self._lock:
            self.refused = str(error)
            if self._shown.change == shown.change:
                self._shown = Shown(self._good.model, self._good.point, shown.change + 1)

    def made(self, shown: Shown) -> None:
        """Remember what could be made."""
        self._good = shown


def _replaced(pairs: Sequence[Sequence[Any]], key: Any, value: float) -> list[list[Any]]:
    kept = [[name, amount] for name, amount in pairs if name != key]
    if len(kept) >= _MAX_MOVES:
        raise DataError(f"more than {_MAX_MOVES} at once; /artgan/reset clears them")
    return [*kept, [key, value]] if value else kept


def _number(values: Sequence[Any], place: int) -> float:
    value = values[place] if place < len(values) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise DataError(f"expected a number in place {place + 1}, got {str(value)[:40]}")
    return float(value)


def _whole(values: Sequence[Any], place: int) -> int:
    return round(_number(values, place))


class Stream:
    """Frames of a live picture as parts of one endless answer, each a JPEG; a frame is made once for all who watch.

    Args:
        live: what to show.
        pixels: makes the picture of a model's index and a point; called in the studio's own thread.
        queue: gives work to that thread.
    """

    def __init__(
        self, live: Live, pixels: Callable[[int, Point], np.ndarray], queue: Callable[[Callable[[], bytes]], "Future[bytes]"]
    ) -> None:
        self.live = live
        self.watchers = 0
        self._pixels = pixels
        self._queue = queue
        self._made: tuple[int, int] | None = None
        self._frame = b""

    async def parts(self, side_px: int) -> AsyncIterator[bytes]:
        """Yield the parts of an answer: a frame whenever the point has changed, and from time to time when it has not.

        Args:
            side_px: the longer side; 0 leaves pictures at the model's size.
        """
        import asyncio

        from artgan.studio.worker import BusyError

        self.watchers += 1
        sent, since = -1, 0.0
        try:
            while not self.live.ended():
                shown = self.live.shown
                if shown.change != sent or since >= _STILL_SECONDS:
                    try:
                        frame = await asyncio.wrap_future(self._queue(partial(self._jpeg, shown, side_px)))
                    except BusyError:
                        frame = b""
                    if frame:
                        sent, since = shown.change, 0.0
                        head = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(frame)}\r\n\r\n"
                        yield head.encode() + frame + b"\r\n"
                await asyncio.sleep(1 / MAX_FPS)
                since += 1 / MAX_FPS
        finally:
            self.watchers -= 1

    def _jpeg(self, shown: Shown, side_px: int) -> bytes:
        """Return a frame, or nothing where this point cannot be made."""
        if self._made == (shown.change, side_px):
            return self._frame
        try:
            image = Image.fromarray(self._pixels(shown.model, shown.point))
        except ArtganError as error:
            self.live.failed(shown, error)
            return b""
        if side_px:
            factor = side_px / max(image.size)
            size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
            image = image.resize(size, Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=_QUALITY, subsampling=0)
        self.live.made(shown)
        self._made, self._frame = (shown.change, side_px), buffer.getvalue()
        return self._frame
