"""One JSON request to a service, until it is answered or its patience ends; and whose trouble it is if it is not."""

import atexit
import contextlib
import email.utils
import json
import logging
import math
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

import httpx

from flows.engines.chat import NoAnswer
from warehouse.errors import EngineUnavailable

log = logging.getLogger(__name__)

MAX_ANSWER_BYTES = 1 << 26
_OVERLOADED = frozenset({429, 502, 503, 504})
"""Tried again; after that the service's trouble."""
_CHOKED = frozenset({408, 409})
"""Tried again, as other 5xx are; after that a plain request tells whose trouble it is."""
_MISCONFIGURED = {
    401: "refuses the key",
    403: "refuses the key",
    404: "knows no such address or model",
    405: "is no such service",
}

AnswerT = TypeVar("AnswerT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long one item may take, and how often it is tried; the meaning of each field stands at `ChatHttp`."""

    connect_s: float
    read_s: float
    total_s: float
    num_retries: int
    backoff_s: float
    backoff_max_s: float

    def __post_init__(self) -> None:
        if min(self.connect_s, self.read_s, self.total_s) <= 0:
            raise ValueError("connect_s, read_s and total_s must be above 0")
        if min(self.num_retries, self.backoff_s, self.backoff_max_s) < 0:
            raise ValueError("num_retries, backoff_s and backoff_max_s must not be negative")


class _Trouble(Exception):
    """A try brought nothing."""

    def __init__(
        self, reason: str, detail: str, *, is_services: bool, is_final: bool = False, wait_s: float | None = None
    ) -> None:
        super().__init__(f"{reason} ({detail})")
        self.reason, self.is_services, self.is_final, self.wait_s = reason, is_services, is_final, wait_s


class Service:
    """One service, and its open connections. Safe to use from many threads."""

    def __init__(self, *, base_url: str, api_key_env: str, patience: Patience) -> None:
        try:
            url = httpx.URL(base_url)
        except httpx.InvalidURL as error:
            raise ValueError(f"base_url is no address: {error}") from error
        if url.userinfo or url.query:
            raise ValueError("base_url must hold no key; name the variable that does with api_key_env")
        if url.scheme not in ("http", "https") or not url.host:
            raise ValueError(f"base_url = {base_url!r} is no http address, such as http://127.0.0.1:8000/v1")
        self.base_url, self.api_key_env, self.patience = base_url.rstrip("/"), api_key_env, patience
        self._lock = threading.Lock()
        self._client: httpx.Client | None = None

    def __repr__(self) -> str:
        return f"Service({self.base_url}, key from {self.api_key_env or 'nowhere'})"

    def post(
        self,
        path: str,
        body: dict[str, Any],
        *,
        plain: dict[str, Any],
        read: Callable[[Any], AnswerT],
        called_off: threading.Event,
    ) -> AnswerT:
        """What `read` makes of the JSON answer.

        `NoAnswer`: the item's own trouble, also where `read` says so. `EngineUnavailable`: the service's, or the call
        was called off while it waited. Anything else that `read` raises means that this is not what such a service
        answers. `plain` is a request of the same kind that nobody could fail to answer: whether the service answers it
        divides an item's own trouble from the service's.
        """
        try:
            return self._tried(path, body, read, called_off)
        except _Trouble as trouble:
            cause = trouble if trouble.is_services else self._trouble_with(path, plain, read)
            if cause is None:
                raise NoAnswer(trouble.reason, str(trouble)) from trouble
            raise EngineUnavailable(f"{self.base_url}: {cause}; see to it, then run the same command again") from cause

    def _tried(
        self, path: str, body: dict[str, Any], read: Callable[[Any], AnswerT], called_off: threading.Event
    ) -> AnswerT:
        deadline = time.monotonic() + self.patience.total_s
        for attempt in range(self.patience.num_retries + 1):
            try:
                return self._once(path, body, read, deadline)
            except _Trouble as trouble:
                wait_s = self._wait_s(attempt, trouble)
                is_last = attempt == self.patience.num_retries or time.monotonic() + wait_s >= deadline
                if is_last or trouble.is_final:
                    raise
                log.debug("%s: %s; again in %.1f s", self.base_url, trouble.reason, wait_s)
            if called_off.wait(wait_s):
                raise EngineUnavailable(f"{self.base_url}: called off, because another request found it unavailable")
        raise AssertionError("the last try returns or raises")

    def _trouble_with(self, path: str, plain: dict[str, Any], read: Callable[[Any], AnswerT]) -> _Trouble | None:
        """What is wrong with the service, told by a plain request; None: it answers that."""
        try:
            self._once(path, plain, read, time.monotonic() + self.patience.read_s)
        except NoAnswer:
            return None
        except _Trouble as trouble:
            return trouble
        return None

    def _once(self, path: str, body: dict[str, Any], read: Callable[[Any], AnswerT], deadline: float) -> AnswerT:
        content = self._send(path, body, deadline)
        try:
            return read(json.loads(content))
        except NoAnswer:
            raise
        except Exception as error:  # whatever shape came back: it is the service's rubbish, and may be better next time
            detail = f"{type(error).__name__} in {self._masked(content)!r}"
            raise _Trouble("the service answered rubbish", detail, is_services=False) from error

    def _send(self, path: str, body: dict[str, Any], deadline: float) -> bytes:
        """The content of one try's answer."""
        url, headers = f"{self.base_url}/{path}", self._key_header()
        with (
            self._translated(),
            self._http().stream(
                "POST", url, headers=headers, timeout=self._timeout(deadline), **_sent(body)
            ) as response,
        ):
            content = _content(response, deadline)
        if response.status_code >= 300:
            self._refused(response.status_code, response.headers, content)
        return content

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        """What the transport raises, as ours."""
        try:
            yield
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise _Trouble("the service cannot be reached", str(error), is_services=True) from error
        except httpx.TimeoutException as error:
            raise _Trouble("the service did not answer in time", type(error).__name__, is_services=False) from error
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise _Trouble("the service broke off", type(error).__name__, is_services=False) from error

    def _refused(self, status: int, headers: httpx.Headers, content: bytes) -> NoReturn:
        said = f"HTTP {status}: {self._masked(content)}"
        if status in _MISCONFIGURED or status < 400:
            what = _MISCONFIGURED.get(status, "sends us elsewhere")
            raise EngineUnavailable(
                f"{self.base_url} {what} ({said}); check base_url, model and {self.api_key_env or 'api_key_env'}"
            )
        if status in _OVERLOADED:
            raise _Trouble("the service is overloaded", said, is_services=True, wait_s=_retry_after_s(headers))
        if status >= 500 or status in _CHOKED:
            raise _Trouble("the service failed", said, is_services=False, wait_s=_retry_after_s(headers))
        raise _Trouble(f"the service refused (HTTP {status})", said, is_services=False, is_final=True)

    def _wait_s(self, attempt: int, trouble: _Trouble) -> float:
        """Drawn between 0 and the back-off, so that many workers do not come back at once; at least what was asked."""
        longest = min(self.patience.backoff_max_s, self.patience.backoff_s * 2**attempt)
        return max(random.uniform(0, longest), trouble.wait_s or 0.0)

    def _timeout(self, deadline: float) -> httpx.Timeout:
        left_s = max(deadline - time.monotonic(), 0.001)
        read_s = min(self.patience.read_s, left_s)
        return httpx.Timeout(read_s, connect=min(self.patience.connect_s, left_s), pool=left_s)

    def _http(self) -> httpx.Client:
        with self._lock:
            if self._client is None:
                self._client = httpx.Client(limits=httpx.Limits(max_connections=None, max_keepalive_connections=64))
                atexit.register(self._client.close)
            return self._client

    def _key(self) -> str:
        """Read where it is used, and kept nowhere."""
        key = os.environ.get(self.api_key_env, "").strip() if self.api_key_env else ""
        if self.api_key_env and not key:
            raise EngineUnavailable(f"{self.api_key_env} is not set; it must hold the key of {self.base_url}")
        if any(not "!" <= letter <= "~" for letter in key):  # the transport would complain, and show it
            raise EngineUnavailable(f"{self.api_key_env} holds what no key can be: a space, or a letter outside ASCII")
        return key

    def _key_header(self) -> dict[str, str]:
        key = self._key()
        return {"Authorization": f"Bearer {key}"} if key else {}

    def _masked(self, content: bytes) -> str:
        """The beginning of what a service said, in one line, and without our key if it repeats that."""
        text, key = content.decode(errors="replace"), self._key()
        masked = text.replace(key, "***") if key else text
        return " ".join(masked.split())[:300]


def _sent(body: dict[str, Any]) -> dict[str, Any]:
    """A body as JSON; one that holds a picture's bytes (PNG) as a form."""
    files = {name: (f"{name}.png", value, "image/png") for name, value in body.items() if isinstance(value, bytes)}
    return (
        {"data": {name: body[name] for name in body if name not in files}, "files": files} if files else {"json": body}
    )


def _content(response: httpx.Response, deadline: float) -> bytes:
    """All of an answer; the read timeout is between two pieces only, so a trickle is stopped here."""
    pieces, num_bytes = [], 0
    for piece in response.iter_bytes():
        pieces.append(piece)
        num_bytes += len(piece)
        if time.monotonic() > deadline:
            raise httpx.ReadTimeout("the answer trickles")
        if num_bytes > MAX_ANSWER_BYTES:
            raise _Trouble("the service answered rubbish", f"over {MAX_ANSWER_BYTES} bytes", is_services=False)
    return b"".join(pieces)


def _retry_after_s(headers: httpx.Headers) -> float | None:
    """`Retry-After`, in seconds or as a date; None where it says neither."""
    said = headers.get("retry-after", "")
    try:
        return max(0.0, float(said)) if math.isfinite(float(said)) else None
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(said).timestamp() - time.time())
    except ValueError:
        return None
