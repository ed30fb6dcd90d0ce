"""The stage that makes a clip's candidates."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.engines.ports import Generated, Picture, Request
from flows.stages import tracks
from flows.stages.candidates import (
    Candidates,
    CandidatesFact,
    best_references,
    boxes_between,
    first_frame,
    window_length,
)
from flows.stages.encode import encode
from flows.stages.frames import Video
from flows.stages.stage import ClipItem, Done, Failed
from tests import factories
from warehouse.media import MediaStore
from warehouse.records import Box, Candidate

BOX: Box = (40.0, 30.0, 80.0, 70.0)
RATE = Fraction(24)
SIZE_PX = (320, 240)


class Mirror:
    """Generates the original mirrored, and remembers what it was asked."""

    revision = "mirror"

    def __init__(self) -> None:
        self.requests: list[Request] = []

    def generate(self, request: Request) -> Iterator[Generated]:
        self.requests.append(request)
        frames = tuple(np.ascontiguousarray(frame.rgb[:, ::-1]) for frame in request.original)
        yield Generated(generator="mirror", severity=None, frames=frames, frame_rate=request.frame_rate)


def frame(index: int) -> Picture:
    """A bar that moves to the right, over grey."""
    picture = np.full((SIZE_PX[1], SIZE_PX[0], 3), 90, np.uint8)
    picture[:, 4 * index : 4 * index + 30] = (200, 60, 30)
    return picture


@dataclass(frozen=True)
class Desk:
    """A media store with a video and what belongs to one subject in it."""

    media: MediaStore
    video: Path

    def item(self, *, num_frames: int = 60, **override: Any) -> ClipItem:
        sightings = [
            tracks.Sighting(frame=index, subject_index=0, box_px=None, face_box_px=BOX, mask=None, face_vector=None)
            for index in (0, 12, 24)
        ]
        reference = cv2.imencode(".png", np.full((50, 40, 3), (10, 20, 30), np.uint8))[1].tobytes()
        values: dict[str, Any] = {
            "source": factories.source(),
            "clip": factories.clip(start_frame=0, end_frame=num_frames, frame_rate=RATE),
            "video": Video(self.video),
            "media": self.media,
            "facts": {},
            "fact_key": "fact_candidates",
            "subjects": [factories.subject(track_sha256=self.media.put(tracks.write(sightings)))],
            "references": [factories.reference(sha256=self.media.put(reference))],
        }
        return ClipItem(**(values | override))


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    folder = tmp_path_factory.mktemp("candidates")
    video = folder / "source.mp4"
    video.write_bytes(encode([frame(index) for index in range(60)], frame_rate=RATE))
    return Desk(MediaStore(folder / "media"), video)


def made(stage: Candidates, item: ClipItem) -> tuple[CandidatesFact, list[Candidate]]:
    (outcome,) = stage([item])
    assert isinstance(outcome, Done)
    return outcome.fact, [record for record in outcome.made if isinstance(record, Candidate)]


def test_the_original_is_a_candidate_and_stands_first(desk: Desk) -> None:
    fact, (original, mirrored) = made(Candidates(generator=Mirror()), desk.item())
    assert (original.generator, original.severity, original.seed) == ("original", 0.0, None)
    assert (mirrored.generator, mirrored.severity) == ("mirror", None)
    assert fact == CandidatesFact(num_candidates=2, first_frame=0, num_frames=49, width_px=320, height_px=240)
    assert {original.fact_key, mirrored.fact_key} == {"fact_candidates"}


def test_no_encoding_cue_tells_the_original_from_the_others(desk: Desk) -> None:
    _, candidates = made(Candidates(generator=Mirror(), longest_side_px=160), desk.item())
    videos = [Video(desk.media.path_of(each.sha256)) for each in candidates]
    assert {(video.width_px, video.height_px) for video in videos} == {(160, 120)}
    assert {tuple(video.times) for video in videos} == {tuple(Fraction(i, 24) for i in range(49))}


def test_the_window_holds_successive_frames_around_the_key_frame(desk: Desk) -> None:
    item = desk.item()
    item = replace(item, subjects=[replace(item.subjects[0], key_frame=40)])
    mirror = Mirror()
    fact, _ = made(Candidates(generator=mirror, max_frames=17), item)
    assert [frame.index for frame in mirror.requests[0].original] == list(range(32, 49))
    assert fact.first_frame == 32


def test_the_generator_is_given_the_references_and_the_faces_at_the_size_of_the_frames(desk: Desk) -> None:
    mirror = Mirror()
    made(Candidates(generator=mirror, longest_side_px=160), desk.item())
    (request,) = mirror.requests
    assert request.prompt == "A woman in a red coat walks."
    assert request.references[0].shape == (50, 40, 3)
    assert request.references[0][0, 0].tolist() == [30, 20, 10]
    assert request.face_boxes[10] == ((20.0, 15.0, 40.0, 35.0),)
    assert request.face_boxes[-1] == (None,)


def test_the_seed_comes_from_the_clip_and_the_stage_alone(desk: Desk) -> None:
    other = replace(desk.item(), clip=replace(desk.item().clip, clip_id="clip_2"))
    first, second = (Candidates(generator=Mirror())(batch) for batch in ([desk.item(), other], [other, desk.item()]))
    assert first == [*reversed(second)]
    seeds = {made(Candidates(generator=Mirror(), seed=seed), desk.item())[1][1].seed for seed in (0, 1)}
    assert len(seeds) == 2


def test_the_same_clip_gives_the_same_files_again(desk: Desk) -> None:
    once, again = (made(Candidates(generator=Mirror()), desk.item())[1] for _ in range(2))
    assert once == again


def test_a_clip_of_four_frames_fails_with_its_reason(desk: Desk) -> None:
    (outcome,) = Candidates(generator=Mirror())([desk.item(num_frames=4)])
    assert isinstance(outcome, Failed)
    assert outcome.reason == "clip too short for a candidate"


def test_a_subject_without_a_reference_fails_by_name(desk: Desk) -> None:
    (outcome,) = Candidates(generator=Mirror())([desk.item(references=[])])
    assert outcome == Failed(reason="subject without a reference", exception="subject_1")


def test_an_unreadable_source_fails_with_the_reader_s_reason(desk: Desk, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    (outcome,) = Candidates(generator=Mirror())([desk.item(video=Video(broken))])
    assert isinstance(outcome, Failed)
    assert outcome.reason in ("cannot be opened", "not a video")


def test_the_chosen_reference_stands_for_its_subject() -> None:
    offered = [
        factories.reference(reference_id=name, is_chosen=name == "reference_b")
        for name in ("reference_a", "reference_b")
    ]
    other = factories.reference(subject_id="subject_2", reference_id="reference_c", is_chosen=False)
    best = best_references([*offered, other])
    assert {subject: reference.reference_id for subject, reference in best.items()} == {"subject_1": "reference_b"}


@given(length=st.integers(1, 400), start=st.integers(0, 1000), key=st.integers(0, 1500), most=st.integers(1, 99))
def test_a_window_lies_in_its_clip_and_has_four_k_plus_one_frames(length: int, start: int, key: int, most: int) -> None:
    clip = factories.clip(start_frame=start, end_frame=start + length)
    num_frames = window_length(clip, most)
    first = first_frame(clip, [factories.subject(key_frame=key)], num_frames)
    assert num_frames % 4 == 1
    assert min(length, most) - 4 < num_frames <= min(length, most)
    assert clip.start_frame <= first <= clip.end_frame - num_frames


def test_a_face_moves_evenly_between_sightings_and_is_lost_out_of_reach() -> None:
    seen: list[tuple[int, Box]] = [(10, (0.0, 0.0, 10.0, 10.0)), (20, (10.0, 20.0, 20.0, 30.0))]
    boxes = boxes_between(seen, [4, 5, 10, 15, 25, 26], scale=2.0, reach=Fraction(5))
    first, middle, last = (0.0, 0.0, 20.0, 20.0), (10.0, 20.0, 30.0, 40.0), (20.0, 40.0, 40.0, 60.0)
    assert boxes == [None, first, first, middle, last, None]


def test_a_face_never_seen_has_no_box() -> None:
    assert boxes_between([], [0, 1], scale=1.0, reach=Fraction(5)) == [None, None]


@given(frames=st.lists(st.integers(0, 100), min_size=1, max_size=9, unique=True).map(sorted))
def test_a_sighting_is_given_back_as_it_was(frames: list[int]) -> None:
    seen = [(index, (float(index), 0.0, index + 9.0, 9.0)) for index in frames]
    assert boxes_between(seen, frames, scale=1.0, reach=Fraction(0)) == [box for _, box in seen]
