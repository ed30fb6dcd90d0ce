"""A real HTTP server on this machine, for the faults that a real service shows only on a bad day."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the server does with one request."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    """Of silence before the body."""
    trickle_s: float = 0.0
    """Between each two bytes of the body."""
    is_cut: bool = False
    """The connection ends in the middle of the body."""


@dataclass(slots=True)
class Seen:
    """A request as it arrived."""

    path: str
    headers: Mapping[str, str]
    body: Any


@dataclass(slots=True)
class Loopback:
    """A server at `base_url` whose every answer `respond` gives."""

    base_url: str
    seen: list[Seen] = field(default_factory=list)
    num_open_most: int = 0
    """Requests that were open at once, at most."""


@contextmanager
def serving(respond: Callable[[Seen], Reply]) -> Iterator[Loopback]:
    """The server, while the block runs. `respond` is called in the server's threads."""
    lock, is_over = threading.Lock(), threading.Event()
    num_open = 0

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            nonlocal num_open
            content = self.rfile.read(int(self.headers["content-length"]))
            is_form = "multipart" in self.headers.get("content-type", "")
            body = content if is_form else json.loads(content)
            seen = Seen(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            with lock:
                num_open += 1
                loopback.num_open_most = max(loopback.num_open_most, num_open)
                loopback.seen.append(seen)
            try:
                self._send(respond(seen))
            except OSError:
                self.close_connection = True  # the client went away, as it should from a silent server
            finally:
                with lock:
                    num_open -= 1

        def _send(self, reply: Reply) -> None:
            is_over.wait(reply.delay_s)
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(reply.body)))
            self.end_headers()
            if reply.trickle_s:
                for letter in reply.body:
                    if is_over.wait(reply.trickle_s):
                        break
                    self.wfile.write(bytes([letter]))
                    self.wfile.flush()
            else:
                self.wfile.write(reply.body[: len(reply.body) // 2] if reply.is_cut else reply.body)
            self.close_connection = self.close_connection or reply.is_cut

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    loopback = Loopback(f"http://127.0.0.1:{server.server_address[1]}/v1")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield loopback
    finally:
        is_over.set()
        server.shutdown()
        server.server_close()
        thread.join()


def said(text: str | None, *, finish_reason: str = "stop") -> Reply:
    """A chat completion."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish_reason}
    return Reply(body=json.dumps({"object": "chat.completion", "choices": [choice]}).encode())


def question_of(seen: Seen) -> str:
    """The text of the last turn of a chat request."""
    content = seen.body["messages"][-1]["content"]
    return content if isinstance(content, str) else " ".join(part.get("text", "") for part in content)
