"""What a pair is shown as: first showings, gold, repeats."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotate.probes import GoldRule, Probes, gold_of, order_of, showings_of
from tests import factories
from warehouse.board_records import Showing
from warehouse.records import Candidate, Outcome, Pair, Purpose

PAIRS = [factories.pair(pair_id=f"pair_{number}", is_swapped=number % 2 == 1) for number in range(2000)]
PROBES = Probes(num_votes=3, repeat_share=0.1, swapped_repeat_share=0.2, seed=0)
RULE = GoldRule(generators=("identity_swap",), severity_min=0.9, share=1.0)


def shown(pair: Pair, *, probes: Probes = PROBES, is_gold: bool = False, priority: float = 0.0) -> tuple[Showing, ...]:
    return showings_of(pair, board="memory", probes=probes, is_gold=is_gold, priority=priority)


def candidate(name: str, generator: str, severity: float | None) -> Candidate:
    return factories.candidate(candidate_id=name, generator=generator, severity=severity)


def gold_pairs(a: Candidate, b: Candidate, *, num_pairs: int = 2000, **override: Any) -> dict[str, Outcome]:
    pairs = [replace(pair, candidate_a=a.candidate_id, candidate_b=b.candidate_id) for pair in PAIRS[:num_pairs]]
    candidates = {a.candidate_id: a, b.candidate_id: b}
    return {gold.pair_id: gold.outcome for gold in gold_of(pairs, candidates, replace(RULE, **override), seed=0)}


def test_shares_of_the_pairs_are_shown_a_second_time_and_no_pair_a_third() -> None:
    counts = Counter(tuple(showing.purpose for showing in shown(pair)) for pair in PAIRS)
    assert set(counts) == {
        (Purpose.VOTE,),
        (Purpose.VOTE, Purpose.REPEAT),
        (Purpose.VOTE, Purpose.SWAPPED_REPEAT),
    }
    # Four standard deviations of 2000 coins of 0.1 and of 0.2.
    assert 146 < counts[Purpose.VOTE, Purpose.REPEAT] < 254
    assert 328 < counts[Purpose.VOTE, Purpose.SWAPPED_REPEAT] < 472


@pytest.mark.parametrize(
    ("purpose", "shares", "is_turned"),
    [(Purpose.REPEAT, (1.0, 0.0), False), (Purpose.SWAPPED_REPEAT, (0.0, 1.0), True)],
)
@pytest.mark.parametrize("is_swapped", [False, True])
def test_a_repeat_names_what_it_repeats_and_asks_everybody_who_voted_on_it(
    purpose: Purpose, shares: tuple[float, float], is_turned: bool, is_swapped: bool
) -> None:
    probes = Probes(num_votes=3, num_agreeing=2, repeat_share=shares[0], swapped_repeat_share=shares[1])
    first, again = shown(factories.pair(is_swapped=is_swapped), probes=probes, priority=0.7)
    assert (first.purpose, first.num_votes, first.num_agreeing, first.repeats) == (Purpose.VOTE, 3, 2, None)
    assert (again.purpose, again.num_votes, again.num_agreeing) == (purpose, None, None)
    assert again.repeats == first.showing_id != again.showing_id
    assert (first.is_swapped, again.is_swapped) == (is_swapped, is_swapped != is_turned)
    assert (first.priority, again.priority) == (0.7, 0.7)


def test_everybody_is_asked_about_gold_and_it_is_not_repeated() -> None:
    always = Probes(num_votes=3, num_agreeing=2, repeat_share=0.5, swapped_repeat_share=0.5)
    (only,) = shown(factories.pair(), probes=always, is_gold=True)
    assert (only.purpose, only.num_votes, only.num_agreeing, only.repeats) == (Purpose.GOLD, None, None, None)


def test_what_a_pair_gets_depends_on_neither_board_nor_on_when_it_came() -> None:
    before = {pair.pair_id: shown(pair) for pair in PAIRS[:100]}
    after = {pair.pair_id: shown(pair) for pair in reversed(PAIRS)}
    assert all(after[pair_id] == showings for pair_id, showings in before.items())
    other = [showings_of(pair, board="two", probes=PROBES, is_gold=False, priority=0.0) for pair in PAIRS[:100]]
    assert [[one.purpose for one in each] for each in other] == [
        [one.purpose for one in each] for each in before.values()
    ]
    assert not {one.showing_id for each in other for one in each} & {
        one.showing_id for each in before.values() for one in each
    }


@given(less=st.floats(0, 0.5), more=st.floats(0, 0.5))
def test_a_greater_share_of_gold_keeps_all_that_a_lesser_one_has(less: float, more: float) -> None:
    original, swap = candidate("one", "original", 0.0), candidate("two", "identity_swap", 1.0)
    fewer = gold_pairs(original, swap, num_pairs=50, share=less)
    assert fewer.keys() <= gold_pairs(original, swap, num_pairs=50, share=less + more).keys()


def test_another_seed_chooses_other_pairs() -> None:
    other = replace(PROBES, seed=1)
    assert [len(shown(pair)) for pair in PAIRS] != [len(shown(pair, probes=other)) for pair in PAIRS]
    assert sorted(PAIRS, key=lambda pair: order_of(pair.pair_id, seed=0)) != sorted(
        PAIRS, key=lambda pair: order_of(pair.pair_id, seed=1)
    )


def test_by_the_rule_the_original_wins_whichever_candidate_it_is() -> None:
    original, swap = candidate("one", "original", 0.0), candidate("two", "identity_swap", 0.95)
    assert set(gold_pairs(original, swap).values()) == {Outcome.A}
    assert set(gold_pairs(swap, original).values()) == {Outcome.B}
    assert len(gold_pairs(original, swap)) == len(PAIRS)
    assert 400 - 72 < len(gold_pairs(original, swap, share=0.2)) < 400 + 72


@pytest.mark.parametrize(
    ("generator", "severity"), [("identity_swap", 0.89), ("identity_swap", None), ("blur", 1.0), ("original", 0.0)]
)
def test_a_weak_an_unknown_or_another_distortion_makes_no_gold(generator: str, severity: float | None) -> None:
    assert gold_pairs(candidate("one", "original", 0.0), candidate("two", generator, severity)) == {}
    assert gold_pairs(candidate("one", "blur", 1.0), candidate("two", "identity_swap", 1.0)) == {}


@pytest.mark.parametrize(
    "wrong",
    [
        {"num_votes": 0},
        {"num_votes": 3, "num_agreeing": 1},
        {"num_votes": 3, "num_agreeing": 4},
        {"num_votes": 3, "repeat_share": -0.1},
        {"num_votes": 3, "repeat_share": 0.6, "swapped_repeat_share": 0.6},
    ],
)
def test_probes_that_do_not_fit_together_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"give|ask"):
        Probes(**wrong)


@pytest.mark.parametrize(
    "wrong", [{"generators": ()}, {"generators": ("original",)}, {"severity_min": 0.0}, {"share": 1.1}]
)
def test_a_rule_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="gold"):
        replace(RULE, **wrong)
