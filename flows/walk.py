"""What a worker does with a shard: take its sources through the stages, and hand back rows. No database, no Prefect.

A few sources walk all stages before the next few start, so that a video is decoded once and then let go.
Gates are asked here too, only to spare work on what the warehouse is going to drop; its SQL has the last word.
"""

import hashlib
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from flows import recipe as recipes
from flows.recipe import Recipe, RecipeStage
from flows.shards import Shard
from flows.stages.footage import Footage
from flows.stages.frames import Video
from flows.stages.stage import CandidateItem, ClipItem, Done, Failed, SourceItem, Stage
from warehouse import staging
from warehouse.errors import DiskFull, EngineUnavailable
from warehouse.files import is_disk_full
from warehouse.gates import PARENTS, Step
from warehouse.media import MediaStore
from warehouse.records import Candidate, Clip, Source
from warehouse.staging import FactRow, LedgerRow, ShardRows

Measure = Callable[[Stage[Any, Any], Sequence[Any]], Sequence[Done[Any] | Failed]]

SOURCES_AT_ONCE = 2
"""Sources whose frames are in memory together; a stage's batch is all their items. A profile whose networks want larger
batches says so: `[work] sources_at_once`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """All that a worker must be told besides the shard; it builds the recipe, engines included, once."""

    profile: str
    recipe_key: str
    """Of the recipe that was planned with, and of the profile as it is written: it may change while a process lives,
    if only in a service's address."""
    active: frozenset[str]
    staging: Path
    media: MediaStore
    is_deadly: bool = False
    """The shard killed its worker before: measure nothing, and let every item fail where it stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardResult:
    """A shard that was measured and staged."""

    shard_id: str
    staged: Path
    num_sources: int
    outcomes: Counter[tuple[str, str, str]]
    """How many items by stage, outcome and reason."""
    seconds: float


def run_shard(work: Work, shard: Shard) -> ShardResult:
    """Measure a shard and stage its rows: what a worker does."""
    started = time.monotonic()
    measure = died if work.is_deadly else measured
    rows = walk(_recipe(work.profile, work.recipe_key), work.active, shard, work.media, measure=measure)
    staged = staging.stage(work.staging, shard.shard_id, rows)
    return ShardResult(
        shard_id=shard.shard_id,
        staged=staged,
        num_sources=len(shard.sources),
        outcomes=Counter((row.stage, row.outcome, row.reason or "") for row in rows.ledger),
        seconds=time.monotonic() - started,
    )


def walk(
    recipe: Recipe, active: frozenset[str], shard: Shard, media: MediaStore, *, measure: Measure | None = None
) -> ShardRows:
    """Measure what is not known yet of a shard, in the `active` stages."""
    walker = _Walker(recipe, active, shard, media, measure or measured)
    at_once: int = recipe.options.get("work", {}).get("sources_at_once", SOURCES_AT_ONCE)
    for start in range(0, len(shard.sources), at_once):
        walker.take(shard.sources[start : start + at_once])
    return ShardRows(ledger=walker.ledger, facts=walker.facts, records=walker.made)


def fact_key(step: Step, item_id: str) -> str:
    """The key of one fact: digest of the item's content (its id) and of all that decides the answer."""
    return hashlib.sha256((step.stage_key + item_id).encode()).hexdigest()


def measured(stage: Stage[Any, Any], batch: Sequence[Any]) -> Sequence[Done[Any] | Failed]:
    """One outcome an item. A batch that raises is split until the culprit stands alone, and fails by itself."""
    try:
        outcomes = stage(batch)
    except (DiskFull, EngineUnavailable, MemoryError):
        raise
    except Exception as error:
        if is_disk_full(error):
            raise DiskFull(f"stage {stage.name}: no space left; free some and run the same command again") from error
        if len(batch) == 1:
            return [Failed(reason=type(error).__name__, exception=str(error))]
        middle = len(batch) // 2
        return [*measured(stage, batch[:middle]), *measured(stage, batch[middle:])]
    assert len(outcomes) == len(batch), f"stage {stage.name} gave {len(outcomes)} outcomes for {len(batch)} items"
    return outcomes


def died(stage: Stage[Any, Any], batch: Sequence[Any]) -> Sequence[Done[Any] | Failed]:
    """The outcome of items whose worker died with them, in a process of their own."""
    return [Failed(reason="worker died", exception=f"at stage {stage.name}, or a later one of the same run")] * len(
        batch
    )


