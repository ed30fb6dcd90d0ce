"""The stage that measures a candidate."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from flows.engines.ports import Face, Picture
from flows.stages import tracks
from flows.stages.encode import encode
from flows.stages.frames import Video
from flows.stages.likeness import (
    Likeness,
    LikenessFact,
    assign,
    cosine,
    flicker,
    frame_similarities,
    likeness_scores,
    place_scores,
)
from flows.stages.stage import CandidateItem, Done, Failed
from tests import factories
from warehouse.media import MediaStore
from warehouse.records import Box

LEFT: Box = (20.0, 20.0, 60.0, 60.0)
RIGHT: Box = (100.0, 20.0, 140.0, 60.0)
RED, BLUE = (200, 40, 40), (40, 40, 200)
NUM_FRAMES = 25


class ColourReader:
    """Takes a red or a blue square for a face; its vector says how red and how blue it is."""

    revision = "colours"
    model = "colours"
    same_person_similarity = 0.9

    def read(self, pictures: Sequence[Picture], *, with_vectors: bool) -> Sequence[tuple[Face, ...]]:
        return [tuple(face for box in (LEFT, RIGHT) for face in self._at(box, picture)) for picture in pictures]

    def _at(self, box: Box, picture: Picture) -> tuple[Face, ...]:
        red, _, blue = picture[30:50, int(box[0]) + 10 : int(box[2]) - 10].mean((0, 1)) - 40
        if max(red, blue) < 50:
            return ()
        vector = np.array([max(red, 0), max(blue, 0)], np.float32)
        return (Face(box_px=box, score=1.0, frontalness=1.0, vector=vector),)


def picture(left: Sequence[int] | None, right: Sequence[int] | None, *, brightness: int = 40) -> Picture:
    canvas = np.full((120, 160, 3), brightness, np.uint8)
    for box, colour in ((LEFT, left), (RIGHT, right)):
        if colour is not None:
            canvas[int(box[1]) : int(box[3]), int(box[0]) : int(box[2])] = colour
    return canvas


@dataclass(frozen=True)
class Desk:
    """Subject 0 is red and stands on the left, subject 1 is blue and stands on the right."""

    media: MediaStore

    def fact(self, pictures: Sequence[Picture], **override: Any) -> LikenessFact:
        (outcome,) = Likeness(faces=ColourReader())([self.item(pictures, **override)])
        assert isinstance(outcome, Done)
        return outcome.fact

    def item(self, pictures: Sequence[Picture], *, severity: float | None = 0.5, **override: Any) -> CandidateItem:
        sha256 = self.media.put(encode(pictures, frame_rate=Fraction(10)))
        values: dict[str, Any] = {
            "source": factories.source(),
            "clip": factories.clip(end_frame=NUM_FRAMES, width_px=160, height_px=120, frame_rate=Fraction(10)),
            "candidate": factories.candidate(sha256=sha256, severity=severity),
            "video": Video(self.media.path_of(sha256)),
            "media": self.media,
            "facts": {},
            "fact_key": "fact_likeness",
            "subjects": [self._subject(1, RIGHT), self._subject(0, LEFT)],
            "references": [
                factories.reference(subject_id=f"subject_{index}", reference_id=f"ref_{index}", identity_vector=vector)
                for index, vector in enumerate([(1.0, 0.0), (0.0, 1.0)])
            ],
        }
        return CandidateItem(**(values | override))

    def _subject(self, index: int, box: Box) -> Any:
        sightings = [
            tracks.Sighting(frame=i, subject_index=index, box_px=None, face_box_px=box, mask=None, face_vector=None)
            for i in range(0, NUM_FRAMES, 4)
        ]
        return factories.subject(
            subject_id=f"subject_{index}",
            subject_index=index,
            track_sha256=self.media.put(tracks.write(sightings)),
            identity_model="colours",
        )


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    return Desk(MediaStore(tmp_path_factory.mktemp("media")))


def test_faithful_faces_are_read_and_given_to_their_subjects(desk: Desk) -> None:
    fact = desk.fact([picture(RED, BLUE)] * NUM_FRAMES)
    assert (fact.num_frames, fact.frame_rate_num, fact.frame_rate_den) == (NUM_FRAMES, 10, 1)
    assert (fact.width_px, fact.height_px) == (160, 120)
    assert len(fact.looked_frames) == 4
    assert fact.face_frames == tuple(frame for frame in fact.looked_frames for _ in range(2))
    assert fact.face_subjects == (0, 1) * 4
    assert len(fact.face_vectors) == 8
    assert fact.identity_min is not None
    assert fact.identity_min > 0.99


def test_exchanged_faces_are_seen_where_the_place_of_each_subject_is_known(desk: Desk) -> None:
    fact = desk.fact([picture(BLUE, RED)] * NUM_FRAMES)
    assert fact.identity_mean is not None
    assert fact.identity_mean < 0.1


def test_a_generated_video_may_place_its_people_anywhere(desk: Desk) -> None:
    fact = desk.fact([picture(BLUE, RED)] * NUM_FRAMES, severity=None)
    assert fact.identity_mean is not None
    assert fact.identity_mean > 0.99
    assert fact.face_subjects == (0, 1) * 4


def test_the_worst_frame_is_reported_beside_the_mean(desk: Desk) -> None:
    half = NUM_FRAMES // 2
    fact = desk.fact([picture(RED, BLUE)] * half + [picture(BLUE, BLUE)] * (NUM_FRAMES - half))
    assert fact.identity_mean == pytest.approx(0.75, abs=0.05)
    assert fact.identity_min == pytest.approx(0.5, abs=0.05)


def test_without_faces_the_likeness_is_unknown(desk: Desk) -> None:
    fact = desk.fact([picture(None, None)] * NUM_FRAMES)
    assert (fact.identity_mean, fact.identity_min) == (None, None)
    assert fact.face_frames == fact.face_subjects == fact.face_vectors == ()


def test_vectors_of_another_recogniser_are_never_compared(desk: Desk) -> None:
    subjects = [factories.subject(subject_id="subject_0", subject_index=0, identity_model="arcface")]
    fact = desk.fact([picture(RED, None)] * NUM_FRAMES, subjects=subjects, severity=None)
    assert fact.identity_mean is None


def test_a_jump_of_brightness_is_flicker_and_a_held_picture_has_no_motion(desk: Desk) -> None:
    steady = desk.fact([picture(RED, BLUE)] * NUM_FRAMES)
    nervous = desk.fact([picture(RED, BLUE, brightness=40 + 30 * (i % 2)) for i in range(NUM_FRAMES)])
    assert steady.flicker == pytest.approx(0, abs=0.1)
    assert steady.motion == pytest.approx(0, abs=0.1)
    assert nervous.flicker is not None
    assert nervous.flicker > 30
    assert nervous.motion is not None
    assert nervous.motion > 15


def test_a_soft_picture_is_less_sharp(desk: Desk) -> None:
    hard = desk.fact([picture(RED, BLUE)] * 5)
    soft = desk.fact([np.asarray((picture(RED, BLUE) // 2) + 20, np.uint8)] * 5)
    assert soft.sharpness < hard.sharpness / 2


def test_an_unreadable_candidate_fails_with_the_reader_s_reason(desk: Desk, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    (outcome,) = Likeness(faces=ColourReader())([desk.item([picture(RED, BLUE)] * 5, video=Video(broken))])
    assert isinstance(outcome, Failed)


@given(scores=arrays(np.float64, array_shapes(min_dims=2, max_dims=2, max_side=4), elements=st.floats(-1, 1)))
def test_no_other_assignment_has_a_higher_total(scores: np.ndarray[Any, Any]) -> None:
    rows, columns = scores.shape
    pairs = assign(scores)
    assert len(set(pairs.values())) == len(pairs)
    total = sum(scores[row, column] for column, row in pairs.items())
    padded = np.zeros((rows + columns, columns))
    padded[:rows] = np.maximum(scores, 0)
    best = max(padded[list(order), range(columns)].sum() for order in permutations(range(rows + columns), columns))
    assert total == pytest.approx(best)


def test_the_best_total_wins_over_the_best_single_pair() -> None:
    assert assign(np.array([[1.0, 0.9], [0.9, 0.1]])) == {0: 1, 1: 0}
    assert assign(np.array([[-0.1], [0.0]])) == {}


def test_a_face_one_width_away_is_not_the_subject_s() -> None:
    faces = [Face(box_px=box, score=1.0, frontalness=1.0, vector=None) for box in (LEFT, RIGHT)]
    assert place_scores(faces, [LEFT, None]).tolist() == [[1.0, 0.0], [-1.0, 0.0]]


def test_a_subject_without_a_reference_is_given_no_face_by_likeness() -> None:
    faces = [Face(box_px=LEFT, score=1.0, frontalness=1.0, vector=np.array([1.0, 0.0], np.float32))]
    assert likeness_scores(faces, [None, np.array([1.0, 0.0])]).tolist() == [[0.0, 2.0]]


vectors = arrays(np.float64, 5, elements=st.floats(-1, 1)).filter(lambda vector: bool(np.linalg.norm(vector) > 1e-3))


@given(a=vectors, b=vectors, factor=st.floats(0.1, 10))
def test_a_cosine_is_symmetric_bounded_and_blind_to_length(
    a: np.ndarray[Any, Any], b: np.ndarray[Any, Any], factor: float
) -> None:
    assert cosine(a, b) == pytest.approx(cosine(b, a * factor), abs=1e-9)
    assert abs(cosine(a, b)) <= 1 + 1e-9
    assert cosine(a, a) == pytest.approx(1)


def test_a_frame_s_similarity_is_the_mean_of_its_subjects() -> None:
    one, other = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    seen = {(0, 0): one, (0, 1): one, (8, 0): one, (9, 2): one}
    assert frame_similarities(seen, [one, other, None]) == [0.5, 1.0]


@given(start=st.floats(0, 255), slope=st.floats(-5, 5), num=st.integers(3, 50))
def test_a_steady_fade_does_not_flicker(start: float, slope: float, num: int) -> None:
    assert flicker(start + slope * np.arange(num)) == pytest.approx(0, abs=1e-9)


def test_flicker_of_an_alternating_brightness_is_twice_the_step() -> None:
    assert flicker(np.array([100.0, 110.0, 100.0, 110.0])) == pytest.approx(20)
    assert flicker(np.array([100.0, 110.0])) is None
