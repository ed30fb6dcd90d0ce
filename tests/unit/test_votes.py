from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotate.board import Answer, task_of
from annotate.errors import AnswerUnreadable
from annotate.interface import Parsed, result_of
from annotate.votes import Annotator, counted, read_vote, said_of
from tests import factories
from tests.unit.test_interface import parsed_answers
from warehouse.records import Origin, Outcome, Purpose

ROLL = {"7": Annotator(name="ann", origin=Origin.HUMAN), "judge": Annotator(name="judge", origin=Origin.VLM)}


def answer(parsed: Parsed | None = None, **override: Any) -> Answer:
    return factories.answer(**({"result": result_of(parsed or Parsed(outcome=Outcome.A))} | override))


def test_an_answer_becomes_a_vote() -> None:
    vote = read_vote(answer(Parsed(outcome=Outcome.B, comment="sharper")), factories.showing(), ROLL)
    assert vote is not None
    assert (vote.pair_id, vote.annotator, vote.origin, vote.outcome) == ("pair_1", "ann", Origin.HUMAN, Outcome.B)
    assert (vote.is_known, vote.cast_at, vote.seconds) == (True, "2026-01-01T10:00:05Z", 9.5)
    assert vote.comment == "sharper"
    assert '"completed_by": 7' in vote.raw


def test_a_side_swapped_pair_is_read_the_other_way_round() -> None:
    swapped = factories.showing(is_swapped=True)
    outcomes = [read_vote(answer(Parsed(outcome=outcome)), swapped, ROLL).outcome for outcome in Outcome]
    assert outcomes == [Outcome.B, Outcome.TIE, Outcome.A]


@given(parsed_answers)
def test_the_same_belief_is_the_same_vote_whichever_side_it_was_shown_on(parsed: Parsed) -> None:
    straight = read_vote(answer(parsed), factories.showing(), ROLL)
    turned = read_vote(answer(parsed.swapped()), factories.showing(is_swapped=True), ROLL)
    assert straight.outcome == turned.outcome
    assert straight.comment == turned.comment


def test_the_task_that_is_shown_and_the_vote_that_is_read_swap_alike() -> None:
    videos = {"candidate_1": "file-of-1", "candidate_2": "file-of-2"}
    for showing in (factories.showing(is_swapped=False), factories.showing(is_swapped=True)):
        task = task_of(showing, factories.pair(), prompt="She waves.", references=["face"], videos=videos)
        likes_candidate_2 = Outcome.A if task.video_a == "file-of-2" else Outcome.B
        assert {task.video_a, task.video_b} == set(videos.values())
        assert read_vote(answer(Parsed(outcome=likes_candidate_2)), showing, ROLL).outcome is Outcome.B


def test_the_three_criteria_are_swapped_with_the_vote() -> None:
    said = Parsed(outcome=Outcome.TIE, face=Outcome.A, quality=Outcome.B, align=Outcome.TIE)
    vote = read_vote(answer(said), factories.showing(is_swapped=True), ROLL)
    assert (vote.outcome, vote.face, vote.quality, vote.align) == (Outcome.TIE, Outcome.B, Outcome.A, Outcome.TIE)
    assert vote.is_swapped


@pytest.mark.parametrize("purpose", Purpose)
def test_a_vote_says_why_it_was_asked_for_and_only_repeats_do_not_count(purpose: Purpose) -> None:
    vote = read_vote(answer(), factories.showing(purpose=purpose), ROLL)
    assert vote.purpose is purpose
    assert counted([vote]) == (() if purpose.is_repeat else (vote,))


def test_a_repeat_takes_no_vote_away_however_late_it_comes() -> None:
    first = factories.vote(outcome=Outcome.A)
    repeat = factories.vote(outcome=Outcome.B, purpose=Purpose.REPEAT, cast_at="2027-01-01T00:00:00Z")
    assert counted([first, repeat]) == (first,)


@pytest.mark.parametrize("is_swapped", [False, True])
def test_a_broken_flag_leaves_the_vote_without_outcome_and_names_the_right_candidate(is_swapped: bool) -> None:
    showing = factories.showing(is_swapped=is_swapped)
    given_answer = answer(Parsed(outcome=Outcome.B, broken_a=True))
    vote = read_vote(given_answer, showing, ROLL)
    assert vote.outcome is None
    assert counted([vote]) == ()
    said = said_of(given_answer, showing)
    assert (said.broken_a, said.broken_b) == (not is_swapped, is_swapped)


