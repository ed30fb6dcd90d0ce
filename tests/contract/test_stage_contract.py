"""What every stage keeps to, whatever it measures. A new stage is one line in `STAGES`."""

import dataclasses
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from flows.engines.embedded.caption_rules import CaptionRules
from flows.engines.embedded.content_shots import ContentShots
from flows.engines.embedded.distortions import Distortions
from flows.engines.embedded.dlib_faces import DlibFaces
from flows.engines.embedded.face_seeded import FaceSeeded
from flows.engines.embedded.geometric_views import GeometricViews
from flows.engines.embedded.grabcut import GrabCut
from flows.stages.annotations import Annotations
from flows.stages.candidates import Candidates
from flows.stages.captions import Captions
from flows.stages.faces import Faces
from flows.stages.fingerprint import Fingerprint
from flows.stages.frames import Video
from flows.stages.given_shots import GivenShots
from flows.stages.given_subjects import GivenSubjects
from flows.stages.likeness import Likeness
from flows.stages.quality import Quality
from flows.stages.references import References
from flows.stages.shots import Shots
from flows.stages.stage import CandidateItem, ClipItem, Done, Failed, SourceItem
from flows.stages.subjects import Subjects
from flows.stages.text_video import TextVideo
from tests import factories, opens2v
from tests.people import clip_item, side_by_side

read_faces = cache(DlibFaces)

STAGES: list[Callable[[], Any]] = [
    lambda: Shots(detector=ContentShots()),
    lambda: Quality(),
    lambda: Captions(parser=CaptionRules()),
    lambda: Faces(reader=read_faces(), num_looks=1),
    lambda: Subjects(reader=read_faces(), grounder=FaceSeeded(), segmenter=GrabCut(), num_looks=1),
    lambda: References(reader=read_faces(), synthesizer=GeometricViews(), num_looks=1),
    lambda: Candidates(generator=Distortions(faces=read_faces()), max_frames=5),
    lambda: Likeness(faces=read_faces(), max_looks=1),
    lambda: TextVideo(),
    lambda: Fingerprint(),
    lambda: Annotations(),
    lambda: GivenShots(),
    lambda: GivenSubjects(reader=read_faces(), num_looks=1),
]


@dataclass(frozen=True, slots=True)
class Road:
    """Two items of each kind, on their way: two people, and nobody."""

    sources: tuple[SourceItem, ...]
    clips: tuple[ClipItem, ...]
    candidates: tuple[CandidateItem, ...]

    def items(self, stage: Any) -> Sequence[Any]:
        return {SourceItem: self.sources, ClipItem: self.clips, CandidateItem: self.candidates}[stage.takes]


@pytest.fixture(scope="module")
def road(tmp_path_factory: pytest.TempPathFactory) -> Road:
    clips = tuple(
        travelled(clip_item(tmp_path_factory.mktemp("clip"), [side_by_side(*actors)] * 5), clip_id=f"clip_{number}")
        for number, actors in enumerate([(0, 3), (None, None)])
    )
    return Road(
        sources=tuple(
            SourceItem(
                source=replace(clip.source, source_id=clip.clip.clip_id),
                video=clip.video,
                media=clip.media,
                facts={},
                fact_key="fact_here",
            )
            for clip in clips
        ),
        clips=clips,
        candidates=tuple(as_candidate(clip) for clip in clips),
    )


def travelled(item: ClipItem, *, clip_id: str) -> ClipItem:
    """The item with its annotation, captions, subjects and references known."""
    annotation = opens2v.annotation(("woman", opens2v.rectangle(10, 20, 140, 160)), face_cut=[0, 5])
    source = opens2v.with_annotation(item.source, item.media, annotation)
    item = replace(item, source=source, clip=replace(item.clip, clip_id=clip_id))
    captions, _, subjects, references = (build() for build in STAGES[2:6])
    item = replace(item, facts={"captions": captions([item])[0].fact})
    item = replace(item, subjects=subjects([item])[0].made)
    return replace(item, references=references([item])[0].made)


def as_candidate(item: ClipItem) -> CandidateItem:
    """The clip's own file as a candidate."""
    candidate = factories.candidate(clip_id=item.clip.clip_id, sha256=item.media.put(item.video.path.read_bytes()))
    return CandidateItem(
        source=item.source,
        clip=item.clip,
        candidate=candidate,
        video=item.video,
        media=item.media,
        facts={},
        fact_key="fact_here",
        subjects=item.subjects,
        references=item.references,
    )


@pytest.fixture(params=STAGES, ids=lambda build: build().name)
def stage(request: pytest.FixtureRequest) -> Any:
    return request.param()


def test_it_is_a_frozen_dataclass_that_says_what_it_is(stage: Any) -> None:
    assert dataclasses.is_dataclass(stage) and type(stage).__dataclass_params__.frozen
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(stage).__name__.removeprefix("Given"))
    assert stage.name == words.lower()
    assert stage.version >= 1
    assert stage.takes in (SourceItem, ClipItem, CandidateItem)
    assert dataclasses.is_dataclass(stage.fact) and stage.fact.__dataclass_params__.frozen
    assert set(stage.needs) < {build().name for build in STAGES}


def test_its_engines_say_their_revision(stage: Any) -> None:
    values = [getattr(stage, each.name) for each in dataclasses.fields(stage)]
    engines = [value for value in values if not isinstance(value, bool | int | float | str | None)]
    assert all(isinstance(engine.revision, str) and engine.revision for engine in engines)


def test_every_item_gets_its_own_outcome_in_order(stage: Any, road: Road) -> None:
    items = road.items(stage)
    together = stage(items)
    assert list(together) == [stage([item])[0] for item in items]
    assert list(stage(items[::-1])) == list(together)[::-1]
    assert all(isinstance(outcome, Done) and isinstance(outcome.fact, stage.fact) for outcome in together)
    assert list(stage([])) == []


def test_what_it_makes_carries_the_facts_key_and_has_ids_of_its_own(stage: Any, road: Road) -> None:
    made = [record for outcome in stage(road.items(stage)) for record in outcome.made]
    assert {record.fact_key for record in made} <= {"fact_here"}
    ids = [getattr(record, dataclasses.fields(record)[0].name) for record in made]
    assert len(set(ids)) == len(ids)


def test_a_file_that_cannot_be_read_fails_with_a_reason_or_is_not_looked_at(
    stage: Any, road: Road, tmp_path: Path
) -> None:
    path = tmp_path / "broken.mp4"
    path.write_bytes(b"no video")
    item = replace(road.items(stage)[0], video=Video(path))
    (outcome,) = stage([item])
    if isinstance(outcome, Failed):
        assert outcome.reason and len(outcome.reason) < 60
    else:
        assert item.video.num_passes == 0
