"""Machinery of the chaos test: people who write and take notes, proxies that lose things, a killed collector."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

from annotate.interface import Parsed, result_of
from tests.served import ROOT
from warehouse.records import Outcome

_CSRF = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')
_HOP = {
    "connection",
    "content-length",
    "transfer-encoding",
    "host",
    "content-encoding",
    "accept-encoding",
    "date",
    "server",
}


# Proxies.


@dataclass
class Proxy:
    """Hands requests on to `target` as `treat` says; `url` is where it listens."""

    url: str
    target: str
    counts: Counter[str] = field(default_factory=Counter)

    def forward(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> httpx.Response:
        kept = {name: value for name, value in headers.items() if name.lower() not in _HOP}
        return httpx.request(method, self.target + path, headers=kept, content=body, timeout=60, trust_env=False)


Treat = Callable[[Proxy, str, str, Mapping[str, str], bytes], "httpx.Response | int | None"]
"""What comes back for a request: an answer, a status, or None: the connection is cut."""


@contextmanager
def proxying(target: str, treat: Treat) -> Iterator[Proxy]:
    """A proxy on a free port of loopback, while the block runs."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _any(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            try:
                found = treat(proxy, self.command, self.path, dict(self.headers), body)
            except httpx.TransportError:
                found = 502
            if found is None:
                self.close_connection = True
                return
            status, content = (found, b"chaos") if isinstance(found, int) else (found.status_code, found.content)
            kind = "text/plain" if isinstance(found, int) else found.headers.get("content-type", "text/plain")
            date = None if isinstance(found, int) else found.headers.get("date")
            try:
                self.send_response_only(status)
                self.send_header("content-type", kind)
                if date:
                    self.send_header("date", date)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
            except OSError:
                self.close_connection = True  # the collector was killed while it waited

        do_GET = do_POST = do_PATCH = do_DELETE = _any

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    proxy = Proxy(url=f"http://127.0.0.1:{server.server_address[1]}", target=target)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def faulty(seed: int) -> Treat:
    """Some requests fail before the server sees them, some after, some connections are cut, some answers come late."""
    draw = random.Random(seed)

    def treat(
        proxy: Proxy, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> httpx.Response | int | None:
        proxy.counts["requests"] += 1
        chance = draw.random()
        if chance < 0.05:
            proxy.counts["500"] += 1
            return 500
        found = proxy.forward(method, path, headers, body)
        if chance < 0.08:
            proxy.counts["500 after it was done"] += 1
            return 500
        if chance < 0.10:
            proxy.counts["cut"] += 1
            return None
        if chance < 0.15:
            proxy.counts["late"] += 1
            time.sleep(draw.uniform(0.2, 1.5))
        return found

    return treat


def forgetful(seed: int) -> Treat:
    """Webhooks: some never arrive, some arrive twice, some late. The sender is always told that all is well."""
    draw = random.Random(seed)

    def treat(
        proxy: Proxy, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> httpx.Response | int | None:
        proxy.counts["webhooks"] += 1
        chance = draw.random()
        if chance < 0.3:
            proxy.counts["dropped"] += 1
            return 204
        num, delay_s = (2, 0.0) if chance < 0.5 else (1, draw.uniform(0.5, 5.0)) if chance < 0.7 else (1, 0.0)
        proxy.counts["doubled"] += num - 1
        proxy.counts["late"] += delay_s > 0
        for _ in range(num):
            threading.Timer(delay_s, lambda: _quietly(proxy, method, path, headers, body)).start()
        return 204

    return treat


def _quietly(proxy: Proxy, method: str, path: str, headers: Mapping[str, str], body: bytes) -> None:
    try:
        proxy.counts[f"answered {proxy.forward(method, path, headers, body).status_code}"] += 1
    except httpx.TransportError:
        proxy.counts["not answered"] += 1


# Writers.


@dataclass
class State:
    """What an answer was, from when the server said so until somebody set about changing it."""

    annotation: int
    task: int
    said: str
    """`A`, `tie` or `B` as shown, or `skip`."""
    begun: float
    acknowledged: float
    ended: float = float("inf")


@dataclass
class Notes:
    """What all writers did, by their own account."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    states: list[State] = field(default_factory=list)
    wipes: dict[int, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))
    """By task: when somebody set about deleting it, or all its answers, and when the server had answered."""
    counts: Counter[str] = field(default_factory=Counter)

    def count(self, what: str) -> None:
        with self.lock:
            self.counts[what] += 1

    def visible(self) -> Iterator[tuple[State, float, float]]:
        """Each state with the span in which it stood for certain."""
        for state in self.states:
            ended = min(
                [state.ended, *(start for start, end in self.wipes[state.task] if end >= state.begun)],
                default=state.ended,
            )
            if ended > state.acknowledged:
                yield state, state.acknowledged, ended


def session(url: str, email: str, password: str) -> httpx.Client:
    """Somebody who is logged in, as their browser is."""
    client = httpx.Client(base_url=url, timeout=60, trust_env=False)
    token = _CSRF.search(client.get("/user/login/").text)
    assert token is not None
    form = {"csrfmiddlewaretoken": token[1], "email": email, "password": password}
    assert client.post("/user/login/", data=form, headers={"Referer": url}).status_code == 302, email
    client.headers.update({"X-CSRFToken": client.cookies["csrftoken"], "Referer": url})
    return client


class Writer:
    """One person who votes, edits, skips and deletes, and owns what they wrote."""

    def __init__(
        self, client: httpx.Client, project: int, tasks: Callable[[], Sequence[int]], notes: Notes, seed: int
    ) -> None:
        self.client, self.project, self.tasks, self.notes = client, project, tasks, notes
        self.draw = random.Random(seed)
        self.standing: list[State] = []

    def act(self) -> None:
        chance = self.draw.random()
        if chance < 0.5 or not self.standing:
            self._create(self.draw.choice(self.tasks()))
            return
        # recent ones more often, so that much happens to one answer between two looks
        state = self.standing.pop(-1 if self.draw.random() < 0.4 else self.draw.randrange(len(self.standing)))
        state.ended = time.time()
        (self._edit if chance < 0.8 else self._delete)(state)

    def _create(self, task: int) -> None:
        said = self._drawn()
        self._write("created", "POST", f"/api/tasks/{task}/annotations?project={self.project}", task, said)

    def _edit(self, state: State) -> None:
        self._write("edited", "PATCH", f"/api/annotations/{state.annotation}", state.task, self._drawn())

    def _delete(self, state: State) -> None:
        self._ask("deleted", "DELETE", f"/api/annotations/{state.annotation}", None)

    def _drawn(self) -> str:
        return self.draw.choice(["A", "tie", "B", "A", "tie", "B", "skip"])

    def _write(self, what: str, method: str, path: str, task: int, said: str) -> None:
        begun = time.time()
        body = {"result": _result(said), "was_cancelled": said == "skip", "lead_time": 1.5, "project": self.project}
        found = self._ask("skipped" if said == "skip" else what, method, path, body)
        if found is None:
            return
        state = State(annotation=found["id"], task=task, said=said, begun=begun, acknowledged=time.time())
        self.standing.append(state)
        with self.notes.lock:
            self.notes.states.append(state)

    def _ask(self, what: str, method: str, path: str, body: Any) -> Any:
        """What the server said; None: it refused, or nobody knows what it did. Such an answer is left alone then."""
        try:
            response = self.client.request(method, path, json=body)
        except httpx.TransportError:
            self.notes.count("no answer")
            return None
        if not response.is_success:
            self.notes.count(f"refused {response.status_code}")
            return None
        self.notes.count(what)
        return response.json() if response.content else {}


class Owner:
    """Deletes tasks, and all the answers of a task at once."""

    def __init__(
        self, client: httpx.Client, project: int, tasks: Callable[[], Sequence[int]], notes: Notes, seed: int
    ) -> None:
        self.client, self.project, self.tasks, self.notes = client, project, tasks, notes
        self.draw = random.Random(seed)

    def act(self) -> None:
        task = self.draw.choice(self.tasks())
        begun = time.time()
        with self.notes.lock:
            wipes = self.notes.wipes[task]
            wipes.append((begun, float("inf")))
            place = len(wipes) - 1
        try:
            response = self._delete(task) if self.draw.random() < 0.6 else self._empty(task)
            self.notes.count(response if isinstance(response, str) else "")
        except httpx.TransportError:
            self.notes.count("no answer")
            return  # it may still be at it: whatever is written there later may not last
        with self.notes.lock:
            self.notes.wipes[task][place] = (begun, time.time())

    def _delete(self, task: int) -> str:
        response = self.client.delete(f"/api/tasks/{task}")
        return "tasks deleted" if response.is_success else f"refused {response.status_code}"

    def _empty(self, task: int) -> str:
        body = {"selectedItems": {"all": False, "included": [task]}, "ordering": [], "project": str(self.project)}
        response = self.client.post(f"/api/dm/actions?id=delete_tasks_annotations&project={self.project}", json=body)
        return "tasks emptied" if response.is_success else f"refused {response.status_code}"


def _result(said: str) -> list[Mapping[str, Any]]:
    return [] if said == "skip" else list(result_of(Parsed(outcome=Outcome(said))))


def repeatedly(
    act: Callable[[], None], ending: threading.Event, pause_s: tuple[float, float], seed: int
) -> threading.Thread:
    """In a thread of its own, until the end; what goes wrong there is told, and ends nothing."""
    draw = random.Random(seed)

    def run() -> None:
        while not ending.wait(draw.uniform(*pause_s)):
            act()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


# The collector.


class Collector:
    """`likeness collect --watch` as a process, killed and started again."""

    def __init__(self, home: Path, profile: str, log: Path, proxy: Proxy, seed: int) -> None:
        """`proxy` stands between it and the server."""
        self.proxy = proxy
        self.command = [sys.executable, "-m", "flows", "collect", "--profile", profile]
        self.environment = os.environ | {"LIKENESS_HOME": str(home), "LIKENESS_ORCHESTRATOR": "none"}
        self.log, self.home, self.draw = log, home, random.Random(seed)
        self.num_kills = 0
        self.ended_by_itself: list[int] = []

    def watch(self, ending: threading.Event) -> None:
        """Every second one is killed at any moment after its first request, the others after they committed something:
        so there is progress, however slow the machine is."""
        while not ending.is_set():
            num_before, committed = self.proxy.counts["requests"], collections(self.home)
            with self.log.open("ab") as log:
                process = subprocess.Popen(
                    [*self.command, "--watch", "--every", "2"], cwd=ROOT, env=self.environment, stdout=log, stderr=log
                )
            while process.poll() is None and self.proxy.counts["requests"] == num_before and not ending.wait(0.1):
                pass
            while (
                self.num_kills % 2
                and process.poll() is None
                and collections(self.home) == committed
                and not ending.wait(0.1)
            ):
                pass
            ending.wait(self.draw.uniform(0.0, 6.0))
            if process.poll() is not None:
                self.ended_by_itself.append(process.returncode)
            process.send_signal(signal.SIGKILL)
            process.wait()
            self.num_kills += 1

    def once(self, *options: str) -> str:
        done = subprocess.run(
            [*self.command, *options],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip().splitlines()[-1]


def collections(home: Path) -> list[float]:
    """When collections that found something had ended, by the home's own log."""
    found: list[float] = []
    if not (home / "likeness.log").exists():
        return found
    for line in (home / "likeness.log").read_text(encoding="utf-8").splitlines():
        if " INFO collect: " in line:
            stamp, milliseconds = line.split(" INFO ")[0].split(",")
            found.append(time.mktime(time.strptime(stamp, "%Y-%m-%d %H:%M:%S")) + int(milliseconds) / 1000)
    return found


def told(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{num} {what}" for what, num in sorted(counts.items()) if num)


def rows(psql: str, address: Sequence[str], password: str, query: str) -> list[Any]:
    """What a query of the server's own database gives, as JSON: nothing of ours between us and the truth."""
    done = subprocess.run(
        [psql, *address, "-X", "-A", "-t", "-c", f"SELECT coalesce(json_agg(found), '[]') FROM ({query}) found"],
        env=os.environ | {"PGPASSWORD": password}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    found: list[Any] = json.loads(done.stdout)
    return found
