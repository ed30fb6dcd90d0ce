"""How much a candidate's people look like their references, and how sharp, steady and lively the picture is.

Sharpness is that of the looked frames, flicker and motion that of every frame's proxy; all three are for comparing
candidates of one clip.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from flows.engines.ports import Face, FaceReader
from flows.stages.candidates import best_references, face_boxes, first_frame
from flows.stages.frames import Frame
from flows.stages.quality import luma, motion, sharpness
from flows.stages.stage import CandidateItem, Done, Failed, one_by_one
from warehouse.records import Box, Subject

Floats = NDArray[np.float64]
LEAST_LOOKS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class LikenessFact:
    """What was seen of one candidate."""

    num_frames: int
    frame_rate_num: int
    frame_rate_den: int
    width_px: int
    height_px: int
    looked_frames: tuple[int, ...]
    face_frames: tuple[int, ...]
    """The frame of each subject's face that was read; a subject not seen in a looked frame has no entry."""
    face_subjects: tuple[int, ...]
    """Its subject's index."""
    face_vectors: tuple[tuple[float, ...], ...]
    """Its identity vector."""
    identity_model: str
    """The recogniser of the vectors."""
    identity_mean: float | None
    """Mean over frames of the seen subjects' mean cosine similarity to their references; None: nothing to compare."""
    identity_min: float | None
    """The same, of the worst frame."""
    sharpness: float
    """Variance of the luma's Laplacian, mean over the looked frames: higher is sharper."""
    flicker: float | None
    """Mean absolute second difference of the frames' mean lumas, in 8-bit levels; None: fewer than three frames."""
    motion: float | None
    """Mean absolute change of luma from frame to frame, in 8-bit levels; None: a single frame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """Reads the faces of a few frames and gives each to a subject.

    What was made from the clip's own frames has its people where the clip has them: there the place decides, so that
    exchanged faces are seen. Elsewhere the best total similarity to the references does.
    """

    name: ClassVar[str] = "likeness"
    version: ClassVar[int] = 1
    takes: ClassVar[type[CandidateItem]] = CandidateItem
    fact: ClassVar[type[LikenessFact]] = LikenessFact
    needs: ClassVar[Sequence[str]] = ("subjects", "references", "candidates")

    faces: FaceReader
    max_looks: int = 5
    """As many uniform frames as Identity-GRPO's released reward model sees."""
    max_faces: int = 9
    """Expected at most: with more subjects fewer frames are looked at, but never fewer than `LEAST_LOOKS`."""

    def __call__(self, batch: Sequence[CandidateItem], /) -> Sequence[Done[LikenessFact] | Failed]:
        return one_by_one(self._measure, batch)

    def _measure(self, item: CandidateItem) -> Done[LikenessFact]:
        video = item.video
        subjects = sorted(item.subjects, key=lambda subject: subject.subject_index)
        references = self._references(item, subjects)
        num_looks = max(LEAST_LOOKS, min(self.max_looks, self.max_faces // max(1, len(subjects))))
        looks = video.look(0, video.num_frames, num_looks)
        seen = self._seen(item, subjects, references, looks)
        similarities = frame_similarities(seen, references)
        lumas = [proxy.luma for proxy in video.proxies]
        fact = LikenessFact(
            num_frames=video.num_frames,
            frame_rate_num=video.frame_rate.numerator,
            frame_rate_den=video.frame_rate.denominator,
            width_px=video.width_px,
            height_px=video.height_px,
            looked_frames=tuple(frame.index for frame in looks),
            face_frames=tuple(frame for frame, _ in seen),
            face_subjects=tuple(subjects[column].subject_index for _, column in seen),
            face_vectors=tuple(tuple(vector.tolist()) for vector in seen.values()),
            identity_model=self.faces.model,
            identity_mean=float(np.mean(similarities)) if similarities else None,
            identity_min=min(similarities, default=None),
            sharpness=float(np.mean([sharpness(luma(frame)) for frame in looks])),
            flicker=flicker(np.array([picture.mean() for picture in lumas])),
            motion=motion(lumas),
        )
        return Done(fact=fact)

    def _references(self, item: CandidateItem, subjects: Sequence[Subject]) -> list[Floats | None]:
        """Each subject's reference vector; None where there is none of this recogniser."""
        best = best_references(item.references)
        vectors = [
            best[subject.subject_id].identity_vector
            if subject.subject_id in best and subject.identity_model == self.faces.model
            else None
            for subject in subjects
        ]
        return [None if vector is None else np.asarray(vector, np.float64) for vector in vectors]

    def _seen(
        self,
        item: CandidateItem,
        subjects: Sequence[Subject],
        references: Sequence[Floats | None],
        looks: Sequence[Frame],
    ) -> dict[tuple[int, int], Floats]:
        """The identity vector of each (frame, place among `subjects`) that was seen, in that order."""
        found = self.faces.read([frame.rgb for frame in looks], with_vectors=True)
        if item.candidate.severity is None:
            scores = [likeness_scores(faces, references) for faces in found]
        else:
            start = first_frame(item.clip, subjects, item.video.num_frames)
            frames = [start + frame.index for frame in looks]
            scale = looks[0].rgb.shape[1] / item.clip.width_px
            scores = list(map(place_scores, found, face_boxes(item.clip, subjects, item.media, frames, scale=scale)))
        return {
            (frame.index, column): np.asarray(faces[row].vector, np.float64)
            for frame, faces, score in zip(looks, found, scores, strict=True)
            for column, row in sorted(assign(score).items())
        }


def place_scores(faces: Sequence[Face], boxes: Sequence[Box | None]) -> Floats:
    """(faces, subjects): 1 where a face lies on the subject's, 0 or less from one face's width away."""
    scores = np.zeros((len(faces), len(boxes)))
    for column, box in enumerate(boxes):
        if box is not None:
            distances_px = [math.dist(_centre(face.box_px), _centre(box)) for face in faces]
            scores[:, column] = 1 - np.array(distances_px) / (box[2] - box[0])
    return scores


def likeness_scores(faces: Sequence[Face], references: Sequence[Floats | None]) -> Floats:
    """(faces, subjects): 1 plus the cosine similarity to the subject's reference; 0 for a subject without one."""
    scores = np.zeros((len(faces), len(references)))
    for column, reference in enumerate(references):
        if reference is not None:
            scores[:, column] = [1 + cosine(np.asarray(face.vector, np.float64), reference) for face in faces]
    return scores


def assign(scores: Floats) -> dict[int, int]:
    """Column to row, at most one each: the pairs with the highest total of positive `scores` (rows, columns)."""
    best: dict[frozenset[int], tuple[float, dict[int, int]]] = {frozenset(): (0.0, {})}
    for row, values in enumerate(scores):
        for taken, (total, pairs) in list(best.items()):
            for column in np.flatnonzero(values > 0).tolist():
                grown, sum_ = taken | {column}, total + float(values[column])
                if column not in taken and sum_ > best.get(grown, (0.0, {}))[0]:
                    best[grown] = (sum_, pairs | {column: row})
    return max(best.values(), key=lambda each: each[0])[1]


def cosine(a: Floats, b: Floats) -> float:
    """Cosine similarity of two vectors, -1 to 1."""
    return float(np.dot(a, b) / (np.linalg.norm(a) * np.linalg.norm(b)))


def frame_similarities(seen: Mapping[tuple[int, int], Floats], references: Sequence[Floats | None]) -> list[float]:
    """For each frame in which a subject with a reference is seen: the subjects' mean cosine similarity to theirs."""
    by_frame: dict[int, list[float]] = {}
    for (frame, column), vector in seen.items():
        if (reference := references[column]) is not None:
            by_frame.setdefault(frame, []).append(cosine(vector, reference))
    return [float(np.mean(values)) for values in by_frame.values()]


def flicker(brightness: Floats) -> float | None:
    """Mean absolute second difference of (frames,): a steady fade has none. None below three frames."""
    return float(np.abs(np.diff(brightness, 2)).mean()) if len(brightness) > 2 else None


def _centre(box: Box) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
