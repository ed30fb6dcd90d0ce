import base64
import email.utils
import json
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest

from flows.engines.chat import Ask, NoAnswer, Turn, ask
from flows.engines.chat_http import ChatHttp, data_url
from flows.sources.actors import portrait
from tests.loopback import Loopback, Reply, Seen, question_of, said, serving
from warehouse.errors import EngineUnavailable

KEY = "sk-very-secret-0123456789"
Respond = Callable[[Seen], Reply]
"""The plain question of a client that asks whether the service answers at all is answered unless a test says not."""


def chat(server: Loopback, **override: Any) -> ChatHttp:
    values: dict[str, Any] = {"base_url": server.base_url, "model": "tiny", "backoff_s": 0.01, "num_retries": 2}
    return ChatHttp(**(values | override))


def is_plain(seen: Seen) -> bool:
    return "Say yes." in str(seen.body)


def in_turn(*replies: Reply) -> Respond:
    """These replies, then the last of them again and again; a plain question is always answered."""
    left = list(replies)

    def respond(seen: Seen) -> Reply:
        if is_plain(seen):
            return said("yes")
        return left.pop(0) if len(left) > 1 else left[0]

    return respond


def test_a_question_is_sent_as_the_protocol_wants_it_and_its_answer_comes_back() -> None:
    schema = {"type": "object"}
    with serving(in_turn(said('{"a": 1}'))) as server:
        answers = chat(server, max_tokens=7).answer([ask("Who?", system="Be brief.", schema=schema)])
    assert answers == ['{"a": 1}']
    (seen,) = server.seen
    assert seen.path == "/v1/chat/completions"
    assert "authorization" not in seen.headers
    assert seen.body == {
        "model": "tiny",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Who?"}],
        "temperature": 0.0,
        "max_tokens": 7,
        "seed": 0,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "answer", "strict": True, "schema": schema},
        },
        "chat_template_kwargs": {"enable_thinking": False},
    }


def test_what_a_service_does_not_know_is_left_out() -> None:
    asked = ask("Who?", schema={"type": "object"})
    with serving(in_turn(said("x"))) as server:
        chat(server, json_mode="json_object", thinking="unsaid").answer([asked])
        chat(server, json_mode="none", thinking="on").answer([asked])
        chat(server).answer([ask("Who?")])
    first, second, third = (seen.body for seen in server.seen)
    assert first["response_format"] == {"type": "json_object"} and "chat_template_kwargs" not in first
    assert "response_format" not in second and second["chat_template_kwargs"] == {"enable_thinking": True}
    assert "response_format" not in third


@pytest.mark.parametrize(("picture_format", "farthest"), [("png", 0), ("jpeg", 12)])
def test_pictures_travel_in_their_place_among_the_words_and_in_their_colours(
    picture_format: str, farthest: int
) -> None:
    picture = portrait(3, size_px=96)
    turn = Turn(role="user", parts=("Video A:", picture, "Video B:", picture[:, ::-1]))
    with serving(in_turn(said("A"))) as server:
        chat(server, picture_format=picture_format).answer([Ask(turns=(turn,), seed=5)])
    assert server.seen[0].body["seed"] == 5
    parts = server.seen[0].body["messages"][0]["content"]
    assert [part["type"] for part in parts] == ["text", "image_url", "text", "image_url"]
    arrived = _decoded(parts[1]["image_url"]["url"], picture_format)
    assert np.abs(arrived.astype(int) - picture).mean() <= farthest / 4
    assert np.abs(_decoded(parts[3]["image_url"]["url"], picture_format).astype(int) - arrived[:, ::-1]).mean() < 3


def _decoded(url: str, picture_format: str) -> np.ndarray:
    head, _, content = url.partition(",")
    assert head == f"data:image/{picture_format};base64"
    read = cv2.imdecode(np.frombuffer(base64.b64decode(content), np.uint8), cv2.IMREAD_COLOR)
    return read[..., ::-1]


def test_the_same_picture_is_the_same_url() -> None:
    assert data_url(portrait(1)) == data_url(portrait(1).copy()) != data_url(portrait(2))


