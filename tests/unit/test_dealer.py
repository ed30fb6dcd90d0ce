import itertools
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from annotate.board import Answer, Dealing
from annotate.dealing import dealer
from annotate.dealing.dealer import DISTANCE, Left, Pool, Roster, Stand
from annotate.home import Member
from annotate.interface import Parsed, result_of
from annotate.votes import time_of
from warehouse.records import Outcome, Purpose

A, TIE, B = Outcome.A, Outcome.TIE, Outcome.B
ANNOTATORS, ADJUDICATORS = (1, 2, 3, 4, 5), (8, 9)


def roster(annotators: tuple[int, ...] = ANNOTATORS, adjudicators: tuple[int, ...] = ADJUDICATORS) -> Roster:
    names = {user: f"person {user}" for user in (*annotators, *adjudicators)}
    return Roster.of(Member(user=u, name=n, email="", is_adjudicator=u in adjudicators) for u, n in names.items())


def answer(user: int | str, outcome: Outcome = A, **override: Any) -> Answer:
    values: dict[str, Any] = {
        "id": 100 + int(user) if str(user).isdecimal() else 99,
        "task": 1,
        "completed_by": user,
        "result": result_of(Parsed(outcome=outcome)),
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:00Z",
        "lead_time": None,
        "was_cancelled": False,
    }
    return Answer(**(values | override))


def broken(user: int) -> Answer:
    return answer(user, result=result_of(Parsed(outcome=A, broken_a=True)))


def skip(user: int) -> Answer:
    return answer(user, was_cancelled=True, result=())


def stand(*answers: Answer, members: Roster | None = None, **dealing: Any) -> Stand:
    return dealer.stand_of(Dealing(**dealing), dealer.tally(answers), members or roster())


def test_a_vote_wants_three_people_and_each_that_votes_makes_it_one_less() -> None:
    assert stand().num_wanted == 3
    assert stand(answer(1)).num_wanted == 2
    assert stand(answer(1), answer(2, B), answer(3)).num_wanted == 0


def test_two_votes_of_one_person_count_once() -> None:
    assert stand(answer(1), answer(1, B, id=7)).num_wanted == 2


def test_of_two_votes_of_one_person_the_latest_counts() -> None:
    later = answer(1, B, id=7, updated_at="2026-01-01T00:00:00.5Z")
    for answers in ([later, answer(1)], [answer(1), later]):
        assert {user: cast.outcome for user, cast in dealer.tally(answers).votes.items()} == {1: B}


def test_a_skip_is_no_vote_and_takes_no_vote_back() -> None:
    assert stand(skip(1)).num_wanted == 3
    assert not stand(skip(1)).is_begun
    both = dealer.tally([answer(1), answer(1, was_cancelled=True, id=7)])
    assert both.votes.keys() == {1}
    assert not both.skippers


def test_what_cannot_be_read_is_no_vote() -> None:
    assert stand(answer(1, result=())).num_wanted == 3
    assert stand(answer(1, updated_at="yesterday")).num_wanted == 3
    assert dealer.tally([answer(1, result=())]).skippers == {1}


def test_a_vote_of_somebody_who_was_not_invited_takes_no_seat() -> None:
    assert stand(answer(77), answer("operator")).num_wanted == 3


def test_a_broken_pair_counts_as_voted_on() -> None:
    assert stand(broken(1), broken(2)).num_wanted == 1


def test_with_two_to_agree_out_of_three_the_third_is_asked_only_when_the_first_two_differ() -> None:
    assert stand(num_agreeing=2).num_wanted == 2
    assert stand(answer(1), num_agreeing=2).num_wanted == 1
    assert stand(answer(1), answer(2), num_agreeing=2).num_wanted == 0
    assert stand(answer(1), answer(2, B), num_agreeing=2).num_wanted == 1
    assert stand(answer(1), answer(2, B), answer(3, TIE), num_agreeing=2).num_wanted == 0


def test_broken_flags_agree_with_nobody() -> None:
    assert stand(broken(1), broken(2), num_agreeing=2).num_wanted == 1


def test_gold_wants_every_annotator_once_and_no_adjudicator() -> None:
    assert stand(purpose=Purpose.GOLD, num_votes=None).num_wanted == 5
    assert stand(answer(1), skip(2), answer(9), purpose=Purpose.GOLD, num_votes=None).num_wanted == 3


def test_what_is_withdrawn_wants_nobody() -> None:
    split = (answer(1), answer(2, B), answer(3, TIE))
    assert stand(is_withdrawn=True).num_wanted == 0
    assert not stand(*split, is_withdrawn=True).is_split


def test_three_ways_or_a_tie_of_the_leading_are_split() -> None:
    assert stand(answer(1), answer(2, B), answer(3, TIE)).is_split
    assert stand(answer(1), answer(2, B), num_votes=2).is_split
    assert stand(answer(1), answer(2, B), broken(3)).is_split
    assert stand(*(answer(u, o) for u, o in zip(ANNOTATORS, (A, A, B, B, TIE), strict=True)), num_votes=5).is_split


