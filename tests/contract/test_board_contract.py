"""What every `PairBoard` must do. Another board joins by a line in `BENCHES`: how to make it, how to answer it."""

import json
import multiprocessing
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest

from annotate.board import Answer, MemoryBoard, PairBoard, PairTask, number
from annotate.errors import BoardDamaged, BoardRefused
from annotate.interface import Parsed, parse_result, result_of
from warehouse.records import Outcome


@dataclass
class Bench:
    """A board, and the hands that click on its page."""

    board: PairBoard
    give: Callable[..., None]
    """`give(pair_id, who, outcome, was_skipped=...)`: who answered before edits that answer."""


def memory_bench(path: Path | None) -> Bench:
    board = MemoryBoard(path)
    clicks = iter(range(60))

    def give(pair_id: str, who: str, outcome: Outcome, was_skipped: bool = False) -> None:
        task = next(task for task, shown in board.tasks().items() if shown.pair_id == pair_id)
        at = f"2026-01-01T00:00:{next(clicks):02}Z"
        board.submit(
            [
                answer(
                    task=task,
                    id=number(task, who),
                    completed_by=who,
                    updated_at=at,
                    was_cancelled=was_skipped,
                    result=result_of(Parsed(outcome=outcome)),
                )
            ]
        )

    return Bench(board=board, give=give)


BENCHES = {
    "memory": lambda folder: memory_bench(None),
    "memory with a file": lambda folder: memory_bench(folder / "boards" / "board.jsonl"),
}


@pytest.fixture(params=BENCHES)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    return BENCHES[request.param](tmp_path)


def task(pair_id: str, **override: Any) -> PairTask:
    values: dict[str, Any] = {
        "pair_id": pair_id,
        "prompt": "Zoë waves;\nthen <leaves>.",
        "references": ("media/face",),
        "video_a": "media/left",
        "video_b": "media/right",
    }
    return PairTask(**(values | override))


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


def said(answers: tuple[Answer, ...]) -> list[str]:
    return [parse_result(one.result).outcome.value for one in answers]


def test_an_empty_board_has_nothing(bench: Bench) -> None:
    assert bench.board.tasks() == {}
    assert bench.board.answers().answers == ()


def test_what_is_published_is_shown_as_it_was_given(bench: Bench) -> None:
    shown = [task("one"), task("two", prompt=None, references=())]
    assert bench.board.publish(shown) == 2
    assert sorted(bench.board.tasks().values(), key=lambda one: one.pair_id) == shown


def test_a_pair_is_published_once_however_often_it_is_sent(bench: Bench) -> None:
    assert bench.board.publish([task("one"), task("one")]) == 1
    assert bench.board.publish([task("one", prompt="another"), task("two")]) == 1
    assert bench.board.publish([task("one"), task("two")]) == 0
    assert sorted(one.pair_id for one in bench.board.tasks().values()) == ["one", "two"]
    assert {one.prompt for one in bench.board.tasks().values()} == {task("one").prompt}


def test_an_answer_names_its_task_its_author_and_what_was_said(bench: Bench) -> None:
    bench.board.publish([task("one"), task("two")])
    bench.give("two", "ann", Outcome.B)
    (found,) = bench.board.answers().answers
    assert bench.board.tasks()[found.task].pair_id == "two"
    assert said((found,)) == ["B"]
    assert not found.was_cancelled


def test_a_mark_gives_only_what_came_after_it(bench: Bench) -> None:
    bench.board.publish([task("one"), task("two")])
    bench.give("one", "ann", Outcome.A)
    first = bench.board.answers()
    assert len(first.answers) == 1
    bench.give("one", "bob", Outcome.TIE)
    bench.give("two", "ann", Outcome.B)
    second = bench.board.answers(first.mark)
    seen = {one.id for one in first.answers}
    assert sorted(said(tuple(one for one in second.answers if one.id not in seen))) == ["B", "tie"]
    assert len(bench.board.answers().answers) == 3


