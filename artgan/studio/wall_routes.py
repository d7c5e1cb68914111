"""The wall over HTTP."""

import asyncio
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from artgan.studio.intake import RefusedError, answered
from artgan.studio.wall import Root, Wall


def wall_routes(wall: Wall, roots: Callable[[], list[Root]]) -> list[Route]:
    """Return the routes of a wall.

    Args:
        wall: what is behind them.
        roots: says where it looks now.
    """

    async def page(request: Request) -> Response:
        def read() -> dict[str, Any]:
            return wall.page(roots(), request.path_params["start"])

        return JSONResponse(await asyncio.to_thread(read))

    async def picture(request: Request) -> Response:
        size = request.path_params["size"]
        if size not in ("small", "large"):
            raise RefusedError(404, "a picture is small or large")
        data = await asyncio.to_thread(wall.picture, request.path_params["name"], small=size == "small")
        return Response(data, media_type="image/jpeg" if size == "small" else "image/png")

    async def file(request: Request) -> Response:
        path, media_type = await asyncio.to_thread(wall.file, request.path_params["name"])
        return FileResponse(path, media_type=media_type, filename=path.name)

    return [
        Route("/api/wall/{start:int}", answered(page)),
        Route("/api/wall/{name}/file", answered(file)),
        Route("/api/wall/{name}/{size}", answered(picture)),
    ]
