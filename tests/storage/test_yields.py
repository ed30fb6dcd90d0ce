import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from click.testing import CliRunner

from flows import recipe as recipes
from flows.cli import likeness
from flows.yields import counted, yields_text
from tests import factories
from warehouse import tables
from warehouse.errors import BadRecipe
from warehouse.migrate import migrate
from warehouse.records import Reference

PAINTED: dict[str, Any] = {"synthesizer": "painter", "is_resynthesised": True}
REFERENCES: list[dict[str, Any]] = [
    {"subject_id": "one", "view": "crop", "identity_score": 1.0, "copy_paste_score": 1.0, "is_chosen": False},
    {"subject_id": "one", "view": "smiling", "identity_score": 0.95, "copy_paste_score": 0.5, **PAINTED},
    {"subject_id": "one", "view": "profile", "identity_score": None, "copy_paste_score": None, **PAINTED},
    {"subject_id": "two", "view": "crop", "identity_score": 0.98, "copy_paste_score": 1.0},
    {"subject_id": "two", "view": "smiling", "identity_score": 0.85, "copy_paste_score": 0.1, **PAINTED},
]


@pytest.fixture
def session() -> Iterator[duckdb.DuckDBPyConnection]:
    """References of two subjects, one prompt refused for the second; and one of a fact that is not current."""
    rows = [
        factories.reference(reference_id=str(number), **({"is_chosen": False} | values))
        for number, values in enumerate(REFERENCES)
    ]
    rows.append(factories.reference(reference_id="old", fact_key="fact_of_before"))
    with duckdb.connect() as connection:
        migrate(connection)
        tables.insert(connection, "reference", tables.to_arrow(Reference, rows))
        connection.execute("CREATE TEMP TABLE verdict AS SELECT 'fact_references' AS fact_key")
        yield connection


def by_name(session: duckdb.DuckDBPyConnection, **override: Any) -> dict[tuple[str | None, str | None], dict[str, Any]]:
    found = counted(session, recipes.load("embedded"), **override)
    return {(row["synthesizer"], row["view"]): row for row in found["yields"]}


def test_a_view_is_counted_by_who_made_it_and_a_synthesizer_as_a_whole(session: duckdb.DuckDBPyConnection) -> None:
    rows = by_name(session)
    assert list(rows) == [(None, "crop"), ("painter", "smiling"), ("painter", "profile"), ("painter", None)]
    counts = ("num_asked", "num_made", "num_comparable", "num_kept", "yield")
    assert [rows["painter", "smiling"][name] for name in counts] == [2, 2, 2, 1, 0.5]
    assert [rows["painter", "profile"][name] for name in counts] == [2, 1, 0, 0, 0.0]
    assert [rows["painter", None][name] for name in counts] == [4, 3, 2, 1, 1 / 3]


def test_means_are_of_what_is_known(session: duckdb.DuckDBPyConnection) -> None:
    rows = by_name(session)
    smiling, profile = rows["painter", "smiling"], rows["painter", "profile"]
    assert (smiling["identity_score_mean"], smiling["copy_paste_mean"]) == pytest.approx((0.9, 0.3))
    assert (profile["identity_score_mean"], profile["copy_paste_mean"]) == (None, None)


def test_another_score_to_keep_from_needs_no_model(session: duckdb.DuckDBPyConnection) -> None:
    assert by_name(session, keep_from=0.8)["painter", "smiling"]["num_kept"] == 2


def test_the_table_reads_from_left_to_right(session: duckdb.DuckDBPyConnection) -> None:
    lines = yields_text(counted(session, recipes.load("embedded"))).splitlines()
    assert lines[0] == "kept: identity score of 0.91 and more"
    assert lines[3].split() == ["painter:", "smiling", "2", "2", "2", "1", "50", "%", "0.900", "0.300", "0"]
    assert lines[5].startswith("painter: all ")
    assert "unknown" in lines[4]


def test_a_profile_without_references_says_so(session: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    path = tmp_path / "short.toml"
    path.write_text(
        '[[stage]]\nuse = "flows.stages.shots:Shots"\nflow = "curate"\n'
        'detector = { use = "flows.engines.embedded.content_shots:ContentShots" }\n'
    )
    with pytest.raises(BadRecipe, match="makes references"):
        counted(session, recipes.load(str(path)))


def test_before_anything_was_made_there_are_no_yields() -> None:
    assert CliRunner().invoke(likeness, ["yields"]).stdout == "no references yet\n"
    told = json.loads(CliRunner().invoke(likeness, ["yields", "--json", "--keep-from", "0.8"]).stdout)
    assert told == {"keep_from": 0.8, "yields": []}
