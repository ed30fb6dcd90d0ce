"""What annotators' pages are told: links of their own, their own answers, and text that stays text."""

from dataclasses import replace
from html.parser import HTMLParser
from urllib.parse import parse_qs, unquote

from hypothesis import given
from hypothesis import strategies as st

from annotate.board import Answer, AnsweredTask
from annotate.gateway import answers
from annotate.gateway.sessions import Person
from annotate.interface import Parsed, result_of
from tests.gateway_world import shown
from warehouse.records import Outcome, Purpose

ANN = Person(user=2, email="ann@likeness.local", is_operator=False, is_member=True)


def answer(**override: object) -> Answer:
    values: dict[str, object] = {
        "id": 1,
        "task": 12,
        "completed_by": 2,
        "result": result_of(Parsed(outcome=Outcome.A)),
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:00Z",
        "lead_time": 1.0,
        "was_cancelled": False,
    }
    return Answer(**(values | override))  # type: ignore[arg-type]


def told(found: AnsweredTask) -> dict[str, object]:
    return dict(answers.task(found, person=ANN, project=7, link=lambda name: f"/media/{name}?u=2&s=1", draft=None))


def test_a_task_tells_neither_its_purpose_nor_what_others_said() -> None:
    task = shown(1, purpose=Purpose.GOLD, priority=3.5)
    others = (answer(id=1, completed_by=3), answer(id=2), answer(id=3, completed_by="4"))
    said = told(AnsweredTask(number=12, task=task, answers=others))
    assert [one["id"] for one in said["annotations"]] == [2]  # type: ignore[attr-defined]
    assert said["meta"] == {}
    for secret in ("gold", "showing", "3.5"):
        assert secret not in repr(said)


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@given(st.lists(st.text(alphabet="ab\"'<>&/ =", max_size=20), max_size=3), st.text(max_size=50))
def test_pictures_are_our_own_tags_whatever_a_file_is_called(names: list[str], prompt: str) -> None:
    task = shown(1)
    found = AnsweredTask(
        number=1, task=type(task)(**_fields(task) | {"references": tuple(names), "prompt": prompt}), answers=()
    )
    data = answers.data(found, lambda name: f"/media/{name}?u=2&s=1")
    tags = Tags()
    tags.feed(data["refs_html"])
    assert [tag for tag, _ in tags.found] == ["img"] * len(names)
    assert [attributes["src"] for _, attributes in tags.found] == [f"/media/{name}?u=2&s=1" for name in names]
    assert data["prompt"] == prompt


def _fields(task: object) -> dict[str, object]:
    return {name: getattr(task, name) for name in task.__dataclass_fields__}  # type: ignore[attr-defined]


@given(st.text(min_size=1, max_size=20), st.text(min_size=1, max_size=20))
def test_the_players_links_come_apart_again(name_a: str, name_b: str) -> None:
    task = shown(1)
    found = AnsweredTask(
        number=1, task=type(task)(**_fields(task) | {"video_a": name_a, "video_b": name_b}), answers=()
    )
    player = answers.data(found, lambda name: f"/media/{name}?u=2&e=5&s=1")["player"]
    path, _, fragment = player.partition("#")
    parts = dict(part.split("=", 1) for part in fragment.split("&"))
    assert path == "/likeness/player"
    assert {side: unquote(link) for side, link in parts.items()} == {
        "a": f"/media/{name_a}?u=2&e=5&s=1",
        "b": f"/media/{name_b}?u=2&e=5&s=1",
    }
    assert parse_qs(fragment, keep_blank_values=True, strict_parsing=True).keys() == {"a", "b"}


def test_the_player_is_told_where_the_faces_are_where_that_is_known() -> None:
    task = replace(shown(1), faces=(0.25, 0.0, 0.5, 0.125))
    player = answers.data(AnsweredTask(number=1, task=task, answers=()), lambda name: name)["player"]
    assert player.endswith("&face=0.2500,0.0000,0.5000,0.1250")


def test_of_several_answers_the_latest_is_ones_own() -> None:
    found = AnsweredTask(number=12, task=shown(1), answers=(answer(id=9), answer(id=3)))
    own = answers.own_answer(found, 2)
    assert own is not None
    assert own.id == 9


def test_label_studios_annotation_becomes_an_answer() -> None:
    said = {
        "id": 5,
        "task": 12,
        "completed_by": {"id": 2, "email": "ann@likeness.local"},
        "result": [],
        "created_at": "x",
        "updated_at": "y",
        "lead_time": 2,
        "was_cancelled": True,
    }
    assert answers.answer_of(said) == answer(
        id=5, result=(), created_at="x", updated_at="y", lead_time=2.0, was_cancelled=True
    )


def test_a_project_tells_a_persons_own_counts_and_no_owner() -> None:
    said = {"id": 7, "title": "pairs", "created_by": {"email": "op@here"}, "task_number": 4711, "token": "t"}
    project = answers.project(said, num_done=3, num_open=4)
    assert (project["task_number"], project["queue_done"], project["title"]) == (7, 3, "pairs")
    assert project["created_by"] is None
    assert "token" not in project
