"""What dealing costs: eight people answer everything on a board of 15,000 ordinary tasks, with gold and repeats.

python -m pytest -m bench -s tests/bench/bench_dealing.py
"""

import hashlib
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from annotate.board import Dealing, PairTask
from annotate.dealing.deck import Deck
from annotate.home import Member
from annotate.interface import Parsed, result_of
from annotate.memory_board import MemoryBoard
from tests import factories
from warehouse.records import Outcome, Purpose

pytestmark = pytest.mark.bench

NUM_TASKS = 15_000
NUM_GOLD, NUM_REPEATS = 450, 750
PEOPLE = range(1, 9)
REFRESHED_EVERY = 500
"""Answers; the gateway does so every few seconds."""


@dataclass
class Times:
    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def of(self, what: str, do: Callable[[], Any]) -> Any:
        began = time.perf_counter()
        result = do()
        self.seconds[what].append(time.perf_counter() - began)
        return result

    def tell(self) -> None:
        for what, seconds in self.seconds.items():
            p50, p99, most = (1000 * value for value in np.percentile(seconds, [50, 99, 100]))
            print(
                f"  {what:<24} {len(seconds):>6} times  p50 {p50:8.3f}  p99 {p99:8.3f}  most {most:8.3f} ms",
                file=sys.stderr,
            )


def tasks() -> list[PairTask]:
    def shown(name: str, dealing: Dealing) -> PairTask:
        return PairTask(showing_id=name, prompt="p", references=(), video_a="a", video_b="b", dealing=dealing)

    repeats = (Purpose.REPEAT, Purpose.SWAPPED_REPEAT)
    return [
        *(shown(f"showing_{place}", Dealing(priority=place % 5)) for place in range(NUM_TASKS)),
        *(shown(f"gold_{place}", Dealing(purpose=Purpose.GOLD, num_votes=None)) for place in range(NUM_GOLD)),
        *(
            shown(
                f"again_{place}", Dealing(purpose=repeats[place % 2], num_votes=None, repeats=f"showing_{20 * place}")
            )
            for place in range(NUM_REPEATS)
        ),
    ]


def outcome_of(user: int, number: int) -> Outcome:
    """People agree in couples, and differ otherwise."""
    return list(Outcome)[hashlib.md5(f"{user // 2} {number}".encode()).digest()[0] % 3]


def test_the_next_pair_is_dealt_in_a_fraction_of_a_millisecond(tmp_path: Path) -> None:
    board, times, clock = MemoryBoard(), Times(), [1_767_225_600.0]
    board.publish(tasks())
    members = tuple(Member(user=user, name=str(user), email="") for user in PEOPLE)

    def opened() -> Deck:
        return Deck(board, members=lambda: members, leases=tmp_path / "leases.jsonl", clock=lambda: clock[0])

    deck, num_answers, waiting = opened(), 0, list(PEOPLE)
    times.of("first refresh", deck.refresh)
    for user in PEOPLE:
        times.of("a person's first deal", lambda user=user: deck.next_for(user))
    while waiting:
        for user in tuple(waiting):
            clock[0] += 1
            dealt = times.of("next_for", lambda user=user: deck.next_for(user))
            if dealt is None:
                waiting.remove(user)
                continue
            num_answers += 1
            answer = factories.answer(
                id=num_answers,
                task=dealt.number,
                completed_by=user,
                result=result_of(Parsed(outcome=outcome_of(user, dealt.number))),
                updated_at=datetime.fromtimestamp(clock[0], UTC).isoformat(),
            )
            times.of("may_answer", lambda user=user, dealt=dealt: deck.may_answer(user, dealt.number))
            board.submit([answer])
            times.of(
                "answered", lambda user=user, dealt=dealt, answer=answer: deck.answered(user, dealt.number, answer)
            )
            if num_answers % REFRESHED_EVERY == 0:
                times.of("refresh", deck.refresh)
    times.of("restart, with all answers", lambda: opened().refresh())
    print(f"\n{NUM_TASKS} tasks, {NUM_GOLD} gold, {NUM_REPEATS} repeats, {num_answers} answers", file=sys.stderr)
    times.tell()
    assert num_answers >= 3 * NUM_TASKS + len(PEOPLE) * NUM_GOLD
