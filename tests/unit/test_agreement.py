import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from annotate.agreement import agreement, alpha, share
from tests import factories
from warehouse.records import Outcome

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
