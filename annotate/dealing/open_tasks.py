"""Every task, what it wants, and for each person the next one: indices, so that no deal looks through all tasks."""

import bisect
import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable
from math import ceil

from annotate.board import AnsweredTask
from annotate.dealing import dealer
from annotate.dealing.dealer import Left, Moment, Place, Pool, Roster, Stand, Tally
from annotate.dealing.leases import Leases

SILENCE = Tally({}, frozenset())


class Hand:
    """One person: what they answered, and what is open to them."""

    def __init__(self, user: int) -> None:
        self.user = user
        self.seen: set[int] = set()
        """Tasks that they answered in any way."""
        self.voted: dict[int, Moment] = {}
        self.moments: list[Moment] = []
        """Of their votes, sorted."""
        self.open: dict[Pool, set[int]] = {pool: set() for pool in Pool}
        """Unseen tasks with a seat that nobody holds; of repeats, those whose original they voted on."""
        self.piles: dict[Pool, list[Place]] = {}
        """The open tasks as heaps, each made when first looked at. A task may stand in one several times; a place that
        is not its own any more is dropped when it comes up."""

    def note(self, number: int, cast: Tally) -> None:
        """Take what stands on a task now."""
        before, vote = self.voted.pop(number, None), cast.votes.get(self.user)
        if before is not None:
            del self.moments[bisect.bisect_left(self.moments, before)]
        if vote is not None:
            self.voted[number] = vote.moment
            bisect.insort(self.moments, vote.moment)
        if vote is not None or self.user in cast.skippers:
            self.seen.add(number)
        else:
            self.seen.discard(number)


