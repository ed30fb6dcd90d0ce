"""What annotators try, on a real Label Studio behind the gateway; and a browser that does what they should do."""

import contextlib
import json
import os
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
import pytest
from PIL import Image

from annotate.board import Dealing, PairTask
from annotate.gateway.app import application
from annotate.gateway.votes import unique_id
from annotate.home import BoardHome, Connection, Member
from annotate.hosting.configuration import BoardConfig
from annotate.hosting.invite import invite
from annotate.hosting.up import down, up
from annotate.labelstudio import LabelStudioBoard
from annotate.links import media_name, sign
from tests.gateway_attacks import refused, tricks
from tests.gateway_world import Browser, free_socket, serving, url_of, vote
from tests.live.conftest import tell
from tests.live.hosted import HostedBoard
from tests.studios import Fault, once, proxied
from warehouse.records import Outcome

pytestmark = [
    pytest.mark.live,
    pytest.mark.filterwarnings("ignore:The `parse_obj`:DeprecationWarning"),  # the sdk's own
]

SHOTS = os.environ.get("LIKENESS_SHOTS")
"""Where screenshots are kept, to be looked at."""
NAMES = ("ann", "bob", "cy", "dan")
SCRIPT = "<script>document.title = 'evil'</script><img src=x onerror=\"document.title = 'evil'\">"


@dataclass
class Place:
    """A board that runs, its people's passwords, and the operator's own eyes, which do not look through the gateway."""

    home: BoardHome
    connection: Connection
    board: LabelStudioBoard
    passwords: dict[str, str] = field(repr=False)
    videos: tuple[str, str]
    picture: str
    clients: list[httpx.Client] = field(default_factory=list)

    def member(self, name: str) -> Member:
        return next(member for member in self.home.members() if member.name == name)

    def browser(self, name: str | None = None, origin: str | None = None) -> Browser:
        client = httpx.Client(base_url=origin or self.connection.origin, timeout=60, trust_env=False)
        self.clients.append(client)
        browser = Browser(client)
        if name is not None:
            said = browser.log_in(self.member(name).email, self.passwords[name])
            assert said.status_code == 302, said.text
        return browser

    def publish(self, *showing_ids: str, **dealing: Any) -> list[int]:
        """Show these to everybody at once, before all else."""
        tasks = [
            PairTask(
                showing_id=showing_id,
                prompt=f"{showing_id} {SCRIPT}",
                references=(self.picture,),
                video_a=self.videos[0],
                video_b=self.videos[1],
                dealing=Dealing(**dealing),
            )
            for showing_id in showing_ids
        ]
        self.board.publish(tasks)
        wake = {"X-Likeness-Webhook": self.home.secrets().webhook_secret}
        assert httpx.post(f"{self.connection.origin}/likeness/wake", headers=wake).status_code == 204
        return [self.board.numbers()[showing_id] for showing_id in showing_ids]

    def votes(self, number: int) -> list[tuple[Any, str]]:
        """Who said what about a task, as Label Studio tells the operator."""
        task = next(task for task in self.board.changes().tasks if task.number == number)
        said = [(answer.completed_by, answer.result) for answer in task.answers]
        return sorted((who, result[0]["value"]["choices"][0] if result else "skip") for who, result in said)

    def choices_of(self, user: int) -> list[str]:
        """Everything that one person said."""
        return [said for task in self.board.changes().tasks for who, said in self.votes(task.number) if who == user]

    def num_votes(self) -> int:
        return sum(len(task.answers) for task in self.board.changes().tasks)


@pytest.fixture(scope="module")
def place(live_root: Path, label_studio_environment: Path) -> Iterator[Place]:
    home = BoardHome(live_root / "attacked" / "board")
    settings = {"LIKENESS_HOME": str(home.root.parent), "LIKENESS_BOARD_PORT": "0"}
    connection = up(home, BoardConfig.read(settings | {"LIKENESS_LABEL_STUDIO": str(label_studio_environment)}), tell)
    passwords = {name: invite(home, name, is_adjudicator=False, tell=tell).password for name in NAMES}
    key = home.secrets().link_key
    videos, picture = _media(home.media, key)
    with LabelStudioBoard(connection.label_studio, home.secrets().personal_token, connection.project) as board:
        made = Place(home, connection, board, passwords, videos, picture)
        yield made
        for client in made.clients:
            client.close()
    down(home, tell)


