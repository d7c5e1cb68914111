"""Requests as they come in: bodies bounded in size, in time and in what all of them hold; failures as one line for the page."""

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from artgan.errors import ArtganError
from artgan.studio.worker import BusyError

MAX_JSON_BYTES = 2 << 20
MAX_HELD_BYTES = 256 << 20
SILENCE_SECONDS = 15.0
_GRACE_SECONDS = 30.0
_SLOWEST_BYTES_PER_SECOND = 16 << 10
_RETRY_SECONDS = "1"
_log = logging.getLogger(__name__)
Handler = Callable[[Request], Awaitable[Response]]


class RefusedError(Exception):
    """A request that cannot be served: status and a line for the page."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def answered(handler: Handler) -> Handler:
    """Turn every failure into a status and one line of JSON."""

    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except RefusedError as error:
            # What is left of a body that is too long or too slow is not read: the connection ends.
            left = {"Connection": "close"} if error.status in (408, 413) else None
            return JSONResponse({"error": str(error)}, error.status, left)
        except BusyError:
            busy = {"error": "the studio is busy; try again in a moment"}
            return JSONResponse(busy, 503, {"Retry-After": _RETRY_SECONDS})
        except ArtganError as error:
            return JSONResponse({"error": str(error)}, 422)
        except (ClientDisconnect, asyncio.CancelledError):
            return Response(status_code=499)
        except Exception:
            _log.exception("the studio failed on %s", request.url.path)
            return JSONResponse({"error": "the studio failed on this; its terminal says why"}, 500)

    return answer


class Intake:
    """Reads bodies; what all of them hold in memory at a time stays under `MAX_HELD_BYTES`."""

    def __init__(self) -> None:
        self._held = 0

    async def json(self, request: Request) -> dict[str, Any]:
        """Return a body that is a JSON object."""
        async with self.body(request, MAX_JSON_BYTES) as data:
            pass
        if request.headers.get("content-type", "").split(";")[0].strip() != "application/json":
            raise RefusedError(415, "expected application/json")
        try:
            content = json.loads(data)
        except (ValueError, RecursionError):
            raise RefusedError(400, "expected JSON") from None
        if not isinstance(content, dict):
            raise RefusedError(400, "expected a JSON object")
        return content

    @contextlib.asynccontextmanager
    async def body(self, request: Request, limit: int) -> AsyncIterator[bytes]:
        """Yield a body of up to `limit` bytes, and count it as held until the block ends; of a longer one, no more is read.

        Raises:
            RefusedError: it is longer, or too slow.
            BusyError: others hold too much.
        """
        parts: list[bytes] = []
        total = 0
        try:
            async for part in pieces(request, limit):
                total += len(part)
                self._held += len(part)
                if self._held > MAX_HELD_BYTES:
                    raise BusyError
                parts.append(part)
            yield b"".join(parts)
        finally:
            self._held -= total


async def pieces(request: Request, limit: int) -> AsyncIterator[bytes]:
    """Yield a body as it comes, up to `limit` bytes of it.

    Raises:
        RefusedError: it is longer, falls silent, or comes at a crawl.
    """
    declared = request.headers.get("content-length", "")
    too_long = RefusedError(413, f"up to {limit / 1e6:.0f} MB, please")
    if declared.isdecimal() and int(declared[:20]) > limit:
        raise too_long
    clock = asyncio.get_running_loop().time
    started, total = clock(), 0
    stream = aiter(request.stream())
    while True:
        left = _GRACE_SECONDS + total / _SLOWEST_BYTES_PER_SECOND - (clock() - started)
        try:
            async with asyncio.timeout(min(SILENCE_SECONDS, left)):
                part = await anext(stream, None)
        except TimeoutError:
            raise RefusedError(408, "what you send comes too slowly; try again") from None
        if part is None:
            return
        total += len(part)
        if total > limit:
            raise too_long
        yield part
