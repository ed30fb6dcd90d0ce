"""What is pending, cut into shards: the units of work, of staging and of commit."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

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

    def one_by_one(self) -> Iterator["Shard"]:
        """The same work, a source a shard. What is known of the other sources goes along and is not looked at."""
        for source in self.sources:
            yield replace(self, shard_id=ids.make("shard", self.shard_id, source.source_id), sources=[source])


@dataclass(frozen=True, slots=True)
class Plan:
    """What is pending, in tables ordered by source, cut into shards when they are asked for."""

    source_ids: Sequence[Sequence[str]]
    """The sources of each shard, ascending."""
    sources: pa.Table
    records: dict[str, pa.Table]
    facts: dict[str, tuple[type[Any], pa.Table]]
    failures: pa.Table
    measures: Sequence[Any]
    """What is to be measured, and how: stages and gates."""

    def __iter__(self) -> Iterator[Shard]:
        columns = {name: self._column(name) for name in ("source", *self.records, *self.facts, "failed")}
        for wanted in self.source_ids:
            yield self._shard(wanted, columns)

    def _table(self, name: str) -> pa.Table:
        if name == "source":
            return self.sources
        if name == "failed":
            return self.failures
        return self.records[name] if name in self.records else self.facts[name][1]

    def _column(self, name: str) -> list[str]:
        column: list[str] = self._table(name)["source_id"].to_pylist()
        return column

    def _shard(self, wanted: Sequence[str], columns: dict[str, list[str]]) -> Shard:
        def part(name: str) -> pa.Table:
            first = bisect_left(columns[name], wanted[0])
            return self._table(name).slice(first, bisect_right(columns[name], wanted[-1]) - first)

        known: dict[tuple[str, str], Any] = {}
        for stage, (fact_type, _) in self.facts.items():
            rows = part(stage)
            facts: list[Any] = tables.from_arrow(fact_type, rows)
            known |= {(stage, item_id): fact for item_id, fact in zip(rows["item_id"].to_pylist(), facts, strict=True)}
        for row in part("failed").to_pylist():
            known[row["stage"], row["item_id"]] = Failed(reason=row["reason"])
        records = {noun: tables.from_arrow(tables.NOUNS[noun], part(noun)) for noun in self.records}
        return Shard(
            shard_id=ids.make("shard", self.measures, list(wanted), sorted("/".join(key) for key in known)),
            sources=tables.from_arrow(Source, part("source")),
            records=records,
            known=known,
        )


def plan(session: Session, recipe: Recipe, active: frozenset[str], shard_size: int) -> Plan:
    """Sources that have something pending in the `active` stages, with all that is known of them. After `judge`."""
    pending = queries.pending_sources(session, sorted(active))
    gates.recall(session, recipe.steps)
    return Plan(
        source_ids=[pending[start : start + shard_size] for start in range(0, len(pending), shard_size)],
        sources=queries.sources(session, pending),
        records={noun: queries.in_play(session, noun, pending, among="known") for noun in NOUNS_MADE},
        facts={step.stage: (step.fact, queries.facts(session, step, pending, among="known")) for step in recipe.steps},
        failures=queries.failures(session, pending),
        measures=[sorted(active), recipe.described()],
    )
