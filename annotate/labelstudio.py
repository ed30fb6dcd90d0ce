"""The board on a real Label Studio (1.23, community edition): pairs go up as its tasks, votes come back by polling.

The sdk exchanges tokens. The rest goes by requests of our own: the sdk can neither list a few fields nor four pages at
once, and drops a null from what it imports. Nothing relies on a counter of the server, nor on an answer that came
through: what is up is looked up.
"""

import logging
import re
import threading
import time
import warnings
from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import cached_property

import httpx
from label_studio_sdk import LabelStudio
from label_studio_sdk.core.api_error import ApiError
from label_studio_sdk.tokens.client_ext import TokensClientExt

from annotate.board import Arrivals, PairTask
from annotate.errors import BoardRefused
from annotate.labelstudio_http import NEW_TOKEN, LabelStudioServer, LostAnswer, NotThere
from annotate.labelstudio_listing import (
    BRIEF,
    EVER,
    THREADS,
    WHOLE,
    Row,
    TaskListing,
    after,
    answered,
    before,
    row_of,
    showing_of,
    utc,
)

log = logging.getLogger(__name__)

BATCH = 1000
"""Showings in one request."""
DOUBLES = 100
"""So many showings that are up twice are looked at before the second ones are deleted: nobody votes in between."""
SETTLE_S = 1.0
"""A server that did not answer may still be storing: so long it is left alone before it is asked what is up."""
OVERLAP = timedelta(seconds=120)
"""A change may become visible so long after the time that it bears."""
ACCESS_S = 240.0
"""An access token is used for so long; the server ends it after 300 s."""


class LabelStudioBoard:
    """A project of a Label Studio. Safe for several threads; close it, or use it in a `with` block.

    Two processes may publish at once: the server has no uniqueness and takes a showing twice, and whichever ends last
    takes the second one away again. A prompt that is empty comes back as none.
    """

    def __init__(self, url: str, personal_token: str, project: int, *, patience_s: float = 60.0) -> None:
        """`personal_token`: the account's refresh token. `patience_s`: so long the server may be away."""
        self._access = _Access(url.rstrip("/"), personal_token)
        self._server = LabelStudioServer(url, self._access, patience_s=patience_s)
        self._project = project
        self._listing = TaskListing(self._server, project)
        self._clock = _ServerClock()

    def __enter__(self) -> "LabelStudioBoard":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"LabelStudioBoard({self._server.url!r}, project={self._project})"

    def close(self) -> None:
        self._server.close()
        self._access.close()

    @cached_property
    def name(self) -> str:
        """Of the project and of when it was made: a project of a new installation may bear the same number."""
        project = self._server.get(f"/api/projects/{self._project}")
        return f"labelstudio-{self._project}-{re.sub('[^0-9]', '', utc(project['created_at']))}"

    def publish(self, tasks: Sequence[PairTask], *, progress: Callable[[int, int], None] | None = None) -> int:
        """As in `PairBoard`. `progress`: told after each batch how many showings are up, and of how many missing."""
        rows = self._listing.everything(BRIEF)
        numbers = _numbers(rows)
        missing = [task for key, task in {task.showing_id: task for task in tasks}.items() if key not in numbers]
        for first in range(0, len(missing), BATCH):
            batch = missing[first : first + BATCH]
            self._put_up(batch)
            num_up = first + len(batch)
            log.info("%s: %d of %d missing showings are up", self._server.url, num_up, len(missing))
            if progress is not None:
                progress(num_up, len(missing))
        is_doubled = len(numbers) < sum(showing_of(row) is not None for row in rows)
        if is_doubled or (missing and self._listing.count() != len(rows) + len(missing)):
            self._remove_doubles()
        return len(missing)

    def withdraw(self, showing_ids: Collection[str]) -> int:
        wanted = frozenset(showing_ids)
        rows = [row for row in self._listing.everything(BRIEF) if showing_of(row) in wanted]
        standing = [row for row in rows if not (row["meta"] or {}).get("is_withdrawn")]
        _each(self._withdraw, standing)
        return len({showing_of(row) for row in standing})

    def numbers(self) -> Mapping[str, int]:
        return _numbers(self._listing.everything(BRIEF))

    def changes(self, since: str | None = None) -> Arrivals:
        """As in `PairBoard`. The mark is a time of the server's clock, up to which all was read."""
        began = self._clock.now()
        if since is None:
            newest, date = self._listing.newest(), self._server.date()
            rows = {row["id"]: row for row in self._listing.everything(WHOLE)}
        else:
            rows, date = self._touched(before(since, OVERLAP))
            newest = max((utc(row["updated_at"]) for row in rows.values()), default=EVER)
        mark = max(since or EVER, newest, began)
        if date is not None:  # what was touched while later pages were read may hide what was touched on earlier ones
            mark = max(since or EVER, min(mark, utc(date.isoformat())))
        self._clock.has_reached(mark)
        return Arrivals(tasks=tuple(answered(rows.values())), mark=mark)

    def _touched(self, time: str) -> tuple[dict[int, Row], datetime | None]:
        """Tasks touched since then, each as it was last seen, and the server's date when the first page was read."""
        rows: dict[int, Row] = {}
        date = None
        for row in self._listing.touched_since(time):
            date = date or self._server.date()
            rows[row["id"]] = row
        return rows, date or self._server.date()

    def _put_up(self, batch: Sequence[PairTask]) -> None:
        """Imported once, whatever becomes of the answers: before a repeat it is looked what is up."""
        try:
            self._import(batch)
        except LostAnswer as lost:
            log.warning("%s; looking what came of it", lost)
            time.sleep(SETTLE_S)
            self._server.patiently(lambda: self._import(self._missing(batch)))

    def _missing(self, batch: Sequence[PairTask]) -> list[PairTask]:
        numbers = self.numbers()
        return [task for task in batch if task.showing_id not in numbers]

    def _import(self, batch: Sequence[PairTask]) -> None:
        if not batch:
            return
        try:
            self._server.send("POST", f"/api/projects/{self._project}/import", json=[row_of(task) for task in batch])
        except BoardRefused as error:
            raise BoardRefused(f"{batch[0].showing_id} and {len(batch) - 1} more: {error}") from error

    def _remove_doubles(self) -> None:
        """Of a showing that is up more than once stays the first task with answers, or else the first. The others are
        deleted; those with answers, which a person gave meanwhile, are only withdrawn."""
        by_showing: dict[str | None, list[int]] = {}
        for row in self._listing.everything(BRIEF):
            by_showing.setdefault(showing_of(row), []).append(row["id"])
        doubled = [numbers for name, numbers in by_showing.items() if name is not None and len(numbers) > 1]
        for first in range(0, len(doubled), DOUBLES):
            self._keep_one_of_each(doubled[first : first + DOUBLES])

    def _keep_one_of_each(self, doubled: Sequence[Sequence[int]]) -> None:
        log.warning("%s: %d showings were up more than once", self._server.url, len(doubled))
        rows = {row["id"]: row for row in self._listing.numbered([each for numbers in doubled for each in numbers])}
        surplus: list[Row] = []
        for numbers in doubled:
            there = sorted((rows[each] for each in numbers if each in rows), key=lambda row: int(row["id"]))
            there.sort(key=lambda row: not row["annotations"])
            surplus += there[1:]
        _each(self._withdraw, [row for row in surplus if row["annotations"]])
        self._delete([row["id"] for row in surplus if not row["annotations"]])

    def _delete(self, numbers: Sequence[int]) -> None:
        if numbers:
            chosen = {"selectedItems": {"all": False, "included": list(numbers)}}
            where = {"id": "delete_tasks", "project": self._project}
            self._server.patiently(lambda: self._server.send("POST", "/api/dm/actions", json=chosen, params=where))

    def _withdraw(self, row: Row) -> None:
        """Done twice it is done once; a task that was deleted meanwhile is shown to nobody, too."""
        meta = {**(row["meta"] or {}), "is_withdrawn": True}
        try:
            self._server.patiently(lambda: self._server.send("PATCH", f"/api/tasks/{row['id']}", json={"meta": meta}))
        except NotThere:
            log.info("%s: task %s is gone", self._server.url, row["id"])


