from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotate.errors import OriginsMixed
from annotate.labels import (
    BY_DEFAULT,
    DawidSkenePolicy,
    JudgesPolicy,
    MajorityPolicy,
    WithoutFlagged,
    original_wins,
    settle,
)
from annotate.limits import Limits
from tests import factories
from warehouse.records import Origin, Outcome, Purpose, Vote

vote_lists = st.lists(
    st.builds(
        factories.vote,
        annotator=st.sampled_from(["ann", "bob", "cem", "dot", "eve"]),
        outcome=st.none() | st.sampled_from(Outcome),
        is_known=st.booleans(),
        cast_at=st.integers(0, 59).map(lambda second: f"2026-01-01T00:00:{second:02}Z"),
    ),
    max_size=8,
    unique_by=lambda vote: vote.vote_id,
)


def votes(said: str) -> list[Vote]:
    """One vote an annotator: `A`, `B`, `t` for a tie."""
    spelled = {"A": Outcome.A, "t": Outcome.TIE, "B": Outcome.B}
    return [factories.vote(annotator=f"ann_{index}", outcome=spelled[letter]) for index, letter in enumerate(said)]


@pytest.mark.parametrize(
    ("said", "outcome", "reason"),
    [
        ("", None, "no votes"),
        ("A", None, "too few votes"),
        ("AB", None, "too few votes"),
        ("AA", Outcome.A, "majority"),
        ("AtB", None, "split"),
        ("AAB", Outcome.A, "majority"),
        ("tBt", Outcome.TIE, "majority"),
        ("BBB", Outcome.B, "majority"),
        ("AtBB", Outcome.B, "majority"),
        ("AABB", None, "split"),
    ],
)
def test_three_votes_settle_by_majority(said: str, outcome: Outcome | None, reason: str) -> None:
    label = settle("pair_1", votes(said))
    assert (label.outcome, label.reason, label.num_votes) == (outcome, reason, len(said))
    assert (label.num_a, label.num_tie, label.num_b) == (said.count("A"), said.count("t"), said.count("B"))
    assert label.policy == "majority_of_3"
    assert label.origin == (Origin.HUMAN if said else None)


def test_one_annotator_voting_three_times_settles_nothing() -> None:
    thrice = [factories.vote(cast_at=f"2026-01-0{day}T00:00:00Z") for day in (1, 2, 3)]
    label = settle("pair_1", thrice)
    assert (label.outcome, label.reason, label.num_votes) == (None, "too few votes", 1)


def test_an_unknown_annotator_gives_no_majority() -> None:
    two = [factories.vote(annotator="ann"), factories.vote(annotator="stranger", is_known=False)]
    assert settle("pair_1", two).reason == "too few votes"


def test_a_vote_without_outcome_is_not_counted() -> None:
    three = [*votes("AA"), factories.vote(annotator="cem", outcome=None)]
    assert (settle("pair_1", three).num_votes, settle("pair_1", three).outcome) == (2, Outcome.A)


def test_only_uncounted_votes_are_no_votes() -> None:
    label = settle("pair_1", [factories.vote(is_known=False), factories.vote(annotator="bob", outcome=None)])
    assert (label.reason, label.origin, label.num_votes) == ("no votes", None, 0)


def test_votes_of_two_origins_make_no_label() -> None:
    mixed = [factories.vote(), factories.vote(annotator="judge", origin=Origin.VLM)]
    with pytest.raises(OriginsMixed, match="pair_1: votes of human and vlm"):
        settle("pair_1", mixed)


def test_a_strangers_origin_does_not_spoil_a_label() -> None:
    three = [replace(vote, origin=Origin.SIMULATED) for vote in votes("BB")]
    label = settle("pair_1", [*three, factories.vote(annotator="stranger", is_known=False)])
    assert (label.origin, label.outcome) == (Origin.SIMULATED, Outcome.B)


def test_votes_about_another_pair_are_refused() -> None:
    with pytest.raises(ValueError, match="pair_1 cannot be settled by votes about pair_2"):
        settle("pair_1", [factories.vote(pair_id="pair_2")])


