"""Dawid and Skene's estimate: its equations by hand, its likelihood, and truths that it must find."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotate.dawid_skene import PSEUDO_RIGHT, estimate
from annotate.vote_columns import VoteColumns
from tests import factories
from tests.vote_sets import columns, drawn
from warehouse.records import Outcome

votes_drawn = st.lists(
    st.tuples(st.integers(0, 7), st.integers(0, 4), st.sampled_from(Outcome)), min_size=1, max_size=30
).map(
    lambda given_: VoteColumns.of(
        factories.vote(pair_id=f"pair_{pair}", annotator=f"ann_{name}", outcome=outcome)
        for (pair, name), outcome in {(pair, name): outcome for pair, name, outcome in given_}.items()
    )
)


def majority(votes: VoteColumns) -> np.ndarray:
    """The leading outcome of each pair; -1 where two lead."""
    counts_PC = votes.counts()
    is_leading_PC = counts_PC == counts_PC.max(axis=1, keepdims=True)
    return np.where(is_leading_PC.sum(axis=1) == 1, counts_PC.argmax(axis=1), -1)


def test_the_end_is_where_each_half_follows_from_the_other_by_hand() -> None:
    votes, _ = drawn(30, [0.5, 0.7, 0.9, 0.9], seed=3)
    found = estimate(votes, pseudo_votes=2.0, tolerance=1e-12)
    assert found.has_converged
    rows = list(zip(votes.pair_N.tolist(), votes.annotator_N.tolist(), votes.outcome_N.tolist(), strict=True))
    for annotator in range(4):
        for true in range(3):
            right, wrong = PSEUDO_RIGHT, (1 - PSEUDO_RIGHT) / 2
            said = [2 * 2.0 * (right if outcome == true else wrong) for outcome in range(3)]
            for pair, name, outcome in rows:
                if name == annotator:  # A said where B is true is as frequent as B where A is
                    said[outcome] += found.posterior_PK[pair][true]
                    said[2 - outcome] += found.posterior_PK[pair][2 - true]
            expected = [each / sum(said) for each in said]
            assert found.confusion_AKC[annotator][true].tolist() == pytest.approx(expected, abs=1e-9)
    for pair in range(30):
        weights = [
            found.prior_K[true]
            * math.prod(found.confusion_AKC[name][true][outcome] for place, name, outcome in rows if place == pair)
            for true in range(3)
        ]
        assert found.posterior_PK[pair].tolist() == pytest.approx([each / sum(weights) for each in weights], abs=1e-9)


def test_two_who_agree_outweigh_two_who_err_by_chance() -> None:
    # ann and bob always say the same; cem and dot say anything. On the last pair two stand against two.
    rng = np.random.default_rng(0)
    rows = []
    for pair in range(60):
        truth = int(rng.integers(0, 3))
        rows += [
            (pair, 0, truth),
            (pair, 1, truth),
            (pair, 2, int(rng.integers(0, 3))),
            (pair, 3, int(rng.integers(0, 3))),
        ]
    rows += [(60, 0, 0), (60, 1, 0), (60, 2, 2), (60, 3, 2)]
    pair_N, annotator_N, outcome_N = np.array(rows).T
    votes = columns(pair_N, annotator_N, outcome_N, num_pairs=61, num_annotators=4)
    found = estimate(votes)
    assert majority(votes)[60] == -1
    assert found.posterior_PK[60][0] > 0.95
    assert np.trace(found.confusion_AKC[0]) > 2.7 > 1.5 > np.trace(found.confusion_AKC[2])


@given(votes_drawn, st.sampled_from([0.0, 0.5, 3.0]))
def test_no_iteration_is_less_likely_than_the_one_before(votes: VoteColumns, pseudo_votes: float) -> None:
    found = estimate(votes, pseudo_votes=pseudo_votes, max_iterations=200)
    assert (np.diff(found.objectives) >= -1e-8 * np.abs(found.objectives[1:])).all()
    assert np.allclose(found.posterior_PK.sum(axis=1), 1)
    assert np.allclose(found.confusion_AKC.sum(axis=2), 1)


@given(votes_drawn)
def test_exchanging_the_sides_exchanges_the_posteriors(votes: VoteColumns) -> None:
    turned = columns(
        votes.pair_N,
        votes.annotator_N,
        2 - votes.outcome_N,
        num_pairs=len(votes.pair_ids),
        num_annotators=len(votes.annotators),
    )
    straight_PK, turned_PK = (estimate(each, max_iterations=50).posterior_PK for each in (votes, turned))
    assert np.allclose(straight_PK, turned_PK[:, ::-1], atol=1e-6)


@pytest.mark.parametrize("num_pairs", [300, 3000])
def test_where_annotators_differ_it_is_right_more_often_than_the_majority(num_pairs: int) -> None:
    gains = []
    for seed in range(5):
        votes, truth_P = drawn(num_pairs, np.linspace(0.45, 0.95, 12).tolist(), seed=seed)
        leading_P = majority(votes)
        has_one = leading_P >= 0
        likeliest_P = estimate(votes).posterior_PK.argmax(axis=1)
        gains.append((likeliest_P == truth_P)[has_one].mean() - (leading_P == truth_P)[has_one].mean())
    assert np.mean(gains) > 0.005


def test_a_likely_outcome_is_as_often_right_as_its_posterior_says() -> None:
    votes, truth_P = drawn(5000, np.linspace(0.45, 0.95, 12).tolist(), seed=1)
    posterior_PK = estimate(votes).posterior_PK
    is_right_P = posterior_PK.argmax(axis=1) == truth_P
    for low, high in ((0.5, 0.6), (0.7, 0.8), (0.9, 1.0)):
        among = (posterior_PK.max(axis=1) >= low) & (posterior_PK.max(axis=1) < high)
        assert is_right_P[among].mean() == pytest.approx(posterior_PK.max(axis=1)[among].mean(), abs=0.05)


def test_pairs_without_votes_have_no_posterior_and_nothing_at_all_is_no_error() -> None:
    some = columns(np.array([1]), np.array([0]), np.array([2]), num_pairs=3, num_annotators=2)
    assert list(estimate(some).posteriors()) == ["pair_1"]
    nothing = np.zeros(0, np.int64)
    found = estimate(columns(nothing, nothing, nothing, num_pairs=0, num_annotators=0))
    assert (found.posteriors(), found.num_iterations, found.has_converged) == ({}, 0, True)


def test_negative_pseudo_votes_are_refused() -> None:
    with pytest.raises(ValueError, match="cannot be negative"):
        estimate(drawn(3, [0.9, 0.9, 0.9])[0], pseudo_votes=-1)
