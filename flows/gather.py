"""Stages that look at all items together: the committing side runs them, after the workers have measured each alone."""

import time
from collections.abc import Mapping
from typing import Any

from flows.recipe import Recipe, RecipeStage
from flows.settings import Settings
from flows.stages.stage import Done
from flows.walk import fact_key
from warehouse import gates, ids, queries, staging, tables
from warehouse.database import Session
from warehouse.gates import Step
from warehouse.staging import FactRow, LedgerRow, ShardRows

FLOW = "gather"


def gather(settings: Settings, recipe: Recipe) -> int:
    """Settle what is pending at the stages of `gather`, of all data sets, and give the number of new facts."""
    return sum(_settle(settings, recipe, each) for each in recipe.stages if each.flow == FLOW)


def _settle(settings: Settings, recipe: Recipe, each: RecipeStage) -> int:
    step = each.step
    with staging.only_committer(settings.staging):
        with settings.warehouse.session() as session:
            gates.judge(session, recipe.steps)
            new, old, settled = _known(session, recipe, each)
        if not new:
            return 0
        started = time.monotonic()
        outcomes: Mapping[str, Done[Any]] = each.stage.gather(new, old, settled)  # type: ignore[attr-defined]
        assert outcomes.keys() == new.keys(), f"stage {step.stage} gave {len(outcomes)} outcomes for {len(new)} items"
        seconds = (time.monotonic() - started) / len(new)
        shard_id = ids.make("shard", step.stage_key, sorted(new))
        rows = ShardRows(
            ledger=[
                LedgerRow(
                    fact_key=fact_key(step, item_id),
                    stage=step.stage,
                    stage_key=step.stage_key,
                    item_id=item_id,
                    outcome="done",
                    reason=None,
                    exception=None,
                    attempt=1,
                    seconds=seconds,
                    shard_id=shard_id,
                )
                for item_id in outcomes
            ],
            facts={
                step.stage: [
                    FactRow(fact_key=fact_key(step, item_id), item_id=item_id, fact=outcome.fact)
                    for item_id, outcome in outcomes.items()
                ]
            },
            records={},
        )
        staging.commit(settings.warehouse, [staging.stage(settings.staging, shard_id, rows)], recipe.steps)
    return len(outcomes)


def _known(
    session: Session, recipe: Recipe, each: RecipeStage
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Facts by item: of the stage that it needs, for items pending at it and for those it has settled; and its own."""
    (need,) = (step for step in recipe.steps if step.stage == each.stage.needs[-1])
    found, settled = _facts(session, need), _facts(session, each.step)
    waiting = [
        item_id for item_id, verdict in queries.verdicts(session, each.step.stage).items() if verdict == "pending"
    ]
    return {item_id: found[item_id] for item_id in waiting}, {item_id: found[item_id] for item_id in settled}, settled


def _facts(session: Session, step: Step) -> dict[str, Any]:
    rows = queries.facts(session, step)
    return dict(zip(rows["item_id"].to_pylist(), tables.from_arrow(step.fact, rows), strict=True))
