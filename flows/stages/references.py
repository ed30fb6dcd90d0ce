"""Pictures of each subject: a crop of the frame that shows the face best, and other views of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import cv2
import numpy as np

from flows.engines.ports import Face, FaceReader, Picture, Synthesizer, View
from flows.stages import copy_paste, tracks
from flows.stages.quality import sharpness
from flows.stages.stage import ClipItem, Done, Failed, one_by_one
from flows.stages.tracks import Sighting
from warehouse import ids
from warehouse.records import Box, Reference, Subject

SIDES, ABOVE, BELOW = 0.9, 0.8, 1.2
"""What a head-and-shoulders crop adds to a face's box: in face widths at each side, in face heights above, below."""
AROUND = 0.25
"""What the place where a copy is looked for adds to the crop's box, as shares of it, at each side."""
FACE_SIDE_PX = 128
"""Longest side at which a face's sharpness is measured: larger faces are made as small, so that they compare."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferencesFact:
    """One row a clip. The minima and the maximum are over its chosen references, one a subject."""

    num_references: int
    num_resynthesised: int
    """Drawn anew by a generative model."""
    num_kept: int
    """Still the same person: identity score of `keep_from` and more."""
    identity_score_min: float | None
    """None: there is no reference, or some chosen one's face could not be compared. The same below."""
    face_px_min: float | None
    """Width of the smallest face, in its reference's own pixels."""
    sharpness_min: float | None
    copy_paste_max: float | None
    """Highest copy-paste score: 1, some chosen reference is cut out of the clip."""


@dataclass(frozen=True, slots=True, kw_only=True)
class References:
    """Crops each subject, lets the synthesizer make views of the crop, measures all and chooses one a subject."""

    name: ClassVar[str] = "references"
    version: ClassVar[int] = 2
    takes: ClassVar[type[ClipItem]] = ClipItem
    fact: ClassVar[type[ReferencesFact]] = ReferencesFact
    needs: ClassVar[Sequence[str]] = ("subjects",)

    reader: FaceReader
    synthesizer: Synthesizer
    num_looks: int = 8
    """As many as `subjects` looks at: crops come from the frames of its tracks."""
    prefer: str = "identity"
    """What is chosen of the references that are still the same person: by `identity` the one most like the subject, by
    `novelty` a re-synthesised one before others, and among these the one least like a copy (Identity-GRPO, 2.1.1)."""
    keep_from: float | None = None
    """Identity score from which a reference is still the same person; None: the reader's `same_person_similarity`."""

    def __post_init__(self) -> None:
        if self.prefer not in PREFERENCES:
            raise ValueError(f"prefer = {self.prefer!r}; take one of {', '.join(PREFERENCES)}")

    @property
    def least_identity(self) -> float:
        """`keep_from`, or what stands for it."""
        return self.reader.same_person_similarity if self.keep_from is None else self.keep_from

    def __call__(self, batch: Sequence[ClipItem], /) -> Sequence[Done[ReferencesFact] | Failed]:
        return one_by_one(self._measure, batch)

    def _measure(self, item: ClipItem) -> Done[ReferencesFact]:
        looked = item.video.look(item.clip.start_frame, item.clip.end_frame, self.num_looks)
        keys = {subject.key_frame for subject in item.subjects} - {frame.index for frame in looked}
        pictures = {frame.index: frame.rgb for frame in (*looked, *map(item.video.frame, sorted(keys)))}
        ways = [tracks.read(item.media.path_of(subject.track_sha256)) for subject in item.subjects]
        made: list[Reference] = []
        for subject, way in zip(item.subjects, ways, strict=True):
            best = best_sighting(way, subject)
            crop = _crop(pictures[best.frame], best, subject, _faces_beside(best, ways), item.video.look_scale)
            shown = [each for each in way if each.is_seen or each is best]
            around = [_around(pictures[each.frame], each, item.video.look_scale) for each in shown]
            views = [View(name="crop", picture=crop, is_resynthesised=False, synthesizer=None)]
            views += self.synthesizer.views(crop)
            references = self._records(item, subject, views, copy_paste.prepared(around))
            made += chosen(references, keep_from=self.least_identity, prefer=self.prefer)
        return Done(fact=self._fact(made), made=made)

    def _fact(self, made: Sequence[Reference]) -> ReferencesFact:
        stand = [each for each in made if each.is_chosen]
        return ReferencesFact(
            num_references=len(made),
            num_resynthesised=sum(each.is_resynthesised for each in made),
            num_kept=sum(is_kept(each, self.least_identity) for each in made),
            identity_score_min=_known(min, [each.identity_score for each in stand]),
            face_px_min=_known(min, [each.face_px for each in stand]),
            sharpness_min=_known(min, [each.sharpness for each in stand]),
            copy_paste_max=_known(max, [each.copy_paste_score for each in stand]),
        )

    def _records(
        self, item: ClipItem, subject: Subject, views: Sequence[View], owns: Sequence[copy_paste.Own]
    ) -> list[Reference]:
        read = self.reader.read([view.picture for view in views], with_vectors=True)
        return [
            self._record(item, subject, view, max(faces, key=_width, default=None), owns)
            for view, faces in zip(views, read, strict=True)
        ]

    def _record(
        self, item: ClipItem, subject: Subject, view: View, face: Face | None, owns: Sequence[copy_paste.Own]
    ) -> Reference:
        vector = None if face is None or face.vector is None else tuple(face.vector.tolist())
        is_comparable = vector is not None and subject.identity_model == self.reader.model
        box = None if face is None else face.box_px
        return Reference(
            reference_id=ids.make("reference", subject.subject_id, item.fact_key, view.synthesizer, view.name),
            subject_id=subject.subject_id,
            clip_id=subject.clip_id,
            fact_key=item.fact_key,
            view=view.name,
            synthesizer=view.synthesizer,
            prompt=view.prompt,
            is_resynthesised=view.is_resynthesised,
            sha256=item.media.put(_png(view.picture)),
            width_px=view.picture.shape[1],
            height_px=view.picture.shape[0],
            face_px=None if face is None else _width(face),
            sharpness=face_sharpness(view.picture, box),
            copy_paste_score=copy_paste.copy_paste_score(view.picture, owns, face_px=box),
            identity_score=_cosine(vector, subject.identity_vector) if is_comparable else None,
            identity_vector=vector,
            is_chosen=False,
        )


