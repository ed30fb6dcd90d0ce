"""Where the faces of a picture are, by dlib: HOG detector and 5 landmarks. For every reader of faces: each puts its own
recogniser behind it. Both come as files of an installed wheel.

The 68-point predictor that lies beside them is not free for commercial use and is never loaded.
"""

import functools
import hashlib
import importlib.metadata
import importlib.util
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import dlib
import numpy as np
from numpy.typing import NDArray

from flows.engines.ports import Face, Picture, Vector
from warehouse import ids
from warehouse.records import Box

LANDMARKS = "shape_predictor_5_face_landmarks.dat"
_CHIP_PX = 150
_CHIP_PADDING = 0.25
_TURNED = (1, 2)
"""Indices of the left-looking and right-looking filters among the detector's five."""
_REMEMBERED = 64
"""Pictures whose detections are kept, so that stages that look at the same frames detect once; about 0.1 MB a face."""


@dataclass(slots=True)
class FoundFace:
    """A face, and what recognisers need of it and have said of it."""

    box_px: Box
    score: float
    frontalness: float
    points_52: NDArray[np.float64]
    """dlib's five landmarks (x, y) in pixels of the picture: the corners of the eye at the picture's right (0, 1), of
    the one at its left (2, 3), the base of the nose (4)."""
    chip: Picture
    """The face as dlib's recogniser reads it: upright, 150 px."""
    vectors: dict[str, Vector] = field(default_factory=dict)
    """By recogniser."""

    def seen(self, vector: Vector | None) -> Face:
        """What stages are told of it."""
        return Face(box_px=self.box_px, score=self.score, frontalness=self.frontalness, vector=vector)


class Detector:
    """What was loaded, and what was found in the last pictures: shared by all readers and stages of a worker."""

    def __init__(self, side_px: int, max_upscale: float) -> None:
        self._side_px = side_px
        self._max_upscale = max_upscale
        self._detector = dlib.get_frontal_face_detector()
        self._landmarks = dlib.shape_predictor(str(models() / LANDMARKS))
        self._remembered: OrderedDict[bytes, tuple[FoundFace, ...]] = OrderedDict()

    def find(self, picture: Picture) -> tuple[FoundFace, ...]:
        """The faces of a picture, left to right."""
        key = hashlib.blake2b(np.ascontiguousarray(picture).data, key=repr(picture.shape).encode()).digest()
        remembered = self._remembered.pop(key, None)
        found = self._detect(picture) if remembered is None else remembered
        self._remembered[key] = found
        if len(self._remembered) > _REMEMBERED:
            self._remembered.popitem(last=False)
        return found

    def _detect(self, picture: Picture) -> tuple[FoundFace, ...]:
        """The faces at the working size; where there is none, those at half that size, which large faces fit better."""
        scale = min(self._max_upscale, self._side_px / max(picture.shape[:2]))
        return self._detect_at(picture, scale) or self._detect_at(picture, scale / 2)

    def _detect_at(self, picture: Picture, scale: float) -> tuple[FoundFace, ...]:
        height, width = picture.shape[:2]
        method = cv2.INTER_LINEAR if scale > 1 else cv2.INTER_AREA
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        scaled = np.ascontiguousarray(cv2.resize(picture, size, interpolation=method))
        found = zip(*self._detector.run(scaled, 0, 0.0), strict=True)
        faces = [self._describe(scaled, scale, picture.shape[:2], *each) for each in found]
        return tuple(sorted(faces, key=lambda face: face.box_px))

    def _describe(
        self, scaled: Picture, scale: float, shape: tuple[int, ...], rectangle: Any, score: float, index: int
    ) -> FoundFace:
        landmarks = self._landmarks(scaled, rectangle)
        points = np.array([(point.x, point.y) for point in landmarks.parts()], dtype=np.float64)
        edges = (rectangle.left(), rectangle.top(), rectangle.right() + 1, rectangle.bottom() + 1)
        x0, y0, x1, y1 = (edge / scale for edge in edges)
        return FoundFace(
            box_px=(max(0.0, x0), max(0.0, y0), min(float(shape[1]), x1), min(float(shape[0]), y1)),
            score=float(score),
            frontalness=frontalness(points, is_turned=index in _TURNED),
            points_52=points / scale,
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


def models() -> Path:
    """The folder of the wheel's models. The package cannot be imported: it needs `pkg_resources`, which is gone."""
    spec = importlib.util.find_spec("face_recognition_models")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("face_recognition_models is not installed; `make .venv` installs it")
    return Path(spec.submodule_search_locations[0]) / "models"


@functools.cache
def detector(side_px: int, max_upscale: float) -> Detector:
    """The one of this worker."""
    return Detector(side_px, max_upscale)


@functools.cache
def revision(*files: str) -> str:
    """What tells this dlib and these files of the wheel from others."""
    hashes = [ids.file_digest(models() / name)[:12] for name in files]
    return "-".join([importlib.metadata.version("dlib-bin"), *hashes])