def test_answers_keep_the_order_of_the_questions_and_the_limit_on_requests_at_once() -> None:
    def respond(seen: Seen) -> Reply:
        time.sleep(0.03 if int(question_of(seen)) % 3 == 0 else 0.005)
        return said(f"answer {question_of(seen)}")

    with serving(respond) as server:
        answers = chat(server, concurrency=4).answer([ask(str(number)) for number in range(24)])
    assert answers == [f"answer {number}" for number in range(24)]
    assert 1 < server.num_open_most <= 4
    assert chat(server).answer([]) == []


@pytest.mark.parametrize(
    "trouble",
    [
        Reply(status=429, headers={"retry-after": "0"}),
        Reply(status=500, body=b"boom"),
        Reply(status=503),
        Reply(status=408),
        Reply(body=b"<html>a proxy's page</html>"),
        Reply(body=b'{"choices": []}'),
        Reply(body=b"[" * 100_000),
        Reply(body=b'{"choices": [{"message"', is_cut=True),
        Reply(delay_s=5, body=b"{}"),
    ],
    ids=["429", "500", "503", "408", "html", "empty", "nested", "cut", "silent"],
)
def test_what_may_pass_is_tried_again(trouble: Reply) -> None:
    with serving(in_turn(trouble, said("better"))) as server:
        assert chat(server, read_s=0.3).answer([ask("Who?")]) == ["better"]
    assert len(server.seen) == 2


def test_it_waits_as_long_as_it_is_told_to_in_seconds_or_by_a_date() -> None:
    with serving(in_turn(Reply(status=429, headers={"retry-after": "0.3"}), said("x"))) as server:
        started = time.monotonic()
        chat(server).answer([ask("Who?")])
        assert time.monotonic() - started >= 0.3
    due = int(time.time()) + 2
    later = email.utils.formatdate(due, usegmt=True)
    with serving(in_turn(Reply(status=503, headers={"retry-after": later}), said("x"))) as server:
        chat(server).answer([ask("Who?")])
        assert time.time() >= due


@pytest.mark.parametrize("senseless", ["soon", "nan", "", "-5"])
def test_a_senseless_retry_after_is_passed_over(senseless: str) -> None:
    with serving(in_turn(Reply(status=429, headers={"retry-after": senseless}), said("x"))) as server:
        assert chat(server).answer([ask("Who?")]) == ["x"]


def test_a_service_that_asks_for_more_time_than_there_is_stops_the_run_at_once() -> None:
    with serving(in_turn(Reply(status=429, headers={"retry-after": "3600"}, body=b"slow down"))) as server:
        started = time.monotonic()
        with pytest.raises(EngineUnavailable, match=r"overloaded \(HTTP 429: slow down\)"):
            chat(server, total_s=600).answer([ask("Who?")])
    assert time.monotonic() - started < 300
    assert len(server.seen) == 1


def test_a_service_that_is_not_there_stops_the_run_with_one_line_that_says_where() -> None:
    with serving(in_turn(said("x"))) as server:
        pass
    with pytest.raises(EngineUnavailable, match=r"cannot be reached .*refused.*run the same command again") as caught:
        chat(server).answer([ask("a"), ask("b")])
    assert server.base_url in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "said_of_it"),
    [(401, "refuses the key"), (403, "refuses the key"), (404, "no such address or model"), (302, "elsewhere")],
)
def test_a_wrong_key_address_or_model_stops_the_run_without_a_second_try(status: int, said_of_it: str) -> None:
    with serving(lambda seen: Reply(status=status, body=b"no")) as server:
        with pytest.raises(EngineUnavailable, match=said_of_it):
            chat(server).answer([ask("Who?")])
        assert len(server.seen) == 1


def test_one_question_that_is_refused_costs_itself_alone() -> None:
    def respond(seen: Seen) -> Reply:
        too_long = question_of(seen) == "long"
        return Reply(status=400, body=b'{"error": "8192 tokens at most"}') if too_long else said("fine")

    with serving(respond) as server:
        one, two, three = chat(server).answer([ask("a"), ask("long"), ask("b")])
    assert (one, three) == ("fine", "fine")
    assert isinstance(two, NoAnswer)
    assert two.reason == "the service refused (HTTP 400)" and "8192 tokens at most" in two.detail
    assert len(server.seen) == 4, "it is not tried again; the fourth asks whether the service answers anything"


