"""The front door over HTTP."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from artgan.errors import DataError
from artgan.studio.door import Door
from artgan.studio.intake import Intake, RefusedError, answered, pieces
from artgan.studio.worker import BusyError

_MAX_DROPPING = 16
Do = Callable[[Request, Callable[[], Any]], Awaitable[Any]]


def door_routes(door: Door, intake: Intake, do: Do) -> list[Route]:
    """Return the routes of the front door.

    Args:
        door: what is behind them.
        intake: reads bodies.
        do: queues a short task for the studio's thread, and waits.
    """
    handlers = _Handlers(door, intake, do)
    return [
        Route("/api/door", answered(handlers.door)),
        Route("/api/door/drops", answered(handlers.begin), methods=["POST"]),
        Route("/api/door/files", answered(handlers.take), methods=["POST"]),
        Route("/api/door/collections/{number:int}", answered(handlers.facts)),
        Route("/api/door/collections/{number:int}/works/{start:int}", answered(handlers.works)),
        Route("/api/door/collections/{number:int}/forecast", answered(handlers.forecast)),
        Route("/api/door/train", answered(handlers.train), methods=["POST"]),
        Route("/api/door/runs/{number:int}/stop", answered(handlers.stop), methods=["POST"]),
    ]


class _Handlers:
    def __init__(self, door: Door, intake: Intake, do: Do) -> None:
        self.intake, self.do = intake, do
        self._door = door
        self._dropping = 0

    async def door(self, request: Request) -> Response:
        return JSONResponse(await asyncio.to_thread(self._door.describe))

    async def begin(self, request: Request) -> Response:
        content = await self.intake.json(request)
        name = content.get("name")
        if not isinstance(name, str):
            raise DataError("name: expected a text")
        return JSONResponse({"drop": await asyncio.to_thread(self._door.drops.begin, name)})

    async def take(self, request: Request) -> Response:
        """Write a file as it comes: `?drop=NAME&name=FOLDER/FILE`."""
        drop, name = request.query_params.get("drop", ""), request.query_params.get("name", "")
        if not name or len(name) > 2000:
            raise RefusedError(400, "name: expected the file's name, with its folders")
        if self._dropping >= _MAX_DROPPING:
            raise BusyError
        self._dropping += 1
        try:
            content = pieces(request, self._door.drops.limit_of(name))
            return JSONResponse({"name": await self._door.drops.take(drop, name, content)})
        finally:
            self._dropping -= 1

    async def facts(self, request: Request) -> Response:
        return JSONResponse(await self.do(request, lambda: self._door.facts(request.path_params["number"])))

    async def works(self, request: Request) -> Response:
        number, start = request.path_params["number"], request.path_params["start"]
        return JSONResponse(await self.do(request, lambda: self._door.works(number, start)))

    async def forecast(self, request: Request) -> Response:
        return JSONResponse(await self.do(request, lambda: self._door.forecast(request.path_params["number"])))

    async def train(self, request: Request) -> Response:
        content = await self.intake.json(request)
        return JSONResponse(await self.do(request, lambda: self._door.train(content)), 202)

    async def stop(self, request: Request) -> Response:
        await asyncio.to_thread(self._door.stop, request.path_params["number"])
        return JSONResponse({}, 202)
