from dataclasses import asdict
from pathlib import Path

from flows.stages.annotated import OPENHUMANVID, Annotation
from flows.stages.annotations import Annotations, AnnotationsFact
from flows.stages.frames import Video
from flows.stages.stage import SourceItem
from tests import factories, opens2v
from warehouse.media import MediaStore


def measured(folder: Path, given: Annotation | None) -> AnnotationsFact:
    media, source = MediaStore(folder), factories.source()
    source = opens2v.with_annotation(source, media, given) if given else source
    video = Video(Path("/nowhere/one.mp4"))
    item = SourceItem(source=source, video=video, media=media, facts={}, fact_key="fact_here")
    [outcome] = Annotations()([item])
    assert video.num_passes == 0 and not outcome.made
    return outcome.fact


def test_the_data_sets_own_scores_and_counts_become_a_fact(tmp_path: Path) -> None:
    woman, top = opens2v.rectangle(10, 20, 60, 150), opens2v.rectangle(20, 90, 50, 140)
    named = [("woman", woman), ("person", woman), ("human head", top), ("blue top", top)]
    fact = measured(tmp_path, opens2v.annotation(*named, frame=15, crop=[0, 160, 0, 160]))
    assert fact == AnnotationsFact(
        origin="opens2v",
        is_without_faces=False,
        length_frames=80,
        num_frames=95,
        fps=29.97,
        width_px=320,
        height_px=160,
        crop_share=0.5,
        aesthetic=5.07,
        technical=2.082,
        motion=0.0122,
        foreground_aesthetic=4.98,
        background_aesthetic=4.65,
        person_gme_max=0.285,
        person_aesthetic_max=4.99,
        num_captions=2,
        num_boxes=4,
        num_masks=4,
        num_person_masks=2,
    )


def test_a_source_without_annotation_is_unknown_and_not_failed(tmp_path: Path) -> None:
    assert set(asdict(measured(tmp_path, None)).values()) == {None}


def test_no_faces_found_is_a_fact_of_the_data_sets_own(tmp_path: Path) -> None:
    fact = measured(tmp_path, Annotation(origin="opens2v", key="one", is_none=True))
    assert (fact.is_without_faces, fact.length_frames, fact.num_masks) == (True, None, 0)


def test_a_data_set_that_looks_for_no_faces_says_nothing_of_them(tmp_path: Path) -> None:
    fact = measured(tmp_path, Annotation(origin=OPENHUMANVID, key="one", luminance_min=0.2, blur_max=11.0))
    assert (fact.is_without_faces, fact.luminance_min, fact.blur_max) == (None, 0.2, 11.0)
