"""The stage `text_video`."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from flows.engines.chat_http import ChatHttp
from flows.engines.gme_http import GmeHttp
from flows.engines.ports import Picture
from flows.stages.frames import Video
from flows.stages.stage import CandidateItem, Done, Failed
from flows.stages.text_video import TextVideo, TextVideoFact
from tests import factories
from tests.loopback import Reply, Seen, serving
from tests.people import clip_item
from warehouse.errors import EngineUnavailable


@dataclass
class Listener:
    """A scorer that keeps what it was shown, and scores a text by its length."""

    revision: str = "listener-1"
    heard: list[list[tuple[str, Sequence[Picture]]]] = field(default_factory=list)

    def score(self, items: Sequence[tuple[str, Sequence[Picture]]]) -> Sequence[float | Failed | None]:
        self.heard.append(list(items))
        special = {"?": None, "!": Failed(reason="no answer", exception="HTTP 500")}
        return [special[text] if text in special else float(len(text)) for text, _ in items]


def item(folder: Path, caption: str | None = "A man.", num_frames: int = 12) -> CandidateItem:
    folder.mkdir(exist_ok=True)
    pictures = [np.full((32, 48, 3), 20 * index, np.uint8) for index in range(num_frames)]
    clip = clip_item(folder, pictures)
    return CandidateItem(
        source=factories.source(caption=caption),
        clip=clip.clip,
        candidate=factories.candidate(),
        video=clip.video,
        media=clip.media,
        facts={},
        fact_key="fact_here",
        subjects=(),
        references=(),
    )


def fact(outcome: Done[TextVideoFact] | Failed) -> TextVideoFact:
    assert isinstance(outcome, Done)
    return outcome.fact


def test_without_a_scorer_the_score_is_unknown_and_no_video_is_decoded(tmp_path: Path) -> None:
    one = item(tmp_path)
    (outcome,) = TextVideo()([one])
    assert fact(outcome) == TextVideoFact(text_video_score=None, num_frames_seen=0, scorer=None)
    assert one.video.num_passes == 0


def test_a_batch_is_shown_at_once_in_order_with_frames_from_the_whole_video(tmp_path: Path) -> None:
    listener = Listener()
    items = [item(tmp_path / "one"), item(tmp_path / "two", "A woman walks.", num_frames=3)]
    outcomes = TextVideo(scorer=listener, num_frames=4)(items)
    assert [fact(outcome).text_video_score for outcome in outcomes] == [6.0, 14.0]
    assert [fact(outcome).num_frames_seen for outcome in outcomes] == [4, 3]
    ((first, _),) = listener.heard
    levels = [float(picture.mean()) for picture in first[1]]
    assert first[0] == "A man." and levels == pytest.approx([20, 80, 140, 200], abs=8)
    assert all(one.video.num_passes == 1 for one in items)


@pytest.mark.parametrize("caption", [None, ""])
def test_a_video_without_a_prompt_has_no_score_and_is_not_shown(tmp_path: Path, caption: str | None) -> None:
    listener = Listener()
    (outcome,) = TextVideo(scorer=listener)([item(tmp_path, caption)])
    assert fact(outcome) == TextVideoFact(text_video_score=None, num_frames_seen=0, scorer="listener-1")
    assert listener.heard == []


def test_what_the_scorer_cannot_tell_is_unknown_and_not_zero(tmp_path: Path) -> None:
    (outcome,) = TextVideo(scorer=Listener())([item(tmp_path, "?")])
    assert fact(outcome) == TextVideoFact(text_video_score=None, num_frames_seen=8, scorer="listener-1")


def test_a_video_that_cannot_be_read_fails_alone(tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    broken = replace(item(tmp_path / "one"), video=Video(tmp_path / "broken.mp4"))
    outcomes = TextVideo(scorer=Listener())([broken, item(tmp_path / "two")])
    assert isinstance(outcomes[0], Failed) and outcomes[0].reason
    assert fact(outcomes[1]).text_video_score == 6.0


def test_what_got_no_answer_fails_alone_and_is_not_unknown(tmp_path: Path) -> None:
    outcomes = TextVideo(scorer=Listener())([item(tmp_path / "one", "!"), item(tmp_path / "two")])
    assert outcomes[0] == Failed(reason="no answer", exception="HTTP 500")
    assert fact(outcomes[1]).text_video_score == 6.0


def test_gme_behind_a_service_scores_what_the_stage_shows_it(tmp_path: Path) -> None:
    def respond(seen: Seen) -> Reply:
        said = seen.body["messages"][-1]["content"]
        angle = 0.0 if isinstance(said, str) else 1.0  # every frame is one radian from every text
        return Reply(body=json.dumps({"data": [{"embedding": [math.cos(angle), math.sin(angle)]}]}).encode())

    with serving(respond) as server:
        scorer = GmeHttp(service=ChatHttp(base_url=server.base_url, model="gme"))
        (outcome,) = TextVideo(scorer=scorer, num_frames=3)([item(tmp_path)])
    assert fact(outcome).text_video_score == pytest.approx(math.cos(1.0))
    assert (fact(outcome).num_frames_seen, fact(outcome).scorer) == (3, scorer.revision)
    assert len(server.seen) == 4  # a text and three frames


def test_a_scorer_that_is_not_there_stops_the_stage(tmp_path: Path) -> None:
    class Away(Listener):
        def score(self, items: Sequence[tuple[str, Sequence[Picture]]]) -> Sequence[float | Failed | None]:
            raise EngineUnavailable("no GME at http://nowhere")

    with pytest.raises(EngineUnavailable):
        TextVideo(scorer=Away())([item(tmp_path)])
