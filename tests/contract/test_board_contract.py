"""What every `PairBoard` must do. Another board joins by a class with a fixture `bench`, as those below.

The Label Studio board's is in `tests/live/test_labelstudio_board.py`.
"""

import json
import multiprocessing
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any, Protocol

import pytest

from annotate.board import Answer, AnsweredTask, Arrivals, Dealing, PairBoard, PairTask, number
from annotate.errors import BoardDamaged, BoardRefused
from annotate.interface import Parsed, parse_result, result_of
from annotate.memory_board import MemoryBoard
from warehouse.records import Outcome, Purpose


class Give(Protocol):
    def __call__(self, showing_id: str, who: str, outcome: Outcome, *, is_skip: bool = False) -> None:
        """Who answered before edits that answer."""
        ...


@dataclass(kw_only=True)
class Bench:
    """A board, and the hands that click on its page."""

    board: PairBoard
    again: Callable[[], PairBoard]
    """The same board, opened once more."""
    give: Give


def task(showing_id: str, **override: Any) -> PairTask:
    values: dict[str, Any] = {
        "showing_id": showing_id,
        "prompt": "Zoë waves;\nthen <leaves> \N{WAVING HAND SIGN}.",
        "references": ("face.jpg",),
        "video_a": "left.mp4",
        "video_b": "right.mp4",
        "dealing": Dealing(),
    }
    return PairTask(**(values | override))


def tasks_of(arrivals: Arrivals) -> dict[str, AnsweredTask]:
    """By showing id."""
    found = {one.task.showing_id: one for one in arrivals.tasks}
    assert len(found) == len(arrivals.tasks)
    return found


def said(answers: Iterable[Answer]) -> list[str]:
    return sorted("skip" if one.was_cancelled else parse_result(one.result).outcome.value for one in answers)


def state_of(tasks: Iterable[AnsweredTask]) -> dict[str, tuple[PairTask, list[str]]]:
    return {one.task.showing_id: (one.task, said(one.answers)) for one in tasks}


