"""The contract of `PairBoard` on a real Label Studio, on SQLite and on PostgreSQL; and the faults of a network."""

import logging
import multiprocessing
import os
import signal
import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from multiprocessing.synchronize import Barrier, Event
from pathlib import Path
from typing import Any

import httpx
import pytest
from label_studio_sdk import LabelStudio

from annotate.board import Dealing, PairTask
from annotate.errors import BoardDown, BoardRefused
from annotate.home import Member
from annotate.interface import Parsed, result_of
from annotate.labelstudio import LabelStudioBoard
from annotate.labelstudio_listing import EVER, row_of
from annotate.labelstudio_setup import LabelStudioSetup, personal_token
from tests.contract.test_board_contract import Bench, BoardContract, said, task, tasks_of
from tests.live.conftest import tell
from tests.live.hosted import Studio
from tests.studios import Fault, Proxy, once, proxied, studio_on_postgresql
from warehouse.records import Outcome

pytestmark = [
    pytest.mark.live,
    pytest.mark.filterwarnings("ignore:The `parse_obj`:DeprecationWarning"),  # the sdk's own
]


@dataclass
class Desk:
    """A project of its own on a real server, and hands (the vendor's sdk) that do there what people do."""

    url: str
    token: str
    project: int
    people: dict[str, Member]
    sdk: LabelStudio
    opened: ExitStack

    def open(self, url: str | None = None, *, patience_s: float = 20.0) -> LabelStudioBoard:
        board = LabelStudioBoard(url or self.url, self.token, self.project, patience_s=patience_s)
        return self.opened.enter_context(board)

    @cached_property
    def board(self) -> LabelStudioBoard:
        return self.open()

    def give(self, showing_id: str, who: str, outcome: Outcome, *, is_skip: bool = False) -> None:
        number, user = self.board.numbers()[showing_id], self.people[who].user
        told: dict[str, Any] = {
            "result": [] if is_skip else list(result_of(Parsed(outcome=outcome))),
            "was_cancelled": is_skip,
            "lead_time": 2.5,
        }
        standing = [each for each in self.sdk.annotations.list(id=number) if each.completed_by == user]
        if standing:
            self.sdk.annotations.update(id=standing[0].id, **told)
        else:
            self.sdk.annotations.create(id=number, completed_by=user, **told)

    def stored(self) -> list[str]:
        """The showing ids that the server has, each as often as it has it, as the sdk lists them."""
        return [each.data["showing_id"] for each in self.sdk.tasks.list(project=self.project, page_size=500)]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def studio(
    request: pytest.FixtureRequest, live_root: Path, label_studio_environment: Path, tmp_path_factory: Any
) -> Iterator[Studio]:
    if request.param == "sqlite":
        yield request.getfixturevalue("studio_on_sqlite")
        return
    root = live_root / "labelstudio_board"
    root.mkdir(mode=0o755)
    with studio_on_postgresql(root, label_studio_environment, tell) as running:
        yield running


@pytest.fixture(scope="module")
def token(studio: Studio) -> str:
    return personal_token(studio.url, studio.operator, studio.password)


@pytest.fixture(scope="module")
def people(studio: Studio, token: str) -> dict[str, Member]:
    with LabelStudioSetup(studio.url, token) as setup:
        return {name: setup.invite(f"{name}-{uuid.uuid4().hex[:8]}").member for name in ("ann", "bob")}


@pytest.fixture
def desk(studio: Studio, token: str, people: dict[str, Member]) -> Iterator[Desk]:
    with LabelStudioSetup(studio.url, token) as setup:
        project = setup.project(title=f"test {uuid.uuid4()}")
    with ExitStack() as opened:
        http = opened.enter_context(httpx.Client(timeout=60.0, trust_env=False))
        sdk = LabelStudio(base_url=studio.url, api_key=token, httpx_client=http)
        yield Desk(url=studio.url, token=token, project=project, people=people, sdk=sdk, opened=opened)


@pytest.fixture
def proxy(desk: Desk) -> Iterator[Proxy]:
    with proxied(desk.url) as running:
        yield running


class TestLabelStudioBoard(BoardContract):
    @pytest.fixture
    def bench(self, desk: Desk) -> Bench:
        return Bench(board=desk.board, again=desk.open, give=desk.give)


