"""Drift: a stage whose yield, the share of items that pass it, leaves the band in which it usually lies.

The band comes from the shards measured before: the pooled share, give or take `SIGMAS` standard errors of a binomial
share, widened where shards always differed more than chance allows (a film's clips resemble each other). Yields are
judged by today's gates, so that a threshold that was moved raises no alarm.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from warehouse import queries
from warehouse.database import Session
from warehouse.sql import Row

SIGMAS = 3.0
LEAST_ITEMS = 30
"""Fewer new items, or fewer earlier ones, say nothing."""
LEAST_SHARDS = 5
"""Of earlier ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """One stage whose yield left its band."""

    stage: str
    num_new: int
    new_share: float
    low: float
    high: float
    """The band that was usual for so many items."""

    def __str__(self) -> str:
        return (
            f"drift at stage {self.stage}: {self.new_share:.1%} of {self.num_new} new items pass,"
            f" usual are {self.low:.1%} to {self.high:.1%}; look at them with `likeness report`"
        )


def drifts(session: Session, since: datetime) -> list[Drift]:
    """The stages that drifted in what was measured `since` then. After `gates.judge`."""
    rows = queries.yields_of_shards(session, since)
    stages = dict.fromkeys(row["stage"] for row in rows)
    found = [drift_of(stage, [row for row in rows if row["stage"] == stage]) for stage in stages]
    return [drift for drift in found if drift is not None]


def drift_of(stage: str, shards: Sequence[Row]) -> Drift | None:
    """None: within the band, or too little is known. `shards`: is_new, num_in, num_passed."""
    old = [(row["num_in"], row["num_passed"]) for row in shards if not row["is_new"]]
    num_new = sum(row["num_in"] for row in shards if row["is_new"])
    num_old = sum(num for num, _ in old)
    if num_new < LEAST_ITEMS or num_old < LEAST_ITEMS or len(old) < LEAST_SHARDS:
        return None
    new_share = sum(row["num_passed"] for row in shards if row["is_new"]) / num_new
    usual = (sum(passed for _, passed in old) + 1) / (num_old + 2)  # Laplace: a share of 0 or 1 has a band too
    error = math.sqrt(spread(old, usual) * usual * (1 - usual) * (1 / num_new + 1 / num_old))
    low, high = max(0.0, usual - SIGMAS * error), min(1.0, usual + SIGMAS * error)
    if low <= new_share <= high:
        return None
    return Drift(stage=stage, num_new=num_new, new_share=new_share, low=low, high=high)


def spread(shards: Sequence[tuple[int, int]], share: float) -> float:
    """How much more the shards' shares vary than chance alone would make them: Pearson's chi-squared by its degrees of
    freedom (McCullagh and Nelder 1989, 4.5), at least 1. `shards`: items, and those that passed."""
    squares = sum((passed - num * share) ** 2 / (num * share * (1 - share)) for num, passed in shards)
    return max(1.0, squares / (len(shards) - 1))
