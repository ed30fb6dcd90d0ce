"""The gateway's deck: what is up and answered, as the board and the votes that pass through tell; and the next pair.

The board is the truth: a new deck knows nothing but the leases until its first `refresh`. It belongs to one process.
"""

import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from annotate.board import Answer, AnsweredTask, PairBoard
from annotate.dealing.dealer import Roster, user_of
from annotate.dealing.leases import Leases
from annotate.dealing.open_tasks import OpenTasks
from annotate.errors import NotDealt
from annotate.home import Member
from annotate.votes import time_of

RECONCILE_S = 10 * 60
"""How often the deck looks for tasks that were deleted from the board."""
BATCH = 200
"""Tasks that are taken before others get a turn: some milliseconds."""


@dataclass(frozen=True, slots=True)
class Progress:
    """One person's own."""

    num_done: int
    """Votes of theirs that stand; skips are none."""
    num_open: int
    """Pairs that are open to them now; those that others finish meanwhile leave it."""


class Deck:
    """Safe to use from several threads. No method but `refresh` talks to the board."""

    def __init__(
        self,
        board: PairBoard,
        *,
        members: Callable[[], Sequence[Member]],
        leases: Path,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._board, self._members, self._clock = board, members, clock
        self._leases = Leases(leases)
        self._open = OpenTasks(self._leases)
        self._lock = threading.Lock()
        self._refreshing = threading.Lock()
        self._mark: str | None = None
        self._reconciled_at: float | None = None
        self._task_of: dict[int, int] = {}
        """The task of each answer that was ever seen."""
        self._passed: list[tuple[int, Answer]] = []
        """Answers that came through the gateway, numbered: those that a refresh in flight may not know."""
        self._num_passed = 0

    def refresh(self) -> None:
        """Take what changed on the board. Where the board fails, its error is raised and the deck stays as it was."""
        with self._refreshing:
            num_known, now = self._num_passed, self._clock()
            arrivals = self._board.changes(self._mark)
            numbers = self._numbers_if_due(now)
            for start in range(0, len(arrivals.tasks), BATCH):
                with self._held():
                    passed = [answer for count, answer in self._passed if count > num_known]
                    for task in arrivals.tasks[start : start + BATCH]:
                        self._put(_with_later(task, passed))
            with self._held():
                if numbers is not None:
                    self._drop_all_but(numbers)
                    self._reconciled_at = now
                self._passed = [(count, answer) for count, answer in self._passed if count > num_known]
                self._mark = arrivals.mark

    def next_for(self, user: int) -> AnsweredTask | None:
        """Deal to a person: the pair they have already, or the next; None: nothing is open to them, or they are no
        member."""
        with self._held() as now:
            if user not in self._open.roster:
                return None
            held = self._leases.held(user)
            number = held if held is not None and self._may_keep(user, held) else self._open.next_for(user)
            if number is None:
                return None
            for changed in self._leases.deal(user, number, now):
                self._open.reseat(changed)
            return _only_of(user, self._open.tasks[number])

    def may_answer(self, user: int, number: int) -> None:
        """Raise `NotDealt` unless this person may now vote on a task or skip it; a seat is kept while they do.

        A live lease is always good, a lapsed one as long as there is a seat. Who skipped a pair may think again.
        """
        with self._held() as now:
            reason = self._refusal(user, number)
            if reason is not None:
                raise NotDealt(f"pair {number}: {reason}")
            self._leases.claim(user, number, now)
            self._open.reseat(number)

    def answered(self, user: int, number: int, answer: Answer) -> None:
        """Take an answer, new or edited, that the board has just accepted."""
        if user_of(answer) != user or answer.task != number:
            raise ValueError(
                f"answer {answer.id} is by {answer.completed_by} on task {answer.task}, not by {user} on {number}"
            )
        with self._held():
            self._num_passed += 1
            self._passed.append((self._num_passed, answer))
            task = self._open.tasks.get(number)
            if task is not None:
                self._put(_with_later(task, [answer]))

    def own(self, user: int, answer_id: int) -> int | None:
        """The task on which this answer of this person stands, be it a skip; None: it is not theirs, or is gone."""
        with self._held():
            task = self._open.tasks.get(self._task_of.get(answer_id, -1))
            if task is None or user not in self._open.roster:
                return None
            own_ids = {answer.id for answer in task.answers if user_of(answer) == user}
            return task.number if answer_id in own_ids else None

    def dealt(self, user: int) -> Sequence[AnsweredTask]:
        """Everything that a person was shown, the oldest first, each with their own answers alone."""
        with self._held():
            if user not in self._open.roster:
                return ()
            times = {number: moment[0].timestamp() for number, moment in self._open.hand(user).voted.items()}
            times |= self._leases.dealt(user)
            shown = sorted((at, number) for number, at in times.items() if number in self._open.tasks)
            return tuple(_only_of(user, self._open.tasks[number]) for _, number in shown)

    def shown(self, user: int, number: int) -> AnsweredTask | None:
        """A task with this person's answers alone; None: it was never dealt to them."""
        with self._held():
            is_theirs = number in self._leases.dealt(user) or number in self._open.hand(user).seen
            if user not in self._open.roster or number not in self._open.tasks or not is_theirs:
                return None
            return _only_of(user, self._open.tasks[number])

    def task(self, number: int) -> AnsweredTask | None:
        """A task with everybody's answers; None: the board does not have it."""
        with self._held():
            return self._open.tasks.get(number)

    def progress(self, user: int) -> Progress:
        with self._held():
            if user not in self._open.roster:
                return Progress(0, 0)
            return Progress(len(self._open.hand(user).voted), self._open.num_open(user))

    @contextmanager
    def _held(self) -> Iterator[float]:
        """The deck for one thread alone, leases and members as they are now; gives the time."""
        roster = Roster.of(self._members())
        with self._lock:
            now = self._clock()
            for number in self._leases.lapse(now):
                self._open.reseat(number)
            self._open.invite(roster)
            yield now

    def _numbers_if_due(self, now: float) -> Collection[int] | None:
        if self._reconciled_at is not None and now - self._reconciled_at < RECONCILE_S:
            return None
        return set(self._board.numbers().values())

    def _put(self, task: AnsweredTask) -> None:
        if self._open.tasks.get(task.number) != task:
            self._open.put(task)
            self._task_of.update((answer.id, task.number) for answer in task.answers)

    def _drop_all_but(self, numbers: Collection[int]) -> None:
        for number in [each for each in self._open.tasks if each not in numbers]:
            self._open.drop(number)

    def _may_keep(self, user: int, number: int) -> bool:
        """Whether the pair that a person holds is still worth their while."""
        is_up = number in self._open.tasks and number not in self._open.hand(user).seen
        return is_up and self._open.is_open(user, number)

    def _refusal(self, user: int, number: int) -> str | None:
        """Why a person may not answer a task, in words for them."""
        task = self._open.tasks.get(number)
        if user not in self._open.roster:
            return "your account was not invited to vote here; ask the person who invites"
        if task is None and self._mark is None:
            return "the board is still being read; send your answer again in a moment"
        if task is None:
            return "it is not on the board any more; load the next pair"
        if number in self._open.hand(user).voted:
            return "you have answered it already; to change your vote, go back to it and update it"
        if number not in self._leases.dealt(user):
            return "it was never given to you; load the next pair"
        if task.task.dealing.is_withdrawn:
            return "it was withdrawn meanwhile, and no votes on it are needed; load the next pair"
        if self._leases.held(user) != number and not self._open.is_open(user, number):
            return "it was open for too long, and others have taken it over; load the next pair"
        return None


def _with_later(task: AnsweredTask, passed: Sequence[Answer]) -> AnsweredTask:
    """The task with the answers that its source did not know yet, in place of older versions of theirs."""
    answers = {answer.id: answer for answer in task.answers}
    for answer in passed:
        known = answers.get(answer.id)
        if answer.task == task.number and (known is None or _changed_at(known) <= _changed_at(answer)):
            answers[answer.id] = answer
    return replace(task, answers=tuple(answers.values()))


def _changed_at(answer: Answer) -> datetime:
    try:
        return time_of(answer.updated_at)
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)


def _only_of(user: int, task: AnsweredTask) -> AnsweredTask:
    return replace(task, answers=tuple(answer for answer in task.answers if user_of(answer) == user))
