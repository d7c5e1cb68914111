"""The studio over HTTP: small routes on a `Session`, behind one guard.

Nothing in a request becomes a path. The page's files are read once, at start. Bodies are capped before they are read, work is
queued before it is done, and every answer carries a policy under which the page can load nothing from elsewhere.
"""

import asyncio
import base64
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Future
from importlib import resources
from typing import Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from artgan.errors import ArtganError, DataError
from artgan.studio.guard import Guard
from artgan.studio.live import MAX_SIDE_PX, MAX_WATCHERS, MEDIA_TYPE, Live, Stream
from artgan.studio.session import File, Session
from artgan.studio.worker import BusyError, Job, Worker

MAX_JSON_BYTES = 2 << 20
MAX_UPLOAD_BYTES = 48 << 20
_RETRY_SECONDS = "1"
_STATIC = {
    "style.css": "text/css",
    "app.js": "text/javascript",
    "api.js": "text/javascript",
    "controls.js": "text/javascript",
    "explore.js": "text/javascript",
    "journey.js": "text/javascript",
    "refine.js": "text/javascript",
    "watch.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
_log = logging.getLogger(__name__)
Handler = Callable[[Request], Awaitable[Response]]


class RefusedError(Exception):
    """A request that cannot be served: status and a line for the page."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def build_app(session: Session, guard: Callable[..., Guard] | None = None, live: Live | None = None) -> Starlette:
    """Return the application.

    Args:
        session: what the studio can do.
        guard: wraps it in checks of host, origin and token; None leaves them out, for callers that bring their own.
        live: a live picture to show as a stream; None has none.
    """
    worker = Worker()
    stream = None if live is None else Stream(live, session.pixels, worker.render)
    routes = _routes(_Api(session, worker, stream))

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        worker.close()

    app = Starlette(routes=routes, lifespan=lifespan)
    if guard is not None:
        app.add_middleware(guard)
    return app


def _routes(api: "_Api") -> list[Route]:
    folder = resources.files("artgan.studio").joinpath("static")
    page = folder.joinpath("index.html").read_bytes()
    live_html = folder.joinpath("live.html").read_bytes()
    files = {name: folder.joinpath(name).read_bytes() for name in _STATIC}

    async def index(request: Request) -> Response:
        return Response(page, media_type="text/html")

    async def live_page(request: Request) -> Response:
        return Response(live_html, media_type="text/html")

    async def static(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in files:
            raise RefusedError(404, "no such file")
        return Response(files[name], media_type=_STATIC[name])

    live = [
        Route("/live", _answered(live_page)),
        Route("/live.mjpg", _answered(api.live_frames)),
        Route("/api/live", _answered(api.live), methods=["POST"]),
    ]
    return [
        *(live if api.stream is not None else ()),
        Route("/", _answered(index)),
        Route("/static/{name}", _answered(static)),
        Route("/api/studio", _answered(api.studio)),
        Route("/api/models/{number:int}", _answered(api.model)),
        Route("/api/render", _answered(api.render), methods=["POST"]),
        Route("/api/export", _answered(api.export), methods=["POST"]),
        Route("/api/uploads", _answered(api.upload), methods=["POST"]),
        Route("/api/uploads/{number:int}", _answered(api.uploaded)),
        Route("/api/jobs", _answered(api.start), methods=["POST"]),
        Route("/api/jobs/{number:int}", _answered(api.job), methods=["GET", "DELETE"]),
        Route("/api/jobs/{number:int}/file", _answered(api.file)),
        Route("/api/runs/{number:int}", _answered(api.run)),
        Route("/api/runs/{number:int}/sheets/{sheet:int}", _answered(api.sheet)),
    ]


def _answered(handler: Handler) -> Handler:
    """Turn every failure into a status and one line of JSON."""

    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except RefusedError as error:
            # What is left of a body that is too long is not read: the connection ends.
            left = {"Connection": "close"} if error.status == 413 else None
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


class _Api:
    """The handlers."""

    def __init__(self, session: Session, worker: Worker, stream: Stream | None) -> None:
        self.session = session
        self.worker = worker
        self.stream = stream

    async def studio(self, request: Request) -> Response:
        return JSONResponse(self.session.describe() | {"live": self.stream is not None})

    async def live(self, request: Request) -> Response:
        assert self.stream is not None
        content = await _json(request)
        self.stream.live.show(content.get("model"), content.get("point"))
        return JSONResponse({"refused": self.stream.live.refused})

    async def live_frames(self, request: Request) -> Response:
        assert self.stream is not None
        size = request.query_params.get("size")
        if size is not None and not (size.isdecimal() and len(size) < 6 and 16 <= int(size) <= MAX_SIDE_PX):
            raise RefusedError(400, f"size: expected a number of pixels from 16 to {MAX_SIDE_PX}")
        if self.stream.watchers >= MAX_WATCHERS:
            raise RefusedError(503, f"{MAX_WATCHERS} players are watching already")
        return StreamingResponse(self.stream.parts(int(size or 0)), media_type=MEDIA_TYPE)

    async def model(self, request: Request) -> Response:
        return JSONResponse(await self._do(request, lambda: self.session.model_facts(request.path_params["number"])))

    async def render(self, request: Request) -> Response:
        content = await _json(request)
        pictures = await self._do(request, lambda: self.session.pictures(content.get("model"), content.get("points")))
        return JSONResponse({"pictures": [base64.b64encode(data).decode() for data in pictures]})

    async def export(self, request: Request) -> Response:
        content = await _json(request)
        given = (content.get("model"), content.get("point"), content.get("format", "png"))
        return _download(await self._do(request, lambda: self.session.export(*given)))

    async def upload(self, request: Request) -> Response:
        data = await _body(request, MAX_UPLOAD_BYTES)
        return JSONResponse(await self._do(request, lambda: self.session.upload(data)))

    async def uploaded(self, request: Request) -> Response:
        data = await self._do(request, lambda: self.session.uploaded_png(request.path_params["number"]))
        return Response(data, media_type="image/png")

    async def start(self, request: Request) -> Response:
        content = await _json(request)
        kinds = {"refine": self.session.refine, "film": self.session.film, "project": self.session.project}
        kind = content.get("kind")
        if not isinstance(kind, str) or kind not in kinds:
            raise DataError(f"kind: expected one of {', '.join(kinds)}")
        work = kinds[kind]
        return JSONResponse({"job": self.worker.start(lambda listen: work(content, listen))}, 202)

    async def job(self, request: Request) -> Response:
        job = self._job(request)
        if request.method == "DELETE":
            self.worker.cancel(request.path_params["number"])
        described = job.described()
        if job.state == "done" and not isinstance(job.result, File):
            described["result"] = job.result
        return JSONResponse(described)

    async def file(self, request: Request) -> Response:
        job = self._job(request)
        if job.state != "done" or not isinstance(job.result, File):
            raise RefusedError(404, "this job has no file, or not yet")
        return _download(job.result)

    async def run(self, request: Request) -> Response:
        watch = self._watch(request)
        return JSONResponse(await asyncio.to_thread(watch.facts))

    async def sheet(self, request: Request) -> Response:
        watch = self._watch(request)
        data = await asyncio.to_thread(watch.sheet, request.path_params["sheet"])
        return Response(data, media_type="image/png")

    def _watch(self, request: Request) -> Any:
        number = request.path_params["number"]
        if number >= len(self.session.watches):
            raise RefusedError(404, "no such run")
        return self.session.watches[number]

    def _job(self, request: Request) -> Job:
        job = self.worker.job(request.path_params["number"])
        if job is None:
            raise RefusedError(404, "no such job, or no longer")
        return job

    async def _do(self, request: Request, work: Callable[[], Any]) -> Any:
        """Queue a short task and wait; a browser that has left takes its task with it."""
        future: Future = self.worker.render(work)
        waiting = asyncio.wrap_future(future)
        while not waiting.done():
            await asyncio.wait([waiting], timeout=0.5)
            if not waiting.done() and await request.is_disconnected():
                waiting.cancel()
                raise ClientDisconnect
        return waiting.result()


def _download(file: File) -> Response:
    return Response(
        file.data, media_type=file.media_type, headers={"Content-Disposition": f'attachment; filename="{file.name}"'}
    )


async def _json(request: Request) -> dict[str, Any]:
    data = await _body(request, MAX_JSON_BYTES)
    if request.headers.get("content-type", "").split(";")[0].strip() != "application/json":
        raise RefusedError(415, "expected application/json")
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        raise RefusedError(400, "expected JSON") from None
    if not isinstance(content, dict):
        raise RefusedError(400, "expected a JSON object")
    return content


async def _body(request: Request, limit: int) -> bytes:
    """Read a body of up to `limit` bytes; of a longer one, no more than that is ever held."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:20]) > limit:
        raise RefusedError(413, f"up to {limit / 1e6:.0f} MB, please")
    parts, total = [], 0
    async for part in request.stream():
        total += len(part)
        if total > limit:
            raise RefusedError(413, f"up to {limit / 1e6:.0f} MB, please")
        parts.append(part)
    return b"".join(parts)
