"""Pictures of each subject: a crop of the frame that shows the face best, and other views of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np

from flows.engines.ports import Face, FaceReader, Picture, Synthesizer, View
from flows.stages import tracks
from flows.stages.stage import ClipItem, Done, Failed, one_by_one
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
    takes: ClassVar[type[ClipItem]] = ClipItem
    fact: ClassVar[type[ReferencesFact]] = ReferencesFact
    needs: ClassVar[Sequence[str]] = ("subjects",)

    reader: FaceReader
    synthesizer: Synthesizer
    num_looks: int = 8
    """As many as `subjects` looks at: crops come from the frames of its tracks."""

    def __call__(self, batch: Sequence[ClipItem], /) -> Sequence[Done[ReferencesFact] | Failed]:
        return one_by_one(self._measure, batch)

    def _measure(self, item: ClipItem) -> Done[ReferencesFact]:
        looked = item.video.look(item.clip.start_frame, item.clip.end_frame, self.num_looks)
        pictures = {frame.index: frame.rgb for frame in looked}
        ways = [tracks.read(item.media.path_of(subject.track_sha256)) for subject in item.subjects]
        made: list[Reference] = []
        scores: list[float | None] = []
        faces_px: list[float | None] = []
        for subject, way in zip(item.subjects, ways, strict=True):
            best = best_sighting(way, subject)
            crop = _crop(pictures[best.frame], best, subject, _faces_beside(best, ways), item.video.look_scale)
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


def crop_box(face_px: Box, beside_px: Sequence[Box], *, width_px: int, height_px: int) -> tuple[int, int, int, int]:
    """Head and shoulders about a face, cut at the picture's edges and half-way to the faces beside it."""
    x0, y0, x1, y1 = face_px
    width, height = x1 - x0, y1 - y0
    left, right = max(0.0, x0 - SIDES * width), min(float(width_px), x1 + SIDES * width)
    for other in beside_px:
        if other[2] <= x0:
            left = max(left, (other[2] + x0) / 2)
        if other[0] >= x1:
            right = min(right, (other[0] + x1) / 2)
    return round(left), max(0, round(y0 - ABOVE * height)), round(right), min(height_px, round(y1 + BELOW * height))


def _crop(picture: Picture, sighting: Sighting, subject: Subject, beside: Sequence[Box], scale: float) -> Picture:
    """The subject's part of a picture that was looked at, background and all; without a face the whole person."""
    height, width = picture.shape[:2]
    box = _shrunk(sighting.face_box_px or sighting.box_px or subject.box_px, scale)
    if sighting.face_box_px is not None:
        others = [_shrunk(other, scale) for other in beside]
        x0, y0, x1, y1 = crop_box(box, others, width_px=width, height_px=height)
    else:
        x0, y0, x1, y1 = (round(edge) for edge in box)
    return np.ascontiguousarray(picture[y0:y1, x0:x1])


def _faces_beside(sighting: Sighting, ways: Sequence[Sequence[Sighting]]) -> list[Box]:
    """Other subjects' faces in the same frame."""
    return [
        other.face_box_px
        for way in ways
        for other in way
        if other.frame == sighting.frame
        and other.subject_index != sighting.subject_index
        and other.face_box_px is not None
    ]


def _shrunk(box: Box, scale: float) -> Box:
    return box[0] / scale, box[1] / scale, box[2] / scale, box[3] / scale


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
