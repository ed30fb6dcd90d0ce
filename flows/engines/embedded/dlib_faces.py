"""Faces by dlib: HOG detector, 5 landmarks, 128-d identity vector. All three come as files of an installed wheel."""

import functools
from collections.abc import Sequence
from typing import Any, ClassVar

import dlib
import numpy as np

from flows.engines.embedded import dlib_detector
from flows.engines.embedded.dlib_detector import FoundFace
from flows.engines.ports import Face, Picture, Vector

_RECOGNISER = "dlib_face_recognition_resnet_model_v1.dat"


class DlibFaces:
    """`FaceReader` without a download.

    `side_px` is the longest side that the detector looks at, `max_upscale` how much a small picture is enlarged for it:
    the detector's window is 80 px, so the smallest face found is 80 / 2.5 = 32 px wide in a small picture.

    `same_person_similarity`: dlib's rule is a Euclidean distance under 0.6 (99.38 % on LFW, by its author). Vectors
    have a length of about 1.44 (measured: 1.36 to 1.63), so the rule is a cosine of 1 - 0.6^2 / (2 * 1.44^2) = 0.91.
    Measured at 0.91 on 43 portraits of 16 people: 60 of 60 pairs of one person lie above, 99.5 % of 843 pairs of two
    people below.
    """

    model: ClassVar[str] = "dlib-resnet-v1"
    same_person_similarity: ClassVar[float] = 0.91

    def __init__(self, *, side_px: int = 1024, max_upscale: float = 2.5) -> None:
        self.side_px = side_px
        self.max_upscale = max_upscale
        files = dlib_detector.revision(dlib_detector.LANDMARKS, _RECOGNISER)
        self.revision = f"dlib-faces-1-{files}-{side_px}px-{max_upscale}x"

    def read(self, pictures: Sequence[Picture], *, with_vectors: bool) -> Sequence[tuple[Face, ...]]:
        """The faces of each picture, left to right. Vectors are L2-normalised: a cosine is a dot product."""
        detector = dlib_detector.detector(self.side_px, self.max_upscale)
        return [
            tuple(found.seen(self._vector(found) if with_vectors else None) for found in detector.find(picture))
            for picture in pictures
        ]

    def _vector(self, found: FoundFace) -> Vector:
        if self.model not in found.vectors:
            raw = np.asarray(_recogniser().compute_face_descriptor(found.chip, 0), dtype=np.float64)
            found.vectors[self.model] = (raw / np.linalg.norm(raw)).astype(np.float32)
        return found.vectors[self.model]


@functools.cache
def _recogniser() -> Any:
    return dlib.face_recognition_model_v1(str(dlib_detector.models() / _RECOGNISER))
