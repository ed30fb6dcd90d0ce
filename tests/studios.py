"""Real Label Studios for the live tests and measurements of the board, and a proxy before one that makes faults."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx

from annotate.hosting.configuration import BoardConfig, Database
from annotate.hosting.label_studio import OPERATOR, LabelStudio
from annotate.hosting.processes import Server
from tests.live.hosted import Studio, postgresql_server
from tests.served import free_port

PASSWORD = "a-password-of-the-tests"


@contextmanager
def studio_on_postgresql(root: Path, environment: Path, tell: Callable[[str], None]) -> Iterator[Studio]:
    """Label Studio as a team runs it: gunicorn with 4 workers of 4 threads, and a PostgreSQL of its own."""
    with (
        postgresql_server(root / "postgresql") as database,
        started_studio(root, environment, database, tell) as studio,
    ):
        yield studio


@contextmanager
def started_studio(
    root: Path, environment: Path, database: Database | None, tell: Callable[[str], None]
) -> Iterator[Studio]:
    port = free_port()
    studio = LabelStudio(
        environment=environment,
        data=root / "label_studio",
        config=BoardConfig(database=database),
        origin=f"http://127.0.0.1:{port}",
        port=port,
        server=Server(root / "run", "label_studio"),
    )
    studio.make(PASSWORD, tell)
    studio.start(tell)
    try:
        yield Studio(url=studio.url, operator=OPERATOR, password=PASSWORD)
    finally:
        studio.server.stop()


class Fault(Enum):
    """What becomes of one request."""

    CUT_BEFORE = "the connection ends, and the server never sees it"
    CUT_AFTER = "the connection ends after the server has done it"
    LATE = "the connection ends at once, and the server gets it after the next request to the same path was done"
    FAIL_BEFORE = "500, and the server never sees it"
    FAIL_AFTER = "500 after the server has done it"
    EXPIRED = "401, and the server never sees it"


@dataclass(slots=True)
class Proxy:
    """A server at `url` that passes everything on, but for the faults that `faults` gives for a method and path."""

    url: str
    faults: Callable[[str, str], Fault | None] = lambda method, path: None
    seen: list[tuple[str, str]] = field(default_factory=list)
    """Methods and paths, without queries, of what arrived."""

    def num_seen(self, method: str, ending: str) -> int:
        return sum(1 for found, path in self.seen if found == method and path.endswith(ending))


def once(method: str, ending: str, *faults: Fault) -> Callable[[str, str], Fault | None]:
    """These faults, one after the other, for requests by this method to paths of this ending; then none."""
    left, lock = list(faults), threading.Lock()

    def fault(found: str, path: str) -> Fault | None:
        with lock:
            return left.pop(0) if left and found == method and path.endswith(ending) else None

    return fault


@contextmanager
def proxied(upstream: str) -> Iterator[Proxy]:
    late: list[tuple[str, str, bytes, dict[str, str]]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _pass(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            path = self.path.split("?")[0]
            headers = {
                name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection")
            }
            request = (self.command, self.path, body, headers)
            proxy.seen.append((self.command, path))
            fault = proxy.faults(self.command, path)
            if fault is Fault.LATE:
                late.append(request)
            if fault in (Fault.CUT_BEFORE, Fault.LATE):
                self.close_connection = True
                return
            if fault in (Fault.FAIL_BEFORE, Fault.EXPIRED):
                self._answer(401 if fault is Fault.EXPIRED else 500, b'{"detail": "the proxy made this fault"}')
                return
            answer = _sent(*request)
            for delayed in [each for each in late if each[1] == self.path and each is not request]:
                late.remove(delayed)
                _sent(*delayed)
            if fault is Fault.CUT_AFTER:
                self.close_connection = True
            elif fault is Fault.FAIL_AFTER:
                self._answer(500, b'{"detail": "the proxy made this fault"}')
            else:
                self._answer(answer.status_code, answer.content, answer.headers.get("date", ""))

        do_GET = do_POST = do_PATCH = do_DELETE = _pass

        def _answer(self, status: int, body: bytes, date: str = "") -> None:
            self.send_response_only(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            if date:
                self.send_header("date", date)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    def _sent(method: str, path: str, body: bytes, headers: dict[str, str]) -> httpx.Response:
        return http.request(method, upstream + path, content=body, headers=headers)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    proxy = Proxy(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    with httpx.Client(timeout=120.0, trust_env=False) as http:
        try:
            yield proxy
        finally:
            server.shutdown()
            server.server_close()
            thread.join()
