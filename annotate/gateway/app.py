"""The gateway: the only thing annotators reach. It stands before Label Studio on one origin.

What is done with a request is decided by `rules.decide` alone. The operator's session passes everything through to
Label Studio, but for the gateway's own paths. One process: the deck is in its memory, rebuilt from the board at a
start.

The gateway's own paths:

- `GET /likeness/media/NAME?u&e&s`: a published file, whole or in ranges (200, 206, 416). 401 without session, 403 with
  a link that is forged, over, or somebody else's, 404 where no such file is.
- `GET /likeness/player`, `/likeness/static/NAME`: the player.
- `GET /likeness/progress`: `{"num_done", "num_open"}` of the person.
- `POST /likeness/wake`: Label Studio's webhook. 401 unless the header `X-Likeness-Webhook` is the secret; else 204,
  `home.wake` is touched and the deck refreshed. The body is neither read nor believed.
- `GET /likeness/health`: 204 once the deck is filled, 503 before.
- `GET /likeness/allowed`: for nginx's `auth_request`. `X-Original-Method` and `X-Original-URI` (path and query as the
  browser sent them; nginx's $request_method and $request_uri) say what nginx is about to serve BY ITSELF, the cookies
  say who asks. 204: serve it. 401: nobody is logged in. 403: no. It says 204 only of Label Studio's static files
  (/static/, /react-app/, /dm/, ...: no session needed), of ours (/likeness/static/, /likeness/player), of media with
  a session and a link that are good; nginx then serves `home.media/NAME`. Everything else, votes above all, is 403
  there: nginx has to hand it to the gateway, which checks, rewrites and answers. Of the operator's session it says 204
  to every path that is Label Studio's own. So a front needs: `location /likeness/media/` with `auth_request` and
  `alias home.media`, the static locations, and `location /` to the gateway, with `X-Forwarded-For` SET (not appended)
  to the client's address, and the gateway started with `--behind-proxy`.
"""

import asyncio
import contextlib
import html
import logging
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from annotate.board import PairBoard
from annotate.dealing.deck import Deck
from annotate.errors import AnnotateError, BoardDown, NotDealt
from annotate.gateway.deeds import Answerer, OpenAnswerer
from annotate.gateway.desk import Desk
from annotate.gateway.errors import Refused
from annotate.gateway.freshness import Freshness
from annotate.gateway.front import Front
from annotate.gateway.origin import check_origin
from annotate.gateway.rules import OPEN, OWN, Asked, Deed, decide
from annotate.gateway.sessions import LoginLimit, Sessions, check_invited
from annotate.gateway.upstream import Upstream
from annotate.gateway.voting import Voting
from annotate.home import BoardHome

log = logging.getLogger(__name__)

_NO_STORE = {"cache-control": "no-store", "x-content-type-options": "nosniff", "referrer-policy": "same-origin"}


