from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import duckdb
import pytest

from flows.walk import fact_key
from tests import factories
from warehouse import tables
from warehouse.board_records import EventKind
from warehouse.checks import UNIQUE, offences
from warehouse.gates import Step, ensure_fact_table, judge
from warehouse.migrate import migrate
from warehouse.records import Clip, Label, Origin, Outcome

Session = duckdb.DuckDBPyConnection


@dataclass(frozen=True, slots=True, kw_only=True)
class CutFact:
    num_clips: int


STEP = Step(stage="cut", stage_key="key", noun="source", fact=CutFact, gates=())
KEY = fact_key(STEP, "source_1")


def label(**override: Any) -> Label:
    values: dict[str, Any] = {
        "pair_id": "pair_1",
        "policy": "majority-3",
        "outcome": Outcome.A,
        "reason": "majority",
        "origin": Origin.HUMAN,
        "num_votes": 1,
        "num_a": 1,
        "num_tie": 0,
        "num_b": 0,
    }
    return Label(**(values | override))


NOBODY: dict[str, Any] = {"origin": None, "num_votes": 0, "num_a": 0}
"""Voted."""

RECORDS: dict[str, list[Any]] = {
    "source": [factories.source()],
    "clip": [factories.clip(fact_key=KEY)],
    "subject": [factories.subject()],
    "reference": [factories.reference()],
    "candidate": [factories.candidate(), factories.candidate(candidate_id="candidate_2")],
    "pair": [factories.pair()],
    "vote": [factories.vote()],
    "label": [label()],
    "showing": [factories.showing()],
    "gold": [factories.gold()],
    "vote_event": [factories.vote_event()],
    "watermark": [factories.watermark()],
}


@pytest.fixture(scope="module")
def filled() -> Iterator[Session]:
    """A sound warehouse in memory, with something of every noun."""
    with duckdb.connect() as connection:
        migrate(connection)
        for noun, records in RECORDS.items():
            tables.insert(connection, noun, tables.to_arrow(type(records[0]), records))
        ensure_fact_table(connection, STEP)
        connection.execute(
            "INSERT INTO listing (dataset, entry, source_id, problem) VALUES ('sample', 'one.mp4', 'source_1', NULL)"
        )
        connection.execute(
            "INSERT INTO ledger VALUES (?, 'cut', 'key', 'source_1', 'done', NULL, NULL, 1, 0, 'shard_1', now())", [KEY]
        )
        connection.execute("INSERT INTO fact_cut VALUES (?, 'source_1', 1)", [KEY])
        connection.execute("INSERT INTO snapshot VALUES ('snapshot_1', 'majority-3', TIMESTAMP '2026-01-01')")
        yield connection


@pytest.fixture
def session(filled: Session) -> Iterator[Session]:
    filled.begin()
    yield filled
    filled.rollback()


def broken(session: Session) -> dict[str, int]:
    judge(session, [STEP])
    return {each.rule: each.num for each in offences(session, [STEP])}


def add(session: Session, noun: str, record: Any) -> None:
    tables.insert(session, noun, tables.to_arrow(type(record), [record]))


def test_a_sound_warehouse_breaks_no_rule(session: Session) -> None:
    assert broken(session) == {}


@pytest.mark.parametrize("table", [*sorted(UNIQUE), "fact_cut"])
def test_a_row_that_stands_twice_is_found_in_every_table(session: Session, table: str) -> None:
    session.execute(f'INSERT INTO "{table}" FROM "{table}" LIMIT 1')
    assert f"{table} stands once" in broken(session)


def test_a_repeated_row_is_told_with_its_key_and_how_often_it_stands(session: Session) -> None:
    session.execute("INSERT INTO pair FROM pair")
    judge(session, [STEP])
    (found,) = offences(session, [STEP])
    assert (found.rule, found.num, found.example) == ("pair stands once", 1, {"pair_id": "pair_1", "times": 2})


