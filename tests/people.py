"""Drawn people in short videos, for the tests of the stages that look for people."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flows.engines.ports import Face
from flows.sources.actors import portrait
from flows.stages.captions import CaptionsFact
from flows.stages.encode import encode
from flows.stages.frames import Video
from flows.stages.stage import ClipItem
from tests import factories
from warehouse.media import MediaStore

Picture = NDArray[np.uint8]
SIZE_PX = 160

ANN, BOB = (1.0, 0.0), (0.0, 1.0)


def face(x: float, vector: Sequence[float] | None, *, y: float = 30.0) -> Face:
    array = None if vector is None else np.array(vector, dtype=np.float32)
    return Face(box_px=(x, y, x + 20, y + 20), score=1.0, frontalness=1.0, vector=array)


class ScriptedFaces:
    """`FaceReader` that finds in the i-th picture the faces it was told."""

    revision = model = "scripted"
    same_person_similarity = 0.9

    def __init__(self, *faces: tuple[Face, ...]) -> None:
        self.faces = faces

    def read(self, pictures: Sequence[Picture], *, with_vectors: bool) -> Sequence[tuple[Face, ...]]:
        return self.faces


def side_by_side(*actors: int | None) -> Picture:
    """Portraits beside one another; None leaves a place empty."""
    empty = np.full((SIZE_PX, SIZE_PX, 3), 190, dtype=np.uint8)
    return np.hstack([empty if actor is None else portrait(actor, size_px=SIZE_PX) for actor in actors])


def said(*phrases: str, num_people: int | None = None) -> CaptionsFact:
    return CaptionsFact(has_caption=True, num_words=9, num_people=num_people, phrases=phrases)


def clip_item(folder: Path, pictures: Sequence[Picture], **override: Any) -> ClipItem:
    """A clip of these pictures, each shown for a second, so that each is looked at."""
    path = folder / "clip.mp4"
    path.write_bytes(encode(pictures, frame_rate=Fraction(1)))
    height_px, width_px = pictures[0].shape[:2]
    values: dict[str, Any] = {
        "source": factories.source(),
        "clip": factories.clip(
            end_frame=len(pictures), end=Fraction(len(pictures)), width_px=width_px, height_px=height_px
        ),
        "video": Video(path),
        "media": MediaStore(folder / "media"),
        "facts": {"captions": said()},
        "fact_key": "fact_here",
        "subjects": (),
        "references": (),
    }
    return ClipItem(**(values | override))