def test_a_service_that_refuses_everything_stops_the_run() -> None:
    refusal = Reply(status=400, body=b"pinned to another model")
    with serving(lambda seen: refusal) as server, pytest.raises(EngineUnavailable, match="pinned to another model"):
        chat(server).answer([ask("Who?")])


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        (Reply(status=500, body=b"out of memory"), "the service failed"),
        (Reply(body=b"no json"), "the service answered rubbish"),
        (Reply(delay_s=5), "the service did not answer in time"),
        (Reply(body=b" " * 50, trickle_s=0.1), "the service did not answer in time"),
        (Reply(body=b"{}", is_cut=True), "the service broke off"),
    ],
    ids=["500", "rubbish", "silence", "trickle", "cut"],
)
def test_a_question_that_a_working_service_always_chokes_on_is_that_items_own(trouble: Reply, reason: str) -> None:
    with serving(in_turn(trouble)) as server:
        (answer,) = chat(server, num_retries=1, read_s=0.3, total_s=1).answer([ask("Who?")])
    assert isinstance(answer, NoAnswer) and answer.reason == reason
    assert is_plain(server.seen[-1])


def test_a_service_that_chokes_on_everything_stops_the_run() -> None:
    gone = Reply(status=500, body=b"CUDA is gone")
    with serving(lambda seen: gone) as server, pytest.raises(EngineUnavailable, match="CUDA is gone"):
        chat(server).answer([ask("Who?")])
    with serving(lambda seen: Reply(body=b"<html>")) as server, pytest.raises(EngineUnavailable, match="rubbish"):
        chat(server).answer([ask("Who?")])


def test_a_service_that_is_found_gone_calls_off_the_questions_that_still_wait() -> None:
    def respond(seen: Seen) -> Reply:
        return Reply(status=404) if question_of(seen) == "0" else Reply(status=503)

    with serving(respond) as server:
        started = time.monotonic()
        with pytest.raises(EngineUnavailable, match="no such address or model"):
            chat(server, backoff_s=60, backoff_max_s=60, concurrency=4, num_retries=9).answer(
                [ask(str(number)) for number in range(50)]
            )
    assert time.monotonic() - started < 40  # a wait of its own would have been drawn up to a minute, nine times
    assert len(server.seen) < 12


def test_an_answer_that_was_cut_at_max_tokens_or_has_no_text_is_no_answer() -> None:
    with serving(in_turn(said('{"a', finish_reason="length"), said(None, finish_reason="content_filter"))) as server:
        (cut,) = chat(server).answer([ask("Who?")])
        (silent,) = chat(server).answer([ask("Who?")])
    assert isinstance(cut, NoAnswer) and cut.reason == "answer longer than max_tokens"
    assert isinstance(silent, NoAnswer) and silent.detail == "content_filter"


