from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flows.engines.embedded.dlib_faces import DlibFaces
from flows.engines.embedded.geometric_views import GeometricViews
from flows.engines.ports import Face
from flows.stages import given_people, masks, tracks
from flows.stages.annotated import Annotation
from flows.stages.encode import encode
from flows.stages.frames import Video
from flows.stages.given_shots import GivenShots
from flows.stages.given_subjects import GivenSubjects
from flows.stages.masks import Mask, Rle
from flows.stages.references import References
from flows.stages.stage import ClipItem, Done, Failed, SourceItem
from flows.stages.subjects import SubjectsFact
from tests import opens2v
from tests.opens2v import rectangle
from tests.people import ANN, BOB, SIZE_PX, ScriptedFaces, clip_item, face, said, side_by_side
from warehouse.records import Clip, Subject

LEFT, RIGHT = rectangle(10, 20, 140, 160), rectangle(180, 20, 310, 160)
LEFT_AGAIN = rectangle(14, 20, 140, 160)  # IoU with LEFT 0.97


def given(item: ClipItem, annotation: Annotation) -> ClipItem:
    return replace(item, source=opens2v.with_annotation(item.source, item.media, annotation))


def found(item: ClipItem, *faces: tuple[Face, ...], **parameters: Any) -> tuple[SubjectsFact, list[Subject]]:
    stage = GivenSubjects(reader=ScriptedFaces(*faces or ((), ())), **parameters)
    [outcome] = stage([item])
    assert isinstance(outcome, Done), outcome
    return outcome.fact, found_by(stage, item)


def found_by(stage: GivenSubjects, item: ClipItem) -> list[Subject]:
    [outcome] = stage([item])
    assert isinstance(outcome, Done), outcome
    return [made for made in outcome.made if isinstance(made, Subject)]


def reason(item: ClipItem) -> str:
    [outcome] = GivenSubjects(reader=ScriptedFaces((), ()))([item])
    assert isinstance(outcome, Failed)
    return outcome.reason


@pytest.fixture
def two(tmp_path: Path) -> ClipItem:
    """Two frames of 320x160 with nobody drawn in them: tests say whose face is where."""
    return clip_item(tmp_path, [side_by_side(None, None)] * 2)


# Which masks show people


@pytest.mark.parametrize(
    ("class_name", "noun"),
    [
        ("person", "person"),
        ("young women", "woman"),
        ("man in a blue suit", "man"),
        ("middle - aged woman", "woman"),
        ("People", "person"),
        ("woman individual", "individual"),
        ("human head", None),
        ("woman ' s hat", None),
        ("family", None),
        ("two couples", None),
        ("blue top", None),
        ("dog", None),
        ("", None),
        (None, None),
    ],
)
def test_a_class_is_a_persons_if_its_noun_is(class_name: str | None, noun: str | None) -> None:
    assert given_people.person_noun(class_name) == noun


def test_masks_of_one_person_under_several_names_are_one_person() -> None:
    named = [("person", LEFT), ("individual", LEFT_AGAIN), ("woman", LEFT), ("man", RIGHT), ("blue top", LEFT)]
    people = given_people.find(opens2v.annotation(*named), 0, same_from=0.7)
    assert [person.phrase for person in people] == ["woman", "man"]
    assert (people[0].mask == LEFT).all() and (people[1].mask == RIGHT).all()


def test_of_one_persons_masks_the_best_scored_is_kept() -> None:
    annotation = opens2v.annotation(("person", LEFT), ("woman", LEFT_AGAIN), score=0.5)
    better = replace(annotation.masks[1], score=0.6)
    [person] = given_people.find(replace(annotation, masks=(annotation.masks[0], better)), 0, same_from=0.7)
    assert (person.mask == LEFT_AGAIN).all()


def test_an_empty_mask_shows_nobody() -> None:
    assert given_people.find(opens2v.annotation(("person", rectangle(0, 0, 0, 0))), 0, same_from=0.7) == []


# The stage


