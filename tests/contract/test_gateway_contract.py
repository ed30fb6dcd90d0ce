"""What every front of a board must let through and refuse: our gateway alone, or another server before it.

Another front (`tests.gateway_world.Front`: how it serves what the gateway serves) takes all these tests over and gives
its own fixture `front`, as `tests/live/test_nginx.py` does.
"""

import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from annotate.gateway.votes import unique_id
from annotate.links import sign
from tests.gateway_attacks import refused, tricks
from tests.gateway_world import (
    KEY,
    PASSWORD,
    PROJECT,
    VIDEO,
    VIDEO_A,
    WEBHOOK,
    Front,
    World,
    detail,
    link,
    shown,
    vote,
    world,
)
from warehouse.records import Outcome


@pytest.fixture(scope="module")
def front() -> Front | None:
    """The gateway alone."""
    return None


@pytest.fixture
def place(front: Front | None, tmp_path: Path) -> Iterator[World]:
    with world(tmp_path, front=front) as made:
        yield made


@pytest.fixture(scope="module")
def shared(front: Front | None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """For requests that change nothing, being refused or only read."""
    with world(tmp_path_factory.mktemp("shared"), front=front) as made:
        yield made


# The day of an annotator.


def test_an_annotator_logs_in_loads_the_page_votes_skips_goes_back_and_edits(place: World) -> None:
    ann = place.browser("ann")
    assert ann.client.get("/").headers["location"] == f"/projects/{PROJECT}/data?labeling=1"
    page = ann.client.get(f"/projects/{PROJECT}/data?labeling=1")
    assert page.status_code == 200
    assert page.headers["x-frame-options"] == "SAMEORIGIN"
    first = ann.dealt()
    cast = ann.vote(first, Outcome.A)
    assert cast.status_code == 201
    second = ann.dealt()
    assert ann.skip(second).status_code == 201
    third = ann.dealt()
    assert len({first, second, third}) == 3
    assert ann.vote(third, Outcome.TIE).status_code == 201
    assert ann.next().status_code == 404
    history = ann.client.get(f"/api/projects/{PROJECT}/label-stream-history").json()
    assert {"taskId": first, "annotationId": cast.json()["id"]} in history
    assert ann.edit(cast.json()["id"], Outcome.B).status_code == 200
    assert ann.client.get("/likeness/progress").json() == {"num_done": 2, "num_open": 0}
    assert [place.votes(number) for number in (first, second, third)] == [[(2, "B")], [(2, "skip")], [(2, "tie")]]
    back = ann.client.get(f"/api/tasks/{first}?interaction=labelstream&project={PROJECT}").json()
    assert [one["result"][0]["value"] for one in back["annotations"]] == [{"choices": ["B"]}]


def test_the_vote_is_noted_for_the_collector(place: World) -> None:
    ann = place.browser("ann")
    assert not place.home.wake.exists()
    ann.vote(ann.dealt())
    assert place.home.wake.exists()


def test_a_dealt_task_tells_nothing_but_prompt_pictures_and_videos(place: World) -> None:
    ann = place.browser("ann")
    said = ann.next().json()
    assert set(said["data"]) == {"prompt", "refs_html", "player"}
    assert said["meta"] == {}
    for told in ("showing_", "purpose", "gold", "bob@"):
        assert told not in json.dumps(said)
    source = said["data"]["refs_html"].partition('src="')[2].partition('"')[0].replace("&amp;", "&")
    assert ann.client.get(source).content == VIDEO


def test_the_small_questions_of_the_page_are_answered_about_oneself_alone(shared: World) -> None:
    ann = shared.browser("ann")
    whoami = ann.client.get("/api/current-user/whoami").json()
    assert whoami["id"] == 2
    assert whoami["permissions"] == ["annotations.create"]
    project = ann.client.get(f"/api/projects/{PROJECT}").json()
    assert project["title"] == "pairs"
    users = ann.client.get(f"/api/users?project={PROJECT}").json()
    assert [user["email"] for user in users] == ["ann@likeness.local"]
    said = [ann.client.get(path) for path in ("/api/tasks?page=1&project=7", "/api/ml?project=7", "/api/label_links")]
    assert [one.json() for one in said] == [
        {"tasks": [], "total": 0, "total_annotations": 0, "total_predictions": 0},
        [],
        {"count": 0, "next": None, "previous": None, "results": []},
    ]
    everything = json.dumps([whoami, project, users])
    for told in ("op@likeness", "s3cret", "0123456789abcdef", "4711", "bob@"):
        assert told not in everything
    assert ann.client.get("/heidi-tips").status_code == 404


def test_a_half_made_vote_is_kept_for_its_author_and_goes_with_the_vote(place: World) -> None:
    ann, bob = place.browser("ann"), place.browser("bob")
    task = ann.dealt()
    kept = ann.client.post(f"/api/tasks/{task}/drafts?project={PROJECT}", json=vote(Outcome.A))
    assert kept.status_code == 201
    draft = kept.json()["id"]
    assert ann.client.patch(f"/api/drafts/{draft}", json=vote(Outcome.B, was_postponed=True)).status_code == 200
    assert ann.client.get(f"/api/tasks/{task}").json()["drafts"][0]["result"][0]["value"] == {"choices": ["B"]}
    bobs = bob.dealt()
    assert bob.client.get(f"/api/tasks/{bobs}").json()["drafts"] == []
    ann.vote(task)
    assert ann.client.get(f"/api/tasks/{task}").json()["drafts"] == []
    assert place.label_studio.arrived("POST", f"/api/tasks/{task}/drafts") == []


def test_a_new_showing_is_dealt_without_a_restart(place: World) -> None:
    ann = place.browser("ann")
    for _ in range(3):
        ann.vote(ann.dealt())
    assert ann.next().status_code == 404
    place.board.publish([shown(99)])
    said = ann.client.post("/likeness/wake", headers={"X-Likeness-Webhook": WEBHOOK})
    assert said.status_code == 204
    woken = threading.Event()
    for _ in range(100):
        if ann.next().status_code == 200:
            break
        woken.wait(0.05)
    assert ann.dealt() == place.number("showing_99")


# Votes: once, one's own, and only what was dealt.


def test_a_vote_on_a_task_that_was_not_dealt_is_refused(place: World) -> None:
    ann = place.browser("ann")
    dealt = ann.dealt()
    other = next(number for number in place.board.numbers().values() if number != dealt)
    assert ann.vote(other).status_code == 403
    assert ann.vote(999_999).status_code == 403
    assert place.votes(other) == []
    assert place.label_studio.arrived("POST", "/api/tasks/") == []


def test_the_fourth_vote_is_refused(place: World) -> None:
    people = [place.browser(name) for name in ("ann", "bob", "cy", "dan")]
    task = place.number("showing_0")
    for person in people[:3]:
        while (dealt := person.dealt()) != task:
            person.vote(dealt)
        assert person.vote(task).status_code == 201
    while (said := people[3].next()).status_code == 200:
        assert said.json()["id"] != task
        people[3].vote(said.json()["id"])
    assert people[3].vote(task).status_code == 403
    assert len(place.votes(task)) == 3


def test_a_second_vote_by_the_same_person_is_refused_and_the_same_one_again_is_one(place: World) -> None:
    ann = place.browser("ann")
    task = ann.dealt()
    first = ann.vote(task, Outcome.A)
    again = ann.vote(task, Outcome.A)
    assert (again.status_code, again.json()["id"]) == (201, first.json()["id"])
    other = ann.vote(task, Outcome.B)
    assert other.status_code == 403
    assert "already" in detail(other)
    assert place.votes(task) == [(2, "A")]


def test_two_quick_submits_in_two_tabs_make_one_vote(place: World) -> None:
    place.label_studio.pause_s = 0.1
    ann = place.browser("ann")
    task = ann.dealt()
    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(lambda _: ann.vote(task, Outcome.A).status_code, range(8)))
    assert said == [201] * 8
    assert place.votes(task) == [(2, "A")]