class BoardContract:
    def test_an_empty_board_has_nothing_and_its_mark_is_good(self, bench: Bench) -> None:
        nothing = bench.board.changes()
        assert (dict(bench.board.numbers()), nothing.tasks) == ({}, ())
        bench.board.publish([task("one")])
        assert list(tasks_of(bench.board.changes(nothing.mark))) == ["one"]

    def test_its_name_stays(self, bench: Bench) -> None:
        name = bench.board.name
        bench.board.publish([task("one")])
        assert name
        assert bench.again().name == bench.board.name == name

    def test_what_is_published_comes_back_as_it_was_given(self, bench: Bench) -> None:
        repeat = Dealing(purpose=Purpose.SWAPPED_REPEAT, repeats="one", num_votes=None, num_agreeing=2, priority=-0.125)
        shown = [
            task("one"),
            task("two", prompt=None, references=()),
            task("three", references=("a.jpg", "b.png", "a.jpg"), dealing=repeat, faces=(0.25, 0.0, 0.5, 0.125)),
            task("four", dealing=Dealing(purpose=Purpose.GOLD, num_votes=None, is_withdrawn=True)),
        ]
        assert bench.board.publish(shown) == 4
        found = tasks_of(bench.again().changes())
        assert [found[one.showing_id].task for one in shown] == shown
        assert {name: one.number for name, one in found.items()} == dict(bench.board.numbers())

    def test_a_showing_is_put_up_once_and_stays_as_it_is_however_often_it_is_sent(self, bench: Bench) -> None:
        assert bench.board.publish([task("one"), task("one")]) == 1
        before = dict(bench.board.numbers())
        assert bench.again().publish([task("one", prompt="another"), task("two")]) == 1
        assert bench.board.publish([task("one"), task("two")]) == 0
        found = tasks_of(bench.board.changes())
        assert sorted(found) == ["one", "two"]
        assert found["one"].task == task("one")
        assert bench.board.numbers()["one"] == before["one"]

    def test_publishing_nothing_is_nothing(self, bench: Bench) -> None:
        assert bench.board.publish([]) == 0
        assert dict(bench.board.numbers()) == {}

    def test_an_answer_names_its_task_its_author_and_what_was_said(self, bench: Bench) -> None:
        bench.board.publish([task("one"), task("two")])
        bench.give("two", "ann", Outcome.B)
        bench.give("two", "bob", Outcome.TIE)
        bench.give("one", "bob", Outcome.A)
        found = tasks_of(bench.board.changes())
        ann, bob = sorted(found["two"].answers, key=lambda one: one.created_at)
        assert ann.task == bob.task == bench.board.numbers()["two"]
        assert (said([ann]), said([bob])) == (["B"], ["tie"])
        assert ann.completed_by != bob.completed_by == found["one"].answers[0].completed_by
        assert not ann.was_cancelled
        assert len({ann.id, bob.id, found["one"].answers[0].id}) == 3

    def test_a_task_comes_with_every_answer_that_stands_on_it(self, bench: Bench) -> None:
        bench.board.publish([task("one"), task("two")])
        bench.give("one", "ann", Outcome.A)
        mark = bench.board.changes().mark
        bench.give("one", "bob", Outcome.TIE)
        assert said(tasks_of(bench.board.changes(mark))["one"].answers) == ["A", "tie"]

    def test_an_edit_keeps_its_id_and_comes_again(self, bench: Bench) -> None:
        bench.board.publish([task("one")])
        bench.give("one", "ann", Outcome.A)
        before = bench.board.changes()
        bench.give("one", "ann", Outcome.B)
        (edited,) = tasks_of(bench.board.changes(before.mark))["one"].answers
        (first,) = before.tasks[0].answers
        assert edited.id == first.id
        assert (said([first]), said([edited])) == (["A"], ["B"])
        assert edited.updated_at > first.updated_at
        assert edited.created_at == first.created_at

    def test_a_skip_is_an_answer_marked_as_cancelled(self, bench: Bench) -> None:
        bench.board.publish([task("one")])
        bench.give("one", "ann", Outcome.A, is_skip=True)
        (skip,) = tasks_of(bench.board.changes())["one"].answers
        assert skip.was_cancelled

    def test_what_is_withdrawn_says_so_and_keeps_its_answers(self, bench: Bench) -> None:
        bench.board.publish([task("one"), task("two"), task("three")])
        bench.give("one", "ann", Outcome.A)
        before = bench.board.changes()
        assert bench.board.withdraw(["one", "two", "unknown"]) == 2
        assert bench.again().withdraw(["two", "three"]) == 1
        assert bench.board.withdraw([]) == 0
        assert bench.board.publish([task("one")]) == 0
        delta = tasks_of(bench.board.changes(before.mark))
        assert all(
            delta[name].task == task(name, dealing=Dealing(is_withdrawn=True)) for name in ("one", "two", "three")
        )
        assert said(delta["one"].answers) == ["A"]
        assert sorted(bench.board.numbers()) == ["one", "three", "two"]

    def test_deltas_add_up_to_the_whole(self, bench: Bench) -> None:
        state: dict[str, AnsweredTask] = {}
        mark: str | None = None
        steps: list[Callable[[], object]] = [
            lambda: bench.board.publish([task(f"s{index}") for index in range(5)]),
            lambda: bench.give("s1", "ann", Outcome.A),
            lambda: bench.give("s1", "bob", Outcome.B),
            lambda: bench.give("s2", "ann", Outcome.TIE, is_skip=True),
            lambda: bench.give("s1", "ann", Outcome.TIE),
            lambda: bench.board.withdraw(["s3"]),
            lambda: bench.board.publish([task("s5"), task("s1")]),
            lambda: bench.give("s2", "bob", Outcome.B),
        ]
        for step in steps:
            step()
            arrivals = bench.board.changes(mark)
            state.update(tasks_of(arrivals))
            mark = arrivals.mark
            assert state_of(state.values()) == state_of(bench.again().changes().tasks)
        assert said(state["s1"].answers) == ["B", "tie"]
        assert said(state["s2"].answers) == ["B", "skip"]

    def test_an_old_mark_gives_all_that_came_after_it(self, bench: Bench) -> None:
        bench.board.publish([task("one"), task("two")])
        old = bench.board.changes().mark
        bench.give("one", "ann", Outcome.A)
        bench.board.changes(bench.board.changes(old).mark)
        bench.give("two", "ann", Outcome.B)
        found = tasks_of(bench.again().changes(old))
        assert (said(found["one"].answers), said(found["two"].answers)) == (["A"], ["B"])


def memory_bench(path: Path | None) -> Bench:
    board = MemoryBoard(path)
    clicks = iter(range(60))
    cast_at: dict[tuple[str, str], str] = {}

    def give(showing_id: str, who: str, outcome: Outcome, *, is_skip: bool = False) -> None:
        task, at = board.numbers()[showing_id], f"2026-01-01T00:00:{next(clicks):02}Z"
        given = answer(
            task=task,
            id=number(task, who),
            completed_by=who,
            created_at=cast_at.setdefault((showing_id, who), at),
            updated_at=at,
            was_cancelled=is_skip,
            result=result_of(Parsed(outcome=outcome)),
        )
        assert board.submit([given]) == 1

    return Bench(board=board, again=lambda: board if path is None else MemoryBoard(path), give=give)


