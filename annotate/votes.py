"""Raw answers to votes: side swap undone, annotators looked up on the roll; and which votes count."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime

from annotate.board import Answer
from annotate.errors import AnswerUnreadable
from annotate.interface import Parsed, parse_result
from warehouse import ids
from warehouse.board_records import Showing
from warehouse.records import Origin, Vote


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotator:
    """Somebody, or something, whose votes count."""

    name: str
    origin: Origin


Roll = Mapping[str, Annotator]
"""Who may vote, by the board's own name of them (`completed_by`, as text)."""

_PARTS = tuple(each.name for each in fields(Answer))


def read_vote(answer: Answer, showing: Showing, roll: Roll) -> Vote | None:
    """The vote that an answer is, the showing's swap undone; None: the annotator skipped. `AnswerUnreadable`.

    A vote with a broken flag keeps no outcome. One by a person who is not on the roll is kept under the board's name
    of them, as a human's, and never counted. An edit has the id of the vote that it edits.
    """
    if answer.was_cancelled:
        return None
    try:
        parsed = said_of(answer, showing)
        time_of(answer.updated_at)
    except (AnswerUnreadable, ValueError) as error:
        raise AnswerUnreadable(f"answer {answer.id} about {showing.pair_id}: {error}") from error
    user = str(answer.completed_by)
    annotator = roll.get(user, Annotator(name=user, origin=Origin.HUMAN))
    return Vote(
        vote_id=ids.make("vote", showing.board, str(answer.id)),
        pair_id=showing.pair_id,
        annotator=annotator.name,
        origin=annotator.origin,
        outcome=None if parsed.is_broken else parsed.outcome,
        is_known=user in roll,
        purpose=showing.purpose,
        is_swapped=showing.is_swapped,
        face=parsed.face,
        quality=parsed.quality,
        align=parsed.align,
        cast_at=answer.updated_at,
        seconds=answer.lead_time,
        comment=parsed.comment,
        raw=raw_of(answer),
    )


def raw_of(answer: Answer) -> str:
    """The board's own answer, as JSON."""
    return json.dumps({name: getattr(answer, name) for name in _PARTS}, sort_keys=True, ensure_ascii=False)


def said_of(answer: Answer, showing: Showing) -> Parsed:
    """What an answer says of `candidate_a` and `candidate_b`, whichever side they stood on; broken flags too."""
    parsed = parse_result(answer.result)
    return parsed.swapped() if showing.is_swapped else parsed


def counted(votes: Iterable[Vote]) -> tuple[Vote, ...]:
    """The votes that count, sorted by pair and annotator: the latest of each known annotator about each pair, repeats
    left out.

    Where the latest says that a video is broken, none of that annotator's counts: the earlier ones are taken back.
    """
    known = (vote for vote in votes if vote.is_known and not vote.purpose.is_repeat)
    latest = {
        (vote.pair_id, vote.annotator): vote for vote in sorted(known, key=lambda v: (time_of(v.cast_at), v.vote_id))
    }
    return tuple(vote for _, vote in sorted(latest.items()) if vote.outcome is not None)


def time_of(text: str) -> datetime:
    """An ISO 8601 time, in UTC where it has no offset. As texts they would not sort: `00.5Z` comes before `00Z`."""
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)
