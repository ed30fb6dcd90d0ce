"""A Label Studio project's tasks as its listing gives them, and as ours.

Pages are found by key, not by number, so that what changes while they are read is neither left out nor hidden by it.
"""

import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from datetime import UTC, timedelta
from itertools import pairwise
from typing import Any

from annotate.board import Answer, AnsweredTask, Dealing, PairTask, Region
from annotate.labelstudio_http import LabelStudioServer
from annotate.votes import time_of
from warehouse.records import Purpose

log = logging.getLogger(__name__)

PAGE = 1000
FLOOD = 2 * PAGE
"""Where more was touched, as after a large publication, everything is read side by side instead of page after page."""
THREADS, RANGE = 8, 250
"""Everything is read by so many requests at once, of about so many tasks: more than the server's four processes, and
small, because a connection stays with the process that took it, and some processes get several."""
EVER = "1970-01-01T00:00:00.000000Z"
BRIEF = {"fields": "task_only", "include": "id,data,meta"}
WHOLE = {
    "fields": "all",
    "review": "true",  # which leaves out a dozen columns that are counted anew for each task
    "include": "id,data,meta,updated_at,annotations,result,completed_by,was_cancelled,lead_time,created_at",
}
_DEALING = tuple(each.name for each in fields(Dealing))

Row = Mapping[str, Any]
"""A task as the server lists it."""


