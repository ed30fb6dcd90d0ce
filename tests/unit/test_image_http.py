import base64
import email
import email.policy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from flows.engines.image_http import ImageHttp
from flows.engines.kontext import Kontext
from flows.engines.ports import Picture
from flows.sources.actors import portrait
from tests import tiny_kontext
from tests.loopback import Loopback, Reply, Seen, serving
from warehouse.errors import EngineUnavailable

PICTURE = portrait(0, size_px=96)
PROMPTS = ["tall: Make them tall.", "small: Make them small."]
Respond = Callable[[Seen], Reply]


def engine(server: Loopback, **override: Any) -> ImageHttp:
    values = {"base_url": server.base_url, "model": "tiny", "prompts": PROMPTS, "area_px": 64 * 64}
    return ImageHttp(**(values | {"backoff_s": 0.01, "num_retries": 1, "concurrency": 1} | override))


def form_of(seen: Seen) -> dict[str, Any]:
    """The fields of a multipart form: text, but for `image`, which is a picture."""
    head = f"content-type: {seen.headers['content-type']}\r\n\r\n".encode()
    message = email.message_from_bytes(head + seen.body, policy=email.policy.HTTP)
    fields: dict[str, Any] = {}
    for part in message.iter_parts():
        name, content = part.get_param("name", header="content-disposition"), part.get_payload(decode=True)
        assert isinstance(content, bytes)
        fields[str(name)] = decoded(content) if name == "image" else content.decode()
    return fields


def decoded(content: bytes) -> Picture:
    return np.asarray(cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR_RGB))


def drawn(picture: Picture) -> Reply:
    """An answer with one picture."""
    content = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1].tobytes()
    return Reply(body=json.dumps({"created": 1, "data": [{"b64_json": base64.b64encode(content).decode()}]}).encode())


def mirrored(seen: Seen) -> Reply:
    return drawn(np.ascontiguousarray(form_of(seen)["image"][:, ::-1]))


def refusing(words: str, status: int = 400) -> Respond:
    """Refuses the prompts that hold these words, mirrors all else."""

    def respond(seen: Seen) -> Reply:
        if words in form_of(seen)["prompt"]:
            return Reply(status=status, body=b'{"error": {"code": "moderation_blocked"}}')
        return mirrored(seen)

    return respond


def test_a_network_behind_the_service_draws_what_it_draws_in_process(tmp_path: Path) -> None:
    folder = tiny_kontext.kontext(tmp_path / "kontext")

    def local(prompt: str, picture: Picture) -> Picture:
        values: dict[str, Any] = {"steps": 1, "area_px": 64 * 64, "device": "cpu"}
        return Kontext(model=str(folder), prompts=[f"any: {prompt}"], **values).views(picture)[0].picture

    def respond(seen: Seen) -> Reply:
        form = form_of(seen)
        return drawn(local(form["prompt"], form["image"]))

    with serving(respond) as server:
        views = engine(server).views(cv2.resize(PICTURE, (64, 64)))
    for view in views:
        assert view.prompt is not None
        assert np.array_equal(view.picture, local(view.prompt, cv2.resize(PICTURE, (64, 64))))
    assert not np.array_equal(views[0].picture, views[1].picture)


def test_a_request_is_a_form_as_the_protocol_wants_it() -> None:
    with serving(mirrored) as server:
        made = engine(server, is_seeded=True, size="64x64", extra=["quality=high"]).views(PICTURE)
    assert [(view.name, view.synthesizer, view.is_resynthesised) for view in made] == [
        ("tall", "http tiny", True),
        ("small", "http tiny", True),
    ]
    first, second = map(form_of, server.seen)
    assert server.seen[0].path == "/v1/images/edits"
    assert first["image"].shape == (64, 64, 3)
    assert first.pop("seed") != second.pop("seed")
    assert {name: value for name, value in first.items() if name != "image"} == {
        "model": "tiny",
        "prompt": "Make them tall.",
        "n": "1",
        "size": "64x64",
        "response_format": "b64_json",
        "quality": "high",
    }
    assert np.array_equal(made[0].picture, first["image"][:, ::-1])


def test_what_a_service_is_not_asked_for_is_not_sent() -> None:
    with serving(mirrored) as server:
        engine(server, asks_for_b64=False).load()
    assert {"seed", "response_format"}.isdisjoint(form_of(server.seen[0]))


def test_a_view_that_the_service_refuses_is_left_out() -> None:
    with serving(refusing("tall")) as server:
        assert [view.name for view in engine(server).views(PICTURE)] == ["small"]


def test_an_answer_without_a_picture_costs_the_view() -> None:
    def respond(seen: Seen) -> Reply:
        return Reply(body=b'{"data": []}') if "tall" in form_of(seen)["prompt"] else mirrored(seen)

    with serving(respond) as server:
        assert [view.name for view in engine(server).views(PICTURE)] == ["small"]


@pytest.mark.parametrize(
    "answer", [b'{"data": [{"url": "http://127.0.0.1/x.png"}]}', b'{"data": [{"b64_json": "%%%"}]}', b"[]"]
)
def test_a_service_that_never_sends_a_picture_stops_the_run(answer: bytes) -> None:
    with serving(lambda seen: Reply(body=answer)) as server, pytest.raises(EngineUnavailable, match="rubbish"):
        engine(server).views(PICTURE)


def test_a_picture_that_cannot_be_read_costs_the_view() -> None:
    nothing = json.dumps({"data": [{"b64_json": base64.b64encode(b"no picture").decode()}]}).encode()
    with serving(lambda seen: Reply(body=nothing)) as server:
        assert engine(server).views(PICTURE) == []


@pytest.mark.parametrize("status", [401, 404, 503])
def test_a_service_that_answers_nobody_stops_the_run(status: int) -> None:
    with serving(refusing("", status)) as server, pytest.raises(EngineUnavailable):
        engine(server, concurrency=2).views(PICTURE)


def test_a_service_that_is_not_there_stops_the_run() -> None:
    with serving(mirrored) as server:
        gone = engine(server)
    with pytest.raises(EngineUnavailable, match="cannot be reached"):
        gone.views(PICTURE)
    with pytest.raises(EngineUnavailable, match="cannot be reached"):
        gone.load()


def test_the_key_is_read_from_the_environment_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGE_KEY", "sk-very-secret")
    with serving(mirrored) as server:
        ours = engine(server, api_key_env="IMAGE_KEY")
        ours.views(PICTURE)
    assert server.seen[0].headers["authorization"] == "Bearer sk-very-secret"
    assert "very-secret" not in repr(ours) + ours.revision


def test_the_revision_tells_what_decides_answers_and_no_more() -> None:
    plain = ImageHttp(base_url="http://127.0.0.1:1/v1", model="tiny")
    assert plain.revision == ImageHttp(base_url="http://127.0.0.1:2/v1", model="tiny", read_s=1).revision
    others = [{"model": "other"}, {"model_revision": "2"}, {"prompts": PROMPTS}, {"size": "1x1"}, {"extra": ["a=b"]}]
    values: dict[str, Any] = {"base_url": "http://127.0.0.1:1/v1", "model": "tiny"}
    revisions = {ImageHttp(**(values | other)).revision for other in others}
    assert len(revisions | {plain.revision}) == 1 + len(others)


@pytest.mark.parametrize("wrong", [{"model": ""}, {"extra": ["quality"]}, {"prompts": ["nowhere"]}, {"base_url": "x"}])
def test_what_cannot_be_meant_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        ImageHttp(**({"base_url": "http://127.0.0.1:1/v1", "model": "tiny"} | wrong))
