from pathlib import Path

import pytest

from annotate.dealing.dealer import place_of, user_of
from annotate.dealing.deck import RECONCILE_S, Deck, Progress
from annotate.errors import BoardDown, NotDealt
from annotate.interface import Parsed
from tests.voting import ANN, BOB, CAT, TIE, A, B, Day, key, said, task
from warehouse.errors import LikenessError
from warehouse.records import Purpose


def test_nobody_may_answer_what_they_were_not_dealt(tmp_path: Path) -> None:
    day = Day(tmp_path, task("one"))
    assert "never given to you" in day.refusal(ANN, "one")
    assert "not on the board" in day.refusal(ANN, "nowhere")


def test_nobody_may_answer_twice(tmp_path: Path) -> None:
    day = Day(tmp_path, task("one"))
    day.vote(ANN, "one")
    assert "answered it already" in day.refusal(ANN, "one")


def test_a_refusal_is_an_error_of_the_board_with_its_exit_code() -> None:
    assert issubclass(NotDealt, LikenessError)
    assert NotDealt.exit_code == 9


def test_a_withdrawn_pair_is_neither_dealt_nor_answered(tmp_path: Path) -> None:
    day = Day(tmp_path, task("one"), task("two", priority=-1.0))
    assert day.next(ANN) == "one"
    day.board.withdraw(["one"])
    day.deck.refresh()
    assert "withdrawn" in day.refusal(ANN, "one")
    assert day.next(ANN) == "two"


def test_what_is_published_later_is_dealt_after_a_refresh(tmp_path: Path) -> None:
    day = Day(tmp_path)
    day.board.publish([task("one")])
    assert day.next(ANN) is None
    day.deck.refresh()
    assert day.next(ANN) == "one"


def test_a_deleted_task_is_dropped_at_the_next_reconcile(tmp_path: Path) -> None:
    day = Day(tmp_path, task("one"), task("two", priority=-1.0))
    assert day.next(ANN) == "one"
    day.board.erase_task(key("one"))
    day.now += RECONCILE_S
    day.deck.refresh()
    assert day.deck.task(key("one")) is None
    assert "not on the board" in day.refusal(ANN, "one")
    assert day.next(ANN) == "two"
    assert day.deck.progress(ANN) == Progress(0, 1)


def test_votes_on_a_deleted_task_count_as_done_no_more(tmp_path: Path) -> None:
    day = Day(tmp_path, task("one"))
    day.vote(ANN, "one")
    day.board.erase_task(key("one"))
    day.now += RECONCILE_S
    day.deck.refresh()
    assert day.deck.progress(ANN) == Progress(0, 0)


def test_a_deleted_repeat_is_not_missed_when_its_original_is_voted_on(tmp_path: Path) -> None:
    again = task("again", purpose=Purpose.REPEAT, num_votes=None, repeats="one")
    day = Day(tmp_path, task("one"), again)
    day.board.erase_task(key("again"))
    day.now += RECONCILE_S
    day.deck.refresh()
    day.vote(ANN, "one")
    assert day.next(ANN) is None


def test_a_pair_whose_only_vote_was_deleted_comes_no_earlier_than_others(tmp_path: Path) -> None:
    pairs = {key(f"pair {n}"): f"pair {n}" for n in range(40)}
    day = Day(tmp_path, *(task(showing) for showing in pairs.values()))
    first, begun = str(day.next(ANN)), str(day.next(BOB))
    day.board.erase_answer(day.put(BOB, begun))
    day.deck.refresh()
    day.put(ANN, first)
    places = (place_of(ANN, n, showing, priority=0.0, is_begun=False) for n, showing in pairs.items())
    assert begun not in [pairs[place[-1]] for place in sorted(places)[:2]]
    assert day.next(ANN) not in (first, begun)


def test_a_deleted_vote_opens_its_pair_again_even_to_its_author(tmp_path: Path) -> None:
    day = Day(tmp_path, task("one", num_votes=1))
    erased = day.vote(ANN, "one")
    assert day.next(BOB) is None
    day.board.erase_answer(erased)
    day.deck.refresh()
    assert day.deck.own(ANN, erased.id) is None
    day.vote(ANN, "one")


def test_an_edit_counts_at_once(tmp_path: Path) -> None:
    day = Day(tmp_path, task("one", num_agreeing=2))
    day.vote(ANN, "one", A)
    cast = day.vote(BOB, "one", A)
    assert day.next(CAT) is None
    edited = day.answer(BOB, "one", Parsed(outcome=B), id=cast.id, created_at=cast.created_at)
    day.board.submit([edited])
    day.deck.answered(BOB, key("one"), edited)
    assert day.next(CAT) == "one"


def test_a_vote_is_not_undone_by_a_refresh_that_began_before_it(tmp_path: Path) -> None:
    day = Day(tmp_path, task("one", num_votes=2))
    assert day.next(ANN) == "one"
    day.board.submit([day.answer(BOB, "one", Parsed(outcome=B))])
    day.board.meanwhile = lambda: None if day.deck.progress(ANN).num_done else void(day.put(ANN, "one"))
    day.deck.refresh()
    assert said(day, "one") == {ANN: A, BOB: B}
    assert day.next(CAT) is None
    day.deck.refresh()
    assert said(day, "one") == {ANN: A, BOB: B}