class Gateway:
    """Decides, finds out who asks, and hands over to whoever answers."""

    def __init__(
        self,
        *,
        project: int,
        origin: str,
        is_behind_proxy: bool,
        sessions: Sessions,
        upstream: Upstream,
        front: Front,
        desk: Desk,
    ) -> None:
        self._project = project
        self._origin = origin
        self._is_behind_proxy = is_behind_proxy
        self._sessions = sessions
        self._upstream = upstream
        self._open: dict[Deed, OpenAnswerer] = front.open_deeds()
        self._deeds: dict[Deed, Answerer] = front.deeds() | desk.deeds()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        response = await self._guarded(Request(scope, receive))
        with contextlib.suppress(BoardDown):
            await response(scope, receive, send)

    async def _guarded(self, request: Request) -> Response:
        """Every error as an answer with its reason."""
        try:
            return await self._answer(request)
        except Refused as error:
            if request.headers.get("sec-fetch-dest") == "document":
                return _refused_page(error)
            return refusal(error.status, error.reason, error.headers)
        except NotDealt as error:
            return refusal(403, str(error))
        except ClientDisconnect:
            return Response(status_code=400)
        except AnnotateError as error:
            log.warning("%s %s: %s", request.method, request.url.path, error)
            return refusal(502, str(error), {"retry-after": "2"})

    async def _answer(self, request: Request) -> Response:
        request.state.address = self._address(request)
        try:
            asked = decide(
                request.method,
                request.scope["raw_path"],
                request.scope["query_string"],
                project=self._project,
            )
        except Refused as error:
            return await self._beyond_the_table(request, error)
        check_origin(request, self._origin, asked.deed)
        if asked.deed in OPEN:
            return await self._open[asked.deed](asked, request)
        person = await self._sessions.who(request)
        if person is None:
            return _to_login(asked)
        if person.is_operator and asked.deed not in OWN:
            return await self._upstream.pass_through(request)
        if asked.deed is not Deed.LOGOUT:
            check_invited(person)
        return await self._deeds[asked.deed](asked, person, request)

    async def _beyond_the_table(self, request: Request, error: Refused) -> Response:
        """Nothing for annotators; the operator may."""
        person = await self._sessions.who(request)
        if person is None or not person.is_operator:
            raise error
        check_origin(request, self._origin, None)
        return await self._upstream.pass_through(request)

    def _address(self, request: Request) -> str:
        """Who is counted for logging in: behind a proxy, whom it names last; nobody else is asked."""
        forwarded = request.headers.get("x-forwarded-for", "") if self._is_behind_proxy else ""
        direct = request.client.host if request.client else "unknown"
        return forwarded.rpartition(",")[2].strip()[:64] or direct


def refusal(status: int, reason: str, headers: dict[str, str] | None = None) -> Response:
    """An answer in the form in which Label Studio's page reads errors."""
    return JSONResponse({"detail": reason, "status_code": status}, status, _NO_STORE | (headers or {}))


def _refused_page(error: Refused) -> Response:
    """For somebody who clicked on a link of Label Studio's that is not for them."""
    content = (
        '<!doctype html><meta charset="utf-8"><title>Not for annotators</title>'
        '<body style="font: 16px/1.5 sans-serif; margin: 15vh auto; max-width: 34em">'
        f'<p>{html.escape(error.reason)}.</p><p><a href="/">Back to voting</a></p>'
    )
    policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; base-uri 'none'"
    return Response(content, error.status, _NO_STORE | {"content-security-policy": policy} | error.headers, "text/html")


def _to_login(asked: Asked) -> Response:
    if asked.deed in (Deed.HOME, Deed.PAGE, Deed.LOGOUT):
        return Response(status_code=302, headers={"location": "/user/login/", "cache-control": "no-store"})
    return refusal(401, "nobody is logged in here; log in first")


def application(
    home: BoardHome, board: PairBoard, *, is_behind_proxy: bool = False, refresh_s: float = 3.0
) -> Starlette:
    """The whole gateway for the board of a folder; `BoardDown` where that was never started."""
    connection, secrets = home.connection(), home.secrets()
    upstream = Upstream(connection)
    sessions = Sessions(upstream, operator=connection.operator, members=home.members)
    deck = Deck(board, members=home.members, leases=home.leases)
    freshness = Freshness(deck, wake=home.wake, every_s=refresh_s)
    front = Front(
        home=home,
        project=connection.project,
        secrets=secrets,
        sessions=sessions,
        upstream=upstream,
        limit=LoginLimit(),
        freshness=freshness,
    )
    voting = Voting(upstream=upstream, sessions=sessions, deck=deck)
    desk = Desk(
        project=connection.project,
        link_key=secrets.link_key,
        deck=deck,
        voting=voting,
        upstream=upstream,
        freshness=freshness,
    )
    gateway = Gateway(
        project=connection.project,
        origin=connection.origin,
        is_behind_proxy=is_behind_proxy,
        sessions=sessions,
        upstream=upstream,
        front=front,
        desk=desk,
    )

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await freshness.first()
        keeping = asyncio.create_task(freshness.keep())
        try:
            yield
        finally:
            keeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await keeping
            await upstream.aclose()

    return Starlette(routes=[Mount("/", app=gateway)], lifespan=lifespan)
