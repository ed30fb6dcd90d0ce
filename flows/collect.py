"""`likeness collect`: answers come back from the board as votes, and votes settle into labels.

The board is read while nobody holds the warehouse; then events, votes, labels and the mark are committed together. A
kill at any moment leaves all of a collection or nothing of it. Two collections at once never double: the second finds
that the mark has moved, and reads again.
"""

from collections import Counter
from collections.abc import Collection as Group
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from annotate import simulated
from annotate.board import AnsweredTask, Arrivals, PairBoard
from annotate.history import Changes, Collection
from annotate.home import BoardHome
from annotate.memory_board import MemoryBoard
from annotate.votes import Roll, time_of
from flows.board import SIMULATED, annotators_of
from flows.label_choice import PEOPLE
from flows.recipe import Recipe
from flows.settings import Settings
from flows.settle import settle_pairs
from warehouse import ids, queries, tables, vote_queries
from warehouse.board_records import EventKind, VoteEvent, Watermark
from warehouse.database import Session
from warehouse.errors import BadRecipe
from warehouse.records import Vote

RECONCILED_EVERY = timedelta(days=1)
"""Deleted tasks are looked for so often even where nobody asks for it."""
TASKS_AT_ONCE = 4096
"""Whose answers are turned into rows together."""
LABELS = "labels"
"""What the mark of all that labels rest on, besides a board's votes, is kept under; no board is called so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What one run of the flow found."""

    num_votes: int = 0
    """New ones."""
    num_edited: int = 0
    num_deleted: int = 0
    """Answers, skips too, that are gone from the board."""
    num_skipped: int = 0
    """New ones."""
    unreadable: tuple[str, ...] = ()
    """New ones, a line each."""
    num_labels: int = 0
    """Pairs that have an outcome now, an origin each."""

    @property
    def is_news(self) -> bool:
        return bool(self.num_votes or self.num_edited or self.num_deleted or self.num_skipped or self.unreadable)

    def told(self) -> str:
        """One line for a person."""
        rare = {"edited": self.num_edited, "deleted": self.num_deleted, "unreadable": len(self.unreadable)}
        parts = [f"{self.num_votes} new votes", f"{self.num_skipped} skipped"]
        parts += [f"{num} {what}" for what, num in rare.items() if num]
        return ", ".join([*parts, f"{self.num_labels} labels"])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """What a board said, and of which mark it was asked."""

    seen: Watermark | None
    arrivals: Arrivals
    missing: Group[int]
    """Numbers of tasks that are gone from the board."""
    is_full: bool
    watermark: Watermark
    """How far it was read now."""


def collect(
    settings: Settings, recipe: Recipe, board: PairBoard, *, full: bool = False, reconcile: bool = False
) -> Collected:
    """Take in what happened on the board since the last time, and settle the pairs that it touched.

    `full` asks for everything, whatever was read before; `reconcile` looks for deleted tasks, which `full` does too.
    """
    voters, name = annotators_of(recipe), board.name  # which some boards must ask for
    roll = _roll(settings, recipe, board, voters)
    while voters in (PEOPLE, SIMULATED):
        read = _read(settings, board, full=full, reconcile=reconcile)
        with settings.warehouse.transaction() as session:
            if vote_queries.watermark(session, name) == read.seen:
                return _taken(session, recipe, name, read, roll)
        # somebody else collected meanwhile: what was read is old, and there is a newer mark to read from
    with settings.warehouse.transaction() as session:
        settle_pairs(session, recipe)
        return Collected(num_labels=vote_queries.standing_labels(session))


def _roll(settings: Settings, recipe: Recipe, board: PairBoard, voters: str) -> Roll:
    """Who may vote; simulated annotators do so here and now."""
    if voters != SIMULATED:
        return BoardHome(settings.board).roll() if voters == PEOPLE else {}
    if not isinstance(board, MemoryBoard):
        raise BadRecipe(f"profile {recipe.profile}: simulated annotators cannot vote on {board.name}; let people vote")
    people = simulated.annotators(seed=int(recipe.options["votes"]["seed"]))
    for _ in ("what is new", "its repeats"):
        _let_answer(settings, board, people)
    return simulated.roll(people)


def _let_answer(settings: Settings, board: MemoryBoard, people: Sequence[simulated.SimulatedAnnotator]) -> None:
    """Simulated annotators answer what waits for them; a repeat does once its first showing is answered."""
    if not (waiting := simulated.unanswered(board, people)):
        return
    with settings.warehouse.session() as session:
        asked = vote_queries.showings_of(
            session, board.name, sorted({showing_id for showing_id, _ in waiting.values()})
        )
        pairs = {pair.pair_id: pair for pair in queries.pairs(session, sorted({one.pair_id for one in asked}))}
        candidates = {one.candidate_id: one for one in queries.candidates_of(session, list(pairs))}
    simulated.answer_all(board, waiting, {one.showing_id: one for one in asked}, pairs, candidates)


# Reading, while the warehouse is free for others.


