"""Stage `subjects`, where the data set has masked the people already: its masks are merged into people, not made anew.

Masks came for one frame of the clip alone. There the track holds them; in the frames looked at it holds the faces that
are read here. Bodies are not followed: what nobody measured stays unknown.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from flows.engines.ports import FaceReader, Mask
from flows.stages import annotated, given_people, masks, subjects
from flows.stages.annotated import Annotation, Area
from flows.stages.frames import Frame
from flows.stages.given_people import GivenPerson
from flows.stages.linking import Linked, link
from flows.stages.stage import ClipItem, Done, Failed, one_by_one
from flows.stages.subjects import Person, SubjectsFact
from warehouse.records import Box, Clip


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenSubjects:
    """Takes each clip's people from the masks that came with it, and reads whose faces are theirs."""

    name: ClassVar[str] = "subjects"
    version: ClassVar[int] = 1
    takes: ClassVar[type[ClipItem]] = ClipItem
    fact: ClassVar[type[SubjectsFact]] = SubjectsFact
    needs: ClassVar[Sequence[str]] = ("captions", "faces")

    reader: FaceReader
    num_looks: int = 8
    same_mask_from: float = 0.7
    """IoU of two masks from which they are one person's (OpenS2V's demo: 8 masks of 3 people)."""
    reach_s: float = 1.0
    """Seconds from the annotated frame within which a face is taken to stand where its person's mask is."""

    def __call__(self, batch: Sequence[ClipItem], /) -> Sequence[Done[SubjectsFact] | Failed]:
        return one_by_one(self._measure, batch)

    def _measure(self, item: ClipItem) -> Done[SubjectsFact] | Failed:
        annotation = annotated.of(item.source, item.media)
        if annotation is None or not annotation.masks:
            return Failed(reason="no masks came with the source", exception=item.source.path)
        index = _annotated_frame(annotation)
        if not item.clip.start_frame <= index < item.clip.end_frame:
            found = f"frame {index}, clip [{item.clip.start_frame}, {item.clip.end_frame})"
            return Failed(reason="masks of a frame outside the clip", exception=f"{annotation.key}: {found}")
        if unfit := _unfit(annotation, item.clip):
            return Failed(reason="masks do not fit the picture", exception=f"{annotation.key}: {unfit}")
        try:
            given = given_people.find(annotation, index, same_from=self.same_mask_from)
        except ValueError as error:
            return Failed(reason="masks cannot be read", exception=f"{annotation.key}: {error}")
        placed = [_placed(person.mask, annotation, item.clip) for person in given]
        frames = self._frames(item, index)
        people = self._people(given, placed, frames, index, item.video.look_scale)
        done = subjects.told(item, frames, people, self.reader.model, mask_origin=annotation.origin)
        return replace(done, fact=replace(done.fact, track_coverage_min=None))

    def _frames(self, item: ClipItem, index: int) -> list[Frame]:
        """The frames looked at, the annotated one among them."""
        looked = item.video.look(item.clip.start_frame, item.clip.end_frame, self.num_looks)
        others = [frame for frame in looked if frame.index != index]
        return sorted([*others, item.video.frame(index)], key=lambda frame: frame.index)

    def _people(
        self, given: Sequence[GivenPerson], placed: Sequence[Mask], frames: Sequence[Frame], index: int, scale: float
    ) -> list[Person]:
        """The people left to right, each with the faces that are theirs."""
        faces = self.reader.read([frame.rgb for frame in frames], with_vectors=True)
        seen = link(faces, same_person_similarity=self.reader.same_person_similarity)
        owners = self._owners(seen, placed, frames, index, scale)
        position = [frame.index for frame in frames].index(index)
        people = [
            Person(
                key_position=position,
                box_px=_box_of(mask, 1 / scale),
                phrase=person.phrase,
                linked=owners.get(which, Linked()),
                masks=tuple(mask if at == position else None for at in range(len(frames))),
                mask_scale=1.0,
            )
            for which, (person, mask) in enumerate(zip(given, placed, strict=True))
            if person.is_certain or which in owners
        ]
        return sorted(people, key=lambda person: person.box_px[0] + person.box_px[2])

    def _owners(
        self, seen: Sequence[Linked], placed: Sequence[Mask], frames: Sequence[Frame], index: int, scale: float
    ) -> dict[int, Linked]:
        """By mask, the person whose face stands in it, or at least in its box, in the annotated frame or near it; of
        several the one with the widest face."""
        [time] = [frame.time for frame in frames if frame.index == index]
        apart_s = [abs(float(frame.time - time)) for frame in frames]
        fits = []
        for who, person in enumerate(seen):
            nearest = min(person.faces, key=lambda at: apart_s[at])
            if apart_s[nearest] <= self.reach_s:
                face_px = person.faces[nearest].box_px
                x, y = _centre(face_px, scale)
                fits += [
                    (not _shows(mask, x, y), apart_s[nearest], face_px[0] - face_px[2], who, which)
                    for which, mask in enumerate(placed)
                    if _within(_box_of(mask, 1.0), x, y)
                ]
        owners: dict[int, Linked] = {}
        for *_, who, which in sorted(fits):
            if which not in owners and all(seen[who] is not owner for owner in owners.values()):
                owners[which] = seen[who]
        return owners


def _annotated_frame(annotation: Annotation) -> int:
    """The frame that masks are there for: the one that the annotation names, or else the first."""
    frames = [mask.frame for mask in annotation.masks]
    return annotation.frame if annotation.frame in frames else min(frames)


def _area(annotation: Annotation, clip: Clip) -> Area:
    """The part of the picture that masks are of."""
    return annotation.crop_px or (0, 0, clip.width_px, clip.height_px)


def _unfit(annotation: Annotation, clip: Clip) -> str | None:
    """In what picture, crop and masks contradict one another; None: they agree. No mask is decoded before that."""
    x0, y0, x1, y1 = _area(annotation, clip)
    if x1 > clip.width_px or y1 > clip.height_px:
        return f"the area ({x0}, {y0}, {x1}, {y1}) of a picture of {clip.width_px}x{clip.height_px}"
    sizes = {(mask.rle.width_px, mask.rle.height_px) for mask in annotation.masks}
    others = sorted(sizes - {(x1 - x0, y1 - y0)})
    return f"a mask of {others[0][0]}x{others[0][1]} for an area of {x1 - x0}x{y1 - y0}" if others else None


def _placed(mask: Mask, annotation: Annotation, clip: Clip) -> Mask:
    """The mask in the whole picture."""
    x0, y0, _, _ = _area(annotation, clip)
    return masks.placed(mask, x0, y0, width_px=clip.width_px, height_px=clip.height_px)


def _box_of(mask: Mask, scale: float) -> Box:
    box = masks.box_of(mask)
    assert box is not None, "empty masks show nobody and were left out"
    x0, y0, x1, y1 = (edge * scale for edge in box)
    return x0, y0, x1, y1


def _centre(box: Box, scale: float) -> tuple[float, float]:
    return (box[0] + box[2]) / 2 * scale, (box[1] + box[3]) / 2 * scale


def _shows(mask: Mask, x: float, y: float) -> bool:
    height, width = mask.shape
    return bool(mask[min(height - 1, int(y)), min(width - 1, int(x))])


def _within(box: Box, x: float, y: float) -> bool:
    return box[0] <= x < box[2] and box[1] <= y < box[3]
