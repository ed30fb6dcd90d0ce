"""`likeness canary`: measure a few sources, and say what the full run would yield, take and cost.

An id is a digest, so the first sources by id are a random sample of what is pending. What the canary measures is kept:
the full run starts where it ended.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import fmean, stdev

from flows.progress import Progress
from flows.recipe import Recipe
from flows.runtime import measure_pending
from flows.settings import Settings
from warehouse import gates, queries
from warehouse.errors import NothingToDo
from warehouse.sql import Row

HOUR_S = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Projected:
    """One stage in the canary, and as it would be in the full run if that is like the canary."""

    stage: str
    num_in: int
    passed: int
    dropped: int
    failed: int
    seconds: float
    """Of all its items, one worker's time."""
    full_num_in: float
    full_hours: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """What a canary run found."""

    num_sources: int
    num_left: int
    """Sources still pending after it."""
    stages: tuple[Projected, ...]
    wall_s: float
    hours: float
    """Worker hours that the sources left would take."""
    hours_error: float
    """Half the width of its 95 % interval; NaN from a single source."""
    num_workers: int
    price_an_hour: float | None
    """Of one worker; None: not given."""


def canary(
    settings: Settings,
    recipe: Recipe,
    flow: str,
    *,
    num: int,
    dataset: str | None,
    price_an_hour: float | None,
    progress: Progress,
) -> Canary:
    """Measure `num` pending sources as far as the flow takes them. `NothingToDo` if nothing is pending."""
    since = datetime.now(UTC).replace(tzinfo=None)
    measure_pending(settings, recipe, flow, dataset=dataset, progress=progress, most=num)
    wall_s = (datetime.now(UTC).replace(tzinfo=None) - since).total_seconds()
    with settings.warehouse.session() as session:
        gates.judge(session, recipe.steps, dataset=dataset)
        work = {row["stage"]: row for row in queries.work_since(session, since)}
        seconds = [row["seconds"] for row in queries.seconds_of_sources(session, since)]
        gates.recall(session, (), recipe.of_flow(flow))
        num_left = queries.num_pending_sources(session)
    if not seconds:
        raise NothingToDo(f"nothing is pending in {flow}; `likeness status` shows what there is")
    scale = num_left / len(seconds)
    error = 1.96 * stdev(seconds) / math.sqrt(len(seconds)) if len(seconds) > 1 else math.nan
    return Canary(
        num_sources=len(seconds),
        num_left=num_left,
        stages=tuple(_projected(work[step.stage], scale) for step in recipe.steps if step.stage in work),
        wall_s=wall_s,
        hours=num_left * fmean(seconds) / HOUR_S,
        hours_error=num_left * error / HOUR_S,
        num_workers=max(1, settings.num_workers),
        price_an_hour=price_an_hour,
    )


def _projected(row: Row, scale: float) -> Projected:
    counts: Mapping[str, int] = {name: row[name] for name in ("num_in", "passed", "dropped", "failed")}
    return Projected(
        stage=row["stage"],
        seconds=row["seconds"],
        full_num_in=row["num_in"] * scale,
        full_hours=row["seconds"] * scale / HOUR_S,
        **counts,
    )


def canary_text(found: Canary) -> str:
    """The canary as a table and two sentences."""
    return "\n".join([*_table(found.stages, found), *_sentences(found)])


def _table(stages: Sequence[Projected], found: Canary) -> Iterator[str]:
    counts = "".join(f"{name:>8}" for name in ("in", "passed", "failed", "yield"))
    yield f"{'stage':<14}{counts}{'s an item':>11}{'still to do':>13}{'hours':>9}"
    for each in stages:
        share = each.passed / each.num_in
        yield (
            f"{each.stage:<14}{each.num_in:>8}{each.passed:>8}{each.failed:>8}{share:>8.1%}"
            f"{each.seconds / each.num_in:>11.3f}{each.full_num_in:>13,.0f}{each.full_hours:>9.2f}"
        )


def _sentences(found: Canary) -> Iterator[str]:
    yield f"{found.num_sources} sources took {found.wall_s:.0f} s; {found.num_left:,} are left"
    if not found.num_left:
        return
    give_or_take = "" if math.isnan(found.hours_error) else f" (give or take {found.hours_error:.2f}, 95 %)"
    cost = "" if found.price_an_hour is None else f", {found.hours * found.price_an_hour:,.2f} in money"
    yield (
        f"they would take {found.hours:.2f} worker hours{give_or_take},"
        f" {found.hours / found.num_workers:.2f} hours on {found.num_workers} workers{cost}"
    )
