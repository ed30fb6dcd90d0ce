"""OpenS2V's own demo clip with its own annotation: who is found in it, where, and in how many passes.

Run by `pytest -m bench -s tests/bench/bench_opens2v.py`; it writes a picture of what it found and says where.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from flows.engines.embedded.caption_rules import CaptionRules
from flows.engines.embedded.dlib_faces import DlibFaces
from flows.sources import opens2v, opens2v_row
from flows.stages import annotated, masks, tracks
from flows.stages.annotated import Annotation
from flows.stages.annotations import Annotations
from flows.stages.captions import Captions
from flows.stages.frames import Video
from flows.stages.given_shots import GivenShots
from flows.stages.given_subjects import GivenSubjects
from flows.stages.stage import ClipItem, Done, SourceItem
from flows.stages.subjects import SubjectsFact
from tests import factories
from warehouse.media import MediaStore
from warehouse.records import Clip, Subject

pytestmark = pytest.mark.bench

STEPS = Path("metadata/opens2v_data_process")
COLOURS = ((255, 80, 80), (80, 220, 80), (90, 140, 255))


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    annotation: Annotation
    fact: SubjectsFact
    subjects: Sequence[Subject]
    item: ClipItem


def rows(file: Path) -> Iterator[tuple[str, Any]]:
    """(key, row) of a step's file, which holds one row or an object of them."""
    content = json.loads(file.read_text())
    yield from [(file.stem, content)] if "metadata" in content else content.items()


def row_files(media_root: Path) -> list[Path]:
    return [file for file in sorted((media_root / STEPS).rglob("*.json")) if "step6" not in file.parts]


@pytest.fixture
def found(media_root: Path, tmp_path: Path) -> Found:
    [(key, row)] = rows(media_root / STEPS / "step5/merge_final_json/dataset1.json")
    annotation, media = opens2v_row.parse(key, row), MediaStore(tmp_path / "media")
    source = factories.source(
        path=str(media_root / "videos/opens2v_gm1252760410_part2.mp4"),
        caption=annotated.caption_of(annotation),
        annotation_sha256=media.put(annotated.write([annotation])),
        annotation_row=0,
    )
    item = SourceItem(source=source, video=Video(Path(source.path)), media=media, facts={}, fact_key="fact_shots")
    assert isinstance(Annotations()([item])[0], Done)
    [shot] = GivenShots()([item])
    assert isinstance(shot, Done) and isinstance(shot.made[0], Clip)
    clip = ClipItem(
        source=source,
        clip=shot.made[0],
        video=item.video,
        media=media,
        facts={},
        fact_key="fact_subjects",
        subjects=(),
        references=(),
    )
    clip = replace(clip, facts={"captions": Captions(parser=CaptionRules())([clip])[0].fact})
    [outcome] = GivenSubjects(reader=DlibFaces())([clip])
    assert isinstance(outcome, Done)
    people = [made for made in outcome.made if isinstance(made, Subject)]
    return Found(annotation=annotation, fact=outcome.fact, subjects=people, item=clip)


def test_eight_masks_are_the_three_people_of_the_clip_and_it_is_decoded_once(found: Found, tmp_path: Path) -> None:
    num_passes = found.item.video.num_passes
    picture = tmp_path / "opens2v_masks.png"
    cv2.imwrite(str(picture), cv2.cvtColor(drawn(found), cv2.COLOR_RGB2BGR))
    print(f"\n{found.fact}\n{num_passes} pass, picture: {picture}")
    for subject in found.subjects:
        box, face = [None if b is None else [round(x) for x in b] for b in (subject.box_px, subject.face_box_px)]
        print(f"subject {subject.subject_index}: {subject.phrase}, box {box}, face {face}")
    named = [mask for mask in found.annotation.masks if mask.class_name in ("person", "individual", "woman")]
    assert len(named) == 8
    assert len(found.subjects) == found.fact.num_subjects == 3
    assert found.fact.mask_origin == "opens2v"
    assert num_passes == 1