def _media(folder: Path, key: str) -> tuple[tuple[str, str], str]:
    folder.mkdir(parents=True, exist_ok=True)
    videos = (media_name("a" * 64, ".mp4", key=key), media_name("b" * 64, ".mp4", key=key))
    for index, name in enumerate(videos):
        _film(folder / name, shade=60 + 80 * index)
    picture = media_name("c" * 64, ".jpg", key=key)
    Image.new("RGB", (200, 200), "teal").save(folder / picture)
    return videos, picture


def _film(path: Path, *, shade: int) -> None:
    """Three seconds of a bar that wanders."""
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as file:
        stream = file.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        for index in range(72):
            picture = np.full((360, 640, 3), shade, np.uint8)
            picture[:, index * 8 : index * 8 + 40] = 255
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        file.mux(stream.encode())


def dealt(browser: Browser, number: int) -> int:
    """Ask until this very task is dealt, skipping what is in hand: the deck looks at the board when it was woken."""
    pause = threading.Event()
    for _ in range(200):
        said = browser.next()
        if said.status_code == 200 and said.json()["id"] == number:
            return number
        if said.status_code == 200:
            browser.skip(said.json()["id"])
        pause.wait(0.05)
    raise AssertionError(f"task {number} was never dealt: {said.status_code} {said.text[:200]}")


# The list of attacks.


def test_nothing_that_is_not_for_annotators_reaches_a_real_label_studio(place: Place) -> None:
    project = place.connection.project
    before = _state(place)
    ann, nobody = place.browser("ann"), place.browser()
    got_through = [
        (who, method, path, said.status)
        for method, path in [*refused(project), *(("GET", trick) for trick in tricks(project))]
        for who, browser in (("ann", ann), ("nobody", nobody))
        if (said := browser.raw(method, path)).status not in (400, 401, 403, 404, 405)
    ]
    assert got_through == []
    assert _state(place) == before


def _state(place: Place) -> Any:
    """What an attack would have changed: the project, its accounts, its tasks and votes."""
    operator = place.browser()
    said = operator.log_in(place.connection.operator, place.home.secrets().operator_password)
    assert said.status_code == 302
    project = operator.client.get(f"/api/projects/{place.connection.project}/").json()
    users = operator.client.get("/api/users").json()
    webhooks = operator.client.get(f"/api/webhooks/?project={place.connection.project}").json()
    kept = {key: project[key] for key in ("title", "label_config", "maximum_annotations", "task_number")}
    return kept, [user["email"] for user in users], len(webhooks), place.num_votes()


def test_what_the_operator_may_annotators_may_not(place: Place) -> None:
    """Each of these is answered to the operator: the refusals above are refusals, not typing errors."""
    operator, ann = place.browser(), place.browser("ann")
    operator.log_in(place.connection.operator, place.home.secrets().operator_password)
    paths = ["/api/users", "/api/projects/", f"/api/projects/{place.connection.project}/export?exportType=JSON"]
    paths += ["/user/account/", "/api/invite", "/api/webhooks/", f"/projects/{place.connection.project}/settings/"]
    paths += ["/api/jwt/settings", "/metrics/", "/version/"]
    assert {path: operator.client.get(path).status_code for path in paths} == dict.fromkeys(paths, 200)
    own = ("/api/users",)
    assert {path: ann.client.get(path).status_code for path in paths if path not in own} == {
        path: 403 for path in paths if path not in own
    }
    assert [user["email"] for user in ann.client.get("/api/users").json()] == [place.member("ann").email]


def test_media_are_for_those_they_were_signed_for(place: Place) -> None:
    name, key = place.videos[0], place.home.secrets().link_key
    user, other = place.member("ann").user, place.member("bob").user
    ann = place.browser("ann")
    whole = ann.client.get(sign(name, user=user, key=key))
    assert whole.content == (place.home.media / name).read_bytes()
    part = ann.client.get(sign(name, user=user, key=key), headers={"Range": "bytes=0-9"})
    assert (part.status_code, part.content) == (206, whole.content[:10])
    for bad in (
        f"/likeness/media/{name}",
        sign(name, user=other, key=key),
        sign(name, user=user, key="forged"),
        sign(name, user=user, key=key, life_s=-1),
    ):
        assert ann.client.get(bad).status_code == 403
    assert place.browser().client.get(sign(name, user=user, key=key)).status_code == 401
    forged = place.browser()
    forged.client.cookies.set("sessionid", ann.client.cookies["sessionid"][:-3] + "abc")
    assert forged.client.get(sign(name, user=user, key=key)).status_code == 401


