from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.engines.embedded.dlib_faces import DlibFaces
from flows.engines.embedded.face_seeded import FaceSeeded, body_box
from flows.engines.embedded.grabcut import GrabCut
from flows.engines.ports import Face, Grounded, Mask, Picture
from flows.sources.actors import draw_actor
from flows.stages import masks, tracks
from flows.stages.linking import link
from flows.stages.stage import ClipItem
from flows.stages.subjects import Subjects, SubjectsFact, certain_phrases
from tests.people import ANN, BOB, SIZE_PX, ScriptedFaces, clip_item, face, said, side_by_side
from warehouse.records import Box, Subject


class ScriptedGrounder:
    """`Grounder` that finds in every picture the boxes it was told."""

    revision = "scripted"

    def __init__(self, *boxes: Box, phrase: str | None = None) -> None:
        self.boxes = boxes
        self.phrase = phrase

    def ground(self, picture: Picture, phrases: Sequence[str], faces: Sequence[Face]) -> tuple[Grounded, ...]:
        return tuple(Grounded(box_px=box, score=1.0, phrase=self.phrase) for box in self.boxes)


class BoxMasks:
    """`Segmenter` whose masks are the key frame's boxes, in every frame."""

    revision = "boxes"

    def track(self, frames: Sequence[Picture], key_index: int, boxes: Sequence[Box]) -> Sequence[Sequence[Mask | None]]:
        made = []
        for x0, y0, x1, y1 in boxes:
            mask = np.zeros(frames[0].shape[:2], dtype=np.bool_)
            mask[round(y0) : round(y1), round(x0) : round(x1)] = True
            made.append([mask] * len(frames))
        return made


def scripted(*faces: tuple[Face, ...], boxes: Sequence[Box] = (), phrase: str | None = None) -> Subjects:
    grounder = ScriptedGrounder(*boxes, phrase=phrase) if boxes else FaceSeeded()
    return Subjects(reader=ScriptedFaces(*faces), grounder=grounder, segmenter=BoxMasks())


@pytest.fixture(scope="module")
def embedded() -> Subjects:
    return Subjects(reader=DlibFaces(), grounder=FaceSeeded(), segmenter=GrabCut())


@pytest.fixture
def empty(tmp_path: Path) -> ClipItem:
    return clip_item(tmp_path, [side_by_side(None, None)] * 2)


# Linking


def test_two_faces_of_one_frame_are_two_people_however_alike() -> None:
    assert len(link([[face(0, ANN), face(100, ANN)]], same_person_similarity=0.9)) == 2


def test_people_who_change_places_are_followed_by_their_faces() -> None:
    ann, bob = link([[face(0, ANN), face(100, BOB)], [face(0, BOB), face(100, ANN)]], same_person_similarity=0.9)
    assert [ann.faces[at].box_px[0] for at in (0, 1)] == [0, 100]
    assert [bob.faces[at].box_px[0] for at in (0, 1)] == [100, 0]


def test_somebody_who_comes_back_elsewhere_is_the_same_person() -> None:
    (ann,) = link([[face(0, ANN)], [], [face(150, ANN)]], same_person_similarity=0.9)
    assert sorted(ann.faces) == [0, 2]


def test_a_face_a_little_less_alike_is_the_same_person_only_at_the_same_place() -> None:
    turned = (0.87, (1 - 0.87**2) ** 0.5)  # cosine 0.87 to Ann, with 0.9 needed elsewhere
    assert len(link([[face(0, ANN)], [face(4, turned)]], same_person_similarity=0.9)) == 1
    assert len(link([[face(0, ANN)], [face(90, turned)]], same_person_similarity=0.9)) == 2


def test_faces_without_vectors_are_linked_by_place() -> None:
    assert len(link([[face(0, None)], [face(4, None)], [face(90, None)]], same_person_similarity=0.9)) == 2