def test_each_person_stands_where_the_data_sets_own_box_is(found: Found) -> None:
    boxes = [box.box_px for box in found.annotation.boxes if box.class_name in ("person", "individual", "woman")]
    for subject in found.subjects:
        assert max(masks.box_iou(subject.box_px, box) for box in boxes) > 0.9
    middle = found.subjects[1]
    assert middle.face_box_px is not None and middle.identity_vector is not None
    [mask] = [s.mask for s in tracks.read(found.item.media.path_of(middle.track_sha256)) if s.mask is not None]
    x0, y0, x1, y1 = (round(edge) for edge in middle.face_box_px)
    assert masks.decode(mask)[y0:y1, x0:x1].mean() > 0.9


def test_the_annotated_frame_is_the_one_that_the_data_sets_makers_used(found: Found, media_root: Path) -> None:
    theirs = cv2.cvtColor(cv2.imread(str(media_root / "images/opens2v_main_image.png")), cv2.COLOR_BGR2RGB)
    frame = found.subjects[0].key_frame
    pictures = {each.index: each.rgb for each in found.item.video.read(0, 95, longest_side_px=10_000)}
    apart = {index: float(np.abs(rgb.astype(int) - theirs.astype(int)).mean()) for index, rgb in pictures.items()}
    others = min(value for index, value in apart.items() if index != frame)
    print(f"\nmean difference of grey levels: {apart[frame]:.2f}, of the nearest other frame {others:.2f}")
    assert apart[frame] < others


def test_every_key_of_every_step_is_used_or_kept(media_root: Path) -> None:
    files = row_files(media_root)
    assert len(files) == 8
    for file in files:
        for key, row in rows(file):
            annotation = opens2v_row.parse(key, row)
            kept = json.loads(annotation.rest or "{}")
            assert set(kept) == {"bbox"} & set(row), f"{file}: {sorted(kept)}"
            assert kept.get("bbox") == row.get("bbox")
            assert annotated.caption_of(annotation), file


def test_every_key_of_the_cross_video_pairs_is_used(media_root: Path) -> None:
    [file] = (media_root / STEPS / "step6/cross-frames-images").iterdir()
    pairs = json.loads(file.read_text())
    assert len(pairs) == 30
    for place, pair in enumerate(pairs):
        read = opens2v.pair_of(pair, dataset="demo", place=place)
        assert read.extra is None
        assert pair == {name: getattr(read, name) for name in pair}
    for video, keys in json.loads((media_root / STEPS / "step6/cluster_videos.json").read_text()).items():
        assert all(opens2v_row.video_of(key).startswith(f"{video}_part") for key in keys)  # so the file says no more


def drawn(found: Found) -> NDArray[np.uint8]:
    """The annotated frame with each subject's mask, box and face."""
    frame = found.subjects[0].key_frame
    [picture] = found.item.video.read(frame, frame + 1, longest_side_px=10_000)
    canvas = picture.rgb.copy()
    for subject, colour in zip(found.subjects, COLOURS, strict=True):
        [at] = [s for s in tracks.read(found.item.media.path_of(subject.track_sha256)) if s.frame == frame]
        assert at.mask is not None
        shown = masks.decode(at.mask)
        canvas[shown] = (0.55 * canvas[shown] + 0.45 * np.array(colour)).astype(np.uint8)
        outline = (cv2.morphologyEx(shown.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))).astype(bool)
        canvas[outline] = colour
        for box, thickness in ((subject.box_px, 2), (at.face_box_px, 4)):
            if box is not None:
                x0, y0, x1, y1 = (round(edge) for edge in box)
                cv2.rectangle(canvas, (x0, y0), (x1 - 1, y1 - 1), colour, thickness)
        x, y = round(subject.box_px[0]) + 8, round(subject.box_px[1]) + 34
        words = f"{subject.subject_index}: {subject.phrase}"
        cv2.putText(canvas, words, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 1, (255, 255, 255), 3)
    return canvas
