import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import duckdb
import pytest

from flows.identities import SubjectIdentity
from flows.ingest import Listed
from warehouse import tables
from warehouse.database import Warehouse
from warehouse.errors import WarehouseNewer
from warehouse.migrate import migrate, migrations
from warehouse.staging import LedgerRow

TABLES: dict[str, type[Any]] = {
    **tables.NOUNS,
    **tables.BOARDS,
    "ledger": LedgerRow,
    "listing": Listed,
    "subject_identity": SubjectIdentity,
}
ADDED_BY_THE_COMMITTER = {"ledger": [("committed_at", "TIMESTAMP NOT NULL")]}


def columns(connection: duckdb.DuckDBPyConnection, table: str) -> list[tuple[str, str]]:
    described = connection.execute(f'DESCRIBE "{table}"').fetchall()
    return [(name, kind + (" NOT NULL" if null == "NO" else "")) for name, kind, null, *_ in described]


@pytest.mark.parametrize("table", sorted(TABLES))
def test_a_tables_columns_are_the_fields_of_its_dataclass(table: str) -> None:
    with duckdb.connect() as connection:
        migrate(connection)
        unquoted = [(name, kind.replace('"', "")) for name, kind in columns(connection, table)]
    assert unquoted == [*tables.sql_columns(TABLES[table]), *ADDED_BY_THE_COMMITTER.get(table, [])]


def test_every_noun_of_the_records_has_a_table() -> None:
    assert {noun: record.__name__.lower() for noun, record in tables.NOUNS.items()} == {
        noun: noun for noun in tables.NOUNS
    }
    assert all(fields(record) for record in tables.NOUNS.values())


def test_migrations_are_numbered_from_one_without_a_gap() -> None:
    assert [number for number, _ in migrations()] == list(range(1, len(migrations()) + 1))


@pytest.mark.parametrize("word", ["PRIMARY KEY", "UNIQUE", "CHECK", "SEQUENCE", "REFERENCES", "ENUM", "INDEX"])
def test_migrations_use_nothing_that_a_ducklake_catalog_lacks(word: str) -> None:
    code = "\n".join(line.split("--")[0] for _, sql in migrations() for line in sql.splitlines())
    assert re.search(r"\bCREATE TABLE\b", code)
    assert not re.search(rf"\b{word}\b", code, re.IGNORECASE)


def test_migrating_twice_changes_nothing() -> None:
    with duckdb.connect() as connection:
        first = migrate(connection)
        connection.execute("INSERT INTO subject_identity VALUES ('subject_1', 'identity_1')")
        assert migrate(connection) == first
        assert connection.execute("SELECT count(*) FROM subject_identity").fetchone() == (1,)
        assert connection.execute("FROM schema_version").fetchall() == [(number,) for number, _ in migrations()]


def test_a_migration_that_breaks_leaves_the_schema_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    warehouse = Warehouse(tmp_path / "warehouse.duckdb")
    with warehouse.session() as session:
        before = session.execute("SHOW TABLES").fetchall()
    broken = [*migrations(), (99, "CREATE TABLE half (id BIGINT); SELECT * FROM nowhere;")]
    monkeypatch.setattr("warehouse.migrate.migrations", lambda: broken)
    with pytest.raises(duckdb.CatalogException), warehouse.session():
        pass
    monkeypatch.undo()
    with warehouse.session() as session:
        assert session.execute("SHOW TABLES").fetchall() == before
        assert session.execute("SELECT max(number) FROM schema_version").fetchone() == (len(migrations()),)


def test_of_older_references_the_chosen_is_the_one_that_was_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    before = migrations()[:2]
    rows = [("b", 0.9), ("a", 0.9), ("c", 0.2), ("d", None)]
    with duckdb.connect() as connection:
        monkeypatch.setattr("warehouse.migrate.migrations", lambda: before)
        migrate(connection)
        for name, score in rows:
            values = [name, "subject", "clip", "fact", "crop" if name == "a" else "mirrored", False, "0" * 64, 9, 9]
            connection.execute("INSERT INTO reference VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, [1.0])", [*values, score])
        monkeypatch.undo()
        migrate(connection)
        found = connection.execute("SELECT reference_id, synthesizer, is_chosen FROM reference ORDER BY 1").fetchall()
        tables.from_arrow(tables.NOUNS["reference"], connection.execute("FROM reference").to_arrow_table())
    views = "geometric views"
    assert found == [("a", None, True), ("b", views, False), ("c", views, False), ("d", views, False)]


def test_of_older_votes_those_of_models_stay_and_simulated_ones_are_cast_again(monkeypatch: pytest.MonkeyPatch) -> None:
    before = migrations()[:3]
    rows = [("straight", "vlm", '{"is_turned": false}'), ("turned", "vlm", '{"is_turned": true}')]
    with duckdb.connect() as connection:
        monkeypatch.setattr("warehouse.migrate.migrations", lambda: before)
        migrate(connection)
        for name, origin, raw in [*rows, ("drawn", "simulated", "{}")]:
            values = [name, "pair", "one", origin, "A", True, "2026-01-01T00:00:00Z", raw]
            connection.execute("INSERT INTO vote VALUES (?, ?, ?, ?, ?, ?, ?, NULL, NULL, ?)", values)
            connection.execute(
                "INSERT INTO label VALUES ('pair', 'majority', 'A', 'majority', ?, 1, 1, 0, 0)", [origin]
            )
        monkeypatch.undo()
        migrate(connection)
        found = connection.execute("SELECT vote_id, purpose, is_swapped FROM vote ORDER BY 1").fetchall()
        assert found == [("straight", "vote", False), ("turned", "vote", True)]
        assert connection.execute("SELECT DISTINCT origin FROM label").fetchall() == [("vlm",)]
        tables.from_arrow(tables.NOUNS["vote"], connection.execute("FROM vote").to_arrow_table())


def test_a_warehouse_of_a_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path / "warehouse.duckdb")
    with warehouse.session() as session:
        session.execute("INSERT INTO schema_version VALUES (999)")
    with pytest.raises(WarehouseNewer, match="schema 999"), warehouse.session():
        pass
    with duckdb.connect(str(warehouse.path)) as connection:
        assert connection.execute("SELECT max(number) FROM schema_version").fetchone() == (999,)
