"""Composite rewards: worked values, bounds, and what each term can and cannot see."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainers import rewards


def test_the_balance_of_average_and_minimum_has_its_worked_value() -> None:
    # average 0.6, minimum 0.2
    score_BS = torch.tensor([[1.0, 0.6, 0.2]])
    for gamma, value in ((0.0, 0.6), (0.5, 0.4), (1.0, 0.2)):
        assert rewards.balanced(score_BS, gamma).item() == pytest.approx(value)


@given(scores=st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=5), gamma=st.floats(0, 1))
def test_the_balance_lies_between_minimum_and_average(scores: list[float], gamma: float) -> None:
    value = rewards.balanced(torch.tensor([scores]), gamma).item()
    assert min(scores) - 1e-5 <= value <= sum(scores) / len(scores) + 1e-5


def test_terms_are_weighed_by_name() -> None:
    terms = {"quality": torch.tensor([1.0, 0.0]), "fidelity": torch.tensor([0.0, 1.0])}
    torch.testing.assert_close(rewards.combined(terms, {"fidelity": 0.6, "quality": 0.4}), torch.tensor([0.4, 0.6]))
    with pytest.raises(ValueError, match="same names"):
        rewards.combined(terms, {"fidelity": 0.6})


def test_a_failed_term_fails_its_sample_alone() -> None:
    terms = {"quality": torch.tensor([1.0, float("nan")]), "fidelity": torch.tensor([1.0, 1.0])}
    reward_B = rewards.combined(terms, {"fidelity": 0.6, "quality": 0.4})
    assert reward_B[0] == 1
    assert reward_B[1].isnan()


def test_colour_moments_have_their_worked_value() -> None:
    picture = torch.zeros(3, 1, 2)
    picture[0] = torch.tensor([[0.2, 0.6]])
    torch.testing.assert_close(rewards.colour_moments(picture), torch.tensor([0.4, 0, 0, 0.2, 0, 0]))


def test_a_video_of_the_reference_itself_is_wholly_alike_and_steady() -> None:
    picture = torch.rand(3, 8, 8)
    video = picture.expand(2, 5, 3, 8, 8)
    torch.testing.assert_close(rewards.reference_appearance(video, picture), torch.ones(2))
    torch.testing.assert_close(rewards.steadiness(video), torch.ones(2))


def test_appearance_falls_with_every_step_away_from_the_reference_s_colour() -> None:
    reference = torch.full((3, 4, 6), 0.3)
    videos = torch.stack([torch.full((2, 3, 8, 8), 0.3 + gap) for gap in (0.0, 0.1, 0.4)])
    torch.testing.assert_close(rewards.reference_appearance(videos, reference), torch.tensor([1.0, 0.95, 0.8]))


def test_flicker_between_black_and_white_is_as_unsteady_as_can_be() -> None:
    video = torch.tensor([0.0, 1.0, 0.0]).view(1, 3, 1, 1, 1).expand(1, 3, 3, 4, 4)
    assert rewards.steadiness(video).item() == 0


def test_with_two_references_the_worse_one_weighs_more() -> None:
    video = torch.full((1, 2, 3, 4, 4), 0.2)
    references = [torch.full((3, 4, 4), 0.2), torch.full((3, 4, 4), 0.6)]
    terms = rewards.appearance_terms(video, references, gamma=0.5)
    # likenesses 1 and 0.8: average 0.9, minimum 0.8
    assert terms["reference_appearance"].item() == pytest.approx(0.85)
