"""Who is who in the frames looked at: the faces of each frame are linked into people.

Two faces of one frame are never one person. Between frames, a face joins the person it is most like: alike enough for
the recogniser, or a little less where it also stands at the same place.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from flows.engines.ports import Face, Vector
from flows.stages.masks import box_iou

SAME_PLACE_IOU = 0.3
"""Overlap with the person's last face from which a face stands at the same place."""
PLACE_BONUS = 0.05
"""How much less alike, in cosine similarity, a face at the same place may be: a turned head differs that much."""


@dataclass(slots=True)
class Linked:
    """One person: their faces by position among the frames looked at."""

    faces: dict[int, Face] = field(default_factory=dict)

    def vector(self) -> Vector | None:
        """The mean of the faces' vectors, L2-normalised; None: no face has one."""
        vectors = [face.vector for face in self.faces.values() if face.vector is not None]
        if not vectors:
            return None
        mean = np.mean(vectors, axis=0)
        return np.asarray(mean / np.linalg.norm(mean), dtype=np.float32)


def link(faces: Sequence[Sequence[Face]], *, same_person_similarity: float) -> list[Linked]:
    """The people of several frames, by first appearance; `faces` are those of each frame, in order of time."""
    people: list[Linked] = []
    for position, here in enumerate(faces):
        found = sorted(
            (-score, number, index)
            for number, person in enumerate(people)
            for index, face in enumerate(here)
            if (score := _score(person, face, same_person_similarity)) is not None
        )
        taken: dict[int, int] = {}
        for _, number, index in found:
            if number not in taken.values() and index not in taken:
                taken[index] = number
        for index, face in enumerate(here):
            if index not in taken:
                people.append(Linked())
            people[taken.get(index, len(people) - 1)].faces[position] = face
    return people


def _score(person: Linked, face: Face, same_person_similarity: float) -> float | None:
    """How well a face fits a person; None: it is somebody else's."""
    last = person.faces[max(person.faces)]
    overlap = box_iou(last.box_px, face.box_px)
    is_same_place = overlap >= SAME_PLACE_IOU
    vector = person.vector()
    if vector is None or face.vector is None:
        return overlap if is_same_place else None
    similarity = float(vector @ face.vector)
    needed = same_person_similarity - (PLACE_BONUS if is_same_place else 0)
    return similarity + overlap if similarity >= needed else None
