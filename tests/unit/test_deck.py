from pathlib import Path

from annotate.board import AnsweredTask
from annotate.dealing.dealer import DISTANCE, user_of
from annotate.dealing.deck import Progress
from tests.voting import ANN, BOB, CAT, DAN, JUDGE, OTHER_JUDGE, TIE, A, B, Day, key, task
from warehouse.records import Purpose


def test_what_is_dealt_is_the_task_as_it_was_published(tmp_path: Path) -> None:
    day = Day(tmp_path, task("one"))
    assert day.deck.next_for(ANN) == AnsweredTask(number=key("one"), task=task("one"), answers=())


def test_a_reload_gives_the_same_pair_again(tmp_path: Path) -> None:
    day = Day(tmp_path, *(task(f"pair {n}") for n in range(20)))
    first = day.next(ANN)
    assert {day.next(ANN) for _ in range(5)} == {first}


def test_who_was_not_invited_gets_nothing(tmp_path: Path) -> None:
    day = Day(tmp_path, task("one"))
    assert day.next(77) is None
    assert "not invited" in day.refusal(77, "one")
    assert day.deck.progress(77) == Progress(0, 0)
    assert day.deck.dealt(77) == ()


def test_who_is_invited_later_gets_pairs_without_a_restart(tmp_path: Path) -> None:
    day = Day(tmp_path, task("one"), annotators=())
    assert day.next(ANN) is None
    day.people[ANN] = False
    assert day.next(ANN) == "one"


def test_votes_of_others_are_never_dealt_out(tmp_path: Path) -> None:
    day = Day(tmp_path, task("one"))
    day.vote(ANN, "one")
    dealt = day.deck.next_for(BOB)
    assert dealt is not None
    assert dealt.answers == ()
    day.put(BOB, "one", B)
    assert [user_of(answer) for shown in day.deck.dealt(BOB) for answer in shown.answers] == [BOB]


def test_a_pair_goes_to_three_people_at_once_and_not_to_a_fourth(tmp_path: Path) -> None:
    day = Day(tmp_path, task("one"))
    assert [day.next(user) for user in (ANN, BOB, CAT, DAN)] == ["one", "one", "one", None]


def test_a_pair_is_closed_by_its_third_vote(tmp_path: Path) -> None:
    day = Day(tmp_path, task("one"))
    for user in (ANN, BOB, CAT):
        day.vote(user, "one")
    assert day.next(DAN) is None


def test_where_two_agree_the_third_is_not_asked(tmp_path: Path) -> None:
    day = Day(tmp_path, task("one", num_agreeing=2))
    day.vote(ANN, "one", A)
    day.vote(BOB, "one", A)
    assert day.next(CAT) is None


def test_where_two_must_agree_a_third_waits_until_they_differ(tmp_path: Path) -> None:
    day = Day(tmp_path, task("one", num_agreeing=2))
    assert [day.next(ANN), day.next(BOB), day.next(CAT)] == ["one", "one", None]
    day.put(ANN, "one", A)
    assert day.next(CAT) is None
    day.put(BOB, "one", B)
    day.vote(CAT, "one")
    assert day.next(DAN) is None


def test_a_skipped_pair_goes_to_others_and_never_back(tmp_path: Path) -> None:
    day = Day(tmp_path, task("one"))
    day.vote(ANN, "one", None)
    assert day.next(ANN) is None
    for user in (BOB, CAT, DAN):
        day.vote(user, "one")


def test_who_skipped_may_think_again_while_there_is_a_seat(tmp_path: Path) -> None:
    day = Day(tmp_path, task("one", num_votes=1))
    skipped = day.vote(ANN, "one", None)
    day.put(ANN, "one", B, id=skipped.id)
    assert day.next(BOB) is None
    assert day.deck.progress(ANN) == Progress(num_done=1, num_open=0)


def test_who_skipped_is_refused_when_others_filled_the_seats(tmp_path: Path) -> None:
    day = Day(tmp_path, task("one", num_votes=1))
    day.vote(ANN, "one", None)
    day.vote(BOB, "one")
    assert "others have taken it over" in day.refusal(ANN, "one")


def test_gold_is_asked_of_everybody_once(tmp_path: Path) -> None:
    day = Day(tmp_path, task("gold", purpose=Purpose.GOLD, num_votes=None))
    for user in (ANN, BOB, CAT, DAN):
        day.vote(user, "gold")
    assert [day.next(user) for user in (ANN, BOB, CAT, DAN)] == [None] * 4
    day.people[7] = False
    assert day.next(7) == "gold"


def test_a_repeat_comes_only_to_those_who_voted_on_its_original(tmp_path: Path) -> None:
    again = task("again", purpose=Purpose.SWAPPED_REPEAT, num_votes=None, repeats="one")
    day = Day(tmp_path, task("one", num_votes=1), again)
    day.vote(ANN, "one")
    assert day.next(BOB) is None
    assert day.next(ANN) == "again"


def test_a_skip_of_the_original_brings_no_repeat(tmp_path: Path) -> None:
    day = Day(tmp_path, task("one"), task("again", purpose=Purpose.REPEAT, num_votes=None, repeats="one"))
    day.vote(ANN, "one", None)
    assert day.next(ANN) is None


