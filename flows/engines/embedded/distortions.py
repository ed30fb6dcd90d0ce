"""Known distortions of the original: each spoils one thing that people mind, by an amount that is recorded.

    identity_drift   the faces turn into other-looking ones, little by little until the last frame
    identity_swap    two or more people wear each other's faces
    identity_warp    the proportions of the faces are other ones, the same in every frame
    copy_paste       from some frame on the reference picture's face lies rigidly over each frame's: like, but lifeless
    blur             the whole picture is soft
    flicker          the brightness jumps from frame to frame
    freeze           the picture stands still from some frame on

Severity 0 leaves a clip as it is, 1 is the strongest of its kind; what it scales is said at each function.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from flows.engines.embedded import face_patches
from flows.engines.ports import FaceReader, Generated, Picture, Request
from warehouse.records import Box

LEAST_SEVERITY = 0.25
"""Below it the mild distortions cannot be seen, and a vote about them would be noise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What a distortion works on."""

    pictures: tuple[Picture, ...]
    face_boxes: tuple[tuple[Box | None, ...], ...]
    """For each picture, each subject's face."""
    reference_faces: tuple[tuple[Picture, Box] | None, ...]
    """Each subject's reference picture and the face in it; None: no face was found there."""


Distortion = Callable[[Scene, float, np.random.Generator], tuple[Picture, ...] | None]
"""The pictures at a severity; None: there is nothing here that it could spoil."""


def identity_warp(scene: Scene, severity: float, rng: np.random.Generator) -> tuple[Picture, ...] | None:
    """Severity scales how far the parts of a face are moved."""
    return _warped(scene, np.full(len(scene.pictures), severity), rng)


def identity_drift(scene: Scene, severity: float, rng: np.random.Generator) -> tuple[Picture, ...] | None:
    """As `identity_warp`, from nothing in the first frame to `severity` in the last."""
    return _warped(scene, severity * np.linspace(0, 1, len(scene.pictures)), rng)


def identity_swap(scene: Scene, severity: float, rng: np.random.Generator) -> tuple[Picture, ...] | None:
    """Severity is the opacity of the other subject's face, taken from the same frame."""
    pictures, has_swapped = [], False
    for picture, boxes in zip(scene.pictures, scene.face_boxes, strict=True):
        seen = [box for box in boxes if box is not None]
        swapped = picture
        for index, box in enumerate(seen if len(seen) > 1 else ()):
            swapped = face_patches.paste(swapped, box, picture, seen[index - 1], opacity=severity)
            has_swapped = True
        pictures.append(swapped)
    return tuple(pictures) if has_swapped else None


def copy_paste(scene: Scene, severity: float, rng: np.random.Generator) -> tuple[Picture, ...] | None:
    """Severity is the share of the clip, at its end, that has the reference picture's face."""
    first_pasted = round((1 - severity) * len(scene.pictures))
    pictures, has_pasted = list(scene.pictures[:first_pasted]), False
    for picture, boxes in zip(scene.pictures[first_pasted:], scene.face_boxes[first_pasted:], strict=True):
        for box, reference in zip(boxes, scene.reference_faces, strict=True):
            if box is not None and reference is not None:
                picture = face_patches.paste(picture, box, *reference, opacity=1)
                has_pasted = True
        pictures.append(picture)
    return tuple(pictures) if has_pasted else None


def blur(scene: Scene, severity: float, rng: np.random.Generator) -> tuple[Picture, ...]:
    """Severity 1 is a Gaussian whose standard deviation is 1/120 of the longest side."""
    sigma_px = severity * max(scene.pictures[0].shape[:2]) / 120
    return tuple(cv2.GaussianBlur(picture, (0, 0), sigma_px) for picture in scene.pictures)


def flicker(scene: Scene, severity: float, rng: np.random.Generator) -> tuple[Picture, ...]:
    """Severity 1 is a gain whose logarithm has a standard deviation of 0.06, drawn anew for each frame."""
    gains = np.exp(0.06 * severity * rng.standard_normal(len(scene.pictures)))
    return tuple(cv2.convertScaleAbs(picture, alpha=gain) for picture, gain in zip(scene.pictures, gains, strict=True))


def freeze(scene: Scene, severity: float, rng: np.random.Generator) -> tuple[Picture, ...]:
    """Severity is the share of the clip that stands still, at its end."""
    last_moving = round((1 - severity) * (len(scene.pictures) - 1))
    return scene.pictures[: last_moving + 1] + scene.pictures[last_moving : last_moving + 1] * (
        len(scene.pictures) - 1 - last_moving
    )


DISTORTIONS: dict[str, Distortion] = {
    distort.__name__: distort
    for distort in (identity_drift, identity_swap, identity_warp, copy_paste, blur, flicker, freeze)
}


class Distortions:
    """A generator that draws one severity for each kind of distortion from the request's seed."""

    def __init__(self, faces: FaceReader, *, kinds: Sequence[str] = tuple(DISTORTIONS)) -> None:
        if unknown := sorted(set(kinds) - set(DISTORTIONS)):
            raise ValueError(f"no distortion is called {', '.join(unknown)}; there are {', '.join(DISTORTIONS)}")
        self._faces = faces
        self._kinds = tuple(kinds)
        self.revision = f"distortions 1: {' '.join(kinds)}; {faces.revision}"

    def generate(self, request: Request) -> Iterator[Generated]:
        """One video a kind that applies; a kind's draws do not depend on which other kinds there are."""
        scene = self._scene(request)
        for kind in self._kinds:
            rng = np.random.default_rng([request.seed, *kind.encode()])
            severity = round(float(rng.uniform(LEAST_SEVERITY, 1)), 3)
            frames = DISTORTIONS[kind](scene, severity, rng)
            if frames is not None:
                yield Generated(generator=kind, severity=severity, frames=frames, frame_rate=request.frame_rate)

    def _scene(self, request: Request) -> Scene:
        faces = self._faces.read(request.references, with_vectors=False)
        return Scene(
            pictures=tuple(frame.rgb for frame in request.original),
            face_boxes=request.face_boxes,
            reference_faces=tuple(
                (picture, max(found, key=lambda face: face.score).box_px) if found else None
                for picture, found in zip(request.references, faces, strict=True)
            ),
        )


def _warped(scene: Scene, strengths: NDArray[np.floating], rng: np.random.Generator) -> tuple[Picture, ...] | None:
    """Every subject's face, moved by a field of its own; None where no face is seen."""
    num_subjects = max((len(boxes) for boxes in scene.face_boxes), default=0)
    fields = [face_patches.random_field(rng) for _ in range(num_subjects)]
    if not any(box is not None for boxes in scene.face_boxes for box in boxes):
        return None
    pictures = []
    for picture, boxes, strength in zip(scene.pictures, scene.face_boxes, strengths, strict=True):
        for box, field in zip(boxes, fields, strict=True):
            if box is not None and strength > 0:
                picture = face_patches.warp(picture, box, field, strength=float(strength))
        pictures.append(picture)
    return tuple(pictures)
