"""How work is done: pending items in shards, shards to workers, staged results to the one committer.

Inside a Prefect flow every shard is a task; outside, the same code runs without Prefect. Either way the warehouse's
ledger is the truth: what has a fact is never computed again, so every run is a resume.
"""

import logging
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain, repeat
from pathlib import Path
from typing import TypeVar

import prefect
from prefect.cache_policies import NO_CACHE
from prefect.context import FlowRunContext
from prefect.task_runners import ThreadPoolTaskRunner
from prefect.utilities.annotations import quote

from flows import recipe as recipes
from flows.drift import drifts
from flows.executors import Executor, WorkerDied, executor
from flows.progress import Progress
from flows.recipe import Recipe
from flows.settings import Settings
from flows.shards import Plan, Shard, plan
from flows.walk import ShardResult, Work, run_shard
from warehouse import gates, ids, queries, staging
from warehouse.database import Session
from warehouse.errors import Unbalanced

log = logging.getLogger(__name__)

ResultT = TypeVar("ResultT")


def measure_pending(
    settings: Settings,
    recipe: Recipe,
    flow: str,
    *,
    dataset: str | None,
    progress: Progress,
    most: int | None = None,
) -> int:
    """Bring every item as far as the stages of `flow` can take it, and give the number of facts that were new.

    `most` sources at most, the first by id: an id is a digest, so these are a random sample of what is pending.
    Where there is nothing to measure, neither a worker nor Prefect is started.
    """
    since = datetime.now(UTC).replace(tzinfo=None)
    active = recipe.of_flow(flow)
    work = Work(
        profile=recipe.profile,
        recipe_key=ids.digest([recipe.key, recipes.tables_of(recipe.profile)]),
        active=active,
        staging=settings.staging,
        media=settings.media,
    )
    with staging.only_committer(settings.staging):
        if left := staging.leftovers(settings.staging):
            staging.commit(settings.warehouse, left, recipe.steps)
        num_new = 0
        with tempfile.TemporaryDirectory(dir=settings.staging, prefix=staging.PLAN) as folder:
            with settings.warehouse.session() as session:
                gates.judge(session, recipe.steps, dataset=dataset)
                shards = plan(session, recipe, active, settings.shard_size, Path(folder), most=most)
            if shards.num_sources:
                num_new = orchestrated(settings, flow, lambda: _measure_all(settings, recipe, work, shards, progress))()
        with settings.warehouse.session() as session:
            gates.judge(session, recipe.steps, dataset=dataset)
            check_balance(session, recipe, active if most is None else frozenset())
            for drift in drifts(session, since) if num_new else ():
                progress.warn(str(drift))
                log.warning("%s", drift)
    return num_new


def orchestrated(settings: Settings, name: str, body: Callable[[], ResultT]) -> Callable[[], ResultT]:
    """The same body as a Prefect flow of that name; as it is where Prefect is not wanted or a flow runs already."""
    if not settings.is_orchestrated or FlowRunContext.get():
        return body
    runner = ThreadPoolTaskRunner(max_workers=2 * max(1, settings.num_workers))
    wrapped: Callable[[], ResultT] = prefect.flow(name=name, task_runner=runner, persist_result=False)(body)
    return wrapped


def _measure_all(settings: Settings, recipe: Recipe, work: Work, shards: Plan, progress: Progress) -> int:
    num_new = 0
    num_workers = min(settings.num_workers, shards.num_shards)
    with executor(num_workers) as hands:
        for results in _results(hands, work, shards, window=2 * max(1, num_workers)):
            staging.commit(settings.warehouse, [result.staged for result in results], recipe.steps)
            for result in results:
                num_new += sum(result.outcomes.values())
                progress.advance(result.num_sources, shards.num_sources)
                _log(result)
    return num_new


def check_balance(session: Session, recipe: Recipe, active: frozenset[str]) -> None:
    """`Unbalanced` unless in = passed + dropped + failed at every stage that has just run."""
    twice = queries.unbalanced(session)
    if twice:
        first = twice[0]
        raise Unbalanced(f"stage {first['stage']} counts {first['item_id']} {first['times']} times; `likeness check`")
    for row in queries.funnel(session, recipe.steps):
        if row["stage"] in active and row["num_in"] != row["passed"] + row["dropped"] + row["failed"]:
            raise Unbalanced(
                f"stage {row['stage']}: {row['num_in']} came in, {row['passed']} passed, {row['dropped']} dropped,"
                f" {row['failed']} failed; run it again, then `likeness check`"
            )


def _results(hands: Executor, work: Work, shards: Plan, *, window: int) -> Iterator[Sequence[ShardResult]]:
    """Results as they come, those that came together in one list, with at most `window` shards under way; those whose
    worker died, one by one at the end."""
    waiting: dict[Future[ShardResult], Shard] = {}
    died: list[Shard] = []
    for shard in chain(shards, repeat(None)):
        if shard is not None:
            waiting[_submit(hands, work, shard)] = shard
        if not waiting:
            break
        if shard is None or len(waiting) >= window:
            done = {future: waiting.pop(future) for future in wait(waiting, return_when=FIRST_COMPLETED).done}
            lost = [future for future in done if isinstance(future.exception(), WorkerDied)]
            died += [done.pop(future) for future in lost]
            if done:
                yield [future.result() for future in done]
    for shard in died:
        yield from ([result] for result in _one_by_one(work, shard))


def _one_by_one(work: Work, shard: Shard) -> Iterator[ShardResult]:
    """Each source in a process of its own: the one that kills it fails, and costs nobody else."""
    for alone in shard.one_by_one():
        with executor(1) as hands:
            try:
                yield hands.submit(work, alone).result()
            except WorkerDied:
                log.warning("%s: its worker died; it fails at the stage it had reached", alone.sources[0].path)
                yield run_shard(replace(work, is_deadly=True), alone)


def _submit(hands: Executor, work: Work, shard: Shard) -> "Future[ShardResult]":
    """Hand a shard to a worker; inside a flow it shows as a Prefect task."""
    future = hands.submit(work, shard)
    if FlowRunContext.get():
        _shown.submit(shard.shard_id, quote(future))
    return future


@prefect.task(name="shard", task_run_name="{shard_id}", cache_policy=NO_CACHE, persist_result=False)  # type: ignore[untyped-decorator]
def _shown(shard_id: str, future: "Future[ShardResult]") -> None:
    """A thin task: the worker measures, this waits for it and so takes its colour."""
    future.result()


def _log(result: ShardResult) -> None:
    counts = ", ".join(
        f"{stage} {outcome}{f' ({reason})' if reason else ''} {num}"
        for (stage, outcome, reason), num in sorted(result.outcomes.items())
    )
    log.info("%s: %d sources, %s, %.1f s", result.shard_id, result.num_sources, counts, result.seconds)
