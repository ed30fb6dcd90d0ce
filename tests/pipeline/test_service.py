"""A road that asks a service: what a run does when it goes away, and what the next one does when it is back."""

import json
import threading
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flows.settings import Settings
from flows.stages.encode import encode
from tests.loopback import Reply, Seen, said, serving
from tests.pipeline.test_commands import answered, refused
from tests.tiny_qwen import people

PROFILE = """
[[stage]]
use = "flows.stages.shots:Shots"
flow = "curate"
detector = { use = "flows.engines.embedded.content_shots:ContentShots" }

[[stage]]
use = "flows.stages.captions:Captions"
flow = "curate"
[stage.parser]
use = "flows.engines.qwen_captions:QwenCaptions"
[stage.parser.chat]
use = "flows.engines.chat_http:ChatHttp"
base_url = "BASE_URL"
model = "tiny"
num_retries = 1
backoff_s = 0.01

[identities]
same_person_similarity = 0.9
"""
CAPTIONS = ["A man waves.", "A woman sings.", "Nobody understands this.", "A boy runs.", "A girl reads."]
HARD = CAPTIONS[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One short video a caption."""
    found = tmp_path / "videos"
    found.mkdir()
    for number in range(len(CAPTIONS)):
        pictures = [np.full((48, 64, 3), 40 * number, dtype=np.uint8)] * 12
        (found / f"{number}.mp4").write_bytes(encode(pictures, frame_rate=Fraction(12)))
    lines = ["path,caption", *(f"{number}.mp4,{text}" for number, text in enumerate(CAPTIONS))]
    (found / "captions.csv").write_text("\n".join(lines) + "\n")
    return found


def caption_of(seen: Seen) -> str:
    """The caption that a request is about, a repair too."""
    said_so_far = [turn["content"] for turn in seen.body["messages"]]
    return next(caption for caption in CAPTIONS if f"Caption: {json.dumps(caption)}" in said_so_far)


def understood(seen: Seen) -> Reply:
    """What a model says that understands all captions but one."""
    caption = caption_of(seen)
    return said("I do not know." if caption == HARD else people(" ".join(caption.split()[:2])))


def outcomes() -> list[Any]:
    """(outcome, reason, number) of the captions, as the ledger has them."""
    with Settings.read().warehouse.session() as session:
        return session.execute(
            "SELECT outcome, reason, count(*) FROM ledger WHERE stage = 'captions' GROUP BY ALL ORDER BY ALL"
        ).fetchall()


def test_a_service_that_goes_away_stops_the_run_fails_nothing_and_the_next_run_goes_on(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIKENESS_SHARD_SIZE", "1")
    known: set[str] = set()
    is_back = threading.Event()

    def respond(seen: Seen) -> Reply:
        if len(known) == 2 and caption_of(seen) not in known and not is_back.is_set():
            return Reply(status=503, body=b"model is gone")
        if not is_back.is_set():
            known.add(caption_of(seen))
        return understood(seen)

    path = tmp_path / "served.toml"
    with serving(respond) as server:
        path.write_text(PROFILE.replace("BASE_URL", server.base_url))
        answered("ingest", "--source", folder, "--profile", path)
        line = refused("curate", "--profile", path, code=10)
        assert "overloaded (HTTP 503: model is gone)" in line and "run the same command again" in line
        assert sum(number for _, _, number in outcomes()) == 2, "what was known before is kept"
        is_back.set()
        server.seen.clear()
        answered("curate", "--profile", path)
        assert {caption_of(seen) for seen in server.seen} == set(CAPTIONS) - known
        assert outcomes() == [("done", None, 4), ("failed", "caption could not be parsed", 1)]
        server.seen.clear()
        answered("curate", "--profile", path)
        assert not server.seen
