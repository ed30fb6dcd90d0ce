"""Other views of a picture without a generative model: mirrored, tilted, turned, in other light."""

from collections.abc import Sequence
from typing import ClassVar

import cv2
import numpy as np

from flows.engines.ports import Picture, View

TILT_DEGREES = 8.0
TURN = 0.08
"""Share of the height by which the far edge of a turned picture is shorter, at each end."""
WARMTH = (1.1, 0.98, 0.82)
"""Gains of red, green and blue under a low sun."""
DARKENING = 0.72


class GeometricViews:
    """`Synthesizer` without a network. What it makes is not re-synthesised: the pixels are the crop's own."""

    name: ClassVar[str] = "geometric views"
    revision: ClassVar[str] = f"geometric-views-1-opencv-{cv2.__version__}"

    def views(self, picture: Picture) -> Sequence[View]:
        pictures = {
            "mirrored": np.ascontiguousarray(picture[:, ::-1]),
            "tilted": _tilted(picture),
            "turned": _turned(picture),
            "evening": _evening(picture),
        }
        return [
            View(name=name, picture=made, is_resynthesised=False, synthesizer=self.name)
            for name, made in pictures.items()
        ]


def _tilted(picture: Picture) -> Picture:
    height, width = picture.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), TILT_DEGREES, 1.0)
    return np.asarray(cv2.warpAffine(picture, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE), dtype=np.uint8)


def _turned(picture: Picture) -> Picture:
    """The right edge moves away, as if the picture turned about its upright axis."""
    height, width = picture.shape[:2]
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], dtype=np.float32)
    drop = TURN * height
    moved = corners + np.array([(0, 0), (-TURN * width, drop), (-TURN * width, -drop), (0, 0)], dtype=np.float32)
    matrix = cv2.getPerspectiveTransform(corners, moved)
    warped = cv2.warpPerspective(picture, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(warped, dtype=np.uint8)


def _evening(picture: Picture) -> Picture:
    lit = picture.astype(np.float32) * (np.array(WARMTH, dtype=np.float32) * DARKENING)
    return np.clip(np.rint(lit), 0, 255).astype(np.uint8)