def test_the_key_comes_from_the_environment_and_shows_nowhere(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("SOME_KEY", KEY)
    echo = Reply(status=400, body=f"bad: Bearer {KEY} {'x' * 250} {KEY}".encode())
    with serving(lambda seen: said("yes") if is_plain(seen) else echo) as server:
        client = chat(server, api_key_env="SOME_KEY")
        (refused,) = client.answer([ask("a prompt that stays ours")])
        assert [seen.headers["authorization"] for seen in server.seen] == [f"Bearer {KEY}"] * 2
    stops = pytest.raises(EngineUnavailable, match="check base_url, model and SOME_KEY")
    with serving(lambda seen: Reply(status=401, body=KEY.encode())) as server, stops as caught:
        chat(server, api_key_env="SOME_KEY").answer([ask("Who?")])
    shown = [repr(client), client.revision, repr(refused), str(refused), repr(client._service()), str(caught.value)]
    assert "***" in str(refused) and "***" in str(caught.value)
    assert not any(KEY in text or KEY[:12] in text for text in [*shown, caplog.text])
    assert "stays ours" not in caplog.text


@pytest.mark.parametrize(
    ("key", "message"), [(None, "is not set"), (" ", "is not set"), ("a\nb", "no key"), ("s\u00e4", "no key")]
)
def test_a_key_that_is_missing_or_senseless_stops_the_run_unseen(
    key: str | None, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SOME_KEY", raising=False)
    if key is not None:
        monkeypatch.setenv("SOME_KEY", key)
    with serving(in_turn(said("x"))) as server:
        with pytest.raises(EngineUnavailable, match=message):
            chat(server, api_key_env="SOME_KEY").answer([ask("Who?")])
        assert not server.seen


@pytest.mark.parametrize(
    "wrong",
    [
        {"base_url": "ftp://x/v1"},
        {"base_url": "http://user:secret@x/v1"},
        {"base_url": "http://x/v1?key=secret"},
        {"base_url": "http://x:port/v1"},
        {"base_url": "ftp://user:secret@x/v1"},
        {"model": ""},
        {"json_mode": "xml"},
        {"picture_format": "gif"},
        {"thinking": "maybe"},
        {"embedding_input": "text"},
        {"concurrency": 0},
        {"temperature": -1},
        {"read_s": 0},
        {"num_retries": -1},
    ],
    ids=str,
)
def test_a_wrong_setting_is_told_before_anything_is_asked(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError) as caught:
        ChatHttp(**({"base_url": "http://127.0.0.1:1/v1", "model": "m"} | wrong))
    assert "user:secret" not in str(caught.value) and "key=secret" not in str(caught.value)


def test_the_revision_tells_what_decides_answers_and_nothing_else() -> None:
    plain = ChatHttp(base_url="http://127.0.0.1:1/v1", model="m")
    elsewhere = ChatHttp(base_url="http://10.0.0.1/v1", model="m", concurrency=2, read_s=1, api_key_env="K")
    others = [{"model": "n"}, {"model_revision": "abc"}, {"temperature": 0.7}, {"max_tokens": 9}]
    others += [{"json_mode": "none"}, {"thinking": "on"}, {"picture_format": "png"}, {"embedding_input": "objects"}]
    revisions = {ChatHttp(**({"base_url": "http://127.0.0.1:1/v1", "model": "m"} | other)).revision for other in others}
    assert plain.revision == elsewhere.revision not in revisions
    assert len(revisions) == len(others)


def test_no_thread_is_left_behind() -> None:
    with serving(in_turn(Reply(status=404))) as server, pytest.raises(EngineUnavailable):
        chat(server).answer([ask("a")] * 20)
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("chat-http")]


def vectors(*rows: list[float]) -> Reply:
    return Reply(body=json.dumps({"data": [{"embedding": row} for row in rows]}).encode())


def test_embeddings_are_asked_for_as_messages_or_as_objects_and_brought_to_length_1() -> None:
    picture = portrait(0, size_px=32)
    with serving(in_turn(vectors([3.0, 4.0]))) as server:
        as_messages = chat(server).embed([("a dog",), (picture,)], instruction="Find it.")
        as_objects = chat(server, embedding_input="objects").embed([("a dog",), (picture,)], instruction="Find it.")
    assert all(vector.dtype == np.float32 for vector in as_messages)
    assert np.allclose(as_messages, [[0.6, 0.8]] * 2) and np.allclose(as_objects, [[0.6, 0.8]] * 2)
    bodies = sorted((seen.body for seen in server.seen), key=lambda body: ("input" in body, len(str(body))))
    text, shown, text_object, shown_object = bodies
    assert {seen.path for seen in server.seen} == {"/v1/embeddings"}
    system = {"role": "system", "content": "Find it."}
    assert text["messages"] == [system, {"role": "user", "content": "a dog"}]
    assert shown["messages"][1]["content"][0]["image_url"]["url"] == data_url(picture)
    assert text_object["input"] == [{"text": "Find it. a dog"}]
    assert shown_object["input"] == [{"image": data_url(picture)}]


@pytest.mark.parametrize("row", [[0.0, 0.0], [float("nan"), 1.0], []], ids=["zero", "nan", "empty"])
def test_an_embedding_that_is_none_is_no_answer(row: list[float]) -> None:
    with serving(lambda seen: vectors([1.0, 0.0] if is_plain(seen) else row)) as server:
        (answer,) = chat(server, num_retries=1).embed([("a dog",)])
    assert isinstance(answer, NoAnswer) and answer.reason == "the service answered rubbish"
