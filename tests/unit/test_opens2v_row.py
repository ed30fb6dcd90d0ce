import json
from collections.abc import Iterator
from copy import deepcopy
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.sources import opens2v_row
from flows.stages import annotated, masks
from flows.stages.annotated import Annotation
from tests.opens2v import KEY, changed, rectangle, row

WOMAN, TOP = rectangle(10, 20, 60, 150), rectangle(20, 90, 50, 140)
ROW = row(("woman", WOMAN), ("blue top", TOP))


def parse(content: Any) -> Annotation:
    return opens2v_row.parse(KEY, content)


def test_a_row_is_read_as_the_data_set_means_it() -> None:
    read = parse(changed(ROW, "metadata.crop", [40, 360, 7, 167]))
    assert (read.origin, read.key, read.is_none, read.path) == ("opens2v", KEY, False, "film_part2.mp4")
    assert (read.cut, read.face_cut, read.span) == ((0, 95), (0, 95), (0, 95))
    assert read.crop_px == (40, 7, 360, 167)  # the file gives x0, x1, y0, y1
    assert (read.fps, read.num_frames, read.width_px, read.height_px) == (29.97, 95, 320, 160)
    assert (read.aesthetic, read.technical, read.motion) == (5.07, 2.082, 0.0122)
    assert (read.foreground_aesthetic, read.background_aesthetic) == (4.98, 4.65)
    assert (read.luminance_min, read.blur_max) == (None, None)
    assert (read.frame, read.frame_width_px, read.frame_height_px) == (0, 320, 160)
    assert read.subject_tags == ("woman", "man") and read.predefined_tags == ("person", "human head")
    assert read.object_tags == ("blue top",) and read.background_tags == ("park",)
    assert [(box.class_name, box.box_px) for box in read.boxes] == [
        ("woman", (10.25, 20.25, 60.25, 150.25)),
        ("blue top", (20.25, 90.25, 50.25, 140.25)),
    ]
    assert (read.boxes[0].gme_score, read.boxes[0].aesthetic) == (0.285, 4.99)
    assert [(mask.mask_id, mask.frame, mask.class_name, mask.score) for mask in read.masks] == [
        ("1", 0, "woman", 0.99),
        ("2", 0, "blue top", 0.99),
    ]
    assert (masks.decode(read.masks[0].rle) == WOMAN).all()
    assert read.rest is None


def test_every_key_is_used_or_kept_where_it_stood() -> None:
    content = changed(deepcopy(ROW), "metadata.camera", {"lens_mm": Decimal("35")})
    content = changed(content, "metadata.tech", "good")
    content = changed(content, "bbox", {"0": {"face": [{"track_id": Decimal(1), "confidence": Decimal("0.5")}]}})
    content["annotation"]["ann_frame_data"]["annotations"][1]["colour"] = "blue"
    content["annotation"]["mask_map"]["7"] = {"class_name": "hat"}
    read = parse(content)
    assert read.technical is None
    assert json.loads(read.rest or "") == {
        "metadata": {"camera": {"lens_mm": 35}, "tech": "good"},
        "bbox": {"0": {"face": [{"track_id": 1, "confidence": 0.5}]}},
        "annotation": {
            "ann_frame_data": {"annotations": {"1": {"colour": "blue"}}},
            "mask_map": {"7": {"class_name": "hat"}},
        },
    }


def test_a_number_that_is_none_is_unknown_and_what_is_kept_stays_json() -> None:
    read = parse(changed(changed(ROW, "metadata.motion", float("nan")), "metadata.num_frames", Decimal("94.5")))
    assert (read.motion, read.num_frames) == (None, None)
    assert json.loads(read.rest or "") == {"metadata": {"motion": None, "num_frames": 94.5}}


def leaves(content: Any, path: str = "") -> Iterator[str]:
    """Paths of all keys that hold no object."""
    if isinstance(content, dict):
        for name, within in content.items():
            yield from leaves(within, f"{path}.{name}" if path else name)
    else:
        yield path


@pytest.mark.parametrize("path", sorted(leaves(ROW)))
def test_a_key_that_changes_its_value_changes_what_is_read(path: str) -> None:
    """So none of them is passed over: even a value of another kind is in `rest` or refused."""
    try:
        other = parse(changed(ROW, path, {"of": "another kind"}))
    except ValueError as error:
        assert KEY in str(error)
    else:
        assert other != parse(ROW) and "another kind" in (other.rest or "")


@given(
    st.dictionaries(st.text(min_size=1), st.integers() | st.text() | st.none() | st.lists(st.booleans()), max_size=4)
)
def test_unknown_keys_of_any_kind_are_kept(unknown: dict[str, Any]) -> None:
    content = {"metadata": {f"our {name}": value for name, value in unknown.items()}}
    assert json.loads(parse(content).rest or "{}") == (content if unknown else {})


