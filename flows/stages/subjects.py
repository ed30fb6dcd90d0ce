"""The people of a clip: who they are over all frames looked at, where they stand, and which words speak of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from flows.engines.ports import Face, FaceReader, Grounded, Grounder, Mask, Picture, Segmenter
from flows.stages import masks, tracks
from flows.stages.frames import Frame
from flows.stages.linking import Linked, link
from flows.stages.stage import ClipItem, Done, Failed, one_by_one
from flows.stages.tracks import Sighting
from warehouse import ids
from warehouse.records import Box, Clip, Subject

SEGMENTED = "segmented"
"""Where masks come from that a segmenter made here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectsFact:
    num_looked: int
    num_subjects: int
    num_people_caption: int | None
    """None: no caption, or an uncounted number."""
    count_agreement: bool | None
    """Whether caption and picture speak of as many people; None: the caption does not say."""
    mask_area_share_min: float | None
    """Share of its key frame that the smallest subject's mask covers; None: there is no mask."""
    track_coverage_min: float | None
    """Share of the frames looked at in which the least seen subject is seen; None: there is no subject, or bodies were
    looked for in one frame alone."""
    identity_similarity_min: float | None
    """Cosine similarity of the least like face to its own subject's vector; None: no face was read."""
    mask_origin: str | None = None
    """`SEGMENTED`, or the data set that the masks came with; None: there is no mask."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A subject before it has an index. Boxes and masks are in pixels of the pictures looked at."""

    key_position: int
    """Of the key frame, among the frames looked at."""
    box_px: Box
    """As grounded: it may reach beyond the picture."""
    phrase: str | None
    linked: Linked
    masks: tuple[Mask | None, ...]
    """One a frame looked at."""
    mask_scale: float | None = None
    """Source pixels a mask's pixel; None: as many as a look's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subjects:
    """Finds each clip's people by face, body and mask, and follows them through the frames looked at."""

    name: ClassVar[str] = "subjects"
    version: ClassVar[int] = 2
    takes: ClassVar[type[ClipItem]] = ClipItem
    fact: ClassVar[type[SubjectsFact]] = SubjectsFact
    needs: ClassVar[Sequence[str]] = ("captions", "faces")

    reader: FaceReader
    grounder: Grounder
    segmenter: Segmenter
    num_looks: int = 8
    same_mask_from: float = 0.7
    """IoU of two masks from which they are one person's (OpenS2V's demo: one woman boxed three times)."""
    face_in_mask_from: float = 0.3
    """Share of a face's box that its subject's mask must cover: else the mask has drifted and is dropped."""

    def __call__(self, batch: Sequence[ClipItem], /) -> Sequence[Done[SubjectsFact] | Failed]:
        return one_by_one(self._measure, batch)

    def _measure(self, item: ClipItem) -> Done[SubjectsFact]:
        frames = item.video.look(item.clip.start_frame, item.clip.end_frame, self.num_looks)
        said = item.facts["captions"]
        people = self.people([frame.rgb for frame in frames], said.phrases)
        return told(item, frames, people, self.reader.model, mask_origin=SEGMENTED)

    def people(self, pictures: Sequence[Picture], phrases: Sequence[str]) -> list[Person]:
        """The people of these pictures, left to right. Each is grounded once, where most of them show."""
        faces = self.reader.read(pictures, with_vectors=True)
        waiting = link(faces, same_person_similarity=self.reader.same_person_similarity)
        found: list[Person] = []
        while waiting or not found:
            position = _best_position(waiting, len(pictures))
            here = [person for person in waiting if position in person.faces]
            waiting = [person for person in waiting if position not in person.faces]
            grounded = self.grounder.ground(pictures[position], phrases, faces[position])
            placed = _place(here, position, grounded, with_faceless=not found)
            if not placed:
                break
            new = self._followed(pictures, position, placed)
            found = [old for old in found if not self._turned_round(old, new)] + new
        return sorted(found, key=lambda person: person.box_px[0] + person.box_px[2])

    def _followed(
        self, pictures: Sequence[Picture], position: int, placed: Sequence[tuple[Linked, Grounded]]
    ) -> list[Person]:
        """The people grounded in one picture, with their masks in all; one person grounded twice is one."""
        found = self.segmenter.track(pictures, position, [grounded.box_px for _, grounded in placed])
        distinct = masks.distinct([track[position] for track in found], same_from=self.same_mask_from)
        return [
            Person(
                key_position=position,
                box_px=grounded.box_px,
                phrase=grounded.phrase,
                linked=linked,
                masks=tuple(
                    None if self._has_drifted(mask, linked.faces.get(at)) else mask for at, mask in enumerate(track)
                ),
            )
            for index, ((linked, grounded), track) in enumerate(zip(placed, found, strict=True))
            if linked.faces or index in distinct
        ]

    def _turned_round(self, old: Person, new: Sequence[Person]) -> bool:
        """Whether somebody first seen from behind is one of the people found later by their faces."""
        pairs = [(old.masks[each.key_position], each.masks[each.key_position]) for each in new]
        return not old.linked.faces and any(
            mask is not None and other is not None and masks.iou(mask, other) >= self.same_mask_from
            for mask, other in pairs
        )

    def _has_drifted(self, mask: Mask | None, face: Face | None) -> bool:
        if mask is None or face is None:
            return False
        x0, y0, x1, y1 = (round(edge) for edge in face.box_px)
        return bool(mask[y0:y1, x0:x1].mean() < self.face_in_mask_from)


