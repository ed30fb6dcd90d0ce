"""A small real site for the player's tests: its pages, clips with Range, slow ones too, and Label Studio behind it."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.served import free_port

PAGES = Path(str(files("annotate.gateway") / "pages"))
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; connect-src 'self'; "
    "frame-ancestors 'self'"
)
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"]
_OF_ONE_HOP = {"transfer-encoding", "connection", "content-encoding", "content-length", "host"}


@dataclass(slots=True)
class Site:
    """Where it answers, and what it does with its clips."""

    media: Path
    label_studio: str | None = None
    origin: str = ""
    bytes_per_s: dict[str, float] = field(default_factory=dict)
    """Clips that are sent slowly, or not at all (0); may be changed while one is under way."""
    seen: list[str] = field(default_factory=list)

    def clip(self, name: str) -> str:
        return f"/likeness/media/{name}"


@contextmanager
def serving(site: Site) -> Iterator[Site]:
    """The site, while the block runs."""
    port = free_port()
    site.origin = f"http://127.0.0.1:{port}"
    config = uvicorn.Config(_app(site), host="127.0.0.1", port=port, log_level="warning", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started:
        assert time.monotonic() < deadline, "the site did not start"
        time.sleep(0.02)
    try:
        yield site
    finally:
        server.should_exit = server.force_exit = True
        thread.join(10)


def _app(site: Site) -> Starlette:
    async def player(request: Request) -> Response:
        return FileResponse(PAGES / "player.html", headers={"Content-Security-Policy": POLICY})

    async def static(request: Request) -> Response:
        return FileResponse(PAGES / request.path_params["name"])

    async def progress(request: Request) -> Response:
        return JSONResponse({"num_done": 17, "num_open": 43})

    async def media(request: Request) -> Response:
        name = request.path_params["name"]
        site.seen.append(name)
        path = site.media / name
        if not path.is_file():
            return Response(status_code=404)
        return _slowly(request, path, site, name) if name in site.bytes_per_s else FileResponse(path)

    async def behind(request: Request) -> Response:
        if site.label_studio is None or request.url.path == "/heidi-tips":
            return Response(status_code=404)
        return await _forwarded(request, site.label_studio)

    routes = [
        Route("/likeness/player", player),
        Route("/likeness/static/{name}", static),
        Route("/likeness/progress", progress),
        Route("/likeness/media/{name}", media),
        Route("/{rest:path}", behind, methods=METHODS),
    ]
    return Starlette(routes=routes)


def _slowly(request: Request, path: Path, site: Site, name: str) -> Response:
    content = path.read_bytes()
    first = int(request.headers.get("range", "bytes=0-").removeprefix("bytes=").split("-")[0])

    async def body() -> AsyncIterator[bytes]:
        sent = first
        while sent < len(content):
            if piece := int(site.bytes_per_s[name] / 20):
                yield content[sent : sent + piece]
                sent += piece
            await asyncio.sleep(0.05)

    headers = {
        "Content-Range": f"bytes {first}-{len(content) - 1}/{len(content)}",
        "Content-Length": str(len(content) - first),
        "Accept-Ranges": "bytes",
    }
    return StreamingResponse(body(), 206, headers, "video/mp4")


async def _forwarded(request: Request, label_studio: str) -> Response:
    headers = {name: value for name, value in request.headers.items() if name not in _OF_ONE_HOP}
    host = request.headers["host"]
    async with httpx.AsyncClient(base_url=label_studio, timeout=60) as client:
        query = f"?{request.url.query}" if request.url.query else ""
        answer = await client.request(
            request.method,
            request.url.path + query,
            headers={**headers, "Host": host, "X-Forwarded-Host": host},
            content=await request.body(),
        )
    response = Response(answer.content, answer.status_code)
    kept = [(n, v) for n, v in answer.headers.multi_items() if n.lower() not in _OF_ONE_HOP]
    response.raw_headers.extend((name.lower().encode(), value.encode("latin-1")) for name, value in kept)
    return response