def test_nobody_votes_for_reads_or_edits_others(place: Place) -> None:
    (task,) = place.publish("others", priority=5.0)
    ann, bob, dan = place.browser("ann"), place.browser("bob"), place.browser("dan")
    ann_user, bob_user = place.member("ann").user, place.member("bob").user
    dealt(ann, task)
    dealt(bob, task)
    assert ann.vote(task, completed_by=bob_user).status_code == 403
    cast = ann.vote(task, Outcome.A)
    assert cast.status_code == 201
    assert cast.json()["completed_by"] == ann_user
    assert bob.edit(cast.json()["id"], Outcome.B).status_code == 403
    assert bob.client.get(f"/api/tasks/{task}").json()["annotations"] == []
    history = bob.client.get(f"/api/projects/{place.connection.project}/label-stream-history").json()
    assert [one["annotationId"] for one in history if one["taskId"] == task] == [None]
    assert dan.client.get(f"/api/tasks/{task}").status_code == 403
    assert dan.vote(task).status_code == 403
    assert ann.vote(task, Outcome.B).status_code == 403
    assert place.votes(task) == [(ann_user, "A")]
    assert ann.edit(cast.json()["id"], Outcome.TIE).status_code == 200
    assert bob.vote(task, Outcome.B).status_code == 201
    assert place.votes(task) == sorted([(ann_user, "tie"), (bob_user, "B")])


def test_the_fourth_vote_is_refused_by_us_as_label_studio_would_take_it(place: Place) -> None:
    (task,) = place.publish("fourth", priority=6.0)
    for name in NAMES[:3]:
        person = place.browser(name)
        dealt(person, task)
        assert person.vote(task).status_code == 201
    dan = place.browser("dan")
    assert dan.next().json().get("id") != task
    assert dan.vote(task).status_code == 403
    assert len(place.votes(task)) == 3
    behind = httpx.post(
        f"{place.connection.label_studio}/api/tasks/{task}/annotations",
        json=vote(project=str(place.connection.project)),
        cookies=dict(dan.client.cookies),
        headers={"X-CSRFToken": dan.client.cookies["csrftoken"]},
    )
    assert behind.status_code == 201, "Label Studio keeps a cap now: say so in LABELSTUDIO.md"


def test_two_tabs_make_one_vote(place: Place) -> None:
    (task,) = place.publish("tabs", priority=7.0)
    ann = place.browser("ann")
    dealt(ann, task)
    with ThreadPoolExecutor(6) as pool:
        said = list(pool.map(lambda _: ann.vote(task, Outcome.B).status_code, range(6)))
    assert said == [201] * 6
    assert place.votes(task) == [(place.member("ann").user, "B")]


@pytest.mark.parametrize("fault", [each for each in Fault if each is not Fault.EXPIRED])
def test_an_answer_lost_between_us_and_label_studio_makes_no_second_vote(
    place: Place, fault: Fault, tmp_path: Path
) -> None:
    """A second gateway, of whose requests to Label Studio one is cut, fails or comes late; the person tries again."""
    (task,) = place.publish(f"lost {fault.name}", priority=8.0)
    with proxied(place.connection.label_studio) as proxy, _second_gateway(place, proxy.url, tmp_path) as origin:
        ann = place.browser("ann")
        second = place.browser(origin=origin)
        second.client.cookies.update(ann.client.cookies)
        dealt(second, task)
        proxy.faults = once("POST", f"/tasks/{task}/annotations", fault)
        statuses = []
        while 201 not in statuses and len(statuses) < 4:
            statuses.append(second.vote(task, Outcome.A).status_code)
        assert statuses[-1] == 201, statuses
        assert second.vote(task, Outcome.A).status_code == 201
    assert place.votes(task) == [(place.member("ann").user, "A")]


