"""A vote's body: read strictly, written anew."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotate.gateway.errors import Refused
from annotate.gateway.votes import MOST_LEAD_S, read_cast, read_draft, unique_id
from annotate.interface import Parsed, parse_result, result_of
from tests.gateway_world import vote
from warehouse.records import Outcome


def sent(**said: Any) -> bytes:
    return json.dumps(vote() | said).encode()


OUTCOMES = st.sampled_from(Outcome)
ANSWERS = st.builds(
    Parsed,
    outcome=OUTCOMES,
    face=st.none() | OUTCOMES,
    quality=st.none() | OUTCOMES,
    align=st.none() | OUTCOMES,
    broken_a=st.booleans(),
    broken_b=st.booleans(),
    comment=st.none() | st.text(min_size=1, max_size=50).map(str.strip).filter(bool),
)


@given(ANSWERS)
def test_whatever_the_page_can_say_goes_on_as_it_was_said(parsed: Parsed) -> None:
    cast = read_cast(sent(result=list(result_of(parsed))), user=2)
    assert parse_result(cast.body()["result"]) == parsed
    assert not cast.was_cancelled


def test_a_skip_carries_no_result() -> None:
    cast = read_cast(sent(was_cancelled=True), user=2)
    assert cast.body() == {"result": [], "was_cancelled": True, "lead_time": 3.5}


def test_only_what_was_read_goes_on() -> None:
    body = read_cast(sent(project="8", draft_id=17, parent_annotation=5), user=2).body()
    assert set(body) == {"result", "was_cancelled", "lead_time"}


@pytest.mark.parametrize("by", [3, "3", "2", 0, True, [2], {"id": 2}])
def test_a_vote_is_ones_own(by: Any) -> None:
    with pytest.raises(Refused) as caught:
        read_cast(sent(completed_by=by), user=2)
    assert caught.value.status == 403


@pytest.mark.parametrize("by", [2, None])
def test_a_vote_may_say_whose_it_is(by: Any) -> None:
    assert read_cast(sent(completed_by=by), user=2).result


@pytest.mark.parametrize(
    "said",
    [
        {"ground_truth": True},
        {"ground_truth": False},
        {"bulk_created": True},
        {"last_action": "accepted"},
        {"was_cancelled": 1},
        {"lead_time": -0.1},
        {"lead_time": MOST_LEAD_S + 1},
        {"lead_time": 10**400},
        {"lead_time": True},
        {"lead_time": "3"},
        {"result": None},
        {"result": {}},
        {"result": [[]]},
        {"result": []},
        {"result": [vote()["result"][0]] * 2},
        {"result": [vote()["result"][0] | {"id": "x" * 65}]},
        {"result": [vote()["result"][0] | {"id": 5}]},
        {"result": [vote()["result"][0] | {"value": {"choices": ["A"], "html": "<b>"}}]},
        {"result": [vote()["result"][0], {"from_name": "comment", "value": {"text": [{"a": 1}]}}]},
    ],
)
def test_what_the_page_cannot_say_is_refused(said: dict[str, Any]) -> None:
    with pytest.raises(Refused) as caught:
        read_cast(sent(**said), user=2)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"5", b"{", b"\xff", b'{"lead_time": NaN}', b"[" * 60_000, b'{"lead_time": 1e999}']
)
def test_what_is_no_json_object_is_refused(content: bytes) -> None:
    with pytest.raises(Refused) as caught:
        read_cast(content, user=2)
    assert caught.value.status == 400


def test_what_a_region_has_beyond_its_names_is_left_behind() -> None:
    region = vote()["result"][0] | {"meta": {"text": ["x"]}, "score": 1, "hidden": True}
    cast = read_cast(sent(result=[region]), user=2)
    assert set(cast.result[0]) == {"id", "from_name", "to_name", "type", "value", "origin"}


def test_a_draft_may_be_empty_but_not_strange() -> None:
    assert read_draft(sent(result=[]))["result"] == []
    with pytest.raises(Refused):
        read_draft(sent(result=[{"value": {"html": "<b>"}}]))


@given(st.integers(1, 2**52), st.integers(1, 10_000), st.integers(1, 2**52), st.integers(1, 10_000))
def test_attempts_have_one_id_by_person_and_task(task: int, user: int, other_task: int, other_user: int) -> None:
    assert unique_id(task=task, user=user) == unique_id(task=task, user=user)
    same = (task, user) == (other_task, other_user)
    assert (unique_id(task=task, user=user) == unique_id(task=other_task, user=other_user)) is same
