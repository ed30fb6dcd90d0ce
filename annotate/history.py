"""What happened to answers: from what was known of them and what the board shows now, to events and standing votes.

Nothing is lost: skips and unreadable answers are events too, and what is gone from the board leaves a tombstone. The
same state again is no event, however often it arrives.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from annotate.board import Answer, AnsweredTask
from annotate.errors import AnswerUnreadable
from annotate.votes import Annotator, Roll, raw_of, read_vote, time_of
from warehouse import ids
from warehouse.board_records import EventKind, Showing, VoteEvent
from warehouse.records import Origin, Vote

SAID = ("completed_by", "result", "updated_at", "was_cancelled")
"""What of an answer makes it another one; the seconds it took do not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What became of the answers on some tasks."""

    events: tuple[VoteEvent, ...]
    votes: tuple[Vote, ...]
    """All that stand on these tasks now, changed or not."""
    gone: tuple[str, ...]
    """Ids of votes that stood before and do not stand now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """One look at a board, and all that is needed to read its answers."""

    number: int
    """Counted from 1; it goes into the events."""
    board: str
    showings: Mapping[str, Showing]
    """By id; at least those of the tasks that are read."""
    roll: Roll
    now: str
    """ISO 8601 in UTC."""

    def changes(self, arrived: Iterable[AnsweredTask], before: Iterable[VoteEvent]) -> Changes:
        """What is new on the tasks that arrived. `before`: the last event of every answer ever seen on them."""
        last = {event.answer: event for event in before}
        events, votes, gone = [], [], []
        for task in arrived:
            for answer in task.answers:
                was = last.pop(answer.id, None)
                event, vote = self._seen(task, answer, was)
                votes += [vote] if vote else []
                if was is None or _is_news(was, event):
                    events.append(event)
                if was is not None and was.vote_id is not None and vote is None and _stands(was):
                    gone.append(was.vote_id)
        missed = self.missed(last.values())
        return Changes(events=(*events, *missed.events), votes=tuple(votes), gone=(*gone, *missed.gone))

    def missed(self, before: Iterable[VoteEvent]) -> Changes:
        """Tombstones of answers that are not on the board any more. `before`: the last event of each."""
        standing = [event for event in before if _stands(event)]
        gone = tuple(event.vote_id for event in standing if event.vote_id is not None)
        return Changes(events=tuple(self._tombstone(event) for event in standing), votes=(), gone=gone)

    def _tombstone(self, last: VoteEvent) -> VoteEvent:
        event_id = self._event_id(EventKind.DELETED, last.answer, None, last)
        return replace(last, event_id=event_id, kind=EventKind.DELETED, collection=self.number, at=self.now)

    def _seen(self, task: AnsweredTask, answer: Answer, last: VoteEvent | None) -> tuple[VoteEvent, Vote | None]:
        """What an answer would be as the event after its last one, and the vote that it is."""
        showing = self.showings.get(task.task.showing_id)
        vote, problem = self._read(answer, task, showing)
        user, kind = str(answer.completed_by), EventKind.EDITED if last and _stands(last) else EventKind.CAST
        event = VoteEvent(
            event_id=self._event_id(kind, answer.id, [getattr(answer, name) for name in SAID], last),
            collection=self.number,
            board=self.board,
            task=task.number,
            answer=answer.id,
            kind=kind,
            vote_id=vote.vote_id if vote else None,
            showing_id=showing.showing_id if showing else None,
            pair_id=showing.pair_id if showing else None,
            annotator=self.roll.get(user, Annotator(name=user, origin=Origin.HUMAN)).name,
            outcome=vote.outcome if vote else None,
            is_skip=answer.was_cancelled,
            problem=problem,
            at=answer.updated_at if _is_time(answer.updated_at) else self.now,
            raw=vote.raw if vote else raw_of(answer),
        )
        return event, vote

    def _event_id(self, kind: EventKind, answer: int, said: Any, last: VoteEvent | None) -> str:
        """Of what happened and of all that happened before: what comes back as it was is another event."""
        return ids.make("event", kind, self.board, answer, said, last.event_id if last else None)

    def _read(self, answer: Answer, task: AnsweredTask, showing: Showing | None) -> tuple[Vote | None, str | None]:
        """The vote that an answer is, or why it is none; a skip is neither."""
        if showing is None:
            named = task.task.showing_id or "nothing"
            return None, f"answer {answer.id}: task {task.number} shows {named}, which nobody here published"
        try:
            return read_vote(answer, showing, self.roll), None
        except AnswerUnreadable as error:
            return None, str(error)


def _is_news(was: VoteEvent, event: VoteEvent) -> bool:
    """Whether an answer says, or is read, otherwise than it was at its last event."""
    is_as_before = _stands(was) and _read_as(was) == _read_as(event)
    return not is_as_before or (was.raw != event.raw and _said(was.raw) != _said(event.raw))


def _stands(event: VoteEvent) -> bool:
    return event.kind is not EventKind.DELETED


def _read_as(event: VoteEvent) -> tuple[Any, ...]:
    """How an answer was understood; in which words a problem is told does not matter."""
    return event.vote_id, event.showing_id, event.annotator, event.outcome, event.is_skip, event.problem is None


def _said(raw: str) -> list[Any]:
    answer = json.loads(raw)
    return [answer[name] for name in SAID]


def _is_time(text: str) -> bool:
    try:
        time_of(text)
    except ValueError:
        return False
    return True
