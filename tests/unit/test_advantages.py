"""Advantages within groups: their moments, their worked value, and what failed or equal rewards do."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainers.advantages import group_advantages, num_equal_groups

REWARDS = st.lists(st.floats(-10, 10, width=32), min_size=3, max_size=8).filter(lambda r: max(r) - min(r) > 0.01)


def test_a_group_of_three_has_its_worked_value() -> None:
    # mean 2, squares 1 + 0 + 1: std sqrt(2/3) with ddof 0, 1 with ddof 1
    reward_B, group_B = torch.tensor([1.0, 2.0, 3.0]), torch.zeros(3, dtype=torch.int64)
    biased = group_advantages(reward_B, group_B, epsilon=0.0, ddof=0)
    unbiased = group_advantages(reward_B, group_B, epsilon=1.0, ddof=1)
    torch.testing.assert_close(biased, torch.tensor([-math.sqrt(1.5), 0.0, math.sqrt(1.5)]))
    torch.testing.assert_close(unbiased, torch.tensor([-0.5, 0.0, 0.5]))


@given(first=REWARDS, second=REWARDS)
def test_each_group_has_mean_0_and_std_1_whatever_the_other_holds(first: list[float], second: list[float]) -> None:
    reward_B = torch.tensor(first + second)
    group_B = torch.tensor([7] * len(first) + [3] * len(second))
    advantage_B = group_advantages(reward_B, group_B, epsilon=0.0, ddof=0)
    for group in (3, 7):
        inside = advantage_B[group_B == group]
        assert inside.mean().item() == pytest.approx(0, abs=1e-3)
        assert inside.std(correction=0).item() == pytest.approx(1, abs=1e-3)


def test_groups_may_lie_interleaved() -> None:
    reward_B, group_B = torch.tensor([1.0, 10.0, 3.0, 30.0]), torch.tensor([0, 1, 0, 1])
    advantage_B = group_advantages(reward_B, group_B, epsilon=0.0, ddof=0)
    torch.testing.assert_close(advantage_B, torch.tensor([-1.0, -1.0, 1.0, 1.0]))


def test_equal_rewards_give_no_advantage_and_are_counted() -> None:
    reward_B, group_B = torch.tensor([0.1, 0.1, 0.1, 1.0, 2.0, 3.0]), torch.tensor([0, 0, 0, 1, 1, 1])
    advantage_B = group_advantages(reward_B, group_B, epsilon=0.0, ddof=0)
    assert advantage_B[:3].tolist() == [0, 0, 0]
    assert num_equal_groups(reward_B, group_B) == 1


def test_a_failed_reward_is_quarantined_and_moves_nobody_else() -> None:
    reward_B, group_B = torch.tensor([1.0, math.nan, 2.0, 3.0]), torch.zeros(4, dtype=torch.int64)
    advantage_B = group_advantages(reward_B, group_B, epsilon=0.0, ddof=0)
    without = group_advantages(torch.tensor([1.0, 2.0, 3.0]), group_B[:3], epsilon=0.0, ddof=0)
    assert advantage_B[1] == 0
    torch.testing.assert_close(advantage_B[[0, 2, 3]], without)


@pytest.mark.parametrize("ddof", [0, 1])
def test_a_group_with_one_measured_reward_or_none_has_no_signal(ddof: int) -> None:
    reward_B, group_B = torch.tensor([math.nan, 2.0, math.nan, math.nan]), torch.tensor([0, 0, 1, 1])
    assert group_advantages(reward_B, group_B, epsilon=0.0, ddof=ddof).tolist() == [0, 0, 0, 0]
    assert num_equal_groups(reward_B, group_B) == 2
