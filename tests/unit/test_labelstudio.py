"""The parts of the Label Studio board that need no server; the rest is in `tests/live/test_labelstudio_board.py`."""

import logging
from datetime import timedelta
from typing import Any

import pytest

from annotate import interface, labelstudio
from annotate.board import Dealing
from annotate.errors import BoardRefused
from annotate.home import Member
from annotate.labelstudio import LabelStudioBoard, _ServerClock
from annotate.labelstudio_listing import EVER, after, answered, before, row_of, showing_of, utc
from annotate.labelstudio_setup import Invited, _project_settings, email_of
from tests.contract.test_board_contract import task
from warehouse.records import Purpose

NOON = "2026-01-01T12:00:00.000000Z"


def row(**override: Any) -> dict[str, Any]:
    """A task as the server lists it."""
    shown = task("one", dealing=Dealing(purpose=Purpose.GOLD, num_votes=None))
    return {"id": 7, "updated_at": NOON, "annotations": [], **row_of(shown), **override}


def annotation(**override: Any) -> dict[str, Any]:
    values = {
        "id": 3,
        "result": [],
        "completed_by": 2,
        "was_cancelled": True,
        "lead_time": None,
        "created_at": NOON,
        "updated_at": NOON,
    }
    return values | override


def test_times_are_spelled_so_that_they_sort() -> None:
    spelled = [utc(time) for time in ("2026-01-01T12:00:00Z", "2026-01-01T12:00:00.5Z", "2026-01-01T13:00:01+00:30")]
    assert spelled == [NOON, "2026-01-01T12:00:00.500000Z", "2026-01-01T12:30:01.000000Z"]
    assert spelled == sorted(spelled)


def test_before_the_first_time_is_the_first_time() -> None:
    assert before(EVER, timedelta(seconds=120)) == EVER
    assert before(NOON, timedelta(seconds=120)) == "2026-01-01T11:58:00.000000Z"
    assert after(before(NOON, timedelta(seconds=5)), timedelta(seconds=5)) == NOON


def test_a_listed_task_is_read_back_as_it_was_sent() -> None:
    sent = task("one", prompt=None, references=(), dealing=Dealing(purpose=Purpose.GOLD, num_votes=None, priority=0.5))
    (found,) = answered([row(**row_of(sent), annotations=[annotation(id=9), annotation(id=3)])])
    assert (found.number, found.task) == (7, sent)
    assert [(each.id, each.task) for each in found.answers] == [(3, 7), (9, 7)]


def test_a_setting_that_an_older_release_did_not_know_has_its_default() -> None:
    (found,) = answered([row(meta={"purpose": "vote", "unknown": 1})])
    assert found.task.dealing == Dealing()


def test_an_answer_of_a_deleted_account_is_nobodys() -> None:
    (found,) = answered([row(annotations=[annotation(completed_by=None, result=None)])])
    assert (found.answers[0].completed_by, found.answers[0].result) == ("", ())


@pytest.mark.parametrize(
    "override",
    [
        {"data": {}},
        {"data": None},
        {"data": []},
        {"meta": None},
        {"meta": {"purpose": "fun"}},
        {"data": row_of(task("one"))["data"] | {"video_a": None}},
        {"data": row_of(task("one"))["data"] | {"references": [1]}},
        {"data": row_of(task("one"))["data"] | {"references": None}},
    ],
)
def test_a_task_that_is_not_ours_is_left_out_and_named(
    override: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert list(answered([row(**override)])) == []
    assert "task 7 " in caplog.text


def test_a_task_without_a_showing_id_shows_nothing_of_ours() -> None:
    found = [showing_of(row(data=data)) for data in ({"showing_id": "x"}, {"showing_id": 5}, {}, None, [])]
    assert found == ["x", None, None, None, None]


def test_the_servers_clock_is_never_thought_to_be_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = [1000.0]
    monkeypatch.setattr(labelstudio.time, "monotonic", lambda: ours[0])
    clock = _ServerClock()
    assert clock.now() == EVER
    clock.has_reached(NOON)
    ours[0] += 1000
    assert clock.now() == "2026-01-01T12:16:39.000000Z"
    clock.has_reached(after(NOON, timedelta(seconds=1)))
    assert clock.now() == "2026-01-01T12:16:39.000000Z"
    clock.has_reached("2026-01-01T12:16:40.000000Z")
    assert clock.now() == "2026-01-01T12:16:40.000000Z"


def test_a_legacy_token_is_refused_and_not_told() -> None:
    with pytest.raises(BoardRefused, match="no personal token") as caught:
        LabelStudioBoard("http://127.0.0.1:1", "0123456789" * 4, 1)
    assert "0123456789" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "email"),
    [
        ("ann", "ann@likeness.local"),
        ("Zoë van Dÿk", "zoe-van-dyk@likeness.local"),
        (" Ann@Example.org ", "ann@example.org"),
        ("--A.B--", "a-b@likeness.local"),
    ],
)
def test_a_name_becomes_what_somebody_logs_in_as(name: str, email: str) -> None:
    assert email_of(name) == email


@pytest.mark.parametrize("name", ["", " ", "日本", "---"])
def test_a_name_without_letters_is_refused(name: str) -> None:
    with pytest.raises(BoardRefused, match="no name to log in with"):
        email_of(name)


def test_a_password_is_not_shown() -> None:
    member = Member(user=1, name="ann", email="ann@likeness.local")
    assert "hunter2" not in repr(Invited(member=member, password="hunter2"))


def test_the_project_asks_for_three_votes_on_the_page_as_it_is_packed() -> None:
    settings = _project_settings()
    assert settings["maximum_annotations"] == 3
    assert settings["label_config"] == interface.labeling_xml().strip()
    assert settings["expert_instruction"] == interface.instructions_html().strip() != ""