def told(
    item: ClipItem, frames: Sequence[Frame], people: Sequence[Person], model: str, *, mask_origin: str
) -> Done[SubjectsFact]:
    """What the stage tells of a clip whose people are known, left to right; `model` made their vectors."""
    said = item.facts["captions"]
    phrases = certain_phrases(said.phrases, len(people))
    rows = [_sightings(person, index, frames, item.video.look_scale) for index, person in enumerate(people)]
    subjects = [
        _record(item, person, person.phrase or phrase, sightings, model)
        for person, phrase, sightings in zip(people, phrases, rows, strict=True)
    ]
    return Done(fact=_fact(people, rows, said.num_people, len(frames), mask_origin), made=subjects)


def certain_phrases(phrases: Sequence[str], num_people: int) -> Sequence[str | None]:
    """Each person's words where the caption leaves no choice: as many phrases as people, all of them the same.

    "Two women and a man" does not say who stands where; only a grounder that looks at the picture can.
    """
    is_certain = len(phrases) == num_people and len(set(phrases)) == 1
    return phrases if is_certain else (None,) * num_people


def _best_position(people: Sequence[Linked], num: int) -> int:
    """The frame that shows most of these people, and shows them best; the middle one where there is nobody."""

    def shown(position: int) -> tuple[int, float]:
        faces = [person.faces[position] for person in people if position in person.faces]
        return len(faces), sum(face.score * face.frontalness for face in faces)

    return max(range(num), key=shown) if people else num // 2


def _place(
    here: Sequence[Linked], position: int, grounded: Sequence[Grounded], *, with_faceless: bool
) -> list[tuple[Linked, Grounded]]:
    """Each person with the box that holds the face and stands most squarely below it; one box a person.

    Boxes without a face are people too, seen from behind: `with_faceless` takes them in.
    """
    faces = [person.faces[position] for person in here]
    fits = sorted(
        (_off_centre(each.box_px, face.box_px), who, which)
        for who, face in enumerate(faces)
        for which, each in enumerate(grounded)
        if _holds(each.box_px, face.box_px)
    )
    chosen: dict[int, int] = {}
    for _, who, which in fits:
        if who not in chosen and which not in chosen.values():
            chosen[who] = which
    placed = [
        (
            person,
            grounded[chosen[who]] if who in chosen else Grounded(box_px=face.box_px, score=face.score, phrase=None),
        )
        for who, (person, face) in enumerate(zip(here, faces, strict=True))
    ]
    free = [each for which, each in enumerate(grounded) if which not in chosen.values()]
    return placed + [(Linked(), each) for each in free if with_faceless]


def _sightings(person: Person, index: int, frames: Sequence[Frame], scale: float) -> list[Sighting]:
    rows = []
    mask_scale = scale if person.mask_scale is None else person.mask_scale
    for position, (frame, mask) in enumerate(zip(frames, person.masks, strict=True)):
        face = person.linked.faces.get(position)
        box = masks.box_of(mask) if mask is not None else None
        rows.append(
            Sighting(
                frame=frame.index,
                subject_index=index,
                box_px=_scaled(box, mask_scale) if box else None,
                face_box_px=_scaled(face.box_px, scale) if face else None,
                mask=masks.encode(mask) if mask is not None else None,
                face_vector=tuple(face.vector.tolist()) if face and face.vector is not None else None,
            )
        )
    return rows


def _record(item: ClipItem, person: Person, phrase: str | None, rows: Sequence[Sighting], model: str) -> Subject:
    key, vector = rows[person.key_position], person.linked.vector()
    return Subject(
        subject_id=ids.make("subject", item.clip.clip_id, item.fact_key, key.subject_index),
        clip_id=item.clip.clip_id,
        fact_key=item.fact_key,
        subject_index=key.subject_index,
        phrase=phrase,
        key_frame=key.frame,
        box_px=key.box_px or _inside(_scaled(person.box_px, item.video.look_scale), item.clip),
        face_box_px=key.face_box_px,
        track_sha256=item.media.put(tracks.write(rows)),
        identity_vector=None if vector is None else tuple(vector.tolist()),
        identity_model=None if vector is None else model,
    )


def _fact(
    people: Sequence[Person],
    rows: Sequence[Sequence[Sighting]],
    num_said: int | None,
    num_looked: int,
    mask_origin: str,
) -> SubjectsFact:
    areas = [mask.mean() for person in people if (mask := person.masks[person.key_position]) is not None]
    return SubjectsFact(
        num_looked=num_looked,
        num_subjects=len(people),
        num_people_caption=num_said,
        count_agreement=None if num_said is None else num_said == len(people),
        mask_area_share_min=float(min(areas)) if areas else None,
        track_coverage_min=min((np.mean([row.is_seen for row in track]).item() for track in rows), default=None),
        identity_similarity_min=min((s for person in people for s in _similarities(person.linked)), default=None),
        mask_origin=mask_origin if areas else None,
    )


def _similarities(linked: Linked) -> list[float]:
    """Cosine similarity of each of a person's faces to the person's vector."""
    vector = linked.vector()
    return [
        float(face.vector @ vector) for face in linked.faces.values() if vector is not None and face.vector is not None
    ]


def _scaled(box: Box, scale: float) -> Box:
    x0, y0, x1, y1 = (edge * scale for edge in box)
    return x0, y0, x1, y1


def _inside(box: Box, clip: Clip) -> Box:
    """The part of a box that the picture shows."""
    return max(0.0, box[0]), max(0.0, box[1]), min(float(clip.width_px), box[2]), min(float(clip.height_px), box[3])


def _holds(box: Box, inner: Box) -> bool:
    """Whether the middle of one box lies in another."""
    x, y = (inner[0] + inner[2]) / 2, (inner[1] + inner[3]) / 2
    return box[0] <= x < box[2] and box[1] <= y < box[3]


def _off_centre(box: Box, face: Box) -> float:
    """Pixels from a box's upright middle line to the face's."""
    return abs(box[0] + box[2] - face[0] - face[2]) / 2
