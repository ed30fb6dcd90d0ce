import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from flows.walk import fact_key
from tests import factories
from warehouse import staging
from warehouse.database import Warehouse
from warehouse.errors import WarehouseLocked
from warehouse.gates import Step
from warehouse.staging import FactRow, LedgerRow, ShardRows, commit, leftovers, only_committer, stage


@dataclass(frozen=True, slots=True, kw_only=True)
class CutFact:
    num_clips: int


STEP = Step(stage="cut", stage_key="key", noun="source", fact=CutFact, gates=())


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path / "warehouse.duckdb")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "staging"


def a_shard(*source_ids: str, shard_id: str = "shard_1") -> ShardRows:
    """Every source cut into one clip; one that is called `broken` fails."""
    good = [source_id for source_id in source_ids if source_id != "broken"]
    return ShardRows(
        ledger=[ledger_row(source_id, shard_id) for source_id in source_ids],
        facts={
            "cut": [FactRow(fact_key=fact_key(STEP, each), item_id=each, fact=CutFact(num_clips=1)) for each in good]
        },
        records={"clip": [factories.clip(clip_id=f"clip of {each}", source_id=each) for each in good]},
    )


def ledger_row(source_id: str, shard_id: str) -> LedgerRow:
    is_broken = source_id == "broken"
    return LedgerRow(
        fact_key=fact_key(STEP, source_id),
        stage="cut",
        stage_key="key",
        item_id=source_id,
        outcome="failed" if is_broken else "done",
        reason="truncated" if is_broken else None,
        exception=None,
        attempt=1,
        seconds=0.5,
        shard_id=shard_id,
    )


def contents(warehouse: Warehouse) -> dict[str, Sequence[Any]]:
    """All rows of what shards write, without the time of their commit."""
    with warehouse.session() as session:
        return {
            "ledger": session.execute("SELECT * EXCLUDE committed_at FROM ledger ORDER BY ALL").fetchall(),
            "fact": session.execute("FROM fact_cut ORDER BY ALL").fetchall(),
            "clip": session.execute("FROM clip ORDER BY ALL").fetchall(),
        }


def test_a_staged_shard_is_committed_whole_and_cleared_away(warehouse: Warehouse, folder: Path) -> None:
    staged = stage(folder, "shard_1", a_shard("one", "two", "broken"))
    assert staged == folder / "shard_1"
    commit(warehouse, [staged], [STEP])
    found = contents(warehouse)
    assert [len(found[name]) for name in ("ledger", "fact", "clip")] == [3, 2, 2]
    assert list(folder.iterdir()) == []


def test_a_shard_of_failures_alone_has_a_ledger_and_nothing_else(warehouse: Warehouse, folder: Path) -> None:
    staged = stage(folder, "shard_1", a_shard("broken"))
    assert [path.name for path in staged.iterdir()] == ["ledger.parquet"]
    commit(warehouse, [staged], [STEP])
    with warehouse.session() as session:
        assert session.execute("SELECT outcome, reason FROM ledger").fetchall() == [("failed", "truncated")]


def test_a_shard_committed_twice_changes_nothing(warehouse: Warehouse, folder: Path) -> None:
    staged = stage(folder, "shard_1", a_shard("one", "two"))
    shutil.copytree(staged, folder / "copy")
    commit(warehouse, [staged], [STEP])
    before = contents(warehouse)
    commit(warehouse, [folder / "copy"], [STEP])
    assert contents(warehouse) == before


def test_a_committer_killed_between_merge_and_clearing_away_costs_nothing(warehouse: Warehouse, folder: Path) -> None:
    staged = stage(folder, "shard_1", a_shard("one", "two"))
    with warehouse.transaction() as session:
        staging.merge(session, [staged], {STEP.table: STEP})
    before = contents(warehouse)
    assert leftovers(folder) == [staged]
    commit(warehouse, [staged], [STEP])
    assert contents(warehouse) == before
    assert leftovers(folder) == []


def test_a_commit_that_breaks_leaves_nothing_in_the_warehouse_and_the_shard_where_it_was(
    warehouse: Warehouse, folder: Path
) -> None:
    staged = stage(folder, "shard_1", a_shard("one"))
    (staged / "zzz.parquet").write_bytes(b"no parquet at all")
    with pytest.raises(Exception, match="Parquet"):
        commit(warehouse, [staged], [STEP])
    assert staged.is_dir()
    with warehouse.session() as session:
        assert session.execute("SELECT count(*) FROM ledger").fetchone() == (0,)
        assert session.execute("SELECT count(*) FROM clip").fetchone() == (0,)


def test_a_shard_that_was_staged_before_is_not_written_again(folder: Path) -> None:
    first = stage(folder, "shard_1", a_shard("one"))
    before = (first / "ledger.parquet").read_bytes()
    assert stage(folder, "shard_1", a_shard("two")) == first
    assert (first / "ledger.parquet").read_bytes() == before


def test_a_shard_given_to_several_workers_appears_once_and_whole(folder: Path) -> None:
    num = 8
    together = threading.Barrier(num)

    def work(_: int) -> Path:
        together.wait()
        return stage(folder, "shard_1", a_shard("one", "two"))

    with ThreadPoolExecutor(num) as hands:
        found = set(hands.map(work, range(num)))
    assert found == {folder / "shard_1"}
    assert [path.name for path in folder.iterdir()] == ["shard_1"]
    assert sorted(path.name for path in (folder / "shard_1").iterdir()) == [
        "clip.parquet",
        "fact_cut.parquet",
        "ledger.parquet",
    ]


def test_a_worker_that_breaks_off_leaves_nothing_behind(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", lambda descriptor: (_ for _ in ()).throw(OSError(5, "Input/output error")))
    with pytest.raises(OSError, match="Input/output error"):
        stage(folder, "shard_1", a_shard("one"))
    assert list(folder.iterdir()) == []


def test_what_a_killed_worker_left_half_written_is_swept_and_what_it_finished_is_kept(folder: Path) -> None:
    finished = stage(folder, "shard_2", a_shard("two", shard_id="shard_2"))
    killed = """
import os, sys
from pathlib import Path
from warehouse import staging
staging._appear = lambda hidden, target: os._exit(9)
staging.stage(Path(sys.argv[1]), "shard_1", staging.ShardRows(ledger=[], facts={}, records={}))
"""
    assert subprocess.run([sys.executable, "-c", killed, str(folder)], check=False).returncode == 9
    assert len(list(folder.iterdir())) == 2
    assert leftovers(folder) == [finished]
    assert list(folder.iterdir()) == [finished]


def test_where_nothing_was_ever_staged_nothing_is_left_over(folder: Path) -> None:
    assert leftovers(folder) == []


def test_a_second_process_that_would_commit_is_refused_by_the_number_of_the_first(folder: Path) -> None:
    second = """
import sys
from pathlib import Path
from warehouse.staging import only_committer
from warehouse.errors import WarehouseLocked
try:
    with only_committer(Path(sys.argv[1])): pass
except WarehouseLocked as error:
    sys.exit(str(error))
"""
    command = [sys.executable, "-c", second, str(folder)]
    with only_committer(folder):
        refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert refused.stderr.strip() == f"{folder}: process {os.getpid()} is running on it; wait for it or stop it"
    subprocess.run(command, check=True)


def test_the_committers_place_is_free_again_after_an_error(folder: Path) -> None:
    with pytest.raises(RuntimeError), only_committer(folder):
        raise RuntimeError("ours")
    with only_committer(folder):
        with pytest.raises(WarehouseLocked), only_committer(folder):
            pass
        assert leftovers(folder) == []