def test_a_repeat_keeps_its_distance_while_there_is_something_else(tmp_path: Path) -> None:
    ordinary = [task(f"pair {n}", num_votes=1) for n in range(DISTANCE + 5)]
    again = [
        task(f"again {n}", purpose=Purpose.REPEAT, num_votes=None, repeats=f"pair {n}") for n in range(len(ordinary))
    ]
    day = Day(tmp_path, *ordinary, *again)
    shown: list[str] = []
    while (showing := day.next(ANN)) is not None:
        shown.append(showing)
        day.put(ANN, showing)
    assert sorted(shown) == sorted(each.showing_id for each in (*ordinary, *again))
    gaps = {n: shown.index(f"again {n}") - shown.index(f"pair {n}") - 1 for n in range(len(ordinary))}
    last_ordinary = max(shown.index(each.showing_id) for each in ordinary)
    assert all(gap >= DISTANCE for n, gap in gaps.items() if shown.index(f"again {n}") < last_ordinary)
    assert any(shown.index(f"again {n}") < last_ordinary for n in gaps)


def split(day: Day, showing: str = "one") -> None:
    for user, outcome in zip((ANN, BOB, CAT), (A, TIE, B), strict=True):
        day.vote(user, showing, outcome)


def test_a_split_pair_goes_to_one_adjudicator(tmp_path: Path) -> None:
    day = Day(tmp_path, task("one"))
    day.people |= {JUDGE: True, OTHER_JUDGE: True}
    assert day.next(JUDGE) is None
    split(day)
    assert day.next(DAN) is None
    assert day.next(JUDGE) == "one"
    assert day.next(OTHER_JUDGE) is None
    day.put(JUDGE, "one", B)
    assert [day.next(JUDGE), day.next(OTHER_JUDGE)] == [None, None]


def test_a_split_pair_that_an_adjudicator_skips_goes_to_another(tmp_path: Path) -> None:
    day = Day(tmp_path, task("one"))
    day.people |= {JUDGE: True, OTHER_JUDGE: True}
    split(day)
    day.vote(JUDGE, "one", None)
    assert day.next(JUDGE) is None
    day.vote(OTHER_JUDGE, "one")


def test_adjudicators_see_neither_ordinary_pairs_nor_probes(tmp_path: Path) -> None:
    day = Day(tmp_path, task("one"), task("gold", purpose=Purpose.GOLD, num_votes=None))
    day.people[JUDGE] = True
    assert day.next(JUDGE) is None
    assert day.deck.progress(JUDGE) == Progress(0, 0)


def test_without_an_adjudicator_a_split_pair_stays_split(tmp_path: Path) -> None:
    day = Day(tmp_path, task("one"))
    split(day)
    assert [day.next(user) for user in (ANN, BOB, CAT, DAN)] == [None] * 4


def test_somebody_made_adjudicator_is_asked_from_then_on_about_splits_alone(tmp_path: Path) -> None:
    day = Day(tmp_path, task("one"), task("gold", purpose=Purpose.GOLD, num_votes=None))
    for user, outcome in zip((ANN, BOB, CAT), (A, TIE, B), strict=True):
        assert day.next(user) == "one"
        day.put(user, "one", outcome)
    day.people[DAN] = True
    assert day.next(DAN) == "one"


def test_higher_priority_comes_first(tmp_path: Path) -> None:
    day = Day(tmp_path, *(task(f"pair {n}", priority=float(n)) for n in range(5)))
    shown = []
    for _ in range(5):
        shown.append(day.next(ANN))
        day.put(ANN, str(shown[-1]))
    assert shown == [f"pair {n}" for n in (4, 3, 2, 1, 0)]


def test_a_priority_that_changes_is_followed(tmp_path: Path) -> None:
    day = Day(tmp_path, *(task(f"pair {n}") for n in range(9)))
    last = {f"pair {n}" for n in range(9)} - {day.next(ANN)}
    day.board.prioritise(key(min(last)), 1.0)
    day.board.prioritise(key(str(day.next(ANN))), -1.0)
    day.deck.refresh()
    day.put(ANN, str(day.next(ANN)))
    assert day.next(ANN) == min(last)


def test_a_pair_that_was_begun_comes_before_untouched_ones(tmp_path: Path) -> None:
    day = Day(tmp_path, *(task(f"pair {n}") for n in range(40)))
    begun = str(day.next(ANN))
    day.put(ANN, begun)
    assert [day.next(user) for user in (BOB, CAT)] == [begun, begun]


def test_probes_are_met_all_day_long(tmp_path: Path) -> None:
    ordinary = [task(f"pair {n}") for n in range(200)]
    gold = [task(f"gold {n}", purpose=Purpose.GOLD, num_votes=None) for n in range(16)]
    again = [task(f"again {n}", purpose=Purpose.REPEAT, num_votes=None, repeats=f"pair {n}") for n in range(20)]
    day = Day(tmp_path, *ordinary, *gold, *again)
    met: dict[int, list[Purpose]] = {user: [] for user in day.people}
    while sum(len(seen) for seen in met.values()) < 3 * 200 + 4 * 16 + 3 * 20:
        for user in day.people:
            shown = day.deck.next_for(user)
            if shown is not None:
                met[user].append(shown.task.dealing.purpose)
                day.put(user, shown.task.showing_id)
    for quarter in range(4):
        parts = [seen[len(seen) * quarter // 4 : len(seen) * (quarter + 1) // 4] for seen in met.values()]
        assert 11 <= sum(part.count(Purpose.GOLD) for part in parts) <= 21
        assert 5 <= sum(part.count(Purpose.REPEAT) for part in parts) <= 25


def test_the_same_day_is_dealt_the_same_way(tmp_path: Path) -> None:
    def shown(folder: Path) -> list[str | None]:
        day = Day(folder, *(task(f"pair {n}") for n in range(30)))
        seen = []
        for turn in range(60):
            user = (ANN, BOB, CAT, DAN)[turn * 7 % 4]
            seen.append(day.next(user))
            if seen[-1] is not None:
                day.put(user, seen[-1], (A, TIE, B)[turn % 3])
        return seen

    assert shown(tmp_path / "one") == shown(tmp_path / "two")
