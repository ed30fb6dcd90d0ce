"""A small Label Studio: the endpoints that stand behind the gateway, with real state, and as trusting as the real one.

Whoever is logged in may do anything here, as in the community edition: what an annotator cannot do in a test, the
gateway has kept from them. What arrived is in `seen`.
"""

import asyncio
import itertools
import json
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from annotate.board import Answer, AnsweredTask
from annotate.memory_board import MemoryBoard

PASSWORD = "correct horse"
OPERATOR_TOKEN = "0123456789abcdef"


@dataclass(frozen=True)
class Arrived:
    """A request as Label Studio got it."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes


@dataclass
class FakeLabelStudio:
    """`emails`: the accounts, by number. The board is where votes go, as the poller sees it."""

    board: MemoryBoard
    project: int
    emails: dict[int, str]
    seen: list[Arrived] = field(default_factory=list)
    is_project_there: bool = True
    title: str = "pairs"
    num_answers_to_lose: int = 0
    """So many votes are stored and answered with an error, as when a connection breaks."""
    pause_s: float = 0.0
    """Before a vote is stored."""
    sessions: dict[str, int] = field(default_factory=dict)
    _unique: dict[str, int] = field(default_factory=dict)
    _ids: Any = field(default_factory=lambda: itertools.count(100))
    _clock: Any = field(default_factory=lambda: itertools.count(1))

    def app(self) -> Starlette:
        number = self.project
        routes: list[tuple[str, list[str], Callable[[Request], Awaitable[Response]]]] = [
            ("/user/login/", ["GET", "POST"], self._login),
            ("/logout/", ["GET"], self._logout),
            ("/api/current-user/whoami", ["GET"], self._whoami),
            ("/api/current-user/token", ["GET"], self._token),
            (f"/api/projects/{number}/", ["GET", "PATCH", "DELETE"], self._project),
            ("/api/users", ["GET"], self._users),
            ("/api/tasks", ["GET"], self._tasks),
            ("/api/tasks/{task:int}", ["GET"], self._task),
            ("/api/tasks/{task:int}/annotations", ["GET", "POST"], self._annotations),
            ("/api/annotations/{answer:int}", ["PATCH", "DELETE"], self._annotation),
            (f"/projects/{number}/data/", ["GET"], self._page),
            ("/static/{path:path}", ["GET"], self._static),
        ]
        return Starlette(
            routes=[Route(path, self._kept(answer), methods=methods) for path, methods, answer in routes]
            + [Route("/{path:path}", self._kept(self._anything), methods=["GET", "POST", "PUT", "PATCH", "DELETE"])]
        )

    def answers(self, task: int) -> list[Answer]:
        return list(self._tasks_now()[task].answers)

    def arrived(self, method: str, path_start: str) -> list[Arrived]:
        return [one for one in self.seen if one.method == method and one.path.startswith(path_start)]

    def _kept(self, answer: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def keep(request: Request) -> Response:
            body = await request.body()
            path = request.scope["raw_path"].decode()
            self.seen.append(Arrived(request.method, path, request.url.query, dict(request.headers), body))
            is_open = path.startswith(("/user/login", "/static/"))
            if not is_open and self._user(request) is None:
                return JSONResponse({"detail": "Authentication credentials were not provided."}, 401)
            response = await answer(request)
            user = self._user(request)
            if user is not None and not path.startswith("/logout"):
                response.set_cookie("sessionid", self._session(user), httponly=True)
            return response

        return keep

    def _user(self, request: Request) -> int | None:
        return self.sessions.get(request.cookies.get("sessionid", ""))

    def _session(self, user: int) -> str:
        """A new one each time, and the old ones stay good: sessions are signed cookies there."""
        token = secrets.token_hex(8)
        self.sessions[token] = user
        return token

    async def _login(self, request: Request) -> Response:
        if request.method == "GET":
            response: Response = HTMLResponse('<input name="csrfmiddlewaretoken" value="csrf-1">')
            response.set_cookie("csrftoken", "csrf-1")
            return response
        said = {key: values[0] for key, values in parse_qs((await request.body()).decode()).items()}
        if said.get("csrfmiddlewaretoken") != request.cookies.get("csrftoken", "none"):
            return PlainTextResponse("CSRF verification failed", 403)
        user = next((number for number, email in self.emails.items() if email == said.get("email")), None)
        if user is None or said.get("password") != PASSWORD:
            return HTMLResponse("The email and password you entered don't match.")
        response = RedirectResponse("/", 302)
        response.set_cookie("sessionid", self._session(user), httponly=True)
        return response

    async def _logout(self, request: Request) -> Response:
        self.sessions.pop(request.cookies["sessionid"])
        response = RedirectResponse("/", 302)
        response.delete_cookie("sessionid")
        return response

    async def _whoami(self, request: Request) -> Response:
        user = self._user(request)
        assert user is not None
        owner = {"title": "Label Studio", "email": self.emails[1]}
        permissions = ["projects.delete", "annotations.create", "users.token.any"]
        return JSONResponse(self._person(user) | {"permissions": permissions, "active_organization_meta": owner})

    def _person(self, user: int) -> dict[str, Any]:
        return {"id": user, "email": self.emails[user], "username": f"u{user}", "initials": "ab", "first_name": ""}

    async def _token(self, request: Request) -> Response:
        return JSONResponse({"token": OPERATOR_TOKEN})

    async def _project(self, request: Request) -> Response:
        if request.method == "DELETE":
            self.is_project_there = False
            return Response(status_code=204)
        if request.method == "PATCH":
            self.title = (await request.json())["title"]
        content = {
            "id": self.project,
            "title": self.title,
            "label_config": "<View/>",
            "created_by": {"id": 1, "email": self.emails[1]},
            "task_data_login": "s3cret",
            "token": OPERATOR_TOKEN,
            "task_number": 4711,
        }
        return JSONResponse(content)

    async def _users(self, request: Request) -> Response:
        return JSONResponse([self._person(user) for user in self.emails])

    def _tasks_now(self) -> dict[int, AnsweredTask]:
        return {task.number: task for task in self.board.changes().tasks}

    async def _tasks(self, request: Request) -> Response:
        return JSONResponse({"tasks": [self._shown(task) for task in self._tasks_now().values()]})

    async def _task(self, request: Request) -> Response:
        return JSONResponse(self._shown(self._tasks_now()[request.path_params["task"]]))

    def _shown(self, task: AnsweredTask) -> dict[str, Any]:
        annotations = [self._said(answer) for answer in task.answers]
        data = {"showing_id": task.task.showing_id, "prompt": task.task.prompt, "video_a": task.task.video_a}
        meta = {"purpose": task.task.dealing.purpose}
        return {"id": task.number, "data": data, "meta": meta, "annotations": annotations}

    def _said(self, answer: Answer) -> dict[str, Any]:
        return {
            "id": answer.id,
            "task": answer.task,
            "result": list(answer.result),
            "completed_by": answer.completed_by,
            "created_at": answer.created_at,
            "updated_at": answer.updated_at,
            "lead_time": answer.lead_time,
            "was_cancelled": answer.was_cancelled,
        }

    async def _annotations(self, request: Request) -> Response:
        task = request.path_params["task"]
        if request.method == "GET":
            return JSONResponse([self._said(answer) for answer in self.answers(task)])
        said = await request.json()
        await asyncio.sleep(self.pause_s)
        unique = said.get("unique_id") or secrets.token_hex(8)
        if unique in self._unique:
            return JSONResponse({"detail": "Annotation with this unique id already exists"}, 409)
        at = self._now()
        answer = Answer(
            id=next(self._ids),
            task=task,
            completed_by=said.get("completed_by", self._user(request)),
            result=tuple(said.get("result", ())),
            created_at=at,
            updated_at=at,
            lead_time=said.get("lead_time"),
            was_cancelled=said.get("was_cancelled", False),
        )
        self._unique[unique] = answer.id
        self.board.submit([answer])
        if self.num_answers_to_lose:
            self.num_answers_to_lose -= 1
            return PlainTextResponse("Bad Gateway", 502)
        return JSONResponse(self._said(answer), 201)

    async def _annotation(self, request: Request) -> Response:
        found = {answer.id: answer for task in self._tasks_now().values() for answer in task.answers}
        before = found[request.path_params["answer"]]
        if request.method == "DELETE":
            return Response(status_code=204)
        said = await request.json()
        values = (
            self._said(before) | {key: said[key] for key in said if key != "unique_id"} | {"updated_at": self._now()}
        )
        self.board.submit([Answer(**values | {"result": tuple(values["result"])})])
        return JSONResponse(values)

    def _now(self) -> str:
        return f"2026-01-01T00:{next(self._clock):02}:00Z"

    async def _page(self, request: Request) -> Response:
        return HTMLResponse("<html>the labeling page</html>")

    async def _static(self, request: Request) -> Response:
        return PlainTextResponse("static", media_type="text/javascript")

    async def _anything(self, request: Request) -> Response:
        """Everything else that Label Studio has: it would be done."""
        return PlainTextResponse(json.dumps({"did": request.url.path}))
