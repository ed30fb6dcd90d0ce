from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotate.board import Answer, task_of
from annotate.errors import AnswerUnreadable
from annotate.interface import Parsed, result_of
from annotate.votes import Annotator, counted, read_answers, read_vote, said_of
from tests import factories
from tests.unit.test_interface import parsed_answers
from warehouse.records import Origin, Outcome

ROLL = {"7": Annotator(name="ann", origin=Origin.HUMAN), "judge": Annotator(name="judge", origin=Origin.VLM)}


def answer(parsed: Parsed | None = None, **override: Any) -> Answer:
    values: dict[str, Any] = {
        "id": 11,
        "task": 1,
        "completed_by": 7,
        "result": result_of(parsed or Parsed(outcome=Outcome.A)),
        "created_at": "2026-01-01T10:00:00Z",
        "updated_at": "2026-01-01T10:00:05Z",
        "lead_time": 9.5,
        "was_cancelled": False,
    }
    return Answer(**(values | override))


def test_an_answer_becomes_a_vote() -> None:
    vote = read_vote(answer(Parsed(outcome=Outcome.B, comment="sharper")), factories.pair(), ROLL)
    assert vote is not None
    assert (vote.pair_id, vote.annotator, vote.origin, vote.outcome) == ("pair_1", "ann", Origin.HUMAN, Outcome.B)
    assert (vote.is_known, vote.cast_at, vote.seconds) == (True, "2026-01-01T10:00:05Z", 9.5)
    assert vote.comment == "sharper"
    assert '"completed_by": 7' in vote.raw


def test_a_side_swapped_pair_is_read_the_other_way_round() -> None:
    swapped = factories.pair(is_swapped=True)
    outcomes = [read_vote(answer(Parsed(outcome=outcome)), swapped, ROLL).outcome for outcome in Outcome]
    assert outcomes == [Outcome.B, Outcome.TIE, Outcome.A]


@given(parsed_answers)
def test_the_same_belief_is_the_same_vote_whichever_side_it_was_shown_on(parsed: Parsed) -> None:
    straight = read_vote(answer(parsed), factories.pair(), ROLL)
    turned = read_vote(answer(parsed.swapped()), factories.pair(is_swapped=True), ROLL)
    assert straight.outcome == turned.outcome
    assert straight.comment == turned.comment


def test_the_task_that_is_shown_and_the_vote_that_is_read_swap_alike() -> None:
    links = {"candidate_1": "link-of-1", "candidate_2": "link-of-2"}
    for pair in (factories.pair(is_swapped=False), factories.pair(is_swapped=True)):
        task = task_of(pair, prompt="She waves.", references=["face"], video_links=links)
        likes_candidate_2 = Outcome.A if task.video_a == "link-of-2" else Outcome.B
        assert {task.video_a, task.video_b} == set(links.values())
        assert read_vote(answer(Parsed(outcome=likes_candidate_2)), pair, ROLL).outcome is Outcome.B


@pytest.mark.parametrize("is_swapped", [False, True])
def test_a_broken_flag_leaves_the_vote_without_outcome_and_names_the_right_candidate(is_swapped: bool) -> None:
    pair = factories.pair(is_swapped=is_swapped)
    given_answer = answer(Parsed(outcome=Outcome.B, broken_a=True))
    vote = read_vote(given_answer, pair, ROLL)
    assert vote.outcome is None
    assert counted([vote]) == ()
    said = said_of(given_answer, pair)
    assert (said.broken_a, said.broken_b) == (not is_swapped, is_swapped)


def test_a_skip_is_no_vote_even_where_something_was_chosen() -> None:
    assert read_vote(answer(was_cancelled=True), factories.pair(), ROLL) is None
    assert read_vote(answer(was_cancelled=True, result=()), factories.pair(), ROLL) is None


def test_an_unknown_annotators_vote_is_kept_and_never_counted() -> None:
    vote = read_vote(answer(completed_by=99), factories.pair(), ROLL)
    assert (vote.annotator, vote.is_known, vote.outcome) == ("99", False, Outcome.A)
    assert counted([vote]) == ()


def test_an_unknown_annotator_who_is_called_like_a_known_one_takes_no_vote_away() -> None:
    known = factories.vote(annotator="ann", outcome=Outcome.A)
    stranger = factories.vote(annotator="ann", outcome=Outcome.B, is_known=False, cast_at="2027-01-01T00:00:00Z")
    assert counted([known, stranger]) == (known,)


def test_a_judges_vote_runs_through_the_same_code_under_its_own_origin() -> None:
    assert read_vote(answer(completed_by="judge"), factories.pair(), ROLL).origin is Origin.VLM


def test_an_annotator_who_votes_twice_counts_once_with_the_latest_and_both_votes_are_kept() -> None:
    first = read_vote(answer(Parsed(outcome=Outcome.A)), factories.pair(), ROLL)
    second = read_vote(answer(Parsed(outcome=Outcome.B), updated_at="2026-01-01T10:01:00Z"), factories.pair(), ROLL)
    assert first.vote_id != second.vote_id
    assert counted([first, second]) == counted([second, first]) == (second,)


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
    assert read_vote(answer(), factories.pair(), ROLL) == read_vote(answer(), factories.pair(), ROLL)


@pytest.mark.parametrize(
    ("override", "found"),
    [
        ({"result": ()}, "answer 11 about pair_1: no vote"),
        ({"updated_at": "yesterday"}, "answer 11 about pair_1: .*yest"),
    ],
)
def test_an_unreadable_answer_is_named(override: dict[str, Any], found: str) -> None:
    with pytest.raises(AnswerUnreadable, match=found):
        read_vote(answer(**override), factories.pair(), ROLL)


def test_one_unreadable_answer_costs_itself_alone() -> None:
    pair = factories.pair()
    task = task_of(pair, prompt=None, references=[], video_links={"candidate_1": "1", "candidate_2": "2"})
    lost = task_of(
        factories.pair(pair_id="pair_9"),
        prompt=None,
        references=[],
        video_links=dict.fromkeys(("candidate_1", "candidate_2"), "x"),
    )
    answers = [
        answer(id=1),
        answer(id=2, result=()),
        answer(id=3, was_cancelled=True),
        answer(id=4, task=404),
        answer(id=5, task=9),
        answer(id=6, completed_by="judge"),
    ]
    reading = read_answers(answers, tasks={1: task, 9: lost}, pairs={pair.pair_id: pair}, roll=ROLL)
    assert [vote.annotator for vote in reading.votes] == ["ann", "judge"]
    assert reading.num_skipped == 1
    assert reading.unreadable == (
        "answer 2 about pair_1: no vote among the answers []",
        "answer 4: the board lists no task 404",
        "answer 5: pair_9 is no pair of this warehouse",
    )
