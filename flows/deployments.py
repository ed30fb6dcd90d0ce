"""`likeness serve`: what a Prefect server runs by schedule. The warehouse stays the truth: a run that Prefect forgets
or doubles costs nothing, because the next one reads from the same mark.

Deployments name this module, never its file: Prefect would put `flows/` first on `sys.path` and hide other packages.
"""

import os
from contextlib import closing

from prefect import flow
from prefect import serve as serve_deployments
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.flows import EntrypointType

from flows import recipe as recipes
from flows.board import board_of
from flows.collect import collect
from flows.recipe import Recipe
from flows.settings import Settings
from warehouse.errors import BadInput

NIGHTLY = "30 3 * * *"
"""UTC; when annotators sleep."""


@flow(name="collect", persist_result=False)  # type: ignore[untyped-decorator]
def collect_by_schedule(profile: str, warehouse_url: str, is_reconciled: bool = False) -> str:
    """One collection, as a line for a person."""
    settings, recipe = Settings.read(warehouse_url=warehouse_url), recipes.load(profile)
    with closing(board_of(settings, recipe)) as board:
        return collect(settings, recipe, board, reconcile=is_reconciled).told()


def serve(settings: Settings, recipe: Recipe, *, every_s: int) -> None:
    """Serve both deployments until interrupted. `BadInput` where no server is named."""
    if not os.environ.get("PREFECT_API_URL"):
        raise BadInput(
            "no Prefect server is named: start one (`prefect server start`), and set PREFECT_API_URL to its /api"
        )
    values = {"profile": recipe.profile, "warehouse_url": settings.warehouse_url}
    alone = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW)
    serve_deployments(
        collect_by_schedule.to_deployment(
            "collect",
            interval=every_s,
            parameters=values,
            concurrency_limit=alone,
            entrypoint_type=EntrypointType.MODULE_PATH,
        ),
        collect_by_schedule.to_deployment(
            "reconcile",
            cron=NIGHTLY,
            parameters=values | {"is_reconciled": True},
            concurrency_limit=alone,
            entrypoint_type=EntrypointType.MODULE_PATH,
        ),
    )
