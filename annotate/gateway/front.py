"""Answers that need no deck: logging in and out, the pages of Label Studio and ours, media, the webhook."""

import hmac
from importlib.resources import files
from urllib.parse import parse_qs, urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from annotate.gateway import answers, media
from annotate.gateway.bodies import read_body
from annotate.gateway.deeds import Answerer, OpenAnswerer
from annotate.gateway.errors import Refused
from annotate.gateway.freshness import Freshness
from annotate.gateway.rules import Asked, Deed, decide
from annotate.gateway.sessions import LoginLimit, Person, Sessions, check_invited
from annotate.gateway.upstream import PAGE_HEADERS, Upstream, kept_headers
from annotate.home import BoardHome, Secrets

MOST_FORM_BYTES = 8 * 1024
_FORM = ("csrfmiddlewaretoken", "email", "password", "persist_session")
_SERVED = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
PLAYER_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:;"
        " connect-src 'self'; frame-ancestors 'self'; base-uri 'none'; form-action 'none'"
    ),
    "x-frame-options": "SAMEORIGIN",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "private, max-age=300",  # every pair loads the player anew
}


class Front:
    def __init__(
        self,
        *,
        home: BoardHome,
        project: int,
        secrets: Secrets,
        sessions: Sessions,
        upstream: Upstream,
        limit: LoginLimit,
        freshness: Freshness,
    ) -> None:
        self._home = home
        self._project = project
        self._secrets = secrets
        self._sessions = sessions
        self._upstream = upstream
        self._limit = limit
        self._freshness = freshness
        folder = files("annotate.gateway.pages")
        self._pages = {each.name: each.read_bytes() for each in folder.iterdir() if each.name.endswith(tuple(_SERVED))}

    def open_deeds(self) -> dict[Deed, OpenAnswerer]:
        """For anybody."""
        return {
            Deed.STATIC: self._forward,
            Deed.LOGIN_PAGE: self._forward,
            Deed.LOGIN: self._login,
            Deed.TIPS: self._no_tips,
            Deed.OWN_STATIC: self._own_static,
            Deed.WAKE: self._wake,
            Deed.ALLOWED: self._allowed,
            Deed.HEALTH: self._health,
        }

    def deeds(self) -> dict[Deed, Answerer]:
        """For those who are logged in."""
        return {
            Deed.HOME: self._to_page,
            Deed.PAGE: self._page,
            Deed.LOGOUT: self._logout,
            Deed.WHOAMI: self._whoami,
            Deed.MEDIA: self._media,
            Deed.PLAYER: self._player,
        }

    async def _forward(self, asked: Asked, request: Request) -> Response:
        return await self._upstream.forward(asked.path, request=request)

    async def _login(self, asked: Asked, request: Request) -> Response:
        """One attempt, counted; of the form only what a form of theirs has."""
        body = await read_body(request, MOST_FORM_BYTES)
        try:
            said = parse_qs(body.decode("utf-8"), keep_blank_values=True, max_num_fields=20)
        except ValueError as error:
            raise Refused(400, "this form cannot be read") from error
        form = {name: said[name][-1] for name in _FORM if name in said}
        email = form.get("email", "")
        self._limit.attempt(address=request.state.address, email=email)
        self._sessions.forget(request)
        answer = await self._upstream.ask(
            "POST",
            "/user/login/",
            request=request,
            content=urlencode(form).encode(),
            content_type="application/x-www-form-urlencoded",
        )
        if answer.status == 302:
            self._limit.succeeded(address=request.state.address, email=email)
        response = Response(answer.content, answer.status)
        response.raw_headers = [(key.lower(), value) for key, value in kept_headers(answer.headers)]
        response.headers.update(PAGE_HEADERS | {"cache-control": "no-store"})
        return response

    async def _logout(self, asked: Asked, person: Person, request: Request) -> Response:
        self._sessions.forget(request)
        answer = await self._upstream.ask("GET", "/logout/", request=request)
        response = Response(status_code=302, headers={"location": "/user/login/", "cache-control": "no-store"})
        response.raw_headers += [(key, value) for key, value in answer.headers.raw if key.lower() == b"set-cookie"]
        return response

    async def _to_page(self, asked: Asked, person: Person, request: Request) -> Response:
        location = f"/projects/{self._project}/data?labeling=1"
        return Response(status_code=302, headers={"location": location, "cache-control": "no-store"})

    async def _page(self, asked: Asked, person: Person, request: Request) -> Response:
        path = f"/projects/{self._project}/data/"
        return await self._upstream.forward(path, request=request, query="?labeling=1")

    async def _whoami(self, asked: Asked, person: Person, request: Request) -> Response:
        said = await self._upstream.ask("GET", "/api/current-user/whoami", request=request)
        return JSONResponse(answers.whoami(said.json()), headers={"cache-control": "no-store"})

    async def _no_tips(self, asked: Asked, request: Request) -> Response:
        """Label Studio would fetch them from its makers."""
        raise Refused(404, "no tips here")

    async def _media(self, asked: Asked, person: Person, request: Request) -> Response:
        self._check_media(asked, person)
        return media.file_response(self._home.media, asked.name)

    def _check_media(self, asked: Asked, person: Person) -> None:
        media.check(
            asked.name, asked.query, user=person.user, is_operator=person.is_operator, key=self._secrets.link_key
        )

    async def _player(self, asked: Asked, person: Person, request: Request) -> Response:
        return self._served("player.html")

    async def _own_static(self, asked: Asked, request: Request) -> Response:
        return self._served(asked.name)

    def _served(self, name: str) -> Response:
        if name not in self._pages:
            raise Refused(404, "no file here is called so")
        kind = _SERVED[name[name.rindex(".") :]]
        return Response(self._pages[name], media_type=kind, headers=PLAYER_HEADERS)

    async def _wake(self, asked: Asked, request: Request) -> Response:
        """The body is left unread: it might be anything."""
        said = request.headers.get("x-likeness-webhook", "").encode("latin-1")
        if not hmac.compare_digest(said, self._secrets.webhook_secret.encode()):
            raise Refused(401, "this is not the webhook's secret")
        self._freshness.wake()
        return Response(status_code=204)

    async def _health(self, asked: Asked, request: Request) -> Response:
        return Response(status_code=204 if self._freshness.is_filled else 503, headers={"cache-control": "no-store"})

    async def _allowed(self, asked: Asked, request: Request) -> Response:
        """May the front serve this by itself? See the top of `app.py`."""
        method = request.headers.get("x-original-method", "")
        path, _, query = request.headers.get("x-original-uri", "").encode("latin-1").partition(b"?")
        try:
            await self._may_serve(method, path, query, request)
        except Refused as error:
            raise Refused(401 if error.status == 401 else 403, error.reason) from error
        return Response(status_code=204)

    async def _may_serve(self, method: str, path: bytes, query: bytes, request: Request) -> None:
        try:
            original = decide(method, path, query, project=self._project)
        except Refused:
            original = None
        if original is not None and original.deed in (Deed.STATIC, Deed.OWN_STATIC):
            return
        person = await self._sessions.who(request)
        if person is None:
            raise Refused(401, "nobody is logged in here")
        check_invited(person)
        if original is not None and original.deed is Deed.MEDIA:
            self._check_media(original, person)
        elif original is not None and original.deed is Deed.PLAYER:
            return
        elif not person.is_operator:
            raise Refused(403, "this goes through the gateway")