@pytest.mark.parametrize("board", ["board_on_sqlite", "board_on_postgresql"])
def test_label_studio_takes_one_annotation_of_an_id_however_many_come_at_once(
    board: str, request: pytest.FixtureRequest
) -> None:
    """On this the gateway relies: no attempt of a person at a task is taken twice, whoever died in between."""
    hosted: HostedBoard = request.getfixturevalue(board)
    connection, secrets = hosted.connection, hosted.secrets
    showing = f"unique {uuid.uuid4()}"
    with LabelStudioBoard(connection.label_studio, secrets.personal_token, connection.project) as pairs:
        dealing = Dealing(is_withdrawn=True)  # nobody else's tests are to meet it
        pairs.publish(
            [PairTask(showing_id=showing, prompt="", references=(), video_a="a", video_b="b", dealing=dealing)]
        )
        task = pairs.numbers()[showing]
    with httpx.Client(base_url=connection.label_studio, timeout=60, trust_env=False) as client:
        assert Browser(client).log_in(connection.operator, secrets.operator_password).status_code == 302
        sent = vote(project=str(connection.project), unique_id=unique_id(task=task, user=1))
        headers = {"X-CSRFToken": client.cookies["csrftoken"]}

        def attempt(_: int) -> int:
            return client.post(f"/api/tasks/{task}/annotations", json=sent, headers=headers).status_code

        with ThreadPoolExecutor(6) as pool:
            statuses = sorted(pool.map(attempt, range(12)))
        assert statuses[0] == 201
        assert set(statuses[1:]) == {409}
        assert len(client.get(f"/api/tasks/{task}").json()["annotations"]) == 1


@contextlib.contextmanager
def _second_gateway(place: Place, label_studio: str, folder: Path) -> Iterator[str]:
    home, listening = BoardHome(folder / "board"), free_socket()
    home.keep_secrets(place.home.secrets())
    home.keep_members(place.home.members())
    home.keep_connection(
        Connection(
            origin=url_of(listening),
            label_studio=label_studio,
            project=place.connection.project,
            operator=place.connection.operator,
        )
    )
    with serving(application(home, place.board), listening):
        yield url_of(listening)


def test_a_vote_that_came_in_behind_our_back_is_not_asked_for_again(place: Place) -> None:
    (task,) = place.publish("behind", priority=9.0)
    ann = place.browser("ann")
    dealt(ann, task)
    cookies = dict(ann.client.cookies)
    said = httpx.post(
        f"{place.connection.label_studio}/api/tasks/{task}/annotations",
        json=vote(Outcome.B, project=str(place.connection.project), unique_id=str(uuid.uuid4())),
        cookies=cookies,
        headers={"X-CSRFToken": cookies["csrftoken"]},
    )
    assert said.status_code == 201, said.text
    wake = {"X-Likeness-Webhook": place.home.secrets().webhook_secret}
    httpx.post(f"{place.connection.origin}/likeness/wake", headers=wake)
    pause = threading.Event()
    for _ in range(200):
        if ann.next().json().get("id") != task:
            break
        pause.wait(0.05)
    assert ann.vote(task, Outcome.A).status_code == 403
    assert place.votes(task) == [(place.member("ann").user, "B")]


# The page, in a real browser.


@dataclass
class Traffic:
    """What a page asked for and was answered, but for what is of no interest."""

    origin: str
    odd: list[tuple[str, int, str]] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    posted: list[tuple[str, int, str]] = field(default_factory=list)

    def watch(self, page: Any) -> None:
        page.on("response", self._answered)
        page.on("request", lambda request: self._asked(request.url))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda line: self._said(line.text) if line.type == "error" else None)

    def _asked(self, url: str) -> None:
        if not url.startswith((self.origin, "data:", "blob:")):
            self.foreign.append(url)

    def _said(self, text: str) -> None:
        if "Failed to load resource" not in text:
            self.errors.append(text)

    def _answered(self, response: Any) -> None:
        path = response.url.removeprefix(self.origin).partition("?")[0]
        if response.status >= 400:
            self.odd.append((response.request.method, response.status, path))
        if response.request.method != "GET":
            self.posted.append((response.request.method, response.status, path))


