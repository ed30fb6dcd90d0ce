"""A clip's candidates: the original and what a generator makes of it, all encoded alike.

No size, length or codec setting tells the original from the others: only the picture does.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

import cv2
import numpy as np

from flows.engines.ports import Generated, Generator, Picture, Request
from flows.stages import tracks
from flows.stages.encode import encode
from flows.stages.stage import ClipItem, Done, Failed, one_by_one
from warehouse import ids
from warehouse.media import MediaStore
from warehouse.records import Box, Candidate, Clip, Reference, Subject

LEAST_FRAMES = 5
REACH = Fraction(1, 2)
"""Seconds around a sighting in which the face is taken to be still there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidatesFact:
    """What the clip's candidates have in common."""

    num_candidates: int
    """The original included."""
    first_frame: int
    """Of the source: the original's frame 0."""
    num_frames: int
    """Of the original; 4k + 1, as Wan's video networks want."""
    width_px: int
    height_px: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """Cuts a window of up to `max_frames` successive frames around the subjects' key frames, and generates from it."""

    name: ClassVar[str] = "candidates"
    version: ClassVar[int] = 1
    takes: ClassVar[type[ClipItem]] = ClipItem
    fact: ClassVar[type[CandidatesFact]] = CandidatesFact
    needs: ClassVar[Sequence[str]] = ("subjects", "references")

    generator: Generator
    seed: int = 0
    max_frames: int = 49
    """About two seconds; rounded down to 4k + 1."""
    longest_side_px: int = 416
    """Identity-GRPO samples at 416 x 240 (2.3)."""

    def __call__(self, batch: Sequence[ClipItem], /) -> Sequence[Done[CandidatesFact] | Failed]:
        return one_by_one(self._outcome, batch)

    def _outcome(self, item: ClipItem) -> Done[CandidatesFact] | Failed:
        num_frames = window_length(item.clip, self.max_frames)
        if num_frames < LEAST_FRAMES:
            return Failed(reason="clip too short for a candidate", exception=f"{num_frames} usable frames")
        subjects = sorted(item.subjects, key=lambda subject: subject.subject_index)
        references = best_references(item.references)
        if missing := [subject.subject_id for subject in subjects if subject.subject_id not in references]:
            return Failed(reason="subject without a reference", exception=", ".join(missing))
        request = self._request(item, num_frames, subjects, [references[each.subject_id] for each in subjects])
        return self._made(item, request)

    def _made(self, item: ClipItem, request: Request) -> Done[CandidatesFact]:
        original = Generated(
            generator="original",
            severity=0.0,
            frames=tuple(frame.rgb for frame in request.original),
            frame_rate=request.frame_rate,
        )
        made = [_kept(original, item, seed=None)]
        made += [_kept(generated, item, seed=request.seed) for generated in self.generator.generate(request)]
        height_px, width_px = request.original[0].rgb.shape[:2]
        return Done(
            fact=CandidatesFact(
                num_candidates=len(made),
                first_frame=request.original[0].index,
                num_frames=len(request.original),
                width_px=width_px,
                height_px=height_px,
            ),
            made=made,
        )

    def _request(
        self, item: ClipItem, num_frames: int, subjects: Sequence[Subject], references: Sequence[Reference]
    ) -> Request:
        start = first_frame(item.clip, subjects, num_frames)
        original = tuple(item.video.read(start, start + num_frames, longest_side_px=self.longest_side_px))
        return Request(
            prompt=item.source.caption or "",
            references=tuple(_picture(reference, item.media) for reference in references),
            original=original,
            face_boxes=face_boxes(
                item.clip,
                subjects,
                item.media,
                [frame.index for frame in original],
                scale=original[0].rgb.shape[1] / item.clip.width_px,
            ),
            frame_rate=item.clip.frame_rate,
            seed=int(ids.digest([self.seed, item.clip.clip_id])[:12], 16),
        )


def window_length(clip: Clip, max_frames: int) -> int:
    """Frames of a candidate: the clip's length, at most `max_frames`, rounded down to 4k + 1."""
    return (min(clip.span.length_frames, max_frames) - 1) // 4 * 4 + 1


def first_frame(clip: Clip, subjects: Iterable[Subject], num_frames: int) -> int:
    """Where in the source the window begins: the subjects' median key frame is in the middle where it can be."""
    key_frames = sorted(subject.key_frame for subject in subjects)
    middle = key_frames[len(key_frames) // 2] if key_frames else clip.start_frame
    return max(clip.start_frame, min(middle - num_frames // 2, clip.end_frame - num_frames))


def best_references(references: Iterable[Reference]) -> Mapping[str, Reference]:
    """For each subject id the reference that was chosen to stand for it."""
    return {reference.subject_id: reference for reference in references if reference.is_chosen}


def face_boxes(
    clip: Clip, subjects: Sequence[Subject], media: MediaStore, frames: Sequence[int], *, scale: float
) -> tuple[tuple[Box | None, ...], ...]:
    """For each of the source's `frames`, each subject's face box times `scale`; None where it is not seen."""
    reach = REACH * clip.frame_rate
    sightings = [tracks.read(media.path_of(subject.track_sha256)) for subject in subjects]
    seen = [[(each.frame, each.face_box_px) for each in track if each.face_box_px is not None] for track in sightings]
    by_subject = [boxes_between(faces, frames, scale=scale, reach=reach) for faces in seen]
    return tuple(tuple(boxes[index] for boxes in by_subject) for index in range(len(frames)))


def boxes_between(
    seen: Sequence[tuple[int, Box]], frames: Sequence[int], *, scale: float, reach: Fraction
) -> list[Box | None]:
    """A face's box times `scale` in each of `frames`: between two sightings it moves evenly, beyond them it stays.

    None where the nearest sighting is more than `reach` frames away. `seen` ascends by frame.
    """
    if not seen:
        return [None] * len(frames)
    known = np.array([frame for frame, _ in seen])
    sides = [np.interp(frames, known, side) * scale for side in zip(*(box for _, box in seen), strict=True)]
    is_near = [int(np.abs(known - frame).min()) <= reach for frame in frames]
    return [
        (float(x0), float(y0), float(x1), float(y1)) if near else None
        for near, x0, y0, x1, y1 in zip(is_near, *sides, strict=True)
    ]


def _kept(video: Generated, item: ClipItem, *, seed: int | None) -> Candidate:
    """The candidate's record, its file put into the media store."""
    sha256 = item.media.put(encode(video.frames, frame_rate=video.frame_rate))
    clip_id = item.clip.clip_id
    return Candidate(
        candidate_id=ids.make("candidate", clip_id, video.generator, video.severity, seed, sha256),
        clip_id=clip_id,
        fact_key=item.fact_key,
        generator=video.generator,
        severity=video.severity,
        seed=seed,
        sha256=sha256,
    )


def _picture(reference: Reference, media: MediaStore) -> Picture:
    content = np.frombuffer(media.path_of(reference.sha256).read_bytes(), np.uint8)
    return np.asarray(cv2.imdecode(content, cv2.IMREAD_COLOR_RGB))