class TestMemoryBoard(BoardContract):
    @pytest.fixture
    def bench(self) -> Bench:
        return memory_bench(None)


class TestMemoryBoardInAFile(BoardContract):
    @pytest.fixture
    def bench(self, tmp_path: Path) -> Bench:
        return memory_bench(tmp_path / "boards" / "board.jsonl")


# What follows is the memory board's own: its file, and its hand for those who need no page.


def answer(**override: Any) -> Answer:
    values: dict[str, Any] = {
        "id": 1,
        "task": number("task", "one"),
        "completed_by": "ann",
        "result": result_of(Parsed(outcome=Outcome.A)),
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:00Z",
        "lead_time": None,
        "was_cancelled": False,
    }
    return Answer(**(values | override))


def num_answers(board: MemoryBoard) -> int:
    return sum(len(one.answers) for one in board.changes().tasks)


def test_an_answer_to_a_task_that_is_not_up_is_refused_and_nothing_of_its_batch_is_kept() -> None:
    board = MemoryBoard()
    board.publish([task("one")])
    with pytest.raises(BoardRefused, match="no task 404"):
        board.submit([answer(), answer(id=2, task=404)])
    assert num_answers(board) == 0


def test_boards_on_one_file_see_each_other(tmp_path: Path) -> None:
    first, second = (MemoryBoard(tmp_path / "board.jsonl") for _ in range(2))
    assert first.publish([task("one")]) == 1
    assert second.publish([task("one"), task("two")]) == 1
    assert second.submit([answer()]) == 1
    assert first.submit([answer()]) == 0
    assert first.withdraw(["two"]) == 1
    assert second.withdraw(["two"]) == 0
    assert first.changes() == second.changes() == MemoryBoard(tmp_path / "board.jsonl").changes()


def test_a_writer_killed_at_any_byte_loses_only_what_it_was_writing(tmp_path: Path) -> None:
    path = tmp_path / "board.jsonl"
    MemoryBoard(path).publish([task("one"), task("two")])
    committed = path.stat().st_size
    MemoryBoard(path).submit([answer(), answer(id=2)])
    MemoryBoard(path).withdraw(["two"])
    whole = path.read_bytes()
    for end in range(committed, len(whole) + 1):
        path.write_bytes(whole[:end])
        reader = MemoryBoard(path)
        num_committed = whole[committed:end].count(b"\n")
        assert len(reader.numbers()) == 2
        assert num_answers(reader) == min(num_committed, 2)
        assert tasks_of(reader.changes())["two"].task.dealing.is_withdrawn == (num_committed == 3)
        assert MemoryBoard(path).submit([answer(), answer(id=2)]) == max(2 - num_committed, 0)
        assert MemoryBoard(path).withdraw(["two"]) == (num_committed < 3)
        assert path.read_bytes() == whole
        assert num_answers(reader) == 2


def _publish_many(path: Path, who: int, start: Barrier) -> None:
    board = MemoryBoard(path)
    start.wait()
    for index in range(50):
        board.publish([task(f"showing_{index}"), task(f"showing_of_{who}_{index}")])


def test_processes_that_publish_at_once_publish_each_showing_once(tmp_path: Path) -> None:
    path = tmp_path / "board.jsonl"
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(3)
    writers = [context.Process(target=_publish_many, args=(path, who, start)) for who in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    showing_ids = [json.loads(line)["task"]["showing_id"] for line in path.read_text().splitlines()]
    assert len(showing_ids) == len(set(showing_ids)) == 50 + 3 * 50
    assert len(MemoryBoard(path).numbers()) == 200


@pytest.mark.parametrize(
    "line",
    ["no json", "[1]", '{"task": {"showing_id": "x"}}', '{"answer": {"result": []}}', '{"withdrawn": 7}', "5"],
)
def test_a_line_of_another_kind_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "board.jsonl"
    MemoryBoard(path).publish([task("one")])
    size = path.stat().st_size
    with path.open("a") as file:
        file.write(line + "\n")
    with pytest.raises(BoardDamaged, match=f"byte {size} "):
        MemoryBoard(path).numbers()


def test_an_edit_of_the_same_moment_still_arrives() -> None:
    board = MemoryBoard()
    board.publish([task("one")])
    board.submit([answer()])
    mark = board.changes().mark
    assert board.submit([replace(answer(), result=result_of(Parsed(outcome=Outcome.B)))]) == 1
    assert said(tasks_of(board.changes(mark))["one"].answers) == ["B"]
