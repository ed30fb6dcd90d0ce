"""Requests to Label Studio, and its answers: which headers go through, which way.

No cookie jar: the transport is used directly, so that nobody's session can ever stick to somebody else's request.
"""

import json
import re
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from annotate.errors import BoardDown
from annotate.gateway.errors import Refused
from annotate.home import Connection

SESSION, CSRF = "sessionid", "csrftoken"
CONNECT_S, ANSWER_S = 5.0, 30.0
_HOP_BY_HOP = {
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
}
_PLAIN = re.compile(r"[A-Za-z0-9:._=+/-]{1,4096}").fullmatch
"""What a session or a token looks like; quoted newlines, say, do not."""
_FROM_ANNOTATORS = ("accept", "accept-language", "user-agent", "if-none-match", "if-modified-since", "x-csrftoken")
_NOT_FROM_OPERATOR = _HOP_BY_HOP | {"host", "authorization", "origin", "referer", "forwarded", "expect"}
_NOT_FROM_LABEL_STUDIO = _HOP_BY_HOP | {
    "server",
    "date",
    "content-security-policy",
    "content-security-policy-report-only",  # of theirs, it lists the hosts of analytics
    "x-frame-options",
    "referrer-policy",
    "x-content-type-options",
}
PAGE_HEADERS = {
    "x-frame-options": "SAMEORIGIN",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "content-security-policy": (
        "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline';"
        " img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; worker-src 'self' blob:;"
        " media-src 'self' blob:; frame-src 'self'; frame-ancestors 'self'; object-src 'none'; base-uri 'self';"
        " form-action 'self'"
    ),
}
"""Of Label Studio's pages: they need inline scripts and `eval`, and nothing from anywhere else."""


@dataclass(frozen=True, slots=True)
class Said:
    """A short answer of Label Studio, read whole."""

    status: int
    headers: httpx.Headers
    content: bytes

    def json(self) -> Any:
        """`BoardDown` where it is no JSON: an error page, a server that is just starting."""
        try:
            return json.loads(self.content)
        except ValueError as error:
            raise BoardDown(f"Label Studio answered {self.status} and no JSON; see its log") from error


class Upstream:
    """Label Studio, behind one pool of connections."""

    def __init__(self, connection: Connection) -> None:
        self._base = connection.label_studio.rstrip("/")
        origin = urlsplit(connection.origin)
        self._host, self._scheme = origin.netloc, origin.scheme
        self._transport = httpx.AsyncHTTPTransport(
            limits=httpx.Limits(max_connections=200, max_keepalive_connections=50, keepalive_expiry=4.0),
            trust_env=False,
        )

    async def aclose(self) -> None:
        await self._transport.aclose()

    async def ask(
        self,
        method: str,
        path: str,
        *,
        request: Request,
        query: str = "",
        content: bytes = b"",
        content_type: str = "application/json",
    ) -> Said:
        """Ask as the person who asks us. `BoardDown` where no answer comes; what was asked may have been done."""
        headers = self._headers(request)
        if content:
            headers["content-type"] = content_type
        answer = await self._send(method, quote(path) + query, headers, content)
        try:
            body = await answer.aread()
        except httpx.HTTPError as error:
            raise BoardDown(f"Label Studio broke off its answer to {method} {path} ({error!r})") from error
        finally:
            await answer.aclose()
        return Said(answer.status_code, answer.headers, body)

    async def forward(self, path: str, *, request: Request, query: str = "") -> Response:
        """A GET or HEAD for somebody who is not the operator, the answer passed through as it comes."""
        answer = await self._send(request.method, quote(path) + query, self._headers(request), b"")
        return _passed(answer)

    async def pass_through(self, request: Request) -> Response:
        """The operator's request as it is, body and all."""
        raw = request.scope["raw_path"].decode("latin-1")
        if not raw.startswith("/"):
            raise Refused(400, "a request names a path of this server")
        query = request.scope["query_string"].decode("latin-1")
        kept = {key: value for key, value in request.headers.items() if key not in _NOT_FROM_OPERATOR}
        is_sent = request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers
        answer = await self._send(
            request.method,
            raw + (f"?{query}" if query else ""),
            kept | self._addressed(request),
            request.stream() if is_sent else b"",
        )
        return _passed(answer)

    async def _send(
        self, method: str, target: str, headers: Mapping[str, str], content: bytes | AsyncIterator[bytes]
    ) -> httpx.Response:
        timeouts = {"connect": CONNECT_S, "read": ANSWER_S, "write": ANSWER_S, "pool": CONNECT_S}
        asked = httpx.Request(
            method, self._base + target, headers=headers, content=content, extensions={"timeout": timeouts}
        )
        try:
            return await self._transport.handle_async_request(asked)
        except httpx.HTTPError as error:
            raise BoardDown(f"Label Studio does not answer ({type(error).__name__}); is it up?") from error

    def _headers(self, request: Request) -> dict[str, str]:
        kept = {key: request.headers[key] for key in _FROM_ANNOTATORS if key in request.headers}
        cookies = {key: value for key, value in request.cookies.items() if key in (SESSION, CSRF) and _PLAIN(value)}
        if cookies:
            kept["cookie"] = "; ".join(f"{key}={value}" for key, value in cookies.items())
        return kept | self._addressed(request)

    def _addressed(self, request: Request) -> dict[str, str]:
        """As if the request had come straight to Label Studio under our address; the origin was checked by us."""
        return {
            "host": self._host,
            "referer": f"{self._scheme}://{self._host}/",
            "x-forwarded-host": self._host,
            "x-forwarded-proto": self._scheme,
            "x-forwarded-for": request.state.address,
        }


def kept_headers(headers: httpx.Headers) -> list[tuple[bytes, bytes]]:
    """Those of Label Studio's answer that go on to the browser; each cookie stays a header of its own."""
    return [(key, value) for key, value in headers.raw if key.decode("latin-1").lower() not in _NOT_FROM_LABEL_STUDIO]


def session_in(headers: httpx.Headers) -> str | None:
    """The session that an answer sets, if it does: Label Studio signs a new one with nearly every answer."""
    return next(iter(_sessions(headers.get_list("set-cookie"))), None)


def _sessions(lines: Iterable[str]) -> Iterable[str]:
    for line in lines:
        try:
            cookie = SimpleCookie(line)
        except CookieError:
            continue
        if SESSION in cookie and cookie[SESSION].value:
            yield cookie[SESSION].value


def _passed(answer: httpx.Response) -> StreamingResponse:
    async def body() -> AsyncIterator[bytes]:
        try:
            async for part in answer.stream:  # type: ignore[union-attr]
                yield part
        except httpx.HTTPError as error:
            raise BoardDown(f"Label Studio broke off an answer ({type(error).__name__})") from error
        finally:
            await answer.aclose()

    response = StreamingResponse(body(), status_code=answer.status_code)
    response.raw_headers = [(key.lower(), value) for key, value in kept_headers(answer.headers)]
    response.headers.update(PAGE_HEADERS)
    return response