def many(count: int) -> list[PairTask]:
    return [task(f"s{index:05}") for index in range(count)]


def test_a_vote_says_who_gave_it_when_and_how_long_it_took(desk: Desk) -> None:
    desk.board.publish([task("one")])
    desk.give("one", "ann", Outcome.B)
    (answer,) = desk.board.changes().tasks[0].answers
    (listed,) = desk.sdk.annotations.list(id=answer.task)
    assert (answer.id, answer.completed_by) == (listed.id, desk.people["ann"].user)
    assert answer.lead_time == 2.5
    assert answer.result == result_of(Parsed(outcome=Outcome.B))
    assert answer.created_at.endswith("Z")


def test_a_deleted_vote_is_gone_from_its_task(desk: Desk) -> None:
    desk.board.publish([task("one"), task("two")])
    desk.give("one", "ann", Outcome.A)
    desk.give("one", "bob", Outcome.B)
    before = desk.board.changes()
    ann = next(each for each in tasks_of(before)["one"].answers if said([each]) == ["A"])
    desk.sdk.annotations.delete(id=ann.id)
    assert said(tasks_of(desk.board.changes(before.mark))["one"].answers) == ["B"]
    assert said(tasks_of(desk.open().changes())["one"].answers) == ["B"]


def test_a_deleted_task_is_missing_and_can_be_put_up_again(desk: Desk) -> None:
    desk.board.publish([task("one"), task("two")])
    before, mark = dict(desk.board.numbers()), desk.board.changes().mark
    desk.sdk.tasks.delete(id=str(before["one"]))
    assert dict(desk.board.numbers()) == {"two": before["two"]}
    assert "one" not in tasks_of(desk.board.changes(mark))
    assert desk.board.publish([task("one"), task("two")]) == 1
    assert tasks_of(desk.board.changes(mark))["one"].number != before["one"]


