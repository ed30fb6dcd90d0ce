"""Raw answers to votes: side swap undone, annotators looked up on the roll, every answer accounted for."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from annotate.board import Answer, PairTask
from annotate.errors import AnswerUnreadable
from annotate.interface import Parsed, parse_result
from warehouse import ids
from warehouse.records import Origin, Pair, Vote


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotator:
    """Somebody, or something, whose votes count."""

    name: str
    origin: Origin


Roll = Mapping[str, Annotator]
"""Who may vote, by the board's own name of them (`completed_by`, as text)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What became of a batch of answers: each is a vote, or was skipped, or could not be read."""

    votes: tuple[Vote, ...]
    num_skipped: int
    unreadable: tuple[str, ...]
    """One line an answer, saying which and why."""


def read_answers(
    answers: Iterable[Answer], *, tasks: Mapping[int, PairTask], pairs: Mapping[str, Pair], roll: Roll
) -> Reading:
    """The votes in a batch of answers. `tasks` by the board's number, `pairs` by id."""
    votes: list[Vote] = []
    unreadable: list[str] = []
    num_skipped = 0
    for answer in answers:
        try:
            vote = read_vote(answer, _pair_of(answer, tasks, pairs), roll)
        except AnswerUnreadable as error:
            unreadable.append(str(error))
            continue
        if vote is None:
            num_skipped += 1
        else:
            votes.append(vote)
    return Reading(votes=tuple(votes), num_skipped=num_skipped, unreadable=tuple(unreadable))


def read_vote(answer: Answer, pair: Pair, roll: Roll) -> Vote | None:
    """The vote that an answer is; None: the annotator skipped the pair.

    A vote with a broken flag keeps no outcome. One by a person who is not on the roll is kept under the board's name
    of them, as a human's, and never counted.
    """
    if answer.was_cancelled:
        return None
    try:
        parsed = said_of(answer, pair)
        time_of(answer.updated_at)
    except (AnswerUnreadable, ValueError) as error:
        raise AnswerUnreadable(f"answer {answer.id} about {pair.pair_id}: {error}") from error
    user = str(answer.completed_by)
    annotator = roll.get(user, Annotator(name=user, origin=Origin.HUMAN))
    raw = json.dumps(asdict(answer), sort_keys=True, ensure_ascii=False)
    return Vote(
        vote_id=ids.make("vote", pair.pair_id, raw),
        pair_id=pair.pair_id,
        annotator=annotator.name,
        origin=annotator.origin,
        outcome=None if parsed.is_broken else parsed.outcome,
        is_known=user in roll,
        cast_at=answer.updated_at,
        seconds=answer.lead_time,
        comment=parsed.comment,
        raw=raw,
    )


def said_of(answer: Answer, pair: Pair) -> Parsed:
    """What an answer says of `candidate_a` and `candidate_b`, whichever side they stood on; broken flags too."""
    parsed = parse_result(answer.result)
    return parsed.swapped() if pair.is_swapped else parsed


def counted(votes: Iterable[Vote]) -> tuple[Vote, ...]:
    """The votes that count, sorted by pair and annotator: the latest of each known annotator about each pair.

    Where the latest says that a video is broken, none of that annotator's counts: the earlier ones are taken back.
    """
    known = (vote for vote in votes if vote.is_known)
    latest = {
        (vote.pair_id, vote.annotator): vote for vote in sorted(known, key=lambda v: (time_of(v.cast_at), v.vote_id))
    }
    return tuple(vote for _, vote in sorted(latest.items()) if vote.outcome is not None)


def time_of(text: str) -> datetime:
    """An ISO 8601 time, in UTC where it has no offset. As texts they would not sort: `00.5Z` comes before `00Z`."""
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _pair_of(answer: Answer, tasks: Mapping[int, PairTask], pairs: Mapping[str, Pair]) -> Pair:
    task = tasks.get(answer.task)
    if task is None:
        raise AnswerUnreadable(f"answer {answer.id}: the board lists no task {answer.task}")
    if task.pair_id not in pairs:
        raise AnswerUnreadable(f"answer {answer.id}: {task.pair_id} is no pair of this warehouse")
    return pairs[task.pair_id]
