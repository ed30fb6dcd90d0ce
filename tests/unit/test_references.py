from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.engines.embedded.dlib_faces import DlibFaces
from flows.engines.embedded.geometric_views import GeometricViews
from flows.engines.ports import Face, Picture
from flows.stages import tracks
from flows.stages.references import References, best_sighting, crop_box
from flows.stages.stage import ClipItem
from flows.stages.tracks import Sighting
from tests import factories
from tests.people import SIZE_PX, clip_item, side_by_side
from warehouse.records import Box, Reference

FACE = (54.0, 50.0, 106.0, 102.0)
"""Where a portrait of `tests.people` shows its face."""


def sighting(**override: Any) -> Sighting:
    values: dict[str, Any] = {
        "frame": 0,
        "subject_index": 0,
        "box_px": (20.0, 20.0, 140.0, 160.0),
        "face_box_px": FACE,
        "mask": None,
        "face_vector": (1.0, 0.0),
    }
    return Sighting(**(values | override))


def with_subjects(item: ClipItem, *faces: Box | None, vectors: Sequence[Any] = (), **override: Any) -> ClipItem:
    """The item with one subject a face box, all in frame 0."""
    subjects = []
    for index, box in enumerate(faces):
        vector = vectors[index] if vectors else (1.0, 0.0)
        track = tracks.write([sighting(subject_index=index, face_box_px=box, face_vector=vector)])
        values = {"identity_vector": vector, "face_box_px": box, "track_sha256": item.media.put(track)} | override
        subjects.append(factories.subject(subject_id=f"subject_{index}", subject_index=index, **values))
    return replace(item, subjects=subjects)


class BlindReader:
    """`FaceReader` that finds no face."""

    revision = model = "blind"
    same_person_similarity = 0.9

    def read(self, pictures: Sequence[Picture], *, with_vectors: bool) -> Sequence[tuple[Face, ...]]:
        return [()] * len(pictures)


@pytest.fixture(scope="module")
def reader() -> DlibFaces:
    return DlibFaces()


def test_a_crop_shows_head_and_shoulders() -> None:
    assert crop_box((100, 100, 150, 150), [], width_px=400, height_px=400) == (55, 60, 195, 210)


def test_a_crop_ends_half_way_to_the_faces_beside_it() -> None:
    beside = [(40.0, 90.0, 90.0, 140.0), (160.0, 90.0, 210.0, 140.0)]
    assert crop_box((100, 100, 150, 150), beside, width_px=400, height_px=400) == (95, 60, 155, 210)


@given(
    x0=st.integers(0, 190),
    y0=st.integers(0, 90),
    side=st.integers(10, 60),
    others=st.lists(st.integers(0, 190), max_size=3),
)
def test_a_crop_lies_in_its_picture_and_holds_its_face(x0: int, y0: int, side: int, others: list[int]) -> None:
    face = (float(x0), float(y0), float(min(200, x0 + side)), float(min(100, y0 + side)))
    beside = [(float(x), 0.0, float(x + 10), 10.0) for x in others]
    left, top, right, bottom = crop_box(face, beside, width_px=200, height_px=100)
    assert 0 <= left <= face[0] < face[2] <= right <= 200
    assert 0 <= top <= face[1] < face[3] <= bottom <= 100


def test_the_most_typical_of_the_large_faces_is_shown() -> None:
    subject = factories.subject(identity_vector=(1.0, 0.0))
    small = sighting(frame=1, face_box_px=(0.0, 0.0, 20.0, 20.0), face_vector=(1.0, 0.0))
    odd = sighting(frame=2, face_box_px=(0.0, 0.0, 50.0, 50.0), face_vector=(0.6, 0.8))
    typical = sighting(frame=3, face_box_px=(0.0, 0.0, 45.0, 45.0), face_vector=(0.96, 0.28))
    hidden = sighting(frame=4, face_box_px=None, face_vector=None)
    assert best_sighting([small, odd, typical, hidden], subject) == typical


def test_without_a_face_the_key_frame_is_shown() -> None:
    rows = [sighting(frame=frame, face_box_px=None, face_vector=None) for frame in (3, 5, 7)]
    assert best_sighting(rows, factories.subject(key_frame=5, identity_vector=None)).frame == 5