@pytest.mark.parametrize("again", [Outcome.A, Outcome.B])
def test_an_answer_that_is_lost_after_the_vote_was_stored_makes_no_second_vote(place: World, again: Outcome) -> None:
    place.label_studio.num_answers_to_lose = 1
    ann = place.browser("ann")
    task = ann.dealt()
    assert ann.vote(task, Outcome.A).status_code == 201
    ann.vote(task, again)
    assert place.votes(task) == [(2, "A")]


def test_a_vote_that_was_stored_behind_our_back_is_found_and_brought_up_to_date(place: World) -> None:
    """As when the gateway is killed between sending a vote and hearing of it, and the person votes again."""
    ann = place.browser("ann")
    task = ann.dealt()
    stored = vote(Outcome.A, unique_id=unique_id(task=task, user=2))
    behind = place.home.connection().label_studio
    said = httpx.post(f"{behind}/api/tasks/{task}/annotations", json=stored, cookies=dict(ann.client.cookies))
    assert said.status_code == 201
    assert ann.vote(task, Outcome.B).status_code == 201
    assert place.votes(task) == [(2, "B")]


def test_of_a_vote_only_what_was_read_is_sent_on(place: World) -> None:
    ann = place.browser("ann")
    task = ann.dealt()
    ann.vote(task)
    sent = json.loads(place.label_studio.arrived("POST", f"/api/tasks/{task}/annotations")[0].body)
    assert set(sent) == {"result", "was_cancelled", "lead_time", "unique_id", "draft_id"}
    assert sent["unique_id"] == unique_id(task=task, user=2)


