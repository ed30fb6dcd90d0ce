import json
from pathlib import Path

import pytest

from annotate.dealing.deck import Progress
from annotate.dealing.leases import CLAIM_S, LEASE_S, Leases
from annotate.errors import BoardDamaged
from annotate.interface import Parsed
from tests.voting import ANN, BOB, CAT, DAN, START, A, B, Day, key, task


def test_a_lapsed_lease_frees_the_seat(tmp_path: Path) -> None:
    day = Day(tmp_path, task("one", num_votes=1))
    assert [day.next(ANN), day.next(BOB)] == ["one", None]
    day.now += LEASE_S - 1
    assert day.next(BOB) is None
    day.now += 1
    assert day.next(BOB) == "one"


def test_a_reload_keeps_the_pair_for_longer(tmp_path: Path) -> None:
    day = Day(tmp_path, task("one", num_votes=1))
    day.next(ANN)
    day.now += LEASE_S / 2
    day.next(ANN)
    day.now += LEASE_S - 1
    assert day.next(BOB) is None
    day.now += 1
    assert day.next(BOB) == "one"


def test_an_answer_that_never_arrived_does_not_shorten_the_lease(tmp_path: Path) -> None:
    day = Day(tmp_path, task("one", num_votes=1))
    day.next(ANN)
    day.deck.may_answer(ANN, key("one"))
    day.now += CLAIM_S + 1
    assert day.next(BOB) is None
    day.put(ANN, "one")


def test_a_late_vote_is_taken_while_the_seat_is_free(tmp_path: Path) -> None:
    day = Day(tmp_path, task("one", num_votes=1))
    day.next(ANN)
    day.now += LEASE_S * 3
    day.put(ANN, "one")
    assert day.next(BOB) is None


def test_a_late_vote_is_refused_when_others_have_the_seat(tmp_path: Path) -> None:
    day = Day(tmp_path, task("one", num_votes=1))
    day.next(ANN)
    day.now += LEASE_S
    assert day.next(BOB) == "one"
    assert "others have taken it over" in day.refusal(ANN, "one")
    day.put(BOB, "one")
    assert "others have taken it over" in day.refusal(ANN, "one")


def test_a_seat_is_kept_for_a_late_answer_on_its_way_and_freed_when_it_never_comes(tmp_path: Path) -> None:
    day = Day(tmp_path, task("one", num_votes=1))
    day.next(ANN)
    day.now += LEASE_S
    day.deck.may_answer(ANN, key("one"))
    assert day.next(BOB) is None
    day.now += CLAIM_S
    assert day.next(BOB) == "one"


def test_a_seat_is_kept_for_an_answer_on_its_way_though_its_author_loads_the_next(tmp_path: Path) -> None:
    day = Day(tmp_path, task("one", num_votes=1, priority=1.0), task("two", num_votes=1))
    day.next(ANN)
    day.now += LEASE_S
    day.deck.may_answer(ANN, key("one"))
    assert day.next(ANN) == "two"
    assert day.next(BOB) is None


def test_a_pair_that_closes_while_somebody_looks_at_it_still_takes_their_vote(tmp_path: Path) -> None:
    day = Day(tmp_path, task("one", num_agreeing=2))
    day.vote(ANN, "one", A)
    cast = day.vote(BOB, "one", B)
    assert day.next(CAT) == "one"
    edited = day.answer(BOB, "one", Parsed(outcome=A), id=cast.id, created_at=cast.created_at)
    day.deck.answered(BOB, key("one"), edited)
    assert day.next(DAN) is None
    day.put(CAT, "one")


def test_after_a_restart_people_can_answer_what_is_on_their_screens(tmp_path: Path) -> None:
    day = Day(tmp_path, *(task(f"pair {n}", num_votes=1) for n in range(9)))
    screens = {user: str(day.next(user)) for user in (ANN, BOB, CAT)}
    day.now += 60
    day.restart()
    assert screens == {user: day.next(user) for user in (ANN, BOB, CAT)}
    assert len(set(screens.values())) == 3
    assert day.next(DAN) not in screens.values()
    day.restart()
    for user, showing in screens.items():
        day.put(user, showing)


def test_a_restart_knows_who_answered_what(tmp_path: Path) -> None:
    day = Day(tmp_path, task("one"), task("two", priority=-1.0))
    day.vote(ANN, "one")
    day.vote(ANN, "two", None)
    before = day.deck.dealt(ANN)
    day.restart()
    assert day.next(ANN) is None
    assert day.deck.dealt(ANN) == before
    assert day.deck.progress(ANN) == Progress(1, 0)


def test_a_restart_does_not_bring_lapsed_leases_back(tmp_path: Path) -> None:
    day = Day(tmp_path, task("one", num_votes=1))
    day.next(ANN)
    day.now += LEASE_S
    day.restart()
    assert day.next(BOB) == "one"


def test_where_the_leases_were_lost_votes_are_still_ones_own(tmp_path: Path) -> None:
    day = Day(tmp_path, task("one"), task("two", priority=-1.0))
    cast = day.vote(ANN, "one")
    assert day.next(ANN) == "two"
    day.leases.unlink()
    day.restart()
    assert "never given to you" in day.refusal(ANN, "two")
    assert [shown.task.showing_id for shown in day.deck.dealt(ANN)] == ["one"]
    assert day.deck.own(ANN, cast.id) == key("one")
    assert day.next(ANN) == "two"


def test_what_was_dealt_again_was_dealt_last_before_and_after_a_restart(tmp_path: Path) -> None:
    leases = Leases(tmp_path / "leases")
    for at, dealt in enumerate((10, 11, 10)):
        leases.deal(ANN, dealt, START + at)
    for each in (leases, Leases(tmp_path / "leases")):
        assert each.latest(ANN) == each.held(ANN) == 10
        assert [*each.dealt(ANN)] == [11, 10]


def test_a_deal_adds_one_short_line_and_a_restart_keeps_one_of_each_pair(tmp_path: Path) -> None:
    day = Day(tmp_path, task("one"))
    for _ in range(5):
        day.next(ANN)
    lines = day.leases.read_text().splitlines()
    assert len(lines) == 5
    assert max(map(len, lines)) < 80
    day.restart()
    assert [json.loads(line) for line in day.leases.read_text().splitlines()] == [json.loads(lines[-1])]


def test_a_line_that_a_killed_gateway_left_unfinished_is_cut_off(tmp_path: Path) -> None:
    day = Day(tmp_path, task("one", num_votes=1))
    day.next(ANN)
    whole = day.leases.read_bytes()
    day.leases.write_bytes(whole + b'{"user": 2, "ta')
    day.restart()
    assert day.leases.read_bytes() == whole
    day.put(ANN, "one")


def test_a_damaged_lease_file_is_named_with_its_line(tmp_path: Path) -> None:
    day = Day(tmp_path, task("one"))
    day.leases.parent.mkdir(exist_ok=True)
    day.leases.write_text("hello\n")
    with pytest.raises(BoardDamaged, match="line 1 is no deal"):
        day.restart()