def test_views_are_other_pictures_of_the_same_size_and_nothing_drawn_anew() -> None:
    picture = side_by_side(0)
    views = GeometricViews().views(picture)
    assert [view.name for view in views] == ["mirrored", "tilted", "turned", "evening"]
    assert all(view.picture.shape == picture.shape and view.picture.dtype == np.uint8 for view in views)
    assert not any(view.is_resynthesised or np.array_equal(view.picture, picture) for view in views)


def test_views_worked_out() -> None:
    picture = np.zeros((2, 2, 3), dtype=np.uint8)
    picture[:, 0] = (100, 50, 250)
    mirrored, tilted, _, evening = (view.picture for view in GeometricViews().views(picture))
    assert mirrored[0].tolist() == [[0, 0, 0], [100, 50, 250]]
    assert evening[0].tolist() == [[79, 35, 148], [0, 0, 0]]  # 100 * 1.1 * 0.72, 50 * 0.98 * 0.72, 250 * 0.82 * 0.72
    assert tilted.shape == picture.shape


def test_each_subject_gets_a_crop_and_views_that_are_the_same_person(reader: DlibFaces, tmp_path: Path) -> None:
    right = (FACE[0] + SIZE_PX, FACE[1], FACE[2] + SIZE_PX, FACE[3])
    read = reader.read([side_by_side(0), side_by_side(3)], with_vectors=True)
    vectors = [tuple(face.vector.tolist()) for (face,) in read if face.vector is not None]
    item = clip_item(tmp_path, [side_by_side(0, 3)])
    item = with_subjects(item, FACE, right, vectors=vectors, identity_model=reader.model)
    (outcome,) = References(reader=reader, synthesizer=GeometricViews())([item])
    made = [each for each in outcome.made if isinstance(each, Reference)]
    assert [(each.subject_id, each.view) for each in made if each.view == "crop"] == [
        ("subject_0", "crop"),
        ("subject_1", "crop"),
    ]
    assert outcome.fact.num_references == len(made) == 10
    assert all((each.identity_score or 0) > reader.same_person_similarity for each in made)
    best = [max(each.identity_score or 0 for each in made if each.subject_id == f"subject_{i}") for i in (0, 1)]
    assert outcome.fact.identity_score_min == min(best)
    assert outcome.fact.face_px_min == FACE[2] - FACE[0]
    stored = cv2.imread(str(item.media.path_of(made[0].sha256)))
    assert stored.shape == (made[0].height_px, made[0].width_px, 3)


def test_a_reference_whose_face_cannot_be_read_has_no_score(tmp_path: Path) -> None:
    item = with_subjects(clip_item(tmp_path, [side_by_side(0)]), FACE)
    (outcome,) = References(reader=BlindReader(), synthesizer=GeometricViews())([item])
    assert {(each.identity_score, each.identity_vector) for each in outcome.made} == {(None, None)}
    assert outcome.fact.identity_score_min is None


def test_vectors_of_two_recognisers_are_never_compared(reader: DlibFaces, tmp_path: Path) -> None:
    item = with_subjects(clip_item(tmp_path, [side_by_side(0)]), FACE, identity_model="arcface")
    (outcome,) = References(reader=reader, synthesizer=GeometricViews())([item])
    assert outcome.made[0].identity_vector is not None and outcome.made[0].identity_score is None


def test_one_subject_without_a_face_leaves_the_clips_minimum_unknown(tmp_path: Path) -> None:
    item = with_subjects(clip_item(tmp_path, [side_by_side(0, 1)]), FACE, None)
    (outcome,) = References(reader=BlindReader(), synthesizer=GeometricViews())([item])
    assert outcome.fact.face_px_min is None
    crop = next(each for each in outcome.made if each.subject_id == "subject_1")
    assert (crop.width_px, crop.height_px) == (120, 140)  # the whole person


def test_a_clip_without_subjects_has_no_references(tmp_path: Path) -> None:
    (outcome,) = References(reader=BlindReader(), synthesizer=GeometricViews())(
        [clip_item(tmp_path, [side_by_side(None)])]
    )
    assert (outcome.fact.num_references, outcome.fact.identity_score_min, outcome.made) == (0, None, [])