def test_a_skip_can_be_thought_over_and_stays_one_answer(place: World) -> None:
    ann = place.browser("ann")
    task = ann.dealt()
    skipped = ann.skip(task)
    assert ann.client.delete(f"/api/annotations/{skipped.json()['id']}?taskID={task}").status_code == 204
    assert place.votes(task) == [(2, "skip")]
    voted = ann.vote(task, Outcome.B)
    assert (voted.status_code, voted.json()["id"]) == (201, skipped.json()["id"])
    assert place.votes(task) == [(2, "B")]


def test_nobody_votes_as_somebody_else(place: World) -> None:
    ann = place.browser("ann")
    task = ann.dealt()
    assert ann.vote(task, completed_by=3).status_code == 403
    assert ann.vote(task, completed_by="3").status_code == 403
    assert place.votes(task) == []
    assert ann.vote(task, completed_by=2).status_code == 201
    answer = place.label_studio.answers(task)[0].id
    assert ann.edit(answer, completed_by=3).status_code == 403
    assert [who for who, _ in place.votes(task)] == [2]


def test_nobody_edits_what_somebody_else_said(place: World) -> None:
    ann, bob = place.browser("ann"), place.browser("bob")
    cast = ann.vote(ann.dealt(), Outcome.A).json()
    bob.dealt()
    assert bob.edit(cast["id"], Outcome.B).status_code == 403
    assert bob.client.delete(f"/api/annotations/{cast['id']}").status_code == 403
    assert ann.client.delete(f"/api/annotations/{cast['id']}").status_code == 403
    assert place.votes(cast["task"]) == [(2, "A")]
    assert place.label_studio.arrived("PATCH", "/api/annotations") == []
    assert place.label_studio.arrived("DELETE", "/api/annotations") == []


def test_nobody_reads_what_others_voted(place: World) -> None:
    ann, bob = place.browser("ann"), place.browser("bob")
    task = place.number("showing_0")
    for person in (ann, bob):
        while (dealt := person.dealt()) != task:
            person.vote(dealt, Outcome.A)
    bob.vote(task, Outcome.B)
    assert ann.client.get(f"/api/tasks/{task}").json()["annotations"] == []
    ann.vote(task, Outcome.A)
    assert [one["completed_by"] for one in ann.client.get(f"/api/tasks/{task}").json()["annotations"]] == [2]
    never = place.browser("cy")
    assert never.client.get(f"/api/tasks/{task}").status_code == 403
    assert ann.client.get(f"/api/tasks/{task}/annotations").status_code == 403
    assert ann.client.get(f"/api/annotations/{place.label_studio.answers(task)[0].id}").status_code == 403


@pytest.mark.parametrize(
    "said",
    [
        {"ground_truth": True},
        {"result": [{"from_name": "vote", "to_name": "prompt", "type": "choices", "value": {"choices": ["C"]}}]},
        {"result": []},
        {"result": "A"},
        {"result": [{"from_name": "<b>", "value": {"choices": ["A"]}}]},
        {"lead_time": -1},
        {"lead_time": "long"},
        {"was_cancelled": "yes"},
    ],
)
def test_a_body_that_the_page_would_not_send_is_refused(shared: World, said: dict[str, Any]) -> None:
    ann = shared.browser("ann")
    task = ann.dealt()
    assert ann.vote(task, **said).status_code == 400
    assert shared.votes(task) == []


