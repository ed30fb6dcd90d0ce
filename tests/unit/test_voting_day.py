import random
import tempfile
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from annotate.board import AnsweredTask, Dealing, PairTask
from annotate.dealing.dealer import user_of
from annotate.dealing.deck import RECONCILE_S
from annotate.dealing.leases import CLAIM_S, LEASE_S
from annotate.errors import NotDealt
from annotate.interface import Parsed, parse_result
from tests.voting import ANN, BOB, CAT, DAN, JUDGE, OTHER_JUDGE, TIE, A, B, Day, key, task
from warehouse.records import Outcome, Purpose


def test_eight_people_at_once_give_each_pair_exactly_its_votes(tmp_path: Path) -> None:
    people = range(1, 9)
    day = Day(tmp_path, *(task(f"pair {n}") for n in range(60)), annotators=people)
    turn, failures = threading.Lock(), []

    def work(user: int) -> None:
        try:
            while (shown := day.deck.next_for(user)) is not None:
                day.deck.may_answer(user, shown.number)
                with turn:
                    answer = day.answer(user, shown.task.showing_id, Parsed(outcome=A))
                    day.board.submit([answer])
                day.deck.answered(user, shown.number, answer)
                if answer.id % 10 == 0:
                    with turn:
                        day.deck.refresh()
        except Exception as error:  # noqa: BLE001 - told to the test
            failures.append(error)

    threads = [threading.Thread(target=work, args=(user,)) for user in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert failures == []
    assert {len(each.answers) for each in day.board.changes().tasks} == {3}
    assert {len({answer.completed_by for answer in each.answers}) for each in day.board.changes().tasks} == {3}


ORDINARY = [
    task(f"pair {n}", num_votes=n % 4 + 1, num_agreeing=2 if n % 2 else None, priority=float(n % 3)) for n in range(12)
]
PROBES = [
    *(task(f"gold {n}", purpose=Purpose.GOLD, num_votes=None) for n in range(3)),
    *(task(f"again {n}", purpose=Purpose.REPEAT, num_votes=None, repeats=f"pair {n}") for n in range(3)),
    task("swapped", purpose=Purpose.SWAPPED_REPEAT, num_votes=2, repeats="gold 0"),
]
PUBLISHED = [replace(each, dealing=Dealing()) for each in (*ORDINARY, *PROBES)]
USERS = st.sampled_from([ANN, BOB, CAT, DAN, JUDGE, OTHER_JUDGE])


class VotingDay(RuleBasedStateMachine):
    """People, skips, late votes, edits, restarts and refreshes in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.screens: dict[int, dict[str, float]] = {}
        """What each person was dealt and may still have on a screen, and when, the latest last."""
        self.leased: dict[int, tuple[str, float]] = {}
        self.answered: set[tuple[int, str]] = set()
        self.withdrawn: set[str] = set()

    @initialize(num_first=st.integers(0, len(ORDINARY)))
    def open(self, num_first: int) -> None:
        self.day = Day(Path(self.folder.name), *ORDINARY[:num_first], *PROBES)
        self.day.people |= {JUDGE: True, OTHER_JUDGE: True}

    @rule(user=USERS)
    def load_a_page(self, user: int) -> None:
        self.load(user)

    def load(self, user: int) -> str | None:
        """Whoever loads a page gets a pair that they never answered; within its lease the same one again."""
        num_open = self.day.deck.progress(user).num_open
        shown = self.day.deck.next_for(user)
        assert (num_open > 0) == (shown is not None)
        if shown is None:
            return None
        showing = shown.task.showing_id
        assert (user, showing) not in self.answered
        assert showing not in self.withdrawn or not self.is_fresh
        assert replace(shown.task, dealing=Dealing()) in PUBLISHED
        assert shown.answers == ()
        leased, at = self.leased.get(user, (showing, self.day.now))
        assert leased == showing or self.day.now >= at + LEASE_S or not self.is_wanted(user, leased)
        self.leased[user] = showing, self.day.now
        self.screens.setdefault(user, {}).pop(showing, None)
        self.screens[user][showing] = self.day.now
        return showing

    @rule(user=USERS, outcome=st.sampled_from([A, TIE, B, None]), which=st.integers(0, 3))
    def submit(self, user: int, outcome: Outcome | None, which: int) -> None:
        """Send one of the screens, the latest or an older one; a refused one stays without effect."""
        screens = [*self.screens.get(user, {})][::-1]
        if screens:
            showing = screens[min(which, len(screens) - 1)]
            if not self.refused(user, showing):
                self.day.put(user, showing, outcome)
                self.answered.add((user, showing))
                del self.screens[user][showing]
                if self.leased.get(user, ("", 0))[0] == showing:
                    del self.leased[user]

    @rule(user=USERS)
    def load_and_vote(self, user: int) -> None:
        if self.load(user) is not None:
            self.submit(user, A, 0)

    @rule(user=USERS, draw=st.randoms(use_true_random=False), outcome=st.sampled_from([A, TIE, B]))
    def edit(self, user: int, draw: random.Random, outcome: Outcome) -> None:
        own = [answer for shown in self.day.deck.dealt(user) for answer in shown.answers if not answer.was_cancelled]
        if own:
            cast = draw.choice(own)
            number = self.day.deck.own(user, cast.id)
            assert number == cast.task
            showing = self.day.board.tasks()[cast.task].showing_id
            parsed = Parsed(outcome=outcome, broken_b=draw.random() < 0.2)
            edited = self.day.answer(user, showing, parsed, id=cast.id, created_at=cast.created_at)
            self.day.board.submit([edited])
            self.day.deck.answered(user, cast.task, edited)

    @rule(seconds=st.sampled_from([CLAIM_S, LEASE_S // 2, LEASE_S + 1]))
    def wait(self, seconds: int) -> None:
        self.day.now += seconds

    @rule()
    def refresh(self) -> None:
        self.day.deck.refresh()

    @rule(user=USERS, outcome=st.sampled_from([A, TIE, B]))
    def vote_during_a_refresh(self, user: int, outcome: Outcome) -> None:
        self.day.board.meanwhile = lambda: self.submit(user, outcome, 0)
        self.day.deck.refresh()
        self.day.board.meanwhile = lambda: None

    @rule()
    def restart(self) -> None:
        self.day.restart()

    @rule()
    def restart_later(self) -> None:
        """What was kept up to date deal by deal is what a new deck finds on the board."""
        self.day.now += LEASE_S
        self.day.deck.refresh()
        users = [*self.day.people]
        before = [(self.day.deck._open.next_for(user), self.day.deck.progress(user)) for user in users]
        self.day.restart()
        assert before == [(self.day.deck._open.next_for(user), self.day.deck.progress(user)) for user in users]

    @rule(user=USERS, draw=st.randoms(use_true_random=False))
    def erase_an_answer(self, user: int, draw: random.Random) -> None:
        own = [
            answer for shown in self.day.board.changes().tasks for answer in shown.answers if user_of(answer) == user
        ]
        if own:
            erased = draw.choice(own)
            self.day.board.erase_answer(erased)
            self.answered.discard((user, self.day.board.tasks()[erased.task].showing_id))
            self.day.deck.refresh()

    @rule(each=st.sampled_from([*ORDINARY[:3], *PROBES]))
    def erase_a_task(self, each: PairTask) -> None:
        """With its answers; it may be published again, and is another then."""
        if key(each.showing_id) in self.day.board.tasks():
            self.day.board.erase_task(key(each.showing_id))
            self.day.now += RECONCILE_S
            self.day.deck.refresh()
            self.answered = {(user, showing) for user, showing in self.answered if showing != each.showing_id}

    @rule(each=st.sampled_from(ORDINARY), priority=st.sampled_from([-1.0, 0.0, 5.0]))
    def prioritise(self, each: PairTask, priority: float) -> None:
        if key(each.showing_id) in self.day.board.tasks():
            self.day.board.prioritise(key(each.showing_id), priority)

    @rule()
    def publish_the_rest(self) -> None:
        self.day.board.publish([*ORDINARY, *PROBES])

    @rule(each=st.sampled_from(ORDINARY[-2:]))
    def withdraw(self, each: PairTask) -> None:
        self.day.board.withdraw([each.showing_id])
        self.withdrawn.add(each.showing_id)

    @precondition(lambda self: hasattr(self, "day"))
    @invariant()
    def nothing_has_too_many_votes(self) -> None:
        for each in self.day.board.changes().tasks:
            cast = [user_of(answer) for answer in each.answers if not answer.was_cancelled]
            assert len(cast) == len(set(cast))
            dealing, judges = each.task.dealing, {JUDGE, OTHER_JUDGE}.intersection(cast)
            assert len(judges) <= 1
            assert dealing.num_votes is None or len(cast) - len(judges) <= dealing.num_votes

    def teardown(self) -> None:
        """With enough people who do not skip, every task gets all it asks for."""
        try:
            if hasattr(self, "day"):
                self.finish()
        finally:
            self.folder.cleanup()

    def finish(self) -> None:
        self.publish_the_rest()
        self.day.now += LEASE_S
        self.day.deck.refresh()
        self.day.people |= dict.fromkeys(range(20, 26), False) | {30: True}
        while sum(self.load_and_vote_differently(user) for user in self.day.people):
            pass
        for each in self.day.board.changes().tasks:
            assert_finished(each, self.day.people)

    def load_and_vote_differently(self, user: int) -> bool:
        showing = self.load(user)
        if showing is not None:
            self.submit(user, (A, TIE, B)[(user + len(showing)) % 3], 0)
        return showing is not None

    @property
    def is_fresh(self) -> bool:
        """Whether the deck knows of every withdrawal."""
        known = [self.day.deck.task(key(each)) for each in self.withdrawn]
        return all(each is not None and each.task.dealing.is_withdrawn for each in known)

    def is_wanted(self, user: int, showing: str) -> bool:
        """Whether the task still wants this person's vote, as far as the deck knows."""
        found = self.day.deck.task(key(showing))
        if found is None or found.task.dealing.is_withdrawn:
            return False
        return is_split(found) if self.day.people[user] else not has_enough(found)

    def refused(self, user: int, showing: str) -> bool:
        try:
            self.day.deck.may_answer(user, key(showing))
        except NotDealt:
            return True
        return False


def outcomes(each: AnsweredTask) -> Mapping[int, Outcome | None]:
    """The votes on a task; None: broken."""
    parsed = {user_of(answer) or 0: parse_result(answer.result) for answer in each.answers if not answer.was_cancelled}
    return {user: None if one.is_broken else one.outcome for user, one in parsed.items()}


def counts(each: AnsweredTask) -> Sequence[int]:
    said = Counter(outcome for outcome in outcomes(each).values() if outcome is not None)
    return [count for _, count in said.most_common()]


def has_enough(each: AnsweredTask) -> bool:
    dealing, num_votes = each.task.dealing, len(outcomes(each))
    is_agreed = dealing.num_agreeing is not None and max(counts(each), default=0) >= dealing.num_agreeing
    return is_agreed or (dealing.num_votes is not None and num_votes >= dealing.num_votes)


def is_split(each: AnsweredTask) -> bool:
    leading = counts(each)[:2]
    return has_enough(each) and len(leading) == 2 and leading[0] == leading[1]


def assert_finished(each: AnsweredTask, people: Mapping[int, bool]) -> None:
    dealing = each.task.dealing
    if dealing.is_withdrawn or dealing.purpose.is_repeat:
        return
    if dealing.purpose is Purpose.GOLD:
        asked = {user for user, is_judge in people.items() if not is_judge}
        assert asked <= {user_of(answer) for answer in each.answers}
        return
    assert has_enough(each)
    assert not is_split(each) or any(people[user] for user in outcomes(each))


VotingDay.TestCase.settings = settings(max_examples=25, stateful_step_count=50, deadline=None)
TestVotingDay = VotingDay.TestCase
