"""From what was known of answers, and what the board shows now, to events and standing votes."""

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotate.board import Answer, AnsweredTask
from annotate.history import Changes, Collection
from annotate.interface import Parsed, result_of
from annotate.votes import Annotator
from tests import factories
from warehouse.board_records import EventKind, VoteEvent
from warehouse.records import Origin, Outcome

NOW = "2026-01-01T12:00:00.000000Z"
ROLL = {"7": Annotator(name="ann", origin=Origin.HUMAN)}


def answer(outcome: Outcome | None = Outcome.A, **override: Any) -> Answer:
    return factories.answer(**({"result": result_of(Parsed(outcome=outcome)) if outcome else ()} | override))


def shown(*answers: Answer, **override: Any) -> AnsweredTask:
    return AnsweredTask(number=1, task=factories.pair_task(**override), answers=answers)


def collection(number: int = 1, **override: Any) -> Collection:
    values: dict[str, Any] = {
        "number": number,
        "board": "memory",
        "showings": {"showing_1": factories.showing()},
        "roll": ROLL,
        "now": NOW,
    }
    return Collection(**(values | override))


def seen(*answers: Answer, before: Sequence[VoteEvent] = (), number: int = 1, **override: Any) -> Changes:
    return collection(number, **override).changes([shown(*answers)], before)


def kinds(changes: Changes) -> list[str]:
    return [event.kind for event in changes.events]


def test_a_new_answer_is_cast_and_its_vote_stands() -> None:
    changes = seen(answer(Outcome.B), number=3)
    (event,), (vote,) = changes.events, changes.votes
    assert (event.kind, event.collection, event.board, event.task, event.answer) == ("cast", 3, "memory", 1, 11)
    assert (event.vote_id, event.outcome, event.pair_id) == (vote.vote_id, Outcome.B, "pair_1")
    assert (event.annotator, event.at, event.problem, event.is_skip) == ("ann", "2026-01-01T10:00:05Z", None, False)
    assert json.loads(event.raw)["id"] == 11
    assert changes.gone == ()


def test_an_event_says_what_is_meant_of_the_candidates_when_the_sides_were_swapped() -> None:
    changes = seen(answer(Outcome.A), showings={"showing_1": factories.showing(is_swapped=True)})
    assert changes.events[0].outcome is changes.votes[0].outcome is Outcome.B


def test_the_same_answer_again_is_no_event_and_still_a_vote() -> None:
    first = seen(answer())
    again = seen(answer(lead_time=11.0), before=first.events, number=2)
    assert (again.events, again.gone) == ((), ())
    assert [vote.vote_id for vote in again.votes] == [vote.vote_id for vote in first.votes]


def test_an_edit_is_an_event_and_replaces_the_vote() -> None:
    first = seen(answer(Outcome.A))
    edit = seen(answer(Outcome.B, updated_at="2026-01-01T10:01:00Z"), before=first.events, number=2)
    assert kinds(edit) == ["edited"]
    assert (edit.events[0].outcome, edit.votes[0].outcome, edit.gone) == (Outcome.B, Outcome.B, ())
    assert edit.votes[0].vote_id == first.votes[0].vote_id
    assert edit.events[0].event_id != first.events[0].event_id


def test_an_edit_of_the_same_moment_is_an_event_too() -> None:
    assert kinds(seen(answer(Outcome.B), before=seen(answer(Outcome.A)).events)) == ["edited"]


def test_a_skip_is_an_event_without_a_vote_and_its_vote_later_an_edit() -> None:
    skip = seen(answer(None, was_cancelled=True))
    assert (skip.events[0].is_skip, skip.events[0].problem, skip.events[0].vote_id) == (True, None, None)
    assert skip.votes == ()
    voted = seen(answer(updated_at="2026-01-01T10:01:00Z"), before=skip.events)
    assert (kinds(voted), len(voted.votes), voted.gone) == (["edited"], 1, ())


def test_a_vote_that_is_skipped_afterwards_is_taken_down() -> None:
    first = seen(answer())
    skip = seen(answer(was_cancelled=True, updated_at="2026-01-01T10:01:00Z"), before=first.events)
    assert (kinds(skip), skip.votes, skip.gone) == (["edited"], (), (first.votes[0].vote_id,))


def test_an_answer_that_became_unreadable_takes_its_vote_down_and_says_why() -> None:
    first = seen(answer())
    spoilt = seen(answer(None, updated_at="2026-01-01T10:01:00Z"), before=first.events)
    assert (kinds(spoilt), spoilt.votes, spoilt.gone) == (["edited"], (), (first.votes[0].vote_id,))
    assert spoilt.events[0].problem == "answer 11 about pair_1: no vote among the answers []"
    assert seen(answer(None, updated_at="2026-01-01T10:01:00Z"), before=spoilt.events).events == ()


