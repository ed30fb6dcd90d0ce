"""A day of voting on a board in memory: its people, their deck, and a clock that goes only when told."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from annotate.board import Answer, AnsweredTask, Arrivals, Dealing, PairTask, number
from annotate.dealing.dealer import user_of
from annotate.dealing.deck import Deck
from annotate.errors import BoardDown, NotDealt
from annotate.home import Member
from annotate.interface import Parsed, parse_result, result_of
from annotate.memory_board import MemoryBoard
from annotate.votes import time_of
from warehouse.records import Outcome

A, TIE, B = Outcome.A, Outcome.TIE, Outcome.B
ANN, BOB, CAT, DAN = 1, 2, 3, 4
JUDGE, OTHER_JUDGE = 8, 9
START = 1_767_225_600.0
"""2026-01-01, in seconds since 1970."""


class TestBoard(MemoryBoard):
    """A board on which things are deleted, that can fail, and whose answers to `changes` can be late."""

    __test__ = False

    def __init__(self) -> None:
        super().__init__()
        self.is_down = False
        self.meanwhile: Callable[[], None] = lambda: None
        """Happens between reading the changes and handing them over."""

    def changes(self, since: str | None = None) -> Arrivals:
        if self.is_down:
            raise BoardDown("the board does not answer")
        recent = dict.fromkeys(each for each in self._touched[int(since or 0) :] if each in self._tasks)
        tasks = [
            AnsweredTask(number=each, task=self._tasks[each], answers=tuple(self._answers[each].values()))
            for each in recent
        ]
        arrivals = Arrivals(tasks=tuple(tasks), mark=str(len(self._touched)))
        self.meanwhile()
        return arrivals

    def erase_answer(self, answer: Answer) -> None:
        del self._answers[answer.task][answer.id]
        self._touched.append(answer.task)

    def prioritise(self, task: int, priority: float) -> None:
        dealing = replace(self._tasks[task].dealing, priority=priority)
        self._tasks[task] = replace(self._tasks[task], dealing=dealing)
        self._touched.append(task)

    def erase_task(self, task: int) -> None:
        del self._tasks[task], self._answers[task]


class Day:
    """A board, its people, their deck, and a clock that goes only when told."""

    def __init__(self, folder: Path, *tasks: PairTask, annotators: Collection[int] = (ANN, BOB, CAT, DAN)) -> None:
        self.board = TestBoard()
        self.leases = folder / "board" / "leases"
        self.people = dict.fromkeys(annotators, False)
        """Who is a member, and whether they adjudicate."""
        self.now = START
        self.num_answers = 0
        self.board.publish(tasks)
        self.restart()

    def members(self) -> Sequence[Member]:
        return [Member(user=u, name=str(u), email="", is_adjudicator=is_one) for u, is_one in self.people.items()]

    def restart(self) -> None:
        self.deck = Deck(self.board, members=self.members, leases=self.leases, clock=lambda: self.now)
        self.deck.refresh()

    def next(self, user: int) -> str | None:
        """The showing that a person gets."""
        shown = self.deck.next_for(user)
        return None if shown is None else shown.task.showing_id

    def answer(self, user: int, showing: str, parsed: Parsed | None, **override: Any) -> Answer:
        self.num_answers += 1
        self.now += 1
        at = time_of("2026-01-01T00:00:00Z").fromtimestamp(self.now, tz=time_of("2026-01-01T00:00:00Z").tzinfo)
        values: dict[str, Any] = {
            "id": self.num_answers,
            "task": key(showing),
            "completed_by": user,
            "result": () if parsed is None else result_of(parsed),
            "created_at": at.isoformat(),
            "updated_at": at.isoformat(),
            "lead_time": 1.0,
            "was_cancelled": parsed is None,
        }
        return Answer(**(values | override))

    def put(self, user: int, showing: str, outcome: Outcome | None = A, **override: Any) -> Answer:
        """An answer as the gateway passes it: asked, taken by the board, told to the deck. None: a skip."""
        self.deck.may_answer(user, key(showing))
        answer = self.answer(user, showing, None if outcome is None else Parsed(outcome=outcome), **override)
        self.board.submit([answer])
        self.deck.answered(user, key(showing), answer)
        return answer

    def vote(self, user: int, showing: str, outcome: Outcome | None = A) -> Answer:
        """Deal a person's next, which must be this one, and let them answer it."""
        assert self.next(user) == showing
        return self.put(user, showing, outcome)

    def refusal(self, user: int, showing: str) -> str:
        with pytest.raises(NotDealt) as caught:
            self.deck.may_answer(user, key(showing))
        return str(caught.value)


def key(showing: str) -> int:
    return number("task", showing)


def task(showing: str, **dealing: Any) -> PairTask:
    return PairTask(
        showing_id=showing,
        prompt=f"prompt of {showing}",
        references=("face.jpg",),
        video_a=f"{showing}_left.mp4",
        video_b=f"{showing}_right.mp4",
        dealing=Dealing(**dealing),
    )


def said(day: Day, showing: str) -> Mapping[int, Outcome]:
    """Who says what, as far as the deck knows."""
    found = day.deck.task(key(showing))
    assert found is not None
    return {user: parse_result(each.result).outcome for each in found.answers if (user := user_of(each)) is not None}
