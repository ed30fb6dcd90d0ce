"""Who is shown what next: the rules alone, without a clock, a file or a board.

A task is open to a person if it is not withdrawn, they have neither voted on it nor skipped it, and it wants votes:

- a *vote* wants `num_votes` people, and nobody more once `num_agreeing` of them agree. Seats are given out only as they
  are sure to be needed: with two to agree out of three, the third is asked when the first two differ;
- *gold*, like any task whose `num_votes` is None, wants every annotator once;
- a *repeat* wants those who voted on what it repeats, `DISTANCE` votes of theirs later, or as soon as nothing else is
  open to them;
- an adjudicator is asked only about votes that have all their votes and no single leading outcome, until one
  adjudicator has answered beyond those.

A vote that says "broken" is cast but has no outcome. A skip, or an answer that cannot be read, is no vote: the pair
goes to others. Only votes of members take seats: no label counts those of anybody else.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from annotate.board import Answer, Dealing
from annotate.errors import AnswerUnreadable
from annotate.home import Member
from annotate.interface import parse_result
from annotate.votes import time_of
from warehouse.records import Outcome, Purpose

DISTANCE = 10
"""A person's own votes between a pair and its repeat: enough, we think, to remember no single answer."""

Moment = tuple[datetime, int]
"""When an answer was first given, and its id: no two are equal."""

Place = tuple[float, bool, int, int]
"""Where a task stands in one person's order, the smallest first; it ends with the task's number."""


class Pool(Enum):
    """The tasks among which a person's next is looked for."""

    ORDINARY = "ordinary"
    GOLD = "gold"
    REPEAT = "repeat"
    SPLIT = "split"
    """Waits for an adjudicator."""


@dataclass(frozen=True, slots=True)
class Roster:
    """Everybody who was invited, by what they are asked."""

    annotators: frozenset[int]
    adjudicators: frozenset[int]

    @classmethod
    def of(cls, members: Iterable[Member]) -> "Roster":
        roles = {member.user: member.is_adjudicator for member in members}
        adjudicators = frozenset(user for user, is_adjudicator in roles.items() if is_adjudicator)
        return cls(frozenset(roles) - adjudicators, adjudicators)

    def __contains__(self, user: int) -> bool:
        return user in self.annotators or user in self.adjudicators


@dataclass(frozen=True, slots=True)
class Cast:
    """One person's vote on one task."""

    outcome: Outcome | None
    """About the sides as shown; None: a video was declared broken."""
    moment: Moment


@dataclass(frozen=True, slots=True)
class Tally:
    """What stands on a task, by person."""

    votes: Mapping[int, Cast]
    """The latest readable vote of each."""
    skippers: frozenset[int]
    """Who answered without a vote that can be read."""

    @property
    def people(self) -> frozenset[int]:
        return self.skippers.union(self.votes)

    def of(self, user: int) -> tuple[Cast | None, bool]:
        """What one person said: their vote, and whether they answered without one."""
        return self.votes.get(user), user in self.skippers


@dataclass(frozen=True, slots=True)
class Stand:
    """What a task still wants, leases left aside."""

    num_wanted: int
    """Votes of annotators."""
    is_split: bool
    """An adjudicator's vote is wanted."""
    is_begun: bool
    """Somebody voted on it."""


@dataclass(frozen=True, slots=True)
class Left:
    """How much one person can still expect to be asked."""

    num_ordinary: int
    num_gold: int
    num_repeats: int


def pool_of(purpose: Purpose) -> Pool:
    """Where annotators meet a task."""
    if purpose.is_repeat:
        return Pool.REPEAT
    return Pool.GOLD if purpose is Purpose.GOLD else Pool.ORDINARY


def user_of(answer: Answer) -> int | None:
    """The number of the person who answered; None: a name that no member has."""
    name = str(answer.completed_by)
    return int(name) if name.isdecimal() else None


def tally(answers: Iterable[Answer]) -> Tally:
    """Count each person once, by the latest of their votes, as `votes.counted` does."""
    votes: dict[int, tuple[Moment, Cast]] = {}
    people: set[int] = set()
    for answer in answers:
        user = user_of(answer)
        if user is None:
            continue
        people.add(user)
        read = _read(answer)
        if read is not None and (user not in votes or votes[user][0] < read[0]):
            votes[user] = read
    return Tally({user: cast for user, (_, cast) in votes.items()}, frozenset(people.difference(votes)))


