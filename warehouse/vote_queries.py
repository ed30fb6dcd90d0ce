"""Questions about what is shown on boards, what was voted, and what settled: one function a file of `sql/`."""

from collections.abc import Sequence

import pyarrow as pa

from warehouse import tables
from warehouse.board_records import Showing, VoteEvent, Watermark
from warehouse.database import Session
from warehouse.records import Vote
from warehouse.sql import Row, ask, listed, text


def cast_votes(
    session: Session,
    origin: str,
    judge_keys: Sequence[str],
    *,
    dataset: str | None = None,
    pair_ids: Sequence[str] | None = None,
) -> pa.Table:
    """All votes of one origin without their texts, or those about some pairs, ordered by pair, annotator and time, and
    which of them count; of models' votes those of these inferences."""
    values = {"origin": origin, "judge_keys": list(judge_keys), "dataset": dataset, "pair_ids": listed(pair_ids)}
    return session.execute(text("cast_votes"), values).to_arrow_table()


def votes_to_cast(session: Session, stage: str, kinds: Sequence[str], judge_keys: Sequence[str]) -> list[Row]:
    """Which judges' inferences have not voted on which pairs of candidates that passed this stage, in order of the
    pair. After `gates.judge`."""
    return ask(session, "votes_to_cast", {"stage": stage, "kinds": list(kinds), "judge_keys": list(judge_keys)})


def origins_of_votes(session: Session, pair_ids: Sequence[str] | None = None) -> list[str]:
    """Who voted on these pairs, or on any: human, simulated, vlm."""
    return [row["origin"] for row in ask(session, "origins_of_votes", {"pair_ids": listed(pair_ids)})]


def votes_of_pairs(session: Session, pair_ids: Sequence[str]) -> list[Vote]:
    """All votes on these pairs."""
    return tables.from_arrow(
        Vote, session.execute(text("votes_of_pairs"), {"pair_ids": list(pair_ids)}).to_arrow_table()
    )


def label_counts(session: Session, origin: str, policies: Sequence[str]) -> list[Row]:
    """Labels by split, outcome and reason. After `gates.judge`."""
    return ask(session, "label_counts", {"origin": origin, "policies": list(policies)})


def annotators(session: Session, origin: str, policies: Sequence[str]) -> list[Row]:
    """Every annotator's votes beside the labels. After `gates.judge`."""
    return ask(session, "annotators", {"origin": origin, "policies": list(policies)})


def originals_against(session: Session, origin: str, policies: Sequence[str]) -> list[Row]:
    """How the originals fared against what was made of them. After `gates.judge`."""
    return ask(session, "originals_against", {"origin": origin, "policies": list(policies)})


def watermark(session: Session, board: str) -> Watermark | None:
    """How far a board was read; None: never."""
    rows = ask(session, "watermark_of", {"board": board})
    return Watermark(**rows[0]) if rows else None


def last_collection(session: Session, board: str) -> int:
    """The number of the last collection of a board that found something; 0 before the first."""
    return int(ask(session, "last_collection", {"board": board})[0]["collection"])


def last_events(session: Session, board: str, tasks: Sequence[int]) -> list[VoteEvent]:
    """The last event, tombstones too, of every answer ever seen on these tasks."""
    cursor = session.execute(text("last_events"), {"board": board, "tasks": list(tasks)})
    return tables.from_arrow(VoteEvent, cursor.to_arrow_table())


def standing_tasks(session: Session, board: str) -> dict[int, str | None]:
    """Tasks on which an answer stands, with the showing that each is; None: of nobody here."""
    return {row["task"]: row["showing_id"] for row in ask(session, "standing_tasks", {"board": board})}


def showings_of(session: Session, board: str, showing_ids: Sequence[str]) -> list[Showing]:
    """These showings of a board, as far as there are any."""
    cursor = session.execute(text("showings_of"), {"board": board, "showing_ids": list(showing_ids)})
    return tables.from_arrow(Showing, cursor.to_arrow_table())


def standing_labels(session: Session) -> int:
    """How many pairs have an outcome, an origin each."""
    return int(ask(session, "standing_labels")[0]["num_labels"])


def ground_of_labels(session: Session) -> Row:
    """What labels rest on besides the votes of boards: another row, other labels."""
    return ask(session, "ground_of_labels")[0]


def withdraw_showings(session: Session, board: str, pair_ids: Sequence[str]) -> None:
    """Say of everything that shows these pairs on a board that it is shown to nobody any more."""
    session.execute(text("withdraw_showings"), {"board": board, "pair_ids": list(pair_ids)})
