"""Rows in the form of OpenS2V's part files, small enough to be read in a test."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from flows.sources import opens2v_row
from flows.stages import annotated, masks
from flows.stages.annotated import Annotation
from flows.stages.masks import Mask
from warehouse.media import MediaStore
from warehouse.records import Source

KEY = "film_part2_step1-0-95_step2-0-95_step4_step5_step6"


def rectangle(x0: int, y0: int, x1: int, y1: int, *, width_px: int = 320, height_px: int = 160) -> Mask:
    mask = np.zeros((height_px, width_px), np.bool_)
    mask[y0:y1, x0:x1] = True
    return mask


def row(*named: tuple[str, Mask], frame: int = 0, score: float = 0.99, **metadata: Any) -> dict[str, Any]:
    """A row of the last step: masks by class name, and what a test wants different of its `metadata`."""
    height, width = named[0][1].shape if named else (160, 320)
    numbered = {str(number): each for number, each in enumerate(named, start=1)}
    return {
        "metadata": {
            "cut": [0, 95],
            "crop": [0, width, 0, height],
            "tech": 2.082,
            "motion": 0.0122,
            "fps": 29.97,
            "num_frames": 95,
            "resolution": {"height": height, "width": width},
            "cap": ["Two people talk."],
            "path": "film_part2.mp4",
            "aesthetic": 5.07,
            "face_cut": [frame, 95],
            "face_cap_qwen": "A woman talks with a man.",
        }
        | metadata,
        "word_tags": {
            "background": ["park"],
            "subject": ["woman", "man"],
            "object": ["blue top"],
            "pre_define": ["person", "human head"],
        },
        "annotation": {
            "ann_frame_data": {
                "ann_frame_idx": frame,
                "annotations": [_box(name, mask) for name, mask in named],
                "box_format": "xyxy",
                "img_width": width,
                "img_height": height,
                "foreground_ase_score": 4.98,
                "background_ase_score": 4.65,
            },
            "mask_map": {mask_id: {"class_name": name} for mask_id, (name, _) in numbered.items()},
            "mask_annotation": {
                str(frame): {mask_id: _mask(mask, score) for mask_id, (_, mask) in numbered.items()},
            },
        },
    }


def annotation(*named: tuple[str, Mask], **override: Any) -> Annotation:
    return opens2v_row.parse(KEY, row(*named, **override))


def with_annotation(source: Source, media: MediaStore, given: Annotation) -> Source:
    """The source, with its annotation in the media store."""
    return replace(source, annotation_sha256=media.put(annotated.write([given])), annotation_row=0)


def changed(content: Mapping[str, Any], path: str, value: Any) -> dict[str, Any]:
    """The row with another value at a path such as `metadata.cut`; `...` takes the key out."""
    name, _, below = path.partition(".")
    inside = changed(content.get(name, {}), below, value) if below else value
    kept = {key: each for key, each in content.items() if key != name}
    return kept if inside is ... else kept | {name: inside}


def _box(name: str, mask: Mask) -> dict[str, Any]:
    box = masks.box_of(mask) or (0.0, 0.0, 0.0, 0.0)
    return {"class_name": name, "bbox": [edge + 0.25 for edge in box], "gme_score": 0.285, "aes_score": 4.99}


def _mask(mask: Mask, score: float) -> dict[str, Any]:
    rle = masks.encode(mask)
    return {"size": [rle.height_px, rle.width_px], "counts": rle.counts.decode(), "score": [score]}
