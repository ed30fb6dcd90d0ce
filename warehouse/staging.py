"""How a shard's results reach the warehouse: a worker stages a folder of Parquet, the one committer merges it.

The folder appears under its final name only when it is whole. Merging it twice changes nothing, so that being
killed between the merge and the clearing away costs nothing.
"""

import fcntl
import os
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from warehouse import tables
from warehouse.database import Session, Warehouse
from warehouse.errors import WarehouseLocked
from warehouse.files import full_disk_told
from warehouse.gates import Step, ensure_fact_table

HIDDEN = "."
"""Folders still being written begin with it."""
PLAN = f"{HIDDEN}plan-"
"""Folders that hold what a run has before it; of no use after it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerRow:
    """What became of one item at one stage, at one attempt."""

    fact_key: str
    stage: str
    stage_key: str
    item_id: str
    outcome: str
    """`done` or `failed`; `reopened` where a person asked for another attempt (`flows.retry`)."""
    reason: str | None
    exception: str | None
    attempt: int
    seconds: float
    shard_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FactRow:
    fact_key: str
    item_id: str
    fact: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardRows:
    """All that one shard gave."""

    ledger: Sequence[LedgerRow]
    facts: Mapping[str, Sequence[FactRow]]
    """By stage name."""
    records: Mapping[str, Sequence[Any]]
    """By noun."""


def stage(folder: Path, shard_id: str, rows: ShardRows) -> Path:
    """Write a shard's rows below `folder` and give the finished folder; a worker calls it, the warehouse stays shut."""
    target = folder / shard_id
    with full_disk_told(folder):
        if target.exists():
            return target
        folder.mkdir(parents=True, exist_ok=True)
        hidden = Path(tempfile.mkdtemp(dir=folder, prefix=f"{HIDDEN}{shard_id}-"))
        try:
            for name, table in _tables(rows):
                _write(hidden / f"{name}.parquet", table)
            _appear(hidden, target)
        finally:
            shutil.rmtree(hidden, ignore_errors=True)
    return target


def _write(path: Path, table: pa.Table) -> None:
    with path.open("wb") as file:
        pq.write_table(table, file)
        file.flush()
        os.fsync(file.fileno())


def _appear(hidden: Path, target: Path) -> None:
    """Rename, unless another worker that was given the same shard came first."""
    try:
        hidden.rename(target)
    except OSError:
        if not target.exists():
            raise


def commit(warehouse: Warehouse, staged: Sequence[Path], steps: Sequence[Step]) -> None:
    """Merge staged folders in one transaction, then clear them away."""
    with warehouse.transaction() as session:
        merge(session, staged, {step.table: step for step in steps})
    for folder in staged:
        shutil.rmtree(folder)


def merge(session: Session, staged: Sequence[Path], steps: Mapping[str, Step]) -> None:
    """Merge the files of staged folders, each table's together; `steps` by the name of their fact table."""
    files: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(path for folder in staged for path in folder.glob("*.parquet")):
        files[path.stem].append(path)
    for name, paths in sorted(files.items()):
        rows = pa.concat_tables(map(pq.read_table, paths))
        if name == "ledger":
            append_ledger(session, rows)
        elif name in steps:
            ensure_fact_table(session, steps[name])
            tables.merge(session, name, rows, keys=["fact_key"])
        else:
            tables.merge(session, name, rows, keys=[f"{name}_id", "fact_key"])


def append_ledger(session: Session, rows: pa.Table) -> None:
    """Put rows of `LedgerRow` on record, with the time of now (UTC). Those that are there already stay as they are."""
    committed = pa.array([datetime.now(UTC).replace(tzinfo=None)] * rows.num_rows, pa.timestamp("us"))
    tables.merge(session, "ledger", rows.append_column("committed_at", committed), keys=["fact_key", "attempt"])


def leftovers(folder: Path) -> list[Path]:
    """Finished shards that a killed run left uncommitted; what it left half written is removed."""
    if not folder.is_dir():
        return []
    for path in folder.glob(f"{HIDDEN}*-*"):
        shutil.rmtree(path)
    return sorted(path for path in folder.iterdir() if not path.name.startswith(HIDDEN))


@contextmanager
def only_committer(folder: Path) -> Iterator[None]:
    """Be the one process that stages and commits below `folder`; `WarehouseLocked` names another that is."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{HIDDEN}lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise WarehouseLocked(f"{folder}: process {holder} is running on it; wait for it or stop it") from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _tables(rows: ShardRows) -> Iterator[tuple[str, pa.Table]]:
    yield "ledger", tables.to_arrow(LedgerRow, rows.ledger)
    for stage_name, facts in rows.facts.items():
        if facts:
            keys = pa.table({"fact_key": [row.fact_key for row in facts], "item_id": [row.item_id for row in facts]})
            values = tables.to_arrow(type(facts[0].fact), [row.fact for row in facts])
            yield (
                f"fact_{stage_name}",
                pa.table([*keys.columns, *values.columns], names=[*keys.column_names, *values.column_names]),
            )
    for noun, records in rows.records.items():
        if records:
            yield noun, tables.to_arrow(tables.NOUNS[noun], records)