class OpenTasks:
    """Not thread-safe. `reseat` must be told of every task whose seats changed in `leases`."""

    def __init__(self, leases: Leases) -> None:
        self.roster = Roster.of(())
        self.tasks: dict[int, AnsweredTask] = {}
        self._leases = leases
        self._tallies: dict[int, Tally] = {}
        self._stands: dict[int, Stand] = {}
        self._hands: dict[int, Hand] = {}
        self._numbers: dict[str, int] = {}
        """By showing id."""
        self._repeats: defaultdict[str, set[int]] = defaultdict(set)
        """The tasks that repeat a showing."""
        self._num_up: Counter[Pool] = Counter()
        """Tasks that are not withdrawn."""
        self._num_missing = 0
        """Votes that ordinary tasks still want."""

    def hand(self, user: int) -> Hand:
        if user not in self._hands:
            self._hands[user] = Hand(user)
        return self._hands[user]

    def put(self, task: AnsweredTask) -> None:
        """Take a task as it is now; those who answered it since give up their seats."""
        number, cast = task.number, dealer.tally(task.answers)
        before, known = self._tallies.get(number, SILENCE), self.tasks.get(number)
        changed = [user for user in before.people | cast.people if before.of(user) != cast.of(user)]
        for user in changed:
            self.hand(user).note(number, cast)
            self._leases.release(user, number)
        self._index(task, known)
        self._tallies[number] = cast
        self.reseat(number, is_moved=known is None or known.task.dealing.priority != task.task.dealing.priority)
        self._follow(task, changed)

    def drop(self, number: int) -> None:
        """Forget a task that the board does not have any more."""
        known = self.tasks[number]
        gone = AnsweredTask(number=number, task=known.task, answers=())
        self.put(gone)
        for hand in self._hands.values():
            for numbers in hand.open.values():
                numbers.discard(number)
        self._unindex(gone)

    def invite(self, roster: Roster) -> None:
        """Take who is asked from now on."""
        if roster != self.roster:
            self.roster = roster
            for user in roster.annotators | roster.adjudicators:
                self.hand(user)
            for number in self.tasks:
                self.reseat(number)

    def reseat(self, number: int, *, is_moved: bool = False) -> None:
        """Say anew to whom a task is open."""
        task, before = self.tasks.get(number), self._stands.get(number)
        if task is None:
            return
        stand = dealer.stand_of(task.task.dealing, self._tallies[number], self.roster)
        self._stands[number] = stand
        if self._pool(number) is Pool.ORDINARY:
            self._num_missing += stand.num_wanted - (before.num_wanted if before else 0)
        is_moved = is_moved or before is None or before.is_begun != stand.is_begun
        for hand in self._hands.values():
            self._lay(hand, number, is_moved=is_moved)

    def is_open(self, user: int, number: int) -> bool:
        """Whether there is a seat for this person, whatever they answered."""
        pool = Pool.SPLIT if user in self.roster.adjudicators else self._pool(number)
        return self._is_asked(self.hand(user), number, pool) and self._has_seat(number, pool, but=user)

    def next_for(self, user: int) -> int | None:
        """The task that comes next, leases of this person left aside."""
        hand = self.hand(user)
        if user in self.roster.adjudicators:
            return self._top(hand, Pool.SPLIT)
        for pool in dealer.pools(user, len(hand.seen), self._left(hand), is_after_probe=self._is_after_probe(user)):
            number = self._due(hand) if pool is Pool.REPEAT else self._top(hand, pool)
            if number is not None:
                return number
        return self._first(hand, hand.open[Pool.REPEAT])

    def num_open(self, user: int) -> int:
        """How many tasks have a seat for this person, repeats included that are not due yet."""
        hand, held = self.hand(user), self._leases.held(user)
        pools = [Pool.SPLIT] if user in self.roster.adjudicators else [Pool.ORDINARY, Pool.GOLD, Pool.REPEAT]
        num_open = sum(len(hand.open[pool]) for pool in pools)
        if (
            held is None
            or held not in self.tasks
            or held in hand.seen
            or any(held in hand.open[pool] for pool in pools)
        ):
            return num_open
        return num_open + self.is_open(user, held)

    def _index(self, task: AnsweredTask, known: AnsweredTask | None) -> None:
        self.tasks[task.number] = task
        self._numbers[task.task.showing_id] = task.number
        if task.task.dealing.repeats is not None:
            self._repeats[task.task.dealing.repeats].add(task.number)
        was_up = known is not None and not known.task.dealing.is_withdrawn
        self._num_up[self._pool(task.number)] += (not task.task.dealing.is_withdrawn) - was_up

    def _unindex(self, task: AnsweredTask) -> None:
        number, dealing = task.number, task.task.dealing
        pool, stand = self._pool(number), self._stands.pop(number)
        self._num_up[pool] -= not dealing.is_withdrawn
        self._num_missing -= stand.num_wanted if pool is Pool.ORDINARY else 0
        if dealing.repeats is not None:
            self._repeats[dealing.repeats].discard(number)
        if self._numbers[task.task.showing_id] == number:
            del self._numbers[task.task.showing_id]
        del self.tasks[number], self._tallies[number]

    def _follow(self, task: AnsweredTask, users: Iterable[int]) -> None:
        """Say anew to whom the repeats of a task are open: to those who voted on it."""
        for repeat in self._repeats.get(task.task.showing_id, ()):
            for user in users:
                self._lay(self.hand(user), repeat)

    def _pool(self, number: int) -> Pool:
        return dealer.pool_of(self.tasks[number].task.dealing.purpose)

    def _original(self, number: int) -> int | None:
        """The task that this one repeats; None: there is none on the board."""
        return self._numbers.get(self.tasks[number].task.dealing.repeats or "")

    def _is_asked(self, hand: Hand, number: int, pool: Pool) -> bool:
        return pool is not Pool.REPEAT or self._original(number) in hand.voted

    def _has_seat(self, number: int, pool: Pool, but: int | None = None) -> bool:
        """Whether fewer people than wanted, `but` this one, hold the task."""
        stand, holders = self._stands[number], self._leases.holders(number)
        num_wanted = int(stand.is_split) if pool is Pool.SPLIT else stand.num_wanted
        return num_wanted > len(holders) - (but in holders)

    def _lay(self, hand: Hand, number: int, *, is_moved: bool = False) -> None:
        """Put a task where a person will look for it, or take it away."""
        for pool in (self._pool(number), Pool.SPLIT):
            is_free = self._has_seat(number, pool) and self._is_asked(hand, number, pool)
            if number in hand.seen or not is_free:
                hand.open[pool].discard(number)
            elif is_moved or number not in hand.open[pool]:
                hand.open[pool].add(number)
                if pool in hand.piles:
                    heapq.heappush(hand.piles[pool], self._place(hand, number))

    def _top(self, hand: Hand, pool: Pool) -> int | None:
        """The first of all tasks of a pool in a person's order."""
        if pool not in hand.piles:
            hand.piles[pool] = [self._place(hand, number) for number in hand.open[pool]]
            heapq.heapify(hand.piles[pool])
        pile = hand.piles[pool]
        while pile and not self._is_current(hand, pool, pile[0]):
            heapq.heappop(pile)
        return pile[0][-1] if pile else None

    def _first(self, hand: Hand, numbers: Iterable[int]) -> int | None:
        """The first of a few tasks in a person's order."""
        first = min((self._place(hand, number) for number in numbers), default=None)
        return None if first is None else first[-1]

    def _due(self, hand: Hand) -> int | None:
        """The first of the repeats that may come by now."""
        repeats = hand.open[Pool.REPEAT]
        due = {each for each in repeats if dealer.is_due(hand.voted.get(self._original(each) or 0), hand.moments)}
        return self._first(hand, due)

    def _is_current(self, hand: Hand, pool: Pool, place: Place) -> bool:
        """Whether a task is still open and stands where the pile says."""
        minus_priority, is_untouched, _, number = place
        if number not in hand.open[pool] or self._stands[number].is_begun is is_untouched:
            return False
        return self.tasks[number].task.dealing.priority == -minus_priority

    def _place(self, hand: Hand, number: int) -> Place:
        task, is_begun = self.tasks[number].task, self._stands[number].is_begun
        return dealer.place_of(hand.user, number, task.showing_id, priority=task.dealing.priority, is_begun=is_begun)

    def _left(self, hand: Hand) -> Left:
        """What a person can still expect: an equal share of the votes that are missing, all of the gold, and the
        repeats of what they voted on or, at the board's rate of repeats, will vote on."""
        num_active = sum(bool(self.hand(user).voted) for user in self.roster.annotators - {hand.user}) + 1
        num_ordinary = min(len(hand.open[Pool.ORDINARY]), ceil(self._num_missing / num_active))
        num_coming = num_ordinary * self._num_up[Pool.REPEAT] // max(1, self._num_up[Pool.ORDINARY])
        return Left(num_ordinary, len(hand.open[Pool.GOLD]), len(hand.open[Pool.REPEAT]) + num_coming)

    def _is_after_probe(self, user: int) -> bool:
        """Whether what a person was dealt last was one."""
        number = self._leases.latest(user)
        return number is not None and number in self.tasks and self._pool(number) is not Pool.ORDINARY
