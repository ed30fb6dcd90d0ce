"""The whole gateway on a port, before a small Label Studio, with people who log in: for tests from outside."""

import contextlib
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from starlette.types import ASGIApp

from annotate import links
from annotate.board import Dealing, PairTask
from annotate.gateway.app import application
from annotate.home import BoardHome, Connection, Member, Secrets
from annotate.interface import Parsed, result_of
from annotate.memory_board import MemoryBoard
from tests.fake_label_studio import PASSWORD, FakeLabelStudio
from warehouse.records import Outcome

PROJECT = 7
EMAILS = {
    1: "op@likeness.local",
    2: "ann@likeness.local",
    3: "bob@likeness.local",
    4: "cy@likeness.local",
    5: "dan@likeness.local",
    6: "stranger@likeness.local",
}
MEMBERS = {2: "ann", 3: "bob", 4: "cy", 5: "dan"}
KEY, WEBHOOK = "link-key", "webhook-secret"
VIDEO_A, VIDEO_B, PICTURE = ("a" * 32 + ".mp4", "b" * 32 + ".mp4", "c" * 32 + ".jpg")
VIDEO = bytes(range(256)) * 40

Front = Callable[[BoardHome, str, socket.socket], AbstractContextManager[None]]
"""Serves on a socket what the gateway at a URL serves, as long as it is entered: nginx, for instance."""


@contextmanager
def serving(app: ASGIApp, listening: socket.socket) -> Iterator[uvicorn.Server]:
    """An application on a socket, in a thread, as long as the block runs."""
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, proxy_headers=False, server_header=False, ws="none"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.should_exit = True
        thread.join(10)
        listening.close()


def free_socket() -> socket.socket:
    """A port that is ours from now on. The protocol is named: asyncio sets TCP_NODELAY only where it is."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    return listening


def url_of(listening: socket.socket) -> str:
    return f"http://127.0.0.1:{listening.getsockname()[1]}"


@dataclass
class World:
    """`origin` is what annotators type; the board and the fake behind it are looked into, never asked through it."""

    origin: str
    home: BoardHome
    board: MemoryBoard
    label_studio: FakeLabelStudio
    clients: list[httpx.Client] = field(default_factory=list)
    people: dict[str, "Browser"] = field(default_factory=dict)
    servers: list[uvicorn.Server] = field(default_factory=list)
    """Label Studio's, and the gateway's."""

    def browser(self, name: str | None = None) -> "Browser":
        """Somebody's browser, logged in through the gateway; without a name, nobody's."""
        client = httpx.Client(base_url=self.origin, timeout=20, trust_env=False)
        self.clients.append(client)
        browser = Browser(client)
        if name is not None:
            said = browser.log_in(f"{name}@likeness.local")
            assert said.status_code == 302, said.text
        return browser

    def person(self, name: str) -> "Browser":
        """Somebody's browser, the same each time: for tests that change nothing there."""
        if name not in self.people:
            self.people[name] = self.browser(name)
        return self.people[name]

    def number(self, showing_id: str) -> int:
        return self.board.numbers()[showing_id]

    def votes(self, number: int) -> list[tuple[Any, str]]:
        """Who said what about a task, as the board has it."""
        said = [(answer.completed_by, answer.result) for answer in self.label_studio.answers(number)]
        return [(who, result[0]["value"]["choices"][0] if result else "skip") for who, result in said]


