"""The warehouse's SQL on its other home: a DuckLake catalog, which has no keys, sequences or checks."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import duckdb
import pytest

from flows.shards import plan
from flows.walk import walk
from tests import factories
from tests.fake_stages import write_profile
from warehouse import gates, queries, staging, tables
from warehouse.database import Session
from warehouse.media import MediaStore
from warehouse.migrate import migrate
from warehouse.records import Source

pytestmark = pytest.mark.live

CAPTIONS = ("one", "two", "fails", "unknown")


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Session]:
    """A session in a new DuckLake, its catalog in a file; the extension comes with its package."""
    spec = find_spec("duckdb_extension_ducklake")
    assert spec is not None and spec.submodule_search_locations, "`make test-live` installs the extra `lake`"
    extension = next(Path(spec.submodule_search_locations[0]).rglob("ducklake.duckdb_extension"))
    session = duckdb.connect()
    session.execute(f"LOAD '{extension}'")
    session.execute(f"ATTACH 'ducklake:{tmp_path / 'catalog.ducklake'}' AS lake (DATA_PATH '{tmp_path / 'data'}')")
    session.execute("USE lake")
    yield session
    session.close()


def test_migrations_facts_gates_and_merges_work_on_a_ducklake(lake: Session, tmp_path: Path) -> None:
    from flows import recipe as recipes

    recipe = recipes.load(write_profile(tmp_path / "fake.toml"))
    migrate(lake)
    sources = [factories.source(source_id=f"source_{caption}", caption=caption) for caption in CAPTIONS]
    tables.insert(lake, "source", tables.to_arrow(Source, sources))
    for source in sources:
        lake.execute(
            "INSERT INTO listing (dataset, entry, source_id, problem) VALUES ('sample', ?, ?, NULL)",
            [source.path, source.source_id],
        )

    for run in range(2):
        gates.judge(lake, recipe.steps)
        active = recipe.of_flow("curate") | recipe.of_flow("generate")
        folder = tmp_path / f"plan_{run}"
        folder.mkdir()
        for shard in plan(lake, recipe, active, 2, folder):
            rows = walk(recipe, active, shard, MediaStore(tmp_path / "media"))
            staged = staging.stage(tmp_path / "staging", shard.shard_id, rows)
            for _ in range(2):
                lake.begin()
                staging.merge(lake, [staged], {step.table: step for step in recipe.steps})
                lake.commit()

    gates.judge(lake, recipe.steps)
    funnel = {row["stage"]: row for row in queries.funnel(lake, recipe.steps)}
    assert (funnel["cut"]["num_in"], funnel["cut"]["passed"], funnel["cut"]["failed"]) == (4, 3, 1)
    assert all(row["num_in"] == row["passed"] + row["dropped"] + row["failed"] for row in funnel.values())
    assert funnel["look"]["passed"] == funnel["copy"]["passed"] > 0
    assert not queries.unbalanced(lake)
