"""The VLM judge, over HTTP, against a service on this machine that looks at the pictures it is sent."""

import json
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flows.engines.chat import SAID, NoAnswer
from flows.engines.chat_http import ChatHttp
from flows.engines.ports import Judgement, Question, Side, Sight
from flows.engines.vlm_judge import SCHEMA, VlmJudge, judgement
from flows.stages.encode import encode
from flows.stages.stage import Failed
from tests.bright_judges import num_asked, pictures_of, respond
from tests.loopback import Loopback, serving
from tests.pair_stages import png
from warehouse.errors import EngineUnavailable

UNSEEN = Sight(identity_mean=None, identity_min=None, sharpness=None, flicker=None)


@pytest.fixture(scope="module")
def service() -> Iterator[Loopback]:
    with serving(respond) as found:
        yield found


@pytest.fixture
def server(service: Loopback) -> Loopback:
    service.seen.clear()
    return service


def judge(server: Loopback, model: str = "bright", **override: Any) -> VlmJudge:
    chat = ChatHttp(base_url=server.base_url, model=model, temperature=0.7, backoff_s=0.01, num_retries=1)
    return VlmJudge(**({"name": model, "chat": chat, "num_frames": 3} | override))


def shown(folder: Path, *levels: int, size_px: tuple[int, int] = (32, 48)) -> Side:
    """A video whose pictures have these levels."""
    path = folder / ("_".join(map(str, (*levels, *size_px))) + ".bin")
    path.write_bytes(encode([np.full((*size_px, 3), level, np.uint8) for level in levels], frame_rate=Fraction(4)))
    return Side(video=path, sight=UNSEEN)


def question(folder: Path, a: Side, b: Side, **override: Any) -> Question:
    reference = folder / "reference.bin"
    reference.write_bytes(png(128))
    values = {"prompt": "A man walks.", "references": (reference, reference), "a": a, "b": b, "seed": 5}
    return Question(**(values | override))


def test_it_names_the_side_that_the_model_names(server: Loopback, tmp_path: Path) -> None:
    dark, bright = shown(tmp_path, 50, 50, 50), shown(tmp_path, 150, 150, 150)
    sides = [(dark, bright), (bright, dark), (dark, dark)]
    said = judge(server).vote([question(tmp_path, a, b) for a, b in sides])
    assert [one.outcome for one in said if isinstance(one, Judgement)] == ["B", "A", "tie"]
    assert said[0] == Judgement(outcome="B", comment="2 people seen (identity B, quality B, alignment B)")


def test_the_model_is_shown_references_prompt_and_frames_of_the_whole_video_in_order(
    server: Loopback, tmp_path: Path
) -> None:
    a, b = shown(tmp_path, *range(10, 250, 20)), shown(tmp_path, 100, 100, size_px=(96, 64))
    judge(server, num_frames=4, longest_side_px=48).vote([question(tmp_path, a, b)])
    (seen,) = server.seen
    pictures = pictures_of(seen.body["messages"])
    assert [picture.shape for picture in pictures["references"]] == [(32, 32, 3)] * 2
    levels = [float(picture.mean()) for picture in pictures["A"]]
    assert len(levels) == 4 and levels == sorted(levels)
    assert levels[0] < 70 and levels[-1] > 180
    assert [picture.shape for picture in pictures["B"]] == [(48, 32, 3)] * 2
    texts = [part["text"] for part in seen.body["messages"][1]["content"] if part["type"] == "text"]
    assert texts[:4] == [
        "Reference picture of person 1:",
        "Reference picture of person 2:",
        "The request: A man walks.",
        "Video A, 4 frames in order:",
    ]
    assert "identity" in texts[-2] and "quality" in texts[-2] and "alignment" in texts[-2]
    assert seen.body["response_format"]["json_schema"]["schema"] == SCHEMA
    assert (seen.body["seed"], seen.body["temperature"]) == (5, 0.7)


def test_nothing_it_sends_tells_which_candidate_is_which(server: Loopback, tmp_path: Path) -> None:
    a = shown(tmp_path, 50, 50)
    judge(server).vote([question(tmp_path, a, shown(tmp_path, 90, 90))])
    assert tmp_path.name not in json.dumps(server.seen[0].body) and a.video.name not in json.dumps(server.seen[0].body)


def test_a_question_without_prompt_and_references_is_asked_all_the_same(server: Loopback, tmp_path: Path) -> None:
    one = question(tmp_path, shown(tmp_path, 50, 50), shown(tmp_path, 90, 90), prompt=None, references=())
    (said,) = judge(server).vote([one])
    assert isinstance(said, Judgement) and said.outcome == "B"
    assert "No request in words was given." in json.dumps(server.seen[0].body)


