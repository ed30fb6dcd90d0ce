"""Questions to the warehouse: one function a file of `sql/`, values always bound."""

from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

import pyarrow as pa

from warehouse import tables
from warehouse.database import Session
from warehouse.gates import Step

Row = dict[str, Any]


def funnel(session: Session, steps: Sequence[Step]) -> list[Row]:
    """A row a stage in the order of the road, with zeros where nothing arrived. After `gates.judge`."""
    counted = {row["stage"]: row for row in _rows(session, "funnel")}
    zero = {"num_in": 0, "passed": 0, "dropped": 0, "failed": 0, "pending": 0}
    return [counted.get(step.stage, {"stage": step.stage, "noun": step.noun, **zero}) for step in steps]


def reasons(session: Session) -> list[Row]:
    """Why items were dropped or failed, most frequent first. After `gates.judge`."""
    return _rows(session, "reasons")


def arrivals(session: Session, dataset: str | None = None) -> list[Row]:
    """What ingest found: sources, and entries that are none, by problem."""
    return _rows(session, "arrivals", {"dataset": dataset})


def pending_sources(session: Session, stages: Sequence[str]) -> list[str]:
    """Sources that have something left to measure, in order of id. After `gates.judge`."""
    return [row["source_id"] for row in _rows(session, "pending_sources", {"stages": list(stages)})]


def unbalanced(session: Session) -> list[Row]:
    """Items that a stage counted twice. After `gates.judge`."""
    return _rows(session, "unbalanced")


def clips_of_name(session: Session, name: str) -> list[Row]:
    """Clips that `name` may mean."""
    return _rows(session, "clips_of_name", {"name": name})


def story(session: Session, item_ids: Sequence[str]) -> list[Row]:
    """The verdicts on these items. After `gates.judge`."""
    return _rows(session, "story", {"item_ids": list(item_ids)})


def noun_counts(session: Session) -> Row:
    """How many of each noun there are."""
    return _rows(session, "noun_counts")[0]


def in_play(session: Session, noun: str, source_ids: Sequence[str] | None = None) -> pa.Table:
    """Records of a noun that came with a current fact, with their `source_id` first, ordered by it and by id.

    After `gates.judge`. `source_ids` restricts them.
    """
    columns = ", ".join(f'n."{name}"' for name, _ in tables.sql_columns(tables.NOUNS[noun]) if name != "source_id")
    return session.execute(
        "WITH current AS (SELECT DISTINCT fact_key, source_id FROM verdict"
        " WHERE ?::VARCHAR[] IS NULL OR list_contains(?, source_id))"
        f' SELECT c.source_id, {columns} FROM "{noun}" n JOIN current c USING (fact_key) ORDER BY 1, n.{noun}_id',
        [source_ids, source_ids],
    ).to_arrow_table()


def facts(session: Session, step: Step, source_ids: Sequence[str] | None = None) -> pa.Table:
    """Current facts of a stage, with `source_id` and `item_id` first, ordered by them. After `gates.judge`."""
    columns = ", ".join(f'f."{name}"' for name, _ in tables.sql_columns(step.fact))
    return session.execute(
        f'SELECT v.source_id, v.item_id, {columns} FROM "{step.table}" f JOIN verdict v USING (fact_key)'
        " WHERE v.stage = ? AND (?::VARCHAR[] IS NULL OR list_contains(?, v.source_id))"
        " ORDER BY v.source_id, v.item_id",
        [step.stage, source_ids, source_ids],
    ).to_arrow_table()


def sources(session: Session, source_ids: Sequence[str]) -> pa.Table:
    """These sources, ordered by id."""
    return session.execute(_sql("sources"), {"source_ids": list(source_ids)}).to_arrow_table()


def failures(session: Session, source_ids: Sequence[str]) -> pa.Table:
    """Items of these sources that failed, with `source_id` first, ordered by it. After `gates.judge`."""
    return session.execute(_sql("failures"), {"source_ids": list(source_ids)}).to_arrow_table()


def identities_of_clips(session: Session) -> list[Row]:
    """Who is in which clip."""
    return _rows(session, "identities_of_clips")


def passed_candidates(session: Session, stage: str) -> pa.Table:
    """Candidates that passed this stage, ordered by id. After `gates.judge`."""
    return session.execute(_sql("passed_candidates"), {"stage": stage}).to_arrow_table()


def records(session: Session, noun: str) -> list[Any]:
    """Every record of a noun, ordered by id."""
    table = session.execute(f'SELECT * FROM "{noun}" ORDER BY 1').to_arrow_table()
    return tables.from_arrow(tables.NOUNS[noun], table)


@cache
def _sql(name: str) -> str:
    return (resources.files("warehouse.sql") / f"{name}.sql").read_text()


def _rows(session: Session, name: str, values: Mapping[str, Any] | None = None) -> list[Row]:
    cursor = session.execute(_sql(name), dict(values) if values else None)
    names = [column[0] for column in cursor.description or []]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