def test_given_masks_become_subjects_left_to_right_with_their_faces(two: ClipItem) -> None:
    annotation = opens2v.annotation(("man", RIGHT), ("person", LEFT), ("woman", LEFT_AGAIN))
    seen = (face(60, ANN), face(240, BOB))
    fact, [woman, man] = found(given(two, annotation), seen, seen)
    assert (woman.subject_index, woman.phrase, woman.box_px) == (0, "woman", (10, 20, 140, 160))
    assert (man.subject_index, man.phrase, man.box_px) == (1, "man", (180, 20, 310, 160))
    assert (woman.identity_vector, woman.identity_model, man.identity_vector) == (ANN, "scripted", BOB)
    assert woman.face_box_px == (60, 30, 80, 50) and woman.key_frame == man.key_frame == 0
    assert fact == SubjectsFact(
        num_looked=2,
        num_subjects=2,
        num_people_caption=None,
        count_agreement=None,
        mask_area_share_min=pytest.approx(130 * 140 / (320 * 160)),
        track_coverage_min=None,
        identity_similarity_min=pytest.approx(1.0),
        mask_origin="opens2v",
    )


def test_the_track_holds_the_mask_in_its_own_frame_and_faces_in_all(two: ClipItem) -> None:
    _, [subject] = found(given(two, opens2v.annotation(("woman", LEFT))), (face(60, ANN),), (face(64, ANN),))
    first, second = tracks.read(two.media.path_of(subject.track_sha256))
    assert first.mask is not None and (masks.decode(first.mask) == LEFT).all()
    assert (first.box_px, first.face_box_px) == ((10, 20, 140, 160), (60, 30, 80, 50))
    assert (second.mask, second.box_px, second.face_box_px) == (None, None, (64, 30, 84, 50))


def test_masks_of_a_cropped_picture_land_where_they_were_cut_from(two: ClipItem) -> None:
    mask = rectangle(10, 5, 60, 100, width_px=260, height_px=130)
    annotation = opens2v.annotation(("woman", mask), crop=[40, 300, 20, 150])
    _, [subject] = found(given(two, annotation), (face(80, ANN),), ())
    assert subject.box_px == (50, 25, 100, 120)
    assert subject.face_box_px == (80, 30, 100, 50)
    [sighting, _] = tracks.read(two.media.path_of(subject.track_sha256))
    assert sighting.mask is not None and masks.box_of(masks.decode(sighting.mask)) == (50, 25, 100, 120)


def test_a_face_between_two_masks_is_that_ones_whose_mask_shows_it(two: ClipItem) -> None:
    bent = LEFT | rectangle(140, 140, 300, 160)  # its box holds the face too
    annotation = opens2v.annotation(("woman", bent), ("man", RIGHT))
    _, subjects = found(given(two, annotation), (face(240, BOB),), (face(240, BOB),))
    assert [subject.identity_vector for subject in subjects] == [None, BOB]


def test_of_two_faces_in_one_mask_the_wider_is_its_own(two: ClipItem) -> None:
    wide = replace(face(90, ANN), box_px=(90, 30, 120, 60))
    _, [subject] = found(given(two, opens2v.annotation(("woman", LEFT))), (face(20, BOB), wide), ())
    assert subject.identity_vector == ANN


def test_a_face_seen_long_after_the_annotated_frame_is_nobodys(tmp_path: Path) -> None:
    item = clip_item(tmp_path, [side_by_side(None, None)] * 3)
    late = ((), (), (face(60, ANN),))
    annotation = opens2v.annotation(("woman", LEFT))
    assert found(given(item, annotation), *late)[1][0].identity_vector is None
    assert found(given(item, annotation), *late, reach_s=2.0)[1][0].identity_vector == ANN


def test_what_the_data_set_calls_a_subject_is_a_person_if_a_face_is_in_it(two: ClipItem) -> None:
    content = opens2v.row(("cosplayer", LEFT), ("dog", RIGHT), ("bench", RIGHT))
    annotation = opens2v.opens2v_row.parse(
        opens2v.KEY, opens2v.changed(content, "word_tags.subject", ["cosplayer", "dog"])
    )
    _, [subject] = found(given(two, annotation), (face(60, ANN),), ())
    assert (subject.phrase, subject.box_px[0]) == ("cosplayer", 10)
    assert found(given(two, annotation))[1] == []


def test_words_come_from_the_caption_where_the_masks_names_say_nothing(two: ClipItem) -> None:
    item = replace(given(two, opens2v.annotation(("person", LEFT))), facts={"captions": said("a girl", num_people=1)})
    fact, [subject] = found(item)
    assert subject.phrase == "a girl" and fact.count_agreement is True


def test_masks_without_people_are_nobody_and_no_failure(two: ClipItem) -> None:
    fact, subjects = found(given(two, opens2v.annotation(("blue top", LEFT))))
    assert (fact.num_subjects, fact.mask_origin, subjects) == (0, None, [])


