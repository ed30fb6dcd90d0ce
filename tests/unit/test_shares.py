"""Intervals and tests of annotators, against printed values and against brute force."""

from fractions import Fraction
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotate.shares import fair_coin_p, share_of, trend_of


@pytest.mark.parametrize(
    ("hits", "num", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilsons_interval_is_the_one_that_newcombe_prints(hits: int, num: int, low: float, high: float) -> None:
    found = share_of(hits, num)  # Newcombe 1998, table I, method 3
    assert found is not None
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)


@given(st.integers(1, 500).flatmap(lambda num: st.tuples(st.integers(0, num), st.just(num))))
def test_an_interval_holds_its_share_and_lies_between_0_and_1(given_: tuple[int, int]) -> None:
    found = share_of(*given_)
    assert found is not None
    assert 0 <= found.low <= found.share <= found.high <= 1


def test_of_nothing_there_is_no_share() -> None:
    assert share_of(0, 0) is None


def test_nine_heads_of_ten_are_rare() -> None:
    assert fair_coin_p(9, 10) == fair_coin_p(1, 10) == 22 / 1024
    assert fair_coin_p(5, 10) == 1.0


@given(st.integers(0, 60).flatmap(lambda num: st.tuples(st.integers(0, num), st.just(num))))
def test_the_coin_s_p_is_the_sum_over_everything_as_far_from_half(given_: tuple[int, int]) -> None:
    heads, num = given_
    as_far = [k for k in range(num + 1) if abs(2 * k - num) >= abs(2 * heads - num)]
    assert fair_coin_p(heads, num) == float(Fraction(sum(comb(num, k) for k in as_far), 2**num))


def test_twenty_thousand_throws_are_tested_too() -> None:
    assert fair_coin_p(10_000, 20_000) == 1.0
    assert 1e-3 < fair_coin_p(10_200, 20_000) < 1e-2


def test_a_trend_is_told_with_its_slope() -> None:
    found = trend_of([0.002 * place for place in range(100)])
    assert found is not None
    assert found.a_hundred == pytest.approx(0.2)
    assert found.p < 1e-6


def test_the_p_of_a_trend_is_about_that_of_all_orders() -> None:
    rng = np.random.default_rng(0)
    values = rng.random(60) + np.linspace(0, 0.25, 60)
    places = np.arange(60.0)
    correlation = abs(np.corrcoef(places, values)[0, 1])
    shuffled = [abs(np.corrcoef(places, rng.permutation(values))[0, 1]) for _ in range(4000)]
    found = trend_of(values)
    assert found is not None
    assert 0.01 < found.p < 0.5
    assert found.p == pytest.approx(np.mean(np.array(shuffled) >= correlation), abs=0.02)


@pytest.mark.parametrize("values", [[], [1.0], [0.0, 1.0], [0.5] * 40])
def test_where_nothing_can_change_there_is_no_trend(values: list[float]) -> None:
    assert trend_of(values) is None