def test_the_captions_are_read_in_the_data_sets_order_of_preference() -> None:
    texts = {"face_cap_Aria": "A.", "face_cap_glm": "G.", "face_cap_new": "N.", "cap": ["one", "two"]}
    read = parse(changed(ROW, "metadata", texts))
    assert read.captions == (
        ("face_cap_glm", "G."), ("face_cap_Aria", "A."), ("face_cap_new", "N."), ("cap", "one"), ("cap", "two"),
    )  # fmt: skip
    assert annotated.caption_of(parse(ROW)) == "A woman talks with a man."
    assert annotated.caption_of(parse(changed(ROW, "metadata", {"cap": "older"}))) == "older"
    assert annotated.caption_of(parse(changed(ROW, "metadata", {"face_cap_qwen": " ", "cap": []}))) is None


def test_a_row_of_an_early_step_has_no_tags_boxes_or_masks() -> None:
    read = parse({"metadata": {"cut": [0, 95], "cap": ["Two people talk."]}})
    assert (read.boxes, read.masks, read.subject_tags, read.face_cut, read.crop_px) == ((), (), (), None, None)
    assert read.span == (0, 95)


def test_none_in_words_stands_for_a_clip_without_faces() -> None:
    assert parse("None") == Annotation(origin="opens2v", key=KEY, is_none=True)
    read = parse(changed(ROW, "annotation", "None"))
    assert read.is_none and read.masks == () and read.aesthetic == 5.07 and read.rest is None
    assert parse(changed(ROW, "metadata.face_cut", "None")).face_cut is None


def test_a_streaming_readers_decimals_are_numbers() -> None:
    def decimals(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: decimals(within) for name, within in value.items()}
        if isinstance(value, list):
            return [decimals(within) for within in value]
        return Decimal(str(value)) if isinstance(value, int | float) else value

    assert parse(decimals(ROW)) == parse(ROW)


def test_a_mask_belongs_to_the_box_of_its_number_and_there_may_be_more_masks_than_boxes() -> None:
    content = changed(deepcopy(ROW), "annotation.mask_map", ...)
    content["annotation"]["ann_frame_data"]["annotations"].pop()
    content["annotation"]["mask_annotation"]["0"]["head"] = content["annotation"]["mask_annotation"]["0"]["2"]
    named = {mask.mask_id: mask.class_name for mask in parse(content).masks}
    assert named == {"1": "woman", "2": None, "head": None}


def test_masks_of_several_frames_are_all_read_by_frame_and_number() -> None:
    one = ROW["annotation"]["mask_annotation"]["0"]["1"]
    read = parse(changed(ROW, "annotation.mask_annotation", {"20": {"10": one, "2": one}, "3": {"1": one}}))
    assert [(mask.frame, mask.mask_id) for mask in read.masks] == [(3, "1"), (20, "2"), (20, "10")]


@pytest.mark.parametrize(
    ("path", "value", "found"),
    [
        ("metadata.crop", [0, 320, 0], r"crop is \[0, 320, 0\]; 4 numbers expected"),
        ("metadata.crop", [320, 0, 0, 160], "crop of columns 320 to 0"),
        ("metadata.crop", [0, 320, 0, True], "4 numbers expected"),
        ("metadata.cut", [9, 4], "cut from 9 to 4"),
        ("metadata.face_cut", [-3, 4], "face_cut from -3 to 4"),
        ("metadata.face_cut", [5, 5], "face_cut from 5 to 5"),
        ("metadata.face_cut", "soon", "face_cut is 'soon'; 2 numbers expected"),
        ("annotation.ann_frame_data.box_format", "cxcywh", "boxes in the form 'cxcywh'"),
        ("annotation.ann_frame_data.annotations", {"0": "a box"}, "a list of objects was expected"),
        ("annotation.ann_frame_data.annotations", [{"bbox": [1, 2, 3]}], "box is"),
        ("annotation.ann_frame_data.annotations", [{"bbox": [9, 2, 3, 4]}], r"a box from \(9, 2\) to \(3, 4\)"),
        ("annotation.mask_annotation.0.1.counts", "", "mask 1 without counts"),
        ("annotation.mask_annotation.0.2.size", [160], "size of mask 2"),
        ("annotation.mask_annotation", {"first": {}}, "masks of frame 'first'"),
    ],
)
def test_what_cannot_be_right_is_refused_with_the_key_and_what_was_found(path: str, value: Any, found: str) -> None:
    with pytest.raises(ValueError, match=found) as caught:
        parse(changed(ROW, path, value))
    assert str(caught.value).startswith(f"{KEY}: ")


def test_a_row_that_is_no_object_is_refused() -> None:
    with pytest.raises(ValueError, match="a row that is"):
        parse(["a list"])


def test_the_key_names_the_video() -> None:
    assert opens2v_row.video_of(KEY) == "film_part2"
