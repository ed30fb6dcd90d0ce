"""A vote's body: what the page may say, and nothing else. What is forwarded is written anew from what was read."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from annotate.errors import AnswerUnreadable
from annotate.gateway.errors import Refused
from annotate.interface import parse_result

MOST_BYTES = 64 * 1024
MOST_LEAD_S = 7 * 24 * 3600
_SAID = {"result", "lead_time", "was_cancelled", "completed_by"}
_IGNORED = {"draft_id", "parent_prediction", "parent_annotation", "started_at", "unique_id", "project", "was_postponed"}
_PAGE_OWN = {"id", "pk", "task", "created_at", "created_username", "created_ago", "updated_at", "updated_by"}
_REGION = {"id", "from_name", "to_name", "type", "value", "origin"}
_SPACE = uuid.UUID("6f3c5a53-6a57-5f0f-9c0a-6b7d0c1b3f11")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """A vote or a skip, as the page sent it and as it may be forwarded."""

    result: tuple[Mapping[str, Any], ...]
    was_cancelled: bool
    lead_time: float | None

    def body(self) -> dict[str, Any]:
        """What Label Studio is told."""
        said = {"result": list(self.result), "was_cancelled": self.was_cancelled}
        return said if self.lead_time is None else said | {"lead_time": self.lead_time}


def read_cast(content: bytes, *, user: int) -> Cast:
    """A vote, or an edit of one. `Refused` unless the page could have sent it for this person."""
    said = _object(content)
    strange = sorted(set(said) - _SAID - _IGNORED - _PAGE_OWN)
    if strange:
        raise Refused(400, f"a vote has no {', '.join(strange)}")
    if said.get("completed_by", user) not in (user, None):
        raise Refused(403, "nobody votes as somebody else")
    was_cancelled = said.get("was_cancelled", False)
    if not isinstance(was_cancelled, bool):
        raise Refused(400, "was_cancelled is true or false")
    return Cast(
        result=() if was_cancelled else _result(said.get("result")),
        was_cancelled=was_cancelled,
        lead_time=_seconds(said.get("lead_time")),
    )


def read_draft(content: bytes) -> dict[str, Any]:
    """What is to be kept of a half-made vote: it may be incomplete, not strange."""
    said = _object(content)
    result = said.get("result", [])
    if not isinstance(result, list) or not all(isinstance(region, dict) for region in result):
        raise Refused(400, "result is a list of regions")
    return {
        "result": [_region(region) for region in result],
        "lead_time": _seconds(said.get("lead_time")),
        "was_postponed": said.get("was_postponed") is True,
    }


def unique_id(*, task: int, user: int) -> str:
    """The same for every attempt of one person at one task: Label Studio keeps it unique among its annotations, so
    that not even an answer lost on the way makes a second vote."""
    return str(uuid.uuid5(_SPACE, f"{task} {user}"))


def _object(content: bytes) -> dict[str, Any]:
    try:
        said = json.loads(content, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise Refused(400, "the body is no JSON") from error
    if not isinstance(said, dict):
        raise Refused(400, "the body is no JSON object")
    return said


def _no_number(name: str) -> None:
    raise ValueError(name)


def _result(result: object) -> tuple[Mapping[str, Any], ...]:
    if not isinstance(result, list) or not all(isinstance(region, dict) for region in result):
        raise Refused(400, "result is a list of regions")
    regions = tuple(_region(region) for region in result)
    try:
        parse_result(regions)
    except AnswerUnreadable as error:
        raise Refused(400, f"this vote cannot be read: {str(error)[:300]}") from error
    return regions


def _region(region: Mapping[str, Any]) -> Mapping[str, Any]:
    value = region.get("value")
    named = {key: region[key] for key in _REGION - {"value"} if key in region}
    if not all(isinstance(text, str) and len(text) <= 64 for text in named.values()):
        raise Refused(400, "a region's names are short texts")
    if not isinstance(value, dict) or set(value) - {"choices", "text"} or not all(map(_is_text, value.values())):
        raise Refused(400, "a region's value has choices, or text")
    return named | {"value": value}


def _is_text(said: object) -> bool:
    return isinstance(said, str) or (isinstance(said, list) and all(isinstance(each, str) for each in said))


def _seconds(lead_time: object) -> float | None:
    if lead_time is None:
        return None
    if isinstance(lead_time, bool) or not isinstance(lead_time, int | float):
        raise Refused(400, "lead_time is a number of seconds")
    if not 0 <= lead_time <= MOST_LEAD_S:  # false of a NaN too
        raise Refused(400, f"lead_time is between 0 and {MOST_LEAD_S} seconds")
    return float(lead_time)