@given(st.lists(st.lists(st.tuples(st.integers(0, 5), st.sampled_from([ANN, BOB, None])), max_size=4), max_size=5))
def test_linking_keeps_every_face_exactly_once(frames: list[list[tuple[int, tuple[float, float] | None]]]) -> None:
    faces = [[face(10.0 * place, vector) for place, vector in frame] for frame in frames]
    people = link(faces, same_person_similarity=0.9)
    kept = sorted((at, id(each)) for person in people for at, each in person.faces.items())
    assert kept == sorted((at, id(each)) for at, frame in enumerate(faces) for each in frame)


# Bodies and masks


def test_a_body_stands_around_and_below_its_face() -> None:
    assert body_box((100, 100, 120, 120)) == pytest.approx((76, 89, 144, 269))


def test_grabcut_finds_a_drawn_person_and_keeps_them_while_they_move() -> None:
    frames, truths = [], []
    for x_px in (100, 112, 124):
        wall = np.full((180, 240, 3), (120, 150, 190), dtype=np.uint8)
        drawn = wall.copy()
        draw_actor(drawn, 0, x_px=x_px, y_px=60, head_px=70)
        frames.append(drawn)
        truths.append((drawn != wall).any(2))
    (found,) = GrabCut().track(frames, 1, [body_box((84, 45, 140, 101))])
    assert all(mask is not None and masks.iou(mask, truth) > 0.8 for mask, truth in zip(found, truths, strict=True))


def test_a_mask_is_lost_at_a_cut() -> None:
    person, forest = side_by_side(0), np.random.default_rng(0).integers(0, 255, (SIZE_PX, SIZE_PX, 3), dtype=np.uint8)
    (found,) = GrabCut().track([person, person, forest, person], 0, [body_box((54, 50, 106, 102))])
    assert [mask is not None for mask in found] == [True, True, False, False]


def test_nobody_to_segment_gives_no_masks() -> None:
    assert GrabCut().track([side_by_side(0)], 0, []) == []


# The stage


def test_two_people_are_found_left_to_right_and_nobody_guesses_whose_words_are_whose(
    embedded: Subjects, tmp_path: Path
) -> None:
    item = clip_item(tmp_path, [side_by_side(0, 3)] * 2, facts={"captions": said("a woman", "a man", num_people=2)})
    (outcome,) = embedded([item])
    woman, man = outcome.made
    assert isinstance(woman, Subject) and isinstance(man, Subject)
    assert (woman.subject_index, woman.phrase, man.subject_index, man.phrase) == (0, None, 1, None)
    assert woman.face_box_px is not None and woman.face_box_px[2] < SIZE_PX
    assert man.face_box_px is not None and man.face_box_px[0] >= SIZE_PX
    assert woman.identity_model == "dlib-resnet-v1" and len(woman.identity_vector or ()) == 128
    assert outcome.fact.num_subjects == 2 and outcome.fact.count_agreement is True
    assert outcome.fact.track_coverage_min == 1.0 and (outcome.fact.mask_area_share_min or 0) > 0.1
    sightings = tracks.read(item.media.path_of(man.track_sha256))
    assert [each.frame for each in sightings] == [0, 1]
    assert all(each.mask is not None and each.face_vector is not None for each in sightings)


def test_a_clip_without_people_has_no_subjects_and_is_not_failed(embedded: Subjects, empty: ClipItem) -> None:
    (outcome,) = embedded([replace(empty, facts={"captions": said(num_people=0)})])
    assert outcome.made == []
    assert outcome.fact == SubjectsFact(
        num_looked=2,
        num_subjects=0,
        num_people_caption=0,
        count_agreement=True,
        mask_area_share_min=None,
        track_coverage_min=None,
        identity_similarity_min=None,
    )


@pytest.mark.parametrize(("num_people", "agreement"), [(1, True), (2, False), (None, None)])
def test_words_are_given_to_people_only_when_their_numbers_agree(
    empty: ClipItem, num_people: int | None, agreement: bool | None
) -> None:
    words = said(*["a man"] * (num_people or 0), num_people=num_people)
    (outcome,) = scripted((face(40, ANN),), (face(40, ANN),))([replace(empty, facts={"captions": words})])
    assert outcome.fact.count_agreement is agreement
    assert outcome.made[0].phrase == ("a man" if agreement else None)


