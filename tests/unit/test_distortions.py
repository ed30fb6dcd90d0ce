"""Known distortions: what they touch, what they leave, and how the recogniser takes them."""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from flows.engines.embedded import face_patches
from flows.engines.embedded.distortions import DISTORTIONS, LEAST_SEVERITY, Distortions, Scene
from flows.engines.embedded.dlib_faces import DlibFaces
from flows.engines.ports import Face, Picture, Request
from flows.sources.actors import portrait
from flows.stages.frames import Frame
from warehouse.records import Box

LEFT: Box = (20.0, 30.0, 60.0, 70.0)
RIGHT: Box = (100.0, 40.0, 140.0, 80.0)
NUM_FRAMES = 5


class OneFace:
    """Finds one face in the middle of every picture."""

    revision = "one face"
    model = "none"
    same_person_similarity = 0.9

    def read(self, pictures: Sequence[Picture], *, with_vectors: bool) -> Sequence[tuple[Face, ...]]:
        return [(Face(box_px=_middle(picture), score=1.0, frontalness=1.0, vector=None),) for picture in pictures]


class NoFace(OneFace):
    def read(self, pictures: Sequence[Picture], *, with_vectors: bool) -> Sequence[tuple[Face, ...]]:
        return [() for _ in pictures]


def _middle(picture: Picture) -> Box:
    height, width = picture.shape[:2]
    return (width * 0.3, height * 0.3, width * 0.7, height * 0.7)


def texture(seed: int, *, height: int = 120, width: int = 160) -> Picture:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def request(*, face_boxes: tuple[Box | None, ...] = (LEFT, RIGHT), seed: int = 1) -> Request:
    return Request(
        prompt="",
        references=tuple(texture(100 + index, width=100) for index in range(len(face_boxes))),
        original=tuple(Frame(index=i, time=Fraction(i, 24), rgb=texture(i)) for i in range(NUM_FRAMES)),
        face_boxes=(face_boxes,) * NUM_FRAMES,
        frame_rate=Fraction(24),
        seed=seed,
    )


def spoil(kind: str, severity: float, face_boxes: tuple[Box | None, ...] = (LEFT, RIGHT)) -> NDArray[np.uint8]:
    """(frames, height, width, 3)"""
    asked = request(face_boxes=face_boxes)
    scene = Scene(
        pictures=tuple(frame.rgb for frame in asked.original),
        face_boxes=asked.face_boxes,
        reference_faces=tuple((picture, _middle(picture)) for picture in asked.references),
    )
    spoilt = DISTORTIONS[kind](scene, severity, np.random.default_rng(7))
    assert spoilt is not None
    return np.stack(spoilt)


ORIGINAL = np.stack([frame.rgb for frame in request().original])
FACE_KINDS = ("identity_drift", "identity_swap", "identity_warp", "copy_paste")
every_kind = pytest.mark.parametrize("kind", list(DISTORTIONS))


@every_kind
def test_every_frame_keeps_its_size_and_its_place_in_time(kind: str) -> None:
    spoilt = spoil(kind, 0.7)
    assert spoilt.shape == ORIGINAL.shape
    assert spoilt.dtype == np.uint8


@every_kind
def test_a_severe_distortion_moves_more_than_a_mild_one(kind: str) -> None:
    mild, severe = (np.abs(spoil(kind, each).astype(int) - ORIGINAL).mean() for each in (0.25, 1.0))
    assert 0 < mild < severe


@pytest.mark.parametrize("kind", FACE_KINDS)
def test_only_faces_are_touched(kind: str) -> None:
    changed = np.abs(spoil(kind, 1.0).astype(int) - ORIGINAL).max((0, 3))
    near = np.zeros(changed.shape, bool)
    for x0, y0, x1, y1 in (LEFT, RIGHT):
        near[int(y0) - 15 : int(y1) + 15, int(x0) - 10 : int(x1) + 10] = True
    assert changed[near].any()
    assert not changed[~near].any()


def test_drift_leaves_the_first_frame_and_grows_until_the_last() -> None:
    drift, warp = spoil("identity_drift", 0.8), spoil("identity_warp", 0.8)
    assert np.array_equal(drift[0], ORIGINAL[0])
    assert np.array_equal(drift[-1], warp[-1])


