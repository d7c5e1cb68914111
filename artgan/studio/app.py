"""The studio over HTTP: small routes on a `Session`, behind one guard.

Nothing in a request becomes a path. The page's files are read once, at start. Bodies are capped before they are read, work is
queued before it is done, and every answer carries a policy under which the page can load nothing from elsewhere.
"""

import asyncio
import base64
import contextlib
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from importlib import resources
from typing import Any
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from artgan.errors import DataError
from artgan.studio.door_routes import door_routes
from artgan.studio.guard import Guard
from artgan.studio.intake import Intake, RefusedError, answered
from artgan.studio.live import MAX_SIDE_PX, MAX_WATCHERS, MEDIA_TYPE, Live, Stream
from artgan.studio.session import File, Session
from artgan.studio.wall_routes import wall_routes
from artgan.studio.worker import Job, Worker

MAX_UPLOAD_BYTES = 48 << 20
_STATIC = {
    "style.css": "text/css",
    "app.js": "text/javascript",
    "api.js": "text/javascript",
    "blend.js": "text/javascript",
    "compare.js": "text/javascript",
    "controls.js": "text/javascript",
    "door.js": "text/javascript",
    "door.css": "text/css",
    "drop.js": "text/javascript",
    "explore.js": "text/javascript",
    "history.js": "text/javascript",
    "journey.js": "text/javascript",
    "kept.css": "text/css",
    "kept.js": "text/javascript",
    "mix.js": "text/javascript",
    "naming.js": "text/javascript",
    "refine.js": "text/javascript",
    "tiles.js": "text/javascript",
    "view.css": "text/css",
    "view.js": "text/javascript",
    "wall.css": "text/css",
    "wall.js": "text/javascript",
    "watch.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}


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
        if session.door is not None:
            session.door.close()

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
        Route("/live", answered(live_page)),
        Route("/live.mjpg", answered(api.live_frames)),
        Route("/api/live", answered(api.live), methods=["POST"]),
    ]
    door = api.session.door
    return [
        *(live if api.stream is not None else ()),
        *(door_routes(door, api.intake, api.do) if door is not None else ()),
        *wall_routes(api.session.wall, api.session.wall_roots),
        Route("/", answered(index)),
        Route("/static/{name}", answered(static)),
        Route("/api/studio", answered(api.studio)),
        Route("/api/models/{number:int}", answered(api.model)),
        Route("/api/models/of/{hash}", answered(api.place)),
        Route("/api/models/{number:int}/bands", answered(api.bands)),
        Route("/api/models/{number:int}/directions", answered(api.name_direction), methods=["POST"]),
        Route("/api/models/{number:int}/kept", answered(api.kept)),
        Route("/api/models/{number:int}/kept", answered(api.keep), methods=["POST"]),
        Route("/api/render", answered(api.render), methods=["POST"]),
        Route("/api/export", answered(api.export), methods=["POST"]),
        Route("/api/recipe", answered(api.recipe), methods=["POST"]),
        Route("/api/uploads", answered(api.upload), methods=["POST"]),
        Route("/api/uploads/{number:int}", answered(api.uploaded)),
        Route("/api/jobs", answered(api.start), methods=["POST"]),
        Route("/api/jobs/{number:int}", answered(api.job), methods=["GET", "DELETE"]),
        Route("/api/jobs/{number:int}/file", answered(api.file)),
        Route("/api/runs/{number:int}", answered(api.run)),
        Route("/api/runs/{number:int}/sheets/{sheet:int}", answered(api.sheet)),
    ]


class _Api:
    """The handlers."""

    def __init__(self, session: Session, worker: Worker, stream: Stream | None) -> None:
        self.session = session
        self.worker = worker
        self.stream = stream
        self.intake = Intake()

    async def studio(self, request: Request) -> Response:
        return JSONResponse(self.session.describe() | {"live": self.stream is not None})

    async def live(self, request: Request) -> Response:
        assert self.stream is not None
        content = await self.intake.json(request)
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
        return JSONResponse(await self.do(request, lambda: self.session.model_facts(request.path_params["number"])))

    async def place(self, request: Request) -> Response:
        model_hash = request.path_params["hash"]
        return JSONResponse({"place": await self.do(request, lambda: self.session.place_of(model_hash))})

    async def bands(self, request: Request) -> Response:
        number = request.path_params["number"]
        return JSONResponse({"bands": await self.do(request, lambda: self.session.bands(number))})

    async def name_direction(self, request: Request) -> Response:
        content = await self.intake.json(request)
        number = request.path_params["number"]
        return JSONResponse(await self.do(request, lambda: self.session.name_direction(number, content)))

    async def kept(self, request: Request) -> Response:
        session, number = self.session, request.path_params["number"]
        return JSONResponse(await self.do(request, lambda: session.shelf.facts(session.model(number))))

    async def keep(self, request: Request) -> Response:
        content = await self.intake.json(request)
        session, number = self.session, request.path_params["number"]
        return JSONResponse(await self.do(request, lambda: session.shelf.change(session.model(number), content)))

    async def render(self, request: Request) -> Response:
        content = await self.intake.json(request)
        left = threading.Event()
        wanted = (content.get("model"), content.get("points"), lambda: not left.is_set())
        try:
            pictures = await self.do(request, lambda: self.session.pictures(*wanted))
        except ClientDisconnect:
            left.set()  # what is being made for nobody ends at its next picture
            raise
        return JSONResponse({"pictures": [base64.b64encode(data).decode() for data in pictures]})

    async def export(self, request: Request) -> Response:
        content = await self.intake.json(request)
        given = (content.get("model"), content.get("point"), content.get("format", "png"), content.get("size"))
        return _download(await self.do(request, lambda: self.session.export(*given)))

    async def upload(self, request: Request) -> Response:
        async with self.intake.body(request, MAX_UPLOAD_BYTES) as data:
            return JSONResponse(await self.do(request, lambda: self.session.uploads.take(data)))

    async def recipe(self, request: Request) -> Response:
        async with self.intake.body(request, MAX_UPLOAD_BYTES) as data:
            return JSONResponse(await self.do(request, lambda: self.session.recipe(data)))

    async def uploaded(self, request: Request) -> Response:
        data = await self.do(request, lambda: self.session.uploads.png(request.path_params["number"]))
        return Response(data, media_type="image/png")

    async def start(self, request: Request) -> Response:
        content = await self.intake.json(request)
        kinds: dict[str, Callable[..., Any]] = {
            "refine": self.session.refine,
            "film": self.session.film,
            "project": self.session.project,
            "mix-models": self.session.mix,
            "export-kept": self.session.kept_archive,
        }
        if self.session.door is not None:
            door = self.session.door
            kinds |= {
                "prepare": door.prepare,
                "leave-out": lambda content, listen: door.leave_out(content),
            }
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
        if job.state == "done":
            described["result"] = {"note": job.result.note} if isinstance(job.result, File) else job.result
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

    async def do(self, request: Request, work: Callable[[], Any]) -> Any:
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
    said = {"Artgan-Note": quote(file.note)} if file.note else {}
    headers = {"Content-Disposition": f'attachment; filename="{file.name}"'} | said
    return Response(file.data, media_type=file.media_type, headers=headers)
