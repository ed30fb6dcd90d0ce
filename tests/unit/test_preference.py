import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainers import preference

gaps = st.floats(-200, 200, width=32)
thetas = st.floats(1, 50)


def one(gap: float, theta: float) -> torch.Tensor:
    return preference.outcome_log_probs(torch.tensor([gap]), torch.zeros(1), math.log(theta))[0]


@given(gap=gaps, theta=thetas)
def test_probabilities_sum_to_one(gap: float, theta: float) -> None:
    assert one(gap, theta).exp().sum().item() == pytest.approx(1, abs=1e-5)


@given(gap=gaps, theta=thetas)
def test_exchanging_the_sides_exchanges_a_and_b(gap: float, theta: float) -> None:
    assert torch.equal(one(gap, theta), one(-gap, theta).flip(0))


@given(gap=st.floats(-20, 20), theta=st.floats(1.01, 50))
def test_it_is_rao_and_kupper(gap: float, theta: float) -> None:
    strength_a, strength_b = math.exp(gap), 1.0
    a = strength_a / (strength_a + theta * strength_b)
    b = strength_b / (theta * strength_a + strength_b)
    tie = (
        (theta**2 - 1)
        * strength_a
        * strength_b
        / ((strength_a + theta * strength_b) * (theta * strength_a + strength_b))
    )
    log_probs = preference.outcome_log_probs(
        torch.tensor([gap], dtype=torch.float64), torch.zeros(1, dtype=torch.float64), math.log(theta)
    )
    assert log_probs[0].exp().tolist() == pytest.approx([a, tie, b], rel=1e-9)


@given(gap=gaps)
def test_theta_one_is_plain_bradley_terry(gap: float) -> None:
    a, tie, b = one(gap, 1).tolist()
    assert a == pytest.approx(torch.nn.functional.logsigmoid(torch.tensor(gap)).item())
    assert b == pytest.approx(torch.nn.functional.logsigmoid(torch.tensor(-gap)).item())
    assert tie == -math.inf


def test_worked_values_at_no_gap_and_theta_five() -> None:
    assert one(0, 5).exp().tolist() == pytest.approx([1 / 6, 2 / 3, 1 / 6])
    scores, log_5 = torch.zeros(1), math.log(5)
    assert preference.loss(scores, scores, torch.tensor([0]), log_5).item() == pytest.approx(1.791759, abs=1e-6)
    assert preference.loss(scores, scores, torch.tensor([1]), log_5).item() == pytest.approx(0.405465, abs=1e-6)


@given(gap=st.floats(-200, 200), theta=st.floats(1.42, 50))
def test_a_tie_is_likeliest_only_below_the_margin(gap: float, theta: float) -> None:
    margin = preference.tie_margin(math.log(theta))
    if abs(abs(gap) - margin) > 1e-3:
        assert (one(gap, theta).argmax().item() == 1) == (abs(gap) < margin)


def test_the_margin_at_theta_five_and_where_there_is_none() -> None:
    assert preference.tie_margin(math.log(5)) == pytest.approx(math.log(23 / 5))
    assert preference.tie_margin(0) == 0


@given(
    gap=gaps,
    theta=st.one_of(st.just(1.0), thetas),
    outcome=st.integers(-1, 3),
)
def test_loss_and_gradient_are_finite(gap: float, theta: float, outcome: int) -> None:
    score = torch.tensor([gap, 0.5], requires_grad=True)
    value = preference.loss(score, torch.zeros(2), torch.tensor([outcome, 0]), math.log(theta))
    value.backward()  # type: ignore[no-untyped-call]
    assert value.isfinite()
    assert score.grad is not None
    assert score.grad.isfinite().all()


def test_scores_of_ninety_which_break_the_naive_form_do_not() -> None:
    scores = torch.tensor([90.0])
    assert preference.loss(scores, scores, torch.tensor([0]), math.log(5)).item() == pytest.approx(1.791759, abs=1e-6)


def test_the_gradient_is_that_of_finite_differences() -> None:
    scores = torch.tensor([0.3, -2.0, 1.0, 0.1], dtype=torch.float64, requires_grad=True)
    outcomes = torch.tensor([0, 1, 2, -1])
    assert torch.autograd.gradcheck(lambda score: preference.loss(score, score.flip(0) * 0.5, outcomes, 1.2), [scores])


def test_invalid_outcomes_leave_the_mean_untouched() -> None:
    score_a, score_b = torch.tensor([1.0, 7.0, -3.0]), torch.tensor([0.5, 0.0, 0.0])
    whole = preference.loss(score_a, score_b, torch.tensor([2, -1, 3], dtype=torch.int8), math.log(5))
    assert whole == preference.loss(score_a[:1], score_b[:1], torch.tensor([2]), math.log(5))


def test_ties_say_nothing_under_plain_bradley_terry() -> None:
    score_a, score_b = torch.tensor([1.0, 2.0]), torch.zeros(2)
    assert preference.loss(score_a, score_b, torch.tensor([0, 1]), 0.0) == preference.loss(
        score_a[:1], score_b[:1], torch.tensor([0]), 0.0
    )


def test_no_valid_outcome_is_a_loss_of_zero_that_moves_nothing() -> None:
    score = torch.tensor([4.0, 1.0], requires_grad=True)
    value = preference.loss(score, torch.zeros(2), torch.tensor([-1, 9]), math.log(5))
    value.backward()  # type: ignore[no-untyped-call]
    assert value.item() == 0
    assert score.grad is not None
    assert score.grad.tolist() == [0, 0]


def test_half_precision_scores_are_compared_in_single() -> None:
    scores = torch.tensor([1.0], dtype=torch.bfloat16)
    assert preference.outcome_log_probs(scores, scores, 1.0).dtype == torch.float32


def test_theta_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        preference.outcome_log_probs(torch.zeros(1), torch.zeros(1), -0.1)
