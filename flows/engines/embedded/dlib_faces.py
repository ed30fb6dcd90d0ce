"""Faces by dlib: HOG detector, 5 landmarks, 128-d identity vector. All three come as files of an installed wheel.

The 68-point predictor that lies beside them is not free for commercial use and is never loaded.
"""

import functools
import hashlib
import importlib.metadata
import importlib.util
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import cv2
import dlib
import numpy as np
from numpy.typing import NDArray

from flows.engines.ports import Face, Picture, Vector
from warehouse import ids
from warehouse.records import Box

_LANDMARKS = "shape_predictor_5_face_landmarks.dat"
_RECOGNISER = "dlib_face_recognition_resnet_model_v1.dat"
_CHIP_PX = 150
_CHIP_PADDING = 0.25
_TURNED = (1, 2)
"""Indices of the left-looking and right-looking filters among the detector's five."""
_REMEMBERED = 64
"""Pictures whose detections are kept, so that stages that look at the same frames detect once; about 0.1 MB a face."""


@dataclass(slots=True)
class _Found:
    box_px: Box
    score: float
    frontalness: float
    chip: Picture
    """The aligned face that the recogniser reads."""
    vector: Vector | None = None


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
        self.revision = _revision(side_px, max_upscale)
        _loaded(side_px, max_upscale)

    def read(self, pictures: Sequence[Picture], *, with_vectors: bool) -> Sequence[tuple[Face, ...]]:
        """The faces of each picture, left to right. Vectors are L2-normalised: a cosine is a dot product."""
        networks = _loaded(self.side_px, self.max_upscale)
        return [
            tuple(networks.face(found, with_vector=with_vectors) for found in networks.find(picture))
            for picture in pictures
        ]


class _Networks:
    """What was loaded, and what was found in the last pictures: shared by all stages of a worker."""

    def __init__(self, side_px: int, max_upscale: float) -> None:
        self._side_px = side_px
        self._max_upscale = max_upscale
        folder = _models()
        self._detector = dlib.get_frontal_face_detector()
        self._landmarks = dlib.shape_predictor(str(folder / _LANDMARKS))
        self._recogniser = dlib.face_recognition_model_v1(str(folder / _RECOGNISER))
        self._remembered: OrderedDict[bytes, tuple[_Found, ...]] = OrderedDict()

    def face(self, found: _Found, *, with_vector: bool) -> Face:
        if with_vector and found.vector is None:
            raw = np.asarray(self._recogniser.compute_face_descriptor(found.chip, 0), dtype=np.float64)
            found.vector = (raw / np.linalg.norm(raw)).astype(np.float32)
        return Face(
            box_px=found.box_px,
            score=found.score,
            frontalness=found.frontalness,
            vector=found.vector if with_vector else None,
        )

    def find(self, picture: Picture) -> tuple[_Found, ...]:
        key = hashlib.blake2b(np.ascontiguousarray(picture).data, key=repr(picture.shape).encode()).digest()
        remembered = self._remembered.pop(key, None)
        found = self._detect(picture) if remembered is None else remembered
        self._remembered[key] = found
        if len(self._remembered) > _REMEMBERED:
            self._remembered.popitem(last=False)
        return found

    def _detect(self, picture: Picture) -> tuple[_Found, ...]:
        """The faces at the working size; where there is none, those at half that size, which large faces fit better."""
        scale = min(self._max_upscale, self._side_px / max(picture.shape[:2]))
        return self._detect_at(picture, scale) or self._detect_at(picture, scale / 2)

    def _detect_at(self, picture: Picture, scale: float) -> tuple[_Found, ...]:
        height, width = picture.shape[:2]
        method = cv2.INTER_LINEAR if scale > 1 else cv2.INTER_AREA
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        scaled = np.ascontiguousarray(cv2.resize(picture, size, interpolation=method))
        found = zip(*self._detector.run(scaled, 0, 0.0), strict=True)
        faces = [self._describe(scaled, scale, picture.shape[:2], *each) for each in found]
        return tuple(sorted(faces, key=lambda face: face.box_px))

    def _describe(
        self, scaled: Picture, scale: float, shape: tuple[int, ...], rectangle: Any, score: float, index: int
    ) -> _Found:
        landmarks = self._landmarks(scaled, rectangle)
        points = np.array([(point.x, point.y) for point in landmarks.parts()], dtype=np.float64)
        edges = (rectangle.left(), rectangle.top(), rectangle.right() + 1, rectangle.bottom() + 1)
        x0, y0, x1, y1 = (edge / scale for edge in edges)
        return _Found(
            box_px=(max(0.0, x0), max(0.0, y0), min(float(shape[1]), x1), min(float(shape[0]), y1)),
            score=float(score),
            frontalness=frontalness(points, is_turned=index in _TURNED),
            chip=dlib.get_face_chip(scaled, landmarks, _CHIP_PX, _CHIP_PADDING),
        )


def frontalness(points_52: NDArray[np.float64], *, is_turned: bool) -> float:
    """0 (profile) to 1 (looks into the camera), from dlib's five points: two corners of each eye, base of the nose.

    Seen from the front the nose stands half-way between the eyes; the head's turn moves it towards one of them, and
    past it in profile. A face that the detector's left- or right-looking filter found gets three quarters of that.
    """
    one_eye, other_eye, nose = points_52[0:2].mean(0), points_52[2:4].mean(0), points_52[4]
    axis = other_eye - one_eye
    offset = float((nose - (one_eye + other_eye) / 2) @ axis / max(float(axis @ axis), 1e-9))
    symmetry = max(0.0, 1 - abs(offset) / 0.5)
    return 0.75 * symmetry if is_turned else symmetry


def _models() -> Path:
    """The folder of the wheel's models. The package cannot be imported: it needs `pkg_resources`, which is gone."""
    spec = importlib.util.find_spec("face_recognition_models")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("face_recognition_models is not installed; `make .venv` installs it")
    return Path(spec.submodule_search_locations[0]) / "models"


@functools.cache
def _loaded(side_px: int, max_upscale: float) -> _Networks:
    return _Networks(side_px, max_upscale)


@functools.cache
def _revision(side_px: int, max_upscale: float) -> str:
    hashes = [ids.file_digest(_models() / name)[:12] for name in (_LANDMARKS, _RECOGNISER)]
    version = importlib.metadata.version("dlib-bin")
    return "-".join(["dlib-faces-1", version, *hashes, f"{side_px}px", f"{max_upscale}x"])
