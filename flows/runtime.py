"""How work is done: pending items in shards, shards to workers, staged results to the one committer.

Inside a Prefect flow every shard is a task; outside, the same code runs without Prefect. Either way the warehouse's
ledger is the truth: what has a fact is never computed again, so every run is a resume.
"""

import logging
import multiprocessing
import multiprocessing.connection
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, TypeVar

import prefect
from prefect.cache_policies import NO_CACHE
from prefect.context import FlowRunContext
from prefect.futures import PrefectFuture
from prefect.task_runners import ThreadPoolTaskRunner
from prefect.utilities.annotations import quote

from flows.progress import Progress
from flows.recipe import Recipe
from flows.settings import Settings
from flows.shards import Plan, Shard, plan
from flows.walk import ShardResult, Work, run_shard
from warehouse import gates, queries, staging
from warehouse.database import Session
from warehouse.errors import Unbalanced

log = logging.getLogger(__name__)

ResultT = TypeVar("ResultT")


class Executor(Protocol):
    """Where shards are measured. A shard that is lost is run again: exactly-once comes from staging and ledger."""

    def submit(self, work: Work, shard: Shard, /) -> "Future[ShardResult]": ...


class InProcess:
    """Measures in this process: for tests, and where a debugger is to be had."""

    def submit(self, work: Work, shard: Shard, /) -> "Future[ShardResult]":
        future: Future[ShardResult] = Future()
        future.set_result(run_shard(work, shard))
        return future


@dataclass(frozen=True, slots=True)
class Pool:
    """Local worker processes, spawned afresh."""

    processes: ProcessPoolExecutor

    def submit(self, work: Work, shard: Shard, /) -> "Future[ShardResult]":
        return self.processes.submit(run_shard, work, shard)


@contextmanager
def executor(num_workers: int) -> Iterator[Executor]:
    """`num_workers` processes, or none but this one."""
    if num_workers == 0:
        yield InProcess()
        return
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(num_workers, mp_context=spawn, initializer=end_with_parent) as processes:
        yield Pool(processes)


def end_with_parent() -> None:
    """Have this worker end when its parent does: one whose parent was killed would wait for work for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def measure_pending(settings: Settings, recipe: Recipe, flow: str, *, dataset: str | None, progress: Progress) -> int:
    """Bring every item as far as the stages of `flow` can take it, and give the number of facts that were new.

    Where there is nothing to measure, neither a worker nor Prefect is started.
    """
    active = recipe.of_flow(flow)
    work = Work(
        profile=recipe.profile,
        recipe_key=recipe.key,
        active=active,
        staging=settings.staging,
        media=settings.media,
    )
    with staging.only_committer(settings.staging):
        for staged in staging.leftovers(settings.staging):
            staging.commit(settings.warehouse, staged, recipe.steps)
        with settings.warehouse.session() as session:
            gates.judge(session, recipe.steps, dataset=dataset)
            shards = plan(session, recipe, active, settings.shard_size)
        num_new = 0
        if shards.source_ids:
            measure_all = orchestrated(settings, flow, lambda: _measure_all(settings, recipe, work, shards, progress))
            num_new = measure_all()
        with settings.warehouse.session() as session:
            gates.judge(session, recipe.steps, dataset=dataset)
            check_balance(session, recipe, active)
    return num_new


def orchestrated(settings: Settings, name: str, body: Callable[[], ResultT]) -> Callable[[], ResultT]:
    """The same body as a Prefect flow of that name; as it is where Prefect is not wanted or a flow runs already."""
    if not settings.is_orchestrated or FlowRunContext.get():
        return body
    runner = ThreadPoolTaskRunner(max_workers=2 * max(1, settings.num_workers))
    wrapped: Callable[[], ResultT] = prefect.flow(name=name, task_runner=runner, persist_result=False)(body)
    return wrapped


def _measure_all(settings: Settings, recipe: Recipe, work: Work, shards: Plan, progress: Progress) -> int:
    num_new, num_sources = 0, sum(map(len, shards.source_ids))
    num_workers = min(settings.num_workers, len(shards.source_ids))
    with executor(num_workers) as hands:
        for result in _results(hands, work, shards, window=2 * max(1, num_workers)):
            staging.commit(settings.warehouse, result.staged, recipe.steps)
            num_new += sum(result.outcomes.values())
            progress.advance(result.num_sources, num_sources)
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


def _results(hands: Executor, work: Work, shards: Plan, *, window: int) -> Iterator[ShardResult]:
    """Results as they come, with at most `window` shards under way. Inside a flow each is shown as a Prefect task."""
    shown: list[PrefectFuture[None]] = []
    waiting: set[Future[ShardResult]] = set()
    for shard in shards:
        future = hands.submit(work, shard)
        waiting.add(future)
        if FlowRunContext.get():
            shown.append(_shown.submit(shard.shard_id, quote(future)))
        if len(waiting) >= window:
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in done)
    while waiting:
        done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
        yield from (future.result() for future in done)
    for task_run in shown:
        task_run.wait()


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