def test_an_edit_is_not_undone_by_a_refresh_that_began_before_it(tmp_path: Path) -> None:
    day = Day(tmp_path, task("one"))
    cast = day.vote(ANN, "one", A)
    day.board.submit([day.answer(BOB, "one", Parsed(outcome=B))])
    edited = day.answer(ANN, "one", Parsed(outcome=TIE), id=cast.id, created_at=cast.created_at)
    day.board.meanwhile = lambda: day.deck.answered(ANN, key("one"), edited)
    day.deck.refresh()
    assert said(day, "one") == {ANN: TIE, BOB: B}


def test_an_older_edit_that_is_told_late_changes_nothing(tmp_path: Path) -> None:
    day = Day(tmp_path, task("one"))
    cast = day.vote(ANN, "one", A)
    older = day.answer(ANN, "one", Parsed(outcome=TIE), id=cast.id, created_at=cast.created_at)
    newer = day.answer(ANN, "one", Parsed(outcome=B), id=cast.id, created_at=cast.created_at)
    day.deck.answered(ANN, key("one"), newer)
    day.deck.answered(ANN, key("one"), older)
    assert said(day, "one") == {ANN: B}


def test_a_vote_of_somebody_else_is_not_taken_for_ones_own(tmp_path: Path) -> None:
    day = Day(tmp_path, task("one"))
    with pytest.raises(ValueError, match="is by 2 on task"):
        day.deck.answered(ANN, key("one"), day.answer(BOB, "one", Parsed(outcome=A)))


def void(_: object) -> None:
    return None


def test_a_failing_board_leaves_the_deck_as_it_was(tmp_path: Path) -> None:
    day = Day(tmp_path, task("one"))
    day.board.publish([task("two")])
    day.board.is_down = True
    with pytest.raises(BoardDown):
        day.deck.refresh()
    day.vote(ANN, "one")
    day.board.is_down = False
    day.deck.refresh()
    assert day.next(ANN) == "two"


def test_a_person_owns_their_answers_and_no_others(tmp_path: Path) -> None:
    day = Day(tmp_path, task("one"), task("two", priority=-1.0))
    cast, skipped = day.vote(ANN, "one"), day.vote(ANN, "two", None)
    assert day.deck.own(ANN, cast.id) == key("one")
    assert day.deck.own(ANN, skipped.id) == key("two")
    assert day.deck.own(BOB, cast.id) is None
    assert day.deck.own(ANN, 999) is None


def test_dealt_tells_what_was_shown_the_oldest_first(tmp_path: Path) -> None:
    day = Day(tmp_path, *(task(f"pair {n}", priority=-float(n)) for n in range(4)))
    for n in range(3):
        day.vote(ANN, f"pair {n}", A if n != 1 else None)
    day.next(ANN)
    assert [shown.task.showing_id for shown in day.deck.dealt(ANN)] == [f"pair {n}" for n in range(4)]
    assert [len(shown.answers) for shown in day.deck.dealt(ANN)] == [1, 1, 1, 0]
    assert day.deck.dealt(BOB) == ()


def test_a_person_is_shown_again_what_was_dealt_to_them_with_their_answers_alone(tmp_path: Path) -> None:
    day = Day(tmp_path, task("one"), task("two", priority=-1.0))
    day.vote(ANN, "one")
    day.vote(BOB, "one", B)
    (alone,) = day.deck.dealt(BOB)
    assert day.deck.shown(BOB, key("one")) == alone
    assert [user_of(answer) for answer in alone.answers] == [BOB]
    assert day.deck.shown(BOB, key("two")) is None
    assert day.next(BOB) == "two"
    assert day.deck.shown(BOB, key("two")) is not None
    assert day.deck.shown(77, key("one")) is None


def test_an_answer_that_comes_before_the_board_was_read_is_told_to_wait(tmp_path: Path) -> None:
    day = Day(tmp_path, task("one"))
    day.next(ANN)
    day.deck = Deck(day.board, members=day.members, leases=day.leases, clock=lambda: day.now)
    assert "still being read" in day.refusal(ANN, "one")
    day.deck.refresh()
    day.put(ANN, "one")


def test_progress_tells_votes_and_what_is_open(tmp_path: Path) -> None:
    tasks = [task(f"pair {n}", num_votes=1) for n in range(5)]
    day = Day(tmp_path, *tasks, task("gold", purpose=Purpose.GOLD, num_votes=None))
    assert day.deck.progress(ANN) == Progress(num_done=0, num_open=6)
    day.put(ANN, str(day.next(ANN)))
    day.put(ANN, str(day.next(ANN)), None)
    held = day.deck.next_for(ANN)
    assert held is not None
    assert day.deck.progress(ANN) == Progress(num_done=1, num_open=4)
    assert day.deck.progress(BOB).num_open == 6 - 1 - 1 + (held.task.dealing.num_votes is None)
