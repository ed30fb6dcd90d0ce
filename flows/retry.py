"""`likeness retry`: items that failed are taken up again by the next run; what became of them stays on record."""

from flows.recipe import Recipe
from flows.settings import Settings
from warehouse import gates, ids, queries, staging, tables
from warehouse.errors import BadInput
from warehouse.staging import LedgerRow


def reopen(settings: Settings, recipe: Recipe, *, stage: str, reason: str | None, dataset: str | None) -> int:
    """Reopen the items that failed at a stage, for one reason or for any, and say how many these are.

    `BadInput` for a stage that the recipe does not have, or a reason for which nothing failed there.
    """
    known = [step.stage for step in recipe.steps]
    if stage not in known:
        raise BadInput(f"{stage!r} is no stage of profile {recipe.profile}; it has {', '.join(known)}")
    with settings.warehouse.transaction() as session:
        gates.judge(session, recipe.steps, dataset=dataset)
        failed = queries.failed_items(session, stage, reason)
        if reason is not None and not failed:
            found = sorted({row["reason"] for row in queries.failed_items(session, stage, None)})
            raise BadInput(f"nothing failed at {stage} for {reason!r}; reasons there: {', '.join(found) or 'none'}")
        rows = [
            LedgerRow(
                fact_key=row["fact_key"],
                stage=row["stage"],
                stage_key=row["stage_key"],
                item_id=row["item_id"],
                outcome="reopened",
                reason=row["reason"],
                exception=None,
                attempt=row["attempt"] + 1,
                seconds=0.0,
                shard_id=ids.make("retry", row["fact_key"], row["attempt"]),
            )
            for row in failed
        ]
        staging.append_ledger(session, tables.to_arrow(LedgerRow, rows))
    return len(rows)