@pytest.mark.parametrize(
    ("phrases", "num_people", "given"),
    [
        (["a man"], 1, ["a man"]),
        (["an officer", "an officer"], 2, ["an officer", "an officer"]),
        (["a woman", "a man"], 2, [None, None]),
        (["an officer", "an officer"], 3, [None, None, None]),
        ([], 0, []),
    ],
)
def test_words_are_given_only_where_the_caption_leaves_no_choice(
    phrases: list[str], num_people: int, given: list[str | None]
) -> None:
    assert list(certain_phrases(phrases, num_people)) == given


def test_the_grounders_own_words_come_first(empty: ClipItem) -> None:
    stage = scripted((face(40, ANN),), (), boxes=[(20, 10, 90, 150)], phrase="a tall woman")
    (outcome,) = stage([replace(empty, facts={"captions": said("a woman", num_people=1)})])
    assert outcome.made[0].phrase == "a tall woman"


def test_people_who_are_never_seen_together_are_found_each_in_their_own_frame(empty: ClipItem) -> None:
    (outcome,) = scripted((face(200, ANN),), (face(40, BOB),))([empty])
    assert [(made.subject_index, made.key_frame) for made in outcome.made] == [(0, 1), (1, 0)]


def test_a_subject_seen_half_of_the_time_has_half_the_coverage(empty: ClipItem) -> None:
    stage = scripted((face(40, ANN),), (face(200, ANN),))  # the mask stays behind: it has lost the face
    (outcome,) = stage([empty])
    first, second = tracks.read(empty.media.path_of(outcome.made[0].track_sha256))
    assert first.mask is not None and second.mask is None and second.box_px is None
    assert second.face_box_px == (200, 30, 220, 50)
    (outcome,) = replace(stage, reader=ScriptedFaces((face(40, ANN),), ()), segmenter=NoMasks())([empty])
    assert outcome.fact.track_coverage_min == 0.5 and outcome.fact.mask_area_share_min is None


class NoMasks:
    """`Segmenter` that sees nobody."""

    revision = "none"

    def track(self, frames: Sequence[Picture], key_index: int, boxes: Sequence[Box]) -> Sequence[Sequence[Mask | None]]:
        return [[None] * len(frames) for _ in boxes]


def test_a_person_seen_from_behind_counts_and_one_boxed_twice_counts_once(empty: ClipItem) -> None:
    boxes = [(20, 10, 90, 150), (200, 10, 270, 150), (201, 10, 270, 150)]
    (outcome,) = scripted((face(40, ANN),), (face(40, ANN),), boxes=boxes)([empty])
    seen, behind = outcome.made
    assert seen.identity_vector == ANN
    assert (behind.identity_vector, behind.face_box_px, behind.identity_model) == (None, None, None)
    assert behind.box_px == (200, 10, 270, 150)


def test_somebody_who_turns_round_later_counts_once(empty: ClipItem) -> None:
    boxes = [(20, 10, 90, 150), (180, 10, 240, 150), (245, 10, 300, 150)]
    (outcome,) = scripted((face(200, ANN), face(260, ANN)), (face(40, BOB),), boxes=boxes)([empty])
    assert [made.identity_vector for made in outcome.made] == [BOB, ANN, ANN]


def test_overlapping_boxes_go_to_the_faces_they_stand_squarely_below(empty: ClipItem) -> None:
    (outcome,) = scripted(*[(face(60, ANN), face(110, BOB), face(160, ANN))] * 2)([empty])
    assert all(made.face_box_px is not None for made in outcome.made)
    middles = [(made.box_px[0] + made.box_px[2]) / 2 for made in outcome.made]
    assert middles == [70, 120, 170]


def test_the_least_like_face_sets_the_identity_similarity(empty: ClipItem) -> None:
    near = (0.96, 0.28)  # a unit vector 16.3 degrees from Ann's: each is 8.1 degrees from their mean
    (outcome,) = scripted((face(40, ANN),), (face(40, near),))([empty])
    assert outcome.fact.identity_similarity_min == pytest.approx(np.cos(np.arccos(0.96) / 2), abs=1e-6)