def test_a_leading_outcome_is_not_split() -> None:
    assert not stand(answer(1), answer(2), answer(3, B)).is_split
    assert not stand(answer(1), broken(2), broken(3)).is_split
    assert not stand(broken(1), broken(2), broken(3)).is_split


def test_a_split_waits_for_all_votes() -> None:
    assert not stand(answer(1), answer(2, B)).is_split


def test_one_adjudicator_is_enough_even_where_it_stays_split() -> None:
    votes = (answer(1), answer(2, B), broken(3))
    assert stand(*votes).is_split
    assert not stand(*votes, answer(9, TIE)).is_split


def test_a_split_that_a_later_adjudicator_voted_on_before_is_asked_of_another() -> None:
    assert stand(answer(1), answer(2, B), answer(9, TIE)).is_split
    assert not stand(answer(1), answer(2, B), answer(9, TIE), answer(8, TIE)).is_split


def test_gold_and_repeats_are_never_adjudicated() -> None:
    votes = (answer(1), answer(2, B), answer(3, TIE))
    for purpose in (Purpose.GOLD, Purpose.REPEAT, Purpose.SWAPPED_REPEAT):
        assert not stand(*votes, purpose=purpose).is_split


def test_a_repeat_is_due_after_ten_later_votes() -> None:
    moments = [(time_of(f"2026-01-01T00:00:{second:02}Z"), second) for second in range(DISTANCE + 1)]
    assert DISTANCE == 10
    assert dealer.is_due(moments[0], moments)
    assert not dealer.is_due(moments[1], moments)
    assert not dealer.is_due(moments[0], moments[:-1])


def test_priority_comes_first_then_what_was_begun() -> None:
    def place(number: int, priority: float, is_begun: bool) -> dealer.Place:
        return dealer.place_of(1, number, f"showing_{number}", priority=priority, is_begun=is_begun)

    expected = [place(4, 2.0, True), place(3, 2.0, False), place(2, 1.0, True), place(1, 1.0, False)]
    assert sorted(expected) == expected


def test_two_people_start_at_different_places() -> None:
    def order(user: int) -> list[int]:
        places = (dealer.place_of(user, n, f"showing_{n}", priority=0.0, is_begun=False) for n in range(50))
        return [place[-1] for place in sorted(places)]

    assert order(1) == order(1)
    assert len({tuple(order(user)[:3]) for user in range(8)}) == 8
    assert order(1) != sorted(order(1))


def strewn(user: int, num_ordinary: int, num_gold: int, num_repeats: int) -> list[Pool]:
    """A day in which one person is asked everything, where repeats are always due."""
    left = {Pool.ORDINARY: num_ordinary, Pool.GOLD: num_gold, Pool.REPEAT: num_repeats}
    shown: list[Pool] = []
    while any(left.values()):
        is_after_probe = bool(shown) and shown[-1] is not Pool.ORDINARY
        order = dealer.pools(user, len(shown), Left(*left.values()), is_after_probe=is_after_probe)
        assert len(set(order)) == 3
        assert Pool.ORDINARY in order[:2]  # a probe that may not come yet is waited for
        shown.append(next(pool for pool in order if left[pool]))
        left[shown[-1]] -= 1
    return shown


@given(user=st.integers(1, 999), num_ordinary=st.integers(1, 400), share=st.floats(0, 1), repeats=st.floats(0, 1))
def test_no_two_probes_follow_each_other_as_long_as_there_are_others(
    user: int, num_ordinary: int, share: float, repeats: float
) -> None:
    num_probes = int(num_ordinary * share)
    num_repeats = int(num_probes * repeats)
    shown = strewn(user, num_ordinary, num_probes - num_repeats, num_repeats)
    last = max(index for index, pool in enumerate(shown) if pool is Pool.ORDINARY)
    until = shown[: last + 1]
    assert shown[0] is Pool.ORDINARY
    assert not any(a is not Pool.ORDINARY and b is not Pool.ORDINARY for a, b in itertools.pairwise(until))
    assert len(shown) - len(until) <= 1


def test_probes_are_spread_evenly_over_the_day() -> None:
    for user in range(1, 9):
        shown = strewn(user, 1000, 60, 40)
        quarters = [shown[start : start + 275] for start in range(0, 1100, 275)]
        assert all(10 <= sum(pool is not Pool.ORDINARY for pool in quarter) <= 45 for quarter in quarters)
        assert all(quarter.count(Pool.GOLD) >= 3 and quarter.count(Pool.REPEAT) >= 3 for quarter in quarters)


def test_each_person_meets_probes_at_other_places_and_always_the_same() -> None:
    assert strewn(1, 100, 5, 5) == strewn(1, 100, 5, 5)
    assert len({tuple(strewn(user, 100, 5, 5)) for user in range(20)}) == 20