def test_five_votes_need_three_that_agree() -> None:
    policy = MajorityPolicy(num_votes=5)
    assert settle("pair_1", votes("AABB"), policy).reason == "too few votes"
    assert settle("pair_1", votes("AABBt"), policy).reason == "split"
    assert settle("pair_1", votes("AABBA"), policy).outcome is Outcome.A
    assert settle("pair_1", votes("AAA"), policy).policy == "majority_of_5"


def test_a_policy_without_votes_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one vote"):
        MajorityPolicy(num_votes=0)


@given(vote_lists)
def test_swapping_the_sides_of_everything_swaps_the_label(drawn: list[Vote]) -> None:
    straight = settle("pair_1", drawn)
    turned = settle("pair_1", [replace(vote, outcome=vote.outcome and vote.outcome.swapped()) for vote in drawn])
    assert turned == replace(
        straight,
        outcome=straight.outcome and straight.outcome.swapped(),
        num_a=straight.num_b,
        num_b=straight.num_a,
    )


@given(vote_lists, st.randoms())
def test_the_order_of_votes_changes_nothing(drawn: list[Vote], random) -> None:
    expected = settle("pair_1", drawn)
    random.shuffle(drawn)
    assert settle("pair_1", drawn) == expected


@given(vote_lists)
def test_a_label_counts_its_votes_and_settles_only_by_majority(drawn: list[Vote]) -> None:
    label = settle("pair_1", drawn)
    assert label.num_votes == label.num_a + label.num_tie + label.num_b
    assert (label.outcome is None) == (label.reason != "majority")


def test_an_adjudicator_decides_a_three_way_split_by_plain_counting() -> None:
    split = votes("AtB")
    assert settle("pair_1", split).reason == "split"
    decided = settle("pair_1", [*split, factories.vote(annotator="adjudicator", outcome=Outcome.TIE)])
    assert (decided.outcome, decided.reason, decided.num_votes) == (Outcome.TIE, "majority", 4)


def test_a_repeat_settles_nothing() -> None:
    again = [factories.vote(annotator=f"ann_{one}", purpose=Purpose.REPEAT, vote_id=f"vote_{one}") for one in range(3)]
    assert settle("pair_1", again).reason == "no votes"
    assert settle("pair_1", [*votes("AB"), *again]).reason == "too few votes"


# Dawid and Skene.


@pytest.mark.parametrize(
    ("said", "posterior", "outcome", "reason"),
    [
        ("", None, None, "no votes"),
        ("A", (0.99, 0.0, 0.01), None, "too few votes"),
        ("AB", (0.9, 0.02, 0.08), Outcome.A, "posterior"),
        ("AAB", (0.1, 0.1, 0.8), Outcome.B, "posterior"),
        ("AtB", (0.1, 0.79, 0.11), None, "split"),
    ],
)
def test_the_likeliest_outcome_settles_where_it_is_likely_enough(
    said: str, posterior: tuple[float, float, float] | None, outcome: Outcome | None, reason: str
) -> None:
    policy = DawidSkenePolicy(posteriors={"pair_1": posterior} if posterior else {})
    label = settle("pair_1", votes(said), policy)
    assert (label.outcome, label.reason, label.policy) == (outcome, reason, "dawid_skene_0.8")
    assert (label.num_a, label.num_tie, label.num_b) == (said.count("A"), said.count("t"), said.count("B"))


def test_the_limit_of_a_posterior_is_in_the_policy_s_name() -> None:
    policy = DawidSkenePolicy(min_posterior=0.95, posteriors={"pair_1": (0.9, 0.05, 0.05)})
    assert (policy.name, settle("pair_1", votes("AA"), policy).reason) == ("dawid_skene_0.95", "split")


@pytest.mark.parametrize("least", [0.0, 0.49, 1.0])
def test_a_limit_that_any_or_no_outcome_reaches_is_refused(least: float) -> None:
    with pytest.raises(ValueError, match="must be at least"):
        DawidSkenePolicy(min_posterior=least)


# Without flagged annotators.


