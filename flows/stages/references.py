"""Pictures of each subject: a crop of the frame that shows the face best, and other views of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np

from flows.engines.ports import Face, FaceReader, Picture, Synthesizer, View
from flows.stages import tracks
from flows.stages.stage import ClipItem, Done
from flows.stages.tracks import Sighting
from warehouse import ids
from warehouse.records import Box, Reference, Subject

SIDES, ABOVE, BELOW = 0.9, 0.8, 1.2
"""What a head-and-shoulders crop adds to a face's box: in face widths at each side, in face heights above, below."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferencesFact:
    num_references: int
    identity_score_min: float | None
    """Each subject's best identity score, the lowest of them; None: some subject's face could not be compared."""
    face_px_min: float | None
    """Width of the smallest subject's face in its crop's frame, in pixels of the source; None: some face is unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class References:
    """Crops each subject, lets the synthesizer make views of the crop, and scores all by the face."""

    name: ClassVar[str] = "references"
    version: ClassVar[int] = 1
    takes: ClassVar[type] = ClipItem
    fact: ClassVar[type] = ReferencesFact
    needs: ClassVar[Sequence[str]] = ("subjects",)

    reader: FaceReader
    synthesizer: Synthesizer
    num_looks: int = 8
    """As many as `subjects` looks at: crops come from the frames of its tracks."""

    def __call__(self, batch: Sequence[ClipItem], /) -> Sequence[Done[ReferencesFact]]:
        return [self._measure(item) for item in batch]

    def _measure(self, item: ClipItem) -> Done[ReferencesFact]:
        looked = item.video.look(item.clip.start_frame, item.clip.end_frame, self.num_looks)
        pictures = {frame.index: frame.rgb for frame in looked}
        made: list[Reference] = []
        scores: list[float | None] = []
        faces_px: list[float | None] = []
        for subject in item.subjects:
            best = best_sighting(tracks.read(item.media.path_of(subject.track_sha256)), subject)
            crop = _crop(pictures[best.frame], best, subject, item.video.look_scale)
            views = [View(name="crop", picture=crop, is_resynthesised=False), *self.synthesizer.views(crop)]
            references = self._records(item, subject, views)
            made += references
            scores.append(max((r.identity_score for r in references if r.identity_score is not None), default=None))
            faces_px.append(_face_px(best) or None)
        fact = ReferencesFact(
            num_references=len(made), identity_score_min=_known_min(scores), face_px_min=_known_min(faces_px)
        )
        return Done(fact=fact, made=made)

    def _records(self, item: ClipItem, subject: Subject, views: Sequence[View]) -> list[Reference]:
        read = self.reader.read([view.picture for view in views], with_vectors=True)
        return [
            self._record(item, subject, view, max(faces, key=_width, default=None))
            for view, faces in zip(views, read, strict=True)
        ]

    def _record(self, item: ClipItem, subject: Subject, view: View, face: Face | None) -> Reference:
        vector = None if face is None or face.vector is None else tuple(face.vector.tolist())
        is_comparable = vector is not None and subject.identity_model == self.reader.model
        return Reference(
            reference_id=ids.make("reference", subject.subject_id, item.fact_key, view.name),
            subject_id=subject.subject_id,
            clip_id=subject.clip_id,
            fact_key=item.fact_key,
            view=view.name,
            is_resynthesised=view.is_resynthesised,
            sha256=item.media.put(_png(view.picture)),
            width_px=view.picture.shape[1],
            height_px=view.picture.shape[0],
            identity_score=_cosine(vector, subject.identity_vector) if is_comparable else None,
            identity_vector=vector,
        )


def best_sighting(sightings: Sequence[Sighting], subject: Subject) -> Sighting:
    """The most typical of the large faces: of those at least 0.8 of the largest, the nearest to the identity vector.

    Without a face, the sighting of the key frame.
    """
    with_face = [each for each in sightings if each.face_box_px is not None]
    if not with_face:
        return next(each for each in sightings if each.frame == subject.key_frame)
    widest = max(map(_face_px, with_face))
    return max(
        (each for each in with_face if _face_px(each) >= 0.8 * widest),
        key=lambda each: _cosine(each.face_vector, subject.identity_vector) or 0.0,
    )


def crop_box(face_px: Box, *, width_px: int, height_px: int) -> tuple[int, int, int, int]:
    """Head and shoulders about a face, cut at the picture's edges."""
    x0, y0, x1, y1 = face_px
    width, height = x1 - x0, y1 - y0
    return (
        max(0, round(x0 - SIDES * width)),
        max(0, round(y0 - ABOVE * height)),
        min(width_px, round(x1 + SIDES * width)),
        min(height_px, round(y1 + BELOW * height)),
    )


def _crop(picture: Picture, sighting: Sighting, subject: Subject, scale: float) -> Picture:
    """The subject's part of a picture that was looked at; without a face the whole person."""
    height, width = picture.shape[:2]
    shown = sighting.face_box_px or sighting.box_px or subject.box_px
    box = (shown[0] / scale, shown[1] / scale, shown[2] / scale, shown[3] / scale)
    if sighting.face_box_px is not None:
        x0, y0, x1, y1 = crop_box(box, width_px=width, height_px=height)
    else:
        x0, y0, x1, y1 = (round(edge) for edge in box)
    return np.ascontiguousarray(picture[y0:y1, x0:x1])


def _png(picture: Picture) -> bytes:
    is_written, content = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    assert is_written
    return content.tobytes()


def _cosine(vector: Sequence[float] | None, other: Sequence[float] | None) -> float | None:
    """Cosine similarity of two L2-normalised vectors; None: one of them is unknown."""
    return None if vector is None or other is None else float(np.dot(vector, other))


def _known_min(values: Sequence[float | None]) -> float | None:
    """The lowest value; None: there is none, or one of them is unknown."""
    known = [value for value in values if value is not None]
    return min(known) if known and len(known) == len(values) else None


def _width(face: Face) -> float:
    return face.box_px[2] - face.box_px[0]


def _face_px(sighting: Sighting) -> float:
    """Width of the face; 0: it is not seen."""
    return sighting.face_box_px[2] - sighting.face_box_px[0] if sighting.face_box_px else 0.0