def test_a_full_swap_puts_each_face_where_the_other_was() -> None:
    swapped = spoil("identity_swap", 1.0)[0]
    for box, other in ((LEFT, RIGHT), (RIGHT, LEFT)):
        x, y = (int(box[0] + box[2]) // 2, int(box[1] + box[3]) // 2)
        dx, dy = int(other[0] - box[0]), int(other[1] - box[1])
        now = swapped[y - 8 : y + 8, x - 8 : x + 8].astype(float)
        then = ORIGINAL[0][y + dy - 8 : y + dy + 8, x + dx - 8 : x + dx + 8].astype(float)
        assert np.corrcoef(now.ravel(), then.ravel())[0, 1] > 0.9


def test_a_pasted_face_is_the_same_in_every_frame() -> None:
    x, y = 40, 50
    patches = spoil("copy_paste", 1.0)[:, y - 8 : y + 8, x - 8 : x + 8].reshape(NUM_FRAMES, -1)
    assert np.corrcoef(patches).min() > 0.95
    assert np.corrcoef(ORIGINAL[:, y - 8 : y + 8, x - 8 : x + 8].reshape(NUM_FRAMES, -1))[0, 1] < 0.2


def test_a_paste_of_two_fifths_of_the_clip_leaves_the_frames_before() -> None:
    pasted = spoil("copy_paste", 0.4)
    assert [np.array_equal(frame, before) for frame, before in zip(pasted, ORIGINAL, strict=True)] == [1, 1, 1, 0, 0]


def test_a_freeze_of_half_the_clip_holds_the_middle_frame() -> None:
    frozen = spoil("freeze", 0.5)
    assert [int(np.argmax((frame == ORIGINAL).all((1, 2, 3)))) for frame in frozen] == [0, 1, 2, 2, 2]


@pytest.mark.parametrize("kind", FACE_KINDS)
def test_without_a_face_there_is_no_distortion_of_faces(kind: str) -> None:
    made = Distortions(OneFace(), kinds=[kind]).generate(request(face_boxes=(None,)))
    assert list(made) == []


def test_one_subject_alone_cannot_be_swapped() -> None:
    kinds = [made.generator for made in Distortions(OneFace()).generate(request(face_boxes=(LEFT,)))]
    assert kinds == [kind for kind in DISTORTIONS if kind != "identity_swap"]


def test_a_reference_without_a_face_cannot_be_pasted() -> None:
    kinds = [made.generator for made in Distortions(NoFace()).generate(request())]
    assert kinds == [kind for kind in DISTORTIONS if kind != "copy_paste"]


def test_the_same_request_gives_the_same_pictures_and_another_seed_others() -> None:
    first, again, other = (list(Distortions(OneFace()).generate(request(seed=seed))) for seed in (1, 1, 2))
    assert [made.severity for made in first] == [made.severity for made in again]
    assert [made.severity for made in first] != [made.severity for made in other]
    for made, same in zip(first, again, strict=True):
        assert np.array_equal(made.frames, same.frames)


def test_a_draw_does_not_depend_on_which_other_kinds_there_are() -> None:
    alone = next(Distortions(OneFace(), kinds=["flicker"]).generate(request()))
    among = [made for made in Distortions(OneFace()).generate(request()) if made.generator == "flicker"]
    assert np.array_equal(alone.frames, among[0].frames)


def test_severities_spread_over_their_range() -> None:
    drawn = [next(Distortions(OneFace(), kinds=["freeze"]).generate(request(seed=seed))).severity for seed in range(40)]
    known = [severity for severity in drawn if severity is not None]
    assert len(known) == 40
    assert LEAST_SEVERITY <= min(known) < 0.4
    assert 0.85 < max(known) <= 1


def test_an_unknown_kind_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="no distortion is called melt"):
        Distortions(OneFace(), kinds=["melt"])


@pytest.mark.parametrize("seed", range(20))
def test_a_field_at_full_strength_folds_no_face_over_itself(seed: int) -> None:
    field = face_patches.random_field(np.random.default_rng(seed))
    columns = np.arange(200, dtype=np.float32)
    ramp = np.repeat(np.broadcast_to(columns, (200, 200))[..., None], 3, 2).astype(np.uint8)
    bent = face_patches.warp(ramp, (40.0, 40.0, 160.0, 160.0), field, strength=1.0)[..., 0].astype(int)
    assert np.mean(np.diff(bent, axis=1) < -1) < 0.01


def test_a_face_outside_the_picture_leaves_it_whole() -> None:
    picture = texture(0)
    field = face_patches.random_field(np.random.default_rng(0))
    assert np.array_equal(face_patches.warp(picture, (500.0, 500.0, 540.0, 540.0), field, strength=1.0), picture)
    away = face_patches.paste(picture, (-90.0, -90.0, -50.0, -50.0), texture(1), LEFT, opacity=1.0)
    assert np.array_equal(away, picture)


def test_the_recogniser_loses_a_warped_face_and_keeps_a_pasted_one() -> None:
    faces = DlibFaces()
    picture, other = portrait(0, size_px=240), portrait(1, size_px=240)
    (mine,), (theirs,) = faces.read([picture, other], with_vectors=True)
    field = face_patches.random_field(np.random.default_rng(1))

    def similarity(changed: Picture) -> float:
        (face,) = faces.read([changed], with_vectors=True)[0]
        assert face.vector is not None
        assert mine.vector is not None
        return float(face.vector @ mine.vector)

    warped = [similarity(face_patches.warp(picture, mine.box_px, field, strength=each)) for each in (0.3, 0.6, 1.0)]
    assert 0.99 > warped[0] > warped[1] > warped[2]
    swapped = face_patches.paste(picture, mine.box_px, other, theirs.box_px, opacity=1.0)
    pasted = face_patches.paste(other, theirs.box_px, picture, mine.box_px, opacity=1.0)
    assert similarity(swapped) < similarity(pasted)
    assert similarity(pasted) > similarity(other)
