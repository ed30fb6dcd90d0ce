import math
from collections.abc import Sequence
from typing import ClassVar

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from trainers.eval_reward import FaceSimilarity, evaluate, gaps, tie_gap, with_ties, without_ties
from trainers.snapshot_pairs import Evidence, PairSet


def evidence(vector: tuple[float, float] | None, reference: tuple[float, float] = (1.0, 0.0)) -> Evidence:
    return Evidence(
        vector_STD=torch.tensor([[vector or (0.0, 0.0)]]),
        is_seen_ST=torch.tensor([[vector is not None]]),
        reference_SRD=torch.tensor([[reference]]),
        has_reference_SR=torch.tensor([[True]]),
        position_T=torch.zeros(1),
        has_frame_T=torch.ones(1, dtype=torch.bool),
        quality_Q=torch.full((3,), math.nan),
    )


def pair_set(outcomes: Sequence[int], *, clip_ids: Sequence[str] | None = None) -> PairSet:
    """Pair i is between candidate 2i, whose face is the reference's, and candidate 2i + 1, whose face is another's."""
    number = len(outcomes)
    return PairSet(
        pair_ids=tuple(f"pair_{i}" for i in range(number)),
        clip_ids=tuple(clip_ids or (f"clip_{i}" for i in range(number))),
        side_a=tuple(range(0, 2 * number, 2)),
        side_b=tuple(range(1, 2 * number, 2)),
        outcome_P=torch.tensor(outcomes),
        evidence=tuple(evidence(vector) for _ in outcomes for vector in ((1.0, 0.0), (0.0, 1.0))),
    )


class Contrary:
    """Likes best whom the reference does not show."""

    name: ClassVar[str] = "contrary"

    def score(self, evidence: Sequence[Evidence]) -> Tensor:
        return -FaceSimilarity().score(evidence)


def test_worked_values_without_ties() -> None:
    gap_P = torch.tensor([2.0, -1.0, 0.0, 3.0, -3.0])
    found = without_ties(gap_P, torch.tensor([0, 0, 2, 1, 2])).tolist()
    assert found[:3] == [1, 0, 0.5]
    assert math.isnan(found[3])
    assert found[4] == 1


def test_worked_values_with_ties() -> None:
    gap_P = torch.tensor([2.0, -1.0, 0.5, -0.5, -3.0, 0.0])
    assert with_ties(gap_P, torch.tensor([0, 1, 1, 1, 0, 1]), 0.5).tolist() == [1, 0, 1, 1, 0, 1]
    assert with_ties(gap_P, torch.tensor([0, 1, 1, 1, 0, 1]), -1).tolist() == [1, 0, 0, 0, 0, 1]


def test_repeated_gaps_are_calibrated_as_one() -> None:
    """Sorting would put the boundary between two equal gaps and promise what no threshold gives."""
    gap_P, outcome_P = torch.tensor([0.5, 0.5, 0.5, 2.0]), torch.tensor([1, 0, 0, 0])
    assert tie_gap(gap_P, outcome_P) == -1
    assert with_ties(gap_P, outcome_P, -1).tolist() == [0, 1, 1, 1]


def test_of_equally_good_gaps_the_least_is_taken() -> None:
    gap_P, outcome_P = torch.tensor([0.1, 0.3, 0.5]), torch.tensor([1, 0, 1])
    assert tie_gap(gap_P, outcome_P) == pytest.approx(0.1)


pairs = st.lists(st.tuples(st.sampled_from([-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0]), st.integers(0, 2)), min_size=1)


@given(pairs=pairs, other=st.floats(-1, 3, width=32))
def test_no_other_gap_is_better_on_the_pairs_it_was_settled_on(pairs: list[tuple[float, int]], other: float) -> None:
    gap_P, outcome_P = torch.tensor([gap for gap, _ in pairs]), torch.tensor([outcome for _, outcome in pairs])
    best = with_ties(gap_P, outcome_P, tie_gap(gap_P, outcome_P)).sum()
    assert best >= with_ties(gap_P, outcome_P, other).sum()


def test_face_similarity_is_the_mean_cosine_and_unlike_where_no_face_was_read() -> None:
    found = FaceSimilarity().score([evidence((3.0, 4.0)), evidence((0.0, 2.0)), evidence(None)])
    assert found.tolist() == pytest.approx([0.6, 0, 0])


def test_the_report_compares_model_baseline_and_chance() -> None:
    found = evaluate(Contrary(), pair_set([0, 0, 1]), pair_set([0, 0, 0, 2, 1]))
    plain = found["without_ties"]
    assert plain["face_similarity"]["accuracy"] == pytest.approx(0.75)
    assert plain["reward_model"]["accuracy"] == pytest.approx(0.25)
    assert plain["chance"]["accuracy"] == 0.5
    assert plain["reward_model_minus_face_similarity"]["accuracy"] == pytest.approx(-0.5)
    assert found["with_ties"]["chance"]["accuracy"] == pytest.approx(0.6)
    assert found["with_ties"]["face_similarity"]["accuracy"] == pytest.approx(0.6)
    assert (found["num_train_pairs"], found["num_test_pairs"], found["num_test_ties"]) == (3, 5, 1)


def test_the_interval_holds_the_accuracy_and_is_wider_where_pairs_share_clips() -> None:
    outcomes = [0] * 20 + [2] * 10
    alone = evaluate(Contrary(), pair_set([0]), pair_set(outcomes))["without_ties"]["reward_model"]
    shared = evaluate(Contrary(), pair_set([0]), pair_set(outcomes, clip_ids=["x"] * 20 + ["y"] * 10))
    (low, high), accuracy = alone["interval_95"], alone["accuracy"]
    assert low < accuracy < high
    # The binomial's: 1/3 plus or minus 1.96 * sqrt(1/3 * 2/3 / 30).
    assert high - low == pytest.approx(2 * 1.96 * math.sqrt(2 / 9 / 30), abs=0.04)
    assert shared["without_ties"]["reward_model"]["interval_95"] == [0, 1]


def test_without_a_decided_pair_there_is_no_accuracy() -> None:
    found = evaluate(Contrary(), pair_set([0]), pair_set([1, 1]))
    assert found["without_ties"]["reward_model"] is None
    assert found["with_ties"]["face_similarity"]["accuracy"] == 0


def test_nothing_is_said_about_no_pairs() -> None:
    found = evaluate(Contrary(), pair_set([0]), pair_set([]))
    assert found["num_test_pairs"] == 0
    assert found["with_ties"]["reward_model"] is None
    assert found["without_ties"]["chance"] is None


def test_gaps_are_those_of_the_named_sides_however_many_batches_it_takes() -> None:
    assert gaps(FaceSimilarity(), pair_set([0] * 300)).tolist() == [1] * 300
