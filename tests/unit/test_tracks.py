from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from flows.stages import masks, tracks
from flows.stages.masks import Rle
from flows.stages.tracks import Sighting

shapes = st.tuples(st.integers(1, 40), st.integers(1, 40))
pairs = st.tuples(st.integers(0, 100), st.integers(0, 100)).map(sorted)
boxes = st.tuples(pairs, pairs).map(lambda spans: (spans[0][0], spans[1][0], spans[0][1], spans[1][1]))
any_mask = arrays.arrays(np.bool_, shapes)


def block(x0: int, y0: int, x1: int, y1: int) -> masks.Mask:
    mask = np.zeros((100, 120), dtype=np.bool_)
    mask[y0:y1, x0:x1] = True
    return mask


@given(any_mask)
def test_a_mask_survives_its_run_lengths(mask: masks.Mask) -> None:
    rle = masks.encode(mask)
    assert (rle.height_px, rle.width_px) == mask.shape
    assert np.array_equal(masks.decode(rle), mask)
    assert rle.counts.isascii()


@pytest.mark.parametrize(
    ("mask", "counts"),
    [
        (np.eye(2, dtype=np.bool_), b"0120"),  # runs 0 1 2 1; the last is written as 1 - 1
        (np.zeros((10, 10), dtype=np.bool_), b"T3"),  # 100 = 3 * 32 + 4: (4 | 32) + 48, 3 + 48
        (np.repeat([False, True, False, True, False], [40, 1, 40, 20, 99])[:, None], b"X11X1c0k1"),
        # runs 40 1 40 20 99; written 40, 1, 40, 19, 59: each as groups of five bits with a sign bit
    ],
)
def test_run_lengths_are_written_as_coco_writes_them(mask: masks.Mask, counts: bytes) -> None:
    assert masks.encode(mask).counts == counts


def test_run_lengths_of_another_size_are_refused() -> None:
    with pytest.raises(ValueError, match="runs of 4 pixels for a mask of 3x2"):
        masks.decode(Rle(height_px=2, width_px=3, counts=b"0120"))


@pytest.mark.parametrize("counts", [b"", b"/", b"p3", b"PP", b"P" * 9 + b"0"])
def test_characters_that_spell_no_run_lengths_are_refused(counts: bytes) -> None:
    with pytest.raises(ValueError, match=r"characters|pixels"):
        masks.runs(Rle(height_px=10, width_px=10, counts=counts))


@given(st.binary(max_size=12), st.integers(0, 3))
def test_whatever_the_characters_are_they_are_a_mask_or_refused(counts: bytes, side_px: int) -> None:
    rle = Rle(height_px=side_px, width_px=side_px, counts=counts)
    with suppress(ValueError):
        assert masks.decode(rle).shape == (side_px, side_px)


def test_masks_alike_by_way_of_others_are_one_group() -> None:
    chain = [block(0, 0, 40, 20), block(70, 0, 90, 20), block(8, 0, 48, 20), block(4, 0, 44, 20)]
    assert masks.iou(chain[0], chain[2]) < 0.7 < masks.iou(chain[0], chain[3])
    assert masks.groups(chain, same_from=0.7) == [[0, 2, 3], [1]]
    assert masks.groups([], same_from=0.7) == []


def test_a_mask_of_a_part_is_placed_in_the_whole_picture() -> None:
    part = np.ones((5, 10), np.bool_)
    assert masks.box_of(masks.placed(part, 3, 7, width_px=40, height_px=20)) == (3, 7, 13, 12)
    with pytest.raises(ValueError, match="10x5 pixels at \\(31, 7\\) of a picture of 40x20"):
        masks.placed(part, 31, 7, width_px=40, height_px=20)


def test_the_box_of_a_mask_is_half_open() -> None:
    assert masks.box_of(block(10, 20, 30, 50)) == (10, 20, 30, 50)
    assert masks.box_of(block(0, 0, 0, 0)) is None


def test_intersection_over_union_worked_out() -> None:
    assert masks.iou(block(0, 0, 20, 20), block(10, 0, 30, 20)) == pytest.approx(1 / 3)
    assert masks.box_iou((0, 0, 20, 20), (10, 0, 30, 20)) == pytest.approx(1 / 3)
    assert masks.iou(block(0, 0, 0, 0), block(0, 0, 0, 0)) == 0 == masks.box_iou((1, 1, 1, 1), (1, 1, 1, 1))


@given(boxes, boxes)
def test_boxes_and_their_masks_agree_on_overlap(one: tuple[int, ...], other: tuple[int, ...]) -> None:
    assert masks.box_iou(one, other) == pytest.approx(masks.iou(block(*one), block(*other)))
    assert masks.box_iou(one, other) == masks.box_iou(other, one)


def test_of_masks_of_one_thing_the_first_stays() -> None:
    whole, nearly, apart = block(0, 0, 20, 20), block(0, 0, 20, 18), block(50, 50, 70, 70)
    assert masks.distinct([whole, nearly, apart, None], same_from=0.7) == [0, 2, 3]
    assert masks.distinct([whole, nearly], same_from=0.95) == [0, 1]


def test_a_track_reads_back_as_written_and_writes_the_same_bytes(tmp_path: Path) -> None:
    seen = Sighting(
        frame=7,
        subject_index=1,
        box_px=(0.1, 2.0, 30.5, 40.0),
        face_box_px=(3.0, 4.0, 5.0, 6.0),
        mask=masks.encode(block(1, 2, 30, 40)),
        face_vector=(0.5, -0.25),
    )
    hidden = Sighting(frame=9, subject_index=1, box_px=None, face_box_px=None, mask=None, face_vector=None)
    content = tracks.write([seen, hidden])
    path = tmp_path / "track"
    path.write_bytes(content)
    assert tracks.read(path) == (seen, hidden)
    assert tracks.write([seen, hidden]) == content
    assert (seen.is_seen, hidden.is_seen) == (True, False)