def test_votes_of_those_left_out_do_not_count_and_the_policy_s_name_tells_the_limits() -> None:
    limits = Limits(agreement_min=0.5)
    policy = WithoutFlagged(policy=MajorityPolicy(), limits=limits, left_out={"ann_0"})
    label = settle("pair_1", votes("ABBA"), policy)
    assert (label.outcome, label.num_votes, label.num_a) == (Outcome.B, 3, 1)
    assert label.policy == f"majority_of_3_without_flagged_{limits.digest}"
    assert policy.name != WithoutFlagged(policy=MajorityPolicy(), limits=Limits()).name


# Models.


@pytest.mark.parametrize(
    ("said", "outcome", "reason"),
    [
        ("", None, "no votes"),
        ("A", None, "too few votes"),
        ("AA", Outcome.A, "majority"),
        ("AB", None, "split"),
        ("ABt", None, "split"),
        ("AAB", Outcome.A, "majority"),
        ("AABB", None, "split"),
        ("AABt", None, "split"),  # the most, but no more than half
        ("ttBtB", Outcome.TIE, "majority"),
        ("BBBBBAAAA", Outcome.B, "majority"),
    ],
)
def test_models_settle_by_more_than_half_of_the_answers(said: str, outcome: Outcome | None, reason: str) -> None:
    label = settle("pair_1", votes(said), JudgesPolicy())
    assert (label.outcome, label.reason, label.policy) == (outcome, reason, "majority_of_judges_2")


answers = st.lists(st.sampled_from([*Outcome, None]), max_size=9)


def judged(said: list[Outcome | None]) -> list[Vote]:
    return [
        factories.vote(annotator=f"model#{place}", origin=Origin.VLM, outcome=outcome)
        for place, outcome in enumerate(said)
    ]


@given(answers, st.integers(1, 5))
def test_abstentions_change_no_label_of_models(said: list[Outcome | None], min_answers: int) -> None:
    policy = JudgesPolicy(min_answers=min_answers)
    with_them = settle("pair_1", judged(said), policy)
    assert with_them == settle("pair_1", judged([each for each in said if each is not None]), policy)
    assert with_them.num_votes == sum(each is not None for each in said)


@given(answers, st.integers(1, 5))
def test_a_label_of_models_has_enough_answers_and_more_than_half_of_them(
    said: list[Outcome | None], min_answers: int
) -> None:
    label = settle("pair_1", judged(said), JudgesPolicy(min_answers=min_answers))
    given_ = [each for each in said if each is not None]
    leading = [outcome for outcome in Outcome if 2 * given_.count(outcome) > len(given_)]
    assert label.outcome == (leading[0] if leading and len(given_) >= min_answers else None)


@given(answers)
def test_exchanging_the_sides_exchanges_the_label_of_models(said: list[Outcome | None]) -> None:
    straight = settle("pair_1", judged(said), JudgesPolicy())
    turned = settle("pair_1", judged([each and each.swapped() for each in said]), JudgesPolicy())
    assert turned.outcome == (straight.outcome and straight.outcome.swapped())


def test_a_majority_of_no_answers_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one answer"):
        JudgesPolicy(min_answers=0)


@pytest.mark.parametrize(("original", "outcome"), [("candidate_1", Outcome.A), ("candidate_2", Outcome.B)])
def test_an_original_wins_by_default_on_whichever_side_it_stands(original: str, outcome: Outcome) -> None:
    label = original_wins(factories.pair(), {original, "candidate_of_another_clip"})
    assert (label.outcome, label.policy, label.reason) == (outcome, BY_DEFAULT, "original by default")
    assert (label.origin, label.num_votes, label.num_a, label.num_tie, label.num_b) == (None, 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("kind", "originals"),
    [
        ("generated_vs_generated", {"candidate_1"}),
        ("original_vs_generated", set()),
        ("original_vs_generated", {"candidate_1", "candidate_2"}),
    ],
)
def test_nobody_wins_by_default_where_there_is_no_one_original(kind: str, originals: set[str]) -> None:
    with pytest.raises(ValueError, match="pair_1: not an original against a generated video"):
        original_wins(factories.pair(kind=kind), originals)