@dataclass(frozen=True, slots=True)
class TaskListing:
    """`GET /api/tasks` of one project."""

    server: LabelStudioServer
    project: int

    def count(self) -> int:
        return int(self._page("-tasks:id", (), BRIEF, size=1)["total"])

    def newest(self) -> str:
        """The latest time that a task was touched; `EVER`: there is none."""
        rows = self._page("-tasks:updated_at", (), {"fields": "task_only", "include": "updated_at"}, size=1)["tasks"]
        return utc(rows[0]["updated_at"]) if rows else EVER

    def everything(self, wanted: Mapping[str, str]) -> list[Row]:
        """All tasks, by number; those that are put up or deleted meanwhile may be there or not."""
        last = self._page("-tasks:id", (), BRIEF, size=1)
        if not last["tasks"]:
            return []
        first = self._page("tasks:id", (), BRIEF, size=1)["tasks"]
        low, high = min(row["id"] for row in first + last["tasks"]), last["tasks"][0]["id"]
        num_ranges = max(THREADS, -(-last["total"] // RANGE))
        bounds = [low + (high + 1 - low) * index // num_ranges for index in range(num_ranges + 1)]
        with ThreadPoolExecutor(THREADS) as pool:
            parts = pool.map(lambda span: list(self._range(span[0], span[1], wanted)), pairwise(bounds))
            return [row for part in parts for row in part]

    def numbered(self, numbers: Sequence[int]) -> list[Row]:
        """Those of these tasks that are there, at most `PAGE`, with their answers."""
        rows: list[Row] = self._page("tasks:id", [_item("id", "in_list", "List", list(numbers))], WHOLE)["tasks"]
        return rows

    def touched_since(self, time: str) -> Iterator[Row]:
        """Tasks touched then or later; one that is touched meanwhile may come twice."""
        while True:
            page = self._page("tasks:updated_at", [_at("greater_or_equal", time)], WHOLE)
            rows = page["tasks"]
            yield from rows
            if len(rows) < PAGE:
                return
            if page["total"] > FLOOD:
                yield from self.everything(WHOLE)
                return
            time = utc(rows[-1]["updated_at"])
            if time == utc(rows[0]["updated_at"]):
                yield from self._touched_at(time)
                time = after(time, timedelta(microseconds=1))

    def _touched_at(self, time: str) -> Iterator[Row]:
        """More tasks than a page holds, all touched at one time, as a change of all of them does it."""
        number = 0
        while True:
            conditions = [_at("equal", time), _item("id", "greater", "Number", number)]
            rows = self._page("tasks:id", conditions, WHOLE)["tasks"]
            yield from rows
            if len(rows) < PAGE:
                return
            number = rows[-1]["id"]

    def _range(self, low: int, high: int, wanted: Mapping[str, str]) -> Iterator[Row]:
        """Tasks whose number is in the half-open range."""
        while low < high:
            condition = _item("id", "in", "Number", {"min": low, "max": high - 1})
            rows = self._page("tasks:id", [condition], wanted)["tasks"]
            yield from rows
            if len(rows) < PAGE:
                return
            low = rows[-1]["id"] + 1

    def _page(
        self, ordering: str, conditions: Iterable[Row], wanted: Mapping[str, str], *, size: int = PAGE
    ) -> dict[str, Any]:
        """Always the first page of what meets all conditions. The server fails where a listed task is just deleted:
        asked again, it answers."""
        query = {"ordering": [ordering], "filters": {"conjunction": "and", "items": list(conditions)}}
        answer: dict[str, Any] = self.server.get(
            "/api/tasks",
            project=self.project,
            page_size=size,
            resolve_uri="false",
            query=json.dumps(query),
            **wanted,
        )
        return answer


def row_of(task: PairTask) -> dict[str, Any]:
    """A showing as it is imported. The page's own variables are there and empty: the gateway fills them in."""
    data = {
        "showing_id": task.showing_id,
        "prompt": task.prompt or "",  # Label Studio takes no null
        "references": list(task.references),
        "video_a": task.video_a,
        "video_b": task.video_b,
        "faces": None if task.faces is None else list(task.faces),
        "refs_html": "",
        "player": "",
    }
    return {"data": data, "meta": asdict(task.dealing)}


def showing_of(row: Row) -> str | None:
    """The showing id of a listed task; None: it is not ours."""
    showing_id = row["data"].get("showing_id") if isinstance(row["data"], dict) else None
    return showing_id if isinstance(showing_id, str) else None


def answered(rows: Iterable[Row]) -> Iterator[AnsweredTask]:
    """Listed tasks with their answers; those that are not ours are left out, and logged."""
    for row in rows:
        try:
            task = _task(row)
        except (KeyError, TypeError, ValueError) as error:
            log.warning("task %s is none of ours, or was changed by hand (%r); left out", row["id"], error)
            continue
        answers = tuple(_answer(row["id"], each) for each in sorted(row["annotations"], key=lambda each: each["id"]))
        yield AnsweredTask(number=row["id"], task=task, answers=answers)


def utc(time: str) -> str:
    """A time of the server in the one spelling that sorts, and that its filters take."""
    return time_of(time).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def before(time: str, span: timedelta) -> str:
    """The time `span` earlier, not before `EVER`."""
    return after(time, -span) if time > after(EVER, span) else EVER


def after(time: str, span: timedelta) -> str:
    return utc((time_of(time) + span).isoformat())


def _task(row: Row) -> PairTask:
    data, meta = row["data"], row["meta"]
    told = {name: meta[name] for name in _DEALING if name in meta}
    texts = [data[name] for name in ("showing_id", "prompt", "video_a", "video_b")]
    if not all(isinstance(text, str) for text in (*texts, *data["references"])):
        raise TypeError("its data are no texts")
    showing_id, prompt, video_a, video_b = texts
    return PairTask(
        showing_id=showing_id,
        prompt=prompt or None,
        references=tuple(data["references"]),
        video_a=video_a,
        video_b=video_b,
        dealing=Dealing(**told | {"purpose": Purpose(meta["purpose"])}),
        faces=_region(data.get("faces")),
    )


def _region(told: Any) -> Region | None:
    if told is None:
        return None
    left, top, width, height = (float(each) for each in told)
    return left, top, width, height


def _answer(number: int, annotation: Row) -> Answer:
    """One annotation. Who it is by is told as the number of the account; of a deleted account, as an empty text."""
    by = annotation["completed_by"]
    return Answer(
        id=annotation["id"],
        task=number,
        completed_by="" if by is None else by,
        result=tuple(annotation["result"] or ()),
        created_at=annotation["created_at"],
        updated_at=annotation["updated_at"],
        lead_time=annotation["lead_time"],
        was_cancelled=annotation["was_cancelled"],
    )


def _at(operator: str, time: str) -> Row:
    return _item("updated_at", operator, "Datetime", time)


def _item(column: str, operator: str, kind: str, value: Any) -> Row:
    return {"filter": f"filter:tasks:{column}", "operator": operator, "type": kind, "value": value}
