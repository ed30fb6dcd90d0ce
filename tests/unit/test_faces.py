from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.engines.embedded.dlib_detector import frontalness
from flows.engines.embedded.dlib_faces import DlibFaces
from flows.engines.ports import Face, Picture
from flows.recipe import stage_key
from flows.sources.actors import portrait
from flows.stages.faces import Faces, FacesFact
from flows.stages.stage import Failed
from tests.people import clip_item, side_by_side

EYES = [(0.0, 0.0), (10.0, 0.0), (40.0, 0.0), (50.0, 0.0)]
"""Corners of two eyes, their middles 40 px apart."""


def points(nose_x: float) -> np.ndarray:
    return np.array([*EYES, (nose_x, 20.0)])


class ScriptedFaces:
    """`FaceReader` that finds in the i-th picture the faces it was told."""

    revision = model = "scripted"
    same_person_similarity = 0.9

    def __init__(self, *frontal: tuple[float, ...]) -> None:
        self.frontal = frontal

    def read(self, pictures: Sequence[Picture], *, with_vectors: bool) -> Sequence[tuple[Face, ...]]:
        assert not with_vectors, "the stage has no use for vectors"
        return [
            tuple(
                Face(box_px=(0.0, 0.0, 30.0 + 10 * n, 40.0), score=1.0, frontalness=value, vector=None)
                for n, value in enumerate(values)
            )
            for values in self.frontal
        ]


class ScriptedChecker:
    """`FrontalChecker` that says of the i-th picture what it was told."""

    revision = "scripted-checker"

    def __init__(self, *answers: bool | Failed | None) -> None:
        self.answers = answers

    def check(self, pictures: Sequence[Picture]) -> Sequence[bool | Failed | None]:
        assert len(pictures) == len(self.answers)
        return self.answers


@pytest.fixture(scope="module")
def reader() -> DlibFaces:
    return DlibFaces()


def test_a_nose_half_way_between_the_eyes_looks_into_the_camera() -> None:
    assert frontalness(points(25.0), is_turned=False) == 1.0
    assert frontalness(points(30.0), is_turned=False) == 0.75
    assert frontalness(points(25.0), is_turned=True) == 0.75
    assert frontalness(points(45.0), is_turned=False) == 0.0


@given(shift=st.floats(-30, 30), angle=st.floats(-3, 3), scale=st.floats(0.1, 9))
def test_frontalness_is_the_same_of_a_mirrored_rolled_or_larger_face(shift: float, angle: float, scale: float) -> None:
    face = points(25.0 + shift)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    expected = frontalness(face, is_turned=False)
    assert 0 <= expected <= 1
    assert frontalness(points(25.0 - shift), is_turned=False) == pytest.approx(expected, abs=1e-9)
    assert frontalness(face @ turn.T * scale, is_turned=False) == pytest.approx(expected, abs=1e-9)


def test_dlib_finds_faces_left_to_right_at_their_places(reader: DlibFaces) -> None:
    (left, right), nobody = reader.read([side_by_side(0, 1), side_by_side(None)], with_vectors=False)
    assert left.box_px[0] < 80 < left.box_px[2] < 160 < right.box_px[0] < 240 < right.box_px[2]
    assert left.frontalness > 0.8
    assert left.vector is None
    assert nobody == ()


def test_one_person_is_more_alike_than_the_published_threshold_and_two_are_less(reader: DlibFaces) -> None:
    pictures = [portrait(0), portrait(0)[:, ::-1], portrait(3)]
    vectors = [faces[0].vector for faces in reader.read(pictures, with_vectors=True)]
    assert all(vector is not None and np.linalg.norm(vector) == pytest.approx(1, abs=1e-6) for vector in vectors)
    same, other = vectors[0] @ vectors[1], vectors[0] @ vectors[2]
    assert other < reader.same_person_similarity < same


