from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import factories
from warehouse import tables
from warehouse.migrate import migrate
from warehouse.records import Origin, Outcome

EXAMPLES = {
    "source": factories.source,
    "clip": factories.clip,
    "subject": factories.subject,
    "reference": factories.reference,
    "candidate": factories.candidate,
    "pair": factories.pair,
    "vote": factories.vote,
}
WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


@dataclass(frozen=True)
class Everything:
    text: str
    whole: int
    real: float
    truth: bool
    raw: bytes
    rate: Fraction
    answer: Outcome
    numbers: tuple[float, ...]
    nested: tuple[tuple[float, ...], ...]
    perhaps: int | None
    perhaps_rate: Fraction | None
    perhaps_answer: Outcome | None
    perhaps_numbers: tuple[float, ...] | None


@pytest.fixture
def session() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        migrate(connection)
        yield connection


def whole64() -> st.SearchStrategy[int]:
    return st.integers(-(2**63), 2**63 - 1)


def reals() -> st.SearchStrategy[float]:
    return st.floats(allow_nan=False)


@st.composite
def everything(draw: st.DrawFn) -> Everything:
    rates = st.fractions(max_denominator=10**9).filter(lambda value: abs(value.numerator) < 2**63)
    reals_tuple = st.lists(reals(), max_size=3).map(tuple)
    return Everything(
        text=draw(WORDS),
        whole=draw(whole64()),
        real=draw(reals()),
        truth=draw(st.booleans()),
        raw=draw(st.binary()),
        rate=draw(rates),
        answer=draw(st.sampled_from(Outcome)),
        numbers=draw(reals_tuple),
        nested=draw(st.lists(reals_tuple, max_size=3).map(tuple)),
        perhaps=draw(st.none() | whole64()),
        perhaps_rate=draw(st.none() | rates),
        perhaps_answer=draw(st.none() | st.sampled_from(Outcome)),
        perhaps_numbers=draw(st.none() | reals_tuple),
    )


@settings(max_examples=40)
@given(st.lists(everything(), max_size=3))
def test_records_come_back_from_the_warehouse_as_they_were(records: list[Everything]) -> None:
    columns = ", ".join(f'"{name}" {kind}' for name, kind in tables.sql_columns(Everything))
    cursor = duckdb.default_connection()
    cursor.execute(f"CREATE OR REPLACE TABLE everything ({columns})")
    tables.insert(cursor, "everything", tables.to_arrow(Everything, records))
    back = tables.from_arrow(Everything, cursor.execute("FROM everything").to_arrow_table())
    assert back == records


@pytest.mark.parametrize("noun", sorted(EXAMPLES))
def test_a_noun_comes_back_from_the_warehouse_as_it_was(session: duckdb.DuckDBPyConnection, noun: str) -> None:
    record = EXAMPLES[noun]()
    tables.insert(session, noun, tables.to_arrow(type(record), [record]))
    back = tables.from_arrow(type(record), session.execute(f'FROM "{noun}"').to_arrow_table())
    assert back == [record]


def test_a_vote_that_says_a_video_is_broken_has_no_outcome(session: duckdb.DuckDBPyConnection) -> None:
    vote = factories.vote(outcome=None, origin=Origin.VLM)
    tables.insert(session, "vote", tables.to_arrow(type(vote), [vote]))
    assert session.execute("SELECT outcome, origin FROM vote").fetchone() == (None, "vlm")


def test_the_types_of_columns_are_those_that_duckdb_and_ducklake_share() -> None:
    assert dict(tables.sql_columns(Everything)) == {
        "text": "VARCHAR NOT NULL",
        "whole": "BIGINT NOT NULL",
        "real": "DOUBLE NOT NULL",
        "truth": "BOOLEAN NOT NULL",
        "raw": "BLOB NOT NULL",
        "rate": "STRUCT(num BIGINT, den BIGINT) NOT NULL",
        "answer": "VARCHAR NOT NULL",
        "numbers": "DOUBLE[] NOT NULL",
        "nested": "DOUBLE[][] NOT NULL",
        "perhaps": "BIGINT",
        "perhaps_rate": "STRUCT(num BIGINT, den BIGINT)",
        "perhaps_answer": "VARCHAR",
        "perhaps_numbers": "DOUBLE[]",
    }