def test_an_answer_of_no_time_gets_that_of_the_collection() -> None:
    (event,) = seen(answer(updated_at="yesterday")).events
    assert event.at == NOW and "yesterday" in event.problem


def test_an_answer_that_is_gone_leaves_a_tombstone_once() -> None:
    first = seen(answer(), answer(id=12))
    gone = seen(answer(id=12), before=first.events, number=2)
    assert kinds(gone) == ["deleted"]
    (tombstone,) = gone.events
    assert (tombstone.answer, tombstone.vote_id, tombstone.at) == (11, first.votes[0].vote_id, NOW)
    assert (tombstone.raw, tombstone.collection) == (first.events[0].raw, 2)
    assert gone.gone == (first.votes[0].vote_id,)
    assert seen(answer(id=12), before=[*gone.events, first.events[1]], number=3).events == ()


def test_an_answer_that_comes_back_as_it_was_is_cast_anew() -> None:
    first = seen(answer())
    gone = seen(before=first.events, number=2)
    back = seen(answer(), before=gone.events, number=3)
    assert kinds(back) == ["cast"]
    assert len({event.event_id for changes in (first, gone, back) for event in changes.events}) == 3


def test_all_answers_of_a_task_that_is_gone_leave_tombstones() -> None:
    first = seen(answer(), answer(id=12, was_cancelled=True), answer(None, id=13))
    gone = collection(2).missed(first.events)
    assert kinds(gone) == ["deleted"] * 3
    assert gone.gone == (first.votes[0].vote_id,)
    assert collection(3).missed(gone.events) == Changes(events=(), votes=(), gone=())


def test_a_task_that_nobody_here_published_gives_an_event_with_a_problem() -> None:
    changes = collection().changes([shown(answer(), showing_id="showing_9")], [])
    (event,) = changes.events
    assert (event.showing_id, event.pair_id, event.vote_id, changes.votes) == (None, None, None, ())
    assert event.problem == "answer 11: task 1 shows showing_9, which nobody here published"
    known = seen(answer(), before=changes.events, number=2)
    assert (kinds(known), len(known.votes)) == (["edited"], 1)


def test_somebody_who_is_put_on_the_roll_later_is_known_by_name_from_then_on() -> None:
    stranger = seen(answer(), roll={})
    assert (stranger.events[0].annotator, stranger.votes[0].is_known) == ("7", False)
    known = seen(answer(), before=stranger.events)
    assert (kinds(known), known.votes[0].annotator, known.votes[0].is_known) == (["edited"], "ann", True)


@pytest.mark.parametrize("override", [{"board": "other"}, {"number": 2}])
def test_an_event_is_known_by_what_happened_and_where_and_not_by_when_it_was_seen(override: dict[str, Any]) -> None:
    (one,), (other,) = collection().changes([shown(answer())], []).events, seen(answer(), **override).events
    assert (one.event_id == other.event_id) == ("board" not in override)


states = st.none() | st.builds(
    lambda outcome, second, is_skip: answer(outcome, updated_at=f"2026-01-01T10:00:0{second}Z", was_cancelled=is_skip),
    st.none() | st.sampled_from(Outcome),
    st.integers(0, 3),
    st.booleans(),
)


@given(st.lists(states, max_size=8))
def test_whatever_happens_history_and_standing_votes_agree(drawn: list[Answer | None]) -> None:
    history: list[VoteEvent] = []
    standing: dict[str, Any] = {}
    for number, state in enumerate(drawn, start=1):
        changes = seen(*([state] if state else []), before=history[-1:], number=number)
        history += changes.events
        standing = {vote_id: vote for vote_id, vote in standing.items() if vote_id not in changes.gone}
        standing |= {vote.vote_id: vote for vote in changes.votes}
        assert len(changes.events) <= 1
        is_vote = state is not None and not state.was_cancelled and state.result != ()
        assert len(standing) == is_vote
        last = history[-1] if history else None
        if standing:
            (vote,) = standing.values()
            assert (last.vote_id, last.outcome, last.kind != EventKind.DELETED) == (vote.vote_id, vote.outcome, True)
        elif last is not None:
            assert last.kind == EventKind.DELETED or last.vote_id is None
    assert len({event.event_id for event in history}) == len(history)
    for before, after in pairwise(history):
        assert (after.kind is EventKind.CAST) == (before.kind is EventKind.DELETED)
        assert before.kind is not after.kind or after.kind is EventKind.EDITED


def test_no_answer_is_lost_among_many() -> None:
    answers = [answer(id=number) for number in range(100)]
    changes = collection().changes([replace(shown(*answers[:50])), replace(shown(*answers[50:]), number=2)], [])
    assert [event.answer for event in changes.events] == list(range(100))
    assert {event.task for event in changes.events} == {1, 2}