@dataclass
class Browser:
    client: httpx.Client

    def log_in(self, email: str, password: str = PASSWORD) -> httpx.Response:
        form = self.client.get("/user/login/")
        token = re.search(r'csrfmiddlewaretoken" value="([^"]+)', form.text)
        assert token, form.text
        said = {"csrfmiddlewaretoken": token.group(1), "email": email, "password": password}
        return self.client.post("/user/login/", data=said)

    def next(self) -> httpx.Response:
        body = {"ordering": [], "selectedItems": {"all": False, "included": []}, "project": str(PROJECT)}
        return self.client.post(f"/api/dm/actions?id=next_task&tabID=1&project={PROJECT}", json=body)

    def dealt(self) -> int:
        said = self.next()
        assert said.status_code == 200, said.text
        return int(said.json()["id"])

    def vote(self, task: int, outcome: Outcome = Outcome.A, **said: Any) -> httpx.Response:
        return self.client.post(f"/api/tasks/{task}/annotations?project={PROJECT}", json=vote(outcome, **said))

    def skip(self, task: int) -> httpx.Response:
        return self.vote(task, result=[], was_cancelled=True)

    def edit(self, answer: int, outcome: Outcome = Outcome.B, **said: Any) -> httpx.Response:
        return self.client.patch(f"/api/annotations/{answer}?project={PROJECT}", json=vote(outcome, **said))

    def raw(self, method: str, target: str, **headers: str) -> "Raw":
        """A request whose path nobody tidies up on the way."""
        cookies = "; ".join(f"{name}={value}" for name, value in self.client.cookies.items())
        connection = HTTPConnection(self.client.base_url.host, self.client.base_url.port or 80, timeout=20)
        with contextlib.closing(connection):
            connection.request(method, target, headers=headers | ({"Cookie": cookies} if cookies else {}))
            said = connection.getresponse()
            return Raw(said.status, said.read().decode("utf-8", "replace"))


@dataclass(frozen=True)
class Raw:
    status: int
    text: str


def vote(outcome: Outcome = Outcome.A, **said: Any) -> dict[str, Any]:
    """What the page posts."""
    regions = [
        dict(region) | {"id": f"r{index}", "origin": "manual"}
        for index, region in enumerate(result_of(Parsed(outcome=outcome)))
    ]
    values = {
        "lead_time": 3.5,
        "result": regions,
        "draft_id": 0,
        "parent_prediction": None,
        "parent_annotation": None,
        "started_at": "2026-01-01T00:00:00Z",
        "unique_id": "30b722ee-e789-4ca5-9496-b30635979a30",
        "project": str(PROJECT),
    }
    return values | said


def shown(index: int, **dealing: Any) -> PairTask:
    return PairTask(
        showing_id=f"showing_{index}",
        prompt=f"prompt {index} <script>alert(1)</script>",
        references=(PICTURE,),
        video_a=VIDEO_A,
        video_b=VIDEO_B,
        dealing=Dealing(**dealing),
    )


@contextmanager
def world(
    folder: Path,
    *,
    board: MemoryBoard | None = None,
    num_tasks: int = 3,
    refresh_s: float = 30.0,
    front: Front | None = None,
) -> Iterator[World]:
    """A gateway that serves; with a front, behind it."""
    home = BoardHome(folder / "board")
    board = board or MemoryBoard(folder / "board.jsonl")
    board.publish([shown(index) for index in range(num_tasks)])
    fake = FakeLabelStudio(board=board, project=PROJECT, emails=dict(EMAILS))
    with contextlib.ExitStack() as stack:
        label_studio, gateway = free_socket(), free_socket()
        outside = gateway if front is None else free_socket()
        _furnish(home, origin=url_of(outside), label_studio=url_of(label_studio))
        servers = [stack.enter_context(serving(fake.app(), label_studio))]
        app = application(home, board, is_behind_proxy=front is not None, refresh_s=refresh_s)
        inside = url_of(gateway)
        servers.append(stack.enter_context(serving(app, gateway)))
        if front is not None:
            stack.enter_context(front(home, inside, outside))
        made = World(url_of(outside), home, board, fake, servers=servers)
        yield made
        for client in made.clients:
            client.close()
        for server in servers:
            server.should_exit = True


def _furnish(home: BoardHome, *, origin: str, label_studio: str) -> None:
    home.keep_secrets(Secrets(link_key=KEY, webhook_secret=WEBHOOK))
    home.keep_connection(Connection(origin=origin, label_studio=label_studio, project=PROJECT, operator=EMAILS[1]))
    home.keep_members(tuple(Member(user=user, name=name, email=EMAILS[user]) for user, name in MEMBERS.items()))
    home.media.mkdir(parents=True)
    for name in (VIDEO_A, VIDEO_B, PICTURE):
        (home.media / name).write_bytes(VIDEO)
    (home.root / "secret.mp4").write_bytes(b"outside")


def link(name: str = VIDEO_A, *, user: int = 2, **said: Any) -> str:
    return links.sign(name, user=user, key=KEY, **said)


def detail(said: httpx.Response) -> str:
    return str(json.loads(said.text)["detail"])
