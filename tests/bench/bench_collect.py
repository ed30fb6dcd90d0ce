"""What collecting costs: a full read, a delta of 30 votes, and an idle look, with 15,000 pairs and 45,000 votes.

    python -m pytest -m bench -s tests/bench/bench_collect.py

On a board in a file; what Label Studio itself takes is measured by bench_board.py.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from annotate.board import Answer
from annotate.interface import Parsed, result_of
from flows.collect import collect
from tests import factories
from tests.collect_world import CollectWorld
from warehouse.records import Outcome

pytestmark = pytest.mark.bench

NUM_PAIRS = 15_000
OUTCOMES = tuple(Outcome)


def answers(world: CollectWorld, places: Sequence[int], user: int) -> list[Answer]:
    numbers = world.board.numbers()
    return [
        factories.answer(
            id=10 * place + user,
            task=numbers[f"showing_{place}"],
            completed_by=user,
            result=result_of(Parsed(outcome=OUTCOMES[(place + user) % 3])),
        )
        for place in places
    ]


def seconds(what: str, function: Callable[[], object]) -> float:
    started = time.perf_counter()
    function()
    took = time.perf_counter() - started
    print(f"  {what}: {took:.2f} s")
    return took


def test_a_delta_of_30_votes_takes_well_under_a_second(home: Path) -> None:
    world = CollectWorld(home, num_pairs=NUM_PAIRS)
    seconds("filling", world.fill)
    board, recipe = world.board, world.recipe()
    for user in (7, 8, 9):
        board.submit(answers(world, range(NUM_PAIRS - 10), user))
    print(f"\n{NUM_PAIRS} pairs, {3 * (NUM_PAIRS - 10)} votes")
    seconds("first read", lambda: collect(world.settings, recipe, board))
    for _ in range(3):
        seconds("idle", lambda: collect(world.settings, recipe, board))
    seconds("reconcile", lambda: collect(world.settings, recipe, board, reconcile=True))
    for user in (7, 8, 9):
        board.submit(answers(world, range(NUM_PAIRS - 10, NUM_PAIRS), user))
    assert seconds("30 new votes", lambda: collect(world.settings, recipe, board)) < 1.0
    seconds("full read", lambda: collect(world.settings, recipe, board, full=True))
    assert len(world.records("vote_event")) == len(world.records("vote")) == 3 * NUM_PAIRS
    seconds("checks", lambda: None if world.offences() == [] else pytest.fail("something is broken"))
