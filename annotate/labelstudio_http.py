"""Requests to a Label Studio, with patience for a server that is away and words for one that refuses.

Nothing here repeats a request that may have changed something: that is for callers, who first look what came of it.
"""

import itertools
import json
import logging
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from email.utils import parsedate_to_datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, TypeVar

import httpx

from annotate.errors import BoardDown, BoardRefused

log = logging.getLogger(__name__)

T = TypeVar("T")

FIRST_WAIT_S, LONGEST_WAIT_S = 0.2, 8.0
NEW_TOKEN = "set LIKENESS_BOARD_PERSONAL_TOKEN, or let `likeness board up` make a new one"
SAID_LENGTH = 300
"""So many letters of what the server said are repeated in an error."""


class LostAnswer(BoardDown):
    """The server was away, or failed, and may or may not have done what it was asked."""


class NotThere(BoardRefused):
    """404."""


class LabelStudioServer:
    """One server and one account on it. Safe for several threads."""

    def __init__(self, url: str, auth: httpx.Auth | None, *, timeout_s: float = 60.0, patience_s: float = 60.0) -> None:
        """`patience_s`: so long a server that is away, or answers 5xx, is asked again."""
        self.url = url.rstrip("/")
        self.patience_s = patience_s
        self._date = ""
        self.http = httpx.Client(
            base_url=self.url,
            auth=auth,
            timeout=timeout_s,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),  # a session beside the token asks for CSRF
            trust_env=False,
        )

    def close(self) -> None:
        self.http.close()

    def get(self, path: str, **params: Any) -> Any:
        """What the server has there, as JSON; asked again while it is away or fails."""
        return self.patiently(lambda: self.send("GET", path, params=params)).json()

    def send(self, method: str, path: str, *, json: Any = None, params: Any = None) -> httpx.Response:
        """One attempt. `LostAnswer`, or `BoardRefused` with what the server said (404: `NotThere`)."""
        try:
            response = self.http.request(method, path, json=json, params=params)
        except httpx.TransportError as error:
            raise LostAnswer(f"{self.url}: no answer to {method} {path} ({error!r})") from error
        status, asked = response.status_code, f"{self.url}: {method} {path} answered {response.status_code}"
        if status >= 500:
            raise LostAnswer(f"{asked}: {_said(response)}")
        if status == 401:
            raise BoardRefused(f"{asked}: the token is not taken; {NEW_TOKEN}")
        if status == 404:
            raise NotThere(f"{asked}: {_said(response)}; is it the right project, and the right server?")
        if status >= 300:
            raise BoardRefused(f"{asked}: {_said(response)}")
        self._date = response.headers.get("date", "")
        return response

    def date(self) -> datetime | None:
        """What the server's clock showed at its last answer, in whole seconds; None: it does not say."""
        try:
            return parsedate_to_datetime(self._date)
        except ValueError:
            return None

    def patiently(self, attempt: Callable[[], T]) -> T:
        """The first attempt that is answered. `BoardDown` when patience ends."""
        waits = self.waits()
        while True:
            try:
                return attempt()
            except LostAnswer as lost:
                wait_s = next(waits, None)
                if wait_s is None:
                    raise BoardDown(
                        f"{lost}, for {self.patience_s:g} s; see `likeness board status` and the server's log"
                    ) from lost
                log.warning("%s; again in %g s", lost, wait_s)
                time.sleep(wait_s)

    def waits(self) -> Iterator[float]:
        """Seconds to wait between attempts, doubled each time, until patience ends."""
        until = time.monotonic() + self.patience_s
        for count in itertools.count():
            left_s = until - time.monotonic()
            if left_s <= 0:
                return
            yield min(FIRST_WAIT_S * 2 ** min(count, 10), LONGEST_WAIT_S, left_s)


def _said(response: httpx.Response) -> str:
    """The server's words, without its stack."""
    try:
        said = response.json()
    except ValueError:
        return response.text[:SAID_LENGTH] or "nothing"
    if isinstance(said, dict):
        said = said.get("validation_errors") or said.get("detail") or said
    return (said if isinstance(said, str) else json.dumps(said, ensure_ascii=False))[:SAID_LENGTH]