def test_a_script_in_a_comment_is_kept_as_the_text_it_is_and_one_in_a_prompt_is_never_html(place: World) -> None:
    ann = place.browser("ann")
    said = ann.next().json()
    assert "<script" in said["data"]["prompt"]  # a tag that takes text shows it
    assert "<script" not in said["data"]["refs_html"] + said["data"]["player"]
    script = "<script>alert(1)</script>"
    comment = {"from_name": "comment", "to_name": "prompt", "type": "textarea", "value": {"text": [script]}}
    cast = ann.vote(said["id"], result=[*vote()["result"], comment])
    assert cast.status_code == 201
    assert cast.headers["content-type"] == "application/json"
    assert cast.headers["x-content-type-options"] == "nosniff"
    assert place.label_studio.answers(said["id"])[0].result[1]["value"] == {"text": [script]}


def test_a_body_that_is_too_large_is_refused_before_it_is_read(shared: World) -> None:
    ann = shared.browser("ann")
    task = ann.dealt()
    large = vote() | {"started_at": "x" * 70_000}
    assert ann.client.post(f"/api/tasks/{task}/annotations", json=large).status_code == 413

    def endless() -> Iterator[bytes]:
        yield b'{"result": "'
        for _ in range(5_000):
            yield b"x" * 1024

    try:
        said = ann.client.post(f"/api/tasks/{task}/annotations", content=endless()).status_code
    except httpx.WriteError:
        said = 413  # the door was shut while we were still talking
    assert said == 413
    assert shared.votes(task) == []


def test_a_length_alone_is_enough_to_be_refused(shared: World) -> None:
    """Nothing of the body is sent, and the answer is there."""
    ann = shared.browser("ann")
    cookies = "; ".join(f"{name}={value}" for name, value in ann.client.cookies.items())
    host, port = shared.origin.removeprefix("http://").split(":")
    head = (
        f"POST /api/tasks/5/annotations HTTP/1.1\r\nHost: {host}\r\nCookie: {cookies}\r\nContent-Length: 900000\r\n\r\n"
    )
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(head.encode())
        assert b" 413 " in connection.recv(200)


# Who asks.


def test_without_a_session_there_is_the_login_page_and_nothing_else(shared: World) -> None:
    nobody = shared.browser()
    assert nobody.client.get("/user/login/").status_code == 200
    assert nobody.client.get("/static/js/page.js").status_code == 200
    for path in ("/", f"/projects/{PROJECT}/data?labeling=1"):
        assert nobody.client.get(path).headers["location"] == "/user/login/"
    assert nobody.next().status_code == 401
    assert nobody.vote(1).status_code == 401
    for path in (f"/api/projects/{PROJECT}", "/api/tasks/1", "/likeness/progress", "/likeness/player", link()):
        assert nobody.client.get(path).status_code == 401


def test_a_session_that_label_studio_does_not_know_is_none(shared: World) -> None:
    nobody = shared.browser()
    nobody.client.cookies.set("sessionid", "0" * 16)
    assert nobody.next().status_code == 401
    nobody.client.cookies.set("sessionid", "x" * 300 + "\\")
    assert nobody.next().status_code == 401


def test_an_authorization_header_is_nobody_and_never_goes_on(shared: World) -> None:
    nobody, ann = shared.browser(), shared.browser("ann")
    token = {"Authorization": "Token 0123456789abcdef"}
    assert nobody.client.get("/api/current-user/whoami", headers=token).status_code == 401
    assert ann.client.get("/api/current-user/whoami", headers=token).status_code == 200
    assert not [one for one in shared.label_studio.seen if "authorization" in one.headers]


def test_an_account_that_was_not_invited_gets_nothing(shared: World) -> None:
    stranger = shared.browser("stranger")
    assert stranger.next().status_code == 403
    assert stranger.client.get(f"/projects/{PROJECT}/data?labeling=1").status_code == 403
    assert stranger.client.get("/logout/").status_code == 302


def test_logging_out_ends_it(place: World) -> None:
    ann = place.browser("ann")
    assert ann.next().status_code == 200
    assert ann.client.get("/logout/").headers["location"] == "/user/login/"
    assert ann.next().status_code == 401


def test_sessions_do_not_stick_to_other_peoples_requests(place: World) -> None:
    people = {name: place.browser(name) for name in ("ann", "bob", "cy")}
    for _ in range(3):
        for name, person in people.items():
            assert person.client.get("/api/current-user/whoami").json()["email"] == f"{name}@likeness.local"
    nobody = place.browser()
    assert nobody.client.get("/api/current-user/whoami").status_code == 401