class _Access(httpx.Auth):
    """Access tokens in place of the personal one, as the sdk exchanges them; renewed when refused, or in time."""

    def __init__(self, url: str, personal_token: str) -> None:
        self._url = url
        self._http = httpx.Client(timeout=60.0, trust_env=False)
        self._lock = threading.Lock()
        self._token, self._until = "", 0.0
        try:
            sdk = LabelStudio(base_url=url, api_key=personal_token, max_retries=0, httpx_client=self._http)
            self._tokens = TokensClientExt(url, personal_token, client_wrapper=sdk._client_wrapper)
        except ApiError as error:
            raise self._refused() from _bare(error)
        if self._tokens.jwt_token_type(personal_token) != "refresh":
            raise BoardRefused(f"{url}: this is no personal token; {NEW_TOKEN}")

    def close(self) -> None:
        self._http.close()

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        token = self._access_token(refused="")
        request.headers["Authorization"] = f"Bearer {token}"
        response = yield request
        if response.status_code == 401:
            request.headers["Authorization"] = f"Bearer {self._access_token(refused=token)}"
            yield request

    def _access_token(self, *, refused: str) -> str:
        with self._lock:
            if self._token == refused or time.monotonic() > self._until:
                self._token, self._until = self._exchanged(), time.monotonic() + ACCESS_S
            return self._token

    def _exchanged(self) -> str:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # the sdk's own, about pydantic
                return str(self._tokens.refresh().access)
        except ApiError as error:
            if (error.status_code or 500) >= 500:
                raise LostAnswer(f"{self._url}: exchanging the token answered {error.status_code}") from _bare(error)
            raise self._refused() from _bare(error)
        except ValueError as error:
            raise LostAnswer(f"{self._url}: exchanging the token answered no JSON") from error

    def _refused(self) -> BoardRefused:
        return BoardRefused(f"{self._url}: the personal token is refused; {NEW_TOKEN}")


class _ServerClock:
    """What the server's clock shows at least: what it has shown, and the time gone by since, counted a little short.

    With it, a board on which nothing happens any more stops giving its last two minutes again and again.
    """

    def __init__(self) -> None:
        self._shown, self._at = EVER, time.monotonic()

    def now(self) -> str:
        """`EVER` while nothing is known."""
        gone_s = (time.monotonic() - self._at) * 0.999
        return EVER if self._shown == EVER else after(self._shown, timedelta(seconds=gone_s))

    def has_reached(self, shown: str) -> None:
        if shown > self.now():
            self._shown, self._at = shown, time.monotonic()


def _bare(error: ApiError) -> ApiError:
    """Without the headers and the body, where a session or a token may stand."""
    return ApiError(status_code=error.status_code)


def _numbers(rows: Iterable[Row]) -> dict[str, int]:
    """The lowest number of each showing."""
    by_number = sorted(rows, key=lambda row: -row["id"])
    return {showing_id: row["id"] for row in by_number if (showing_id := showing_of(row)) is not None}


def _each(do: Callable[[Row], None], rows: Sequence[Row]) -> None:
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(do, rows))