@pytest.mark.parametrize("hint", [dict[str, int], int | str, object])
def test_a_field_that_has_no_column_type_is_refused(hint: Any) -> None:
    odd: Any = dataclass(type("Odd", (), {"__annotations__": {"field": hint}}))
    with pytest.raises(TypeError, match="column"):
        tables.schema(odd)


def test_numbers_of_numpy_are_numbers() -> None:
    @dataclass(frozen=True)
    class Measured:
        share: float
        num: int

    table = tables.to_arrow(Measured, [Measured(np.float32(0.5), np.int64(3))])  # type: ignore[arg-type]
    assert tables.from_arrow(Measured, table) == [Measured(0.5, 3)]


def rows(**columns: list[Any]) -> pa.Table:
    return pa.table(columns)


def listed(session: duckdb.DuckDBPyConnection) -> list[Any]:
    return session.execute("SELECT subject_id, identity_id FROM subject_identity ORDER BY ALL").fetchall()


def test_a_merge_adds_what_is_new_and_says_how_much(session: duckdb.DuckDBPyConnection) -> None:
    first = rows(subject_id=["a", "b"], identity_id=["1", "2"])
    second = rows(subject_id=["b", "c"], identity_id=["other", "3"])
    assert tables.merge(session, "subject_identity", first, keys=["subject_id"]) == 2
    assert tables.merge(session, "subject_identity", second, keys=["subject_id"]) == 1
    assert listed(session) == [("a", "1"), ("b", "2"), ("c", "3")]


def test_a_merge_done_twice_is_a_merge_done_once(session: duckdb.DuckDBPyConnection) -> None:
    table = rows(subject_id=["a", "b"], identity_id=["1", "2"])
    tables.merge(session, "subject_identity", table, keys=["subject_id"])
    assert tables.merge(session, "subject_identity", table, keys=["subject_id"]) == 0
    assert len(listed(session)) == 2


def test_a_key_that_comes_twice_in_one_merge_is_added_once(session: duckdb.DuckDBPyConnection) -> None:
    table = rows(subject_id=["a", "a", "a"], identity_id=["1", "1", "2"])
    assert tables.merge(session, "subject_identity", table, keys=["subject_id", "identity_id"]) == 2
    assert listed(session) == [("a", "1"), ("a", "2")]


def test_a_merge_of_nothing_is_nothing(session: duckdb.DuckDBPyConnection) -> None:
    empty = tables.to_arrow(type(factories.pair()), [])
    assert tables.merge(session, "pair", empty, keys=["pair_id"]) == 0


def test_columns_are_matched_by_name_not_by_place(session: duckdb.DuckDBPyConnection) -> None:
    tables.insert(session, "subject_identity", rows(identity_id=["1"], subject_id=["a"]))
    tables.merge(session, "subject_identity", rows(identity_id=["2"], subject_id=["b"]), keys=["subject_id"])
    assert listed(session) == [("a", "1"), ("b", "2")]


def test_replacing_takes_away_only_what_the_condition_finds(session: duckdb.DuckDBPyConnection) -> None:
    tables.insert(session, "subject_identity", rows(subject_id=["a", "b"], identity_id=["1", "2"]))
    new = rows(subject_id=["c"], identity_id=["3"])
    tables.replace(session, "subject_identity", new, where="identity_id = ?", values=["1"])
    assert listed(session) == [("b", "2"), ("c", "3")]


def test_a_value_missing_where_none_is_not_allowed_is_refused(session: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(duckdb.ConstraintException):
        tables.insert(session, "subject_identity", rows(subject_id=["a"], identity_id=pa.nulls(1, pa.string())))
    assert listed(session) == []
