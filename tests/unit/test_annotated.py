import hashlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.stages import annotated
from flows.stages.annotated import Annotation, GivenBox, GivenMask
from flows.stages.masks import Rle
from tests import factories
from warehouse.errors import MediaMissing
from warehouse.media import MediaStore

numbers = st.none() | st.floats(allow_nan=False, allow_infinity=False)
counts = st.none() | st.integers(0, 10**6)
texts = st.text(max_size=9).filter(lambda text: text.isprintable())
spans = st.none() | st.tuples(st.integers(0, 99), st.integers(100, 999))
boxes = st.builds(
    GivenBox,
    class_name=st.none() | texts,
    box_px=st.tuples(*[st.floats(0, 999)] * 4),
    gme_score=numbers,
    aesthetic=numbers,
)
rles = st.builds(Rle, height_px=st.integers(1, 99), width_px=st.integers(1, 99), counts=st.binary(max_size=9))
given_masks = st.builds(
    GivenMask, mask_id=texts, frame=st.integers(0, 99), class_name=st.none() | texts, score=numbers, rle=rles
)


def annotations() -> st.SearchStrategy[Annotation]:
    fields: dict[str, Any] = {
        "origin": st.sampled_from([annotated.OPENS2V, annotated.OPENHUMANVID]),
        "key": texts,
        "is_none": st.booleans(),
        "cut": spans,
        "face_cut": spans,
        "crop_px": st.none() | st.tuples(*[st.integers(0, 999)] * 4),
        "num_frames": counts,
        "aesthetic": numbers,
        "blur_max": numbers,
        "captions": st.lists(st.tuples(texts, texts), max_size=2).map(tuple),
        "subject_tags": st.lists(texts, max_size=2).map(tuple),
        "boxes": st.lists(boxes, max_size=2).map(tuple),
        "masks": st.lists(given_masks, max_size=2).map(tuple),
        "rest": st.none() | texts,
    }
    return st.builds(Annotation, **fields)


@given(st.lists(annotations(), max_size=40))
def test_a_bundle_gives_back_what_was_written(tmp_path_factory: pytest.TempPathFactory, said: list[Annotation]) -> None:
    content = annotated.write(said)
    path = tmp_path_factory.getbasetemp() / hashlib.sha256(content).hexdigest()  # named by content, as the store does
    path.write_bytes(content)
    assert annotated.write(said) == content
    assert [annotated.read(path, row) for row in range(len(said))] == said


def test_a_row_past_the_end_of_a_bundle_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bundle"
    path.write_bytes(annotated.write([Annotation(origin=annotated.OPENS2V, key="one")]))
    for row in (1, 16, -1):
        with pytest.raises(IndexError):
            annotated.read(path, row)


def test_a_source_without_an_annotation_has_none(tmp_path: Path) -> None:
    assert annotated.of(factories.source(), MediaStore(tmp_path)) is None


def test_an_annotation_that_the_media_store_has_lost_is_an_error_and_not_unknown(tmp_path: Path) -> None:
    with pytest.raises(MediaMissing):
        annotated.of(factories.source(annotation_sha256=factories.SHA, annotation_row=0), MediaStore(tmp_path))
