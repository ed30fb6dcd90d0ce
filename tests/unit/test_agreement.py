from itertools import combinations

import krippendorff
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from annotate.agreement import agreement, alpha, alpha_interval, kappa, matrix, of_counts, share
from annotate.errors import OriginsMixed
from annotate.vote_columns import VoteColumns
from tests import factories
from tests.vote_sets import drawn
from warehouse.records import Origin, Outcome, Purpose

counts = st.integers(1, 12).flatmap(
    lambda num_pairs: arrays(np.int64, (num_pairs, 3), elements=st.integers(0, 5)).filter(
        lambda counts_UC: (counts_UC.sum(axis=1) > 1).all()
    )
)


def test_a_worked_value() -> None:
    # Two votes each: three pairs agree (A A, A A, B B), one does not (A B). n = 8, of them 5 A and 3 B.
    # Observed disagreement 2, expected (64 - 34) / 7 = 30 / 7: alpha = 1 - 14 / 30.
    counts_UC = np.array([[2, 0, 0], [2, 0, 0], [0, 0, 2], [1, 0, 1]])
    assert share(counts_UC) == 0.75
    assert alpha(counts_UC) == pytest.approx(1 - 14 / 30)


def test_krippendorffs_own_example_of_nominal_data() -> None:
    # "Computing Krippendorff's Alpha-Reliability" (2011), A: two observers, ten units, two values. They agree on the
    # first value five times and on the second once, and differ four times: alpha = 0.095.
    counts_UC = np.array([[1, 0, 1]] * 4 + [[2, 0, 0]] * 5 + [[0, 0, 2]])
    assert alpha(counts_UC) == pytest.approx(0.095, abs=5e-4)


def test_krippendorffs_own_example_with_missing_values() -> None:
    # The same paper, C: four observers, twelve units, five values, some units not seen by all. Nominal alpha = 0.743.
    said = ["123321412...", "1233224125.3", ".3332342251.", "12332441251."]
    counts_PC = np.array([[sum(row[unit] == value for row in said) for value in "12345"] for unit in range(12)])
    assert of_counts(counts_PC).alpha == pytest.approx(0.743, abs=5e-4)


def test_fleiss_own_kappa() -> None:
    # Fleiss 1971 as it is worked everywhere: ten subjects, fourteen raters, five categories; P = 0.378, kappa = 0.210.
    rows = "0 0 0 0 14|0 2 6 4 2|0 0 3 5 6|0 3 9 2 0|2 2 8 1 1|7 7 0 0 0|3 2 6 3 0|2 5 3 2 2|6 5 2 1 0|0 2 2 3 7"
    counts_UC = np.array([[int(num) for num in row.split()] for row in rows.split("|")])
    assert share(counts_UC) == pytest.approx(0.378, abs=5e-4)
    assert kappa(counts_UC) == pytest.approx(0.210, abs=5e-4)
    assert of_counts(counts_UC).kappa == kappa(counts_UC)


def test_fleiss_kappa_is_not_told_where_pairs_have_different_numbers_of_votes() -> None:
    found = of_counts(np.array([[2, 0, 0], [2, 0, 1]]))
    assert (found.kappa, found.num_votes_a_pair) == (None, None)
    assert found.alpha is not None


@given(counts)
def test_alpha_is_that_of_the_package_krippendorff(counts_UC) -> None:
    expected_total = counts_UC.sum(axis=0)
    if (expected_total > 0).sum() < 2:  # the package refuses where only one value occurs
        assert alpha(counts_UC) is None
        return
    expected = krippendorff.alpha(value_counts=counts_UC, level_of_measurement="nominal")
    assert alpha(counts_UC) == pytest.approx(expected)


@given(counts)
def test_agreement_depends_neither_on_the_names_of_the_outcomes_nor_on_the_order_of_pairs(counts_UC) -> None:
    turned = counts_UC[::-1, [2, 0, 1]]
    assert share(turned) == pytest.approx(share(counts_UC))
    assert alpha(turned) == pytest.approx(alpha(counts_UC)) if alpha(counts_UC) is not None else alpha(turned) is None


@given(counts)
def test_agreement_is_at_most_one_and_alpha_is_one_only_where_all_agree(counts_UC) -> None:
    assert 0 <= share(counts_UC) <= 1
    value = alpha(counts_UC)
    if value is not None:
        assert value <= 1
        assert (value == 1) == (share(counts_UC) == 1)


def test_votes_by_chance_have_an_alpha_near_zero() -> None:
    counts_UC = np.random.default_rng(0).multinomial(3, [0.4, 0.2, 0.4], size=5000)
    assert alpha(counts_UC) == pytest.approx(0, abs=0.02)