def test_passwords_cannot_be_tried_for_ever(place: World) -> None:
    guesser = place.browser()
    said = [guesser.log_in("ann@likeness.local", f"guess {index}") for index in range(9)]
    assert [one.status_code for one in said] == [200] * 8 + [429]
    assert int(said[-1].headers["retry-after"]) > 200
    assert guesser.log_in("ANN@likeness.local ", PASSWORD).status_code == 429
    assert guesser.log_in("bob@likeness.local", PASSWORD).status_code == 302
    assert len(place.label_studio.arrived("POST", "/user/login")) == 9


def test_an_address_cannot_try_one_password_on_everybody(place: World) -> None:
    guesser = place.browser()
    said = [guesser.log_in(f"somebody{index}@likeness.local", "1234").status_code for index in range(61)]
    assert said == [200] * 60 + [429]


def test_another_sites_page_changes_nothing(shared: World) -> None:
    ann = shared.browser("ann")
    task = ann.dealt()
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}):
        said = ann.client.post(f"/api/tasks/{task}/annotations", json=vote(), headers=headers)
        assert said.status_code == 403
    assert shared.votes(task) == []
    same = ann.client.post("/api/dm/actions?id=next_task", json={}, headers={"Origin": shared.origin})
    assert same.status_code == 200


# What is not for annotators.


@pytest.mark.parametrize(("method", "path"), refused(PROJECT))
def test_what_is_not_in_the_table_is_refused(shared: World, method: str, path: str) -> None:
    for browser in (shared.browser(), shared.person("ann")):
        before = _reached(shared)
        said = browser.raw(method, path)
        assert said.status in (401, 403, 405), said.text
        assert _reached(shared) == before
    assert shared.label_studio.is_project_there
    assert shared.label_studio.title == "pairs"


def _reached(place: World) -> int:
    """Requests that Label Studio got beside the question who is asking."""
    return len([one for one in place.label_studio.seen if "whoami" not in one.path])


def test_who_clicks_on_what_is_not_for_them_gets_a_page_with_the_way_back(shared: World) -> None:
    headers = {"Sec-Fetch-Dest": "document", "Sec-Fetch-Site": "same-origin"}
    said = shared.person("ann").client.get(f"/projects/{PROJECT}/settings", headers=headers)
    assert (said.status_code, said.headers["content-type"]) == (403, "text/html; charset=utf-8")
    assert '<a href="/">Back to voting</a>' in said.text
    strange = shared.person("ann").client.get("/projects/<script>alert(1)</script>", headers=headers)
    assert "<script" not in strange.text


@pytest.mark.parametrize("path", tricks(PROJECT))
def test_no_spelling_of_a_path_leads_elsewhere(shared: World, path: str) -> None:
    ann = shared.person("ann")
    before = _reached(shared)
    said = ann.raw("GET", path)
    assert said.status in (400, 403, 404), said
    assert "0123456789abcdef" not in said.text
    assert _reached(shared) == before


def test_the_clients_query_and_body_never_go_on(shared: World) -> None:
    ann = shared.browser("ann")
    ann.client.get("/static/js/page.js?url=http://evil.example")
    ann.client.get(f"/projects/{PROJECT}/data?labeling=1&next=//evil.example")
    ann.client.get(f"/api/projects/{PROJECT}?include=token")
    assert {one.query for one in shared.label_studio.seen} <= {"", "labeling=1"}


def test_a_web_socket_is_refused(shared: World) -> None:
    headers = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "13",
    }
    for path in ("/api/projects/8", "/ws/anything"):
        assert shared.browser("ann").client.get(path, headers=headers).status_code == 403


# Media.