def test_a_browser_votes_by_keyboard_skips_goes_back_edits_and_comes_to_the_end(
    place: Place, chromium: Any, tmp_path: Path
) -> None:
    place.publish(*(f"page {index}" for index in range(6)), priority=1.0)
    shots, cy = Path(SHOTS) if SHOTS else tmp_path, place.member("cy")
    context = chromium.new_context(viewport={"width": 1400, "height": 1000})
    page, traffic = context.new_page(), Traffic(place.connection.origin)
    traffic.watch(page)
    page.goto(place.connection.origin)
    page.fill("input[name=email]", cy.email)
    page.fill("input[name=password]", place.passwords["cy"])
    page.keyboard.press("Enter")
    page.wait_for_selector("text=Labeling Instructions", timeout=60_000)
    page.keyboard.press("Escape")
    shown = _shown(page)
    assert SCRIPT in shown
    page.screenshot(path=shots / "1_first.png")
    _submit(page, "1")  # A better
    with page.expect_response(lambda response: response.url.partition("?")[0].endswith("/drafts")):
        _choose(page, "3")  # and waits: the page keeps a draft of its own accord
    _submit(page, None)
    _press(page, "Control+Space")  # Skip
    page.screenshot(path=shots / "2_after_the_skip.png")
    _go_back(page)
    page.wait_for_selector("text=Was skipped")
    page.screenshot(path=shots / "3_was_skipped.png")
    with page.expect_response(lambda response: response.request.method == "DELETE"):
        page.click("[aria-label='cancel-skip']")
    page.wait_for_selector("text=Was skipped", state="detached")
    _submit(page, "2")  # Ties
    _go_back(page)
    page.wait_for_selector("button:has-text('Update')")
    _choose(page, "3", button="button:has-text('Update')")
    with page.expect_response(lambda response: response.request.method == "PATCH"):
        page.keyboard.press("Control+Enter")
    page.screenshot(path=shots / "4_edited.png")
    page.reload()
    page.wait_for_selector("text=Labeling Instructions", timeout=60_000)
    page.keyboard.press("Escape")
    page.wait_for_selector(".pair iframe")
    for _ in range(40):
        if ("POST", 404, "/api/dm/actions") in traffic.odd:
            break
        _submit(page, "1")
    page.wait_for_selector("text=/no more tasks/i")
    page.screenshot(path=shots / "5_the_end.png")
    said = place.choices_of(cy.user)
    print(f"screenshots: {shots}; votes: {said}")
    assert page.title() != "evil"
    assert said.count("B") == 2
    assert len(said) >= 6
    assert "skip" not in said
    assert set(traffic.odd) <= {("GET", 404, "/heidi-tips"), ("POST", 404, "/api/dm/actions")}
    assert traffic.foreign == []
    assert [error for error in traffic.errors if "mobx" not in error] == []
    assert any(path.endswith("/drafts") for _, _, path in traffic.posted)
    assert json.loads(page.evaluate("fetch('/likeness/progress').then(r => r.text())"))["num_open"] == 0
    context.close()


def _shown(page: Any) -> str:
    page.wait_for_selector(".pair iframe", timeout=60_000)
    page.wait_for_timeout(1_500)
    return str(page.inner_text("body"))


SUBMIT = "[aria-label='Submit current annotation']"


def _choose(page: Any, key: str, button: str = SUBMIT) -> None:
    """Press a key until it is taken: a page that is still building hears nothing, and submits nothing either."""
    from playwright.sync_api import TimeoutError

    for _ in range(40):
        page.keyboard.press(key)
        try:
            page.wait_for_selector(f"{button}:not([disabled])", timeout=1_500)
        except TimeoutError:
            continue
        return
    raise AssertionError(f"the page does not take {key!r}")


def _submit(page: Any, key: str | None) -> None:
    if key is not None:
        _choose(page, key)
    _press(page, "Control+Enter")


def _press(page: Any, keys: str) -> None:
    """Press what ends a task, and wait until the next one is shown."""
    with page.expect_response(lambda response: "id=next_task" in response.url) as told:
        page.keyboard.press(keys)
    if told.value.status == 200:
        _wait_for_task(page, told.value.json()["id"])
        page.wait_for_selector(f"{SUBMIT}[disabled]")


def _go_back(page: Any) -> None:
    with page.expect_response(lambda response: "interaction=labelstream" in response.url) as told:
        page.click("[aria-label='Previous task']")
    _wait_for_task(page, told.value.json()["id"])


def _wait_for_task(page: Any, number: int) -> None:
    page.wait_for_selector(f"xpath=//div[contains(@class, 'lsf-current-task__task-id') and text()='{number}']")
