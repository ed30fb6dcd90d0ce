"""What the gateway is asked by other programs than browsers: a front, a starter; and when the board is away."""

import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from annotate.board import Arrivals
from annotate.errors import BoardDown
from annotate.memory_board import MemoryBoard
from tests.gateway_world import PROJECT, VIDEO_A, Browser, World, detail, link, world


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("own")) as made:
        yield made


def allowed(browser: Browser, method: str, target: str) -> int:
    headers = {"X-Original-Method": method, "X-Original-URI": target}
    return browser.client.get("/likeness/allowed", headers=headers).status_code


@pytest.mark.parametrize(
    ("who", "method", "target", "status"),
    [
        (None, "GET", "/static/js/page.js?v=1", 204),
        (None, "GET", "/likeness/static/player.js", 204),
        (None, "GET", "/likeness/player", 401),
        ("ann", "GET", "/likeness/player", 204),
        (None, "GET", link(), 401),
        ("ann", "GET", link(), 204),
        ("ann", "HEAD", link(), 204),
        ("ann", "POST", link(), 403),
        ("bob", "GET", link(), 403),
        ("ann", "GET", link(life_s=-1), 403),
        ("ann", "GET", f"/likeness/media/{VIDEO_A}", 403),
        ("op", "GET", f"/likeness/media/{VIDEO_A}", 204),
        ("ann", "GET", link().replace(VIDEO_A, "x.mp4"), 403),
        ("ann", "GET", "/static/../api/users", 403),
        ("ann", "POST", "/api/tasks/1/annotations", 403),
        ("ann", "POST", "/api/dm/actions?id=next_task", 403),
        ("ann", "GET", "/api/users", 403),
        ("ann", "", "", 403),
        ("op", "GET", "/api/users", 204),
        ("op", "DELETE", f"/api/projects/{PROJECT}/", 204),
        (None, "DELETE", f"/api/projects/{PROJECT}/", 401),
    ],
)
def test_a_front_is_told_what_it_may_serve_by_itself(
    shared: World, who: str | None, method: str, target: str, status: int
) -> None:
    browser = shared.browser() if who is None else shared.person(who)
    assert allowed(browser, method, target) == status


def test_an_account_that_was_not_invited_is_served_no_media_by_a_front(shared: World) -> None:
    assert allowed(shared.person("stranger"), "GET", link(user=6)) == 403


class AwayBoard(MemoryBoard):
    """A board that does not answer for a while."""

    is_away = True

    def changes(self, since: str | None = None) -> Arrivals:
        if self.is_away:
            raise BoardDown("the board is away")
        return super().changes(since)


def test_the_gateway_starts_while_the_board_is_away_and_deals_when_it_is_back(tmp_path: Path) -> None:
    board = AwayBoard(tmp_path / "board.jsonl")
    with world(tmp_path, board=board, refresh_s=0.05) as place:
        ann = place.browser("ann")
        assert ann.client.get("/likeness/health").status_code == 503
        said = ann.next()
        assert (said.status_code, said.headers["retry-after"]) == (503, "2")
        board.is_away = False
        assert _comes(lambda: ann.client.get("/likeness/health").status_code, 204)
        assert ann.next().status_code == 200


def test_where_label_studio_is_away_people_are_told_and_media_are_kept_from_everybody(tmp_path: Path) -> None:
    with world(tmp_path) as place:
        ann = place.browser("ann")
        task = ann.dealt()
        place.servers[0].should_exit = True
        assert _comes(lambda: place.browser().client.get("/user/login/").status_code, 502)
        later = place.browser()
        later.client.cookies.set("sessionid", "abc")
        for said in (later.next(), later.client.get(link()), ann.vote(task)):
            assert said.status_code == 502
            assert "Label Studio" in detail(said)
        assert place.votes(task) == []


def _comes(ask: Callable[[], int], wanted: int) -> bool:
    pause = threading.Event()
    for _ in range(200):
        if ask() == wanted:
            return True
        pause.wait(0.05)
    return False


class ForgetfulBoard(MemoryBoard):
    """A board whose adapter has a mistake in it, that shows twice."""

    num_asked = 0

    def changes(self, since: str | None = None) -> Arrivals:
        self.num_asked += 1
        if self.num_asked <= 2:
            raise KeyError("a mistake")
        return super().changes(since)


def test_a_mistake_while_the_board_is_read_does_not_end_the_looking(tmp_path: Path) -> None:
    board = ForgetfulBoard(tmp_path / "board.jsonl")
    logging.getLogger("annotate.gateway.freshness").addFilter(told := Told())
    try:
        with world(tmp_path, board=board, refresh_s=0.05) as place:
            ann = place.browser("ann")
            assert _comes(lambda: ann.next().status_code, 200)
    finally:
        logging.getLogger("annotate.gateway.freshness").removeFilter(told)
    assert told.num_errors == 2


class Told(logging.Filter):
    """Counts errors, and keeps them from the test that fails on any."""

    num_errors = 0

    def filter(self, record: logging.LogRecord) -> bool:
        self.num_errors += record.levelno >= logging.ERROR
        return record.levelno < logging.ERROR