def is_kept(reference: Reference, keep_from: float) -> bool:
    """Whether a reference is still the same person."""
    return reference.identity_score is not None and reference.identity_score >= keep_from


def chosen(references: Sequence[Reference], *, keep_from: float, prefer: str) -> list[Reference]:
    """One subject's references in their order, the one that stands for it marked; of equals the first.

    Where none is still the same person, the most like one stands, for a gate to judge; where none can be compared, the
    first, which is the crop.
    """
    kept = [each for each in references if is_kept(each, keep_from)]
    rank = PREFERENCES[prefer] if kept else PREFERENCES["identity"]
    best = max(kept or references, key=rank)
    return [replace(each, is_chosen=each is best) for each in references]


def _identity(reference: Reference) -> tuple[float, ...]:
    return (-2.0 if reference.identity_score is None else reference.identity_score,)


def _novelty(reference: Reference) -> tuple[float, ...]:
    copied = 1.0 if reference.copy_paste_score is None else reference.copy_paste_score
    return (reference.is_resynthesised, -copied, *_identity(reference))


PREFERENCES: Mapping[str, Callable[[Reference], tuple[float, ...]]] = {"identity": _identity, "novelty": _novelty}
"""What `References.prefer` may be: the highest stands."""


def face_sharpness(picture: Picture, face_px: Box | None) -> float:
    """Variance of the Laplacian of a face (of the whole picture where there is none) of at most `FACE_SIDE_PX`."""
    x0, y0, x1, y1 = (0, 0, *picture.shape[1::-1]) if face_px is None else map(round, face_px)
    luma = cv2.cvtColor(np.ascontiguousarray(picture[max(0, y0) : y1, max(0, x0) : x1]), cv2.COLOR_RGB2GRAY)
    scale = FACE_SIDE_PX / max(luma.shape)
    size = [max(1, round(side * scale)) for side in luma.shape[::-1]]
    return sharpness(np.asarray(cv2.resize(luma, size, interpolation=cv2.INTER_AREA) if scale < 1 else luma))


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


def _around(picture: Picture, sighting: Sighting, scale: float) -> Picture:
    """The part of a picture that was looked at in which a copy of the subject's crop would lie."""
    height, width = picture.shape[:2]
    x0, y0, x1, y1 = _shrunk(sighting.face_box_px or sighting.box_px or (0, 0, width * scale, height * scale), scale)
    if sighting.face_box_px is not None:
        x0, y0, x1, y1 = crop_box((x0, y0, x1, y1), [], width_px=width, height_px=height)
    more_x, more_y = AROUND * (x1 - x0), AROUND * (y1 - y0)
    top, bottom = max(0, round(y0 - more_y)), min(height, round(y1 + more_y))
    left, right = max(0, round(x0 - more_x)), min(width, round(x1 + more_x))
    return np.ascontiguousarray(picture[top:bottom, left:right])


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


def _known(of: Callable[[list[float]], float], values: Sequence[float | None]) -> float | None:
    """The lowest or highest value; None: there is none, or one of them is unknown."""
    known = [value for value in values if value is not None]
    return of(known) if known and len(known) == len(values) else None


def _width(face: Face) -> float:
    return face.box_px[2] - face.box_px[0]


def _face_px(sighting: Sighting) -> float:
    """Width of the face; 0: it is not seen."""
    return sighting.face_box_px[2] - sighting.face_box_px[0] if sighting.face_box_px else 0.0