@pytest.mark.parametrize(
    ("noun", "record", "rule"),
    [
        ("vote", factories.vote(pair_id="pair_9", origin=Origin.VLM), "votes without a pair"),
        ("pair", factories.pair(pair_id="pair_2", candidate_a="candidate_9"), "pairs without their candidates"),
        ("pair", factories.pair(pair_id="pair_2", candidate_b="candidate_9"), "pairs without their candidates"),
        ("clip", factories.clip(clip_id="clip_2", source_id="source_9"), "clips without a source"),
        ("subject", factories.subject(subject_id="subject_2", clip_id="clip_9"), "subjects without a clip"),
        ("label", label(origin=Origin.VLM), "labels that mix origins"),
        ("label", label(policy="other", num_votes=2), "labels that mix origins"),
        ("label", label(policy="other", **NOBODY), "labels from nowhere"),
        ("label", label(policy="original_by_default", **NOBODY | {"outcome": Outcome.TIE}), "labels from nowhere"),
        ("label", label(policy="original_by_default", **NOBODY, pair_id="pair_9"), "labels from nowhere"),
    ],
)
def test_a_record_whose_parent_is_not_there_is_found(session: Session, noun: str, record: Any, rule: str) -> None:
    add(session, noun, record)
    assert broken(session) == {rule: 1}


DELETED = factories.vote_event(event_id="event_2", collection=2, kind=EventKind.DELETED)


@pytest.mark.parametrize(
    ("table", "record", "rules"),
    [
        ("vote", factories.vote(annotator="ann_2"), {"votes that no event explains"}),
        ("vote", factories.vote(annotator="ann_2", origin=Origin.SIMULATED), {"votes that no event explains"}),
        ("vote_event", DELETED, {"votes that no event explains"}),
        ("vote_event", replace(DELETED, kind=EventKind.EDITED, outcome=None), {"votes that no event explains"}),
        ("vote_event", replace(DELETED, answer=12, kind=EventKind.CAST, vote_id="vote_9"),
         {"standing events without their vote"}),
        ("vote_event", replace(DELETED, collection=1, kind=EventKind.CAST), {"answers that a collection saw twice"}),
        ("vote_event", replace(DELETED, kind=EventKind.EDITED), set()),
        ("vote_event", replace(DELETED, answer=12, vote_id="vote_9"), set()),
        ("vote_event", factories.vote_event(event_id="event_2", answer=12, vote_id=None, is_skip=True), set()),
    ],
)  # fmt: skip
def test_votes_that_stand_are_those_that_history_says(
    session: Session, table: str, record: Any, rules: set[str]
) -> None:
    add(session, table, record)
    assert broken(session).keys() - {"labels that mix origins"} == rules


def test_a_models_vote_needs_no_event(session: Session) -> None:
    session.execute("DELETE FROM vote_event")
    session.execute("UPDATE vote SET origin = 'vlm'")
    session.execute("UPDATE label SET origin = 'vlm'")
    assert broken(session) == {}


def test_an_original_that_wins_by_default_breaks_nothing(session: Session) -> None:
    add(session, "label", label(policy="original_by_default", **NOBODY))
    assert broken(session) == {}


def test_a_generated_video_that_wins_by_default_is_found(session: Session) -> None:
    session.execute("UPDATE candidate SET generator = 'blur' WHERE candidate_id = 'candidate_1'")
    add(session, "label", label(policy="original_by_default", **NOBODY))
    assert broken(session) == {"labels from nowhere": 1}


def test_a_pair_with_no_votes_has_a_label_that_breaks_nothing(session: Session) -> None:
    nothing = {"outcome": None, "reason": "no votes", "origin": None, "num_votes": 0, "num_a": 0}
    add(session, "pair", factories.pair(pair_id="pair_2"))
    add(session, "label", label(pair_id="pair_2", **nothing))
    assert broken(session) == {}


def test_a_done_item_without_its_fact_is_found(session: Session) -> None:
    session.execute("DELETE FROM fact_cut")
    assert broken(session) == {"every done cut has its fact": 1}


def test_a_failed_item_needs_no_fact(session: Session) -> None:
    session.execute("DELETE FROM fact_cut")
    session.execute("UPDATE ledger SET outcome = 'failed', reason = 'truncated'")
    assert broken(session) == {}


def test_an_item_that_a_stage_counts_twice_is_found(session: Session) -> None:
    size = Step(stage="size", stage_key="size key", noun="clip", fact=CutFact, gates=())
    session.execute("INSERT INTO clip FROM clip")
    judge(session, [STEP, size])
    rules = {each.rule for each in offences(session, [STEP, size])}
    assert rules == {"clip stands once", "every item stands once at a stage"}


def test_rows_of_a_table_that_shards_write_are_merged_under_the_keys_that_are_checked(session: Session) -> None:
    table = tables.to_arrow(Clip, RECORDS["clip"])
    assert tables.merge(session, "clip", table, keys=UNIQUE["clip"]) == 0
    assert broken(session) == {}