def test_a_pair_with_one_vote_and_a_vote_that_does_not_count_are_left_out() -> None:
    votes = [
        factories.vote(annotator="ann", outcome=Outcome.A),
        factories.vote(annotator="bob", outcome=Outcome.B),
        factories.vote(annotator="stranger", outcome=Outcome.A, is_known=False),
        factories.vote(pair_id="pair_2", outcome=Outcome.A),
    ]
    found = agreement(votes)
    assert (found.num_pairs, found.num_votes, found.share) == (1, 2, 0.0)


def test_where_nothing_can_be_said_nothing_is_said() -> None:
    nothing = agreement([factories.vote()])
    assert (nothing.num_pairs, nothing.share, nothing.alpha) == (0, None, None)
    unanimous = agreement([factories.vote(annotator=name) for name in ("ann", "bob")])
    assert (unanimous.share, unanimous.alpha) == (1.0, None)


# The interval.


def test_the_interval_is_the_same_with_the_same_seed_and_holds_alpha() -> None:
    votes, _ = drawn(200, [0.7, 0.8, 0.9, 0.6])
    counts_UC = votes.counts()
    low, high = alpha_interval(counts_UC, seed=1)
    assert (low, high) == alpha_interval(counts_UC, seed=1) != alpha_interval(counts_UC, seed=2)
    assert low < alpha(counts_UC) < high


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    right = [0.6, 0.7, 0.8, 0.9]
    truth = alpha(drawn(100_000, right, seed=99)[0].counts())
    intervals = [alpha_interval(drawn(150, right, seed=seed)[0].counts(), num_replicates=400) for seed in range(150)]
    covered = np.mean([low <= truth <= high for low, high in intervals])
    assert 0.88 <= covered <= 0.99


def test_the_bootstrap_over_distinct_rows_is_one_over_pairs() -> None:
    counts_UC = drawn(60, [0.6, 0.7, 0.8, 0.9])[0].counts()
    rng = np.random.default_rng(0)
    naive = [alpha(counts_UC[rng.integers(0, len(counts_UC), len(counts_UC))]) for _ in range(2000)]
    assert alpha_interval(counts_UC) == pytest.approx(tuple(np.quantile(naive, [0.025, 0.975])), abs=0.02)


def test_there_is_no_interval_over_one_pair_or_where_alpha_never_is() -> None:
    assert alpha_interval(np.array([[2, 1, 0]])) == (None, None)
    assert alpha_interval(np.array([[3, 0, 0], [3, 0, 0]])) == (None, None)


# Two by two.


def test_cohens_kappa_of_two_annotators() -> None:
    # The textbook's: 20 both A, 15 both B, 5 A against B, 10 B against A: p_o = 0.7, p_e = 0.5, kappa = 0.4.
    said = ["AA"] * 20 + ["BB"] * 15 + ["AB"] * 5 + ["BA"] * 10
    votes = [
        factories.vote(pair_id=f"pair_{place}", annotator=name, outcome=Outcome(outcome))
        for place, both in enumerate(said)
        for name, outcome in zip(("ann", "bob"), both, strict=True)
    ]
    found = matrix(VoteColumns.of([*votes, factories.vote(pair_id="pair_x", annotator="cem")]).counted())
    assert found.annotators == ("ann", "bob", "cem")
    assert found.num_shared_AA.tolist() == [[50, 50, 0], [50, 50, 0], [0, 0, 0]]
    assert found.share_AA[0, 1] == found.share_AA[1, 0] == 0.7
    assert found.kappa_AA[0, 1] == found.kappa_AA[1, 0] == pytest.approx(0.4)
    assert np.isnan(found.share_AA[2]).all() and np.isnan(found.kappa_AA[2]).all()


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.sampled_from(Outcome)), max_size=30))
def test_the_matrix_counts_what_two_loops_count(given_) -> None:
    latest = {(f"pair_{pair}", f"ann_{name}"): outcome for pair, name, outcome in given_}
    votes = [factories.vote(pair_id=pair, annotator=name, outcome=said) for (pair, name), said in latest.items()]
    found = matrix(VoteColumns.of(votes).counted())
    for (row, one), (column, other) in combinations(enumerate(found.annotators), 2):
        shared = [pair for pair, name in latest if name == one and (pair, other) in latest]
        equal = [pair for pair in shared if latest[pair, one] == latest[pair, other]]
        assert found.num_shared_AA[row, column] == found.num_shared_AA[column, row] == len(shared)
        assert not shared or found.share_AA[row, column] == len(equal) / len(shared)


# What counts.


def test_repeats_do_not_count() -> None:
    again = factories.vote(annotator="ann", purpose=Purpose.REPEAT, outcome=Outcome.B, vote_id="vote_again")
    found = agreement([factories.vote(annotator="ann"), factories.vote(annotator="bob"), again])
    assert (found.num_votes, found.share) == (2, 1.0)


def test_votes_of_two_origins_are_not_compared() -> None:
    with pytest.raises(OriginsMixed, match="human and vlm"):
        agreement([factories.vote(), factories.vote(annotator="judge", origin=Origin.VLM)])
