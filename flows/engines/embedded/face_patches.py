"""Faces bent and laid over one another: smooth local warps, and pasting with a soft edge and matched colour.

A face's own coordinates: u runs from -1 at its left edge to 1 at its right, v from -1 at its brow to 1 at its chin.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from flows.engines.ports import Picture
from warehouse.records import Box

Floats = NDArray[np.float32]
Field = Floats
"""(2, 4, 2): weights of the waves that move a face's points to the side and downwards: axis, waves over v, over u."""

_STRONGEST = 0.09
"""Root mean square of a field's weights, in half faces: much beyond it the picture folds over itself."""
_EDGE = 0.25
"""Share of the oval's radius over which a pasted face fades in."""
_WAVES = 1 / np.add.outer(np.arange(1, 5), np.arange(2))
"""Weight of each wave: the shorter, the weaker, so that a face is reshaped rather than crumpled."""


def random_field(rng: np.random.Generator) -> Field:
    """Other proportions for a face. They mirror each other left and right, so that it stays a face."""
    field = rng.standard_normal((2, 4, 2)) * _WAVES
    field[1, 0, 0] = 0  # a constant moves the whole face and changes no proportion
    return np.asarray(field * (_STRONGEST / np.sqrt(np.mean(field**2))), np.float32)


def warp(picture: Picture, box: Box, field: Field, *, strength: float) -> Picture:
    """The picture with the face in `box` bent by `strength * field`, fading to nothing at the face's outline."""
    oval = _Oval.around(_head(box), picture)
    over_v = np.cos(np.pi / 2 * np.outer(oval.v + 1, np.arange(4)))
    window = strength * np.clip(1 - oval.distance2, 0, None) ** 2
    shift_u = window * (over_v @ field[0] @ np.sin(np.pi / 2 * np.outer((1, 2), oval.u)))
    shift_v = window * (over_v @ field[1] @ np.cos(np.pi / 2 * np.outer((0, 2), oval.u)))
    return oval.with_content(picture, oval.sampled(picture, _head(box), shift_u, shift_v))


def paste(picture: Picture, box: Box, source: Picture, source_box: Box, *, opacity: float) -> Picture:
    """The picture with the face of `source` over its own, in its colour and with a soft edge."""
    oval = _Oval.around(_features(box), picture)
    mask = np.clip((1 - np.sqrt(oval.distance2)) / _EDGE, 0, 1)[..., None]
    below = picture[oval.rows, oval.columns]
    face = oval.sampled(source, _features(source_box))
    above = face + _mean_within(oval, below) - _mean_within(oval, face)
    blended = below + opacity * mask * (above - below)
    return oval.with_content(picture, np.clip(np.rint(blended), 0, 255).astype(np.uint8))


@dataclass(frozen=True, slots=True)
class _Oval:
    """The oval in a box, with the rows and columns of the picture that it reaches."""

    rows: slice
    columns: slice
    u: Floats
    """(columns,)"""
    v: Floats
    """(rows,)"""

    @classmethod
    def around(cls, box: Box, picture: Picture) -> "_Oval":
        (centre_x, centre_y), (radius_x, radius_y) = _centre(box), _radii(box)
        columns = _within(centre_x - radius_x, centre_x + radius_x, picture.shape[1])
        rows = _within(centre_y - radius_y, centre_y + radius_y, picture.shape[0])
        u = (np.arange(columns.start, columns.stop) + 0.5 - centre_x) / radius_x
        v = (np.arange(rows.start, rows.stop) + 0.5 - centre_y) / radius_y
        return cls(rows, columns, u.astype(np.float32), v.astype(np.float32))

    @property
    def distance2(self) -> Floats:
        """(rows, columns): squared distance from the middle, 1 at the outline."""
        return self.u**2 + self.v[:, None] ** 2

    def sampled(
        self, source: Picture, source_box: Box, shift_u: Floats | float = 0, shift_v: Floats | float = 0
    ) -> Picture:
        """What the oval in `source_box` has at this oval's points, each point looked up `shift` away."""
        (centre_x, centre_y), (radius_x, radius_y) = _centre(source_box), _radii(source_box)
        shape = (len(self.v), len(self.u))
        x = np.broadcast_to((self.u + shift_u) * radius_x + centre_x - 0.5, shape)
        y = np.broadcast_to((self.v[:, None] + shift_v) * radius_y + centre_y - 0.5, shape)
        x, y = x.astype(np.float32), y.astype(np.float32)
        return np.asarray(cv2.remap(source, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))

    def with_content(self, picture: Picture, content: Picture) -> Picture:
        result = picture.copy()
        result[self.rows, self.columns] = content
        return result


def _head(face_box: Box) -> Box:
    """From the hair to below the chin, for a detector's box: that one reaches from the brows to the chin."""
    return _scaled(face_box, 1.2, 1.44)


def _features(face_box: Box) -> Box:
    """Brows, eyes, nose and mouth, with as little as can be of the hair and of what stands behind."""
    return _scaled(face_box, 0.92, 1.1)


def _scaled(box: Box, across: float, along: float) -> Box:
    """About a middle that lies a little above the box's."""
    (centre_x, centre_y), (radius_x, radius_y) = _centre(box), _radii(box)
    centre_y -= 0.1 * radius_y
    reach_x, reach_y = across * radius_x, along * radius_y
    return centre_x - reach_x, centre_y - reach_y, centre_x + reach_x, centre_y + reach_y


def _centre(box: Box) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def _radii(box: Box) -> tuple[float, float]:
    return (box[2] - box[0]) / 2, (box[3] - box[1]) / 2


def _within(start: float, end: float, length: int) -> slice:
    """At least one row or column, also where the face lies outside the picture."""
    first = int(np.clip(np.floor(start), 0, length - 1))
    return slice(first, int(np.clip(np.ceil(end), first + 1, length)))


def _mean_within(oval: _Oval, content: Picture) -> Floats:
    """(3,): mean colour of the oval's inner half."""
    mean = cv2.mean(content, mask=(oval.distance2 < 0.5).astype(np.uint8))
    return np.asarray(mean[:3], np.float32)
