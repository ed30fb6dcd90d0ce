"""The arithmetic of the score, against a server with known vectors; a real network's stand in tests/live."""

import json

import numpy as np
import pytest

from flows.engines.chat_http import ChatHttp, data_url
from flows.engines.gme_http import PICTURE_INSTRUCTION, TEXT_INSTRUCTION, GmeHttp
from flows.stages.stage import Failed
from tests.loopback import Reply, Seen, serving
from warehouse.errors import EngineUnavailable

SHADES = {level: np.full((8, 8, 3), level, np.uint8) for level in (0, 60, 120, 180)}


def content(seen: Seen) -> str:
    """The text of the request, or the URL of its picture."""
    said = seen.body["messages"][-1]["content"]
    return said if isinstance(said, str) else said[0]["image_url"]["url"]


def gme(base_url: str) -> GmeHttp:
    service = ChatHttp(base_url=base_url, model="gme", picture_format="png", backoff_s=0.01, num_retries=1)
    return GmeHttp(service=service)


def test_the_score_is_the_mean_of_the_cosines_of_text_and_frames() -> None:
    pictures = {data_url(shade, "png"): level for level, shade in SHADES.items()}
    angles = {0: 0.0, 60: np.pi / 3, 120: np.pi / 2, 180: np.pi}

    def respond(seen: Seen) -> Reply:
        said = content(seen)
        angle = angles[pictures[said]] if said in pictures else {"a dog": 0.0, "a cat": np.pi / 2}[said]
        row = [2.5 * np.cos(angle), 2.5 * np.sin(angle)]
        return Reply(body=json.dumps({"data": [{"embedding": row}]}).encode())

    dark, middle = [SHADES[0], SHADES[60]], [SHADES[120], SHADES[180]]
    with serving(respond) as server:
        scores = gme(server.base_url).score(
            [("a dog", dark), ("a dog", middle), ("a cat", dark), (" ", dark), ("a dog", [])]
        )
    assert scores[:3] == pytest.approx([0.75, -0.5, np.sqrt(3) / 4], abs=1e-6)
    assert scores[3:] == [None, None]
    texts = [seen for seen in server.seen if content(seen) in ("a dog", "a cat")]
    assert len(texts) == 2, "a text of several items is asked for once"
    assert {seen.body["messages"][0]["content"] for seen in texts} == {TEXT_INSTRUCTION}
    assert {seen.body["messages"][0]["content"] for seen in server.seen if seen not in texts} == {PICTURE_INSTRUCTION}


def test_an_item_whose_frame_got_no_answer_fails_alone() -> None:
    broken = data_url(SHADES[60], "png")

    def respond(seen: Seen) -> Reply:
        if content(seen) == broken:
            return Reply(status=422, body=b"cannot read this picture")
        return Reply(body=json.dumps({"data": [{"embedding": [1.0, 0.0]}]}).encode())

    with serving(respond) as server:
        bad, good = gme(server.base_url).score([("a dog", [SHADES[0], SHADES[60]]), ("a dog", [SHADES[0]])])
    assert good == pytest.approx(1.0)
    assert isinstance(bad, Failed) and bad.reason == "text-video score got no answer"
    assert "cannot read this picture" in bad.exception


def test_a_service_without_embeddings_stops_the_run() -> None:
    with serving(lambda seen: Reply(status=404)) as server, pytest.raises(EngineUnavailable):
        gme(server.base_url).score([("a dog", [SHADES[0]])])


def test_the_revision_names_the_model_and_the_instructions() -> None:
    assert gme("http://h/v1").revision == gme("http://elsewhere/v1").revision
    assert gme("http://h/v1").revision.startswith("gme-http-1-") and "gme@main" in gme("http://h/v1").revision