def test_a_source_without_masks_fails(two: ClipItem) -> None:
    assert reason(two) == "no masks came with the source"
    assert reason(given(two, opens2v.annotation())) == "no masks came with the source"


def test_masks_of_a_frame_that_the_clip_does_not_show_fail(two: ClipItem) -> None:
    assert reason(given(two, opens2v.annotation(("woman", LEFT), frame=2))) == "masks of a frame outside the clip"


def test_a_mask_whose_runs_do_not_add_up_fails_if_it_is_a_persons_and_costs_nothing_if_not(two: ClipItem) -> None:
    broken = Rle(height_px=160, width_px=320, counts=b"0120")
    annotation = opens2v.annotation(("woman", LEFT), ("park", RIGHT), face_cut=[0, 2])
    woman, park = annotation.masks
    assert reason(given(two, replace(annotation, masks=(replace(woman, rle=broken), park)))) == "masks cannot be read"
    fact, _ = found(given(two, replace(annotation, masks=(woman, replace(park, rle=broken)))))
    assert fact.num_subjects == 1


@pytest.mark.parametrize(
    ("mask", "crop"),
    [
        (LEFT, [0, 319, 0, 160]),
        (LEFT, [1, 321, 0, 160]),
        (LEFT, [0, 320, 1, 161]),
        (rectangle(0, 0, 9, 9, width_px=160), None),
        (np.ones((1, 1), np.bool_), [0, 320, 0, 160]),
    ],
)
def test_masks_that_do_not_fit_the_picture_fail(two: ClipItem, mask: Mask, crop: list[int] | None) -> None:
    assert reason(given(two, opens2v.annotation(("woman", mask), crop=crop))) == "masks do not fit the picture"


# With the stages before it, on real pixels


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nobody for half a second, then two people."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    pictures: Sequence[Any] = [side_by_side(None, None)] * 12 + [side_by_side(0, 3)] * 24
    path.write_bytes(encode(pictures, frame_rate=Fraction(24)))
    return path


def road(folder: Path, film: Path, start: int) -> ClipItem:
    """The film's clip from `start` on, as the stage before makes it."""
    item = clip_item(folder, [side_by_side(None)])
    annotation = opens2v.annotation(("woman", LEFT), ("man", RIGHT), frame=start, face_cut=[start, 36])
    source = opens2v.with_annotation(replace(item.source, path=str(film)), item.media, annotation)
    video = Video(film)
    [shot] = GivenShots()([SourceItem(source=source, video=video, media=item.media, facts={}, fact_key="fact_shots")])
    assert isinstance(shot, Done) and isinstance(shot.made[0], Clip)
    return replace(item, source=source, clip=shot.made[0], video=video)


def test_the_annotated_frame_is_looked_at_without_another_pass(tmp_path: Path, film: Path) -> None:
    item = road(tmp_path, film, 13)  # between two looks, which are 6 frames apart
    woman, man = found_by(GivenSubjects(reader=DlibFaces(), num_looks=2), item)
    assert (woman.key_frame, man.key_frame) == (13, 13)
    assert woman.face_box_px is not None and woman.face_box_px[2] < SIZE_PX < (man.face_box_px or (0,))[0]
    assert woman.identity_model == "dlib-resnet-v1"
    assert [sighting.frame for sighting in tracks.read(item.media.path_of(man.track_sha256))] == [13, 18, 30]
    assert item.video.num_passes == 1


def test_a_subject_without_a_face_gets_its_reference_from_the_annotated_frame(tmp_path: Path, film: Path) -> None:
    item = road(tmp_path, film, 13)
    stage = GivenSubjects(reader=ScriptedFaces((), (), ()), num_looks=2)
    item = replace(item, subjects=found_by(stage, item))
    [outcome] = References(reader=DlibFaces(), synthesizer=GeometricViews(), num_looks=2)([item])
    assert isinstance(outcome, Done)
    sizes = {(made.width_px, made.height_px) for made in outcome.made if getattr(made, "view", "") == "crop"}
    assert sizes == {(130, 140)}
    assert item.video.num_passes == 1


def test_a_run_that_begins_at_this_stage_finds_the_same(tmp_path: Path, film: Path) -> None:
    stage, item = GivenSubjects(reader=DlibFaces(), num_looks=2), road(tmp_path, film, 13)
    assert stage([replace(item, video=Video(film))]) == stage([item])