def test_media_comes_whole_and_in_ranges(shared: World) -> None:
    ann = shared.browser("ann")
    whole = ann.client.get(link())
    assert (whole.status_code, whole.content) == (200, VIDEO)
    assert whole.headers["content-type"] == "video/mp4"
    assert whole.headers["accept-ranges"] == "bytes"
    assert whole.headers["x-content-type-options"] == "nosniff"
    assert "private" in whole.headers["cache-control"]
    part = ann.client.get(link(), headers={"Range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, VIDEO[100:200])
    assert part.headers["content-range"] == f"bytes 100-199/{len(VIDEO)}"
    assert ann.client.get(link(), headers={"Range": "bytes=-10"}).content == VIDEO[-10:]
    assert ann.client.get(link(), headers={"Range": f"bytes={len(VIDEO)}-"}).status_code == 416
    assert ann.client.head(link()).headers["content-length"] == str(len(VIDEO))


@pytest.mark.parametrize(
    "bad",
    [
        f"/likeness/media/{VIDEO_A}",
        link(user=3),
        sign(VIDEO_A, user=2, key="another key"),
        link(life_s=-1),
        link().replace("u=2", "u=3"),
        link().replace("&s=", "&s=0"),
        link().replace("&e=", "&e=9"),
        link() + "&u=3",
        link().replace(VIDEO_A, "b" * 32 + ".mp4"),
    ],
)
def test_a_link_that_is_forged_over_or_somebody_elses_is_refused(shared: World, bad: str) -> None:
    said = shared.browser("ann").client.get(bad)
    assert said.status_code == 403
    assert VIDEO[:20] not in said.content


@pytest.mark.parametrize(
    "name",
    [
        "../secrets.json",
        "..%2fsecrets.json",
        "%2e%2e%2fsecret.mp4",
        "../secret.mp4",
        "secret.mp4",
        "d" * 32 + ".mp4",
        "",
    ],
)
def test_there_are_no_media_beside_the_media(shared: World, name: str) -> None:
    ann = shared.browser("ann")
    signed = sign(name, user=2, key=KEY)
    assert ann.raw("GET", signed).status in (400, 403, 404)


def test_media_need_a_session_even_with_a_good_link(shared: World) -> None:
    assert shared.browser().client.get(link()).status_code == 401
    assert shared.browser("bob").client.get(link()).status_code == 403


# The webhook, and the operator.


@pytest.mark.parametrize("headers", [{}, {"X-Likeness-Webhook": ""}, {"X-Likeness-Webhook": "webhook-secreT"}])
def test_a_webhook_without_the_secret_wakes_nobody(place: World, headers: dict[str, str]) -> None:
    nobody = place.browser()
    assert nobody.client.post("/likeness/wake", headers=headers, json={"action": "x"}).status_code == 401
    assert nobody.client.post("/likeness/wake", headers=headers, content=b"x" * 500_000).status_code == 401
    assert not place.home.wake.exists()


def test_a_webhook_with_the_secret_wakes_and_its_body_is_not_believed(place: World) -> None:
    task = place.number("showing_0")
    told = {"action": "ANNOTATION_CREATED", "annotation": {"id": 1, "task": task, "completed_by": 2, "result": []}}
    said = place.browser().client.post("/likeness/wake", headers={"X-Likeness-Webhook": WEBHOOK}, json=told)
    assert said.status_code == 204
    assert place.home.wake.exists()
    ann = place.browser("ann")
    assert {ann.dealt()} <= set(place.board.numbers().values())
    assert ann.client.get("/likeness/progress").json()["num_done"] == 0


def test_the_operator_passes_through(place: World) -> None:
    operator = place.browser("op")
    assert operator.client.get("/api/current-user/token").json() == {"token": "0123456789abcdef"}
    assert len(operator.client.get("/api/users").json()) == 6
    changed = operator.client.patch(f"/api/projects/{PROJECT}/", json={"title": "new"})
    assert changed.json()["title"] == place.label_studio.title == "new"
    assert operator.client.get("/data/upload/1/a%20b.mp4?x=1&x=2").json() == {"did": "/data/upload/1/a b.mp4"}
    assert place.label_studio.seen[-1].path == "/data/upload/1/a%20b.mp4"
    assert place.label_studio.seen[-1].query == "x=1&x=2"
    assert operator.client.get(f"/likeness/media/{VIDEO_A}").content == VIDEO
    assert operator.client.delete(f"/api/projects/{PROJECT}/").status_code == 204
    assert not place.label_studio.is_project_there


def test_another_sites_page_does_nothing_as_the_operator_either(shared: World) -> None:
    operator = shared.browser("op")
    said = operator.client.delete(f"/api/projects/{PROJECT}/", headers={"Origin": "https://evil.example"})
    assert said.status_code == 403
    assert shared.label_studio.is_project_there


def test_the_player_comes_with_a_policy_under_which_nothing_foreign_runs(shared: World) -> None:
    ann = shared.browser("ann")
    page = ann.client.get("/likeness/player")
    assert page.status_code == 200
    assert page.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")
    assert page.headers["x-frame-options"] == "SAMEORIGIN"
    assert ann.client.get("/likeness/static/player.js").headers["content-type"].startswith("text/javascript")
    assert ann.client.get("/likeness/static/__init__.py").status_code == 404