class _Walker:
    def __init__(
        self, recipe: Recipe, active: frozenset[str], shard: Shard, media: MediaStore, measure: Measure
    ) -> None:
        self.measure = measure
        self.recipe, self.active, self.shard, self.media = recipe, active, shard, media
        self.known: dict[str, dict[str, Any]] = defaultdict(dict)
        """By stage, then by item id: the fact, or `Failed`."""
        self.facts_of: dict[str, dict[str, Any]] = defaultdict(dict)
        """By item id, then by stage."""
        self.records: dict[tuple[str, str], list[Any]] = defaultdict(list)
        """By noun and the id of the parent that they are made of."""
        self.ledger: list[LedgerRow] = []
        self.facts: dict[str, list[FactRow]] = defaultdict(list)
        self.made: dict[str, list[Any]] = defaultdict(list)
        for (stage, item_id), outcome in shard.known.items():
            self._learn(stage, item_id, outcome)
        for records in shard.records.values():
            self._keep(records)

    def take(self, sources: Sequence[Source]) -> None:
        self.sources = {source.source_id: source for source in sources}
        self.videos: dict[Footage, Video] = {}
        self.alive: dict[str, dict[str, Any]] = {"source": dict(self.sources)}
        for each in self.recipe.stages:
            self._pass_through(each)
        for video in self.videos.values():
            video.release()

    def _pass_through(self, each: RecipeStage) -> None:
        step = each.step
        entering = self.alive[step.noun] if step.noun in self.alive else self._children(step.noun)
        known = self.known[step.stage]
        if step.stage in self.active:
            unknown = {item_id: record for item_id, record in entering.items() if item_id not in known}
            if unknown:
                self._measure(each, unknown)
        self.alive[step.noun] = {
            item_id: record for item_id, record in entering.items() if self._passes(step, known.get(item_id))
        }

    def _children(self, noun: str) -> dict[str, Any]:
        name = f"{noun}_id"
        return {
            getattr(record, name): record
            for parent_id in self.alive[PARENTS[noun]]
            for record in self.records[noun, parent_id]
        }

    def _passes(self, step: Step, fact: Any) -> bool:
        if fact is None or isinstance(fact, Failed):
            return False
        return all(gate.reason_to_drop(fact) is None for gate in step.gates)

    def _measure(self, each: RecipeStage, records: Mapping[str, Any]) -> None:
        started = time.monotonic()
        keys = [fact_key(each.step, item_id) for item_id in records]
        items = [self._item(*each_one) for each_one in zip(records, records.values(), keys, strict=True)]
        outcomes = self.measure(each.stage, items)
        seconds = (time.monotonic() - started) / len(records)
        for item_id, key, outcome in zip(records, keys, outcomes, strict=True):
            self._note(each.step, item_id, key, outcome, seconds)

    def _note(self, step: Step, item_id: str, key: str, outcome: Done[Any] | Failed, seconds: float) -> None:
        failure = outcome if isinstance(outcome, Failed) else None
        self.ledger.append(
            LedgerRow(
                fact_key=key,
                stage=step.stage,
                stage_key=step.stage_key,
                item_id=item_id,
                outcome="failed" if failure else "done",
                reason=failure.reason if failure else None,
                exception=failure.exception if failure else None,
                attempt=self.shard.attempts.get((step.stage, item_id), 0) + 1,
                seconds=seconds,
                shard_id=self.shard.shard_id,
            )
        )
        if isinstance(outcome, Failed):
            self._learn(step.stage, item_id, outcome)
            return
        self._learn(step.stage, item_id, outcome.fact)
        self.facts[step.stage].append(FactRow(fact_key=key, item_id=item_id, fact=outcome.fact))
        self._keep(outcome.made)
        for record in outcome.made:
            self.made[type(record).__name__.lower()].append(record)

    def _learn(self, stage: str, item_id: str, outcome: Any) -> None:
        self.known[stage][item_id] = outcome
        if not isinstance(outcome, Failed):
            self.facts_of[item_id][stage] = outcome

    def _keep(self, records: Iterable[Any]) -> None:
        for record in records:
            parent_id = record.source_id if isinstance(record, Clip) else record.clip_id
            self.records[type(record).__name__.lower(), parent_id].append(record)

    def _item(self, item_id: str, record: Any, key: str) -> SourceItem | ClipItem | CandidateItem:
        shared: dict[str, Any] = {
            "media": self.media,
            "facts": MappingProxyType(self.facts_of[item_id]),
            "fact_key": key,
        }
        if isinstance(record, Source):
            return SourceItem(source=record, video=self._video(Footage.of(record)), **shared)
        clip: Clip = self.alive["clip"][record.clip_id] if isinstance(record, Candidate) else record
        shared |= {"source": self.sources[clip.source_id], "clip": clip}
        shared |= {f"{noun}s": self.records.get((noun, clip.clip_id), []) for noun in ("subject", "reference")}
        if isinstance(record, Candidate):
            stored = self.media.root / self.media.relative_path(record.sha256)
            return CandidateItem(candidate=record, video=self._video(Footage(path=stored)), **shared)
        return ClipItem(video=self._video(Footage.of(shared["source"])), **shared)

    def _video(self, footage: Footage) -> Video:
        if footage not in self.videos:
            self.videos[footage] = Video(footage if footage.member else footage.path)
        return self.videos[footage]


@lru_cache(maxsize=1)
def _recipe(profile: str, recipe_key: str) -> Recipe:
    """Loaded once a worker, and again where `recipe_key` is another."""
    return recipes.load(profile)
