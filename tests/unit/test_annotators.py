"""How good an annotator is: each measure on votes made for it, and flags that need enough."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotate.annotators import Quality, learning_curve, left_out, qualities, too_fast_s
from annotate.limits import Limits
from annotate.vote_columns import VoteColumns
from tests import factories
from tests.vote_sets import drawn
from warehouse.records import Outcome, Purpose, Vote

SPELLED = {"A": Outcome.A, "t": Outcome.TIE, "B": Outcome.B, "x": None}
EASY = Limits(min_votes=1)


def said(name: str, answers: str, **override: object) -> list[Vote]:
    """The answers of one annotator about pair 0, 1, 2 ..., every other shown swapped; `-` for a pair left alone."""
    return [
        factories.vote(
            **{
                "pair_id": f"pair_{place:03}",
                "annotator": name,
                "outcome": SPELLED[letter],
                "is_swapped": place % 2 == 0,
                "cast_at": f"2026-01-01T{place // 60:02}:{place % 60:02}:00Z",
                **override,
            }
        )
        for place, letter in enumerate(answers)
        if letter != "-"
    ]


def again(votes: list[Vote], answers: str, purpose: Purpose) -> list[Vote]:
    """The same annotator asked again about the first pairs."""
    return [
        replace(vote, vote_id=f"{vote.vote_id}_{purpose}", outcome=SPELLED[letter], purpose=purpose)
        for vote, letter in zip(votes, answers, strict=False)
    ]


def quality_of(
    name: str, votes: list[Vote], *, gold: Mapping[str, Outcome] | None = None, limits: Limits = EASY
) -> Quality:
    return next(each for each in qualities(VoteColumns.of(votes), gold or {}, limits) if each.name == name)


def test_agreement_is_with_the_others_and_the_own_vote_is_no_company() -> None:
    votes = said("ann", "AAAA") + said("bob", "AAB-") + said("cem", "ABB-")
    found = quality_of("ann", votes)
    assert found.agreement is not None
    assert (found.agreement.share, found.agreement.num) == (3 / 6, 3)  # of six couples three are equal
    assert (found.num_votes, quality_of("bob", votes).num_votes) == (4, 3)


def test_the_majority_of_the_others_is_more_than_half_of_them() -> None:
    votes = said("ann", "AAAA") + said("bob", "ABAB") + said("cem", "AtB-") + said("dot", "BBAB")
    found = quality_of("ann", votes)
    assert found.with_majority is not None
    # Pair 0: A A B, so A. Pair 1: B t B, so B. Pair 2: A B A, so A. Pair 3: B B, so B.
    assert (found.with_majority.share, found.with_majority.num) == (2 / 4, 4)
    split = quality_of("ann", said("ann", "A") + said("bob", "A") + said("cem", "B"))
    assert split.with_majority is None and split.agreement is not None


def test_alone_there_is_no_agreement() -> None:
    found = quality_of("ann", said("ann", "AB"))
    assert (found.agreement, found.with_majority, found.drift) == (None, None, None)


def test_gold_is_right_or_wrong_and_a_repeat_of_it_is_neither() -> None:
    first = said("ann", "AAB", purpose=Purpose.GOLD)
    gold = {"pair_000": Outcome.A, "pair_001": Outcome.B, "pair_009": Outcome.A}
    found = quality_of("ann", first + again(first, "B", Purpose.REPEAT), gold=gold)
    assert found.gold is not None
    assert (found.gold.share, found.gold.num) == (1 / 2, 2)
    assert quality_of("ann", first).gold is None


def test_repeats_and_swapped_repeats_are_compared_with_the_first_answer_each_for_itself() -> None:
    first = said("ann", "ABtAx")
    votes = first + again(first, "ABA", Purpose.REPEAT) + again(first, "Bxt", Purpose.SWAPPED_REPEAT)
    found = quality_of("ann", votes)
    assert found.repeats is not None and found.swapped_repeats is not None
    assert (found.repeats.share, found.repeats.num) == (2 / 3, 3)
    assert (found.swapped_repeats.share, found.swapped_repeats.num) == (1 / 2, 2)  # a broken video answers nothing
    assert found.num_votes == 4
    assert quality_of("ann", first).repeats is None


def test_whoever_always_takes_the_left_is_told_by_swapped_showings() -> None:
    straight, turned = said("ann", "A" * 12, is_swapped=False), said("ann", "-" * 12 + "B" * 12, is_swapped=True)
    found = quality_of("ann", straight + turned)
    assert found.side is not None
    assert (found.side.share, found.side.num) == (1.0, 24)
    assert found.side.p == pytest.approx(2 / 2**24)
    true_to_video = quality_of("ann", said("ann", "A" * 24))
    assert true_to_video.side is not None and true_to_video.side.p == 1.0
    assert quality_of("ann", said("ann", "ttt")).side is None


def test_ties_broken_videos_and_strangers_are_counted_apart() -> None:
    votes = said("ann", "AttBx") + said("stranger", "AB", is_known=False)
    found = quality_of("ann", votes)
    assert found.ties is not None and (found.ties.share, found.ties.num) == (2 / 4, 4)
    assert (found.num_votes, found.num_broken, found.num_unknown) == (4, 1, 0)
    stranger = quality_of("stranger", votes)
    assert (stranger.num_votes, stranger.num_unknown, stranger.agreement) == (0, 2, None)


def test_votes_faster_than_anybody_can_look_are_told() -> None:
    votes = said("ann", "AB", seconds=1.0) + said("ann", "--AB", seconds=12.0) + said("ann", "----A", seconds=None)
    found = quality_of("ann", votes + said("bob", "A" * 20, seconds=12.0))
    assert found.too_fast is not None
    assert (found.too_fast.share, found.too_fast.num, found.seconds) == (2 / 4, 4, 6.5)
    unknown = quality_of("ann", said("ann", "A", seconds=None))
    assert (unknown.too_fast, unknown.seconds) == (None, None)


@pytest.mark.parametrize(("seconds", "limit_s"), [(12.0, 2.0), (4.0, 1.0), (None, 2.0)])
def test_short_videos_may_be_answered_sooner(seconds: float | None, limit_s: float) -> None:
    assert too_fast_s(VoteColumns.of(said("ann", "AAA", seconds=seconds))) == limit_s


# Over time.


def test_somebody_who_gets_worse_drifts_down() -> None:
    answers = "A" * 60 + "AB" * 30
    found = quality_of("ann", said("ann", answers) + said("bob", "A" * 120))
    assert found.drift is not None
    assert found.drift.a_hundred < -0.4 and found.drift.p < 1e-4
    assert [block.num_votes for block in found.blocks] == [60, 60]
    assert [block.agreement.share for block in found.blocks if block.agreement] == [1.0, 0.5]


def test_order_is_by_time_not_by_pair() -> None:
    votes = [
        replace(vote, cast_at=f"2026-01-02T{(119 - place) // 60:02}:{(119 - place) % 60:02}:00Z")
        for place, vote in enumerate(said("ann", "A" * 60 + "AB" * 30))
    ]
    found = quality_of("ann", votes + said("bob", "A" * 120))
    assert [block.agreement.share for block in found.blocks if block.agreement] == [0.5, 1.0]


def test_votes_without_times_of_their_own_have_no_order() -> None:
    votes = [replace(vote, cast_at="1970-01-01T00:00:00Z") for vote in said("ann", "AB" * 60) + said("bob", "A" * 120)]
    found = quality_of("ann", votes)
    assert (found.blocks, found.drift) == ((), None)
    assert learning_curve(VoteColumns.of(votes)) == ()


def test_few_votes_make_no_trend() -> None:
    assert quality_of("ann", said("ann", "AB" * 14) + said("bob", "A" * 28)).drift is None


def test_the_learning_curve_joins_everybody_s_nth_votes() -> None:
    votes = [
        replace(vote, seconds=20.0 if place < 50 else 10.0)
        for name in ("ann", "bob")
        for place, vote in enumerate(said(name, "A" * 100 if name == "ann" else "B" * 50 + "A" * 50))
    ]
    blocks = learning_curve(VoteColumns.of(votes))
    assert [(block.start, block.num_votes, block.seconds) for block in blocks] == [(0, 100, 20.0), (50, 100, 10.0)]
    assert [block.agreement.share for block in blocks if block.agreement] == [0.0, 1.0]


# Flags.


def test_each_limit_flags_whom_it_is_made_for_and_says_what_was_found() -> None:
    blind = "AtttBBtAtBBttAttBB" * 7
    votes = [vote for name in ("bob", "cem") for vote in said(name, "A" * 120, seconds=10.0)]
    votes += said("blind", blind[:120], seconds=10.0)
    votes += said("fast", "A" * 120, seconds=0.5)
    votes += said("left", "A" * 60, seconds=10.0, is_swapped=False) + said(
        "left", "-" * 60 + "B" * 60, seconds=10.0, is_swapped=True
    )
    first = said("fickle", "A" * 120, seconds=10.0)
    votes += first + again(first, "B" * 40, Purpose.REPEAT)
    gold = {f"pair_{place:03}": Outcome.A for place in range(120)}
    found = qualities(VoteColumns.of(votes), gold, Limits())
    flagged = {name: [flag.limit for flag in flags] for name, flags in left_out(found).items()}
    assert flagged.pop("blind") == ["agreement_min", "gold_accuracy_min"]
    assert flagged.pop("left") == ["gold_accuracy_min", "side_bias_p"]
    assert flagged == {"fast": ["too_fast_max"], "fickle": ["consistency_min"]}
    (fast,) = next(each for each in found if each.name == "fast").flags
    assert (fast.found, fast.limit_value, fast.num) == (1.0, 0.1, 120)
    assert fast.words == "votes too fast 100% of the time (at least 96.9%), over 10%"


@given(st.text(alphabet="ABt", min_size=1, max_size=29), st.text(alphabet="ABt", min_size=29, max_size=29))
def test_nobody_is_flagged_on_fewer_votes_than_the_limits_ask_for(few: str, others: str) -> None:
    votes = said("ann", few, seconds=0.1) + said("bob", others, seconds=10.0)
    gold = {f"pair_{place:03}": Outcome.A for place in range(29)}
    assert not left_out(qualities(VoteColumns.of(votes), gold, Limits()))


def test_an_interval_that_reaches_the_limit_flags_nobody() -> None:
    gold = {f"pair_{place:03}": Outcome.A for place in range(6)}
    votes = said("ann", "AAAABB" + "A" * 40)
    assert not quality_of("ann", votes, gold=gold, limits=Limits(gold_accuracy_min=0.8)).flags  # 4 of 6: 30 to 90 %
    surely = {f"pair_{place:03}": Outcome.B for place in range(40)}
    assert quality_of("ann", votes, gold=surely, limits=Limits(gold_accuracy_min=0.8)).flags


def test_good_annotators_are_not_flagged_by_chance() -> None:
    for seed in range(20):
        votes, _ = drawn(300, [0.75] * 8, seed=seed)
        assert not left_out(qualities(votes, {}, Limits()))


@pytest.mark.parametrize(
    ("override", "complaint"),
    [
        ({"min_votes": 0}, "judged by less than one vote"),
        ({"agreement_min": 1.5}, "agreement_min is 1.5; it must lie between 0 and 1"),
        ({"too_fast_max": "often"}, "too_fast_max is 'often'; it must be a number"),
    ],
)
def test_limits_that_make_no_sense_are_refused(override: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Limits(**override)


def test_limits_are_named_by_their_values() -> None:
    assert Limits().digest == Limits().digest == Limits(min_votes=30).digest
    assert len(Limits().digest) == 8
    assert Limits(agreement_min=0.5).digest != Limits().digest
    assert Limits(agreement_min=0).digest == Limits(agreement_min=0.0).digest
