"""The clipped ratio, the KL penalty in its three forms, the replay gate, and supervised flow matching."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainers.errors import ReplayDiffers
from trainers.objectives import grpo, sft


def test_the_loss_has_its_worked_value() -> None:
    # ratios e^0 = 1 and e^0.1 = 1.105 (clipped to 1.05, A > 0): -(1 * -2 + 1.05 * 1) / 2
    log_prob_B, old_B = torch.tensor([0.0, 0.1]), torch.zeros(2)
    loss = grpo.policy_loss(log_prob_B, old_B, torch.tensor([-2.0, 1.0]), clip=0.05, advantage_clip=5.0)
    assert loss.item() == pytest.approx(0.475)


@given(gap=st.floats(-0.5, 0.5), advantage=st.floats(-3, 3))
def test_the_clipped_objective_is_never_above_the_plain_one(gap: float, advantage: float) -> None:
    loss = grpo.policy_loss(
        torch.tensor([gap]), torch.zeros(1), torch.tensor([advantage]), clip=0.1, advantage_clip=5.0
    )
    assert loss.item() >= -math.exp(gap) * advantage - 1e-5


@pytest.mark.parametrize(
    ("gap", "advantage", "moves"), [(0.2, 1.0, False), (0.2, -1.0, True), (-0.2, 1.0, True), (-0.2, -1.0, False)]
)
def test_beyond_the_clip_only_the_way_back_has_a_gradient(gap: float, advantage: float, moves: bool) -> None:
    log_prob_B = torch.tensor([gap], requires_grad=True)
    grpo.policy_loss(log_prob_B, torch.zeros(1), torch.tensor([advantage]), clip=0.1, advantage_clip=5.0).backward()
    assert log_prob_B.grad is not None
    assert bool(log_prob_B.grad.any()) == moves


def test_at_ratio_1_the_gradient_is_minus_the_advantage_cut_to_its_clip() -> None:
    log_prob_B = torch.zeros(2, requires_grad=True)
    grpo.policy_loss(log_prob_B, torch.zeros(2), torch.tensor([9.0, -1.0]), clip=1e-3, advantage_clip=5.0).backward()
    assert log_prob_B.grad is not None
    torch.testing.assert_close(log_prob_B.grad, torch.tensor([-2.5, 0.5]))


def test_the_share_beyond_the_clip_is_counted() -> None:
    assert grpo.clipped_share(torch.tensor([1.0, 1.0005, 1.002, 0.9]), clip=1e-3) == 0.5


@pytest.mark.parametrize(
    ("form", "value"), [("per_step", 0.01 / (2 * 0.04)), ("per_time", 0.01 / (2 * 0.4)), ("velocity", 0.09)]
)
def test_the_three_forms_of_kl_differ_as_stated(form: grpo.KlForm, value: float) -> None:
    penalty = grpo.kl(torch.full((2, 3), 0.1), torch.full((2, 3), 0.3), std=0.2, dt=-0.1, form=form)
    assert penalty.item() == pytest.approx(value)


def test_kl_per_step_is_the_gaussians_own() -> None:
    mean, before = torch.randn(4, 5), torch.randn(4, 5)
    exact = torch.distributions.kl_divergence(
        torch.distributions.Normal(mean, 0.3), torch.distributions.Normal(before, 0.3)
    )
    penalty = grpo.kl(mean - before, torch.zeros(4, 5), std=0.3, dt=-0.1, form="per_step")
    torch.testing.assert_close(penalty, exact.mean())


def test_a_replay_that_is_not_the_roll_out_stops_the_run() -> None:
    grpo.refuse_unlike_replay(torch.tensor([1.0, 1.0 + 5e-5]), tolerance=1e-4)
    with pytest.raises(ReplayDiffers, match=r"2\.80e-03"):
        grpo.refuse_unlike_replay(torch.tensor([1.0, 1.0028]), tolerance=1e-4)
    with pytest.raises(ReplayDiffers, match="nan"):
        grpo.refuse_unlike_replay(torch.tensor([1.0, math.nan]), tolerance=1e-4)


def test_noised_data_lies_on_the_straight_line_whose_velocity_is_learnt() -> None:
    data, noise = torch.randn(3, 2, 4), torch.randn(3, 2, 4)
    ends = [sft.noised(data, noise, torch.full((3,), t)) for t in (0.0, 1.0)]
    torch.testing.assert_close(ends[0], data)
    torch.testing.assert_close(ends[1], noise)
    assert sft.velocity_loss(ends[1] - ends[0], data, noise).item() == pytest.approx(0, abs=1e-10)
    assert sft.velocity_loss(noise - data + 0.5, data, noise).item() == pytest.approx(0.25)


def test_the_shift_keeps_both_ends_and_has_its_worked_value() -> None:
    shifted = sft.shifted(torch.tensor([0.0, 0.5, 1.0]), 3.0)
    torch.testing.assert_close(shifted, torch.tensor([0.0, 0.75, 1.0]))