def _read(settings: Settings, board: PairBoard, *, full: bool, reconcile: bool) -> _Read:
    now = datetime.now(UTC)
    with settings.warehouse.session() as session:
        seen = vote_queries.watermark(session, board.name)
        is_reconciled = full or reconcile or _is_due(seen, now)
        standing = vote_queries.standing_tasks(session, board.name) if is_reconciled else {}
    is_full = full or seen is None
    arrivals = board.changes(None if is_full or seen is None else seen.mark)
    missing: Group[int] = ()
    if is_reconciled:
        up = board.numbers()
        missing = standing.keys() - set(up.values())
        if not is_full and any(standing[task] is None or standing[task] in up for task in missing):
            # the board lists each showing once: a task that stands beside another of its showing, or that nobody
            # here published, is only seen by reading everything
            arrivals = replace(board.changes(), mark=arrivals.mark)
        missing = missing - {task.number for task in arrivals.tasks}
    before = seen.reconciled_at if seen else None
    watermark = Watermark(board=board.name, mark=arrivals.mark, reconciled_at=_text(now) if is_reconciled else before)
    return _Read(seen=seen, arrivals=arrivals, missing=missing, is_full=is_full, watermark=watermark)


def _is_due(seen: Watermark | None, now: datetime) -> bool:
    return seen is None or seen.reconciled_at is None or now - time_of(seen.reconciled_at) > RECONCILED_EVERY


# Committing. The session is in a transaction.


def _taken(session: Session, recipe: Recipe, board: str, read: _Read, roll: Roll) -> Collected:
    """Put what was read into the warehouse."""
    num_before = vote_queries.last_collection(session, board)
    touched: set[str] = set()
    told: Counter[str] = Counter()
    unreadable: list[str] = []
    for changes in _changes(session, board, num_before + 1, read, roll):
        _write(session, changes, is_all=read.is_full)
        touched.update(event.pair_id for event in changes.events if event.pair_id is not None)
        told.update(_kind_of(event) for event in changes.events)
        unreadable += [event.problem for event in changes.events if event.problem and _kind_of(event) == "unreadable"]
    _settle(session, recipe, touched, is_all=read.is_full)
    if read.watermark != read.seen:
        _keep(session, read.watermark)
    return Collected(
        num_votes=told["vote"],
        num_edited=told["edited"],
        num_deleted=told["deleted"],
        num_skipped=told["skip"],
        unreadable=tuple(unreadable),
        num_labels=vote_queries.standing_labels(session),
    )


def _changes(session: Session, board: str, number: int, read: _Read, roll: Roll) -> Iterator[Changes]:
    """Of some tasks after the other, so that a full read of a large board needs little memory at a time."""
    now = _text(datetime.now(UTC))
    for tasks in _batches(read.arrivals.tasks):
        known = vote_queries.showings_of(session, board, [task.task.showing_id for task in tasks])
        showings = {showing.showing_id: showing for showing in known}
        collection = Collection(number=number, board=board, showings=showings, roll=roll, now=now)
        yield collection.changes(tasks, vote_queries.last_events(session, board, [task.number for task in tasks]))
    collection = Collection(number=number, board=board, showings={}, roll=roll, now=now)
    yield collection.missed(vote_queries.last_events(session, board, sorted(read.missing)))


def _write(session: Session, changes: Changes, *, is_all: bool) -> None:
    """Events are added; votes that changed (`is_all`: all) are replaced, and those that do not stand are taken out."""
    changed = {event.vote_id for event in changes.events}
    votes = [vote for vote in changes.votes if is_all or vote.vote_id in changed]
    if changes.events:
        tables.insert(session, "vote_event", tables.to_arrow(VoteEvent, changes.events))
    if old := [*changes.gone, *(vote.vote_id for vote in votes)]:
        where = "vote_id IN (SELECT unnest(?::VARCHAR[]))"
        tables.replace(session, "vote", tables.to_arrow(Vote, votes), where=where, values=[old])


def _settle(session: Session, recipe: Recipe, touched: Group[str], *, is_all: bool) -> None:
    """Pairs whose votes changed; all of them where anything else changed that labels rest on: the recipe, pairs, or
    votes of models."""
    options = {name: recipe.options.get(name) for name in ("votes", "labels", "judge")}
    mark = ids.digest([vote_queries.ground_of_labels(session), options])
    ground = Watermark(board=LABELS, mark=mark, reconciled_at=None)
    is_moved = vote_queries.watermark(session, LABELS) != ground
    if is_all or is_moved:
        settle_pairs(session, recipe)
    elif touched:
        settle_pairs(session, recipe, sorted(touched))
    if is_moved:
        _keep(session, ground)


def _keep(session: Session, watermark: Watermark) -> None:
    rows = tables.to_arrow(Watermark, [watermark])
    tables.replace(session, "watermark", rows, where="board = ?", values=[watermark.board])


def _kind_of(event: VoteEvent) -> str:
    """What a person calls it."""
    if event.kind is EventKind.DELETED:
        return "deleted"
    if event.problem is not None:
        return "unreadable"
    if event.kind is EventKind.EDITED:
        return "edited"
    return "skip" if event.is_skip else "vote"


def _batches(tasks: Sequence[AnsweredTask]) -> Iterator[Sequence[AnsweredTask]]:
    for start in range(0, len(tasks), TASKS_AT_ONCE):
        yield tasks[start : start + TASKS_AT_ONCE]


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