def _read(answer: Answer) -> tuple[Moment, Cast] | None:
    """When it was last changed and what it says; None: nothing."""
    if answer.was_cancelled:
        return None
    try:
        parsed = parse_result(answer.result)
        created, updated = time_of(answer.created_at), time_of(answer.updated_at)
    except (AnswerUnreadable, ValueError):
        return None
    outcome = None if parsed.is_broken else parsed.outcome
    return (updated, answer.id), Cast(outcome, (created, answer.id))


def stand_of(dealing: Dealing, cast: Tally, roster: Roster) -> Stand:
    """What a task wants from whom, by the rules above."""
    votes = {user: vote.outcome for user, vote in cast.votes.items() if user in roster}
    if dealing.is_withdrawn:
        return Stand(0, False, bool(votes))
    return Stand(_num_wanted(dealing, votes, cast, roster), _is_split(dealing, votes, roster), bool(votes))


def _num_wanted(dealing: Dealing, votes: Mapping[int, Outcome | None], cast: Tally, roster: Roster) -> int:
    if dealing.num_votes is None:
        return len(roster.annotators.difference(cast.votes, cast.skippers))
    num_wanted = dealing.num_votes - len(votes)
    if dealing.num_agreeing is not None:
        leading = _leading(votes)
        num_wanted = min(num_wanted, dealing.num_agreeing - (leading[0] if leading else 0))
    return max(0, num_wanted)


def _is_split(dealing: Dealing, votes: Mapping[int, Outcome | None], roster: Roster) -> bool:
    if dealing.purpose is not Purpose.VOTE or dealing.num_votes is None or len(votes) < dealing.num_votes:
        return False
    is_adjudicated = len(votes) > dealing.num_votes and not roster.adjudicators.isdisjoint(votes)
    leading = _leading(votes)
    return not is_adjudicated and len(leading) > 1 and leading[0] == leading[1]


def _leading(votes: Mapping[int, Outcome | None]) -> list[int]:
    """How often each outcome was given, the most frequent first."""
    counts = Counter(outcome for outcome in votes.values() if outcome is not None)
    return sorted(counts.values(), reverse=True)


def is_due(voted: Moment | None, moments: Sequence[Moment]) -> bool:
    """Whether a repeat of what was voted on then may come: `moments` are the person's votes, sorted."""
    return voted is not None and len(moments) >= DISTANCE and voted < moments[-DISTANCE]


def place_of(user: int, number: int, showing_id: str, *, priority: float, is_begun: bool) -> Place:
    """High priority first, then what others began, so that pairs get finished; then by a hash of person and showing, so
    that people start at different places and the order tells nothing."""
    return -priority, not is_begun, _draw("order", user, showing_id), number


def pools(user: int, num_answered: int, left: Left, *, is_after_probe: bool) -> tuple[Pool, ...]:
    """Where to look for a person's next task, in this order: the rule by which probes (gold, repeats) are strewn in.

    After an ordinary task comes a probe with the chance (probes left / ordinary tasks left), both as this person can
    expect them, drawn from a hash of the person and how many tasks they have answered; after a probe, and at the very
    first, comes an ordinary task. So the probes are spread evenly to the end, whatever was skipped, taken by others or
    published meanwhile; two follow each other only when nothing ordinary is open. Which kind of probe: by a second
    hash, in proportion to what is left of each; where none of that kind may come yet, an ordinary task comes first.
    """
    num_probes = left.num_gold + left.num_repeats
    is_repeat = _chance("kind", user, num_answered) * num_probes < left.num_repeats
    probes = (Pool.REPEAT, Pool.GOLD) if is_repeat else (Pool.GOLD, Pool.REPEAT)
    may_be_probe = num_answered > 0 and not is_after_probe
    if may_be_probe and _chance("probe", user, num_answered) * left.num_ordinary < num_probes:
        return probes[0], Pool.ORDINARY, probes[1]
    return Pool.ORDINARY, *probes


def _chance(*content: str | int) -> float:
    """In [0, 1), uniform over contents."""
    return _draw(*content) / 2**64


def _draw(*content: str | int) -> int:
    """64 bits made from content."""
    text = "\0".join(map(str, content))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
