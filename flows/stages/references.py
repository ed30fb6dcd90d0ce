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
"""What a head-and-shoulders crop adds to the face's box: in face widths at each side, in face heights above and below."""


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
            crop = _crop(pictures[best.frame], best, item.video.look_scale)
            views = [View(name="crop", picture=crop, is_resynthesised=False), *self.synthesizer.views(crop)]
            references = self._records(item, subject, views)
            made += references
            scores.append(max((r.identity_score for r in references if r.identity_score is not None), default=None))
            faces_px.append(best.face_box_px[2] - best.face_box_px[0] if best.face_box_px else None)
        fact = ReferencesFact(
            num_references=len(made), identity_score_min=_known_min(scores), face_px_min=_known_min(faces_px)
        )
        return Done(fact=fact, made=made)
