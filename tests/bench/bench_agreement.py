"""What statistics and labels of a whole campaign cost: 15,000 pairs, 45,000 votes. Run by `pytest -m bench -s`."""

import resource
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from annotate.dawid_skene import estimate
from flows.agreement import measure
from flows.label_choice import choice_of
from flows.recipe import Recipe
from flows.settle import settle_pairs
from tests.storage.test_settle import put, recipe
from tests.vote_sets import drawn
from warehouse.database import Warehouse

pytestmark = pytest.mark.bench

NUM_PAIRS = 15_000
RIGHT = np.linspace(0.5, 0.95, 30).tolist()
METHODS: dict[str, dict[str, Any]] = {
    "majority": {},
    "majority without flagged": {"without_flagged": True},
    "Dawid-Skene without flagged": {"method": "dawid_skene", "without_flagged": True},
}


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    found = Warehouse.at(tmp_path_factory.mktemp("warehouse") / "votes.duckdb")
    with found.transaction() as session:
        put(session, drawn(NUM_PAIRS, RIGHT)[0])
        session.execute("UPDATE vote SET raw = repeat('x', 900)")  # what Label Studio's own answer takes
    return found


def timed(name: str, call: Callable[[], Any]) -> Any:
    start = time.perf_counter()
    result = call()
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"\n{name:55} {time.perf_counter() - start:7.3f} s   peak {peak_mb} MB", end="")
    return result


@pytest.mark.parametrize("method", METHODS)
def test_settling_all_and_thirty_touched(warehouse: Warehouse, method: str) -> None:
    chosen: Recipe = recipe(**METHODS[method])
    with warehouse.transaction() as session:
        num = timed(f"{choice_of(chosen).name}: all", lambda: settle_pairs(session, chosen))
        touched = [
            row[0] for row in session.execute("SELECT pair_id FROM pair ORDER BY hash(pair_id) LIMIT 30").fetchall()
        ]
        timed("  30 touched", lambda: settle_pairs(session, chosen, touched))
    assert num > NUM_PAIRS / 2


def test_everything_that_agreement_tells(warehouse: Warehouse) -> None:
    with warehouse.session() as session:
        found = timed("likeness agreement", lambda: measure(session, recipe()))
    assert found is not None and found.num_counted == 3 * NUM_PAIRS


def test_the_estimate_alone() -> None:
    found = timed("Dawid-Skene", lambda: estimate(drawn(NUM_PAIRS, RIGHT)[0]))
    print(f"   {found.num_iterations} iterations", end="")
    assert found.has_converged
