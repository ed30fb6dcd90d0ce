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
from flows.engines.ports import Face, Picture, View
from flows.engines.several_synthesizers import SeveralSynthesizers
from flows.sources.actors import portrait
from flows.stages import tracks
from flows.stages.references import References, ReferencesFact, best_sighting, chosen, crop_box, face_sharpness
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
    stand = [each for each in made if each.is_chosen]
    assert [each.subject_id for each in stand] == ["subject_0", "subject_1"]
    assert [each.identity_score for each in stand] == best
    assert outcome.fact.face_px_min == min(each.face_px or 0 for each in stand)
    assert outcome.fact.sharpness_min == min(each.sharpness or 0 for each in stand)
    assert (outcome.fact.num_kept, outcome.fact.num_resynthesised) == (10, 0)
    assert all((each.copy_paste_score or 0) > 0.9 for each in made), "all pixels are the clip's own"
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
    fact = outcome.fact
    assert (fact.num_references, fact.identity_score_min, fact.copy_paste_max, outcome.made) == (0, None, None, [])


class Painter:
    """`Synthesizer` that draws, whatever it is shown, other pictures of actor 0 and one of somebody else."""

    name = revision = "painter"

    def views(self, picture: Picture) -> Sequence[View]:
        pictures = {
            "anew": cv2.resize(portrait(0, size_px=260), (240, 250)),
            "somebody_else": portrait(3, size_px=200),
        }
        return [
            View(name=name, picture=made, is_resynthesised=True, synthesizer=self.name, prompt=f"draw {name}")
            for name, made in pictures.items()
        ]


def painted(reader: DlibFaces, folder: Path, **override: Any) -> tuple[ReferencesFact, dict[str, Reference]]:
    """The references of actor 0, by view."""
    (face,) = reader.read([side_by_side(0)], with_vectors=True)[0]
    assert face.vector is not None
    item = clip_item(folder, [side_by_side(0)])
    vectors = [tuple(face.vector.tolist())]
    item = with_subjects(item, face.box_px, vectors=vectors, identity_model=reader.model)
    (outcome,) = References(reader=reader, synthesizer=Painter(), **override)([item])
    return outcome.fact, {each.view: each for each in outcome.made}


def test_a_view_drawn_anew_says_who_drew_it_and_from_which_words(reader: DlibFaces, tmp_path: Path) -> None:
    fact, made = painted(reader, tmp_path)
    assert (fact.num_references, fact.num_resynthesised, fact.num_kept) == (3, 2, 2)
    assert (made["anew"].synthesizer, made["anew"].prompt, made["anew"].is_resynthesised) == (
        "painter",
        "draw anew",
        True,
    )
    assert (made["crop"].synthesizer, made["crop"].prompt, made["crop"].is_resynthesised) == (None, None, False)
    assert (made["somebody_else"].copy_paste_score or 0) < 0.5 < 0.9 < (made["crop"].copy_paste_score or 0)


def test_by_identity_the_crop_stands_and_by_novelty_what_was_drawn_anew(reader: DlibFaces, tmp_path: Path) -> None:
    for prefer, view in (("identity", "crop"), ("novelty", "anew")):
        fact, made = painted(reader, tmp_path, prefer=prefer)
        assert [each.view for each in made.values() if each.is_chosen] == [view]
        assert fact.identity_score_min == made[view].identity_score
        assert fact.copy_paste_max == made[view].copy_paste_score


def test_what_is_still_the_same_person_is_the_readers_to_say_unless_the_recipe_does(
    reader: DlibFaces, tmp_path: Path
) -> None:
    assert References(reader=reader, synthesizer=Painter()).least_identity == reader.same_person_similarity
    fact, made = painted(reader, tmp_path, keep_from=1.1, prefer="novelty")
    assert fact.num_kept == 0
    assert made["crop"].is_chosen, "nothing is kept: the most like stands, for a gate to judge"


def test_a_preference_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="identity, novelty"):
        References(reader=BlindReader(), synthesizer=Painter(), prefer="beauty")


def offered(*values: dict[str, Any]) -> list[Reference]:
    return [
        factories.reference(reference_id=f"reference_{n}", is_chosen=False, **each) for n, each in enumerate(values)
    ]


def place_of_chosen(references: Sequence[Reference], prefer: str) -> int:
    marked = [each.is_chosen for each in chosen(references, keep_from=0.9, prefer=prefer)]
    assert sum(marked) == 1
    return marked.index(True)


@pytest.mark.parametrize(
    ("prefer", "place"), [("identity", 0), ("novelty", 3)], ids=["the most like", "the least copied of the re-drawn"]
)
def test_the_rules_of_choice(prefer: str, place: int) -> None:
    references = offered(
        {"identity_score": 0.99, "copy_paste_score": 1.0},
        {"identity_score": 0.97, "copy_paste_score": 0.1},
        {"identity_score": 0.95, "copy_paste_score": 0.6, "is_resynthesised": True},
        {"identity_score": 0.93, "copy_paste_score": 0.2, "is_resynthesised": True},
        {"identity_score": 0.91, "copy_paste_score": None, "is_resynthesised": True},
        {"identity_score": 0.80, "copy_paste_score": 0.0, "is_resynthesised": True},
        {"identity_score": None, "copy_paste_score": 0.0, "is_resynthesised": True},
    )
    assert place_of_chosen(references, prefer) == place


@pytest.mark.parametrize("prefer", ["identity", "novelty"])
def test_of_equals_and_of_unknowns_the_first_stands(prefer: str) -> None:
    assert place_of_chosen(offered({}, {}, {}), prefer) == 0
    assert place_of_chosen(offered({"identity_score": None}, {"identity_score": None}), prefer) == 0
    assert place_of_chosen(offered({"identity_score": 0.2}, {"identity_score": 0.5}), prefer) == 1


def test_a_blurred_face_is_less_sharp_and_a_larger_picture_of_the_same_no_sharper() -> None:
    face = portrait(0, size_px=256)
    sharp = face_sharpness(face, None)
    assert face_sharpness(cv2.GaussianBlur(face, (0, 0), 4), None) < 0.2 * sharp
    twice = cv2.resize(face, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    assert face_sharpness(twice, None) < 1.1 * sharp
    assert face_sharpness(np.full((90, 90, 3), 80, dtype=np.uint8), (-5.0, 10.0, 300.0, 60.0)) == 0.0


def test_several_synthesizers_see_the_same_crop() -> None:
    both = SeveralSynthesizers(synthesizers=[GeometricViews(), Painter()])
    views = both.views(side_by_side(0))
    assert [(view.synthesizer, view.name) for view in views][3:5] == [
        ("geometric views", "evening"),
        ("painter", "anew"),
    ]
    assert Painter.revision in both.revision and GeometricViews.revision in both.revision
    with pytest.raises(ValueError, match="'painter' is listed twice"):
        SeveralSynthesizers(synthesizers=[Painter(), Painter()])
