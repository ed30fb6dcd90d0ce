"""How many faces a clip shows, how large, and how often one looks into the camera."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from flows.engines.ports import Face, FaceReader
from flows.stages.stage import ClipItem, Done, Failed, one_by_one


@dataclass(frozen=True, slots=True, kw_only=True)
class FacesFact:
    num_looked: int
    """Frames looked at."""
    face_share: float
    """Share of them with a face."""
    face_frontal_share: float
    """Share of them with a frontal face."""
    num_faces_median: float
    num_faces_max: int
    face_px_max: float | None
    """Width of the largest face, in pixels of the source; None: no face was found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Faces:
    """Looks for faces in a few frames of each clip."""

    name: ClassVar[str] = "faces"
    version: ClassVar[int] = 1
    takes: ClassVar[type[ClipItem]] = ClipItem
    fact: ClassVar[type[FacesFact]] = FacesFact
    needs: ClassVar[Sequence[str]] = ("shots",)

    reader: FaceReader
    num_looks: int = 8
    frontal_from: float = 0.5
    """`Face.frontalness` of a face that counts as frontal."""

    def __call__(self, batch: Sequence[ClipItem], /) -> Sequence[Done[FacesFact] | Failed]:
        return one_by_one(self._measure, batch)

    def _measure(self, item: ClipItem) -> Done[FacesFact]:
        frames = item.video.look(item.clip.start_frame, item.clip.end_frame, self.num_looks)
        read = self.reader.read([frame.rgb for frame in frames], with_vectors=False)
        counts = [len(faces) for faces in read]
        widths = [face.box_px[2] - face.box_px[0] for faces in read for face in faces]
        fact = FacesFact(
            num_looked=len(frames),
            face_share=sum(map(bool, counts)) / len(frames),
            face_frontal_share=sum(map(self._has_frontal, read)) / len(frames),
            num_faces_median=float(statistics.median(counts)),
            num_faces_max=max(counts),
            face_px_max=max(widths) * item.video.look_scale if widths else None,
        )
        return Done(fact=fact)

    def _has_frontal(self, faces: Sequence[Face]) -> bool:
        return any(face.frontalness >= self.frontal_from for face in faces)