def test_a_skip_is_no_vote_even_where_something_was_chosen() -> None:
    assert read_vote(answer(was_cancelled=True), factories.showing(), ROLL) is None
    assert read_vote(answer(was_cancelled=True, result=()), factories.showing(), ROLL) is None


def test_an_unknown_annotators_vote_is_kept_and_never_counted() -> None:
    vote = read_vote(answer(completed_by=99), factories.showing(), ROLL)
    assert (vote.annotator, vote.is_known, vote.outcome) == ("99", False, Outcome.A)
    assert counted([vote]) == ()


def test_an_unknown_annotator_who_is_called_like_a_known_one_takes_no_vote_away() -> None:
    known = factories.vote(annotator="ann", outcome=Outcome.A)
    stranger = factories.vote(annotator="ann", outcome=Outcome.B, is_known=False, cast_at="2027-01-01T00:00:00Z")
    assert counted([known, stranger]) == (known,)


def test_a_judges_vote_runs_through_the_same_code_under_its_own_origin() -> None:
    assert read_vote(answer(completed_by="judge"), factories.showing(), ROLL).origin is Origin.VLM


def test_an_annotator_who_votes_twice_counts_once_with_the_latest_and_both_votes_are_kept() -> None:
    first = read_vote(answer(Parsed(outcome=Outcome.A)), factories.showing(), ROLL)
    twice = answer(Parsed(outcome=Outcome.B), id=12, updated_at="2026-01-01T10:01:00Z")
    second = read_vote(twice, factories.showing(), ROLL)
    assert first.vote_id != second.vote_id
    assert counted([first, second]) == counted([second, first]) == (second,)


def test_an_edit_is_the_same_vote_and_another_boards_answer_of_that_number_is_not() -> None:
    edit = answer(Parsed(outcome=Outcome.B), updated_at="2026-01-01T10:01:00Z")
    first, edited = (read_vote(one, factories.showing(), ROLL) for one in (answer(), edit))
    assert first.vote_id == edited.vote_id
    assert read_vote(answer(), factories.showing(board="other"), ROLL).vote_id != first.vote_id


def test_the_latest_is_found_by_time_and_not_by_spelling() -> None:
    earlier = factories.vote(outcome=Outcome.A, cast_at="2026-01-01T00:00:00Z")
    later = factories.vote(outcome=Outcome.B, cast_at="2026-01-01T00:00:00.5Z")
    elsewhere = factories.vote(outcome=Outcome.TIE, cast_at="2026-01-01T02:00:00+02:00")
    naive = factories.vote(outcome=Outcome.TIE, cast_at="2026-01-01T00:00:00")
    assert counted([later, earlier, elsewhere, naive]) == (later,)


def test_a_latest_vote_that_says_broken_takes_back_the_earlier_one() -> None:
    first = factories.vote(outcome=Outcome.A)
    second = factories.vote(outcome=None, cast_at="2026-01-02T00:00:00Z")
    assert counted([first, second]) == ()


@given(
    st.lists(st.tuples(st.sampled_from("xyz"), st.sampled_from("pq"), st.integers(0, 59), st.booleans())), st.randoms()
)
def test_counting_gives_one_vote_an_annotator_and_pair_in_any_order(drawn: list[Any], random) -> None:
    votes = [
        factories.vote(vote_id=f"vote_{index}", annotator=who, pair_id=pair, cast_at=f"2026-01-01T00:00:{second:02}Z")
        for index, (who, pair, second, _) in enumerate(drawn)
    ]
    found = counted(votes)
    assert {(vote.annotator, vote.pair_id) for vote in found} == {(who, pair) for who, pair, *_ in drawn}
    assert len({(vote.annotator, vote.pair_id) for vote in found}) == len(found)
    random.shuffle(votes)
    assert counted(votes) == found


def test_the_same_answer_read_twice_is_one_vote() -> None:
    assert read_vote(answer(), factories.showing(), ROLL) == read_vote(answer(), factories.showing(), ROLL)


@pytest.mark.parametrize(
    ("override", "found"),
    [
        ({"result": ()}, "answer 11 about pair_1: no vote"),
        ({"updated_at": "yesterday"}, "answer 11 about pair_1: .*yest"),
    ],
)
def test_an_unreadable_answer_is_named(override: dict[str, Any], found: str) -> None:
    with pytest.raises(AnswerUnreadable, match=found):
        read_vote(answer(**override), factories.showing(), ROLL)
