"""What is pending, cut into shards: the units of work, of staging and of commit."""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from flows.recipe import Recipe
from flows.stages.stage import Failed
from warehouse import gates, ids, queries, tables
from warehouse.database import Session
from warehouse.records import Source

NOUNS_MADE = ("clip", "subject", "reference", "candidate")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """Some sources with all that is known of them: the unit of work, of staging and of commit."""

    shard_id: str
    sources: Sequence[Source]
    records: Mapping[str, Sequence[Any]]
    """By noun: what earlier runs made of these sources."""
    known: Mapping[tuple[str, str], Any]
    """By (stage, item id): the fact, or `Failed`."""
    attempts: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """By (stage, item id): how often an item was tried that is to be tried again."""

    def one_by_one(self) -> Iterator["Shard"]:
        """The same work, a source a shard. What is known of the other sources goes along and is not looked at."""
        for source in self.sources:
            yield replace(self, shard_id=ids.make("shard", self.shard_id, source.source_id), sources=[source])


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is pending, on disk, cut into shards when they are asked for: no more than a shard is in memory."""

    folder: Path
    recipe: Recipe
    active: frozenset[str]
    shard_size: int
    num_sources: int

    @property
    def num_shards(self) -> int:
        return -(-self.num_sources // self.shard_size)

    def __iter__(self) -> Iterator[Shard]:
        """In the order of the sources' ids; the same plan gives the same shards."""
        measures = [sorted(self.active), self.recipe.described()]
        sources = _Rows(self.folder / "source.parquet")
        records = {noun: _Rows(self.folder / f"{noun}.parquet") for noun in NOUNS_MADE}
        facts = {step: _Rows(self.folder / f"{step.table}.parquet") for step in self.recipe.steps}
        unfinished = _Rows(self.folder / f"{queries.UNFINISHED}.parquet")
        while (rows := sources.take(self.shard_size)).num_rows:
            wanted = rows["source_id"].to_pylist()
            known: dict[tuple[str, str], Any] = {}
            for step, of_stage in facts.items():
                part = of_stage.until(wanted[-1])
                keys = [(step.stage, item_id) for item_id in part["item_id"].to_pylist()]
                known |= dict(zip(keys, tables.from_arrow(step.fact, part), strict=True))
            attempts = {}
            for row in unfinished.until(wanted[-1]).to_pylist():
                key = (row["stage"], row["item_id"])
                if row["outcome"] == "reopened":
                    attempts[key] = row["attempt"]
                else:
                    known[key] = Failed(reason=row["reason"])
            yield Shard(
                shard_id=ids.make(
                    "shard", measures, wanted, sorted("/".join(key) for key in known), sorted(attempts.items())
                ),
                sources=tables.from_arrow(Source, rows),
                records={
                    noun: tables.from_arrow(tables.NOUNS[noun], of_noun.until(wanted[-1]))
                    for noun, of_noun in records.items()
                },
                known=known,
                attempts=attempts,
            )


class _Rows:
    """A Parquet file ordered by `source_id`, read once from its beginning to its end."""

    def __init__(self, path: Path) -> None:
        file = pq.ParquetFile(path)
        self._batches = file.iter_batches(tables.STREAMED_ROWS)
        self._next = pa.Table.from_batches([], file.schema_arrow)

    def take(self, num: int) -> pa.Table:
        """The next `num` rows, or what is left."""
        taken = []
        while num and self._fill():
            taken.append(self._split(min(num, self._next.num_rows)))
            num -= taken[-1].num_rows
        return pa.concat_tables(taken) if taken else self._next

    def until(self, source_id: str) -> pa.Table:
        """The next rows up to this source's last."""
        taken = [self._next.slice(0, 0)]
        while self._fill():
            names = self._next["source_id"].to_pylist()
            taken.append(self._split(bisect_right(names, source_id)))
            if self._next.num_rows:
                break
        return pa.concat_tables(taken)

    def _fill(self) -> bool:
        """Whether there is a next row."""
        while not self._next.num_rows:
            batch = next(self._batches, None)
            if batch is None:
                return False
            self._next = pa.Table.from_batches([batch])
        return True

    def _split(self, num: int) -> pa.Table:
        first, self._next = self._next.slice(0, num), self._next.slice(num)
        return first


def plan(
    session: Session, recipe: Recipe, active: frozenset[str], shard_size: int, folder: Path, *, most: int | None = None
) -> Plan:
    """Write what is pending in the `active` stages into an empty folder; at most `most` sources. After `judge`."""
    gates.recall(session, recipe.steps, active, most=most)
    num_sources = queries.write_pending(session, folder, recipe.steps, NOUNS_MADE)
    return Plan(folder=folder, recipe=recipe, active=active, shard_size=shard_size, num_sources=num_sources)