@pytest.mark.parametrize(
    ("model", "num_requests", "comment"),
    [
        ("shy", 1, "abstains, cannot tell: 2 people seen"),
        ("babbler", 2, "abstains, answer not usable after a repair: it is not JSON"),
    ],
)
def test_cannot_tell_and_rubbish_are_abstentions_that_say_so(
    server: Loopback, tmp_path: Path, model: str, num_requests: int, comment: str
) -> None:
    (said,) = judge(server, model).vote([question(tmp_path, shown(tmp_path, 50, 50), shown(tmp_path, 90, 90))])
    assert isinstance(said, Judgement) and said.outcome is None
    assert (said.comment or "").startswith(comment)
    assert num_asked(server) == num_requests


def test_a_video_or_reference_that_cannot_be_read_costs_its_own_question(server: Loopback, tmp_path: Path) -> None:
    a, b = shown(tmp_path, 50, 50), shown(tmp_path, 90, 90)
    (tmp_path / "broken").write_bytes(b"no video")
    gone, broken = (Side(video=tmp_path / name, sight=UNSEEN) for name in ("gone", "broken"))
    asked = [
        question(tmp_path, gone, b),
        question(tmp_path, a, b),
        question(tmp_path, a, broken),
        question(tmp_path, a, b, references=(tmp_path / "broken",)),
        question(tmp_path, a, b, references=(tmp_path / "gone",)),
    ]
    said = judge(server).vote(asked)
    assert isinstance(said[1], Judgement)
    failed = [one.reason for one in said if isinstance(one, Failed)]
    assert len(failed) == 4 and failed[2:] == ["reference cannot be read"] * 2


def test_a_question_that_is_refused_is_neither_an_answer_nor_an_abstention(server: Loopback, tmp_path: Path) -> None:
    dark, bright = shown(tmp_path, 50, 50), shown(tmp_path, 150, 150)
    said = judge(server, "picky").vote([question(tmp_path, dark, bright), question(tmp_path, bright, bright)])
    assert isinstance(said[0], Failed) and said[0].reason == "the service refused (HTTP 400)"
    assert said[1] == Judgement(outcome="tie", comment="2 people seen (identity tie, quality tie, alignment tie)")


def test_a_service_that_is_not_there_stops_the_run(tmp_path: Path) -> None:
    chat = ChatHttp(base_url="http://127.0.0.1:9/v1", model="bright", backoff_s=0.01, num_retries=1)
    away = VlmJudge(name="away", chat=chat, num_inferences=1)
    with pytest.raises(EngineUnavailable):
        away.vote([question(tmp_path, shown(tmp_path, 50, 50), shown(tmp_path, 90, 90))])


def test_nobody_asked_is_nobody_answered(server: Loopback) -> None:
    assert judge(server).vote([]) == []
    assert server.seen == []


@pytest.mark.parametrize("verdict", ["A", "tie", "B"])
def test_the_overall_verdict_is_the_vote_whatever_the_points_say(verdict: str) -> None:
    answer = {"reason": " so ", "identity": "A", "quality": "B", "alignment": "cannot tell", "overall": verdict}
    assert judgement(answer) == Judgement(outcome=verdict, comment="so (identity A, quality B, alignment cannot tell)")


def test_an_answer_that_never_came_is_no_abstention() -> None:
    assert judgement(NoAnswer("the service broke off", "x")) == Failed(reason="the service broke off", exception="x")


@pytest.mark.parametrize("reason", SAID)
def test_an_answer_that_came_and_says_nothing_is_an_abstention(reason: str) -> None:
    assert judgement(NoAnswer(reason, "x")) == Judgement(outcome=None, comment=f"abstains, {reason}: x")


def test_what_decides_answers_is_in_the_revision_and_the_number_of_inferences_is_not(server: Loopback) -> None:
    plain = judge(server)
    other_chat = replace(plain.chat, model="other")  # type: ignore[type-var]
    revisions = [plain.revision, judge(server, num_frames=5).revision, judge(server, longest_side_px=64).revision]
    assert len({*revisions, replace(plain, chat=other_chat).revision}) == 4
    assert judge(server, num_inferences=9).revision == plain.revision


@pytest.mark.parametrize(
    ("override", "complaint"),
    [
        ({"name": ""}, "without #"),
        ({"name": "a#1"}, "without #"),
        ({"num_inferences": 0}, "num_inferences"),
        ({"num_frames": 0}, "num_frames"),
        ({"longest_side_px": 8}, "longest_side_px"),
        ({"chat": ChatHttp(base_url="http://localhost/v1", model="m")}, "at temperature 0 its 3 inferences are one"),
    ],
)
def test_a_judge_that_makes_no_sense_is_refused(server: Loopback, override: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        judge(server, **override)