def test_a_task_of_somebody_else_is_left_out_and_logged(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    strange = {"prompt": "p", "refs_html": "", "player": ""}
    damaged = row_of(task("damaged"))["data"] | {"references": 5}
    desk.sdk.projects.import_tasks(id=desk.project, request=[{"data": strange}, {"data": damaged}])
    desk.board.publish([task("one")])
    with caplog.at_level(logging.WARNING):
        assert list(tasks_of(desk.board.changes())) == ["one"]
    assert caplog.text.count("none of ours") == 2
    assert set(desk.board.numbers()) == {"one", "damaged"}


def test_large_publications_go_up_in_batches_and_come_back_by_key(desk: Desk) -> None:
    told: list[tuple[int, int]] = []
    mark = desk.board.changes().mark
    assert desk.board.publish(many(2300)[:800]) == 800
    assert desk.board.publish(many(2300), progress=lambda *counts: told.append(counts)) == 1500
    assert told == [(1000, 1500), (1500, 1500)]
    expected = {each.showing_id for each in many(2300)}
    assert set(desk.board.numbers()) == expected
    for since in (None, mark, EVER):
        assert set(tasks_of(desk.board.changes(since))) == expected


def test_a_change_of_more_tasks_than_a_page_holds_all_at_one_time_is_read_whole(desk: Desk) -> None:
    vote = {"result": list(result_of(Parsed(outcome=Outcome.A))), "ground_truth": False}
    rows = [row_of(each) | {"annotations": [vote]} for each in many(1250)]
    desk.sdk.projects.import_tasks(id=desk.project, request=rows)
    before = desk.board.changes()
    assert Counter(len(each.answers) for each in before.tasks) == {1: 1250}
    desk.sdk.actions.create(id="delete_tasks_annotations", project=desk.project, selected_items={"all": True})
    after = desk.open().changes(before.mark)
    assert Counter(len(each.answers) for each in after.tasks) == {0: 1250}
    assert len(tasks_of(after)) == 1250


@pytest.mark.parametrize(
    "fault", [fault for fault in Fault if fault is not Fault.EXPIRED], ids=lambda fault: fault.name
)
def test_an_answer_lost_in_mid_import_leaves_each_showing_up_once(desk: Desk, proxy: Proxy, fault: Fault) -> None:
    proxy.faults = once("POST", "/import", fault)
    board = desk.open(proxy.url)
    assert board.publish(many(1200)) == 1200
    assert board.publish(many(1200)) == 0
    assert sorted(desk.stored()) == [each.showing_id for each in many(1200)]
    was_stored = fault in (Fault.CUT_AFTER, Fault.FAIL_AFTER)
    assert proxy.num_seen("POST", "/import") == (2 if was_stored else 3)


def test_a_server_that_fails_everywhere_now_and_then_is_asked_again(desk: Desk, proxy: Proxy) -> None:
    counts: Counter[str] = Counter()
    lock = threading.Lock()

    def every_third(method: str, path: str) -> Fault | None:
        with lock:
            counts[method] += 1
            faults = (Fault.FAIL_BEFORE, Fault.CUT_AFTER, Fault.FAIL_AFTER, Fault.CUT_BEFORE)
            return faults[counts[method] // 3 % 4] if counts[method] % 3 == 0 else None

    proxy.faults = every_third
    board = desk.open(proxy.url)
    assert board.publish(many(3300)) == 3300
    assert board.withdraw(["s00001", "s00002", "s03000"]) == 3
    desk.give("s00003", "ann", Outcome.A)
    found, again = tasks_of(board.changes()), tasks_of(board.changes(EVER))
    assert sorted(desk.stored()) == sorted(found) == sorted(again) == [each.showing_id for each in many(3300)]
    assert said(found["s00003"].answers) == said(again["s00003"].answers) == ["A"]
    assert [name for name, each in found.items() if each.task.dealing.is_withdrawn] == ["s00001", "s00002", "s03000"]


def _publish(url: str, token: str, project: int, count: int, start: Barrier | None) -> None:
    with LabelStudioBoard(url, token, project) as board:
        _ = board.name
        if start is not None:
            start.wait()
        board.publish(many(count))


@pytest.mark.parametrize("fault", [None, Fault.CUT_BEFORE], ids=["stored", "on its way"])
def test_a_publishing_process_that_is_killed_is_gone_on_with(desk: Desk, proxy: Proxy, fault: Fault | None) -> None:
    reached: Event = multiprocessing.get_context("spawn").Event()

    def at_the_second(method: str, path: str) -> Fault | None:
        if proxy.num_seen("POST", "/import") < 2 or not path.endswith("/import") or reached.is_set():
            return None
        reached.set()
        os.kill(pid, signal.SIGKILL)
        return fault

    proxy.faults = at_the_second
    arguments = (proxy.url, desk.token, desk.project, 3000, None)
    publisher = multiprocessing.get_context("spawn").Process(target=_publish, args=arguments)
    publisher.start()
    assert publisher.pid is not None
    pid = publisher.pid
    publisher.join()
    assert (publisher.exitcode, reached.is_set()) == (-signal.SIGKILL, True)
    assert 1000 <= len(desk.stored()) < 3000
    desk.board.publish(many(3000))
    assert sorted(desk.stored()) == [each.showing_id for each in many(3000)]


def test_processes_that_publish_at_once_leave_each_showing_up_once(desk: Desk) -> None:
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(3)
    arguments = (desk.url, desk.token, desk.project, 1500, start)
    publishers = [context.Process(target=_publish, args=arguments) for _ in range(3)]
    for publisher in publishers:
        publisher.start()
    for publisher in publishers:
        publisher.join()
    assert [publisher.exitcode for publisher in publishers] == [0, 0, 0]
    assert sorted(desk.stored()) == [each.showing_id for each in many(1500)]


def test_of_a_showing_that_is_up_twice_the_answered_task_stays(desk: Desk) -> None:
    twice = [row_of(task("one")), row_of(task("one")), row_of(task("two")), row_of(task("two"))]
    desk.sdk.projects.import_tasks(id=desk.project, request=twice)
    rows = sorted(desk.sdk.tasks.list(project=desk.project), key=lambda each: each.id)
    vote = {"result": list(result_of(Parsed(outcome=Outcome.A)))}
    for row in (rows[1], rows[2], rows[3]):
        desk.sdk.annotations.create(id=row.id, **vote)
    assert desk.board.publish([task("one"), task("two")]) == 0
    found = {each.number: each.task for each in desk.board.changes().tasks}
    assert found == {
        rows[1].id: task("one"),
        rows[2].id: task("two"),
        rows[3].id: task("two", dealing=Dealing(is_withdrawn=True)),
    }


def test_tasks_deleted_in_mid_listing_cost_nothing_but_themselves(desk: Desk) -> None:
    desk.board.publish(many(1400))
    numbers, mark = desk.board.numbers(), EVER
    gone = [name for index, name in enumerate(sorted(numbers)) if index % 7 == 0]

    def delete() -> None:
        for name in gone:
            desk.sdk.tasks.delete(id=str(numbers[name]))

    deleting = threading.Thread(target=delete)
    deleting.start()
    kept = set(numbers) - set(gone)
    while deleting.is_alive():
        assert kept <= set(tasks_of(desk.board.changes()))
        assert kept <= set(tasks_of(desk.board.changes(mark)))
    deleting.join()
    assert set(tasks_of(desk.board.changes())) == set(desk.board.numbers()) == kept


def test_an_access_token_that_ended_is_renewed(desk: Desk, proxy: Proxy) -> None:
    board = desk.open(proxy.url)
    board.publish([task("one")])
    proxy.faults = once("GET", "/api/tasks", Fault.EXPIRED)
    assert set(board.numbers()) == {"one"}
    assert proxy.num_seen("POST", "/api/token/refresh/") == 2


def test_a_server_that_is_away_is_named_and_no_secret_with_it(desk: Desk, proxy: Proxy) -> None:
    proxy.faults = lambda method, path: Fault.FAIL_BEFORE if path.endswith("/api/tasks") else None
    board = desk.open(proxy.url, patience_s=0.5)
    for ask in (board.numbers, board.changes, lambda: board.publish([task("one")])):
        with pytest.raises(BoardDown, match=r"answered 500.*likeness board status") as caught:
            ask()
        assert desk.token not in f"{caught.value!r} {caught.value.__cause__!r} {board!r}"
    assert proxy.num_seen("GET", "/api/tasks") > 3


def test_nobody_at_the_address_is_a_board_that_is_down(desk: Desk, proxy: Proxy) -> None:
    proxy.faults = lambda method, path: Fault.CUT_BEFORE
    with pytest.raises(BoardDown, match="no answer"):
        desk.open(proxy.url, patience_s=0.3).changes()


def test_what_the_server_refuses_is_said_with_what_to_do(desk: Desk, proxy: Proxy) -> None:
    wrong = desk.token[:-4] + ("AAAA" if not desk.token.endswith("AAAA") else "BBBB")
    with (
        LabelStudioBoard(desk.url, wrong, desk.project) as board,
        pytest.raises(BoardRefused, match="personal token is refused; set LIKENESS_BOARD_PERSONAL_TOKEN") as caught,
    ):
        board.numbers()
    assert wrong not in repr(caught.value) + repr(caught.value.__cause__)
    with (
        LabelStudioBoard(desk.url, desk.token, 10**6) as board,
        pytest.raises(BoardRefused, match=r"404.*right project"),
    ):
        board.numbers()
    with pytest.raises(BoardRefused, match="no personal token"):
        LabelStudioBoard(desk.url, "0" * 40, desk.project)
    other = desk.sdk.projects.create(title="other", label_config='<View><Text name="t" value="$other"/></View>')
    with (
        LabelStudioBoard(desk.url, desk.token, other.id) as board,
        pytest.raises(BoardRefused, match=r"one.* 400: .*other"),
    ):
        board.publish([task("one")])


def test_each_project_is_a_board_of_its_own(desk: Desk, studio: Studio) -> None:
    with LabelStudioSetup(studio.url, desk.token) as setup:
        project = setup.project(title=f"another {uuid.uuid4()}")
    with LabelStudioBoard(desk.url, desk.token, project) as other:
        desk.board.publish([task("one")])
        assert (dict(other.numbers()), other.changes().tasks) == ({}, ())
        assert other.name != desk.board.name
        assert set(desk.board.name) <= set("abcdefghijklmnopqrstuvwxyz-0123456789")