def test_reading_again_gives_the_same_faces_also_from_another_reader(reader: DlibFaces) -> None:
    pictures = [side_by_side(4)]
    first, again, other = (each.read(pictures, with_vectors=True)[0][0] for each in (reader, reader, DlibFaces()))
    assert first.box_px == again.box_px == other.box_px
    assert np.array_equal(first.vector, again.vector) and np.array_equal(first.vector, other.vector)


def test_the_revision_tells_settings_apart(reader: DlibFaces) -> None:
    assert DlibFaces(side_px=512).revision != reader.revision


def test_shares_are_of_the_frames_looked_at(tmp_path: Path) -> None:
    item = clip_item(tmp_path, [side_by_side(None)] * 4)
    (outcome,) = Faces(reader=ScriptedFaces((0.9, 0.1), (0.49,), (), (0.5,)))([item])
    assert outcome.fact == FacesFact(
        num_looked=4,
        face_share=0.75,
        face_frontal_share=0.5,
        face_frontal_share_reader=0.5,
        num_checked=None,
        checker_agreement=None,
        num_faces_median=1.0,
        num_faces_max=2,
        face_px_max=40.0,
    )


def test_a_clip_without_faces_is_measured_and_its_face_width_unknown(tmp_path: Path) -> None:
    item = clip_item(tmp_path, [side_by_side(None)] * 2)
    (outcome,) = Faces(reader=ScriptedFaces((), ()))([item])
    assert (outcome.fact.face_share, outcome.fact.num_faces_max, outcome.fact.face_px_max) == (0, 0, None)


def test_face_widths_are_in_pixels_of_the_source(tmp_path: Path) -> None:
    item = clip_item(tmp_path, [np.zeros((96, 1536, 3), dtype=np.uint8)])
    (outcome,) = Faces(reader=ScriptedFaces((0.9,)))([item])
    assert outcome.fact.face_px_max == 60.0  # 30 px in a look of half the source's size


def test_a_checker_has_the_last_word_over_the_frames_it_could_tell_of_and_the_reader_is_asked_too(
    tmp_path: Path,
) -> None:
    item = clip_item(tmp_path, [side_by_side(None)] * 5)
    checker = ScriptedChecker(True, False, None, Failed(reason="no answer"), True)
    (outcome,) = Faces(reader=ScriptedFaces((0.9,), (0.9,), (0.9,), (), ()), checker=checker)([item])
    fact = outcome.fact
    assert (fact.num_looked, fact.num_checked) == (5, 3)
    assert fact.face_frontal_share == pytest.approx(2 / 3)
    assert fact.face_frontal_share_reader == pytest.approx(3 / 5)
    assert fact.checker_agreement == pytest.approx(1 / 3)
    assert fact.face_share == pytest.approx(3 / 5)


def test_where_the_checker_is_unsure_of_every_frame_the_share_is_unknown(tmp_path: Path) -> None:
    item = clip_item(tmp_path, [side_by_side(None)] * 2)
    checker = ScriptedChecker(None, Failed(reason="no answer"))
    (outcome,) = Faces(reader=ScriptedFaces((0.9,), (0.9,)), checker=checker)([item])
    assert (outcome.fact.face_frontal_share, outcome.fact.num_checked, outcome.fact.checker_agreement) == (
        None,
        0,
        None,
    )
    assert outcome.fact.face_frontal_share_reader == 1.0


def test_a_clip_of_which_the_checker_answered_nothing_fails(tmp_path: Path) -> None:
    items = [clip_item(tmp_path, [side_by_side(None)] * 2)]
    checker = ScriptedChecker(*[Failed(reason="no answer", exception=text) for text in "ab"])
    assert Faces(reader=ScriptedFaces((), ()), checker=checker)(items) == [Failed(reason="no answer", exception="a")]


def test_the_checker_is_part_of_the_stages_key() -> None:
    with_one, with_other, without = (
        stage_key(Faces(reader=ScriptedFaces(), checker=checker), [])
        for checker in (ScriptedChecker(), OtherChecker(), None)
    )
    assert len({with_one, with_other, without}) == 3


class OtherChecker(ScriptedChecker):
    revision = "another"
