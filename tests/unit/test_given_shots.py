from fractions import Fraction
from pathlib import Path

import pytest

from flows.stages.annotated import Annotation
from flows.stages.encode import encode
from flows.stages.frames import Video
from flows.stages.given_shots import GivenShots
from flows.stages.shots import ShotsFact
from flows.stages.stage import Done, Failed, SourceItem
from tests import factories, opens2v
from tests.people import side_by_side
from warehouse import ids
from warehouse.media import MediaStore
from warehouse.records import Clip


@pytest.fixture(scope="module")
def ten_frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ten") / "ten.mp4"
    path.write_bytes(encode([side_by_side(None)] * 10, frame_rate=Fraction(30000, 1001)))
    return path


def cut(path: Path, media: Path, given: Annotation | None) -> Done[ShotsFact] | Failed:
    store, source = MediaStore(media), factories.source(path=str(path))
    source = opens2v.with_annotation(source, store, given) if given else source
    item = SourceItem(source=source, video=Video(path), media=store, facts={}, fact_key="fact_here")
    return GivenShots()([item])[0]


@pytest.mark.parametrize(
    ("spans", "start", "end"),
    [({"cut": [1, 9], "face_cut": [3, 8]}, 3, 8), ({"cut": [1, 10], "face_cut": None}, 1, 10)],
)
def test_the_clip_is_the_span_with_faces_or_else_the_data_sets_cut(
    ten_frames: Path, tmp_path: Path, spans: dict[str, list[int]], start: int, end: int
) -> None:
    outcome = cut(ten_frames, tmp_path, opens2v.annotation(**spans))
    assert isinstance(outcome, Done)
    [clip] = outcome.made
    assert clip == Clip(
        clip_id=ids.make("clip", "source_1", start, end),
        source_id="source_1",
        fact_key="fact_here",
        shot_index=0,
        start_frame=start,
        end_frame=end,
        start=Fraction(1001 * start, 30000),
        end=Fraction(1001 * end, 30000),
        frame_rate=Fraction(30000, 1001),
        width_px=160,
        height_px=160,
    )
    assert (outcome.fact.num_shots, outcome.fact.num_frames) == (1, 10)


def test_a_span_that_the_file_does_not_have_fails(ten_frames: Path, tmp_path: Path) -> None:
    outcome = cut(ten_frames, tmp_path, opens2v.annotation(face_cut=[3, 11]))
    assert isinstance(outcome, Failed)
    assert outcome.reason == "span outside the video"
    assert outcome.exception.endswith("frames [3, 11) of 10")


def test_a_source_that_came_without_a_span_fails_before_it_is_decoded(ten_frames: Path, tmp_path: Path) -> None:
    for given in (None, Annotation(origin="opens2v", key="a key", is_none=True)):
        outcome = cut(Path("/nowhere/film.mp4"), tmp_path, given)
        assert isinstance(outcome, Failed)
        assert outcome.reason == "no span came with the source"


def test_an_unreadable_file_fails_with_its_own_reason(tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    outcome = cut(tmp_path / "broken.mp4", tmp_path, opens2v.annotation())
    assert isinstance(outcome, Failed) and outcome.reason == "not a video"