def test_an_edit_comes_again_under_its_id(bench: Bench) -> None:
    bench.board.publish([task("one")])
    bench.give("one", "ann", Outcome.A)
    before = bench.board.answers()
    bench.give("one", "ann", Outcome.B)
    (edited,) = bench.board.answers(before.mark).answers
    assert edited.id == before.answers[0].id
    assert said((edited,)) == ["B"]
    assert said(bench.board.answers().answers) == ["B"]


def test_a_skip_is_an_answer_marked_as_cancelled(bench: Bench) -> None:
    bench.board.publish([task("one")])
    bench.give("one", "ann", Outcome.A, was_skipped=True)
    assert [one.was_cancelled for one in bench.board.answers().answers] == [True]


# What follows is the memory board's own: its file, and its hand for those who need no page.


def test_an_answer_to_a_task_that_is_not_up_is_refused_and_nothing_of_its_batch_is_kept() -> None:
    board = MemoryBoard()
    board.publish([task("one")])
    with pytest.raises(BoardRefused, match="no task 404"):
        board.submit([answer(), answer(id=2, task=404)])
    assert board.answers().answers == ()


def test_boards_on_one_file_see_each_other(tmp_path: Path) -> None:
    first, second = (MemoryBoard(tmp_path / "board.jsonl") for _ in range(2))
    assert first.publish([task("one")]) == 1
    assert second.publish([task("one"), task("two")]) == 1
    assert second.submit([answer()]) == 1
    assert first.submit([answer()]) == 0
    assert first.tasks() == second.tasks()
    assert first.answers() == second.answers() == MemoryBoard(tmp_path / "board.jsonl").answers()


def test_a_writer_killed_at_any_byte_loses_only_what_it_was_writing(tmp_path: Path) -> None:
    path = tmp_path / "board.jsonl"
    MemoryBoard(path).publish([task("one"), task("two")])
    committed = path.stat().st_size
    MemoryBoard(path).submit([answer(), answer(id=2)])
    whole = path.read_bytes()
    for end in range(committed, len(whole) + 1):
        path.write_bytes(whole[:end])
        reader = MemoryBoard(path)
        assert len(reader.tasks()) == 2
        num_committed = whole[committed:end].count(b"\n")
        assert len(reader.answers().answers) == num_committed
        assert MemoryBoard(path).submit([answer(), answer(id=2)]) == 2 - num_committed
        assert path.read_bytes() == whole
        assert len(reader.answers().answers) == 2


def _publish_many(path: Path, who: int, start: Barrier) -> None:
    board = MemoryBoard(path)
    start.wait()
    for index in range(50):
        board.publish([task(f"pair_{index}"), task(f"pair_of_{who}_{index}")])


def test_processes_that_publish_at_once_publish_each_pair_once(tmp_path: Path) -> None:
    path = tmp_path / "board.jsonl"
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(3)
    writers = [context.Process(target=_publish_many, args=(path, who, start)) for who in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    pair_ids = [json.loads(line)["task"]["pair_id"] for line in path.read_text().splitlines()]
    assert len(pair_ids) == len(set(pair_ids)) == 50 + 3 * 50
    assert len(MemoryBoard(path).tasks()) == 200


@pytest.mark.parametrize("line", ["no json", "[1]", '{"task": {"pair_id": "x"}}', '{"answer": {"result": []}}', "5"])
def test_a_line_of_another_kind_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "board.jsonl"
    MemoryBoard(path).publish([task("one")])
    size = path.stat().st_size
    with path.open("a") as file:
        file.write(line + "\n")
    with pytest.raises(BoardDamaged, match=f"byte {size} "):
        MemoryBoard(path).tasks()


def test_an_edit_of_the_same_moment_still_arrives() -> None:
    board = MemoryBoard()
    board.publish([task("one")])
    board.submit([answer()])
    mark = board.answers().mark
    assert board.submit([replace(answer(), result=result_of(Parsed(outcome=Outcome.B)))]) == 1
    assert said(board.answers(mark).answers) == ["B"]
