"""What the warehouse knows of boards: what is shown there, what happened to every answer, and how far was read.

A board numbers its tasks and answers itself. A task is a showing of a pair; an answer is a vote, a skip, or unreadable.
"""

from dataclasses import dataclass
from enum import StrEnum

from warehouse.records import Outcome, Purpose


@dataclass(frozen=True, slots=True, kw_only=True)
class Showing:
    """A pair as it is put up on a board. Written before the board is told, so that no task is ever unknown here."""

    showing_id: str
    board: str
    pair_id: str
    is_swapped: bool
    """True: `candidate_b` stands on side A."""
    purpose: Purpose
    repeats: str | None
    """The showing that this one repeats; None: it is no repeat."""
    num_votes: int | None
    """How many annotators are asked; None: everyone, or, of a repeat, everyone who voted on what it repeats."""
    num_agreeing: int | None
    """So many equal votes are enough, and the rest is not asked; None: all are."""
    priority: float
    """Shown earlier where it is higher."""
    is_withdrawn: bool
    """True: it is shown to nobody any more; votes that were cast stay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gold:
    """A pair whose answer is known."""

    pair_id: str
    outcome: Outcome
    source: str
    """Who says so: a file, or the rule by which the pair was made."""


class EventKind(StrEnum):
    """What happened to an answer."""

    CAST = "cast"
    EDITED = "edited"
    DELETED = "deleted"
    """It is gone from the board: a tombstone. The vote it was no longer stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VoteEvent:
    """One thing that happened to one answer, as seen by one collection. Rows are only ever added."""

    event_id: str
    collection: int
    """The n-th collection that found something, from 1; of one answer it sees at most one event."""
    board: str
    task: int
    answer: int
    kind: EventKind
    vote_id: str | None
    """The vote that the answer is (of a tombstone: was); None: it was skipped or could not be read."""
    showing_id: str | None
    """None: the board shows a task that nobody here published."""
    pair_id: str | None
    annotator: str
    outcome: Outcome | None
    """Side swap undone, as in the vote."""
    is_skip: bool
    problem: str | None
    """Why it could not be read; None: it could."""
    at: str
    """ISO 8601 in UTC: when the board says that it was cast or edited; of a tombstone: when it was missed."""
    raw: str
    """The board's own answer, as JSON; of a tombstone: the last known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watermark:
    """How far a board was read. It moves in the transaction of what was read."""

    board: str
    mark: str
    """Opaque: what the board gave."""
    reconciled_at: str | None
    """ISO 8601 in UTC: when deleted tasks were last looked for; None: never."""
